"""An empty database with settings beside it, and all that is in a database."""

from __future__ import annotations

from typing import Any

from sqlite_utils import Database

from triage import store


def every_verdict(db: Database) -> list[dict[str, Any]]:
    """The verdicts on all mails, in the order in which the mails came in."""
    mails = [row["id"] for row in db.query("SELECT id FROM mails ORDER BY id")]
    return [verdict for mail_id in mails for verdict in store.verdicts_of(db, mail_id)]
