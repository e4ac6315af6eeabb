"""Makes the database again from what Gmail still has, for when it is damaged and no backup will do.

Reads, and changes nothing in the mailbox. What the bounces carry (labels) and what lies beside them (notes) is recorded
as done; what is older than the newest of these marks and lacks its own was taken off, or never wanted, and stays so;
what is newer is planned, and done by the next run. The fresh database takes the old one's place at the very end, so
that one who is killed here has lost nothing; the old file stays beside it. Prints nothing.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from triage import store
from triage.config import Settings
from triage.errors import TriageError
from triage.gmail import Gmail, Sent, connect
from triage.incidents import alerts
from triage.job import limited
from triage.lock import locked
from triage.model import Clock, Progress
from triage.names import account_if_told
from triage.reading import judge_mailbox
from triage.rows import ActionRow
from triage.run import store_all
from triage.store import backups

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
    """Read the bounces of that time again, and put a fresh database in place. Raises what `triage.run.run` raises.

    What a rebuild that was ended had read is not read again.
    """
    path = settings.database
    fresh = path.with_name(f"{path.name}.rebuilding")
    with (
        locked(path),
        limited(settings.run_minutes, "The rebuild"),
        closing(connect(settings.token, url=settings.gmail_url)) as gmail,
    ):
        if not _is_begun(fresh, gmail):
            for left in path.parent.glob(f"{fresh.name}*"):
                left.unlink()
        at = clock()
        with closing(store.open_store(fresh)) as db:
            run_id = store.start_run(db, "rebuild", at)
            store.names.keep_owner(db, gmail.profile_address(), gmail.sign_in_mark)
            store.want_since(db, at - since)
            # What is copied already stays as it is.
            salvaged, lost = backups.salvage(db, path) if path.exists() else (0, [])
            try:
                done = _read_again(gmail, db, settings, at, at - since, progress)
            except TriageError:
                store.end_fetches(db, at)  # no mail is to blame
                raise
            store.move_cursor(db, at, gmail.sign_in_mark)
            store.finish_run(db, run_id, clock(), {"new": done.mails, "judged": done.verdicts, "failed": done.failed})
        aside = backups.put_in_place(path, fresh, at)
    return replace(done, salvaged=salvaged, lost=tuple(lost), aside=aside)


def _is_begun(fresh: Path, gmail: Gmail) -> bool:
    """Whether a rebuild of this very mailbox was ended, and what it read can be gone on with."""
    try:
        db = store.open_readonly(fresh)
    except TriageError:
        return False
    if db is None:
        return False
    with closing(db):
        is_same = store.names.read_owner(db)[1] == gmail.sign_in_mark
        return is_same and store.wanted_since(db) is not None and store.integrity_problem(db) is None


def _read_again(
    gmail: Gmail, db: Database, settings: Settings, at: datetime, since: datetime, progress: Progress | None
) -> Rebuilt:
    outcomes = judge_mailbox(gmail, Sent(gmail), db, settings, at, since, progress, is_working=True)
    store_all(db, outcomes, at, None)
    store.settle_all(db, at)
    labels, notes, planned_still = _settle_actions(gmail, db, settings, at)
    mails, verdicts = backups.counts_on_record(db)
    return Rebuilt(mails, verdicts, len(store.unreadable_mails(db)), labels, notes, planned_still, 0, (), None)


def _settle_actions(gmail: Gmail, db: Database, settings: Settings, at: datetime) -> tuple[int, int, int]:
    """Record what is there as done, and what is older than the newest of that as dropped: (labels, notes, left)."""
    times = store.received_times(db)
    carriers: dict[str, tuple[str | None, frozenset[str]]] = {}
    for action in store.pending_actions(db, at):
        if action["kind"] == "label":
            name = action["payload"]["label"]
            if name not in carriers:
                carriers[name] = _carriers(gmail, name)
            label_id, mails = carriers[name]
            if label_id is not None and action["gmail_id"] in mails:
                store.finish_labels(db, {action["id"]: label_id}, at)
        elif action["kind"] == "note":
            _record_note(gmail, db, action, at)
    labels, notes = (
        [row for row in store.actions_to_undo(db, kind) if row["done_at"] is not None] for kind in ("label", "note")
    )
    newest = max((times[row["mail_id"]] for row in (*labels, *notes)), default=at - timedelta(days=settings.since_days))
    left = store.pending_actions(db, at)
    stale = [action["id"] for action in left if times[action["mail_id"]] <= newest]
    store.fail_actions(db, stale, NOT_DONE, at, for_good=True)
    _settle_alerts(gmail, db, settings, newest, at)
    return len(labels), len(notes), len(left) - len(stale)


def _carriers(gmail: Gmail, name: str) -> tuple[str | None, frozenset[str]]:
    """The label of that name, and the mails that carry it (5 units for 500 of them)."""
    label_id = gmail.find_label(name)
    return label_id, frozenset(ref.id for ref in gmail.list_refs("", label_id)) if label_id else frozenset()


def _record_note(gmail: Gmail, db: Database, action: ActionRow, at: datetime) -> None:
    message_id = action["payload"]["message_id"]
    found = next(iter(gmail.find_message_id(message_id)), None)
    if found is not None:
        store.finish_insert(db, f"note {message_id}", message_id, found.id, found.thread_id, at)
        store.finish_note(db, action["id"], found.id, None, at)


def _settle_alerts(gmail: Gmail, db: Database, settings: Settings, newest: datetime, at: datetime) -> None:
    """What began before the newest mark was told then; what began later is told by the next run."""
    alerts.plan_due_alerts(db, settings, at, lambda: account_if_told(db, gmail))
    old = {one.id for one in store.read_incidents(db) if one.first_at <= newest}
    store.drop_alerts(db, [row["id"] for row in store.planned_alerts(db) if row["incident_id"] in old], TOLD)
