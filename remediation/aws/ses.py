"""What Amazon SES knows of recipients and messages: the suppression list, what became of a mail; and sending one.

Each function asks one region and returns what was found, None where SES says there is no such thing, or
`aws.NotLookedUp` with the reason. Changes nothing at AWS but in the two functions that say so. SES answers about one
such request a second: callers ask one after the other. How SES is set up is in `aws_ses_setup`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from parsers.mime import bare_address
from remediation.aws.client import NotLookedUp, ask, find

ABSENT = ("NotFoundException",)
_PAGE = 100
MAX_PAGES = 1000  # an endless list is a fault of the other side, not a reason to run for ever


@dataclass(frozen=True, slots=True)
class Suppressed:
    """An address SES no longer sends to in this region."""

    address: str
    reason: str
    """BOUNCE or COMPLAINT."""
    since: datetime
    """Aware, UTC: when SES last renewed the entry."""
    message_id: str | None = None
    """The SES id of the mail that caused the entry; None in lists, and for an address put there by hand."""
    feedback_id: str | None = None


@dataclass(frozen=True, slots=True)
class MessageEvent:
    """One thing SES knows to have happened to one recipient of a message."""

    recipient: str
    type: str
    """SEND, DELIVERY, BOUNCE, COMPLAINT, REJECT, DELIVERY_DELAY, ..."""
    at: datetime
    bounce_type: str | None = None
    bounce_subtype: str | None = None
    diagnostic: str | None = None


@dataclass(frozen=True, slots=True)
class MessageInsights:
    """What Virtual Deliverability Manager kept of one message."""

    message_id: str
    sender: str | None
    subject: str | None
    events: tuple[MessageEvent, ...]


def suppressed_destination(region: str, address: str) -> Suppressed | NotLookedUp | None:
    """The suppression list entry of an address, with the message that caused it; None: it is not on the list."""
    return find(
        f"the suppression list in {region}",
        "sesv2",
        region,
        "GetSuppressedDestination",
        lambda answer: _suppressed(answer["SuppressedDestination"]),
        absent=ABSENT,
        EmailAddress=bare_address(address),
    )


def suppressed_destinations(region: str) -> Iterator[Suppressed | NotLookedUp]:
    """Every entry of the suppression list in a region; a NotLookedUp is the last item: the list is cut off there."""
    yield from pages(
        f"the suppression list in {region}",
        region,
        "ListSuppressedDestinations",
        lambda answer: [_suppressed(row) for row in answer["SuppressedDestinationSummaries"]],
    )


def message_insights(region: str, message_id: str) -> MessageInsights | NotLookedUp | None:
    """What became of one message, by its SES id; None: SES kept nothing of it. Needs VDM."""
    return find(
        f"message insights in {region}",
        "sesv2",
        region,
        "GetMessageInsights",
        _insights,
        absent=ABSENT,
        MessageId=message_id,
    )


NOT_SENT = frozenset(
    {"denied", "bad-credentials", "no-credentials", "throttled", "unsupported", "refused", "misdirected"}
)
"""Kinds of `NotLookedUp` after which it is certain that `send_raw` sent nothing."""


def send_raw(region: str, raw: bytes, sender: str, recipients: Sequence[str]) -> str | NotLookedUp:
    """Send a complete mail to these recipients, and to nobody its headers name besides; returns its SES id.

    Changes something at AWS. After a `timeout` or `unreachable` nobody knows whether the mail left.
    """
    return ask(
        f"sending through SES in {region}",
        "sesv2",
        region,
        "SendEmail",
        lambda answer: str(answer["MessageId"]),
        attempts=1,
        uploads=len(raw) * 4 // 3,
        FromEmailAddress=sender,
        Destination={"ToAddresses": list(recipients)},
        Content={"Raw": {"Data": raw}},
    )


def pages(what: str, region: str, operation: str, read: Any, **parameters: Any) -> Iterator[Any]:
    """Every item of every page; botocore has no paginator for these operations. Ends with the NotLookedUp, if any."""
    token: dict[str, Any] = {}
    for _ in range(MAX_PAGES):
        answer = ask(
            what,
            "sesv2",
            region,
            operation,
            lambda answer: (read(answer), answer.get("NextToken")),
            **parameters,
            **token,
            PageSize=_PAGE,
        )
        if isinstance(answer, NotLookedUp):
            yield answer
            return
        items, next_token = answer
        yield from items
        if not next_token:
            return
        token = {"NextToken": next_token}
    yield NotLookedUp(what, f"the list goes on after {MAX_PAGES} pages", "garbled")


def whole(items: Iterator[Any]) -> list[Any] | NotLookedUp:
    found = list(items)
    return found[-1] if found and isinstance(found[-1], NotLookedUp) else found


def _suppressed(row: Mapping[str, Any]) -> Suppressed:
    causes = row.get("Attributes") or {}
    return Suppressed(
        str(row["EmailAddress"]),
        str(row["Reason"]),
        _utc(row["LastUpdateTime"]),
        causes.get("MessageId") or None,
        causes.get("FeedbackId") or None,
    )


def _insights(answer: Mapping[str, Any]) -> MessageInsights:
    events = []
    for insight in answer.get("Insights") or ():
        for event in insight.get("Events") or ():
            bounce = (event.get("Details") or {}).get("Bounce") or {}
            events.append(
                MessageEvent(
                    bare_address(str(insight["Destination"])),
                    str(event["Type"]),
                    _utc(event["Timestamp"]),
                    bounce.get("BounceType"),
                    bounce.get("BounceSubType"),
                    bounce.get("DiagnosticCode"),
                )
            )
    return MessageInsights(
        str(answer["MessageId"]), answer.get("FromEmailAddress") or None, answer.get("Subject") or None, tuple(events)
    )


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC)
