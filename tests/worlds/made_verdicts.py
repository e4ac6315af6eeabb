"""A verdict record and a mail of Gmail to store, and an empty database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlite_utils import Database

from triage import store
from triage.model import Action, Proof, StoredMail
from triage.store.mails import RECORD_KEYS

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
RAW = b"Subject: x\n\nyes\n"
LABEL = Action("label", "thread-1", {"label": "Bounce/Unknown"})
TABLES = ("mails", "verdicts", "actions", "runs", "state")


def record(**changes: Any) -> dict[str, Any]:
    """The verdict on an unknown address, and what is to be done."""
    original = {"message_id": "mail-1@example.org", "from": "admin@queenofsandiego.com"}
    verdict = {"category": "exchange-rejection", "cause": "recipient-unknown", "fix": ["Ask Pat."]}
    return made(original, verdict, changes)


def made(original: Mapping[str, Any], verdict: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A verdict record as `classify` gives it, on a failure for good; `changes` may name keys of `original` as well."""
    inner: dict[str, Any] = dict.fromkeys(store.ORIGINAL_KEYS) | dict(original)
    full: dict[str, Any] = dict.fromkeys(RECORD_KEYS) | {
        "source": "gmail:1",
        "kind": "failed",
        "recipient": "pat@client.example",
        "permanent": True,
        "genuine": "pass",
        "original": inner,
        "fix": [],
        "links": [],
        **verdict,
    }
    for key, value in changes.items():
        (inner if key in inner else full)[key] = value
    return full


def proven(*records: Mapping[str, Any]) -> list[Proof | None]:
    """What proves made records: that which fits, where they are genuine."""
    kinds = {"smtp-credentials": Proof("alias", "made")}
    return [
        kinds.get(record["category"], Proof("sent", "made")) if record["genuine"] == "pass" else None
        for record in records
    ]


def gmail_mail(number: int = 1, **changes: Any) -> StoredMail:
    values: dict[str, Any] = {
        "source": f"gmail:{number}",
        "gmail_id": f"{number:016x}",
        "thread_id": "thread-1",
        "message_id": f"bounce-{number}@example.com",
        "received_at": NOW - timedelta(hours=1),
        "raw": RAW,
    }
    return StoredMail(**(values | changes))


def rows(db: Database, table: str) -> list[dict[str, Any]]:
    return list(db.query(f"SELECT * FROM {table}"))
