"""Verdicts and events made to order for the tests of incidents and alerts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlite_utils import Database

from tests.doubles.ses_api import new_message_id
from tests.doubles.ses_events import in_envelope, ses_event
from tests.ses.world import read_events
from tests.worlds.made_verdicts import made, proven
from triage import store
from triage.model import Proof, StoredMail

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
ALIAS = "admin@queenofsandiego.com"
RELAY = "email-smtp.us-east-1.amazonaws.com"


def record(**changes: Any) -> dict[str, Any]:
    """The verdict on an alias failure as `classify` gives it; keys of `original` may be given as well."""
    original = {
        "message_id": "CAF0alias@mail.gmail.com",
        "gmail_message_id": "CAF0alias@mail.gmail.com",
        "from": ALIAS,
        "subject": "Friday sail",
        "path": "gmail-alias",
    }
    verdict = {
        "category": "smtp-credentials",
        "cause": "alias-credentials-rejected",
        "side": "own",
        "actor": "mailbox-owner",
        "diagnostic": "535 Authentication Credentials Invalid",
    }
    return made(original, verdict, changes)


def refused(**changes: Any) -> dict[str, Any]:
    """A recipient's server refuses because of our DMARC policy, after the mail left through SES's API."""
    remote = {
        "category": "exchange-rejection",
        "cause": "dmarc-rejected",
        "side": "remote",
        "actor": "dns-admin",
        "diagnostic": "550 5.7.509 Access denied, sending domain queenofsandiego.com does not pass DMARC verification",
        "gmail_message_id": None,
        "path": "ses-api",
    }
    return record(**(remote | changes))


def ses_refused(**changes: Any) -> dict[str, Any]:
    """SES itself says no to a mail that came through the alias."""
    own = {
        "category": "ses-refused",
        "cause": "ses-identity-not-verified",
        "actor": "aws-admin",
        "diagnostic": "554 Message rejected: Email address is not verified. The following identities failed the check"
        " in region US-WEST-2: admin@queenofsandiego.com",
    }
    return record(**(own | changes))


def put(
    db: Database,
    number: int,
    *records: dict[str, Any],
    at: datetime = NOW,
    seen_at: datetime | None = None,
    proofs: Sequence[Proof | None] | None = None,
) -> list[int]:
    """Store a mail that arrived at `at` and was read at `seen_at` (else then); returns the ids of its verdicts."""
    mail = StoredMail(
        f"gmail:{number}",
        f"{number:016x}",
        "thread",
        f"bounce-{number}@x.example",
        at,
        b"raw %d" % number,
    )
    mail_id = store.store_judged(db, mail, records, (), seen_at or at, proven(*records) if proofs is None else proofs)
    return [verdict["id"] for verdict in store.verdicts_of(db, mail_id)]


def publish(db: Database, *events: dict[str, Any]) -> None:
    """Let SES events arrive."""
    for event in events:
        found = read_events(in_envelope(event))
        assert isinstance(found, list), found
        store.store_events(db, found, [], NOW)


def taken(
    at: datetime, kind: str = "Send", *, way: str = "alias", to: str = "kim@client.example", **more: Any
) -> dict[str, Any]:
    """An event about a mail SES took at `at`, by way of the `alias` in Gmail or of the `api`."""
    event = ses_event(kind, [to], at=at, message_id=new_message_id("us-east-1", int(at.timestamp() * 1000)), **more)
    if way == "alias":  # Gmail marks what it hands to a relay
        event["mail"]["headers"].append({"name": "X-Gm-Message-State", "value": "AOJu0Yz"})
    return event


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)
