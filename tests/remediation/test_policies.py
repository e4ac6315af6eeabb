"""The policies allow what the program calls, and nothing that changes things where only reading was promised."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from botocore.session import Session

from parsers.ses_hosts import AWS_REGIONS
from remediation.aws.partitions import partition_of
from remediation.aws.policies import (
    POLICIES,
    actions,
    audit_policy,
    outbox_policy,
    resend_policy,
    rotation_policy,
    triage_policy,
)

FULL = {
    "triage": triage_policy(account="123456789012", queue="ses-events", smtp_user="ses-smtp", secret="ses-smtp/q"),
    "audit": audit_policy(account="123456789012", smtp_user="ses-smtp", secret="ses-smtp/q"),
    "rotation": rotation_policy(account="123456789012", smtp_user="ses-smtp", secret="ses-smtp/q"),
    "outbox": outbox_policy(
        account="123456789012", region="us-east-1", senders=["admin@queenofsandiego.com", "crew@queenofsandiego.com"]
    ),
    "resend": resend_policy(account="123456789012", region="us-east-1", domain="queenofsandiego.com"),
}
READING = ("Get", "List", "Describe", "BatchGet", "Lookup", "Simulate")


def resources(policy: dict[str, Any], action: str) -> list[str]:
    [found] = [s["Resource"] for s in policy["Statement"] if action in s["Action"]]
    return found if isinstance(found, list) else [found]


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_is_one_iam_would_take(name: str) -> None:
    for policy in (POLICIES[name](), FULL[name]):
        assert json.loads(json.dumps(policy))["Version"] == "2012-10-17"
        assert len({s["Sid"] for s in policy["Statement"]}) == len(policy["Statement"])
        for statement in policy["Statement"]:
            assert statement["Sid"].isalnum(), "IAM allows letters and digits only"
            assert set(statement) - {"Condition"} == {"Sid", "Effect", "Action", "Resource"}
            assert statement["Action"]
            assert not any("*" in action for action in statement["Action"])
        assert len(json.dumps(policy)) < 6144, "the limit of a managed policy"


@pytest.mark.parametrize("name", ["triage", "audit"])
def test_what_cron_may_do_only_reads(name: str) -> None:
    changing = [a for a in actions(FULL[name]) if not a.partition(":")[2].startswith(READING)]
    assert changing == (["sqs:DeleteMessage", "sqs:ReceiveMessage"] if name == "triage" else [])
    assert not [a for a in actions(FULL[name]) if a.startswith("secretsmanager:GetSecretValue")]


def test_the_outbox_sends_as_the_addresses_it_is_told_of_and_no_other() -> None:
    policy = FULL["outbox"]
    [sending] = [statement for statement in policy["Statement"] if "ses:SendEmail" in statement["Action"]]
    told = ["admin@queenofsandiego.com", "crew@queenofsandiego.com"]
    assert sending["Condition"] == {"StringEquals": {"ses:FromAddress": told}}
    assert sending["Resource"] == [
        f"arn:aws:ses:us-east-1:123456789012:identity/{name}" for name in ("queenofsandiego.com", *told)
    ] + ["arn:aws:ses:us-east-1:123456789012:configuration-set/*"]
    changing = [a for a in actions(policy) if not a.partition(":")[2].startswith(READING)]
    assert changing == ["ses:SendEmail", "ses:SendRawEmail"]


def test_rotation_is_held_to_one_user_and_one_secret() -> None:
    policy = FULL["rotation"]
    assert resources(policy, "iam:CreateAccessKey") == ["arn:aws:iam::123456789012:user/ses-smtp"]
    assert resources(policy, "secretsmanager:PutSecretValue") == [
        "arn:aws:secretsmanager:*:123456789012:secret:ses-smtp/q-??????"
    ]
    assert "*" not in [s["Resource"] for s in policy["Statement"]]
    assert not [a for a in actions(policy) if a.startswith("iam:") and ("Policy" in a or a.endswith("User"))]
    with_key = rotation_policy(kms_key_arn="arn:aws:kms:us-east-1:123456789012:key/k")
    assert resources(with_key, "kms:Decrypt") == ["arn:aws:kms:us-east-1:123456789012:key/k"]


def test_what_is_not_named_is_not_asked_for() -> None:
    assert actions(triage_policy()) == [
        "ses:GetMessageInsights",
        "ses:GetSuppressedDestination",
    ]
    assert not [a for a in actions(audit_policy()) if a.startswith(("iam:", "secretsmanager:"))]


def test_sending_again_is_held_to_one_domain() -> None:
    policy = FULL["resend"]
    assert resources(policy, "ses:SendEmail") == [
        "arn:aws:ses:us-east-1:123456789012:identity/queenofsandiego.com",
        "arn:aws:ses:us-east-1:123456789012:configuration-set/*",
    ]
    changing = [a for a in actions(policy) if not a.partition(":")[2].startswith(READING)]
    assert changing == ["ses:SendEmail", "ses:SendRawEmail"]


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("us-east-1", "aws"),
        ("us-gov-west-1", "aws-us-gov"),
        ("cn-north-1", "aws-cn"),
        ("cn-northwest-1", "aws-cn"),
        ("eusc-de-east-1", "aws-eusc"),
        (None, "aws"),
    ],
)
def test_every_partition_has_its_own_names(region: str | None, partition: str) -> None:
    known = partition_of(region)
    assert known.name == partition
    assert known.home in Session().get_available_regions("iam", known.name) or known.home in AWS_REGIONS
    for make in POLICIES.values():
        arns = re.findall(r"arn:[a-z-]+", json.dumps(make(partition=partition)))
        assert set(arns) <= {f"arn:{partition}"}


def test_partitions_are_those_of_the_service_models() -> None:
    for name in Session().get_available_partitions():
        for region in Session().get_available_regions("sqs", name):
            if not name.startswith("aws-iso"):
                assert partition_of(region).name == name, region
