"""One run of the worker: list, fetch, parse, classify, store, correlate, act, and the cursor last.

The reading half (what is new, what it is, what should be done about it) writes nothing and is shared with the dry run;
the writing half stores each mail in one transaction and then carries out what was planned. Killed anywhere, the next
run ends in the same state. Never deletes, never marks read, never sends mail, never acts on an unverified bounce.
Prints nothing: what happened comes back as a value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from remediation.deadline import WorkTooLong, within
from triage import store
from triage.config import Settings
from triage.errors import CredentialsDead, OutOfTime, TriageError, TryLater, stopped_by, what_failed, why_failed
from triage.gmail import Gmail, Sent, connect, is_everywhere
from triage.incidents import alerts, look_for_sends, watched
from triage.job import Stopwatch, limited
from triage.letters import set_labels, take_back_withdrawn, write_notes
from triage.lock import locked
from triage.mailbox import LocalMail, UnreadableFile, read_mails
from triage.model import Clock, DryRun, Failed, Judged, Outcome, Progress, RunSummary, StoredMail
from triage.plan import correct, prove_again
from triage.reading import judge_mailbox, looked_at, own_mailbox
from triage.rotation import under_way as rotation_watch
from triage.ses import Correlated, correlate, take_events

if TYPE_CHECKING:
    from sqlite_utils import Database

_T = TypeVar("_T")

READING_SHARE = 0.6
"""Of the time a run may take: a first run over years of mail must label and tell in each run, not only in the last."""
LAST_WORDS_SECONDS = 60.0
"""For alerts after a run was stopped: less than what systemd adds to the time a run may take (`triage schedule`)."""


def run(
    settings: Settings, clock: Clock, *, since: datetime | None = None, progress: Progress | None = None
) -> RunSummary:
    """Read the mailbox and the queue of SES events, judge what is new, tie it to SES, label its threads, tell of it.

    `since` looks further back than the last run did, and is remembered until that is done. What goes wrong with one
    mail or one action stops nothing else. Raises TryLater (another run is at work, Gmail is away), CredentialsDead,
    ConfigError, the first two after what can be done without Gmail; what was stored stays, and the cursor has moved
    only where all that was listed is stored.
    """
    with (
        _at_work(settings, clock, "gmail") as (db, run_id),
        _telling(db, settings, clock) as teller,
        limited(settings.run_minutes) as limit,
        watched(settings.ping_url) as watcher,
        _signed_in(settings) as gmail,
    ):
        started_at, watch = clock(), Stopwatch()
        watch.begin("beginning")
        own_mailbox(db, gmail)
        before, held, lost = store.moved_at(db, started_at), store.held_incidents(db), _number_given_up(db)
        if since:
            store.want_since(db, since)
        parts = _GmailParts()
        watch.begin("events")
        drained = take_events(db, settings, started_at)
        watch.begin("reading")
        sent = Sent(gmail)
        listed: list[str] = []
        outcomes = judge_mailbox(gmail, sent, db, settings, started_at, since, progress, is_working=True, listed=listed)
        outcomes = parts.up_to_trouble(limit.for_a_share(outcomes, READING_SHARE))
        totals = store_all(db, outcomes, started_at, settings.incidents_per_day)
        has_all = parts.trouble is None
        if not has_all:  # out of time between two mails: no mail is to blame
            store.end_fetches(db, started_at)
        else:
            teller.sign_in_works()
        watch.begin("evidence")
        known = parts.do(lambda: correlate(db, settings, gmail, started_at, drained), Correlated())
        parts.do(lambda: prove_again(db, settings, sent, started_at), None)
        correct(db, settings, started_at)
        parts.do(lambda: look_for_sends(db, gmail, started_at), None)
        opened, closed = store.settle_all(db, started_at, before)
        rotation, not_watched = _watch_rotation(db, settings, clock)
        teller.push(None if parts.is_away else gmail)  # before all that waits for Gmail
        parts.do(lambda: take_back_withdrawn(gmail, db, clock), None)
        watch.begin("labels")
        labels = sum(parts.up_to_trouble(set_labels(gmail, db, clock)))
        watch.begin("notes")
        notes = Counter(parts.up_to_trouble(write_notes(gmail, db, settings, clock)))
        watch.begin("alerts")
        teller.put_into_inbox(None if parts.is_away else gmail)
        told = teller.came_of_it
        if has_all:
            # By Gmail's time: our clock may be days ahead, and would pass over all that arrives meanwhile.
            store.move_cursor(db, store.seen_up_to(db, listed, started_at), gmail.sign_in_mark)
        totals = replace(
            totals,
            judged=totals.judged + known.from_events,
            actions=labels,
            notes=notes["written"],
            events=known.events,
            opened=opened,
            closed=closed,
            alerts=told.delivered,
            held_notes=notes["held"],
            held_alerts=told.held,
            held_incidents=store.held_incidents(db) - held,
            dropped=max(_number_given_up(db) - lost, 0),
            not_looked_up=known.not_looked_up,
            not_told=(*not_watched, *told.problems),
            rotation=rotation,
            seconds=watch.end(),
        )
        summary, error = _with_quota(totals, gmail), parts.trouble
        _record_end(db, run_id, clock(), summary, error)
        if error:
            raise error
        if why := watcher.hears_of_the_end():
            summary = replace(summary, not_told=(*summary.not_told, f"the watcher at `ping_url`: {why}"))
            _record_end(db, run_id, clock(), summary)
        return summary


def _record_end(db: Database, run_id: int, at: datetime, summary: RunSummary, error: TriageError | None = None) -> None:
    store.finish_run(
        *(db, run_id, at, summary.counts()),
        error=error.what if error else None,
        not_looked_up=summary.not_looked_up,
        not_told=summary.not_told,
        seconds=summary.seconds,
    )


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
        summary = store_all(db, _judge_files(mails, db, settings, progress), started_at, settings.incidents_per_day)
        opened, closed = store.settle_all(db, started_at, before)
        summary = replace(summary, opened=opened, closed=closed)
        store.finish_run(db, run_id, clock(), summary.counts())
        return summary


def dry_run(
    settings: Settings, clock: Clock, *, since: datetime | None = None, progress: Progress | None = None
) -> DryRun:
    """List, fetch and judge like `run`, and give back what that would store and do. Writes nothing anywhere."""
    with _for_reading(settings) as db, _signed_in(settings) as gmail:
        sent = Sent(gmail)
        plan = _planned(judge_mailbox(gmail, sent, db, settings, clock(), since, progress, is_working=False))
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


@contextmanager
def _telling(db: Database, settings: Settings, clock: Clock) -> Iterator[alerts.Teller]:
    """What tells. Whatever ends the run, it has told by the ways that need no Gmail, of a dead sign-in too."""
    teller = alerts.Teller(db, settings, clock)
    try:
        yield teller
    except Exception as error:
        with suppress(WorkTooLong), within(LAST_WORDS_SECONDS, WorkTooLong):
            if isinstance(error, CredentialsDead):
                teller.push_dead_sign_in(error)
            else:
                teller.push(None)
        raise


class _GmailParts:
    """The parts of a run that need Gmail: where one meets trouble the next are done all the same, if they can be."""

    def __init__(self) -> None:
        self.trouble: TryLater | CredentialsDead | None = None
        """What ended the first part that did not come to its end."""
        self.is_away = False
        """Nothing more is asked: no answer came in time, Gmail wants less, or the sign-in is dead."""

    def do(self, part: Callable[[], _T], nothing: _T) -> _T:
        """Do a part, and give `nothing` where it could not be done."""
        if self.is_away:
            return nothing
        try:
            return part()
        except (TryLater, CredentialsDead) as error:
            self._met(error)
            return nothing

    def up_to_trouble(self, part: Iterable[_T]) -> Iterator[_T]:
        """What a part gives, up to where trouble ends it."""
        if self.is_away:
            return
        try:
            yield from part
        except (TryLater, CredentialsDead) as error:
            self._met(error)

    def _met(self, error: TryLater | CredentialsDead) -> None:
        self.trouble = self.trouble or error
        is_gmail = not isinstance(error, OutOfTime)
        self.is_away = is_gmail and (isinstance(error, CredentialsDead) or is_everywhere(error))


def keep_unsaid(settings: Settings, text: str) -> None:
    """Write down with the last run what could not be printed: its output was closed, or on a full disk."""
    try:
        with closing(store.open_store(settings.database)) as db:
            store.record_unsaid(db, text)
    except TriageError:
        return  # the same full disk, perhaps; the work itself is on record


def _number_given_up(db: Database) -> int:
    return sum(one.number for one in store.given_up(db))


def _watch_rotation(db: Database, settings: Settings, clock: Clock) -> tuple[str | None, tuple[str, ...]]:
    """Look after a rotation that is under way: (where it stands, why that could not be done). Never stops a run."""
    try:
        found = rotation_watch.watch(db, settings, clock)
        alerts.plan_rotation(db, settings, found, clock())
        return found.note, ()
    except Exception as error:
        return None, (f"rotation: {what_failed(error)}",)


def _judge_files(
    mails: Iterable[LocalMail | UnreadableFile], db: Database | None, settings: Settings, progress: Progress | None
) -> Iterator[Outcome]:
    """The reading half for files: every mail whose bytes were not judged before."""
    for count, mail in enumerate(mails, start=1):
        if isinstance(mail, UnreadableFile):
            yield Failed(StoredMail(mail.source), mail.why)
        elif not (db and store.has_judged_file(db, mail.data)):
            found = looked_at(StoredMail(mail.source, raw=mail.data), settings, None)
            if not (db and store.has_judged_file(db, mail.data, found.mail.message_id)):
                yield found
        if progress:
            progress(count, None)


def store_all(db: Database, outcomes: Iterable[Outcome], at: datetime, most: int | None) -> RunSummary:
    """The writing half: store each outcome as it comes, one transaction each, and count; `most` incidents a day."""
    return _summed_up(_stored(db, outcome, at, most) for outcome in outcomes)


def _stored(db: Database, outcome: Outcome, at: datetime, most: int | None) -> Outcome:
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
    if outcome.fate == "missing":
        store.record_missing(db, outcome.mail, outcome.why, at)
    elif outcome.fate == "put-off":
        store.record_put_off(db, outcome.mail, outcome.why, at)
    elif outcome.mail.gmail_id or outcome.mail.raw is not None:  # a file that cannot be opened leaves nothing to keep
        store.record_failed(db, outcome.mail, outcome.why, at, for_good=outcome.fate == "kept")
    return outcome


def _summed_up(outcomes: Iterable[Outcome]) -> RunSummary:
    """The totals of outcomes, without holding on to them."""
    totals: Counter[str] = Counter()
    failures = []
    for outcome in outcomes:
        totals["new"] += 1
        if isinstance(outcome, Failed):
            if outcome.fate != "missing":
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
    return replace(
        summary,
        units_new=quota.units_new,
        units_old=quota.units_old,
        requests=quota.requests,
        retries=quota.retries,
        waited=round(quota.waited),
    )


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
        began_at = clock()
        run_id = store.start_run(db, source, began_at)
        try:
            yield db, run_id
        except (Exception, KeyboardInterrupt) as error:
            if not isinstance(error, OutOfTime):  # then the mail at hand may be why
                store.end_fetches(db, began_at)
            store.finish_run(db, run_id, clock(), {}, error=stopped_by(error))
            raise
        from triage.store import backups

        backups.back_up_weekly(db, clock())  # what it says, `triage doctor` shows
