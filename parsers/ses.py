"""What Amazon SES leaves in mails: message ids with region and time, and bounces reported as JSON.

The shape of SES message ids is not documented by AWS; what is decoded here was observed on public mails and serves as
evidence beside others, never alone. Sources: Amazon SES developer guide, "notification contents" and "event
publishing: retrieving SNS contents"; public samples.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from parsers.facts import Failure, Kind, Original, Reading
from parsers.mime import Headers, Mail, clean
from parsers.platform import platform_of
from parsers.smtp_reply import read_reply
from parsers.speaker import host_in

_ID = re.compile(
    r"([01](?<![0-9A-Za-z].)[0-9a-f]{3})([0-9a-f]{12})-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}-\d{6}(?!\d)"
)
_DOMAIN = re.compile(r"@(?:email-bounces\.|email\.)?(?:([a-z]{2}(?:-[a-z]+)+-\d)\.)?amazonses\.com", re.IGNORECASE)
# The first four hex digits. Not listed: unknown, the domain behind the id may still tell.
REGION_OF_PREFIX = {
    "0100": "us-east-1",
    "0101": "us-west-2",
    "0102": "eu-west-1",
    "0103": "sa-east-1",
    "0106": "ap-northeast-1",
    "0107": "eu-central-1",
    "0108": "ap-southeast-2",
    "0109": "ap-south-1",
    "010b": "eu-west-2",
    "010e": "ap-southeast-1",
    "010f": "us-east-2",
    "0111": "us-west-1",
}
_EARLIEST = datetime(2011, 1, 1, tzinfo=UTC)  # SES opened to the public that month


@dataclass(frozen=True, slots=True)
class SesId:
    """One SES message id and what its own digits say."""

    id: str
    region: str | None
    sent_at: datetime | None
    """When SES accepted the message, aware, UTC, to the millisecond; None where the digits are no plausible time."""


def ses_ids(text: str) -> list[SesId]:
    """Every SES message id in a text, in order, without repeats."""
    found: dict[str, SesId] = {}
    for match in _ID.finditer(text):
        domain = _DOMAIN.match(text, match.end())
        region = REGION_OF_PREFIX.get(match[1])
        if domain is not None:
            region = domain[1] or region or "us-east-1"
        found.setdefault(match[0], SesId(match[0], region, _time(match[2])))
    return list(found.values())


def _time(digits: str) -> datetime | None:
    milliseconds = int(digits, 16)
    if milliseconds > 4_102_444_800_000:  # beyond 2100: anonymised samples, not a time
        return None
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment if moment >= _EARLIEST else None


# The places an id of the *returned* mail can stand, most trusted first. The bounce's own Message-ID is an SES id too
# when SES reports, and never the one looked for.
_RETURNED_FIELDS = (
    ("message-id", "returned Message-ID"),
    ("return-path", "returned Return-Path"),
    ("x-ses-message-id", "returned X-SES-Message-ID"),
)


def returned_ses_id(returned: Headers | None, mail: Mail) -> tuple[SesId, str] | None:
    """The SES id of the returned mail and, in words, where it stood; None where there is none.

    Falls back on the texts of the bounce (`Sender Address: <id>@amazonses.com` of an Exchange report whose returned
    headers are gone), where it leaves out the ids of the bounce itself.
    """
    if returned is not None:
        for name, words in _RETURNED_FIELDS:
            value = returned.raw(name)
            if value and value.count("-") > 5 and (ids := ses_ids(value)):
                return ids[0], words
    if b"amazonses.com" not in mail.data:
        return None
    own_fields = (mail.headers.raw("message-id") or "") + " " + (mail.headers.raw("feedback-id") or "")
    own = {i.id for i in ses_ids(own_fields)} if "amazonses" in own_fields else set()
    texts = (part.text() for part in mail.parts if part.media_type.startswith("text/"))
    candidates = [i for text in texts if "amazonses.com" in text for i in ses_ids(text) if i.id not in own]
    if candidates:
        # Two ids may remain (the report's and the mail's): the returned mail is always the earlier one.
        earliest = min(candidates, key=lambda i: i.sent_at or datetime.max.replace(tzinfo=UTC))
        return earliest, "text of the report"
    return None


def read_ses_mail(mail: Mail) -> Reading | None:
    """Read a mail that an SNS e-mail subscription sent: one SES notification as JSON in its text."""
    if "x-amz-sns-message-id" not in mail.headers and "sns.amazonaws.com" not in (mail.headers.raw("from") or ""):
        return None
    text = next((part.text() for part in mail.parts if part.media_type == "text/plain"), "")
    start = text.find("{")
    if start < 0:
        return None
    # QUIRK(SNS mail): very long lines are broken by "!\n " on the way; JSON has no such sequence of its own.
    whole = text[start:].replace("!\n ", "")
    try:
        document, _ = json.JSONDecoder(strict=False).raw_decode(whole)
    except (ValueError, RecursionError):
        return None
    return read_notification(document)


def read_notification(document: object) -> Reading | None:
    """Read an SES notification or event in any of its shapes: bare, in an SNS envelope, as an EventBridge `detail`.

    None where the document is not about a failed, delayed or delivered mail or a complaint, or has no such shape.
    """
    notification = unwrap(document)
    if notification is None:
        return None
    mail = _object(notification.get("mail"))
    event = notification.get("notificationType") or notification.get("eventType")
    read = _EVENTS.get(event) if isinstance(event, str) else None
    if read is None or mail is None:
        return None
    failures = tuple(read(notification))
    if not failures:
        return None
    return Reading("ses-notification", failures, "amazon-ses", original=describe_sent(mail))


def unwrap(document: object) -> dict[str, Any] | None:
    """The notification or event inside an SNS envelope or an EventBridge event, or the document itself; else None."""
    for _ in range(4):
        found = _object(document)
        if found is None:
            return None
        if "mail" in found and ("notificationType" in found or "eventType" in found):
            return found
        document = found.get("Message") or found.get("detail")
        if isinstance(document, str):
            try:
                document = json.loads(document)
            except (ValueError, RecursionError):
                return None
    return None


def _bounce(notification: dict[str, Any]) -> list[Failure]:
    bounce = _object(notification.get("bounce")) or {}
    kind = _text(bounce.get("bounceType")) or "Undetermined"
    subtype = _text(bounce.get("bounceSubType")) or "Undetermined"
    # SES reports an address on a suppression list as a bounce though no server was asked.
    prose = f"SES bounce {kind}/{subtype}"
    host = _host(bounce.get("reportingMTA"))
    if host is not None and host.endswith(".amazonses.com") and "Suppress" not in subtype:
        host = _host(bounce.get("remoteMtaIp"))  # SES's own sending host passes on what somebody else said
    return [_failure("failed", recipient, prose, host) for recipient in _objects(bounce.get("bouncedRecipients"))]


def _delay(notification: dict[str, Any]) -> list[Failure]:
    delay = _object(notification.get("deliveryDelay")) or {}
    prose = f"SES delay {_text(delay.get('delayType')) or 'Undetermined'}"
    return [_failure("delayed", recipient, prose, None) for recipient in _objects(delay.get("delayedRecipients"))]


def _complaint(notification: dict[str, Any]) -> list[Failure]:
    complaint = _object(notification.get("complaint")) or {}
    prose = f"SES complaint {_text(complaint.get('complaintFeedbackType')) or 'of unknown type'}"
    return [
        _failure("feedback", recipient, prose, None) for recipient in _objects(complaint.get("complainedRecipients"))
    ]


def _delivery(notification: dict[str, Any]) -> list[Failure]:
    delivery = _object(notification.get("delivery")) or {}
    recipients = delivery.get("recipients")
    reply = _text(delivery.get("smtpResponse"))
    host = _host(delivery.get("remoteMtaIp"))
    return [
        Failure("delivered", _text(recipient), diagnostic=reply, remote_host=host)
        for recipient in (recipients if isinstance(recipients, list) else [])
    ]


def _reject(notification: dict[str, Any]) -> list[Failure]:
    mail = _object(notification.get("mail")) or {}
    reason = _text((_object(notification.get("reject")) or {}).get("reason"))
    recipients = mail.get("destination")
    return [
        Failure("failed", _text(recipient), diagnostic=reason, prose="SES rejected the message", platform="amazon-ses")
        for recipient in (recipients if isinstance(recipients, list) else [])
    ]


_EVENTS = {
    "Bounce": _bounce,
    "DeliveryDelay": _delay,
    "Complaint": _complaint,
    "Delivery": _delivery,
    "Reject": _reject,
}


def _failure(kind: Kind, recipient: dict[str, Any], prose: str, host: str | None) -> Failure:
    diagnostic = _text(recipient.get("diagnosticCode"))
    if diagnostic and diagnostic.lower().startswith("smtp;"):
        diagnostic = diagnostic[5:].strip()
    reply = read_reply(diagnostic) if diagnostic else None
    host = host or (host_in(diagnostic) if diagnostic else None)
    status = _text(recipient.get("status")) or (reply.status if reply else None)
    return Failure(
        kind,
        _text(recipient.get("emailAddress")),
        status=status,
        reply_code=reply.code if reply else None,
        diagnostic=diagnostic,
        prose=prose,
        remote_host=host,
        platform=platform_of(host, diagnostic),
    )


def describe_sent(mail: dict[str, Any]) -> Original:
    """What the `mail` object of a notification or event says of the mail that was sent."""
    common = _object(mail.get("commonHeaders")) or {}
    headers = {(_text(h.get("name")) or "").lower(): _text(h.get("value")) for h in _objects(mail.get("headers"))}
    message_id = _text(mail.get("messageId"))
    decoded = ses_ids(message_id or "")
    sent_at = event_time(mail.get("timestamp")) or (decoded[0].sent_at if decoded else None)
    arn = (_text(mail.get("sourceArn")) or "").split(":")
    region = arn[3] if len(arn) > 3 and arn[3] else (decoded[0].region if decoded else None)
    # The one place where both ids stand together: SES's own and the one the client wrote.
    client_id = (
        headers.get("x-gmail-original-message-id") or _text(common.get("messageId")) or headers.get("message-id")
    )
    gmail_id = client_id.strip("<> ") if client_id else None
    source = _text(mail.get("source"))
    # Gmail marks every mail it hands to an alias relay; without the mark the mail came by API or another program.
    through_gmail = "x-google-smtp-source" in headers or "x-gm-message-state" in headers
    return Original(
        message_id=f"{message_id}@{_id_domain(region)}" if message_id else None,
        gmail_message_id=gmail_id if gmail_id and (through_gmail or "mail.gmail.com" in gmail_id) else None,
        ses_message_id=message_id,
        ses_region=region,
        ses_id_source="SES notification" if message_id else None,
        sent_at=sent_at,
        sender=source,
        subject=_text(common.get("subject")) or headers.get("subject"),
        path="gmail-alias" if through_gmail else None,
    )


def _id_domain(region: str | None) -> str:
    return "email.amazonses.com" if region in (None, "us-east-1") else f"{region}.amazonses.com"


def event_time(value: object) -> datetime | None:
    """A timestamp of an SES event (ISO 8601), aware, UTC; None where it is none."""
    try:
        moment = datetime.fromisoformat(str(value))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # OverflowError: in UTC it would be the year 0, or 10,000
        return None


def _host(value: object) -> str | None:
    text = _text(value)
    return text.rpartition(";")[2].strip().lower() or None if text else None


def _object(value: object) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return clean(value[:4000]) or None if isinstance(value, str) else None
