"""The part of the store about what was done in Gmail: the notes, and what `undo` takes back.

Like `store.py` it says SQL and judges nothing. Planning and the state of an action are in `store.py`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from parsers.times import moment_from, utc_text
from triage.rows import DoneRow, StuckRow
from triage.store.database import all_rows, storable, transaction, with_json

if TYPE_CHECKING:
    from sqlite_utils import Database


def mails_of_thread(db: Database, thread_id: str) -> list[int]:
    """The judged mails of a thread."""
    rows = db.execute("SELECT id FROM mails WHERE thread_id = ? AND state = 'judged'", [thread_id])
    return [mail_id for (mail_id,) in rows]


def is_explained(db: Database, thread_id: str, about: str, mail_id: int) -> bool:
    """Whether a thread has, or is to have, the note that explains this mail too: written since the trouble began.

    `about` as `note.note_key` says it; the mail and its verdicts are stored already.
    """
    rows = db.execute(
        "SELECT 1 FROM actions a JOIN mails m ON m.id = a.mail_id WHERE a.target = ? AND a.kind = 'note'"
        " AND json_extract(a.payload, '$.about') = ? AND ifnull(m.received_at, m.seen_at) >= ? LIMIT 1",
        [thread_id, about, trouble_began(db, mail_id, about.partition("/")[0]) or ""],
    )
    return next(iter(rows), None) is not None


def trouble_began(db: Database, mail_id: int, cause: str) -> str | None:
    """The first bounce (UTC) of the incident this mail belongs to, since something last got through; None: none."""
    (began,) = db.execute(
        "SELECT max(i.first_at) FROM verdicts v JOIN incidents i ON i.id = v.incident_id"
        " WHERE v.mail_id = ? AND v.cause = ?",
        [mail_id, cause],
    ).fetchone()
    return None if began is None else str(began)


def finish_note(db: Database, action_id: int, gmail_id: str, remark: str | None, at: datetime) -> None:
    """Record that a note is in the mailbox, as which message, and what is odd about that, if anything."""
    with transaction(db):
        db.execute(
            "UPDATE actions SET state = 'done', tries = tries + 1, error = ?, done_at = ?, gmail_id = ? WHERE id = ?",
            [remark, utc_text(at), gmail_id, action_id],
        )


def notes_since(db: Database, since: datetime) -> int:
    """How many notes were written from then on."""
    sql = "SELECT count(*) FROM actions WHERE kind = 'note' AND state = 'done' AND done_at >= ?"
    (number,) = db.execute(sql, [utc_text(since)]).fetchone()
    return int(number)


def actions_to_undo(db: Database, kind: str) -> list[DoneRow]:
    """What was done in Gmail and not taken back, oldest first.

    A note that was given up after tries whose outcome nobody knows is among them: it may be there.
    """
    rows = all_rows(
        db,
        "SELECT id, mail_id, target, payload, gmail_id, done_at FROM actions WHERE kind = ? AND undone_at IS NULL"
        " AND (state = 'done' OR (state = 'dropped' AND kind = 'note' AND tries > 0)) ORDER BY id",
        [kind],
    )
    return with_json(rows, "payload")


def record_undone(db: Database, action_ids: Sequence[int], at: datetime) -> None:
    """Record that these were taken back."""
    with transaction(db):
        db.execute(
            "UPDATE actions SET undone_at = ? WHERE id IN (SELECT value FROM json_each(?))",
            [utc_text(at), json.dumps(list(action_ids))],
        )


def stuck_actions(db: Database) -> list[StuckRow]:
    """What is planned and failed at least once, by kind, each with the error of the newest."""
    return all_rows(
        db,
        "SELECT kind, count(*) AS number, error, max(id) FROM actions"
        " WHERE state = 'planned' AND tries > 0 GROUP BY kind ORDER BY kind",
    )


def received_times(db: Database) -> dict[int, datetime]:
    """When each mail was received, by its row's id; where that is not known, when it was first seen."""
    return {
        mail_id: moment_from(at) for mail_id, at in db.execute("SELECT id, ifnull(received_at, seen_at) FROM mails")
    }


def record_unsaid(db: Database, text: str) -> None:
    """Keep with the newest run what it could not print."""
    with transaction(db):
        db.execute("UPDATE runs SET unsaid = ? WHERE id = (SELECT max(id) FROM runs)", [storable(text)])
