"""Who may publish to an SNS topic, which topics an identity has, what an IAM user may do. Only reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from remediation.aws.client import GLOBAL_REGION, NotLookedUp, ask, find

_SES = "ses.amazonaws.com"


def topic_admits_ses(topic_arn: str) -> bool | NotLookedUp | None:
    """Whether the policy of a topic lets SES publish to it; None: there is no such topic."""
    region = topic_arn.split(":")[3] if topic_arn.count(":") >= 5 else GLOBAL_REGION
    return find(
        f"the policy of topic {topic_arn}",
        "sns",
        region,
        "GetTopicAttributes",
        lambda answer: admits_ses(json.loads(answer["Attributes"].get("Policy") or "{}")),
        absent=("NotFound", "NotFoundException"),
        TopicArn=topic_arn,
    )


def admits_ses(policy: Mapping[str, Any]) -> bool:
    """Whether an SNS policy lets the SES service publish. Conditions on who asks SES are taken as kept.

    The policy a topic is born with admits everybody under the condition that it is the owner's own account; a service
    is not, so that one does not count.
    """
    for statement in _listed(policy.get("Statement")):
        principal = statement.get("Principal")
        services = _listed(principal.get("Service")) if isinstance(principal, Mapping) else []
        is_open = (principal == "*" or (isinstance(principal, Mapping) and "*" in _listed(principal.get("AWS")))) and (
            not statement.get("Condition")
        )
        names = {str(action).lower() for action in _listed(statement.get("Action"))}
        if (
            statement.get("Effect") == "Allow"
            and (_SES in services or is_open)
            and names & {"sns:publish", "sns:*", "*"}
        ):
            return True
    return False


def has_bounce_topic(region: str, identity: str) -> bool | NotLookedUp:
    """Whether an identity publishes bounces to a topic of its own, the way before configuration sets.

    API v2 does not show it.
    """

    def read(answer: Mapping[str, Any]) -> bool:
        return bool((answer["NotificationAttributes"].get(identity) or {}).get("BounceTopic"))

    return ask(
        f"the notification topics of {identity} in {region}",
        "ses",
        region,
        "GetIdentityNotificationAttributes",
        read,
        Identities=[identity],
    )


def inline_actions(user: str) -> dict[str, list[str]] | NotLookedUp | None:
    """Every action the inline policies of an IAM user allow, by policy; None: no such user.

    What groups and attached policies add is not seen.
    """
    names = find(
        f"the policies of IAM user {user}",
        "iam",
        GLOBAL_REGION,
        "ListUserPolicies",
        lambda answer: [str(name) for name in answer["PolicyNames"]],
        absent=("NoSuchEntity",),
        UserName=user,
    )
    if names is None or isinstance(names, NotLookedUp):
        return names
    found: dict[str, list[str]] = {}
    for name in names:
        actions = ask(
            f"the policy {name} of IAM user {user}",
            "iam",
            GLOBAL_REGION,
            "GetUserPolicy",
            lambda answer: _allowed(answer["PolicyDocument"]),
            UserName=user,
            PolicyName=name,
        )
        if isinstance(actions, NotLookedUp):
            return actions
        found[name] = actions
    return found


@dataclass(frozen=True, slots=True)
class SendingRight:
    """What IAM says of a user that would send mail, without sending any."""

    refused: tuple[str, ...]
    """The resources it is not allowed on; none: it may send."""
    is_denied: bool = False
    """A policy says Deny, or the organisation or a boundary does not let it; else only no policy says Allow."""
    missing: tuple[str, ...] = ()
    """What the policies make it depend on beside the sender's address, and nobody told."""


def sending_right(user_arn: str, resources: Sequence[str], sender: str | None) -> SendingRight | NotLookedUp:
    """Whether an IAM user may send by SMTP: ses:SendRawEmail on the identity, and on its configuration set.

    SES asks for every one of these resources. What a policy on the identity itself adds is not seen.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
    """
    told = {"ContextKeyName": "ses:FromAddress", "ContextKeyType": "string", "ContextKeyValues": [sender]}
    return ask(
        f"what {user_arn.rpartition('/')[2]} may send",
        "iam",
        GLOBAL_REGION,
        "SimulatePrincipalPolicy",
        lambda answer: _right(answer["EvaluationResults"], resources),
        PolicySourceArn=user_arn,
        ActionNames=["ses:SendRawEmail"],
        ResourceArns=list(resources),
        ContextEntries=[told] if sender else [],
    )


def _right(rows: Sequence[Mapping[str, Any]], resources: Sequence[str]) -> SendingRight:
    """IAM tells of every resource in a row of its own, or of all in one row with a list below."""
    said: dict[str, str] = {}
    missing: set[str] = set()
    is_held = False
    for row in rows:
        inner = row.get("ResourceSpecificResults") or ()
        said |= {str(one["EvalResourceName"]): str(one["EvalResourceDecision"]) for one in inner}
        if not inner:
            said[str(row["EvalResourceName"])] = str(row["EvalDecision"])
        for one in (row, *inner):
            missing |= {str(name) for name in one.get("MissingContextValues") or ()}
            boundary = one.get("PermissionsBoundaryDecisionDetail") or {}
            is_held |= boundary.get("AllowedByPermissionsBoundary") is False
        is_held |= (row.get("OrganizationsDecisionDetail") or {}).get("AllowedByOrganizations") is False
    refused = tuple(resource for resource in resources if said[resource] != "allowed")
    is_denied = any(said[resource] == "explicitDeny" for resource in refused)
    return SendingRight(refused, is_denied or (bool(refused) and is_held), tuple(sorted(missing)))


def _allowed(document: Any) -> list[str]:
    policy = json.loads(unquote(document)) if isinstance(document, str) else document
    actions = {
        str(action)
        for statement in _listed(policy.get("Statement"))
        if statement.get("Effect") == "Allow"
        for action in _listed(statement.get("Action")) or ["everything but what NotAction names"]
    }
    return sorted(actions)


def _listed(value: Any) -> list[Any]:
    """A policy writes one thing without the list."""
    return [] if value is None else value if isinstance(value, list) else [value]
