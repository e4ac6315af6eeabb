"""What must hold, whatever happened: after each run, and at the end, when nothing was broken for some days.

Each promise is a function that gives what breaks it, in words; docs/reliability.md lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta

from parsers.times import moment_from
from tests.soak.life import Life
from triage import store
from triage.incidents.alerts import NEWS_DAYS

Promise = Callable[[Life], Iterator[str]]


def nothing_is_written_twice(life: Life) -> Iterator[str]:
    """A note and an alert come into the mailbox once, wherever a run is killed."""
    yield from (f"{message_id} was written {number} times" for message_id, number in life.written.items() if number > 1)


def no_recipient_is_judged_twice(life: Life) -> Iterator[str]:
    """One mail has one verdict for each recipient."""
    rows = life.ask("SELECT mail_id, recipient, count(*) AS n FROM verdicts GROUP BY 1, 2 HAVING n > 1")
    yield from (f"{row['recipient']} has {row['n']} verdicts in mail {row['mail_id']}" for row in rows)


def the_cursor_is_never_beyond_what_is_known(life: Life) -> Iterator[str]:
    """What arrived before the cursor, less the overlap of two days, is on record."""
    db = store.open_readonly(life.settings.database)
    if db is None:
        return
    with closing(db):
        span = store.read_cursor(db)
        known = {row["gmail_id"] for row in db.query("SELECT gmail_id FROM mails")}
    for one in life.arrived:
        if span and not one.is_gone and one.gmail_id not in known and one.arrived_at < span - _overlap(life):
            yield f"the mail of {one.arrived_at} is not on record, and the cursor stands at {span}"


def an_incident_closes_only_with_proof(life: Life) -> Iterator[str]:
    """An incident is closed only where something got through, or a renewal was confirmed, after its last bounce."""
    for row in life.ask("SELECT key, last_at, closed_at, closed_by FROM incidents WHERE state = 'closed'"):
        last_at, closed_at = moment_from(row["last_at"]), moment_from(row["closed_at"])
        assert last_at is not None
        proofs = [moment for moment in life.got_through if moment >= last_at.replace(microsecond=0)]
        if closed_at not in proofs:
            yield f"{row['key']} was closed at {closed_at} by {row['closed_by']}, and nothing proves that"


def nothing_planned_is_dropped_for_gmails_trouble(life: Life) -> Iterator[str]:
    """Labels and notes of mails that are in the mailbox are not given up for what Gmail answers for a while."""
    gone = {one.gmail_id for one in life.arrived if one.is_gone}
    rows = life.ask(
        "SELECT a.kind, a.error, m.gmail_id FROM actions a JOIN mails m ON m.id = a.mail_id WHERE a.state = 'dropped'"
        " AND a.withdrawn_at IS NULL AND a.missing_at IS NULL AND a.error NOT LIKE 'it was delivered, or failed%'"
    )
    yield from (f"a {row['kind']} was given up: {row['error']}" for row in rows if row["gmail_id"] not in gone)


def the_mailbox_of_others_is_left_alone(life: Life) -> Iterator[str]:
    """Nothing of anybody else is changed, deleted or marked as read."""
    for gmail_id, raw in life.theirs.items():
        message = life.gmail.messages.get(gmail_id)
        if message is None or message.raw != raw:
            yield f"{gmail_id} is not there any more as it came"
        elif "UNREAD" not in message.labels and "SENT" not in message.labels:
            yield f"{gmail_id} was marked as read"


def a_label_that_was_taken_off_stays_off(life: Life) -> Iterator[str]:
    """What the owner took off is not put back."""
    for one in life.arrived:
        if not one.is_gone and one.taken_off & set(life.gmail.messages[one.gmail_id].labels):
            yield f"a label is back on {one.gmail_id}"


def the_database_is_whole(life: Life) -> Iterator[str]:
    """SQLite finds nothing wrong in it."""
    found = life.ask("PRAGMA quick_check")
    if found and found != [{"quick_check": "ok"}]:
        yield f"the database is damaged: {found}"


ALWAYS: tuple[Promise, ...] = (
    nothing_is_written_twice,
    no_recipient_is_judged_twice,
    the_cursor_is_never_beyond_what_is_known,
    an_incident_closes_only_with_proof,
    nothing_planned_is_dropped_for_gmails_trouble,
    the_mailbox_of_others_is_left_alone,
    a_label_that_was_taken_off_stays_off,
    the_database_is_whole,
)


def every_recipient_is_judged(life: Life) -> Iterator[str]:
    """Each bounce that is in the mailbox has its verdicts, one for each recipient; what is none has none."""
    found: dict[str, set[str]] = {}
    for row in life.ask("SELECT gmail_id, NULL AS recipient FROM mails WHERE state = 'judged'"):
        found.setdefault(row["gmail_id"], set())
    for row in life.ask("SELECT m.gmail_id, v.recipient FROM verdicts v JOIN mails m ON m.id = v.mail_id"):
        if row["recipient"] is not None:
            found[row["gmail_id"]].add(row["recipient"])
    for one in life.arrived:
        if not one.is_gone and found.get(one.gmail_id) != set(one.people):
            yield f"the mail of {one.arrived_at} to {one.people} has {found.get(one.gmail_id)}"


def all_that_is_planned_is_done(life: Life) -> Iterator[str]:
    """What was planned for mails that are there is done, however long Gmail was in trouble."""
    gone = {one.gmail_id for one in life.arrived if one.is_gone}
    rows = life.ask(
        "SELECT a.id, a.kind, a.state, a.error, a.try_after, m.gmail_id FROM actions a JOIN mails m ON m.id = a.mail_id"
        " WHERE a.state = 'planned' OR (a.state = 'dropped' AND a.missing_at IS NOT NULL)"
    )
    yield from (f"not done: {row}" for row in rows if row["gmail_id"] not in gone)


def what_is_ours_is_labelled(life: Life) -> Iterator[str]:
    """A bounce of a mail of ours has its label, but for one that the owner took off, or renamed or deleted."""
    touched = [one for one in life.arrived if one.is_ours and not one.is_gone]
    labelled = {
        row["gmail_id"]
        for row in life.ask(
            "SELECT m.gmail_id FROM actions a JOIN mails m ON m.id = a.mail_id"
            " WHERE a.kind = 'label' AND a.state = 'done'"
        )
    }
    yield from (f"the bounce of {one.arrived_at} has no label" for one in touched if one.gmail_id not in labelled)


def what_broke_on_our_side_was_told(life: Life) -> Iterator[str]:
    """An open incident of our own side was told, once for each time it opened."""
    rows = life.ask(
        "SELECT i.key, i.openings, i.last_at FROM incidents i"
        " WHERE i.kind = 'alias' AND i.state = 'open' AND NOT EXISTS (SELECT 1 FROM alerts a"
        " WHERE a.incident_id = i.id AND a.opening = i.openings AND a.occasion = 'opened' AND a.state = 'done')"
    )
    yield from (f"nobody was told of {row}" for row in rows if not _is_old(life, row["last_at"]))
    waiting = life.ask("SELECT title, error, planned_at FROM alerts WHERE state = 'planned'")
    yield from (f"an alert waits: {row}" for row in waiting)


IN_THE_END: tuple[Promise, ...] = (
    every_recipient_is_judged,
    all_that_is_planned_is_done,
    what_is_ours_is_labelled,
    what_broke_on_our_side_was_told,
)


def broken(life: Life, promises: tuple[Promise, ...]) -> list[str]:
    """What is wrong, with the name of the promise before it."""
    return [f"{promise.__name__}: {words}" for promise in promises for words in promise(life)]


def _overlap(life: Life) -> timedelta:
    return timedelta(hours=life.settings.overlap_hours)


def _is_old(life: Life, last_at: str) -> bool:
    moment = moment_from(last_at)
    assert moment is not None
    return life.world.moment() - moment > timedelta(days=NEWS_DAYS)
