"""The policies allow what the program calls, and nothing that changes things where only reading was promised."""

from __future__ import annotations

import json
from typing import Any

import pytest

from remediation.aws.policies import POLICIES, actions, audit_policy, resend_policy, rotation_policy, triage_policy

FULL = {
    "triage": triage_policy(account="123456789012", queue="ses-events", smtp_user="ses-smtp", secret="ses-smtp/q"),
    "audit": audit_policy(account="123456789012", smtp_user="ses-smtp", secret="ses-smtp/q"),
    "rotation": rotation_policy(account="123456789012", smtp_user="ses-smtp", secret="ses-smtp/q"),
    "resend": resend_policy(account="123456789012", region="us-east-1", domain="queenofsandiego.com"),
}
READING = ("Get", "List", "Describe", "BatchGet", "Lookup")


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
            assert set(statement) == {"Sid", "Effect", "Action", "Resource"}
            assert statement["Action"]
            assert not any("*" in action for action in statement["Action"])
        assert len(json.dumps(policy)) < 6144, "the limit of a managed policy"


@pytest.mark.parametrize("name", ["triage", "audit"])
def test_what_cron_may_do_only_reads(name: str) -> None:
    changing = [a for a in actions(FULL[name]) if not a.partition(":")[2].startswith(READING)]
    assert changing == (["sqs:DeleteMessage", "sqs:ReceiveMessage"] if name == "triage" else [])
    assert not [a for a in actions(FULL[name]) if a.startswith("secretsmanager:GetSecretValue")]


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
        "ses:ListSuppressedDestinations",
    ]
    assert not [a for a in actions(audit_policy()) if a.startswith(("iam:", "secretsmanager:"))]


def test_sending_again_is_held_to_one_domain() -> None:
    policy = FULL["resend"]
    assert resources(policy, "ses:SendEmail") == ["arn:aws:ses:us-east-1:123456789012:identity/queenofsandiego.com"]
    changing = [a for a in actions(policy) if not a.partition(":")[2].startswith(READING)]
    assert changing == ["ses:SendEmail", "ses:SendRawEmail"]
