"""One run of the worker: list, fetch, parse, classify, store, correlate, act, and the cursor last.

The reading half (what is new, what it is, what should be done about it) writes nothing and is shared with the dry run;
the writing half stores each mail in one transaction and then carries out what was planned. Killed anywhere, the next
run ends in the same state. Never deletes, never marks read, never sends mail, never acts on an unverified bounce.
Prints nothing: what happened comes back as a value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from triage import store
from triage.config import Settings
from triage.errors import TriageError, why_failed
from triage.gmail import Gmail, RawMessage, Refused, Sent, bounce_query, connect
from triage.incidents import alerts, look_for_sends, watched
from triage.judge import judge
from triage.letters import NOTE_DOMAIN, Written, write_notes
from triage.lock import locked
from triage.mailbox import LocalMail, UnreadableFile, read_mails
from triage.model import Clock, DryRun, Failed, Judged, Outcome, Progress, RunSummary, StoredMail
from triage.plan import planned, prove_again
from triage.rotation import under_way as rotation_watch
from triage.ses import correlate, take_events

if TYPE_CHECKING:
    from sqlite_utils import Database


def run(
    settings: Settings, clock: Clock, *, since: datetime | None = None, progress: Progress | None = None
) -> RunSummary:
    """Read the mailbox and the queue of SES events, judge what is new, tie it to SES, label its threads, tell of it.

    `since` looks further back than the last run did. Raises TryLater (another run is at work, Gmail is away),
    CredentialsDead, ConfigError; what was stored by then stays, and the cursor has not moved.
    """
    with _at_work(settings, clock, "gmail") as (db, run_id), watched(settings.ping_url), _signed_in(settings) as gmail:
        started_at = clock()
        before, held = store.moved_at(db, started_at), store.held_incidents(db)
        drained = take_events(db, settings, started_at)
        sent = Sent(gmail)
        outcomes = _judge_mailbox(gmail, sent, db, settings, started_at, since, progress)
        totals = _store_all(db, outcomes, started_at, settings.incidents_per_day)
        known = correlate(db, settings, gmail, started_at, drained)
        prove_again(db, settings, sent, started_at)
        look_for_sends(db, gmail, started_at)
        opened, closed = store.settle_all(db, started_at, before)
        labels, written = carry_out(gmail, db, settings, clock)
        rotation, not_watched = _watch_rotation(db, settings, clock)
        told = alerts.tell(db, settings, gmail, clock)
        store.move_cursor(db, started_at)
        totals = replace(totals, judged=totals.judged + known.from_events, actions=labels, notes=written.notes)
        held = store.held_incidents(db) - held
        totals = replace(totals, held_notes=written.held, held_incidents=held)
        totals = replace(totals, opened=opened, closed=closed, alerts=told.delivered, held_alerts=told.held)
        totals = replace(totals, rotation=rotation, not_told=(*not_watched, *told.problems))
        summary = _with_quota(replace(totals, events=known.events, not_looked_up=known.not_looked_up), gmail)
        away, untold = summary.not_looked_up, summary.not_told
        store.finish_run(db, run_id, clock(), summary.counts(), not_looked_up=away, not_told=untold)
        return summary


def run_local(
    settings: Settings,
    clock: Clock,
    paths: Sequence[str | Path],
    *,
    stdin: BinaryIO | None = None,
    progress: Progress | None = None,
) -> RunSummary:
    """Judge and store the mails of files and folders (see `mailbox.read_mails`); touches neither Gmail nor the cursor.

    Raises UsageError for a path that cannot be read, TryLater and ConfigError as `run` does.
    """
    mails = read_mails(paths, stdin)
    with _at_work(settings, clock, " ".join(map(str, paths))) as (db, run_id):
        started_at = clock()
        before = store.moved_at(db, started_at)
        summary = _store_all(db, _judge_files(mails, db, settings, progress), started_at, settings.incidents_per_day)
        opened, closed = store.settle_all(db, started_at, before)
        summary = replace(summary, opened=opened, closed=closed)
        store.finish_run(db, run_id, clock(), summary.counts())
        return summary


def dry_run(
    settings: Settings, clock: Clock, *, since: datetime | None = None, progress: Progress | None = None
) -> DryRun:
    """List, fetch and judge like `run`, and give back what that would store and do. Writes nothing anywhere."""
    with _for_reading(settings) as db, _signed_in(settings) as gmail:
        plan = _planned(_judge_mailbox(gmail, Sent(gmail), db, settings, clock(), since, progress))
        return replace(plan, summary=_with_quota(plan.summary, gmail))


def dry_run_local(
    settings: Settings,
    paths: Sequence[str | Path],
    *,
    stdin: BinaryIO | None = None,
    progress: Progress | None = None,
) -> DryRun:
    """Judge like `run_local`, and give back what that would store. Writes nothing anywhere."""
    mails = read_mails(paths, stdin)
    with _for_reading(settings) as db:
        return _planned(_judge_files(mails, db, settings, progress))


def carry_out(gmail: Gmail, db: Database, settings: Settings, clock: Clock) -> tuple[int, Written]:
    """Do what is planned, each thing recorded as done once Gmail has said so: (labels set, notes written and held)."""
    return _set_labels(gmail, db, clock), write_notes(gmail, db, settings, clock)


def _watch_rotation(db: Database, settings: Settings, clock: Clock) -> tuple[str | None, tuple[str, ...]]:
    """Look after a rotation that is under way: (where it stands, why that could not be done). Never stops a run."""
    try:
        found = rotation_watch.watch(db, settings, clock)
        alerts.plan_rotation(db, settings, found, clock())
        return found.note, ()
    except Exception as error:
        return None, (f"rotation: {error.what if isinstance(error, TriageError) else why_failed(error)}",)


def _set_labels(gmail: Gmail, db: Database, clock: Clock) -> int:
    """Set the planned labels on the bounces themselves, one call for each.

    Setting a label twice changes nothing, so a run that was killed in between simply repeats it.
    """
    done = 0
    labels = [action for action in store.pending_actions(db) if action["kind"] == "label"]
    labels.sort(key=itemgetter("target", "gmail_id"))
    for gmail_id, group in groupby(labels, itemgetter("gmail_id")):
        actions = list(group)
        action_ids = [action["id"] for action in actions]
        try:
            label_ids = dict.fromkeys(gmail.label_id(action["payload"]["label"]) for action in actions)
            problem = gmail.add_labels(gmail_id, label_ids)
        except Refused as refusal:
            store.fail_actions(db, action_ids, refusal.what, for_good=False)
            continue
        if problem:
            store.fail_actions(db, action_ids, problem.why, for_good=problem.gone)
        else:
            store.finish_actions(db, action_ids, clock())
            done += len(actions)
    return done


def _judge_mailbox(
    gmail: Gmail,
    sent: Sent,
    db: Database | None,
    settings: Settings,
    started_at: datetime,
    since: datetime | None,
    progress: Progress | None,
) -> Iterator[Outcome]:
    """The reading half for Gmail: every mail not judged yet, the oldest first. `db` None: nothing is known yet."""
    again = store.failed_mails(db) if db else []
    after = _look_back(store.read_cursor(db) if db else None, settings, started_at, since)
    refs = list(gmail.list_refs(bounce_query(int(after.timestamp()), settings.subjects, not_from=NOTE_DOMAIN)))
    known = store.known_gmail_ids(db, (ref.id for ref in refs)) if db else set()
    # Gmail lists the newest first, more or less.
    new = [StoredMail(f"gmail:{ref.id}", ref.id, ref.thread_id) for ref in reversed(refs) if ref.id not in known]
    at_hand = [mail for mail in again if mail.raw is not None]  # only our own code failed: no need to fetch it again
    to_fetch = {mail.gmail_id: mail for mail in (*again, *new) if mail.raw is None and mail.gmail_id}
    total = len(at_hand) + len(to_fetch)
    for count, mail in enumerate(chain(at_hand, _fetch(gmail, to_fetch)), start=1):
        yield mail if isinstance(mail, Failed) else _looked_at(mail, settings, sent if mail.gmail_id else None)
        if progress:
            progress(count, total)


def _looked_at(mail: StoredMail, settings: Settings, sent: Sent | None) -> Outcome:
    judged = judge(mail)
    return judged if isinstance(judged, Failed) else planned(judged, settings, sent)


def _look_back(cursor: datetime | None, settings: Settings, started_at: datetime, since: datetime | None) -> datetime:
    """From when on to list. The overlap is free, because ids that are known are not fetched again."""
    if cursor is None:
        return since or started_at - timedelta(days=settings.since_days)
    # A clock that was ahead for a while must not hide the mails of that while.
    after = min(cursor, started_at) - timedelta(hours=settings.overlap_hours)
    return min(after, since) if since else after


def _fetch(gmail: Gmail, wanted: Mapping[str, StoredMail]) -> Iterator[StoredMail | Failed]:
    for answer in gmail.get_raw(wanted):
        mail = wanted[answer.id]
        if isinstance(answer, RawMessage):
            yield replace(mail, thread_id=answer.thread_id, received_at=answer.internal_at, raw=answer.raw)
        else:
            yield Failed(mail, answer.why, answer.gone)


def _judge_files(
    mails: Iterable[LocalMail | UnreadableFile], db: Database | None, settings: Settings, progress: Progress | None
) -> Iterator[Outcome]:
    """The reading half for files: every mail whose bytes were not judged before."""
    for count, mail in enumerate(mails, start=1):
        if isinstance(mail, UnreadableFile):
            yield Failed(StoredMail(mail.source), mail.why)
        elif not (db and store.has_judged_file(db, mail.data)):
            yield _looked_at(StoredMail(mail.source, raw=mail.data), settings, None)
        if progress:
            progress(count, None)


def _store_all(db: Database, outcomes: Iterable[Outcome], at: datetime, most: int) -> RunSummary:
    """The writing half: store each outcome as it comes, one transaction each, and count."""
    return _summed_up(_stored(db, outcome, at, most) for outcome in outcomes)


def _stored(db: Database, outcome: Outcome, at: datetime, most: int) -> Outcome:
    """Write one outcome; comes back as `Failed` where the database did not take what we made of the mail."""
    if isinstance(outcome, Judged):
        try:
            mail, records, actions, proofs = outcome.mail, outcome.records, outcome.actions, outcome.proofs
            store.store_judged(db, mail, records, actions, at, proofs, most_incidents=most)
            return outcome
        except TriageError:
            raise
        except Exception as error:
            outcome = Failed(outcome.mail, why_failed(error))
    if outcome.gone:
        store.record_gone(db, outcome.mail, outcome.why, at)
    elif outcome.mail.gmail_id or outcome.mail.raw is not None:  # a file that cannot be opened leaves nothing to keep
        store.record_failed(db, outcome.mail, outcome.why, at)
    return outcome


def _summed_up(outcomes: Iterable[Outcome]) -> RunSummary:
    """The totals of outcomes, without holding on to them."""
    totals: Counter[str] = Counter()
    failures = []
    for outcome in outcomes:
        totals["new"] += 1
        if isinstance(outcome, Failed):
            if not outcome.gone:
                totals["failed"] += 1
                failures.append((outcome.mail.source, outcome.why))
        elif outcome.bounce:
            totals["judged"] += len(outcome.records)
            notes = sum(action.kind == "note" for action in outcome.actions)
            totals["notes"] += notes
            totals["actions"] += len(outcome.actions) - notes
        else:
            totals["not_bounces"] += 1
    return RunSummary(
        new=totals["new"],
        judged=totals["judged"],
        not_bounces=totals["not_bounces"],
        failed=totals["failed"],
        actions=totals["actions"],
        notes=totals["notes"],
        failures=tuple(failures),
    )


def _planned(outcomes: Iterable[Outcome]) -> DryRun:
    """Collect what is worth telling; an mbox may hold a million mails that are no bounce."""
    told: list[Outcome] = []
    explained: set[tuple[str, str]] = set()

    def telling() -> Iterator[Outcome]:
        for outcome in outcomes:
            outcome = _with_new_notes(outcome, explained)
            if isinstance(outcome, Failed) or outcome.bounce:
                told.append(replace(outcome, mail=replace(outcome.mail, raw=None)))
            yield outcome

    summary = _summed_up(telling())
    return DryRun(tuple(told), summary)


def _with_new_notes(outcome: Outcome, explained: set[tuple[str, str]]) -> Outcome:
    """Leave out the notes a thread has got by an earlier outcome; `explained` remembers (thread, what about)."""
    if isinstance(outcome, Failed):
        return outcome
    actions = []
    for action in outcome.actions:
        note = (action.target, str(action.payload["about"])) if action.kind == "note" else None
        if note is None or note not in explained:
            actions.append(action)
        if note is not None:
            explained.add(note)
    return replace(outcome, actions=tuple(actions))


def _with_quota(summary: RunSummary, gmail: Gmail) -> RunSummary:
    quota = gmail.quota
    return replace(summary, units_new=quota.units_new, units_old=quota.units_old, requests=quota.requests)


def _signed_in(settings: Settings) -> closing[Gmail]:
    return closing(connect(settings.token, url=settings.gmail_url))


@contextmanager
def _for_reading(settings: Settings) -> Iterator[Database | None]:
    """The database as it is, never written to; None when there is none yet."""
    db = store.open_readonly(settings.database)
    try:
        yield db
    finally:
        if db:
            db.close()


@contextmanager
def _at_work(settings: Settings, clock: Clock, source: str) -> Iterator[tuple[Database, int]]:
    """Hold the lock and the open database, and record that a run began and what stopped it, if something did."""
    with locked(settings.database), closing(store.open_store(settings.database)) as db:
        run_id = store.start_run(db, source, clock())
        try:
            yield db, run_id
        except (Exception, KeyboardInterrupt) as error:
            store.finish_run(db, run_id, clock(), {}, error=_stopped_by(error))
            raise
        from triage.store import backups

        backups.back_up_weekly(db, clock())  # what it says, `triage doctor` shows


def _stopped_by(error: Exception | KeyboardInterrupt) -> str:
    """What stopped a run, for its row."""
    if isinstance(error, KeyboardInterrupt):
        return f"stopped by a signal{f' ({error})' if str(error) else ''}"
    return error.what if isinstance(error, TriageError) else why_failed(error)
