"""The mails and events that correlation ties together, and what was found out about them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlite_utils import Database

from tests.doubles.aws import AwsDouble
from tests.doubles.ses_api import new_message_id
from tests.doubles.ses_events import in_envelope, ses_event
from tests.worlds.made_verdicts import made, proven
from tests.worlds.stored import every_verdict
from triage import store
from triage.config import Settings
from triage.gmail.messages import SendAs
from triage.model import Event, StoredMail
from triage.ses.events import Drained, NoEvent, document_of, read_document
from triage.ses.tie import Correlated, correlate

NOW = datetime(2026, 5, 12, 19, 30, tzinfo=UTC)
SENT = datetime(2026, 5, 12, 18, 45, 7, 130000, tzinfo=UTC)
BOUNCED = SENT + timedelta(minutes=1)
ROTATED = datetime(2026, 5, 12, 14, 2, tzinfo=UTC)
FAILED = datetime(2026, 5, 12, 16, 40, tzinfo=UTC)
ID = new_message_id("us-west-2", int(SENT.timestamp() * 1000))
GMAIL_ID = "CAF0alias@mail.gmail.com"
ALIAS = "admin@queenofsandiego.com"
RELAY = "email-smtp.us-east-1.amazonaws.com"

BOUNCE = ses_event("Bounce", ["pat@client.example"], at=BOUNCED, message_id=ID, region="us-west-2", client_id=GMAIL_ID)
BOUNCE["mail"]["timestamp"] = "2026-05-12T18:45:07.130Z"
SEND = ses_event("Send", ["pat@client.example"], at=SENT, message_id=ID, region="us-west-2", client_id=GMAIL_ID)


def read_events(text: str) -> list[Event] | NoEvent:
    """What a message of the queue tells, where it is believed."""
    document = document_of(text)
    return document if isinstance(document, NoEvent) else read_document(document)


class Gmail:
    """As much of Gmail as correlation asks."""

    def __init__(self, *aliases: SendAs) -> None:
        self.aliases = list(aliases)
        self.asked = 0

    def send_as(self) -> list[SendAs]:
        self.asked += 1
        return self.aliases


THROUGH_SES = SendAs(ALIAS, None, False, RELAY, 587, "starttls", "accepted")


def record(**changes: Any) -> dict[str, Any]:
    """The verdict on the third mail of the story, as `classify` gives it; keys of `original` may be given as well."""
    original = {
        "message_id": f"{ID}@us-west-2.amazonses.com",
        "ses_message_id": ID,
        "ses_region": "us-west-2",
        "ses_id_source": "returned Message-ID",
        "sent_at": "2026-05-12T18:45:07.130Z",
        "from": ALIAS,
        "subject": "Friday sail",
        "path": "ses-api",
    }
    verdict = {
        "category": "exchange-rejection",
        "cause": "recipient-unknown",
        "side": "remote",
    }
    return made(original, verdict, changes)


UNKNOWN_ID: dict[str, Any] = {"message_id": None, "ses_message_id": None, "ses_region": None, "ses_id_source": None}


def alias_record(**changes: Any) -> dict[str, Any]:
    own = {"category": "smtp-credentials", "cause": "alias-credentials-rejected", "side": "own", "path": "gmail-alias"}
    own |= UNKNOWN_ID | {"gmail_message_id": GMAIL_ID, "message_id": GMAIL_ID, "sent_at": None}
    return record(**(own | changes))


def put(db: Database, *records: dict[str, Any], number: int = 1, received_at: datetime = BOUNCED) -> int:
    """Store a mail with these verdicts; returns the id of the first verdict."""
    mail = StoredMail(
        f"gmail:{number}", f"{number:016x}", "thread", f"bounce-{number}@x.example", received_at, b"raw %d" % number
    )
    mail_id = store.store_judged(db, mail, records, (), NOW, proven(*records))
    return int(store.verdicts_of(db, mail_id)[0]["id"])


def publish(db: Database, *published: dict[str, Any]) -> None:
    for event in published:
        found = read_events(in_envelope(event))
        assert isinstance(found, list)
        store.store_events(db, found, [], NOW)


def evidence(db: Database, verdict_id: int) -> dict[tuple[str, str | None], dict[str, Any]]:
    return {(row["kind"], row["place"]): row for row in store.evidence_of(db, [verdict_id]).get(verdict_id, [])}


def verdicts(db: Database) -> list[dict[str, Any]]:
    return sorted(every_verdict(db), key=lambda row: row["id"])


def settle(
    db: Database, settings: Settings, gmail: Gmail | None = None, at: datetime = NOW, drained: Drained | None = None
) -> Correlated:
    return correlate(db, settings, gmail, at, drained or Drained())  # type: ignore[arg-type]


def story(aws: AwsDouble, plain: Settings) -> tuple[Settings, str]:
    """The user whose key was turned, the secret, and no event for the mails that never left."""
    old = aws.make_smtp_user()
    aws.use_key(old, ROTATED - timedelta(hours=1))
    aws.deactivate_key(old)
    new = aws.add_key(old.name)
    aws.trail.note("created", old.name, new.key_id, ROTATED - timedelta(minutes=4))
    aws.trail.note("made inactive", old.name, old.key_id, ROTATED)
    arn = aws.make_secret({"username": new.key_id, "password": "B" * 44})
    return replace(plain, smtp_user=old.name, smtp_secret=arn, queue_url="x"), old.key_id
