"""What the SES double answers: the state of one region and the operations on it. Knows nothing of HTTP."""

from __future__ import annotations

import base64
import itertools
import time
from collections.abc import Callable
from email import message_from_bytes
from email.utils import getaddresses, parseaddr
from typing import Any

JSON = dict[str, Any]

_PREFIX = {"us-east-1": "0100", "us-west-2": "0101", "eu-west-1": "0102", "eu-central-1": "0107", "us-east-2": "010f"}
_numbers = itertools.count(1)


class SesError(Exception):
    """An answer that says no: HTTP status, SES's word, a sentence."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code)
        self.status, self.code, self.message = status, code, message


def new_message_id(region: str, at_ms: int | None = None) -> str:
    """A message id in the shape SES gives: region, milliseconds, a unique rest."""
    at_ms = int(time.time() * 1000) if at_ms is None else at_ms
    return f"{_PREFIX.get(region, '0100')}{at_ms:012x}-{next(_numbers):08x}-aaaa-4bbb-8ccc-0123456789ab-000000"


class SesRegion:
    """Everything SES holds in one region, as the dictionaries its API answers with."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.account: JSON = {
            "DedicatedIpAutoWarmupEnabled": True,
            "EnforcementStatus": "HEALTHY",
            "ProductionAccessEnabled": True,
            "SendQuota": {"Max24HourSend": 50000.0, "MaxSendRate": 14.0, "SentLast24Hours": 120.0},
            "SendingEnabled": True,
            "SuppressionAttributes": {"SuppressedReasons": ["BOUNCE", "COMPLAINT"]},
            "VdmAttributes": {"VdmEnabled": "DISABLED"},
        }
        self.identities: dict[str, JSON] = {}
        self.suppressed: dict[str, JSON] = {}
        self.insights: dict[str, JSON] = {}
        self.opinions: dict[str, JSON] = {}
        self.configuration_sets: dict[str, JSON] = {}
        self.destinations: dict[str, list[JSON]] = {}
        self.recommendations: list[JSON] = []
        self.last_sent: tuple[bytes, str | None, tuple[str, ...]] = (b"", None, ())
        self.page_size = 100

    def add_identity(self, name: str, **changes: Any) -> JSON:
        identity: JSON = {
            "IdentityType": "EMAIL_ADDRESS" if "@" in name else "DOMAIN",
            "FeedbackForwardingStatus": True,
            "VerifiedForSendingStatus": True,
            "DkimAttributes": {
                "SigningEnabled": True,
                "Status": "SUCCESS",
                "Tokens": [f"{letter * 32}" for letter in "abc"],
                "SigningHostedZone": "dkim.amazonses.com",
                "SigningAttributesOrigin": "AWS_SES",
                "CurrentSigningKeyLength": "RSA_2048_BIT",
                "NextSigningKeyLength": "RSA_2048_BIT",
            },
            "MailFromAttributes": {
                "MailFromDomain": f"bounce.{name}",
                "MailFromDomainStatus": "SUCCESS",
                "BehaviorOnMxFailure": "USE_DEFAULT_VALUE",
            },
            "Policies": {},
            "Tags": [],
            "VerificationStatus": "SUCCESS",
            **changes,
        }
        self.identities[name.lower()] = identity
        return identity

    def add_configuration_set(
        self, name: str, events: list[str], topic_arn: str | None, enabled: bool, **changes: Any
    ) -> JSON:
        self.configuration_sets[name] = {
            "ConfigurationSetName": name,
            "DeliveryOptions": {"TlsPolicy": "OPTIONAL"},
            "ReputationOptions": {"ReputationMetricsEnabled": True},
            "SendingOptions": {"SendingEnabled": True},
            "Tags": [],
            **changes,
        }
        destination = {"Name": "events", "Enabled": enabled, "MatchingEventTypes": events}
        self.destinations[name] = [destination | {"SnsDestination": {"TopicArn": topic_arn}}] if topic_arn else []
        return self.configuration_sets[name]


def get_account(region: SesRegion, asked: JSON) -> JSON:
    return region.account


def put_account_suppression_attributes(region: SesRegion, asked: JSON) -> JSON:
    region.account["SuppressionAttributes"] = {"SuppressedReasons": asked.get("SuppressedReasons", [])}
    return {}


def get_email_identity(region: SesRegion, asked: JSON) -> JSON:
    return _found(region.identities.get(asked["EmailIdentity"].lower()), f"Email identity {asked['EmailIdentity']}")


def list_email_identities(region: SesRegion, asked: JSON) -> JSON:
    rows = [
        {
            "IdentityName": name,
            "IdentityType": identity["IdentityType"],
            "SendingEnabled": identity["VerifiedForSendingStatus"],
            "VerificationStatus": identity["VerificationStatus"],
        }
        for name, identity in region.identities.items()
    ]
    return _page(region, rows, asked, "EmailIdentities")


def get_suppressed_destination(region: SesRegion, asked: JSON) -> JSON:
    address = asked["EmailAddress"]
    entry = _found(region.suppressed.get(address.lower()), f"Email address {address} in the suppression list")
    return {"SuppressedDestination": entry}


def list_suppressed_destinations(region: SesRegion, asked: JSON) -> JSON:
    # As AWS: the list leaves the attributes out.
    rows = [{k: v for k, v in entry.items() if k != "Attributes"} for entry in region.suppressed.values()]
    return _page(region, rows, asked, "SuppressedDestinationSummaries")


def put_suppressed_destination(region: SesRegion, asked: JSON) -> JSON:
    if not region.account["ProductionAccessEnabled"]:
        raise SesError(400, "BadRequestException", "Account is in the sandbox")
    entry = {"EmailAddress": asked["EmailAddress"], "Reason": asked["Reason"], "LastUpdateTime": time.time()}
    region.suppressed[asked["EmailAddress"].lower()] = entry
    return {}


def delete_suppressed_destination(region: SesRegion, asked: JSON) -> JSON:
    address = asked["EmailAddress"]
    _found(region.suppressed.pop(address.lower(), None), f"Email address {address} in the suppression list")
    return {}


def get_message_insights(region: SesRegion, asked: JSON) -> JSON:
    if region.account["VdmAttributes"]["VdmEnabled"] != "ENABLED":
        raise SesError(400, "BadRequestException", "VDM is not enabled for this account")
    return _found(region.insights.get(asked["MessageId"]), f"Message {asked['MessageId']}")


def get_email_address_insights(region: SesRegion, asked: JSON) -> JSON:
    return region.opinions.get(asked["EmailAddress"].lower(), {"MailboxValidation": {}})


def get_configuration_set(region: SesRegion, asked: JSON) -> JSON:
    name = asked["ConfigurationSetName"]
    return _found(region.configuration_sets.get(name), f"Configuration set {name}")


def list_configuration_sets(region: SesRegion, asked: JSON) -> JSON:
    return _page(region, list(region.configuration_sets), asked, "ConfigurationSets")


def get_event_destinations(region: SesRegion, asked: JSON) -> JSON:
    name = asked["ConfigurationSetName"]
    _found(region.configuration_sets.get(name), f"Configuration set {name}")
    return {"EventDestinations": region.destinations.get(name, [])}


def list_recommendations(region: SesRegion, asked: JSON) -> JSON:
    wanted = (asked.get("Filter") or {}).get("STATUS")
    rows = [row for row in region.recommendations if wanted in (None, row["Status"])]
    return _page(region, rows, asked, "Recommendations")


def send_email(region: SesRegion, asked: JSON) -> JSON:
    """Take a raw mail, as SES does: only from a verified identity, not while sending is paused."""
    if not region.account["SendingEnabled"]:
        raise SesError(400, "SendingPausedException", "Sending paused for this account.")
    raw = base64.b64decode((asked.get("Content") or {}).get("Raw", {}).get("Data", ""), validate=True)
    if not raw:
        raise SesError(400, "BadRequestException", "the double takes raw mails only")
    mail = message_from_bytes(raw)
    sender = parseaddr(str(mail.get("From", "")))[1] or asked.get("FromEmailAddress")
    named = [address for rows in (asked.get("Destination") or {}).values() for address in rows]
    fields = [str(value) for name in ("To", "Cc", "Bcc") for value in mail.get_all(name, [])]
    recipients = named or [address for _, address in getaddresses(fields) if address]
    if not recipients:
        raise SesError(400, "BadRequestException", "There are no recipients specified")
    unverified = [] if _is_verified(region, sender or "") else [sender]
    if not region.account["ProductionAccessEnabled"]:
        unverified += [address for address in recipients if not _is_verified(region, address)]
    if unverified:
        raise SesError(
            400,
            "MessageRejected",
            "Email address is not verified. The following identities failed the check in region "
            f"{region.name.upper()}: {', '.join(map(str, unverified))}",
        )
    configuration_set = asked.get("ConfigurationSetName")
    if configuration_set and configuration_set not in region.configuration_sets:
        raise SesError(400, "BadRequestException", f"Configuration set <{configuration_set}> does not exist.")
    region.last_sent = (raw, sender, tuple(recipients))
    region.account["SendQuota"]["SentLast24Hours"] += len(recipients)
    return {"MessageId": new_message_id(region.name)}


def _is_verified(region: SesRegion, address: str) -> bool:
    for name in (address.lower(), address.lower().rpartition("@")[2]):
        if name in region.identities:
            return bool(region.identities[name]["VerifiedForSendingStatus"])
    return False


def _found(row: Any, what: str) -> Any:
    if row is None:
        raise SesError(404, "NotFoundException", f"{what} does not exist.")
    return row


def _page(region: SesRegion, rows: list[Any], asked: JSON, name: str) -> JSON:
    """One page of a list; the token is where the next one starts."""
    try:
        start = int(asked.get("NextToken") or 0)
    except ValueError:
        raise SesError(400, "InvalidNextTokenException", "The token is not valid.") from None
    end = start + min(int(asked.get("PageSize") or region.page_size), region.page_size)
    return {name: rows[start:end]} | ({"NextToken": str(end)} if end < len(rows) else {})


OPERATIONS: dict[str, Callable[[SesRegion, JSON], JSON]] = {
    "GetAccount": get_account,
    "PutAccountSuppressionAttributes": put_account_suppression_attributes,
    "GetEmailIdentity": get_email_identity,
    "ListEmailIdentities": list_email_identities,
    "GetSuppressedDestination": get_suppressed_destination,
    "ListSuppressedDestinations": list_suppressed_destinations,
    "PutSuppressedDestination": put_suppressed_destination,
    "DeleteSuppressedDestination": delete_suppressed_destination,
    "GetMessageInsights": get_message_insights,
    "GetEmailAddressInsights": get_email_address_insights,
    "GetConfigurationSet": get_configuration_set,
    "ListConfigurationSets": list_configuration_sets,
    "GetConfigurationSetEventDestinations": get_event_destinations,
    "ListRecommendations": list_recommendations,
    "SendEmail": send_email,
}
