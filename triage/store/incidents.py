"""The part of the store that keeps incidents: which verdicts belong to one, whether it is open, what ended it.

Like `store.py` it says SQL and judges nothing: what belongs together is in `incidents.py`. The state of an incident is
read off bounces, events and signs each time anew, so that it does not depend on the order in which they came. Who is
told what is in `store_alerts.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from parsers.times import moment_from, utc_text
from triage.judging import PROOFS, key_of, place_of, sender_of
from triage.model import SIGNS, Incident, IncidentKey, Opening, SendingState
from triage.rows import EvidenceRow, VerdictRecord
from triage.store.database import Row, all_rows, first_row, read_state, storable, transaction
from triage.store.events import evidence_of

if TYPE_CHECKING:
    from sqlite_utils import Database

MOST_PEOPLE = 1000
"""People hit that are named or counted; the newest."""

LATE_EVENTS = timedelta(days=14)
"""How long after it closed an incident is still looked at: an event may be late, and tell of an earlier end."""

STOPPED = "ses-sending-paused"
"""The cause of an incident that SES's own word may open."""

_TIMES = ("first_at", "last_at", "detected_at", "closed_at", "noticed_at")

# What may end an incident: when, what sort of sign, its words. Of a mail counts when SES took it, not when it arrived:
# it may have left before the trouble began. A time counts only if it lies before the arrival of what carries it: nobody
# ends an incident ahead of time with a date of his own choosing. Times with and without milliseconds are compared as
# text, which is right to the second.
_BY_HAND = "SELECT at, kind, words FROM repairs WHERE incident_id = :id"
_TAKEN = """SELECT sent_at AS at, 'ses-event' AS kind,
 'SES took the mail to ' || recipient || ' (' || kind || ' event)' AS words
 FROM events WHERE kind IN ('Send', 'Delivery') AND sender = :sender AND sent_at <= seen_at"""
_THROUGH_ALIAS = (
    f"{_TAKEN} AND path IS 'gmail-alias'",
    """SELECT sent_at AS at, 'left-later' AS kind,
 'SES took the mail to ' || recipient || ', which came back only after that' AS words
 FROM verdicts WHERE lower("from") = :sender AND ses_message_id IS NOT NULL AND gmail_message_id IS NOT NULL
 AND proof IS NOT NULL AND sent_at <= received_at""",
    """SELECT confirmed_at AS at, 'rotation' AS kind, 'the renewal of the login was confirmed' AS words
 FROM rotations WHERE lower(alias) = :sender AND confirmed_at IS NOT NULL""",
)
_FROM_IDENTITY = (
    # A sandbox lets mail to verified addresses through: only mail to those who were hit tells that it has ended.
    f"{_TAKEN} AND path IS :way AND (:place IS NULL OR ses_region = :place)"  # noqa: S608
    """ AND (:cause != 'ses-sandbox' OR EXISTS
 (SELECT 1 FROM verdicts v WHERE v.incident_id = :id AND lower(v.recipient) = events.recipient))""",
)
# A stop is over when SES says so, of all that was stopped; without a sender to go by also when SES takes any mail, but
# not where a tenant was stopped: others of the account may go on.
_SENDS_AGAIN = (
    """SELECT at, 'sending-enabled' AS kind, 'SES said that it sends again' AS words FROM sending_states s
 WHERE is_enabled AND region = :place AND :cause = 'ses-sending-paused' AND NOT EXISTS
 (SELECT 1 FROM sending_states o WHERE o.region = s.region AND o.resource != s.resource AND NOT o.is_enabled
  AND o.at <= s.at AND NOT EXISTS (SELECT 1 FROM sending_states e WHERE e.region = o.region
   AND e.resource = o.resource AND e.is_enabled AND e.at > o.at AND e.at <= s.at))""",
    """SELECT sent_at AS at, 'ses-event' AS kind, 'SES took the mail to ' || recipient AS words FROM events
 WHERE kind IN ('Send', 'Delivery') AND sent_at <= seen_at AND ses_region = :place
 AND :resource IS NOT NULL AND :resource NOT LIKE '%:tenant/%'""",
)
_OUT_OF_GMAIL = (
    """SELECT sent_at AS at, 'left-later' AS kind, 'Gmail sent the mail to ' || recipient AS words
 FROM verdicts WHERE path = 'gmail' AND proof IS NOT NULL AND sent_at <= received_at
 AND category IS NOT 'gmail-refused'""",
)
_TO_DOMAIN = (
    """SELECT at, 'delivery' AS kind, 'the mail to ' || recipient || ' was delivered' AS words
 FROM events WHERE kind = 'Delivery' AND at <= seen_at AND substr(recipient, instr(recipient, '@') + 1) = :place
 AND (:sender IS NULL OR substr(sender, instr(sender, '@') + 1) = substr(:sender, instr(:sender, '@') + 1))""",
    """SELECT received_at AS at, 'delivery' AS kind, 'the mail to ' || recipient || ' was delivered' AS words
 FROM verdicts WHERE kind = 'delivered' AND proof IS NOT NULL
 AND lower(substr(recipient, instr(recipient, '@') + 1)) = :place""",
)
_SOURCES: Mapping[str, tuple[str, ...]] = {
    "alias": (_BY_HAND, *_THROUGH_ALIAS),
    "ses": (_BY_HAND, *_FROM_IDENTITY, *_SENDS_AGAIN),
    "gmail": (_BY_HAND, *_OUT_OF_GMAIL),
    "remote": (_BY_HAND, *_TO_DOMAIN),
}


def attach(
    db: Database,
    verdict_id: int,
    record: VerdictRecord,
    proof: str | None,
    *,
    at: datetime,
    most: int | None = None,
) -> int | None:
    """Put a verdict into its incident and return its id; part of the transaction that writes the verdict.

    The incident opens or grows once it is settled (`settle_each`). `proof`: what proves that the verdict is about a
    mail of ours; a bounce that nothing proves belongs to none. `most`: incidents of other sides that open in a day;
    what would be one more is counted as held back. Our own side always gets its incident.
    """
    key = key_of(record)
    if key is None or proof not in PROOFS:
        return None
    found = first_row(db, "SELECT id FROM incidents WHERE key = ?", [key.text])
    incident_id = found["id"] if found else None
    if incident_id is None and key.kind == "remote" and most is not None and _opened_in_a_day(db, at) >= most:
        db.execute(
            "INSERT INTO state (key, value) VALUES ('held_incidents', '1')"
            " ON CONFLICT (key) DO UPDATE SET value = CAST(value AS INTEGER) + 1"
        )
        return None
    if incident_id is None:
        incident_id = db.execute(
            "INSERT INTO incidents (key, kind, state, cause, openings, first_at, last_at, detected_at)"
            " VALUES (?, ?, 'open', ?, 0, '', '', '')",
            [key.text, key.kind, record["cause"]],
        ).lastrowid
    db.execute("UPDATE verdicts SET incident_id = ? WHERE id = ?", [incident_id, verdict_id])
    return incident_id


def note_sending(db: Database, states: Iterable[SendingState], at: datetime) -> None:
    """Write what SES says of its own sending; that it stopped opens an incident of the account in that region."""
    found = list(states)
    with transaction(db):
        for one in found:
            sql = "INSERT OR IGNORE INTO sending_states (region, resource, is_enabled, at, words, seen_at)"
            values = [one.region, storable(one.resource), one.is_enabled, utc_text(one.at), storable(one.words)]
            db.execute(f"{sql} VALUES (?, ?, ?, ?, ?, ?)", [*values, utc_text(at)])
        # Each region is looked at once: many states must not cost a look at all of them for each.
        for region in sorted({one.region for one in found}):
            key = IncidentKey("ses", ("account", region, STOPPED)).text
            if any(one.region == region and not one.is_enabled for one in found):
                columns = "key, cause, kind, state, openings, first_at, last_at, detected_at"
                sql = f"INSERT OR IGNORE INTO incidents ({columns}) VALUES (?, ?, 'ses', 'open', 0, '', '', '')"  # noqa: S608
                db.execute(sql, [key, STOPPED])
            settle_each(db, [row["id"] for row in all_rows(db, "SELECT id FROM incidents WHERE key = ?", [key])], at)


def stop_of(db: Database, incident: Incident) -> str | None:
    """What SES said when it stopped sending, the newest that an incident rests on; None: it rests on bounces alone."""
    row = first_row(db, "SELECT key FROM incidents WHERE id = ?", [incident.id])
    stop = _stop(db, row["key"], "9999") if row else None
    if stop is None or stop["received_at"] < utc_text(incident.first_at):
        return None
    words = f" ({stop['words']})" if stop["words"] else ""
    return f"SES said by itself that it stopped sending in {stop['ses_region']}{words}"


def _opened_in_a_day(db: Database, at: datetime) -> int:
    """How many incidents of other sides were first seen in the day before; one that is not settled yet is new."""
    (number,) = db.execute(
        "SELECT count(*) FROM incidents WHERE kind = 'remote' AND (detected_at = '' OR detected_at > ?)",
        [utc_text(at - timedelta(days=1))],
    ).fetchone()
    return int(number)


def held_incidents(db: Database) -> int:
    """How many bounces ever opened no incident because too many opened that day."""
    return int(read_state(db, "held_incidents") or 0)


def settle_each(db: Database, incident_ids: Iterable[int | None], at: datetime) -> None:
    """Bring each of these incidents up to date, once; part of the transaction that changed them."""
    for incident_id in dict.fromkeys(incident_ids):
        if incident_id is not None:
            _settle(db, incident_id, at)


def settle_all(db: Database, at: datetime, before: tuple[int, int] = (0, 0)) -> tuple[int, int]:
    """Bring every incident that may have changed up to date; returns how many opened and how many closed at `at`.

    `at` is the start of the run, `before` what `moved_at` said then. Writes nothing where nothing changed.
    """
    rows = db.query(
        "SELECT * FROM incidents WHERE state = 'open' OR noticed_at >= ? ORDER BY id", [utc_text(at - LATE_EVENTS)]
    )
    changed = [row["id"] for row in list(rows) if _settled(db, row, at) != row]
    if changed:
        with transaction(db):
            for incident_id in changed:
                _settle(db, incident_id, at)
    opened, closed = moved_at(db, at)
    return max(opened - before[0], 0), max(closed - before[1], 0)


def moved_at(db: Database, at: datetime) -> tuple[int, int]:
    """How many incidents opened and how many closed at `at`: also those of another run in the same second."""
    (opened, closed) = db.execute(
        "SELECT count(*) FILTER (WHERE detected_at = :at), count(*) FILTER (WHERE noticed_at = :at) FROM incidents",
        {"at": utc_text(at)},
    ).fetchone()
    return int(opened), int(closed)


def close_by_hand(db: Database, incident_id: int, why: str, at: datetime) -> Incident | None:
    """Close an incident because somebody says that it is over; a later bounce opens it again. None: there is none."""
    row = first_row(db, "SELECT last_at FROM incidents WHERE id = ?", [incident_id])
    if row is None:
        return None
    # Gmail's clock may be ahead of this one.
    add_repair(db, incident_id, "by-hand", max(at, moment_from(row["last_at"]) + timedelta(seconds=1)), why)
    return read_incident(db, incident_id)


def add_repair(db: Database, incident_id: int, kind: str, at: datetime, words: str) -> None:
    """Record a sign that stands in no event and no verdict: `by-hand` or `login-and-send`."""
    with transaction(db):
        db.execute(
            "INSERT OR IGNORE INTO repairs (incident_id, kind, at, words) VALUES (?, ?, ?, ?)",
            [incident_id, kind, utc_text(at), storable(words)],
        )
        _settle(db, incident_id, at)


def read_incident(db: Database, incident_id: int) -> Incident | None:
    """One incident; None: there is none with this number."""
    return next(iter(_incidents(db, "WHERE id = ?", [incident_id])), None)


def read_incidents(db: Database, *, closed_since: datetime | None = None) -> list[Incident]:
    """The open incidents and those whose end was noticed since then (None: ever), own side first, the newest first."""
    where = "WHERE state = 'open' OR ? IS NULL OR noticed_at >= ?"
    since = utc_text(closed_since)
    found = _incidents(db, where, [since, since])
    return sorted(found, key=lambda i: (i.state == "closed", i.side != "own", -i.last_at.timestamp(), i.id))


def open_incidents(db: Database, kind: str | None = None) -> list[Incident]:
    """The open incidents, of one kind if given."""
    return _incidents(db, "WHERE state = 'open' AND (? IS NULL OR kind = ?) ORDER BY id", [kind, kind])


def openings_of(db: Database, incident: Incident, most: int = 20) -> list[Opening]:
    """The times an incident was open, the newest first."""
    row = first_row(db, "SELECT * FROM incidents WHERE id = ?", [incident.id])
    found: list[Opening] = []
    until = "9999"
    while row and len(found) < most:
        newest = _newest_failure(db, row, until)
        if newest is None:
            break
        values = _about(row, newest)
        before = _sign(db, values, "<=", newest["received_at"])
        end = _sign(db, values, ">", newest["received_at"])
        first = _first(db, row, before)
        closed_at = moment_from(end["at"]) if end else None
        found.append(Opening(moment_from(first), moment_from(newest["received_at"]), closed_at))
        until = first
    return found


def verdict_of(db: Database, incident_id: int) -> tuple[int, int] | None:
    """(mail id, verdict id) of the newest bounce of an incident."""
    newest = _newest(db, incident_id, "9999")
    return (newest["mail_id"], newest["id"]) if newest else None


def evidence_for(db: Database, incident: Incident) -> list[EvidenceRow]:
    """The pieces of evidence about the newest bounce of an incident (see `evidence.py`)."""
    found = verdict_of(db, incident.id)
    return evidence_of(db, [found[1]]).get(found[1], []) if found else []


def _settle(db: Database, incident_id: int, at: datetime) -> None:
    row = first_row(db, "SELECT * FROM incidents WHERE id = ?", [incident_id])
    if row is None:
        return
    new = _settled(db, row, at)
    if new != row:
        columns = ", ".join(f"{column} = :{column}" for column in new if column != "id")
        db.execute(f"UPDATE incidents SET {columns} WHERE id = :id", new)  # noqa: S608


def _settled(db: Database, row: Row, at: datetime) -> Row:
    """The row as it should be now. The run that starts at `at` is the first to see what differs."""
    newest = _newest_failure(db, row, "9999")
    if newest is None:
        end: Row | None = {"at": row["closed_at"] or utc_text(at), "kind": "emptied", "words": SIGNS["emptied"]}
        return row | _ended(row, end, at)
    values = _about(row, newest)
    first_at = _first(db, row, _sign(db, values, "<=", newest["received_at"]))
    new = row | {column: values[column] for column in ("cause", "sender", "place", "path")}
    new |= {"first_at": first_at, "last_at": newest["received_at"]}
    if first_at > row["last_at"]:  # also the very first time, when it is empty
        new |= {"openings": row["openings"] + 1, "detected_at": utc_text(at), "noticed_at": None}
    end = _sign(db, values, ">", newest["received_at"])
    return new | _ended(new, end, at)


def _ended(row: Row, end: Row | None, at: datetime) -> Row:
    if end is None:
        return {"state": "open", "closed_at": None, "closed_by": None, "closed_why": None, "noticed_at": None}
    return {
        "state": "closed",
        "closed_at": end["at"],
        "closed_by": end["kind"],
        "closed_why": end["words"],
        "noticed_at": row["noticed_at"] or utc_text(at),
    }


def _newest(db: Database, incident_id: int, until: str) -> Row | None:
    """The last bounce before a moment; of several in one second the same one in whatever order they came."""
    return first_row(
        db,
        'SELECT id, mail_id, received_at, cause, recipient, "from", remote_host, diagnostic, ses_region, path'
        " FROM verdicts WHERE incident_id = ? AND received_at < ?"
        " ORDER BY received_at DESC, recipient, cause, message_id, id LIMIT 1",
        [incident_id, until],
    )


def _newest_failure(db: Database, row: Row, until: str) -> Row | None:
    """The last bounce of an incident before a moment, or the stop SES told of where that is newer."""
    found = (_newest(db, row["id"], until), _stop(db, row["key"], until))
    return max(filter(None, found), key=lambda one: str(one["received_at"]), default=None)


def _stop(db: Database, key: str, until: str) -> Row | None:
    """The last time before a moment that SES said it stopped, as if it were a bounce; only of the incident of that."""
    region = _stopped_region(key)
    if region is None:
        return None
    return first_row(
        db,
        'SELECT at AS received_at, ? AS cause, region AS ses_region, resource, words, NULL AS "from", NULL AS path,'
        " NULL AS remote_host, NULL AS diagnostic, NULL AS recipient FROM sending_states"
        " WHERE NOT is_enabled AND region = ? AND at < ? ORDER BY at DESC, resource LIMIT 1",
        [STOPPED, region, until],
    )


def _stopped_region(key: str) -> str | None:
    """The region of SES whose stop an incident of this key is about; None: it is about something else."""
    what = key.split(" ")
    return what[2] if len(what) == 4 and what[0::3] == ["ses", STOPPED] else None


def _about(row: Row, newest: Row) -> Row:
    """What the newest bounce says an incident is about: what the queries for signs need."""
    record = {**newest, "original": {"from": newest["from"], "ses_region": newest["ses_region"]}}
    what = tuple(row["key"].split(" ")[1:])
    return {
        "id": row["id"],
        "kind": row["kind"],
        "cause": newest["cause"],
        "sender": sender_of(record),
        "place": place_of(record, IncidentKey(row["kind"], what)),
        "path": newest["path"],
        "way": "gmail-alias" if newest["path"] == "gmail-alias" else None,
        "resource": newest.get("resource"),
    }


def _first(db: Database, row: Row, before: Row | None) -> str:
    """The first bounce, or stop, after a sign, or ever."""
    found = db.execute(
        "SELECT min(at) FROM (SELECT received_at AS at FROM verdicts WHERE incident_id = ? UNION ALL"
        " SELECT at FROM sending_states WHERE NOT is_enabled AND region = ?) WHERE at >= ?",
        [row["id"], _stopped_region(row["key"]), before["at"] if before else ""],
    ).fetchone()
    return str(found[0])


def _sign(db: Database, about: Row, side: str, moment: str) -> Row | None:
    """The sign nearest to a moment: the first one later (`>`), or the last one not later (`<=`)."""
    order = "ASC" if side == ">" else "DESC"
    found: list[Row] = []
    for source in _SOURCES[about["kind"]]:
        sql = f"SELECT * FROM ({source}) WHERE at {side} :moment ORDER BY at {order} LIMIT 1"  # noqa: S608
        row = first_row(db, sql, {**about, "moment": moment})
        if row:
            found.append(row | {"at": f"{row['at'][:19]}Z"})
    pick = min if side == ">" else max
    return pick(found, key=lambda row: (row["at"], row["kind"], row["words"]), default=None)


def _incidents(db: Database, where: str, values: Iterable[Any]) -> list[Incident]:
    return [_incident(db, row) for row in list(db.query(f"SELECT * FROM incidents {where}", list(values)))]  # noqa: S608


def _incident(db: Database, row: Row) -> Incident:
    people = db.execute(
        "SELECT ifnull(original_recipient, recipient) FROM verdicts WHERE incident_id = ? AND received_at >= ?"
        " AND recipient IS NOT NULL GROUP BY lower(ifnull(original_recipient, recipient))"
        " ORDER BY max(received_at) DESC, 1 LIMIT ?",
        [row["id"], row["first_at"], MOST_PEOPLE],
    ).fetchall()
    (bounces,) = db.execute(
        "SELECT count(*) FROM verdicts WHERE incident_id = ? AND received_at >= ?", [row["id"], row["first_at"]]
    ).fetchone()
    times = {name: moment_from(row[name]) for name in _TIMES}
    return Incident(**(row | times), bounces=int(bounces), people=tuple(address for (address,) in people))
