"""SES events: from the messages of the queue to rows of the database, and the queue emptied of what is stored.

A message is deleted only after it is stored, and storing it twice changes nothing: killed anywhere, nothing is lost and
nothing counts twice. What cannot be read or is not believed (`believed`) is kept for study and deleted, so that it does
not come back for ever; what cannot be judged yet waits in the queue. Knows neither verdicts nor Gmail.
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
from parsers.mime import bare_address
from parsers.readers import describe_sent, event_time, read_notification, unwrap
from parsers.text import one_line
from remediation.aws import NotLookedUp
from remediation.aws import queue as aws_queue
from remediation.aws.sns import envelope_fields
from triage.errors import TriageError
from triage.model import FAILURE_KINDS, SOURCE, Event, SendingState, StoredMail
from triage.ses.believed import NotBelieved, Trust, doubt, in_time, state_in_time
from triage.ses.notices import AwsNotice, read_notice

if TYPE_CHECKING:
    from sqlite_utils import Database

MAX_BATCHES = 50_000
"""Of ten messages: a queue that fills faster than it can be emptied is left to the next run."""
MOST_NOTICES = 5
MOST_REFUSED = 100
"""Messages that are kept for study in one run, of those that were not believed."""

_OTHER_KINDS = frozenset({"Send", "Delivery"})
# Known, and of no interest here.
_IGNORED = frozenset({"Open", "Click", "Subscription", "Rendering Failure"})
_MAX_WORDS = 400


@dataclass(frozen=True, slots=True)
class NoEvent:
    """A message that is no SES event, and why."""

    why: str


ReadMessage = list[Event] | SendingState | AwsNotice | NoEvent | NotBelieved


@dataclass(frozen=True, slots=True)
class Drained:
    """What became of the queue."""

    taken: int = 0
    """Messages received."""
    new: int = 0
    """Events not known before."""
    unreadable: int = 0
    refused: int = 0
    """Messages that were not believed."""
    waiting: int = 0
    """Messages left in the queue, because it cannot be told now whether they are to be believed."""
    notices: tuple[str, ...] = ()
    """What AWS says of topics and subscriptions, each once."""
    away: NotLookedUp | None = None
    """Why the queue was not emptied; None: it was."""


def drain(db: Database, queue_url: str, region: str, at: datetime, trust: Trust | None = None) -> Drained:
    """Store every message of the queue and delete it, ten at a time, until none comes. Never raises for AWS's sake.

    `trust` is what a message is measured by; without it only SNS's signature counts, where there is one.
    """
    trust = trust or Trust()
    drained = Drained()
    waits: dict[str, NotLookedUp] = {}
    for _ in range(MAX_BATCHES):
        messages = aws_queue.receive(region, queue_url)
        if isinstance(messages, NotLookedUp):
            return replace(drained, away=messages)
        if all(message.id in waits for message in messages):
            break  # none came, or only such as came before
        read = [(message, _read(message, at, trust)) for message in messages]
        waits |= {message.id: found for message, found in read if isinstance(found, NotLookedUp)}
        judged = [(message, found) for message, found in read if not isinstance(found, NotLookedUp)]
        new, unreadable, refused = _store(db, judged, at, drained.refused)
        drained = replace(
            drained,
            taken=drained.taken + len(judged),
            new=drained.new + new,
            unreadable=drained.unreadable + unreadable,
            refused=drained.refused + refused,
            waiting=len(waits),
            notices=tuple(dict.fromkeys((*drained.notices, *_told(judged))))[:MOST_NOTICES],
            away=next(iter(waits.values()), None),
        )
        # Those SQS does not delete come again, and are known by then.
        left = aws_queue.delete(region, queue_url, [message for message, _ in judged]) if judged else []
        if isinstance(left, NotLookedUp):
            return replace(drained, away=left)
    return drained


def _told(read: Sequence[tuple[aws_queue.QueueMessage, ReadMessage]]) -> list[str]:
    return [found.words for _, found in read if isinstance(found, AwsNotice) and found.words]


def _read(message: aws_queue.QueueMessage, at: datetime, trust: Trust) -> ReadMessage | NotLookedUp:
    """What a message says, where it is believed; NotLookedUp: that cannot be told now."""
    document = document_of(message.body)
    if isinstance(document, NoEvent):
        return document
    doubted = doubt(document, trust)
    if doubted is not None:
        return doubted
    received_at = max(at, message.sent_at or at)
    notice = read_notice(document)
    if notice is not None:
        return state_in_time(notice, received_at) if isinstance(notice, SendingState) else notice
    found = read_document(document)
    return in_time(found, received_at) if isinstance(found, list) else found


def document_of(text: str) -> Any:
    """What a message holds; of an envelope of SNS the fields its signature covers."""
    try:
        return envelope_fields(json.loads(text))
    except (ValueError, RecursionError):
        return NoEvent("it is not JSON")


def read_document(document: Any) -> list[Event] | NoEvent:
    """The events in one message, one for each recipient, in whatever shape it came; none where it tells of no delivery.

    Shapes: an SNS envelope, raw delivery, EventBridge; with `notificationType` or `eventType`. Never raises.
    """
    try:
        notification = unwrap(document)
        if notification is None:
            return [] if _is_greeting(document) else NoEvent("it is no SES notification or event")
        kind = notification.get("notificationType") or notification.get("eventType")
        if kind in _IGNORED:
            return []
        if kind not in FAILURE_KINDS and kind not in _OTHER_KINDS:
            return NoEvent(f"SES event of an unknown kind: {str(kind)[:40]!r}")
        events = _events(str(kind), notification)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        return NoEvent(f"its fields are not those of an SES event ({type(error).__name__})")
    return events or NoEvent("it names no recipient, or no message")


def read_again(source: str, raw: bytes) -> Bounce | NotABounce:
    """What a stored mail says, also one that is an event from our queue.

    Only what was believed when it was taken from the queue has such a source: it is genuine, whatever headers it lacks.
    """
    found = parsers.parse(raw)
    if source.startswith(SOURCE) and isinstance(found, Bounce):
        return found._replace(genuine=Authenticity("pass", "an SES event taken from our own queue"))
    return found


def _store(
    db: Database, read: Sequence[tuple[aws_queue.QueueMessage, ReadMessage]], at: datetime, refused_before: int
) -> tuple[int, int, int]:
    """Store ten messages in one transaction; where that fails each alone, so that one cannot hold up the others.

    Returns how many events were new, how many messages are none, and how many were not believed.
    """
    from triage import store

    read = list(read)
    refused = sum(isinstance(found, NotBelieved) for _, found in read)
    if refused_before + refused > MOST_REFUSED:  # a flood of them must not fill the disk: they are counted only
        read = [(message, found) for message, found in read if not isinstance(found, NotBelieved)]
    store.note_sending(db, [found for _, found in read if isinstance(found, SendingState)], at)
    try:
        new = store.store_events(db, *_sorted(read), at)
    except TriageError:
        raise
    except Exception:
        new = 0
        for number, (message, found) in enumerate(read):
            try:
                new += store.store_events(db, *_sorted([(message, found)]), at)
            except TriageError:
                raise
            except Exception as error:
                read[number] = (message, NoEvent(f"it could not be stored ({type(error).__name__})"))
                store.store_events(db, *_sorted([read[number]]), at)
    return new, sum(isinstance(found, NoEvent) for _, found in read), refused


def _sorted(
    read: Sequence[tuple[aws_queue.QueueMessage, ReadMessage]],
) -> tuple[list[Event], list[tuple[StoredMail, str]]]:
    events: list[Event] = []
    kept: list[tuple[StoredMail, str]] = []
    for message, found in read:
        if isinstance(found, list):
            events += found
            continue
        if isinstance(found, SendingState | AwsNotice):
            continue
        what = "a message of the event queue" + (" was not believed" if isinstance(found, NotBelieved) else "")
        raw = message.body.encode("utf-8", "replace")
        kept.append((StoredMail(f"queue:{message.id}", raw=raw), f"{what}: {found.why}"))
    return events, kept


def _events(kind: str, notification: Mapping[str, Any]) -> list[Event]:
    sent = notification["mail"]
    original = describe_sent(sent)
    reading = read_notification(notification)
    recipients = [failure.recipient for failure in reading.failures] if reading else []
    if kind == "Send":
        recipients = [bare_address(one_line(str(recipient)[:1000])) for recipient in sent["destination"]]
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
            notification=zlib.compress(as_mail(_alone(kind, notification, recipient)), 1) if failed else None,
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
    return one_line(": ".join(part for part in (types, diagnostic) if part)[:_MAX_WORDS]) or None


def _client_id(sent: Mapping[str, Any]) -> str | None:
    """The Message-ID the sender gave the mail. SES tells it in the headers; its own id stands in `messageId`."""
    headers = {str(h.get("name")).lower(): h.get("value") for h in sent.get("headers") or () if isinstance(h, dict)}
    common = (sent.get("commonHeaders") or {}).get("messageId")
    found = headers.get("x-gmail-original-message-id") or headers.get("message-id") or common
    return (one_line(found[:1000]).strip("<> ") or None) if isinstance(found, str) else None


def _caller(sent: Mapping[str, Any]) -> str | None:
    """The IAM user (or role) that sent the mail: a tag of an event, the end of an ARN in a notification."""
    tagged = (sent.get("tags") or {}).get("ses:caller-identity") or ()
    found = next(iter(tagged), None) or sent.get("callerIdentity")
    return one_line(found[:200]).rpartition("/")[2] or None if isinstance(found, str) else None


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
    return isinstance(value, str) and bare_address(one_line(value[:4000])) == recipient


def as_mail(notification: Mapping[str, Any]) -> bytes:
    """The event in the form SNS mails it: what is stored can be read, explained and judged again like any bounce."""
    head = b"From: Amazon SES events <no-reply@sns.amazonaws.com>\r\nSubject: AWS Notification Message\r\n"
    head += b"x-amz-sns-message-id: queue\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
    return head + json.dumps(notification).encode() + b"\r\n"


def _is_greeting(document: object) -> bool:
    """Whether it is the text SES publishes once when a topic is connected to it."""
    said = document.get("Message") if isinstance(document, dict) else None
    return isinstance(said, str) and said.startswith("Successfully validated SNS topic")
