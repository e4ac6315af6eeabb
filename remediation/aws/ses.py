"""What Amazon SES knows of recipients and messages: the suppression list, what became of a mail; and sending one.

Each function asks one region and returns what was found, None where SES says there is no such thing, or
`aws.NotLookedUp` with the reason. Changes nothing at AWS but in the function that says so. SES answers one such request
a second: whoever looks up single addresses and messages here waits for a turn. How SES is set up is in `ses_setup`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from parsers.mime import bare_address
from remediation.aws.client import NotLookedUp, ask, find
from remediation.aws.turns import Turns

_T = TypeVar("_T")

TURNS = Turns()
"""Of this process, whoever asks: an account has one rate."""
MOST_TURNS = 3
"""How often something is asked for where SES says to slow down, in ever longer distances."""

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


@dataclass(frozen=True, slots=True)
class AddressInsights:
    """What SES thinks of an address: LOW, MEDIUM or HIGH, how sure it is of each; None: it does not say."""

    is_valid: str | None
    mailbox_exists: str | None
    is_disposable: str | None
    is_random: str | None


def address_insights(region: str, address: str) -> AddressInsights | NotLookedUp:
    """SES's opinion of an address, without a mail to it. Amazon charges for each.

    https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_GetEmailAddressInsights.html
    """
    what = f"SES's opinion of the address in {region}"
    found = _in_turn(region, "GetEmailAddressInsights", _opinion, what, EmailAddress=bare_address(address))
    return NotLookedUp(what, "SES knows nothing of it", "refused") if found is None else found


def _opinion(answer: Mapping[str, Any]) -> AddressInsights:
    held = answer["MailboxValidation"]
    said = {"IsValid": held.get("IsValid"), **(held.get("Evaluations") or {})}
    verdicts = [(said.get(name) or {}).get("ConfidenceVerdict") for name in _OPINIONS]
    return AddressInsights(*(str(verdict) if verdict else None for verdict in verdicts))


_OPINIONS = ("IsValid", "MailboxExists", "IsDisposable", "IsRandomInput")


def suppressed_destination(region: str, address: str) -> Suppressed | NotLookedUp | None:
    """The suppression list entry of an address, with the message that caused it; None: it is not on the list."""
    return _in_turn(
        region,
        "GetSuppressedDestination",
        lambda answer: _suppressed(answer["SuppressedDestination"]),
        f"the suppression list in {region}",
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
    return _in_turn(region, "GetMessageInsights", _insights, f"message insights in {region}", MessageId=message_id)


def _in_turn(
    region: str, operation: str, read: Callable[[Mapping[str, Any]], _T], what: str, **parameters: Any
) -> _T | NotLookedUp | None:
    """Ask SES when it is the operation's turn; again, later, where SES says that it was too soon."""
    for _ in range(MOST_TURNS):
        TURNS.wait((region, operation))
        answer = find(what, "sesv2", region, operation, read, absent=ABSENT, **parameters)
        if not (isinstance(answer, NotLookedUp) and answer.kind == "throttled"):
            break
        TURNS.slow_down((region, operation))
    return answer


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
