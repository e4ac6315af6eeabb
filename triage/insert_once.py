"""Puts a message of ours into the mailbox exactly once, however often it is tried and wherever a try is killed.

The order: look up what is on record, look for the Message-ID in the mailbox, write the try down, insert, write the
success down. What a try of a moment ago may have left is not repeated before Gmail's search would find it. Never sends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from triage import store_inserts
from triage.errors import TriageError
from triage.gmail import Gmail, OutcomeUnknown

if TYPE_CHECKING:
    from sqlite_utils import Database

SEARCH_LAG = timedelta(minutes=15)
"""Gmail's search may not find what was inserted more recently than this; mostly it takes seconds."""


@dataclass(frozen=True, slots=True)
class Inserted:
    """The message is in the mailbox; `is_new`: since this call."""

    gmail_id: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class NotYet:
    """Whether the message is in the mailbox cannot be told at the moment, so nothing was done."""

    why: str


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

    Raises what `Gmail.insert` raises where it is certain that nothing was inserted.
    """
    earlier = store_inserts.read_insert(db, key)
    if earlier and earlier["done_at"]:
        return Inserted(earlier["gmail_id"], is_new=False)
    found = next(iter(gmail.find_message_id(message_id)), None)
    if found is None and earlier and thread_id:  # a thread, unlike the search, never lags
        found = gmail.find_in_thread(thread_id, message_id)
    if found is not None:
        store_inserts.finish_insert(db, key, message_id, found.id, now)
        return Inserted(found.id, is_new=False)
    if earlier and thread_id is None and now - datetime.fromisoformat(earlier["tried_at"]) < SEARCH_LAG:
        return NotYet("an earlier try may have put it there; Gmail's search does not show it yet")
    raw = compose()
    if not store_inserts.begin_insert(db, key, message_id, earlier, now):
        return NotYet("another process is putting it there")
    try:
        ref = gmail.insert(raw, thread_id, label_ids)
    except OutcomeUnknown as unknown:
        return NotYet(unknown.what)
    except TriageError:
        store_inserts.forget_insert(db, key)
        raise
    store_inserts.finish_insert(db, key, message_id, ref.id, now)
    return Inserted(ref.id, is_new=True)
