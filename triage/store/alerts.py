"""The part of the store that keeps alerts: planned before anybody is told, recorded after, never written twice.

Like `store.py` it says SQL and judges nothing. Holds the words of an alert and the fingerprint of where it goes, never
the address itself, which is a secret. Also whom an incident hit, and whether its login is taken again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from parsers.times import moment_from, utc_text
from triage.model import Alert, Incident
from triage.rows import AlertRow, MissedRow
from triage.store.database import all_rows, first_row, keep_state, read_state, storable, transaction

if TYPE_CHECKING:
    from sqlite_utils import Database


def alerts_of(db: Database, incident_id: int, opening: int | None = None) -> list[AlertRow]:
    """The alerts about an incident, of one of its openings if given, the oldest first."""
    sql = "SELECT * FROM alerts WHERE incident_id = ? AND (? IS NULL OR opening = ?) ORDER BY id"
    return all_rows(db, sql, [incident_id, opening, opening])


def missed_in(db: Database, incident: Incident, most: int) -> list[MissedRow]:
    """Whom it hit since it opened, one row for each person with the newest mail."""
    return all_rows(
        db,
        "SELECT ifnull(original_recipient, recipient) AS recipient, subject, sent_at, max(received_at) AS at,"
        " count(*) AS mails FROM verdicts WHERE incident_id = ? AND received_at >= ?"
        " GROUP BY lower(ifnull(original_recipient, recipient)) ORDER BY at DESC, recipient LIMIT ?",
        [incident.id, utc_text(incident.first_at), most],
    )


def login_accepted_at(db: Database, incident: Incident) -> datetime | None:
    """When the stored login of an alias was last accepted by its relay, after the newest failure; None: it was not."""
    row = first_row(
        db,
        "SELECT max(e.looked_up_at) AS at FROM evidence e JOIN verdicts v ON v.id = e.verdict_id"
        " WHERE v.incident_id = ? AND e.kind = 'live-login' AND e.result = 'accepted' AND e.looked_up_at > ?",
        [incident.id, utc_text(incident.last_at)],
    )
    return moment_from(row["at"]) if row else None


def plan_alerts(db: Database, alerts: Sequence[Alert], at: datetime) -> None:
    """Write down what is to be told. What is still to be told about the same incident there is no longer news."""
    with transaction(db):
        for alert in alerts:
            db.execute(
                "UPDATE alerts SET state = 'dropped', error = 'overtaken before it could be delivered'"
                " WHERE incident_id = ? AND channel = ? AND state = 'planned'",
                [alert.incident_id, alert.channel],
            )
            db.execute(
                "INSERT OR IGNORE INTO alerts (incident_id, opening, occasion, number, channel, title, body,"
                " message_id, state, error, planned_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    *(alert.incident_id, alert.opening, alert.occasion, alert.number, alert.channel),
                    *(storable(alert.title), storable(alert.body), alert.message_id),
                    *("dropped" if alert.dropped_why else "planned", alert.dropped_why, utc_text(at)),
                ],
            )


def plan_news(db: Database, alerts: Sequence[Alert], at: datetime) -> None:
    """Write down what is to be told of no incident, but for what was written down in the same words in the last day.

    Of the same occasion what could not be told until now is no longer news.
    """
    new = [
        alert
        for alert in alerts
        if not db.execute(
            "SELECT 1 FROM alerts WHERE occasion = ? AND channel = ? AND body = ? AND planned_at > ?"
            " AND planned_at <= ? AND state != 'dropped'",
            [alert.occasion, alert.channel, storable(alert.body), utc_text(at - timedelta(days=1)), utc_text(at)],
        ).fetchone()
    ]
    if new:
        with transaction(db):
            for occasion, channel in {(alert.occasion, alert.channel) for alert in new}:
                db.execute(
                    "UPDATE alerts SET state = 'dropped', error = 'overtaken before it could be delivered'"
                    " WHERE incident_id IS NULL AND occasion = ? AND channel = ? AND state = 'planned'"
                    " AND planned_at <= ?",
                    [occasion, channel, utc_text(at - timedelta(days=1))],
                )
        plan_alerts(db, new, at)


def planned_alerts(db: Database) -> list[AlertRow]:
    """What is still to be told: of our own side first, then the oldest."""
    return all_rows(
        db,
        "SELECT a.* FROM alerts a LEFT JOIN incidents i ON i.id = a.incident_id WHERE a.state = 'planned'"
        " ORDER BY i.kind IS 'remote', a.id",
    )


def told_of_others(db: Database, channel: str, since: datetime, at: datetime) -> int:
    """How many alerts about incidents of other sides were planned for a channel between then and now, not dropped."""
    (number,) = db.execute(
        "SELECT count(*) FROM alerts a JOIN incidents i ON i.id = a.incident_id WHERE a.channel = ?"
        " AND a.planned_at > ? AND a.planned_at <= ? AND a.state != 'dropped' AND i.kind = 'remote'",
        [channel, utc_text(since), utc_text(at)],
    ).fetchone()
    return int(number)


def start_alert(db: Database, alert_id: int, at: datetime) -> None:
    """Record that somebody is about to be told: after a crash it is not known whether they were."""
    with transaction(db):
        db.execute("UPDATE alerts SET tries = tries + 1, tried_at = ? WHERE id = ?", [utc_text(at), alert_id])


def finish_alert(db: Database, alert_id: int, at: datetime) -> None:
    """Record that it was delivered."""
    with transaction(db):
        db.execute("UPDATE alerts SET state = 'done', error = NULL, done_at = ? WHERE id = ?", [utc_text(at), alert_id])


def fail_alert(db: Database, alert_id: int, error: str) -> None:
    """Record why it could not be delivered; the next run tries again."""
    with transaction(db):
        db.execute("UPDATE alerts SET error = ? WHERE id = ?", [storable(error), alert_id])


def drop_alerts(db: Database, alert_ids: Sequence[int], why: str) -> None:
    """Let these not be told any more."""
    with transaction(db):
        db.execute(
            "UPDATE alerts SET state = 'dropped', error = ? WHERE id IN (SELECT value FROM json_each(?))",
            [why, json.dumps(list(alert_ids))],
        )


def keep_tried(db: Database, channel: str, at: datetime) -> None:
    """Record that a message of ours that was only to try it out came through by a channel."""
    with transaction(db):
        keep_state(db, f"tried {channel}", utc_text(at))


def last_told(db: Database, channel: str) -> datetime | None:
    """When a channel last took something, an alert or what was only to try it out; None: never."""
    row = first_row(db, "SELECT max(done_at) AS at FROM alerts WHERE channel = ? AND state = 'done'", [channel])
    moments = [text for text in (row and row["at"], read_state(db, f"tried {channel}")) if text]
    return moment_from(max(moments)) if moments else None
