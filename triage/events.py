"""SES events: from the messages of the queue to rows of the database, and the queue emptied of what is stored.

A message is deleted only after it is stored, and storing it twice changes nothing: killed anywhere, nothing is lost and
nothing counts twice. What cannot be read is kept for study and deleted, so that it does not come back for ever. Knows
neither verdicts nor Gmail.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import parsers
from parsers.facts import Authenticity, Bounce, NotABounce
from parsers.mime import clean
from parsers.ses import describe_sent, event_time, read_notification, unwrap
from remediation import aws_queue
from remediation.aws import NotLookedUp
from triage.errors import TriageError
from triage.store import Mail

if TYPE_CHECKING:
    from sqlite_utils import Database

MAX_BATCHES = 50_000
"""Of ten messages: a queue that fills faster than it can be emptied is left to the next run."""

SOURCE = "ses-event:"
"""How the source of a mail begins that is an SES event and came from our queue, not through Gmail."""

FAILURE_KINDS = {"Bounce": "failed", "Reject": "failed", "DeliveryDelay": "delayed", "Complaint": "feedback"}
"""The events that tell of a failure, and the kind of verdict each leads to."""

_OTHER_KINDS = frozenset({"Send", "Delivery"})
# Known, and of no interest here.
_IGNORED = frozenset({"Open", "Click", "Subscription", "Rendering Failure"})
_MAX_WORDS = 400


@dataclass(frozen=True, slots=True)
class Event:
    """What SES says happened to one recipient of one mail."""

    kind: str
    """SES's word: Bounce, Complaint, Delivery, DeliveryDelay, Reject, Send."""
    recipient: str
    """In lower case, to compare with."""
    ses_message_id: str
    event_id: str
    """What makes the event one: SES's feedback id, or the time it happened."""
    at: datetime
    ses_region: str | None = None
    sent_at: datetime | None = None
    client_id: str | None = None
    """The Message-ID the sender's own program gave the mail, before SES replaced it."""
    sender: str | None = None
    """In lower case."""
    subject: str | None = None
    path: str | None = None
    """`gmail-alias` where the mail's headers say that Gmail handed it over."""
    caller: str | None = None
    """The IAM user whose credentials sent it: for SMTP the user behind the alias's login."""
    words: str | None = None
    """What happened, in SES's words: `Permanent/General: smtp; 550 5.1.1 user unknown`."""
    notification: bytes | None = None
    """For a failure: the event as a mail (zlib), cut down to this recipient."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message that is no SES event, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class Drained:
    """What became of the queue."""

    taken: int = 0
    """Messages received."""
    new: int = 0
    """Events not known before."""
    unreadable: int = 0
    away: NotLookedUp | None = None
    """Why the queue was not emptied; None: it was."""


def drain(db: Database, queue_url: str, region: str, at: datetime) -> Drained:
    """Store every message of the queue and delete it, ten at a time, until none comes. Never raises for AWS's sake."""
    drained = Drained()
    for _ in range(MAX_BATCHES):
        messages = aws_queue.receive(region, queue_url)
        if isinstance(messages, NotLookedUp):
            return replace(drained, away=messages)
        if not messages:
            break
        new, unreadable = _store(db, messages, at)
        drained = replace(
            drained,
            taken=drained.taken + len(messages),
            new=drained.new + new,
            unreadable=drained.unreadable + unreadable,
        )
        # Those SQS does not delete come again, and are known by then.
        left = aws_queue.delete(region, queue_url, messages)
        if isinstance(left, NotLookedUp):
            return replace(drained, away=left)
    return drained


def read_events(text: str) -> list[Event] | Unreadable:
    """The events in one message, one for each recipient, in whatever shape it came; none where it tells of no delivery.

    Shapes: an SNS envelope, raw delivery, EventBridge; with `notificationType` or `eventType`. Never raises.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return Unreadable("it is not JSON")
    try:
        notification = unwrap(document)
        if notification is None:
            return [] if _is_greeting(document) else Unreadable("it is no SES notification or event")
        kind = notification.get("notificationType") or notification.get("eventType")
        if kind in _IGNORED:
            return []
        if kind not in FAILURE_KINDS and kind not in _OTHER_KINDS:
            return Unreadable(f"SES event of an unknown kind: {str(kind)[:40]!r}")
        events = _events(str(kind), notification)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        return Unreadable(f"its fields are not those of an SES event ({type(error).__name__})")
    return events or Unreadable("it names no recipient, or no message")


def read_again(source: str, raw: bytes) -> Bounce | NotABounce:
    """What a stored mail says, also one that is an event from our queue.

    The queue is ours and takes messages from our topic only: its events are genuine, whatever headers they lack.
    """
    found = parsers.parse(raw)
    if source.startswith(SOURCE) and isinstance(found, Bounce):
        return found._replace(genuine=Authenticity("pass", "an SES event taken from our own queue"))
    return found


def _store(db: Database, messages: Sequence[aws_queue.QueueMessage], at: datetime) -> tuple[int, int]:
    """Store ten messages in one transaction; where that fails each alone, so that one cannot hold up the others."""
    from triage import store_events

    read = [(message, read_events(message.body)) for message in messages]
    try:
        new = store_events.store_events(db, *_sorted(read), at)
    except TriageError:
        raise
    except Exception:
        new = 0
        for number, (message, found) in enumerate(read):
            try:
                new += store_events.store_events(db, *_sorted([(message, found)]), at)
            except TriageError:
                raise
            except Exception as error:
                read[number] = (message, Unreadable(f"it could not be stored ({type(error).__name__})"))
                store_events.store_events(db, *_sorted([read[number]]), at)
    return new, sum(isinstance(found, Unreadable) for _, found in read)


def _sorted(
    read: Sequence[tuple[aws_queue.QueueMessage, list[Event] | Unreadable]],
) -> tuple[list[Event], list[tuple[Mail, str]]]:
    events: list[Event] = []
    unreadable: list[tuple[Mail, str]] = []
    for message, found in read:
        if isinstance(found, Unreadable):
            raw = message.body.encode("utf-8", "replace")
            unreadable.append((Mail(f"queue:{message.id}", raw=raw), f"a message of the event queue: {found.why}"))
        else:
            events += found
    return events, unreadable


def _events(kind: str, notification: Mapping[str, Any]) -> list[Event]:
    sent = notification["mail"]
    original = describe_sent(sent)
    reading = read_notification(notification)
    recipients = [failure.recipient for failure in reading.failures] if reading else []
    if kind == "Send":
        recipients = [clean(str(recipient)[:1000]) for recipient in sent["destination"]]
    if original.ses_message_id is None:
        return []
    detail = notification.get(kind[0].lower() + kind[1:]) or {}
    at = event_time(detail.get("timestamp")) or original.sent_at or event_time(sent["timestamp"])
    if at is None:
        raise ValueError("no time")
    event = Event(
        kind=kind,
        recipient="",
        ses_message_id=original.ses_message_id,
        event_id=str(detail.get("feedbackId") or at.isoformat()),
        at=at,
        ses_region=original.ses_region,
        sent_at=original.sent_at,
        client_id=_client_id(sent),
        sender=(original.sender or "").lower() or None,
        subject=original.subject,
        path=original.path,
        caller=_caller(sent),
    )
    words = {f.recipient: _words(kind, detail, f.diagnostic) for f in reading.failures} if reading else {}
    failed = kind in FAILURE_KINDS and not _is_perhaps_a_reply(detail)
    return [
        replace(
            event,
            recipient=recipient.lower(),
            words=words.get(recipient),
            notification=_as_mail(_alone(kind, notification, recipient)) if failed else None,
        )
        for recipient in dict.fromkeys(recipients)
        if recipient
    ]


def _is_perhaps_a_reply(detail: Mapping[str, Any]) -> bool:
    """Whether a bounce may be somebody's out-of-office reply, which SES reports as Transient/General as well.

    Amazon SES developer guide, "bounce types". Where the server said something there was a refusal.
    """
    if (detail.get("bounceType"), detail.get("bounceSubType")) != ("Transient", "General"):
        return False
    return not any(row.get("diagnosticCode") for row in detail["bouncedRecipients"])


def _words(kind: str, detail: Mapping[str, Any], diagnostic: str | None) -> str | None:
    """What happened, short: SES's types, then the words of whoever refused."""
    parts = {
        "Bounce": [detail.get("bounceType"), detail.get("bounceSubType")],
        "DeliveryDelay": [detail.get("delayType")],
        "Complaint": [detail.get("complaintFeedbackType"), detail.get("complaintSubType")],
    }.get(kind, [])
    types = "/".join(str(part) for part in parts if part)
    return clean(": ".join(part for part in (types, diagnostic) if part)[:_MAX_WORDS]) or None


def _client_id(sent: Mapping[str, Any]) -> str | None:
    """The Message-ID the sender gave the mail. SES tells it in the headers; its own id stands in `messageId`."""
    headers = {str(h.get("name")).lower(): h.get("value") for h in sent.get("headers") or () if isinstance(h, dict)}
    common = (sent.get("commonHeaders") or {}).get("messageId")
    found = headers.get("x-gmail-original-message-id") or headers.get("message-id") or common
    return (clean(found[:1000]).strip("<> ") or None) if isinstance(found, str) else None


def _caller(sent: Mapping[str, Any]) -> str | None:
    """The IAM user (or role) that sent the mail: a tag of an event, the end of an ARN in a notification."""
    tagged = (sent.get("tags") or {}).get("ses:caller-identity") or ()
    found = next(iter(tagged), None) or sent.get("callerIdentity")
    return clean(found[:200]).rpartition("/")[2] or None if isinstance(found, str) else None


_LISTS = {"Bounce": "bouncedRecipients", "DeliveryDelay": "delayedRecipients", "Complaint": "complainedRecipients"}


def _alone(kind: str, notification: Mapping[str, Any], recipient: str) -> dict[str, Any]:
    """The notification as if it concerned this recipient only."""
    if kind == "Reject":
        return {**notification, "mail": {**notification["mail"], "destination": [recipient]}}
    name = kind[0].lower() + kind[1:]
    detail = notification[name]
    rows = [row for row in detail[_LISTS[kind]] if isinstance(row, dict) and _same(row.get("emailAddress"), recipient)]
    return {**notification, name: {**detail, _LISTS[kind]: rows[:1]}}


def _same(value: object, recipient: str) -> bool:
    return isinstance(value, str) and clean(value[:4000]) == recipient


def _as_mail(notification: Mapping[str, Any]) -> bytes:
    """The event in the form SNS mails it: what is stored can be read, explained and judged again like any bounce."""
    head = b"From: Amazon SES events <no-reply@sns.amazonaws.com>\r\nSubject: AWS Notification Message\r\n"
    head += b"x-amz-sns-message-id: queue\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
    return zlib.compress(head + json.dumps(notification).encode() + b"\r\n", 1)


def _is_greeting(document: object) -> bool:
    """Whether it is the text SES publishes once when a topic is connected to it."""
    said = document.get("Message") if isinstance(document, dict) else None
    return isinstance(said, str) and said.startswith("Successfully validated SNS topic")
