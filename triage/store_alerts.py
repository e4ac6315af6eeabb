"""The part of the store that keeps alerts: planned before anybody is told, recorded after, never written twice.

Like `store.py` it says SQL and judges nothing. Holds the words of an alert and the fingerprint of where it goes, never
the address itself, which is a secret.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from triage.database import transaction

if TYPE_CHECKING:
    from sqlite_utils import Database

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Alert:
    """Something to be told, as it is planned."""

    incident_id: int | None
    """None: about a rotation of the SMTP login."""
    opening: int
    occasion: str
    """opened, reminder, closed, rotation."""
    number: int
    """Counts the reminders; 0 for the others."""
    channel: str
    title: str
    body: str
    message_id: str
    """Without angle brackets; the same whenever the same is told."""
    dropped_why: str | None = None
    """Why it is not told, only remembered; None: it is told."""


def alerts_of(db: Database, incident_id: int, opening: int | None = None) -> list[Row]:
    """The alerts about an incident, of one of its openings if given, the oldest first: the columns of `alerts`."""
    return list(
        db.query(
            "SELECT * FROM alerts WHERE incident_id = ? AND (? IS NULL OR opening = ?) ORDER BY id",
            [incident_id, opening, opening],
        )
    )


def plan(db: Database, alerts: Sequence[Alert], at: datetime) -> None:
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
                    *(_storable(alert.title), _storable(alert.body), alert.message_id),
                    *("dropped" if alert.dropped_why else "planned", alert.dropped_why, _text(at)),
                ],
            )


def plan_rotation(db: Database, alerts: Sequence[Alert], at: datetime) -> None:
    """Write down what is to be told of a rotation, but for what was written down in the same words in the last day."""
    new = [
        alert
        for alert in alerts
        if not db.execute(
            "SELECT 1 FROM alerts WHERE occasion = 'rotation' AND channel = ? AND body = ? AND planned_at > ?",
            [alert.channel, _storable(alert.body), _text(at - timedelta(days=1))],
        ).fetchone()
    ]
    if new:
        plan(db, new, at)


def planned(db: Database) -> list[Row]:
    """What is still to be told, the oldest first: the columns of `alerts`."""
    return list(db.query("SELECT * FROM alerts WHERE state = 'planned' ORDER BY id"))


def start(db: Database, alert_id: int, at: datetime) -> None:
    """Record that somebody is about to be told: after a crash it is not known whether they were."""
    with transaction(db):
        db.execute("UPDATE alerts SET tries = tries + 1, tried_at = ? WHERE id = ?", [_text(at), alert_id])


def finish(db: Database, alert_id: int, at: datetime) -> None:
    """Record that it was delivered."""
    with transaction(db):
        db.execute("UPDATE alerts SET state = 'done', error = NULL, done_at = ? WHERE id = ?", [_text(at), alert_id])


def fail(db: Database, alert_id: int, error: str) -> None:
    """Record why it could not be delivered; the next run tries again."""
    with transaction(db):
        db.execute("UPDATE alerts SET error = ? WHERE id = ?", [_storable(error), alert_id])


def drop(db: Database, alert_ids: Sequence[int], why: str) -> None:
    """Let these not be told any more."""
    with transaction(db):
        db.execute(
            "UPDATE alerts SET state = 'dropped', error = ? WHERE id IN (SELECT value FROM json_each(?))",
            [why, json.dumps(list(alert_ids))],
        )


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\x00", " ")
