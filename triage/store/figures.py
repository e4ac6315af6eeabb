"""The part of the store the report reads: rows of a period cut to what it needs, and counts that scan nothing large.

Like `store.py` it says SQL and judges nothing. Only reads.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypedDict

from parsers.times import utc_text
from triage.rows import DayCount, EventCount, IncidentRow, ReportRow, RunRow
from triage.store.database import all_rows, with_json
from triage.store.incidents import MOST_PEOPLE

if TYPE_CHECKING:
    from sqlite_utils import Database

MOST_INCIDENTS = 100

_COLUMNS = (
    *("id", "kind", "recipient", "original_recipient", "category", "cause", "side", "actor", "permanent"),
    *("diagnostic", "remote_host", "message_id", "gmail_message_id", "ses_region", "sent_at", "subject", "genuine"),
    *("proof", "proof_why"),
    *("received_at", "superseded_by"),
)


class FigureRow(TypedDict):
    """Numbers an audit wrote down about a subject."""

    subject: str
    at: str
    figures: dict[str, Any]


def report_rows(db: Database, since: datetime, limit: int) -> list[ReportRow]:
    """The newest verdicts received from `since` on, newest first."""
    columns = ", ".join(f"v.{column}" for column in _COLUMNS)
    return all_rows(
        db,
        f'SELECT {columns}, v."from" AS sender, m.thread_id,'  # noqa: S608
        " CASE WHEN i.state = 'closed' THEN i.closed_at WHEN v.received_at < i.first_at THEN v.received_at END"
        "  AS over_at, i.closed_by AS over_by, i.closed_why AS over_why"
        " FROM verdicts v JOIN mails m ON m.id = v.mail_id LEFT JOIN incidents i ON i.id = v.incident_id"
        " WHERE v.received_at >= ? ORDER BY v.received_at DESC, v.id DESC LIMIT ?",
        [utc_text(since), limit],
    )


def last_reads(db: Database) -> tuple[RunRow | None, RunRow | None]:
    """(the newest run that read the mailbox, the newest that came to its end), each None where there is none."""
    sql = "SELECT * FROM runs WHERE source = 'gmail' AND {} ORDER BY id DESC LIMIT 1"
    newest, good = (all_rows(db, sql.format(which)) for which in ("1", "finished_at IS NOT NULL AND error IS NULL"))
    return (newest[0] if newest else None), (good[0] if good else None)


def held_back(db: Database, since: datetime) -> dict[str, int]:
    """How many notes, alerts and incidents the limits of a day held back in the runs from then on."""
    row = db.execute(
        "SELECT total(held_notes), total(held_alerts), total(held_incidents) FROM runs WHERE started_at >= ?",
        [utc_text(since)],
    ).fetchone()
    return dict(zip(("notes", "alerts", "incidents"), map(int, row), strict=True))


def day_counts(
    db: Database,
    since: datetime,
    until: datetime | None = None,
    day_of: Callable[[str], str] = lambda hour: hour[:10],
) -> list[DayCount]:
    """How many verdicts of each sort were received on each day from `since` up to `until`.

    `day_of` gives the day of an hour such as `2026-11-23T07`, in UTC unless it says otherwise. Exact, also where the
    moments lie within an hour. Reads the counts by the hour, and the verdicts of at most two hours.
    """
    first, last = _hour(since), _hour(until) if until else "9999"
    edges = [(since, min(_next_hour(since), until or _next_hour(since)))]
    if until and last > first:
        edges.append((until.replace(minute=0, second=0, microsecond=0), until))
    parts = ["SELECT hour, kind, category, side, verdicts FROM verdict_hours WHERE hour > ? AND hour < ?"]
    values: list[Any] = [first, last]
    for begin, end in edges:
        parts.append(
            "SELECT substr(received_at, 1, 13), kind, category, side, 1 FROM verdicts"
            " WHERE received_at >= ? AND received_at < ?"
        )
        values += [utc_text(begin), utc_text(end)]
    hours = db.execute(
        "SELECT hour, kind, category, side, sum(verdicts)"  # noqa: S608
        f" FROM ({' UNION ALL '.join(parts)}) WHERE verdicts > 0 GROUP BY 1, 2, 3, 4",
        values,
    )
    days = Counter[tuple[str, str, str | None, str | None]]()
    for hour, kind, category, side, verdicts in hours:
        days[day_of(hour), kind, category, side] += verdicts
    return [
        DayCount(day=day, kind=kind, category=category, side=side, verdicts=verdicts)
        for (day, kind, category, side), verdicts in days.items()
    ]


def first_seen(db: Database, causes: Iterable[str]) -> dict[str, str]:
    """When each of these causes was first seen in a bounce that was not shown to be forged."""
    found = {}
    for cause in causes:
        row = db.execute(
            "SELECT received_at FROM verdicts WHERE cause = ? AND category IS NOT 'unverified'"
            " ORDER BY received_at LIMIT 1",
            [cause],
        ).fetchone()
        if row:
            found[cause] = row[0]
    return found


def recorded_since(db: Database) -> str | None:
    """When the oldest mail with a verdict was received; None: there is none."""
    found: str | None = db.execute("SELECT min(received_at) FROM verdicts").fetchone()[0]
    return found


def delivered_later(db: Database, verdict_ids: Sequence[int]) -> set[int]:
    """Those of these verdicts whose very mail SES delivered to that recipient after all."""
    if not db.execute("SELECT 1 FROM events WHERE kind = 'Delivery' LIMIT 1").fetchone():
        return set()
    rows = db.execute(
        "SELECT v.id FROM verdicts v WHERE v.id IN (SELECT value FROM json_each(?)) AND EXISTS"
        " (SELECT 1 FROM events e WHERE e.recipient = lower(v.recipient) AND e.kind = 'Delivery'"
        "  AND (e.ses_message_id = v.ses_message_id OR e.client_id IN (v.gmail_message_id, v.message_id)))",
        [json.dumps(list(verdict_ids))],
    )
    return {id_ for (id_,) in rows}


def resent(db: Database) -> dict[tuple[str, str], str]:
    """(recipient in lower case, Message-ID of the mail in Sent) -> `draft` or `ses`, for what was given once more."""
    rows = db.execute(
        "SELECT recipient, original_id, way FROM resends WHERE state = 'done' ORDER BY way"  # ses after draft: it wins
    )
    return {(recipient, original_id): way for recipient, original_id, way in rows}


def event_counts(db: Database, since: datetime, until: datetime) -> list[EventCount]:
    """How many SES events of the period there are by region and sort.

    SES counts permanent bounces, but not what it held back itself because of the account's suppression list.
    https://docs.aws.amazon.com/ses/latest/dg/sending-email-suppression-list.html
    """
    return all_rows(
        db,
        "SELECT ses_region, kind, words LIKE 'Permanent/%' AND words NOT LIKE 'Permanent/OnAccountSuppressionList%'"
        " AS counts, count(*) AS number FROM events WHERE at >= ? AND at < ? GROUP BY 1, 2, 3",
        [utc_text(since), utc_text(until)],
    )


def figures_of(db: Database, check: str, until: datetime) -> list[FigureRow]:
    """The newest figures the audits before a moment wrote down for a check."""
    rows = all_rows(
        db,
        "SELECT f.subject, max(a.at) AS at, f.figures FROM findings f JOIN audits a ON a.id = f.audit_id"
        " WHERE f.\"check\" = ? AND f.figures != '{}' AND a.at < ? GROUP BY f.subject ORDER BY f.subject",
        [check, utc_text(until)],
    )
    return with_json(rows, "figures")


def incidents_of(db: Database, since: datetime) -> list[IncidentRow]:
    """The incidents that are open or closed since then, our own side's first, the newest first; `people` is capped."""
    return all_rows(
        db,
        "SELECT i.id, i.kind, i.cause, i.sender, i.place, i.state, i.first_at, i.closed_at, i.closed_why,"
        " (SELECT count(DISTINCT lower(recipient)) FROM (SELECT recipient FROM verdicts WHERE incident_id = i.id"
        "  AND received_at >= i.first_at LIMIT ?)) AS people"
        " FROM incidents i WHERE i.openings > 0 AND (i.state = 'open' OR i.closed_at >= ?)"
        " ORDER BY i.kind = 'remote', i.state = 'closed', i.last_at DESC, i.id LIMIT ?",
        [MOST_PEOPLE, utc_text(since), MOST_INCIDENTS],
    )


def _hour(at: datetime) -> str:
    return utc_text(at)[:13]


def _next_hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
