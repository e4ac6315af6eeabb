"""Which messages of the event queue are believed: only those that can be ours.

Whoever may send to the queue can write anything into it. What a message itself can show is looked at here: the topic it
came from, the signature of SNS, the AWS account it tells of, its times. A message without an envelope (raw delivery,
EventBridge) shows nothing of that: it is believed because only the topic or rule may send to the queue, which
`triage audit` looks at; with `topics` set it is not believed at all. Stores nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from parsers.readers import unwrap
from remediation.aws import NotLookedUp
from remediation.aws import sns as aws_sns
from remediation.aws.sns import Certificates
from triage.config import Settings
from triage.model import FAILURE_KINDS, Event, SendingState
from triage.ses.notices import service_event

MOST_AHEAD = timedelta(minutes=15)
"""How far an event may lie after its receipt, by the later of two clocks: ours and that of the queue."""
EVENT_CLOCKS_APART = timedelta(minutes=1)
"""How far SES's own clocks may differ between taking a mail and handing it on."""

_ACCOUNT = re.compile(r"[0-9]{12}")


@dataclass(frozen=True, slots=True)
class NotBelieved:
    """A message that may be anybody's, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class Trust:
    """What a message is measured by."""

    topics: frozenset[str] = frozenset()
    """The topics that count; empty: any, and messages without an envelope too."""
    accounts: frozenset[str] = frozenset()
    """The AWS accounts that count; empty: not known."""
    certificates: Certificates = field(default_factory=Certificates)


def trust_of(settings: Settings) -> Trust:
    """What the settings say: the accounts by name, else those that stand in the names of queue, topics and secret."""
    named = [part for text in (*settings.topics, settings.smtp_secret or "") for part in text.split(":")[4:5]]
    named += (settings.queue_url or "").split("/")[3:4]
    accounts = settings.accounts or tuple(filter(_ACCOUNT.fullmatch, named))
    return Trust(frozenset(settings.topics), frozenset(accounts))


def doubt(document: Any, trust: Trust) -> NotBelieved | NotLookedUp | None:
    """Why a message is not believed; None: it is. NotLookedUp: that cannot be told now, and it has to wait."""
    envelope = document if isinstance(document, Mapping) and "TopicArn" in document else None
    if envelope is None and trust.topics:
        return NotBelieved("it has no envelope of SNS, and `topics` says that all messages have one")
    if envelope is not None:
        topic = str(envelope["TopicArn"])
        if trust.topics and topic not in trust.topics:
            return NotBelieved(f"it came from another topic, {topic[:200]}")
        if trust.accounts and not trust.topics and not trust.accounts.intersection(topic.split(":")[4:5]):
            return NotBelieved(f"it came from a topic of another AWS account, {topic[:200]}")
        if "Signature" in envelope or "SigningCertURL" in envelope or trust.topics:
            signed = aws_sns.check_signature(envelope, trust.certificates)
            if signed is not None:
                return NotBelieved(signed.why) if isinstance(signed, aws_sns.NotSigned) else signed
    return _of_another_account(document, trust) or _state_of_another_account(document, trust)


def _state_of_another_account(document: Any, trust: Trust) -> NotBelieved | None:
    """Whether a word of SES about itself is not certainly about our account: it may open an incident by itself."""
    event = service_event(document)
    if event is None or str(event.get("account")) in trust.accounts:
        return None
    return NotBelieved("it tells of SES in an AWS account that is not known to be ours (`accounts`)")


def _of_another_account(document: Any, trust: Trust) -> NotBelieved | None:
    """Whether an event says that another account sent the mail, for another's identity."""
    notification = unwrap(document)
    sent = notification.get("mail") if notification else None
    if not trust.accounts or not isinstance(sent, Mapping):
        return None
    # With sending authorization the identity may be another account's.
    said = (sent.get("sendingAccountId"), *str(sent.get("sourceArn") or "").split(":")[4:5])
    accounts = [str(account) for account in said if account]
    if not accounts or trust.accounts.intersection(accounts):
        return None
    return NotBelieved(f"it tells of mail from another AWS account, {accounts[0][:20]}")


def in_time(events: Sequence[Event], received_at: datetime) -> list[Event] | NotBelieved:
    """The events with times that can be; NotBelieved where one could be a sign of something that has not happened.

    What SES took or delivered counts as a sign that something works again, so its time must lie between the mail and
    the receipt. The time of a bounce is that of a stranger's server, whose clock may be wrong: it is moved between the
    two. An event of 2099 neither ends an incident nor keeps one open.
    """
    latest = received_at + MOST_AHEAD
    held = []
    for event in events:
        if event.sent_at and event.sent_at > latest:
            return NotBelieved("its mail would have been sent after it was received")
        if event.kind not in FAILURE_KINDS:
            if event.at > latest:
                return NotBelieved("it would have happened after it was received")
            if event.sent_at and event.at + EVENT_CLOCKS_APART < event.sent_at:
                return NotBelieved("it would have happened before its mail was sent")
            held.append(event)
            continue
        at = event.at if event.at <= latest else received_at
        held.append(replace(event, at=max(at, event.sent_at) if event.sent_at else at))
    return held


def state_in_time(state: SendingState, received_at: datetime) -> SendingState | NotBelieved:
    """The state with a time that can be: nobody stops or ends anything ahead of time."""
    if state.at > received_at + MOST_AHEAD:
        return NotBelieved("it would have happened after it was received")
    return replace(state, at=min(state.at, received_at))
