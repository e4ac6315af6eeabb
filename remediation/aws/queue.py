"""The SQS queue that SES events arrive in: take some, and delete what has been stored.

Knows nothing of what the messages mean. A message that is taken and not deleted comes back by itself after
HIDDEN_SECONDS: that is what makes a killed run lose nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from remediation.aws.client import NotLookedUp, ask

MAX_MESSAGES = 10  # the most SQS gives out, or deletes, in one request
HIDDEN_SECONDS = 120
"""How long a message that was taken stays hidden from others: far longer than storing ten messages takes."""

WAIT_SECONDS = 1
"""Waiting at all makes SQS ask every server of the queue; without it an answer of none proves nothing."""

_REGION = re.compile(
    r"^https?://(?:sqs\.([a-z0-9-]+)\.|([a-z0-9-]+)\.queue\.)amazonaws\.(?:com|eu)(?![a-z0-9-])", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """One message as the queue gave it."""

    id: str
    body: str
    receipt: str
    """What to delete it with; good for this one time it was received."""
    received: int
    """How often it was given out, this time included."""
    sent_at: datetime | None = None
    """When the queue took it, by AWS's clock."""


def queue_region(queue_url: str) -> str | None:
    """The region a queue lives in, by its address; None for an address that is not AWS's."""
    match = _REGION.match(queue_url)
    return (match[1] or match[2]).lower() if match else None


def receive(region: str, queue_url: str) -> list[QueueMessage] | NotLookedUp:
    """Take up to MAX_MESSAGES messages, waiting WAIT_SECONDS for the first. None came: the queue is empty."""
    return ask(
        "the event queue",
        "sqs",
        region,
        "ReceiveMessage",
        _messages,
        QueueUrl=queue_url,
        MaxNumberOfMessages=MAX_MESSAGES,
        VisibilityTimeout=HIDDEN_SECONDS,
        WaitTimeSeconds=WAIT_SECONDS,
        AttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
    )


def delete(region: str, queue_url: str, messages: Sequence[QueueMessage]) -> list[str] | NotLookedUp:
    """Delete messages (at most MAX_MESSAGES); returns the ids of those SQS did not delete, which will come again."""
    return ask(
        "deleting from the event queue",
        "sqs",
        region,
        "DeleteMessageBatch",
        # Only what SQS says is deleted counts; an answer that says nothing at all has deleted nothing.
        lambda answer: _left(messages, {str(row["Id"]) for row in answer.get("Successful") or ()}),
        QueueUrl=queue_url,
        Entries=[{"Id": str(number), "ReceiptHandle": message.receipt} for number, message in enumerate(messages)],
    )


def _messages(answer: Mapping[str, Any]) -> list[QueueMessage]:
    return [
        QueueMessage(
            str(row["MessageId"]),
            str(row["Body"]),
            str(row["ReceiptHandle"]),
            int((row.get("Attributes") or {}).get("ApproximateReceiveCount", 1)),
            _sent_at((row.get("Attributes") or {}).get("SentTimestamp")),
        )
        for row in answer.get("Messages") or ()
    ]


def _sent_at(milliseconds: str | None) -> datetime | None:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC) if milliseconds else None


def _left(messages: Sequence[QueueMessage], deleted: Collection[str]) -> list[str]:
    return [message.id for number, message in enumerate(messages) if str(number) not in deleted]
