"""Bounces that Amazon SES reports as JSON: notifications and events, in every wrapping they come in.

Sources: Amazon SES developer guide, "notification contents" and "event publishing: retrieving SNS contents"; public
samples.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from parsers.facts import Failure, FailureKind, Original, Reading
from parsers.mime import Mail, bare_address
from parsers.platform import platform_of
from parsers.ses_ids import ses_id_domain, ses_ids
from parsers.smtp_reply import read_reply
from parsers.text import one_line
from parsers.words import host_in


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
    for layer in layers(document, ("Message", "detail"), deepest=4):
        if "mail" in layer and ("notificationType" in layer or "eventType" in layer):
            return layer
    return None


def layers(document: object, inside: Sequence[str], deepest: int) -> Iterator[dict[str, Any]]:
    """A document and what lies in it, one in the other, under the first of these names that holds something."""
    for _ in range(deepest):
        layer = _object(document)
        if layer is None:
            return
        yield layer
        document = next((layer[name] for name in inside if layer.get(name)), None)
        if isinstance(document, str):
            try:
                document = json.loads(document)
            except (ValueError, RecursionError):
                return


def _bounce(notification: dict[str, Any]) -> list[Failure]:
    bounce = _object(notification.get("bounce")) or {}
    kind = _text(bounce.get("bounceType")) or "Undetermined"
    subtype = _text(bounce.get("bounceSubType")) or "Undetermined"
    prose = f"SES bounce {kind}/{subtype}"
    host = _host(bounce.get("reportingMTA"))
    # SES reports an address on a suppression list as a bounce though no server was asked.
    of_itself = "Suppress" in subtype or subtype == "UnsubscribedRecipient"
    if host is not None and _is_ses(host) and not of_itself:
        host = _host(bounce.get("remoteMtaIp"))  # SES's own sending host passes on what somebody else said
    failures = [_failure("failed", recipient, prose, host) for recipient in _objects(bounce.get("bouncedRecipients"))]
    # Without a sentence of anybody the type is all that SES says, and it is passed on.
    failures = [f if f.diagnostic else f._replace(diagnostic=prose) for f in failures]
    return [f._replace(inner=prose) for f in failures] if of_itself else failures


def _is_ses(host: str) -> bool:
    return host == "amazonses.com" or host.endswith(".amazonses.com")


def _delay(notification: dict[str, Any]) -> list[Failure]:
    delay = _object(notification.get("deliveryDelay")) or {}
    prose = f"SES delay {_text(delay.get('delayType')) or 'Undetermined'}"
    return [_failure("delayed", recipient, prose, None) for recipient in _objects(delay.get("delayedRecipients"))]


def _complaint(notification: dict[str, Any]) -> list[Failure]:
    complaint = _object(notification.get("complaint")) or {}
    recipients = _objects(complaint.get("complainedRecipients"))
    subtype = _text(complaint.get("complaintSubType"))
    if subtype is not None:
        # No complaint: SES took the mail and never sent it, because of a complaint long before.
        prose = f"SES bounce Permanent/{subtype}" if "Suppress" in subtype else f"SES complaint {subtype}"
        return [_failure("failed", recipient, prose, None)._replace(platform="amazon-ses") for recipient in recipients]
    kind = (_text(complaint.get("complaintFeedbackType")) or "").lower()
    if kind == "not-spam":  # RFC 6430: it had been taken for spam, and the recipient says that it is none
        return [
            Failure("delivered", _person(r.get("emailAddress")), prose="SES complaint not-spam") for r in recipients
        ]
    prose = f"SES complaint {kind or 'of unknown type'}"
    return [_failure("feedback", recipient, prose, None) for recipient in recipients]


def _delivery(notification: dict[str, Any]) -> list[Failure]:
    delivery = _object(notification.get("delivery")) or {}
    recipients = delivery.get("recipients")
    reply = _text(delivery.get("smtpResponse"))
    host = _host(delivery.get("remoteMtaIp"))
    return [
        Failure("delivered", _person(recipient), diagnostic=reply, remote_host=host)
        for recipient in (recipients if isinstance(recipients, list) else [])
    ]


def _reject(notification: dict[str, Any]) -> list[Failure]:
    mail = _object(notification.get("mail")) or {}
    reason = _text((_object(notification.get("reject")) or {}).get("reason"))
    recipients = mail.get("destination")
    return [
        Failure(
            "failed", _person(recipient), diagnostic=reason, prose="SES rejected the message", platform="amazon-ses"
        )
        for recipient in (recipients if isinstance(recipients, list) else [])
    ]


_EVENTS = {
    "Bounce": _bounce,
    "DeliveryDelay": _delay,
    "Complaint": _complaint,
    "Delivery": _delivery,
    "Reject": _reject,
}


def _failure(kind: FailureKind, recipient: dict[str, Any], prose: str, host: str | None) -> Failure:
    diagnostic = _text(recipient.get("diagnosticCode"))
    if diagnostic and diagnostic.lower().startswith("smtp;"):
        diagnostic = diagnostic[5:].strip()
    reply = read_reply(diagnostic) if diagnostic else None
    host = host or (host_in(diagnostic) if diagnostic else None)
    status = _text(recipient.get("status")) or (reply.status if reply else None)
    return Failure(
        kind,
        _person(recipient.get("emailAddress")),
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
    source = _person(mail.get("source"))
    # Gmail marks every mail it hands to an alias relay; without the mark the mail came by API or another program.
    through_gmail = "x-google-smtp-source" in headers or "x-gm-message-state" in headers
    return Original(
        message_id=f"{message_id}@{ses_id_domain(region)}" if message_id else None,
        gmail_message_id=gmail_id if gmail_id and (through_gmail or "mail.gmail.com" in gmail_id) else None,
        ses_message_id=message_id,
        ses_region=region,
        ses_id_source="SES notification" if message_id else None,
        sent_at=sent_at,
        sender=source,
        subject=_text(common.get("subject")) or headers.get("subject"),
        path="gmail-alias" if through_gmail else None,
    )


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


def _person(value: object) -> str | None:
    """An address without the display name that SES passes on with it where the sender wrote one."""
    text = _text(value)
    return bare_address(text) if text else None


def _text(value: object) -> str | None:
    return one_line(value[:4000]) or None if isinstance(value, str) else None
