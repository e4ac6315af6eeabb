"""What AWS says in the queue beside events of single mails: sending stopped, advice, notices of SNS about itself. Pure.

Whether it is believed is judged in `believed`. Nothing here follows an address that a message names.
https://docs.aws.amazon.com/ses/latest/dg/tenants.html, .../monitoring-eventbridge.html;
https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from parsers.readers import event_time, layers
from parsers.ses_hosts import looks_like_region
from parsers.text import one_line
from triage.model import SendingState

_STATES = {"Sending Status Disabled": False, "Sending Status Enabled": True}
# The guide calls the end of an advice both.
_ADVICE = frozenset({f"Advisor Recommendation Status {word}" for word in ("Open", "Resolved", "Closed")})
_SNS = {
    "SubscriptionConfirmation": "it waits for somebody to confirm that this queue wants its messages: look at its"
    " subscriptions in the SNS console; until then nothing comes from it",
    "UnsubscribeConfirmation": "somebody ended the subscription of this queue: nothing comes from it any more",
}
_TOPIC = re.compile(r"arn:[a-z-]{1,20}:sns:[a-z0-9-]{1,30}:[0-9]{12}:[A-Za-z0-9_.-]{1,256}")
_DEEPEST = 3
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class AwsNotice:
    """What is no event of a mail. `words` None: it is known, and told elsewhere or of no interest."""

    words: str | None = None


def service_event(document: Any) -> Mapping[str, Any] | None:
    """The EventBridge event about SES itself in a message, also inside an envelope of SNS; None: it is none."""
    for layer in layers(document, ("Message",), _DEEPEST):
        kind = layer.get("detail-type")
        if layer.get("source") == "aws.ses" and isinstance(kind, str) and (kind in _STATES or kind in _ADVICE):
            return layer
    return None


def read_notice(document: Any) -> SendingState | AwsNotice | None:
    """What a message says of SES or SNS itself; None: it says nothing of that, or nothing that can be read."""
    if isinstance(document, Mapping) and document.get("Type") in _SNS:
        topic = str(document.get("TopicArn"))[:_LONGEST]
        return AwsNotice(f"{topic}: {_SNS[document['Type']]}") if _TOPIC.fullmatch(topic) else None
    event = service_event(document)
    if event is None:
        return None
    kind = str(event["detail-type"])
    return AwsNotice() if kind in _ADVICE else _sending_state(kind, event)


def _sending_state(kind: str, event: Mapping[str, Any]) -> SendingState | None:
    region, at = event.get("region"), event_time(event.get("time"))
    resources = event.get("resources")
    if not isinstance(region, str) or not looks_like_region(region) or at is None:
        return None
    named = resources[0] if isinstance(resources, list) and resources else None
    data = _held(_held(event, "detail"), "data")
    record = _held(data, "record")
    said = [one_line(value[:_LONGEST]) for value in (data.get("origin"), record.get("cause")) if isinstance(value, str)]
    return SendingState(
        region=region,
        resource=one_line(named[:_LONGEST]) if isinstance(named, str) else "account",
        is_enabled=_STATES[kind],
        at=at,
        words=": ".join(said) or None,
    )


def _held(row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = row.get(name)
    return found if isinstance(found, Mapping) else {}
