"""Judges the way of an event behind the topic: subscription, queue, who may write there, its key. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator

from remediation.audit.ask import SSE_OF_AWS
from remediation.audit.catalogue import finding, unanswered
from remediation.audit.facts import AuditFacts, Finding, FindingState
from remediation.aws import KeySetup, NotLookedUp, QueueSetup, lets_topic_send, strange_senders


def check_event_path(facts: AuditFacts) -> Iterator[Finding]:
    """From every topic that is told of our events to our queue, as the events go."""
    url = facts.scope.queue_url
    setup = facts.queue
    by_hand = f"aws sqs get-queue-attributes --queue-url {url} --attribute-names All"
    if isinstance(setup, NotLookedUp):
        yield unanswered("event-queue", str(url), setup, by_hand=by_hand, leaves_open=["event-queue-writers"])
    elif url and setup is None and facts.aws_away is None:
        fix = ["Mend `queue_url` in triage.toml, or make the queue again."]
        yield finding("event-queue", url, "fail", f"the queue {url}", "it does not exist", fix=fix, by_hand=by_hand)
    known = setup if isinstance(setup, QueueSetup) else None
    for topic in facts.subscribers:
        yield _subscription(facts, topic, known)
        if known is not None and _is_subscribed(facts, topic, known):
            yield _lets_in(topic, known, facts.queue_key, by_hand)
    if known is not None:
        yield _writers(facts, known, by_hand)


def _is_subscribed(facts: AuditFacts, topic: str, setup: QueueSetup) -> bool:
    rows = facts.subscribers[topic]
    return isinstance(rows, list) and any(row.endpoint == setup.arn and row.is_confirmed for row in rows)


def _subscription(facts: AuditFacts, topic: str, setup: QueueSetup | None) -> Finding:
    rows = facts.subscribers[topic]
    by_hand = f"aws sns list-subscriptions-by-topic --topic-arn {topic}"
    asked = f"the subscriptions of topic {topic}"
    if isinstance(rows, NotLookedUp):
        return unanswered("event-subscription", topic, rows, by_hand=by_hand)
    confirmed = [row for row in rows or () if row.is_confirmed]
    told = "; ".join(
        f"{row.protocol} {row.endpoint}{'' if row.is_confirmed else ' (not confirmed)'}" for row in rows or ()
    )
    others = list(facts.subscribers) != [topic]
    reaches = setup is None or _is_subscribed(facts, topic, setup)
    state: FindingState = "ok" if confirmed and reaches else "warn" if confirmed and others else "fail"
    arn = setup.arn if setup is not None else "QUEUE_ARN"
    return finding(
        *("event-subscription", topic, state, asked),
        (told or "nobody") + ("" if reaches else f"; not the queue of the settings, {arn}"),
        fix=[]
        if state == "ok"
        else [f"`aws sns subscribe --topic-arn {topic} --protocol sqs --notification-endpoint {arn}`"],
        by_hand=by_hand,
    )


def _lets_in(topic: str, setup: QueueSetup, key: KeySetup | NotLookedUp | None, by_hand: str) -> Finding:
    problem: str | None = None
    fix: list[str] = []
    also = ""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": setup.arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    if not lets_topic_send(setup, topic):
        problem = f"its policy does not let SNS put there what {topic} tells"
        fix = [f"Add this statement to the queue's policy: `{json.dumps(statement, separators=(',', ':'))}`"]
    elif (setup.kms_key or "").endswith(SSE_OF_AWS) or (isinstance(key, KeySetup) and key.is_of_aws):
        problem = "it is encrypted with the key AWS manages, which SNS may not use"
        fix = ["Encrypt it with the key of SQS itself (SSE-SQS), or with a KMS key whose policy lets SNS use it."]
    elif isinstance(key, NotLookedUp):
        return unanswered("event-queue", setup.arn, key, by_hand=f"aws kms get-key-policy --key-id {setup.kms_key}")
    elif setup.kms_key and key is None:
        problem = f"it is encrypted with {setup.kms_key}, and there is no such key"
        fix = ["Encrypt it with a key that exists, or with the key of SQS itself (SSE-SQS)."]
    elif isinstance(key, KeySetup) and not key.lets_sns:
        problem = f"it is encrypted with {key.arn}, whose policy does not let SNS use it"
        use = {"Principal": {"Service": "sns.amazonaws.com"}, "Action": ["kms:GenerateDataKey*", "kms:Decrypt"]}
        policy = json.dumps({"Effect": "Allow", **use, "Resource": "*"}, separators=(",", ":"))
        fix = [f"Add this statement to the policy of the key: `{policy}`"]
    elif setup.kms_key:
        also = f"; encrypted with {setup.kms_key}, which SNS may use"
    return finding(
        *("event-queue", setup.arn, "fail" if problem else "ok", f"the queue {setup.arn}"),
        problem or f"lets in what {topic} tells{also}",
        fix=fix,
        by_hand=by_hand,
    )


def _writers(facts: AuditFacts, setup: QueueSetup, by_hand: str) -> Finding:
    topics = tuple(dict.fromkeys((*facts.subscribers, *facts.scope.topics)))
    strange = strange_senders(setup, topics)
    return finding(
        *("event-queue-writers", setup.arn, "fail" if "everybody" in strange else "warn" if strange else "ok"),
        f"who may put messages into {setup.arn}",
        f"besides its account: {', '.join(strange)}" if strange else "only its account and the topics",
        fix=["Bind the statement to your topic: `Condition` `ArnEquals` `aws:SourceArn`, and take out everybody else."]
        if strange
        else [],
        by_hand=by_hand,
    )
