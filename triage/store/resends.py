"""The part of the store for giving mails once more: whom a mail did not reach, and what was done about it.

Says SQL and asks nobody. A row of `resends` is written before anything leaves; nothing leaves on a row that is there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from parsers.times import utc_text
from triage.rows import HitRow, ResendRow
from triage.store.database import all_rows, transaction

if TYPE_CHECKING:
    from sqlite_utils import Database

Way = Literal["draft", "ses"]


class _HadItError(Exception):
    """Ends a transaction without a trace: one of the people was given the mail before."""


_COLUMNS = (
    'v.id, v.recipient, v.original_recipient, v.cause, v.side, v.subject, v.sent_at, v."from" AS sender,'
    " v.message_id, v.gmail_message_id, v.ses_message_id, v.ses_region, v.received_at"
)
_NOT_REACHED = "v.kind = 'failed' AND v.proof IN ('sent', 'ses', 'alias') AND v.recipient IS NOT NULL"


def hit_by_incident(db: Database, incident_id: int, since: datetime) -> list[HitRow]:
    """The failures that belong to an incident, received from `since` on, the newest first."""
    return _rows(db, "v.incident_id = ? AND v.received_at >= ?", [incident_id, utc_text(since)])


def hit_by_cause(db: Database, cause: str, since: datetime) -> list[HitRow]:
    """The failures of one cause, received from `since` on, the newest first."""
    return _rows(db, "v.cause = ? AND v.received_at >= ?", [cause, utc_text(since)])


def hit_by_us(db: Database, since: datetime) -> list[HitRow]:
    """The failures of our own side, received from `since` on, the newest first."""
    return _rows(db, "v.side = 'own' AND v.received_at >= ?", [utc_text(since)])


def client_ids(db: Database, ses_message_id: str) -> list[str]:
    """The Message-IDs a mail had before SES replaced them, by SES's events."""
    rows = db.execute(
        "SELECT DISTINCT client_id FROM events WHERE ses_message_id = ? AND client_id IS NOT NULL", [ses_message_id]
    )
    return [client_id for (client_id,) in rows]


def reached_since(db: Database, verdict_ids: Sequence[int]) -> dict[int, str]:
    """Those of these verdicts whose recipient got the mail after all: verdict id -> when SES or the server said so.

    The very mail, or one with the same subject that SES delivered to the same person after the bounce.
    """
    rows = db.execute(
        "SELECT v.id, min(e.at) FROM verdicts v JOIN events e ON e.recipient IN"
        " (lower(v.recipient), lower(v.original_recipient)) WHERE v.id IN (SELECT value FROM json_each(:ids))"
        " AND e.kind = 'Delivery' AND (e.ses_message_id = v.ses_message_id"
        " OR e.client_id IN (v.gmail_message_id, v.message_id) OR (e.subject = v.subject AND e.at > v.received_at))"
        " GROUP BY v.id"
        " UNION ALL SELECT v.id, d.received_at FROM verdicts v JOIN verdicts d ON d.recipient = v.recipient"
        " AND d.kind = 'delivered' AND d.proof IN ('sent', 'ses')"
        " AND (d.message_id = v.message_id OR d.gmail_message_id = v.gmail_message_id)"
        " WHERE v.id IN (SELECT value FROM json_each(:ids))",
        {"ids": json.dumps(list(verdict_ids))},
    )
    return {verdict_id: at for verdict_id, at in rows if at}


def has_failed_again(db: Database, message_ids: Sequence[str], recipient: str) -> bool:
    """Whether one of these mails is known not to have reached this person."""
    row = db.execute(
        "SELECT 1 FROM verdicts WHERE lower(recipient) = ? AND kind IN ('failed', 'delayed') AND proof IS NOT NULL"
        " AND (message_id IN (SELECT value FROM json_each(?)) OR gmail_message_id IN (SELECT value FROM json_each(?)))",
        [recipient.lower(), json.dumps(list(message_ids)), json.dumps(list(message_ids))],
    ).fetchone()
    return row is not None


def read_resends(db: Database, original_id: str, recipient: str) -> dict[str, ResendRow]:
    """What was done with a mail for a person, by the way it was done: draft, ses."""
    sql = "SELECT * FROM resends WHERE original_id = ? AND recipient = ?"
    rows = all_rows(db, sql, [original_id, recipient.lower()])
    return {row["way"]: row for row in rows}


def begin_resend(
    db: Database,
    original_id: str,
    people: Mapping[str, int],
    way: Way,
    message_id: str,
    at: datetime,
    *,
    thread_id: str | None = None,
    region: str | None = None,
    again: bool = False,
) -> bool:
    """Write down that a mail is about to be given to these people; False, and nothing written, where one had it.

    `people`: address -> verdict id. `again`: a try on record as started may be made once more (a draft, never a mail).
    """
    try:
        with transaction(db):
            for recipient, verdict_id in people.items():
                done = db.execute(
                    "INSERT INTO resends (original_id, recipient, way, state, message_id, verdict_id, thread_id,"
                    " ses_region, started_at) VALUES (?, ?, ?, 'started', ?, ?, ?, ?, ?)"
                    " ON CONFLICT (original_id, recipient, way) DO UPDATE SET state = 'started', why = NULL,"
                    " message_id = excluded.message_id, verdict_id = excluded.verdict_id,"
                    " thread_id = excluded.thread_id, ses_region = excluded.ses_region,"
                    " started_at = excluded.started_at WHERE state = 'refused' OR (state = 'started' AND ?)",
                    [
                        *(original_id, recipient.lower(), way, message_id, verdict_id, thread_id, region, utc_text(at)),
                        again,
                    ],
                )
                if not done.rowcount:
                    raise _HadItError
    except _HadItError:
        return False
    return True


def finish_resend(
    db: Database, message_id: str, at: datetime, *, gmail_id: str | None = None, ses_message_id: str | None = None
) -> None:
    """Record that it was done: the draft is there, SES has the mail."""
    with transaction(db):
        db.execute(
            "UPDATE resends SET state = 'done', done_at = ?, why = NULL, gmail_id = ifnull(?, gmail_id),"
            " ses_message_id = ifnull(?, ses_message_id) WHERE message_id = ? AND state = 'started'",
            [utc_text(at), gmail_id, ses_message_id, message_id],
        )


def refuse_resend(db: Database, message_id: str, why: str) -> None:
    """Record that it was certainly not done, and why; it may be tried again."""
    with transaction(db):
        db.execute(
            "UPDATE resends SET state = 'refused', why = ? WHERE message_id = ? AND state = 'started'",
            [why, message_id],
        )


def doubt_resend(db: Database, message_id: str, why: str) -> None:
    """Record why nobody knows whether it was done."""
    with transaction(db):
        db.execute("UPDATE resends SET why = ? WHERE message_id = ? AND state = 'started'", [why, message_id])


def file_copy(db: Database, message_id: str, gmail_id: str) -> None:
    """Record that the copy of a sent mail lies in the mailbox."""
    with transaction(db):
        db.execute("UPDATE resends SET gmail_id = ? WHERE message_id = ? AND way = 'ses'", [gmail_id, message_id])


def without_copy(db: Database) -> list[ResendRow]:
    """What was sent and has no copy in its conversation yet, the oldest first."""
    return all_rows(db, "SELECT * FROM resends WHERE way = 'ses' AND state = 'done' AND gmail_id IS NULL ORDER BY id")


def resends_in_doubt(db: Database) -> list[ResendRow]:
    """What was perhaps sent and perhaps not, the oldest first."""
    return all_rows(db, "SELECT * FROM resends WHERE way = 'ses' AND state = 'started' ORDER BY id")


def drafts_in_doubt(db: Database) -> list[ResendRow]:
    """Drafts that were perhaps made and perhaps not, the oldest first."""
    return all_rows(db, "SELECT * FROM resends WHERE way = 'draft' AND state = 'started' ORDER BY id")


def settle_resend(db: Database, resend_id: int, *, was_sent: bool, at: datetime) -> bool:
    """Record what the owner found out about a mail in doubt; False: there is none of this number."""
    state = "done" if was_sent else "refused"
    with transaction(db):
        done = db.execute(
            "UPDATE resends SET state = ?, why = 'settled by hand', done_at = iif(?, ?, NULL)"
            " WHERE id = ? AND way = 'ses' AND state = 'started'",
            [state, was_sent, utc_text(at), resend_id],
        )
        return bool(done.rowcount)


def settle_resends_by_events(db: Database, at: datetime) -> int:
    """Settle what SES's events know to have been sent: they name our Message-ID. Returns how many."""
    with transaction(db):
        done = db.execute(
            "UPDATE resends SET state = 'done', why = NULL, done_at = ?, ses_message_id ="
            " (SELECT ses_message_id FROM events WHERE client_id = resends.message_id LIMIT 1)"
            " WHERE way = 'ses' AND state = 'started'"
            " AND EXISTS (SELECT 1 FROM events WHERE client_id = resends.message_id)",
            [utc_text(at)],
        )
        return int(done.rowcount)


def _rows(db: Database, where: str, values: list[Any]) -> list[HitRow]:
    sql = f"SELECT {_COLUMNS} FROM verdicts v WHERE {_NOT_REACHED} AND {where} ORDER BY v.received_at DESC, v.id DESC"  # noqa: S608
    return all_rows(db, sql, values)
