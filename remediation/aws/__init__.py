"""AWS as this project asks it: each service a module, every answer a value, `NotLookedUp` where there is none.

In: a region and names. Out: frozen rows, or why it was not looked up. The only room that imports boto3.
May import: `remediation.dns` (names as DNS compares them).
"""

from __future__ import annotations

from remediation.aws.client import GLOBAL_REGION, NotLookedUp, ask, caller_identity, find
from remediation.aws.event_path import (
    KeySetup,
    QueueSetup,
    Subscription,
    key_setup,
    lets_topic_send,
    queue_setup,
    strange_senders,
    subscriptions,
)
from remediation.aws.grants import SendingRight, has_bounce_topic, inline_actions, sending_right, topic_admits_ses
from remediation.aws.iam import AccessKey, KeyChange, LastUse, access_keys, short_key_id
from remediation.aws.partitions import partition_of
from remediation.aws.policies import POLICIES, UNKNOWN_ACCOUNT, Policy
from remediation.aws.rates import Reputation, reputation
from remediation.aws.route53 import Zone, cnames_below, zone, zone_ids
from remediation.aws.secrets import SecretVersion, region_of_secret, secret_login, secret_versions
from remediation.aws.ses import (
    NOT_SENT,
    AddressInsights,
    Suppressed,
    address_insights,
    send_raw,
    suppressed_destination,
)
from remediation.aws.ses_setup import (
    Allowance,
    ConfigurationSet,
    EventDestination,
    Halted,
    Recommendation,
    SesAccount,
    SesIdentity,
    allowance,
)
from remediation.aws.turns import PACE_SECONDS, Turns

__all__ = [
    "GLOBAL_REGION",
    "NOT_SENT",
    "PACE_SECONDS",
    "POLICIES",
    "UNKNOWN_ACCOUNT",
    "AccessKey",
    "AddressInsights",
    "Allowance",
    "ConfigurationSet",
    "EventDestination",
    "Halted",
    "KeyChange",
    "KeySetup",
    "LastUse",
    "NotLookedUp",
    "Policy",
    "QueueSetup",
    "Recommendation",
    "Reputation",
    "SecretVersion",
    "SendingRight",
    "SesAccount",
    "SesIdentity",
    "Subscription",
    "Suppressed",
    "Turns",
    "Zone",
    "access_keys",
    "address_insights",
    "allowance",
    "ask",
    "caller_identity",
    "client",
    "cnames_below",
    "endpoints",
    "find",
    "has_bounce_topic",
    "iam",
    "inline_actions",
    "key_setup",
    "lets_topic_send",
    "partition_of",
    "queue",
    "queue_setup",
    "region_of_secret",
    "reputation",
    "secret_login",
    "secret_versions",
    "secrets",
    "send_raw",
    "sending_right",
    "ses",
    "ses_setup",
    "short_key_id",
    "sns",
    "strange_senders",
    "subscriptions",
    "suppressed_destination",
    "topic_admits_ses",
    "zone",
    "zone_ids",
]
