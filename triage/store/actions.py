"""The part of the store about runs and what was done in Gmail: notes, what `undo` takes back, what was put in.

Says SQL and judges nothing; planning and the state of an action are in `mails.py`. A message of ours has a row from
before Gmail is asked, so that none goes in twice; `done_at` tells whether it is certainly there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypedDict

from parsers.times import utc_text
from triage.model import Action, Withdrawn
from triage.rows import DoneRow, RunRow
from triage.store.database import Row, all_rows, storable, transaction, with_json

if TYPE_CHECKING:
    from sqlite_utils import Database


class StuckRow(TypedDict):
    """How many actions of a kind failed and are planned still."""

    kind: str
    number: int
    error: str | None


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


def withdraw_others(db: Database, mail_id: int, wanted: Sequence[Action], at: datetime) -> None:
    """Withdraw the labels and notes of a mail that are not wanted any more; part of the caller's transaction.

    What was not begun is dropped; what was done, or may have been, is taken back by a run (`withdrawn_actions`). A note
    that explains another failure of its thread stays. What was withdrawn before and is wanted again is planned anew.
    """
    keys = {(action.kind, action.target, _about(action.payload)) for action in wanted}
    rows = with_json(
        all_rows(
            db,
            "SELECT id, kind, target, payload, state, tries + put_off AS tries, withdrawn_at FROM actions"
            " WHERE mail_id = ? AND kind IN ('label', 'note') AND (undone_at IS NULL OR withdrawn_at IS NOT NULL)",
            [mail_id],
        ),
        "payload",
    )
    for row in rows:
        about = _about(row["payload"])
        is_wanted = (row["kind"], row["target"], about) in keys
        is_wanted = is_wanted or (row["kind"] == "note" and _explains(db, row["target"], about))
        if is_wanted and row["withdrawn_at"] is not None:
            db.execute(
                "UPDATE actions SET state = 'planned', tries = 0, error = NULL, done_at = NULL, undone_at = NULL,"
                " withdrawn_at = NULL, put_off = 0, try_after = NULL, missing_at = NULL WHERE id = ?",
                [row["id"]],
            )
        elif not is_wanted and row["withdrawn_at"] is None:
            is_begun = row["state"] == "done" or (row["kind"] == "note" and row["tries"] > 0)
            db.execute(
                "UPDATE actions SET withdrawn_at = :at, undone_at = iif(:begun, NULL, :at),"
                " state = iif(state = 'planned', 'dropped', state), missing_at = NULL,"
                " error = ifnull(error, 'the verdict changed') WHERE id = :id",
                {"at": utc_text(at), "begun": is_begun, "id": row["id"]},
            )


def withdrawn_actions(db: Database) -> list[Withdrawn]:
    """What was done, or may have been, and is to be taken back because the verdict changed, oldest first."""
    rows = all_rows(
        db,
        "SELECT a.id, a.kind, m.gmail_id AS mail, a.target, a.payload, a.gmail_id, a.label_id FROM actions a"
        " JOIN mails m ON m.id = a.mail_id WHERE a.withdrawn_at IS NOT NULL AND a.undone_at IS NULL ORDER BY a.id",
    )
    return with_json(rows, "payload")


def _about(payload: Mapping[str, Any]) -> str:
    """What an action is about: the label, or what the note explains."""
    return str(payload.get("label") or payload.get("about"))


def _explains(db: Database, thread_id: str, about: str) -> bool:
    """Whether a verdict of this thread is what this note explains (`note.note_key`)."""
    rows = db.execute(
        "SELECT 1 FROM verdicts v JOIN mails m ON m.id = v.mail_id WHERE m.thread_id = ? AND v.proof IS NOT NULL"
        " AND v.cause || iif(v.kind = 'delayed', '/delayed', '') = ? LIMIT 1",
        [thread_id, about],
    )
    return next(iter(rows), None) is not None


def actions_to_undo(db: Database, kind: str) -> list[DoneRow]:
    """What was done in Gmail and not taken back, oldest first.

    A note that was given up after tries whose outcome nobody knows is among them: it may be there.
    """
    rows = all_rows(
        db,
        "SELECT id, mail_id, target, payload, gmail_id, label_id, done_at FROM actions"
        " WHERE kind = ? AND undone_at IS NULL"
        " AND (state = 'done' OR (state = 'dropped' AND kind = 'note' AND tries + put_off > 0)) ORDER BY id",
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
    """What is planned and failed at least once, whoever's fault it was, by kind, each with the error of the newest."""
    return all_rows(
        db,
        "SELECT kind, count(*) AS number, error, max(id) FROM actions"
        " WHERE state = 'planned' AND error IS NOT NULL GROUP BY kind ORDER BY kind",
    )


def read_insert(db: Database, key: str) -> Row | None:
    """The row of a message: key, message_id, tried_at, gmail_id, thread_id, done_at; None: it was never tried."""
    return next(db.query("SELECT * FROM inserts WHERE key = ?", [key]), None)


def has_inserted(db: Database, beginning: str) -> bool:
    """Whether a message whose key begins so was put into the mailbox, as far as is on record."""
    sql = "SELECT EXISTS (SELECT 1 FROM inserts WHERE substr(key, 1, ?) = ? AND done_at IS NOT NULL)"
    return bool(db.execute(sql, [len(beginning), beginning]).fetchone()[0])


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


def start_run(db: Database, source: str, at: datetime) -> int:
    """Record that a run began; returns its id."""
    with transaction(db):
        row = [storable(source), utc_text(at)]
        return int(db.execute("INSERT INTO runs (source, started_at) VALUES (?, ?)", row).lastrowid or 0)


def finish_run(
    db: Database,
    run_id: int,
    at: datetime,
    totals: Mapping[str, int],
    *,
    error: str | None = None,
    not_looked_up: Iterable[str] = (),
    not_told: Iterable[str] = (),
    seconds: Mapping[str, float] | None = None,
) -> None:
    """Record how a run ended; the keys of `totals` are the count columns of `runs`, `seconds` of its parts."""
    values = {"finished_at": utc_text(at), "error": storable(error), **totals}
    values["seconds"] = json.dumps(dict(seconds)) if seconds else None
    for column, reasons in (("not_looked_up", not_looked_up), ("not_told", not_told)):
        if told := storable("; ".join(reasons)):
            values[column] = told
    with transaction(db):
        db.execute(
            f"UPDATE runs SET {', '.join(f'{column} = :{column}' for column in values)} WHERE id = :id",  # noqa: S608
            {**values, "id": run_id},
        )


def last_runs(db: Database, limit: int = 1) -> list[RunRow]:
    """The newest runs first."""
    return all_rows(db, "SELECT * FROM runs ORDER BY id DESC LIMIT ?", [limit])


def record_unsaid(db: Database, text: str) -> None:
    """Keep with the newest run what it could not print."""
    with transaction(db):
        db.execute("UPDATE runs SET unsaid = ? WHERE id = (SELECT max(id) FROM runs)", [storable(text)])
