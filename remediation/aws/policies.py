"""The least that each part of the program must be allowed at AWS, as IAM policy documents.

Pure: parameters in, documents out, ready for `json.dumps`. Attaches nothing. Where AWS knows no resource for an action
the resource is `*`: that is AWS's rule, not our wish. Source: Service Authorization Reference of each service.
Two identities are meant: one for cron, which only reads (triage, audit), and one for rotation, used by a human.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Policy = dict[str, Any]

UNKNOWN_ACCOUNT = "ACCOUNT_ID"
"""Stands in a printed policy for the account number until the owner writes it there; IAM refuses it as it is."""


def triage_policy(
    *,
    account: str = UNKNOWN_ACCOUNT,
    partition: str = "aws",
    queue: str | None = None,
    queue_region: str = "*",
    smtp_user: str | None = None,
    secret: str | None = None,
    probe: bool = False,
) -> Policy:
    """What `triage run` needs: read what SES knows of a bounce, take events off one queue, see the state of the keys.

    `queue`, `smtp_user` and `secret` are names; what is not named is not asked for. Only with
    `probe`, the live login, it may read the secret itself.
    """
    statements = [
        _allow(
            "ReadBouncesFromSes",
            ["ses:GetSuppressedDestination", "ses:GetMessageInsights"],
            "*",  # AWS has no resources for these
        )
    ]
    if queue:
        statements.append(
            _allow(
                "TakeSesEvents",
                ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
                f"arn:{partition}:sqs:{queue_region}:{account}:{queue}",
            )
        )
    if smtp_user:
        statements.append(
            _allow(
                "SeeSmtpKeys",
                ["iam:ListAccessKeys", "iam:GetAccessKeyLastUsed"],
                _user_arn(partition, account, smtp_user),
            )
        )
        # Only CloudTrail remembers when a key was made inactive or deleted.
        statements.append(_allow("SeeWhenKeysChanged", ["cloudtrail:LookupEvents"], "*"))
    if secret:
        reading = ["secretsmanager:ListSecretVersionIds"]
        reading += ["secretsmanager:GetSecretValue"] if probe else []
        statements.append(
            _allow("SeeSecret" if probe else "SeeSecretDates", reading, _secret_arn(partition, account, "*", secret))
        )
    return _policy(statements)


def audit_policy(
    *,
    account: str = UNKNOWN_ACCOUNT,
    partition: str = "aws",
    queue: str | None = None,
    queue_region: str = "*",
    smtp_user: str | None = None,
    secret: str | None = None,
    probe: bool = False,
    zone: str = "*",
) -> Policy:
    """What `triage audit` needs: read how SES, DNS and the credentials are set up.

    `zone` is a hosted zone id. Only with `probe`, the live login, it may read the secret itself.
    """
    statements = [
        _allow(
            "ReadSesAccount",
            [
                *("ses:GetAccount", "ses:ListEmailIdentities", "ses:ListRecommendations"),
                *("ses:GetSuppressedDestination", "ses:ListSuppressedDestinations"),
                *("ses:GetIdentityNotificationAttributes", "ses:GetEmailAddressInsights"),
            ],
            "*",
        ),
        _allow("ReadSesIdentities", ["ses:GetEmailIdentity"], f"arn:{partition}:ses:*:{account}:identity/*"),
        _allow(
            "ReadSesConfigurationSets",
            ["ses:GetConfigurationSet", "ses:GetConfigurationSetEventDestinations"],
            f"arn:{partition}:ses:*:{account}:configuration-set/*",
        ),
        _allow("FindZone", ["route53:ListHostedZonesByName"], "*"),
        _allow(
            "ReadZone",
            ["route53:GetHostedZone", "route53:ListResourceRecordSets"],
            f"arn:{partition}:route53:::hostedzone/{zone}",
        ),
        _allow("ReadReputation", ["cloudwatch:GetMetricData"], "*"),
        _allow(
            "ReadTopics",
            ["sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic"],
            f"arn:{partition}:sns:*:{account}:*",
        ),
    ]
    if queue:
        arn = f"arn:{partition}:sqs:{queue_region}:{account}:{queue}"
        statements.append(_allow("ReadQueuePolicy", ["sqs:GetQueueAttributes"], arn))
        # The queue may be encrypted with a key of the owner's own, whose name is not known before.
        key = f"arn:{partition}:kms:{queue_region}:{account}:key/*"
        statements.append(_allow("ReadKeyOfQueue", ["kms:DescribeKey", "kms:GetKeyPolicy"], key))
    if smtp_user:
        statements.append(
            _allow(
                "SeeSmtpUser",
                [
                    *("iam:ListAccessKeys", "iam:GetAccessKeyLastUsed", "iam:ListUserPolicies", "iam:GetUserPolicy"),
                    "iam:SimulatePrincipalPolicy",
                ],
                _user_arn(partition, account, smtp_user),
            )
        )
    if secret:
        statements.append(
            _allow(
                "SeeSecretDates",
                ["secretsmanager:ListSecretVersionIds"] + (["secretsmanager:GetSecretValue"] if probe else []),
                _secret_arn(partition, account, "*", secret),
            )
        )
    return _policy(statements)


def rotation_policy(
    *,
    account: str = UNKNOWN_ACCOUNT,
    partition: str = "aws",
    smtp_user: str = "SMTP_USER",
    secret: str = "SECRET_NAME",  # noqa: S107 - a name, no secret
    secret_region: str = "*",  # noqa: S107
    kms_key_arn: str | None = None,
) -> Policy:
    """What `triage credentials rotate` needs: the keys of one user and the versions of one secret, nothing else.

    `kms_key_arn` only where the secret is encrypted with a key of the customer's own.
    """
    statements = [
        _allow(
            "TurnKeysOfOneUser",
            [
                *("iam:ListAccessKeys", "iam:GetAccessKeyLastUsed", "iam:CreateAccessKey"),
                *("iam:UpdateAccessKey", "iam:DeleteAccessKey"),
            ],
            _user_arn(partition, account, smtp_user),
        ),
        _allow(
            "WriteOneSecret",
            [
                *("secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"),
                *("secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"),
            ],
            _secret_arn(partition, account, secret_region, secret),
        ),
    ]
    if kms_key_arn:
        statements.append(_allow("UseKeyOfSecret", ["kms:Decrypt", "kms:GenerateDataKey"], kms_key_arn))
    return _policy(statements)


def resend_policy(
    *, account: str = UNKNOWN_ACCOUNT, partition: str = "aws", region: str = "*", domain: str = "*"
) -> Policy:
    """What `triage resend --send` needs: to send as one domain, to see quota and suppression list. Not for cron."""
    return _policy(
        [
            _allow(
                "SendAgain",
                ["ses:SendEmail", "ses:SendRawEmail"],
                # Where a configuration set applies, also as the identity's default, SES asks for that resource too.
                [
                    f"arn:{partition}:ses:{region}:{account}:identity/{domain}",
                    f"arn:{partition}:ses:{region}:{account}:configuration-set/*",
                ],
            ),
            _allow("SeeWhatIsAllowed", ["ses:GetAccount", "ses:GetSuppressedDestination"], "*"),
        ]
    )


def outbox_policy(
    *, account: str = UNKNOWN_ACCOUNT, partition: str = "aws", region: str = "*", senders: Sequence[str] = ()
) -> Policy:
    """What `triage outbox` needs: to send as the addresses it is told of, and to see before whether SES would.

    Cron holds it, so it names the addresses: the condition keeps whoever steals these keys to them.
    """
    domains = sorted({sender.rpartition("@")[2] for sender in senders}) or ["*"]
    at = f"arn:{partition}:ses:{region}:{account}"
    identities = [f"{at}:identity/{name}" for name in (*domains, *senders)]
    # Where a configuration set applies, also as the identity's default, SES asks for that resource too.
    sending = _allow("SendDrafts", ["ses:SendEmail", "ses:SendRawEmail"], [*identities, f"{at}:configuration-set/*"])
    if senders:
        sending["Condition"] = {"StringEquals": {"ses:FromAddress": list(senders)}}
    return _policy(
        [
            sending,
            _allow("SeeWhatIsAllowed", ["ses:GetAccount", "ses:GetSuppressedDestination"], "*"),
            _allow("SeeIdentities", ["ses:GetEmailIdentity"], f"{at}:identity/*"),
        ]
    )


POLICIES: Mapping[str, Callable[..., Policy]] = {
    "triage": triage_policy,
    "audit": audit_policy,
    "rotation": rotation_policy,
    "resend": resend_policy,
    "outbox": outbox_policy,
}
"""The policies `triage doctor --iam-policy NAME` prints."""


def actions(policy: Policy) -> list[str]:
    """Every action a policy allows, sorted."""
    return sorted({action for statement in policy["Statement"] for action in statement["Action"]})


def _policy(statements: Sequence[Policy]) -> Policy:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _allow(name: str, actions: Sequence[str], resource: str | list[str]) -> Policy:
    return {"Sid": name, "Effect": "Allow", "Action": list(actions), "Resource": resource}


def _user_arn(partition: str, account: str, user: str) -> str:
    return f"arn:{partition}:iam::{account}:user/{user}"


def _secret_arn(partition: str, account: str, region: str, secret: str) -> str:
    if secret.startswith("arn:"):
        return secret
    # Secrets Manager puts a dash and six characters of its own behind the name.
    return f"arn:{partition}:secretsmanager:{region}:{account}:secret:{secret}-??????"
