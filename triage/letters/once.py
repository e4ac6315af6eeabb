"""Puts a message of ours into the mailbox exactly once, however often it is tried and wherever a try is killed.

The order: look up what is on record, look for the Message-ID in the mailbox, write the try down, insert, write the
success down. What an earlier try may have left is looked for in its thread; where it has none it is not repeated before
Gmail's search would find it, by Gmail's clock: ours may jump. Never sends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from parsers.times import moment_from
from triage import store
from triage.errors import TriageError
from triage.gmail import Gmail, OutcomeUnknown

if TYPE_CHECKING:
    from sqlite_utils import Database

SEARCH_LAG = timedelta(minutes=10)
"""Gmail's search may not find what was inserted more recently than this; mostly it takes seconds.

Less than the quarter of an hour between two runs, so that the next one settles what a killed one left.
"""
LONGEST_LAG = timedelta(minutes=30)
"""For what would come twice: nobody at Gmail says how long its search may lag."""


@dataclass(frozen=True, slots=True)
class Inserted:
    """The message is in the mailbox; `is_new`: since this call."""

    gmail_id: str
    is_new: bool
    elsewhere: str | None = None
    """The conversation Gmail put it into, where that is not the one it was meant for."""
    why: ClassVar[None] = None


@dataclass(frozen=True, slots=True)
class NotYet:
    """Whether the message is in the mailbox cannot be told at the moment; `why`, in words."""

    why: str
    trouble: OutcomeUnknown | None = None
    """What Gmail did: no clear answer came; None: it was not asked."""


def insert_once(
    gmail: Gmail,
    db: Database,
    key: str,
    message_id: str,
    compose: Callable[[], bytes],
    *,
    thread_id: str | None = None,
    label_ids: Iterable[str] = (),
    now: datetime,
) -> Inserted | NotYet:
    """Insert the message that `compose` makes unless it was before; `key` is what it is, `message_id` its Message-ID.

    Raises what `Gmail.insert` raises where it is certain that nothing was inserted. Costs 30 units, none where it is on
    record; 40 more where an earlier try may have left it in the thread, and the search does not show it.
    """
    earlier = store.read_insert(db, key)
    if earlier and earlier["done_at"]:
        return Inserted(earlier["gmail_id"], False, _elsewhere(earlier["thread_id"], thread_id))
    found = next(iter(gmail.find_message_id(message_id)), None)
    at = gmail.its_time(now)
    if earlier and found is None and thread_id:  # a thread, unlike the search, never lags
        found = gmail.find_in_thread(thread_id, message_id)
    is_new = found is None
    if found is None:
        if earlier and not thread_id and (doubt := _doubt(gmail, earlier["tried_at"], at)):
            if moment_from(earlier["tried_at"]) > at:  # by a clock that was ahead: the wait begins now, not then
                store.begin_insert(db, key, message_id, earlier, at)
            return NotYet(doubt)
        raw = compose()
        if not store.begin_insert(db, key, message_id, earlier, at):
            return NotYet("another process is putting it there")
        try:
            found = gmail.insert(raw, thread_id, label_ids)
        except OutcomeUnknown as unknown:
            return NotYet(unknown.what, unknown)
        except TriageError:
            store.forget_insert(db, key)
            raise
    store.finish_insert(db, key, message_id, found.id, found.thread_id, now)
    return Inserted(found.id, is_new, _elsewhere(found.thread_id, thread_id))


def _doubt(gmail: Gmail, tried_at: str, at: datetime) -> str | None:
    """Why it may be in the mailbox though the search does not find it; None: it is not there."""
    if at - moment_from(tried_at) < LONGEST_LAG:
        return "it was perhaps inserted a moment ago; it is looked for again next run"
    if problem := gmail.search_problem():
        return f"{problem}; it is looked for again next run"
    return None


def _elsewhere(thread_id: str | None, meant: str | None) -> str | None:
    return thread_id if meant and thread_id != meant else None
