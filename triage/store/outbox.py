"""The part of the store for drafts that leave another way: one row for each try of each version of a draft.

Says SQL and asks nobody. Each step changes a row only out of the state it must be in; a step that changes none says so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from parsers.times import utc_text
from triage.outbox_row import AskedBy, EndsAs, OutboxRow
from triage.store.database import all_rows, transaction, with_json

if TYPE_CHECKING:
    from sqlite_utils import Database

_OPEN = "('taken', 'sending', 'sent', 'returning')"


def waiting_drafts(db: Database) -> list[OutboxRow]:
    """Drafts that were seen and wait for their time, the oldest first."""
    return _rows(db, "state = 'waiting'")


def drafts_under_way(db: Database) -> list[OutboxRow]:
    """Drafts that were taken and are not at an end, the oldest first."""
    return _rows(db, f"state IN {_OPEN}")


def drafts_of(db: Database, draft_id: str) -> list[OutboxRow]:
    """Every try of a draft, the oldest first."""
    return _rows(db, "draft_id = ?", [draft_id])


def read_outbox(db: Database, number: int) -> OutboxRow | None:
    """One try by its number."""
    return next(iter(_rows(db, "id = ?", [number])), None)


def see_draft(
    db: Database, draft_id: str, gmail_id: str, thread_id: str, asked_by: AskedBy, at: datetime
) -> OutboxRow | None:
    """The open try of this version of a draft, begun where there is none; None: another process is at it."""
    with transaction(db):
        db.execute(
            "INSERT INTO outbox (draft_id, gmail_id, thread_id, asked_by, state, seen_at)"
            " VALUES (?, ?, ?, ?, 'waiting', ?) ON CONFLICT DO NOTHING",
            [draft_id, gmail_id, thread_id, asked_by, utc_text(at)],
        )
    return next(iter(_rows(db, "gmail_id = ? AND state = 'waiting'", [gmail_id])), None)


def take_draft(
    db: Database,
    number: int,
    *,
    sha256: str,
    message_id: str,
    sender: str,
    recipients: Sequence[str],
    bcc: str | None,
    raw: bytes,
    relay: str,
    mark: str,
    at: datetime,
) -> bool:
    """Write down what is about to leave, before anything is done about it."""
    return _step(
        db,
        "state = 'taken', sha256 = ?, message_id = ?, sender = ?, recipients = ?, bcc = ?, raw = ?, relay = ?,"
        " mark = ?, started_at = ?, is_trashed = 0, why = NULL, kind = NULL",
        [sha256, message_id, sender, json.dumps(list(recipients)), bcc, raw, relay, mark, utc_text(at)],
        number,
        "waiting",
    )


def trash_draft(db: Database, number: int) -> bool:
    """Write down that the draft is about to be moved to Trash by us."""
    return _step(db, "is_trashed = 1", [], number, "taken")


def begin_sending(db: Database, number: int) -> bool:
    """Write down that the relay is about to be asked: from here on it may have left."""
    return _step(db, "state = 'sending'", [], number, "taken")


def doubt_draft(db: Database, number: int, why: str) -> bool:
    """Record why nobody knows whether it left."""
    return _step(db, "why = ?", [why], number, "sending")


def sent_draft(db: Database, number: int, *, seen_id: str | None, relay_id: str | None) -> bool:
    """Record that the relay has it."""
    return _step(
        db, "state = 'sent', seen_id = ifnull(?, message_id), relay_id = ?, why = NULL", [seen_id, relay_id], number,
        "sending",
    )  # fmt: skip


def finish_draft(db: Database, number: int, at: datetime) -> bool:
    """Record that it has left, its copy is in Sent, and nothing is to be done; the bytes are given up."""
    return _step(db, "state = 'done', raw = NULL, done_at = ?", [utc_text(at)], number, "sent")


def give_back(db: Database, number: int, ends_as: EndsAs, kind: str | None, why: str) -> bool:
    """Record that it certainly did not leave and is to lie among the drafts again."""
    sql = "state = 'returning', ends_as = ?, kind = ?, why = ?"
    with transaction(db):
        done = db.execute(
            f"UPDATE outbox SET {sql} WHERE id = ? AND state IN ('waiting', 'taken', 'sending')",  # noqa: S608
            [ends_as, kind, why, number],
        )
        return bool(done.rowcount)


def gave_back(db: Database, number: int, at: datetime) -> bool:
    """Record that it lies among the drafts again; where it waits, its time begins anew."""
    return _step(
        db,
        "state = ends_as, raw = NULL, is_trashed = 0, done_at = iif(ends_as = 'waiting', NULL, ?),"
        " seen_at = iif(ends_as = 'waiting', ?, seen_at)",
        [utc_text(at), utc_text(at)],
        number,
        "returning",
    )


def marks_left(db: Database) -> list[OutboxRow]:
    """Drafts that are at an end, or wait, and whose mark may still be in Gmail."""
    return _rows(db, f"mark IS NOT NULL AND state NOT IN {_OPEN}")


def forget_mark(db: Database, number: int) -> None:
    """Record that the mark of a draft is no longer in Gmail."""
    with transaction(db):
        db.execute("UPDATE outbox SET mark = NULL WHERE id = ?", [number])


def settle_outbox(db: Database, number: int, *, was_sent: bool) -> bool:
    """Record what the owner found out about a mail in doubt; False: there is none of this number."""
    if was_sent:
        return sent_draft(db, number, seen_id=None, relay_id=None)
    return _step(
        db, "state = 'returning', ends_as = 'withdrawn', why = 'settled by hand: it had not left'", [], number,
        "sending",
    )  # fmt: skip


def sent_through_outbox(db: Database, recipient: str) -> str | None:
    """When a mail to this address left last; None: none did."""
    row = db.execute(
        "SELECT max(done_at) FROM outbox WHERE state = 'done'"
        " AND EXISTS (SELECT 1 FROM json_each(recipients) WHERE lower(value) = lower(?))",
        [recipient],
    ).fetchone()
    return row[0] if row else None


def events_about(db: Database, message_id: str) -> tuple[str, str | None] | None:
    """(SES's id, region) of a mail SES's events know by the Message-ID it was given; None: they know none."""
    row = db.execute(
        "SELECT ses_message_id, ses_region FROM events WHERE client_id = ? LIMIT 1", [message_id]
    ).fetchone()
    return (row[0], row[1]) if row else None


def failed_before(db: Database, addresses: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Those of these addresses that refused mail of ours for good and took none since: (cause, when)."""
    rows = db.execute(
        "SELECT lower(v.recipient), v.cause, max(v.received_at) FROM verdicts v WHERE v.kind = 'failed'"
        " AND v.permanent = 1 AND v.side = 'remote' AND v.proof IS NOT NULL"
        " AND lower(v.recipient) IN (SELECT lower(value) FROM json_each(?))"
        " AND NOT EXISTS (SELECT 1 FROM events e WHERE e.recipient = lower(v.recipient) AND e.kind = 'Delivery'"
        " AND e.at > v.received_at) GROUP BY lower(v.recipient)",
        [json.dumps(list(addresses))],
    )
    return {recipient: (cause, at) for recipient, cause, at in rows}


def _step(db: Database, what: str, values: list[Any], number: int, before: str) -> bool:
    """Change a row out of a state; `what` is ours."""
    with transaction(db):
        done = db.execute(f"UPDATE outbox SET {what} WHERE id = ? AND state = ?", [*values, number, before])  # noqa: S608
        return bool(done.rowcount)


def _rows(db: Database, where: str, values: Sequence[Any] = ()) -> list[OutboxRow]:
    found = all_rows(db, f"SELECT * FROM outbox WHERE {where} ORDER BY id", list(values))  # noqa: S608
    return with_json([{**row, "recipients": row["recipients"] or "[]"} for row in found], "recipients")
