"""The part of the store about what could not be done now: when it is tried again, and what was given up.

Says SQL, asks nobody. Three sorts of failure are kept apart: one of ours or of the item (counted, given up after
MAX_TRIES), Gmail's own trouble (never counted, tried in ever longer distances), and "it is not there", which counts
only when a second look, SECOND_LOOK later, says so too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from parsers.times import moment_from, utc_text
from triage.model import GivenUp
from triage.store.database import keep_state, read_state, storable, transaction

if TYPE_CHECKING:
    from sqlite_utils import Database

MAX_TRIES = 5
"""A mail or an action that failed so often is not asked for again: it is kept for study, or dropped."""
SECOND_LOOK = timedelta(hours=1)
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=15), timedelta(days=1)

IS_DUE = "(try_after IS NULL OR try_after <= :at OR try_after > :far)"
"""Whether a row may be tried at a moment; a time too far ahead was written by a clock that was wrong."""


def due(at: datetime) -> dict[str, str | None]:
    """The values IS_DUE compares with."""
    return {"at": utc_text(at), "far": utc_text(at + LONGEST_WAIT)}


def next_try(at: datetime, failures: int) -> str | None:
    """When to try again what failed so often: the next run, then after ever longer waits, at least daily."""
    waits: int = 2 ** min(failures - 1, 10) - 1
    return utc_text(at + min(FIRST_WAIT * waits, LONGEST_WAIT))


def is_gone(missing_at: str | None, at: datetime) -> bool:
    """Whether a look at this moment is the second one, for something that was missing then."""
    first = moment_from(missing_at)
    return first is not None and at - first >= SECOND_LOOK


# Actions


def fail_actions(db: Database, action_ids: Sequence[int], error: str, at: datetime, *, for_good: bool = False) -> None:
    """Record why these actions could not be carried out; they stay planned up to MAX_TRIES, unless `for_good`."""
    with transaction(db):
        for action_id in action_ids:
            (tries,) = db.execute("SELECT tries + 1 FROM actions WHERE id = ?", [action_id]).fetchone()
            state = "dropped" if for_good or tries >= MAX_TRIES else "planned"
            db.execute(
                "UPDATE actions SET tries = ?, error = ?, state = ?, try_after = ?, missing_at = NULL WHERE id = ?",
                [tries, storable(error), state, next_try(at, tries), action_id],
            )


def put_off_actions(db: Database, action_ids: Sequence[int], error: str, at: datetime) -> None:
    """Record that Gmail's own trouble was in the way of these: it counts against none of them."""
    with transaction(db):
        for action_id in action_ids:
            (put_off,) = db.execute("SELECT put_off + 1 FROM actions WHERE id = ?", [action_id]).fetchone()
            db.execute(
                "UPDATE actions SET put_off = ?, error = ?, try_after = ? WHERE id = ?",
                [put_off, storable(error), next_try(at, put_off), action_id],
            )


def miss_actions(db: Database, action_ids: Sequence[int], error: str, at: datetime) -> None:
    """Record that Gmail says the mail or thread is not there: dropped where an earlier look said so too."""
    with transaction(db):
        for action_id in action_ids:
            (missing_at,) = db.execute("SELECT missing_at FROM actions WHERE id = ?", [action_id]).fetchone()
            if is_gone(missing_at, at):
                sql = (
                    "UPDATE actions SET state = 'dropped', tries = tries + 1, error = ?, try_after = NULL WHERE id = ?"
                )
                db.execute(sql, [storable(error), action_id])
            else:
                sql = "UPDATE actions SET error = ?, missing_at = ifnull(missing_at, ?), try_after = ? WHERE id = ?"
                db.execute(sql, [storable(error), utc_text(at), utc_text(at + SECOND_LOOK), action_id])


def take_up_returned(db: Database, gmail_ids: Iterable[str]) -> None:
    """Plan again what was dropped because these mails were not there: they are, out of Spam or Trash."""
    with transaction(db):
        db.execute(
            "UPDATE actions SET state = 'planned', missing_at = NULL WHERE state = 'dropped' AND missing_at IS NOT NULL"
            " AND tries < ? AND mail_id IN (SELECT id FROM mails WHERE gmail_id IN (SELECT value FROM json_each(?)))",
            [MAX_TRIES, json.dumps(list(gmail_ids))],
        )


# Fetching


def begin_fetches(db: Database, gmail_ids: Sequence[str], at: datetime) -> None:
    """Write down that these mails are about to be fetched; storing one takes it off again."""
    with transaction(db):
        db.execute(
            "INSERT INTO fetches (gmail_id, tries, began_at) SELECT value, 1, ? FROM json_each(?) WHERE true"
            " ON CONFLICT (gmail_id) DO UPDATE SET tries = tries + 1, began_at = excluded.began_at",
            [utc_text(at), json.dumps(list(gmail_ids))],
        )


def end_fetches(db: Database, since: datetime) -> None:
    """What was begun since then was broken off without harm: that says nothing about the mails."""
    with transaction(db):
        db.execute("UPDATE fetches SET tries = tries - 1, began_at = '' WHERE began_at >= ?", [utc_text(since)])
        db.execute("DELETE FROM fetches WHERE tries <= 0")


def unfinished_fetches(db: Database) -> dict[str, int]:
    """The mails in the middle of which runs ended, and how many did."""
    return dict(db.execute("SELECT gmail_id, tries FROM fetches").fetchall())


# Given up

WHOLE = "whole "
"""Begins the key in `state` of a mail that is to be fetched whatever its size; gone once the mail is settled."""


def given_up(db: Database) -> list[GivenUp]:
    """What is not tried any more, by kind, each with the error of the newest: labels, notes, then mails."""
    rows = db.execute(
        "SELECT kind, count(*), error, max(id) FROM actions WHERE state = 'dropped' AND tries >= ?"
        " GROUP BY kind ORDER BY kind",
        [MAX_TRIES],
    ).fetchall()
    rows += db.execute(
        "SELECT 'mail', count(*), error, max(id) FROM mails WHERE state != 'judged' AND state = 'kept'"
        " AND gmail_id IS NOT NULL HAVING count(*) > 0"
    ).fetchall()
    return [GivenUp(kind, number, error) for kind, number, error, _ in rows]


def take_up_again(db: Database) -> list[GivenUp]:
    """Let the next run try what was given up, what is missing, and at once what waits; returns what was given up."""
    found = given_up(db)
    with transaction(db):
        db.execute(
            "UPDATE actions SET state = 'planned', tries = 0, put_off = 0, try_after = NULL, missing_at = NULL"
            " WHERE state = 'planned' OR (state = 'dropped' AND (tries >= ? OR missing_at IS NOT NULL))",
            [MAX_TRIES],
        )
        db.execute(
            "INSERT OR REPLACE INTO state (key, value) SELECT ? || gmail_id, 'asked for by hand' FROM mails"  # noqa: S608
            f" WHERE {_WITHOUT_BYTES}",
            [WHOLE],
        )
        db.execute(
            "UPDATE mails SET state = 'failed', tries = 0, put_off = 0, try_after = NULL, missing_at = NULL"
            " WHERE state != 'judged' AND (state = 'failed' OR (state = 'kept' AND gmail_id IS NOT NULL))"
        )
        db.execute("DELETE FROM fetches")
    return found


def wanted_whole(db: Database) -> set[str]:
    """The mails somebody asked for by hand after they were given up: they are fetched though they are large."""
    rows = db.execute(
        "SELECT substr(key, ?) FROM state WHERE substr(key, 1, ?) = ?", [len(WHOLE) + 1, len(WHOLE), WHOLE]
    )
    return {gmail_id for (gmail_id,) in rows.fetchall()}


_WITHOUT_BYTES = "state != 'judged' AND state = 'kept' AND gmail_id IS NOT NULL AND raw IS NULL"


def number_without_bytes(db: Database) -> int:
    """How many mails were given up before their bytes were had."""
    return int(db.execute(f"SELECT count(*) FROM mails WHERE {_WITHOUT_BYTES}").fetchone()[0])  # noqa: S608


def take_up_without_bytes(db: Database) -> None:
    """Let the next run fetch these."""
    with transaction(db):
        db.execute(
            f"UPDATE mails SET state = 'failed', tries = 0, put_off = 0, try_after = NULL WHERE {_WITHOUT_BYTES}"  # noqa: S608
        )


# How far back


def read_cursor(db: Database) -> datetime | None:
    """When the newest mail that was seen arrived, by Gmail's clock; None where none was seen yet."""
    return moment_from(read_state(db, "cursor"))


def move_cursor(db: Database, at: datetime | None, sign_in: str | None = None) -> None:
    """Let the next run look for mails from here on: all that was wanted before is stored.

    `at` None: no mail was seen yet, so the next run looks as far back as the first. `sign_in` marks by which sign-in
    all of it was read.
    """
    with transaction(db):
        db.execute("DELETE FROM state WHERE key = 'since'")
        if at is not None:
            keep_state(db, "cursor", utc_text(at))
        if sign_in is not None:
            db.execute("INSERT OR IGNORE INTO state (key, value) VALUES ('sign_in', ?)", [sign_in])


def seen_up_to(db: Database, listed: Iterable[str], started_at: datetime) -> datetime | None:
    """Up to when the mailbox has been seen: when the newest of the listed mails arrived, or what was known before.

    None: no mail was ever seen. Not after the start of the run: a mail that another program put into the mailbox may
    claim to be of the future.
    """
    (newest,) = db.execute(
        "SELECT max(received_at) FROM mails WHERE gmail_id IN (SELECT value FROM json_each(?)) AND received_at <= ?",
        [json.dumps(list(listed)), utc_text(started_at)],
    ).fetchone()
    before = read_cursor(db)
    known = [moment_from(newest) if newest else None, before and min(before, started_at)]
    return max((moment for moment in known if moment is not None), default=None)


def want_since(db: Database, since: datetime) -> None:
    """Remember that mails from this moment on are wanted, until a run has stored them all."""
    with transaction(db):
        sql = (
            "INSERT INTO state (key, value) VALUES ('since', ?)"
            " ON CONFLICT (key) DO UPDATE SET value = min(value, excluded.value)"
        )
        db.execute(sql, [utc_text(since)])


def wanted_since(db: Database) -> datetime | None:
    """From when on mails are wanted that no run has got to yet; None: nothing beyond the usual."""
    return moment_from(read_state(db, "since"))
