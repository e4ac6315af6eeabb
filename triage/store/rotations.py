"""Rotations of credentials in the database, and what else the database knows about the alias meanwhile.

Part of the store: the only other module that says SQL, in words of rotations. Holds no secret: key ids and version ids
are names. Decides nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parsers.times import moment_from, utc_text
from remediation.rotation import Rotation
from triage.rows import AliasFailureRow
from triage.store.database import Row, all_rows, open_store, transaction

if TYPE_CHECKING:
    from sqlite_utils import Database

_COLUMNS = tuple(field.name for field in fields(Rotation))
_TIMES = frozenset(name for name in _COLUMNS if name.endswith("_at"))


def open_durable(path: Path) -> Database:
    """Open the database so that what was stored survives even a power cut: AWS is told only after that."""
    db = open_store(path)
    db.execute("PRAGMA synchronous = FULL")
    return db


def keep_rotation(db: Database, rotation: Rotation) -> None:
    """Write a rotation, new or changed."""
    names, marks = ", ".join(_COLUMNS), ", ".join(f":{column}" for column in _COLUMNS)
    changes = ", ".join(f"{column} = excluded.{column}" for column in _COLUMNS)
    with transaction(db):
        db.execute(
            # Not INSERT OR REPLACE, which would quietly remove another rotation of the same user.
            f"INSERT INTO rotations ({names}) VALUES ({marks}) ON CONFLICT (id) DO UPDATE SET {changes}",  # noqa: S608
            _row(rotation),
        )


def rotation_under_way(db: Database) -> Rotation | None:
    """The rotation that is not over yet; there is one at most."""
    return _read(db, "WHERE state != 'done' ORDER BY started_at DESC LIMIT 1")


def last_rotation(db: Database) -> Rotation | None:
    """The newest rotation, over or not."""
    return _read(db, "ORDER BY started_at DESC, rowid DESC LIMIT 1")


def note_inactive(db: Database, key_id: str, at: datetime) -> None:
    """Remember since when a key is Inactive that a rotation does not know of; the last time counts."""
    with transaction(db):
        db.execute("INSERT OR REPLACE INTO retired_keys (key_id, inactive_at) VALUES (?, ?)", [key_id, utc_text(at)])


def forget_key(db: Database, key_id: str) -> None:
    """The key was deleted."""
    with transaction(db):
        db.execute("DELETE FROM retired_keys WHERE key_id = ?", [key_id])


def inactive_since(db: Database, key_id: str) -> datetime | None:
    """Since when this program knows a key to be Inactive; None: it does not."""
    row = next(db.query("SELECT inactive_at FROM retired_keys WHERE key_id = ?", [key_id]), None)
    return datetime.fromisoformat(row["inactive_at"]) if row else None


def failures_of_alias(db: Database, alias: str | None, since: datetime) -> list[AliasFailureRow]:
    """Genuine failures at the relay behind an alias that arrived from `since` on, the oldest first.

    Counts what names no sender, and every alias where `alias` is None.
    """
    return all_rows(
        db,
        "SELECT v.id, v.mail_id, v.received_at, v.recipient, v.cause, v.diagnostic, m.thread_id,"
        " m.message_id AS bounce_message_id"
        " FROM verdicts v JOIN mails m ON m.id = v.mail_id"
        " WHERE v.category = 'smtp-credentials' AND v.kind = 'failed' AND v.proof = 'alias'"
        " AND v.received_at >= :since"
        ' AND (:alias IS NULL OR v."from" IS NULL OR lower(v."from") = lower(:alias)) ORDER BY v.received_at, v.id',
        {"alias": alias, "since": utc_text(since)},
    )


def ses_sends(db: Database, alias: str, since: datetime) -> list[datetime] | None:
    """When SES took mails that Gmail wrote from an alias, from `since` on; None: no SES events are collected.

    Told from mails sent by the API, which do not use the SMTP login, by the headers Gmail gave them.
    """
    if "events" not in db.table_names() or not db["events"].count:
        return None
    rows = db.query(
        "SELECT DISTINCT sent_at FROM events WHERE kind IN ('Send', 'Delivery') AND sender = :alias AND at >= :since"
        " AND sent_at >= :since AND (path = 'gmail-alias' OR client_id LIKE '%@mail.gmail.com') ORDER BY sent_at",
        {"alias": alias.lower(), "since": utc_text(since)},
    )
    return [datetime.fromisoformat(row["sent_at"]) for row in rows]


def _read(db: Database, where: str) -> Rotation | None:
    if "rotations" not in db.table_names():
        return None  # written by an older version, and opened for reading only
    row = next(db.query(f"SELECT * FROM rotations {where}"), None)  # noqa: S608
    return _rotation(row) if row else None


def _row(rotation: Rotation) -> Row:
    values: Row = {}
    for column in _COLUMNS:
        value = getattr(rotation, column)
        values[column] = utc_text(value) if column in _TIMES and value is not None else value
    return values | {"keys_before": json.dumps(rotation.keys_before)}


def _rotation(row: Mapping[str, Any]) -> Rotation:
    values = {column: row[column] for column in _COLUMNS}
    for column in _TIMES:
        values[column] = moment_from(values[column])
    return Rotation(**values | {"keys_before": tuple(json.loads(row["keys_before"]))})
