"""The part of the store that keeps SES events and evidence, and ties them to verdicts.

Like `store.py` it says SQL and judges nothing. Every function that writes does so in one transaction, and doing it
twice changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from parsers.times import utc_text
from triage.model import FAILURE_KINDS, SOURCE, Event, Evidence, StoredMail
from triage.rows import EventRow, EvidenceRow, SesIds, VerdictRow
from triage.store.database import all_rows, storable, transaction

if TYPE_CHECKING:
    from sqlite_utils import Database

_EVENT_COLUMNS = (
    *("kind", "recipient", "ses_message_id", "event_id", "at", "ses_region", "sent_at", "client_id", "sender"),
    *("subject", "path", "caller", "words", "notification", "seen_at"),
)
_ABOUT_VERDICT = """SELECT v.id, v.kind, v.recipient, v.original_recipient, v.category, v.cause, v.received_at,
 v.message_id, v.gmail_message_id, v.ses_message_id, v.ses_region, v.ses_id_source, v.sent_at, v."from" AS sender,
 v.subject, v.path, v.genuine, v.reply_code, v.reported_by, v.source FROM verdicts v"""
_OPEN = "v.kind IN ('failed', 'delayed', 'feedback') AND v.genuine IS NOT 'fail'"


def store_events(
    db: Database, events: Sequence[Event], unreadable: Iterable[tuple[StoredMail, str]], at: datetime
) -> int:
    """Write events, and messages that are none with the reason; returns how many events were not known before."""
    before = db.conn.total_changes
    with transaction(db):
        db.conn.executemany(
            f"INSERT OR IGNORE INTO events ({', '.join(_EVENT_COLUMNS)})"  # noqa: S608
            f" VALUES ({', '.join('?' * len(_EVENT_COLUMNS))})",
            [_event_row(event, at) for event in events],
        )
        new = db.conn.total_changes - before
        for mail, why in unreadable:
            raw = mail.raw or b""
            # The same rubbish twice is kept once: the index on the hash sees to it.
            db.execute(
                "INSERT OR IGNORE INTO mails (source, seen_at, state, tries, error, raw, raw_sha256)"
                " VALUES (?, ?, 'kept', 1, ?, ?, ?)",
                [mail.source, utc_text(at), storable(why), zlib.compress(raw), hashlib.sha256(raw).hexdigest()],
            )
    return int(new)


def count_events(db: Database) -> int:
    """How many events were ever taken from the queue; 0 says nothing about what SES did."""
    return int(next(iter(db.execute("SELECT count(*) FROM events")))[0])


def events_of_message(db: Database, ses_message_id: str, recipients: Sequence[str]) -> list[EventRow]:
    """The events of one message that concern one of these addresses, in the order they happened."""
    return all_rows(
        db,
        "SELECT * FROM events WHERE ses_message_id = ?"
        " AND recipient IN (SELECT value FROM json_each(?)) ORDER BY at, kind = 'Send' DESC, id",
        [ses_message_id, json.dumps([address.lower() for address in recipients])],
    )


def events_by_client_id(db: Database, client_ids: Sequence[str], recipients: Sequence[str]) -> list[EventRow]:
    """The events of the mail whose own Message-ID is one of these, for these addresses, in order."""
    return all_rows(
        db,
        "SELECT * FROM events WHERE client_id IN (SELECT value FROM json_each(?))"
        " AND recipient IN (SELECT value FROM json_each(?)) ORDER BY at, kind = 'Send' DESC, id",
        [json.dumps(list(client_ids)), json.dumps([address.lower() for address in recipients])],
    )


def events_to_recipient(
    db: Database, recipients: Sequence[str], subject: str, since: datetime, until: datetime
) -> list[EventRow]:
    """The events of mails to these addresses with this subject that SES took in this span of time, in order."""
    return all_rows(
        db,
        "SELECT * FROM events WHERE recipient IN (SELECT value FROM json_each(?)) AND sent_at BETWEEN ? AND ?"
        " AND subject = ? ORDER BY at, kind = 'Send' DESC, id",
        [json.dumps([name.lower() for name in recipients]), utc_text(since), utc_text(until), storable(subject)],
    )


def untied_failures(db: Database) -> Iterator[EventRow]:
    """The events that tell of a failure and belong to no verdict yet, the oldest first; they may be tied in between."""
    last = 0
    sql = "SELECT * FROM events WHERE verdict_id IS NULL AND notification IS NOT NULL AND id > ? ORDER BY id LIMIT 500"
    while rows := all_rows(db, sql, [last]):
        yield from rows
        last = rows[-1]["id"]


def is_delivered(db: Database, event: EventRow) -> bool:
    """Whether SES says later that this mail reached this recipient after all."""
    rows = db.execute(
        "SELECT 1 FROM events WHERE ses_message_id = ? AND recipient = ? AND kind = 'Delivery' AND at >= ? LIMIT 1",
        [event["ses_message_id"], event["recipient"], event["at"]],
    )
    return next(iter(rows), None) is not None


def drop_notification(db: Database, event_id: int) -> None:
    """Let an event be a mere remark: what it says of a failure leads to no verdict."""
    with transaction(db):
        db.execute("UPDATE events SET notification = NULL WHERE id = ?", [event_id])


def retired_keys(db: Database, user: str) -> list[tuple[str, datetime]]:
    """The access keys that rotations of ours made inactive, and when."""
    rows = db.execute(
        "SELECT iif(keeps = 'new', old_key_id, new_key_id) AS key_id, inactive_at FROM rotations"
        " WHERE iam_user = ? AND inactive_at IS NOT NULL AND key_id IS NOT NULL",
        [user],
    )
    return [(key_id, datetime.fromisoformat(at)) for key_id, at in rows]


def verdicts_for_event(db: Database, event: EventRow, minutes: int) -> list[VerdictRow]:
    """The verdicts an event may be about: by SES id, by the mail's own id, by time, recipient and subject.

    In that order of trust, the best first. `minutes` is how far the times may be apart.
    """
    return all_rows(
        db,
        f"SELECT *, CASE WHEN ses_message_id = :ses_message_id THEN 0"  # noqa: S608
        "  WHEN :client_id IN (gmail_message_id, message_id) THEN 1 ELSE 2 END AS rank"
        f" FROM ({_ABOUT_VERDICT} WHERE {_OPEN}"
        "  AND (lower(v.recipient) = :recipient OR lower(v.original_recipient) = :recipient)"
        "  AND v.kind = :verdict_kind AND v.category IS NOT 'smtp-credentials')"
        " WHERE ses_message_id = :ses_message_id OR (ses_message_id IS NULL AND ("
        "  :client_id IN (gmail_message_id, message_id)"
        "  OR (subject = :subject AND abs(julianday(sent_at) - julianday(:sent_at)) * 1440 <= :minutes)))"
        " ORDER BY rank, id",
        {
            **event,
            "verdict_kind": FAILURE_KINDS[event["kind"]],
            "minutes": minutes,
        },
    )


def verdicts_to_correlate(db: Database, since: datetime, limit: int) -> list[VerdictRow]:
    """Verdicts received since then without any evidence, or with a piece that could not be looked up; oldest first."""
    return all_rows(
        db,
        f"{_ABOUT_VERDICT} WHERE {_OPEN} AND v.superseded_by IS NULL AND v.received_at >= ? AND (NOT EXISTS"  # noqa: S608
        " (SELECT 1 FROM evidence e WHERE e.verdict_id = v.id) OR EXISTS"
        " (SELECT 1 FROM evidence e WHERE e.verdict_id = v.id AND e.not_looked_up_why IS NOT NULL))"
        " ORDER BY v.received_at, v.id LIMIT ?",
        [utc_text(since), limit],
    )


def verdict_row(db: Database, verdict_id: int) -> VerdictRow | None:
    """One verdict with what correlation needs of it."""
    return next(iter(all_rows(db, f"{_ABOUT_VERDICT} WHERE v.id = ?", [verdict_id])), None)


def alias_failures(db: Database, alias: str, since: datetime) -> list[datetime]:
    """When mail from this alias did not get past its relay, in order."""
    rows = db.execute(
        "SELECT received_at FROM verdicts WHERE category = 'smtp-credentials' AND received_at >= ?"
        ' AND lower("from") = ? ORDER BY received_at LIMIT 10000',
        [utc_text(since), alias.lower()],
    )
    return [datetime.fromisoformat(at) for (at,) in rows]


def last_login(db: Database, alias: str | None, since: datetime) -> EvidenceRow | None:
    """The newest login tried because mail from this alias failed, unless that incident is over: the piece of evidence.

    Found by `result`, which only a verdict has for which the login was really tried.
    """
    rows: list[EvidenceRow] = all_rows(
        db,
        "SELECT e.* FROM evidence e JOIN verdicts v ON v.id = e.verdict_id"
        " LEFT JOIN incidents i ON i.id = v.incident_id"
        " WHERE e.kind = 'live-login' AND e.result IS NOT NULL AND e.looked_up_at >= ?"
        " AND lower(v.\"from\") IS lower(?) AND (i.id IS NULL OR i.state = 'open' AND e.looked_up_at >= i.detected_at)"
        " ORDER BY e.looked_up_at DESC, e.id LIMIT 1",
        [utc_text(since), alias],
    )
    return rows[0] if rows else None


def record_evidence(
    db: Database,
    verdict_id: int,
    pieces: Iterable[Evidence],
    at: datetime,
    *,
    event_ids: Sequence[int] = (),
    ses: SesIds | None = None,
) -> int:
    """Write what was found about a verdict, tie these events to it, and give it its SES id if one was found.

    Of `ses` what the verdict has already stays. A verdict that was made from one of these events alone becomes this
    one: it keeps its id, takes over what the mail says, and its stand-in goes. Returns the id of the verdict from now
    on.
    """
    with transaction(db):
        verdict_id = _adopt(db, verdict_id, event_ids)
        for piece in pieces:
            _write_piece(db, verdict_id, piece, at)
        db.execute(
            # Several verdicts may rest on one Send or Delivery: it stays with the first.
            "UPDATE events SET verdict_id = ? WHERE id IN (SELECT value FROM json_each(?))"
            " AND (verdict_id IS NULL OR notification IS NOT NULL)",
            [verdict_id, json.dumps(list(event_ids))],
        )
        if ses:
            assignments = ", ".join(f"{column} = ifnull({column}, :{column})" for column in ses)
            db.execute(f"UPDATE verdicts SET {assignments} WHERE id = :id", {**ses, "id": verdict_id})  # noqa: S608
    return verdict_id


def evidence_of(db: Database, verdict_ids: Iterable[int]) -> dict[int, list[EvidenceRow]]:
    """The rows of `evidence` by verdict."""
    found: dict[int, list[EvidenceRow]] = {}
    rows = all_rows(
        db,
        "SELECT * FROM evidence WHERE verdict_id IN (SELECT value FROM json_each(?)) ORDER BY id",
        [json.dumps(list(verdict_ids))],
    )
    for row in rows:
        row["found"] = None if row["found"] is None else bool(row["found"])
        found.setdefault(row["verdict_id"], []).append(row)
    return found


def _write_piece(db: Database, verdict_id: int, piece: Evidence, at: datetime) -> None:
    """Write or renew one piece. What was found once is not lost because it could not be looked up later."""
    db.execute(
        "INSERT INTO evidence (verdict_id, kind, place, found, detail, result, looked_up_at, not_looked_up_why)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (verdict_id, kind, ifnull(place, '')) DO UPDATE SET"
        " found = excluded.found, detail = excluded.detail, result = excluded.result, tries = tries + 1,"
        " looked_up_at = excluded.looked_up_at, not_looked_up_why = excluded.not_looked_up_why"
        " WHERE excluded.not_looked_up_why IS NULL OR found IS NULL",
        [
            *(verdict_id, piece.kind, storable(piece.place), piece.found, storable(piece.detail), piece.result),
            *(utc_text(at), storable(piece.not_looked_up_why)),
        ],
    )


def _adopt(db: Database, verdict_id: int, event_ids: Sequence[int]) -> int:
    """Let the verdict made from an event alone take over the mail's verdict; returns the id that stays."""
    row = next(
        iter(
            db.query(
                "SELECT v.id, v.mail_id FROM events e JOIN verdicts v ON v.id = e.verdict_id"
                " JOIN mails m ON m.id = v.mail_id WHERE e.id IN (SELECT value FROM json_each(?)) AND v.id != ?"
                " AND m.source LIKE ? ORDER BY v.id LIMIT 1",
                [json.dumps(list(event_ids)), verdict_id, f"{SOURCE}%"],
            )
        ),
        None,
    )
    if row is None:
        return verdict_id
    columns = [name for (name,) in db.execute("SELECT name FROM pragma_table_info('verdicts') WHERE name != 'id'")]
    assignments = ", ".join(f'"{name}" = mail."{name}"' for name in columns)
    values = {"old": row["id"], "new": verdict_id, "mail": row["mail_id"]}
    db.execute("UPDATE verdicts SET superseded_by = :old WHERE superseded_by = :new", values)
    db.execute(
        f"UPDATE verdicts SET {assignments} FROM (SELECT * FROM verdicts WHERE id = :new) AS mail"  # noqa: S608
        " WHERE verdicts.id = :old",
        values,
    )
    db.execute("UPDATE OR REPLACE evidence SET verdict_id = :old WHERE verdict_id = :new", values)
    db.execute("UPDATE events SET verdict_id = :old WHERE verdict_id = :new", values)
    db.execute("DELETE FROM verdicts WHERE id = :new", values)
    db.execute(
        "DELETE FROM mails WHERE id = :mail AND NOT EXISTS (SELECT 1 FROM verdicts WHERE mail_id = :mail)", values
    )
    return int(row["id"])


def _event_row(event: Event, at: datetime) -> list[Any]:
    row = [
        *(event.kind, event.recipient, event.ses_message_id, event.event_id, utc_text(event.at)),
        *(event.ses_region, utc_text(event.sent_at), event.client_id, event.sender),
        *(event.subject, event.path, event.caller, event.words, event.notification, utc_text(at)),
    ]
    return [storable(value) if isinstance(value, str) else value for value in row]
