"""The part of the store that remembers which messages of ours went into the mailbox, so that none goes in twice.

Says SQL, asks nobody. A message has a row from before Gmail is asked; `done_at` tells whether it is certainly there.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from parsers.times import utc_text
from triage.store.database import Row, transaction

if TYPE_CHECKING:
    from sqlite_utils import Database


def read_insert(db: Database, key: str) -> Row | None:
    """The row of a message: key, message_id, tried_at, gmail_id, thread_id, done_at; None: it was never tried."""
    return next(db.query("SELECT * FROM inserts WHERE key = ?", [key]), None)


def begin_insert(db: Database, key: str, message_id: str, earlier: Row | None, at: datetime) -> bool:
    """Write down that Gmail is about to be asked; False: another process did so since `earlier` was read."""
    with transaction(db):
        if earlier is None:
            sql = "INSERT OR IGNORE INTO inserts (tried_at, key, message_id) VALUES (?, ?, ?)"
            return bool(db.execute(sql, [utc_text(at), key, message_id]).rowcount)
        sql = "UPDATE inserts SET tried_at = ? WHERE key = ? AND tried_at = ? AND done_at IS NULL"
        return bool(db.execute(sql, [utc_text(at), key, earlier["tried_at"]]).rowcount)


def finish_insert(db: Database, key: str, message_id: str, gmail_id: str, thread_id: str, at: datetime) -> None:
    """Record that the message is in the mailbox, also one that was found there without a try of ours on record."""
    with transaction(db):
        db.execute(
            "INSERT INTO inserts (key, message_id, tried_at, gmail_id, thread_id, done_at) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (key) DO UPDATE SET gmail_id = excluded.gmail_id, thread_id = excluded.thread_id,"
            " done_at = excluded.done_at",
            [key, message_id, utc_text(at), gmail_id, thread_id, utc_text(at)],
        )


def forget_insert(db: Database, key: str) -> None:
    """Gmail has certainly not taken it: the next try need not look for it first."""
    with transaction(db):
        db.execute("DELETE FROM inserts WHERE key = ? AND done_at IS NULL", [key])
