"""Makes the database again from what Gmail still has, for when it is damaged and no backup will do.

Reads, and changes nothing in the mailbox. What the bounces carry (labels) and what lies beside them (notes) is recorded
as done; what is older than the newest of these marks and lacks its own was taken off, or never wanted, and stays so;
what is newer is planned, and done by the next run. The fresh database takes the old one's place at the very end, so
that one who is killed here has lost nothing; the old file stays beside it. Prints nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from triage import store
from triage.config import Settings
from triage.gmail import Gmail, RawMessage, Sent, bounce_query, connect
from triage.incidents import alerts
from triage.judging import judge_stored
from triage.letters import NOTE_DOMAIN
from triage.lock import locked
from triage.model import Clock, Failed, Progress, StoredMail
from triage.names import account_if_told
from triage.plan import planned
from triage.rows import ActionRow

if TYPE_CHECKING:
    from sqlite_utils import Database

A_YEAR = timedelta(days=366)
"""How far it looks back where nobody says: an older bounce is of no more use than to a report."""
NOT_DONE = "the database was made again: it was not there, so it was taken off, or never wanted"
TOLD = "the database was made again: it was told before"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What came of it."""

    mails: int
    verdicts: int
    failed: int
    """Mails that could not be fetched or judged; the next run asks again."""
    labels: int
    notes: int
    planned: int
    """What the next run is to do: labels and notes of bounces newer than anything done before."""
    salvaged: int
    """Rows of the old database that Gmail cannot tell again: rotations, mails written again, audits."""
    lost: tuple[str, ...]
    """Tables of which some or all could not be read."""
    aside: Path | None
    """Where the old database is now."""


def rebuild(
    settings: Settings, clock: Clock, *, since: timedelta = A_YEAR, progress: Progress | None = None
) -> Rebuilt:
    """Read the bounces of that time again, and put a fresh database in place. Raises what `triage.run.run` raises."""
    from triage.store import backups

    path = settings.database
    fresh = path.with_name(f"{path.name}.rebuilding")
    with locked(path), closing(connect(settings.token, url=settings.gmail_url)) as gmail:
        for left in path.parent.glob(f"{fresh.name}*"):
            left.unlink()
        at = clock()
        with closing(store.open_store(fresh)) as db:
            run_id = store.start_run(db, "rebuild", at)
            salvaged, lost = backups.salvage(db, path) if path.exists() else (0, [])
            done = _read_again(gmail, db, settings, at, since, progress)
            store.move_cursor(db, at, gmail.sign_in_mark)
            store.finish_run(db, run_id, clock(), {"new": done.mails, "judged": done.verdicts, "failed": done.failed})
        aside = backups.put_in_place(path, fresh, at)
    return replace(done, salvaged=salvaged, lost=tuple(lost), aside=aside)


def _read_again(
    gmail: Gmail, db: Database, settings: Settings, at: datetime, since: timedelta, progress: Progress | None
) -> Rebuilt:
    after = int((at - since).timestamp())
    refs = list(gmail.list_refs(bounce_query(after, settings.subjects, not_from=NOTE_DOMAIN)))
    wanted = {ref.id: StoredMail(f"gmail:{ref.id}", ref.id, ref.thread_id) for ref in reversed(refs)}
    carried: dict[str, tuple[str, ...]] = {}
    sent = Sent(gmail)
    verdicts = failed = 0
    for count, answer in enumerate(gmail.get_raw(wanted), start=1):
        mail = wanted[answer.id]
        if isinstance(answer, RawMessage):
            carried[answer.id] = answer.label_ids
            mail = replace(mail, thread_id=answer.thread_id, received_at=answer.internal_at, raw=answer.raw)
            judged = judge_stored(mail)
            outcome = judged if isinstance(judged, Failed) else planned(judged, settings, sent)
        else:
            outcome = Failed(mail, answer.why)
        if isinstance(outcome, Failed):
            store.record_failed(db, outcome.mail, outcome.why, at)  # the next run asks again, and finds out the rest
            failed += 1
        else:
            store.store_judged(db, outcome.mail, outcome.records, outcome.actions, at, outcome.proofs)
            verdicts += len(outcome.records) if outcome.bounce else 0
        if progress:
            progress(count, len(wanted))
    store.settle_all(db, at)
    labels, notes, planned_still = _settle_actions(gmail, db, settings, carried, at)
    return Rebuilt(len(wanted), verdicts, failed, labels, notes, planned_still, 0, (), None)


def _settle_actions(
    gmail: Gmail, db: Database, settings: Settings, carried: Mapping[str, tuple[str, ...]], at: datetime
) -> tuple[int, int, int]:
    """Record what is there as done, and what is older than the newest of that as dropped: (labels, notes, left)."""
    actions = store.pending_actions(db, at)
    times = store.received_times(db)
    done: set[int] = set()
    labels = notes = 0
    for action in actions:
        label_id = gmail.find_label(action["payload"]["label"]) if action["kind"] == "label" else None
        if label_id is not None and label_id in carried[action["gmail_id"]]:
            store.finish_labels(db, {action["id"]: label_id}, at)
            labels += 1
            done.add(action["id"])
        elif action["kind"] == "note" and _record_note(gmail, db, action, at):
            notes += 1
            done.add(action["id"])
    marks = [times[action["mail_id"]] for action in actions if action["id"] in done]
    newest = max(marks, default=at - timedelta(days=settings.since_days))
    stale = [a["id"] for a in actions if a["id"] not in done and times[a["mail_id"]] <= newest]
    store.fail_actions(db, stale, NOT_DONE, at, for_good=True)
    _settle_alerts(gmail, db, settings, newest, at)
    return labels, notes, len(actions) - len(done) - len(stale)


def _record_note(gmail: Gmail, db: Database, action: ActionRow, at: datetime) -> bool:
    message_id = action["payload"]["message_id"]
    found = next(iter(gmail.find_message_id(message_id)), None)
    if found is None:
        return False
    store.finish_insert(db, f"note {message_id}", message_id, found.id, found.thread_id, at)
    store.finish_note(db, action["id"], found.id, None, at)
    return True


def _settle_alerts(gmail: Gmail, db: Database, settings: Settings, newest: datetime, at: datetime) -> None:
    """What began before the newest mark was told then; what began later is told by the next run."""
    alerts.plan_due_alerts(db, settings, at, lambda: account_if_told(db, gmail))
    old = {one.id for one in store.read_incidents(db) if one.first_at <= newest}
    store.drop_alerts(db, [row["id"] for row in store.planned_alerts(db) if row["incident_id"] in old], TOLD)
