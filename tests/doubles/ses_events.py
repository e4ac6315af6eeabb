"""SES events and notifications as JSON, in the shapes SES publishes (domain/bounces.md 2.7). Written by us."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from tests.doubles.ses_api import new_message_id

JSON = dict[str, Any]
SENDER = "admin@queenofsandiego.com"


def stamp(at: datetime) -> str:
    """A time as SES writes it."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ses_event(
    kind: str,
    recipients: Sequence[str],
    *,
    at: datetime,
    message_id: str | None = None,
    region: str = "us-east-1",
    subject: str = "Friday sail",
    client_id: str = "CAF0alias@mail.gmail.com",
    key: str = "eventType",
    sender: str = SENDER,
    **details: Any,
) -> JSON:
    """One event: `kind` is Bounce, Complaint, Delivery, Send, Reject or DeliveryDelay; `key` the name of that field.

    `at` is when the mail was accepted and the thing happened; `details` of a bounce (type, subtype, diagnostic, status)
    replace the usual ones.
    """
    message_id = message_id or new_message_id(region, int(at.timestamp() * 1000))
    event: JSON = {
        key: kind,
        "mail": {
            "timestamp": stamp(at),
            "messageId": message_id,
            "source": sender,
            "sourceArn": f"arn:aws:ses:{region}:123456789012:identity/{sender.rpartition('@')[2]}",
            "sendingAccountId": "123456789012",
            "destination": list(recipients),
            "headersTruncated": False,
            "headers": [
                {"name": "From", "value": sender},
                {"name": "To", "value": ", ".join(recipients)},
                {"name": "Subject", "value": subject},
                {"name": "Message-ID", "value": f"<{client_id}>"},
            ],
            "commonHeaders": {"from": [sender], "to": list(recipients), "subject": subject, "messageId": message_id},
            "tags": {"ses:configuration-set": ["events"], "ses:caller-identity": ["ses-smtp-admin"]},
        },
    }
    feedback_id = message_id[:-7] + "-000001"
    match kind:
        case "Bounce":
            rows = [
                {
                    "emailAddress": recipient,
                    "action": "failed",
                    "status": details.get("status", "5.1.1"),
                    "diagnosticCode": details.get("diagnostic", "smtp; 550 5.1.1 user unknown"),
                }
                for recipient in recipients
            ]
            event["bounce"] = {
                "bounceType": details.get("type", "Permanent"),
                "bounceSubType": details.get("subtype", "General"),
                "bouncedRecipients": rows,
                "timestamp": stamp(at),
                "feedbackId": feedback_id,
                "reportingMTA": details.get("reporting_mta", "dns; a8-50.smtp-out.amazonses.com"),
            }
        case "Complaint":
            event["complaint"] = {
                "complainedRecipients": [{"emailAddress": recipient} for recipient in recipients],
                "timestamp": stamp(at),
                "feedbackId": feedback_id,
                "complaintFeedbackType": "abuse",
            }
        case "Delivery":
            event["delivery"] = {
                "timestamp": stamp(at),
                "processingTimeMillis": 812,
                "recipients": list(recipients),
                "smtpResponse": "250 2.6.0 Queued mail for delivery",
                "reportingMTA": "a8-50.smtp-out.amazonses.com",
                "remoteMtaIp": "192.0.2.25",
            }
        case "DeliveryDelay":
            event["deliveryDelay"] = {
                "delayType": details.get("type", "MailboxFull"),
                "delayedRecipients": [
                    {"emailAddress": recipient, "status": "4.2.2", "diagnosticCode": "smtp; 452 4.2.2 mailbox full"}
                    for recipient in recipients
                ],
                "expirationTime": stamp(at),
                "reportingMTA": "a8-50.smtp-out.amazonses.com",
                "timestamp": stamp(at),
            }
        case "Reject":
            event["reject"] = {"reason": "Bad content"}
        case "Send":
            event["send"] = {}
        case _:
            raise ValueError(f"no event is called {kind}")
    return event


def in_envelope(event: JSON, **changes: Any) -> str:
    """An event as SNS puts it into a queue without raw delivery, but for the signature (`doubles.sns`)."""
    return json.dumps(
        {
            "Type": "Notification",
            "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
            "TopicArn": "arn:aws:sns:us-east-1:123456789012:ses-events",
            "Message": json.dumps(event),
            "Timestamp": "2026-11-24T09:00:00.000Z",
            **changes,
        }
    )


def from_eventbridge(event: JSON) -> str:
    """An event as EventBridge puts it into a queue."""
    kind = event.get("eventType") or event.get("notificationType")
    return json.dumps(
        {
            "version": "0",
            "id": "12345678-1234-1234-1234-123456789012",
            "detail-type": f"Email {kind}",
            "source": "aws.ses",
            "account": "123456789012",
            "time": event["mail"]["timestamp"],
            "region": "us-east-1",
            "resources": [],
            "detail": event,
        }
    )
