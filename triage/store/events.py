"""The part of the store that keeps SES events and evidence, and ties them to verdicts.

Like `store.py` it says SQL and judges nothing. Every function that writes does so in one transaction, and doing it
twice changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from parsers.times import utc_text
from triage.model import FAILURE_KINDS, SOURCE, Denial, Event, Evidence, StoredMail
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
_THROUGH_ALIAS = (
    "s.kind IN ('Send', 'Delivery') AND (s.path = 'gmail-alias' OR s.client_id LIKE '%@mail.gmail.com')"
    " AND s.sent_at <= s.seen_at"
)
"""SES took a mail that Gmail handed over for an alias. Programs that send by the API do not use the alias's login."""
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


def failures_tied(db: Database, verdict_id: int) -> list[EventRow]:
    """The events that tell of the failure of this verdict."""
    return all_rows(
        db, "SELECT * FROM events WHERE verdict_id = ? AND notification IS NOT NULL ORDER BY id", [verdict_id]
    )


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


def verdicts_to_correlate(db: Database, since: datetime, at: datetime, limit: int) -> list[VerdictRow]:
    """Verdicts received since then with an open question that has its turn at `at`: our own side first, and the newest.

    A question is open until its answer cannot change any more (`evidence.ask_until`). What was concluded about an alias
    is open to every mail of it that SES took, and to a failure that speaks against it, whenever that becomes known.
    """
    return all_rows(
        db,
        f"{_ABOUT_VERDICT} WHERE {_OPEN} AND v.superseded_by IS NULL AND v.received_at >= :since AND (NOT EXISTS"  # noqa: S608
        " (SELECT 1 FROM evidence e WHERE e.verdict_id = v.id) OR EXISTS"
        " (SELECT 1 FROM evidence e WHERE e.verdict_id = v.id AND e.ask_again_at IS NOT NULL AND e.ask_again_at <= :at)"
        " OR (v.category = 'smtp-credentials' AND EXISTS (SELECT 1 FROM evidence e JOIN events s"
        '  ON s.sender = lower(v."from") AND s.seen_at > e.looked_up_at'
        f"  WHERE e.verdict_id = v.id AND e.kind = 'own-side' AND {_THROUGH_ALIAS}"
        "  UNION ALL SELECT 1 FROM evidence e JOIN verdicts w ON w.category = 'smtp-credentials'"
        '  AND lower(w."from") = lower(v."from") JOIN mails n ON n.id = w.mail_id AND n.seen_at > e.looked_up_at'
        "  WHERE e.verdict_id = v.id AND e.kind = 'own-side' AND (w.received_at < v.received_at OR EXISTS"
        '  (SELECT 1 FROM events s WHERE s.sender = lower(v."from") AND s.sent_at >= v.received_at'
        f"   AND {_THROUGH_ALIAS})))))"
        " ORDER BY v.side IS NOT 'own', v.received_at DESC, v.id DESC LIMIT :limit",
        {"since": utc_text(since), "at": utc_text(at), "limit": limit},
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


def accepted_through(db: Database, alias: str, since: datetime) -> list[datetime]:
    """When SES took mail that came through this alias, or Gmail its login, from then on, in order."""
    rows = db.execute(
        f"SELECT s.sent_at FROM events s WHERE s.sender = :alias AND s.sent_at >= :since AND {_THROUGH_ALIAS}"  # noqa: S608
        ' UNION SELECT sent_at FROM verdicts WHERE lower("from") = :alias AND sent_at >= :since'
        " AND ses_message_id IS NOT NULL AND gmail_message_id IS NOT NULL AND proof IS NOT NULL"
        " AND sent_at <= received_at"
        " UNION SELECT confirmed_at FROM rotations WHERE lower(alias) = :alias AND confirmed_at >= :since"
        " ORDER BY 1 LIMIT 10000",
        {"alias": alias.lower(), "since": utc_text(since)},
    )
    return [datetime.fromisoformat(at) for (at,) in rows]


def alias_key(db: Database, alias: str, user: str, before: datetime) -> str | None:
    """The access key the alias was given by the last renewal confirmed before then; None: none is on record."""
    rows = db.execute(
        "SELECT new_key_id FROM rotations WHERE lower(alias) = ? AND iam_user = ? AND confirmed_at IS NOT NULL"
        " AND confirmed_at <= ? AND keeps = 'new' ORDER BY confirmed_at DESC LIMIT 1",
        [alias.lower(), user, utc_text(before)],
    )
    return next((str(key) for (key,) in rows if key), None)


def denials(db: Database, since: datetime) -> list[Denial]:
    """What AWS did not allow to be asked, and said so since then."""
    return all_rows(db, "SELECT * FROM denials WHERE at > ?", [utc_text(since)])


def keep_denials(db: Database, rows: Sequence[Denial]) -> None:
    """Remember what AWS does not allow to be asked."""
    if not rows:
        return
    with transaction(db):
        db.conn.executemany(
            "INSERT OR REPLACE INTO denials (service, region, question, what, why, at)"
            " VALUES (:service, :region, :question, :what, :why, :at)",
            rows,
        )


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
    then: Callable[[int, Mapping[str, Any] | None], None] | None = None,
) -> int:
    """Write what was found about a verdict, tie these events to it, and give it its SES id if one was found.

    Of `ses` what the verdict has already stays. A verdict that was made from one of these events alone becomes this
    one: it keeps its id, takes over what the mail says, and its stand-in goes. `then` is called last in the same
    transaction, with the verdict's id and the row it had before that. Returns the id of the verdict from now on.
    """
    with transaction(db):
        verdict_id, before = _adopt(db, verdict_id, event_ids)
        for piece in pieces:
            write_piece(db, verdict_id, piece, at)
        db.execute(
            # Several verdicts may rest on one Send or Delivery: it stays with the first.
            "UPDATE events SET verdict_id = ? WHERE id IN (SELECT value FROM json_each(?))"
            " AND (verdict_id IS NULL OR notification IS NOT NULL)",
            [verdict_id, json.dumps(list(event_ids))],
        )
        if ses:
            assignments = ", ".join(f"{column} = ifnull({column}, :{column})" for column in ses)
            db.execute(f"UPDATE verdicts SET {assignments} WHERE id = :id", {**ses, "id": verdict_id})  # noqa: S608
        if then:
            then(verdict_id, before)
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


def write_piece(db: Database, verdict_id: int, piece: Evidence, at: datetime) -> None:
    """Write or renew one piece; part of the caller's transaction.

    What was found once is not lost because it could not be looked up later.
    """
    db.execute(
        "INSERT INTO evidence (verdict_id, kind, place, found, detail, result, looked_up_at, not_looked_up_why,"
        " ask_until, ask_again_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (verdict_id, kind, ifnull(place, '')) DO UPDATE SET"
        " found = excluded.found, detail = excluded.detail, result = excluded.result, tries = tries + 1,"
        " looked_up_at = excluded.looked_up_at, not_looked_up_why = excluded.not_looked_up_why"
        " WHERE excluded.not_looked_up_why IS NULL OR found IS NULL",
        [
            *(verdict_id, piece.kind, storable(piece.place), piece.found, storable(piece.detail), piece.result),
            *(utc_text(at), storable(piece.not_looked_up_why)),
            *(utc_text(piece.ask_until), utc_text(piece.ask_again_at)),
        ],
    )
    # Also where an old answer stays, because it could not be looked up this time: that has its turn again.
    db.execute(
        "UPDATE evidence SET ask_until = ?, ask_again_at = ? WHERE verdict_id = ? AND kind = ? AND place IS ?",
        [
            *(utc_text(piece.ask_until), utc_text(piece.ask_again_at)),
            *(verdict_id, piece.kind, storable(piece.place)),
        ],
    )


def _adopt(db: Database, verdict_id: int, event_ids: Sequence[int]) -> tuple[int, Mapping[str, Any] | None]:
    """Let the verdict made from an event alone take over the mail's verdict.

    Returns the id that stays, and the row that it had until now where that is another one.
    """
    row = next(
        iter(
            db.query(
                "SELECT v.* FROM events e JOIN verdicts v ON v.id = e.verdict_id"
                " JOIN mails m ON m.id = v.mail_id WHERE e.id IN (SELECT value FROM json_each(?)) AND v.id != ?"
                " AND m.source LIKE ? ORDER BY v.id LIMIT 1",
                [json.dumps(list(event_ids)), verdict_id, f"{SOURCE}%"],
            )
        ),
        None,
    )
    if row is None:
        return verdict_id, None
    columns = [name for (name,) in db.execute("SELECT name FROM pragma_table_info('verdicts') WHERE name != 'id'")]
    assignments = ", ".join(f'"{name}" = mail."{name}"' for name in columns)
    values = {"old": row["id"], "new": verdict_id, "mail": row["mail_id"]}
    db.execute("UPDATE verdicts SET superseded_by = :old WHERE superseded_by = :new", values)
    db.execute(
        f"UPDATE verdicts SET {assignments} FROM (SELECT * FROM verdicts WHERE id = :new) AS mail"  # noqa: S608
        " WHERE verdicts.id = :old",
        values,
    )
    for table in ("evidence", "readings", "verdict_changes"):
        db.execute(f"UPDATE OR REPLACE {table} SET verdict_id = :old WHERE verdict_id = :new", values)  # noqa: S608
    db.execute("UPDATE events SET verdict_id = :old WHERE verdict_id = :new", values)
    db.execute("DELETE FROM verdicts WHERE id = :new", values)
    db.execute(
        "DELETE FROM mails WHERE id = :mail AND NOT EXISTS (SELECT 1 FROM verdicts WHERE mail_id = :mail)", values
    )
    return int(row["id"]), row


def _event_row(event: Event, at: datetime) -> list[Any]:
    row = [
        *(event.kind, event.recipient, event.ses_message_id, event.event_id, utc_text(event.at)),
        *(event.ses_region, utc_text(event.sent_at), event.client_id, event.sender),
        *(event.subject, event.path, event.caller, event.words, event.notification, utc_text(at)),
    ]
    return [storable(value) if isinstance(value, str) else value for value in row]
