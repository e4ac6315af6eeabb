"""The way an event takes from a topic to our queue: who is subscribed, who may put something there. Only reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from remediation.aws.client import NotLookedUp, find

_NO_QUEUE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")
_NO_KEY = ("NotFoundException",)
_SOURCE_KEYS = frozenset({"aws:sourcearn", "aws:sourceaccount", "aws:principalaccount", "aws:principalorgid"})


@dataclass(frozen=True, slots=True)
class Subscription:
    """Whom a topic tells."""

    protocol: str
    """sqs, email, https, ..."""
    endpoint: str
    """For sqs the ARN of the queue."""
    is_confirmed: bool


@dataclass(frozen=True, slots=True)
class QueueSetup:
    """A queue as its owner set it up."""

    arn: str
    policy: Mapping[str, Any]
    kms_key: str | None
    """The key its messages are encrypted with; None: none, or one SQS keeps itself, which needs no permission."""


@dataclass(frozen=True, slots=True)
class KeySetup:
    """A key of KMS that a queue is encrypted with."""

    arn: str
    is_of_aws: bool
    """AWS looks after it, and nobody can change who may use it."""
    lets_sns: bool
    """Its own policy lets SNS make data keys with it and open them; conditions are taken as kept."""


def key_setup(region: str, key: str) -> KeySetup | NotLookedUp | None:
    """A key by its id, ARN or alias, and whether SNS may use it; None: there is no such key.

    https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    """
    what = f"the policy of key {key}"
    found = find(
        what,
        "kms",
        region,
        "DescribeKey",
        lambda answer: (str(answer["KeyMetadata"]["Arn"]), answer["KeyMetadata"].get("KeyManager") == "AWS"),
        absent=_NO_KEY,
        KeyId=key,
    )
    if found is None or isinstance(found, NotLookedUp):
        return found
    arn, is_of_aws = found
    if is_of_aws:
        return KeySetup(arn, is_of_aws, lets_sns=False)
    lets = find(
        what,
        "kms",
        region,
        "GetKeyPolicy",
        lambda answer: _lets_sns(json.loads(answer["Policy"])),
        absent=_NO_KEY,
        KeyId=arn,
        PolicyName="default",
    )
    return lets if lets is None or isinstance(lets, NotLookedUp) else KeySetup(arn, is_of_aws, lets)


def _lets_sns(policy: Mapping[str, Any]) -> bool:
    missing = {"kms:generatedatakey", "kms:decrypt"}
    for statement in _listed(policy.get("Statement")):
        to_sns = "sns.amazonaws.com" in _names(statement, "Service") or (
            "*" in _names(statement, "AWS") and not statement.get("Condition")
        )
        if statement.get("Effect") == "Allow" and to_sns:
            allowed = [str(action).lower() for action in _listed(statement.get("Action"))]
            missing -= {action for action in missing if any(fnmatchcase(action, pattern) for pattern in allowed)}
    return not missing


def subscriptions(topic_arn: str) -> list[Subscription] | NotLookedUp | None:
    """Whom a topic tells, the first hundred; None: there is no such topic."""
    return find(
        f"the subscriptions of topic {topic_arn}",
        "sns",
        topic_arn.split(":")[3],
        "ListSubscriptionsByTopic",
        lambda answer: [
            Subscription(row["Protocol"], row["Endpoint"], str(row["SubscriptionArn"]).startswith("arn:"))
            for row in answer["Subscriptions"]
        ],
        absent=("NotFound", "NotFoundException"),
        TopicArn=topic_arn,
    )


def queue_setup(region: str, queue_url: str) -> QueueSetup | NotLookedUp | None:
    """The policy and the key of a queue; None: there is no such queue."""
    return find(
        "the policy of the event queue",
        "sqs",
        region,
        "GetQueueAttributes",
        _setup,
        absent=_NO_QUEUE,
        QueueUrl=queue_url,
        AttributeNames=["QueueArn", "Policy", "KmsMasterKeyId"],
    )


def _setup(answer: Mapping[str, Any]) -> QueueSetup:
    held = answer["Attributes"]
    return QueueSetup(held["QueueArn"], json.loads(held.get("Policy") or "{}"), held.get("KmsMasterKeyId") or None)


def lets_topic_send(setup: QueueSetup, topic_arn: str) -> bool:
    """Whether the queue's policy lets SNS put the messages of this topic there. A Deny is not looked at."""
    for statement in _sending(setup):
        sources = [value for key, values in _conditions(statement) if key == "aws:sourcearn" for value in values]
        by_sns = "sns.amazonaws.com" in _names(statement, "Service") or "*" in _names(statement, "AWS")
        if by_sns and (not sources or any(fnmatchcase(topic_arn, source) for source in sources)):
            return True
    return False


def strange_senders(setup: QueueSetup, topics: tuple[str, ...]) -> list[str]:
    """Who else may put messages there: everybody, other accounts, other sources than the topics; in words.

    The account the queue belongs to may anyhow. A service without a condition is everybody who can use it.
    """
    own, found = setup.arn.split(":")[4], []
    for statement in _sending(setup):
        kept = [(key, values) for key, values in _conditions(statement) if key in _SOURCE_KEYS]
        strange = [
            value
            for key, values in kept
            for value in values
            if not (value in topics or value == own or (key == "aws:principalorgid"))
            and not (key == "aws:sourcearn" and _is_of(value, own, rules_only=bool(topics)))
        ]
        principals = [*_names(statement, "AWS"), *_names(statement, "Service")]
        others = [name for name in principals if name != own and f"::{own}:" not in name]
        if kept:
            found += [f"whatever comes from {value}" for value in strange if others]
        else:
            found += ["everybody" if name == "*" else name for name in others]
    return list(dict.fromkeys(found))


def _is_of(arn: str, account: str, *, rules_only: bool) -> bool:
    """Whether a source is one of an account and no other, where need be a rule of EventBridge."""
    parts = arn.split(":")
    is_rule = parts[2:3] == ["events"] and "*" not in ":".join(parts[:5])
    return parts[4:5] == [account] and (is_rule if rules_only else is_rule or "*" not in arn)


def _sending(setup: QueueSetup) -> list[Mapping[str, Any]]:
    return [
        statement
        for statement in _listed(setup.policy.get("Statement"))
        if statement.get("Effect") == "Allow"
        and any(fnmatchcase("sqs:sendmessage", str(a).lower()) for a in _listed(statement.get("Action")))
    ]


def _names(statement: Mapping[str, Any], kind: str) -> list[str]:
    principal = statement.get("Principal")
    if principal == "*":
        return ["*"] if kind == "AWS" else []
    return [str(name) for name in _listed(principal.get(kind))] if isinstance(principal, Mapping) else []


def _conditions(statement: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Key in lower case -> values, of the operators that ask for a likeness; others bind nobody to a source."""
    return [
        (str(key).lower(), [str(value) for value in _listed(values)])
        for operator, keys in (statement.get("Condition") or {}).items()
        if operator.lower() in ("arnequals", "arnlike", "stringequals", "stringlike")
        for key, values in keys.items()
    ]


def _listed(value: Any) -> list[Any]:
    """A policy writes one thing without the list."""
    return [] if value is None else value if isinstance(value, list) else [value]
