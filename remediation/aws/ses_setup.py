"""How SES is set up: the account, its identities, its configuration sets and where they publish events.

Each function asks one region and returns what was found, None where SES says there is no such thing, or
`aws.NotLookedUp` with the reason. Only reads. SES answers about one such request a second: ask one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from remediation.aws.client import NotLookedUp, ask, find
from remediation.aws.ses import ABSENT, pages, whole


@dataclass(frozen=True, slots=True)
class SesAccount:
    """The SES account in one region."""

    region: str
    sending_enabled: bool
    production_access: bool
    """False: the account is in the sandbox."""
    enforcement: str
    """HEALTHY, PROBATION, SHUTDOWN, or a word AWS invented since."""
    max_24_hours: float
    """Mails; -1 means no limit."""
    sent_24_hours: float
    max_per_second: float
    suppressed_reasons: tuple[str, ...]
    vdm_enabled: bool


@dataclass(frozen=True, slots=True)
class Allowance:
    """What may be sent now."""

    left: int | None
    """Recipients until the quota of 24 hours is used up; None: no limit is known."""
    per_second: float


@dataclass(frozen=True, slots=True)
class Halted:
    """Why nothing is sent to anybody, or not to everybody."""

    kind: str
    """In two or three words."""
    why: str


@dataclass(frozen=True, slots=True)
class SesIdentity:
    """A domain or address SES may send as, in one region."""

    name: str
    region: str
    kind: str
    """DOMAIN, EMAIL_ADDRESS, MANAGED_DOMAIN."""
    verified: bool
    status: str | None
    error: str | None
    """Why verification failed, in AWS's word; None when it did not."""
    dkim_status: str | None
    dkim_signing: bool
    dkim_tokens: tuple[str, ...]
    dkim_zone: str
    """The domain the DKIM records point to. Identities older than this field of the API: dkim.amazonses.com."""
    dkim_origin: str | None
    """AWS_SES (Easy DKIM), EXTERNAL (own key: the tokens are selectors), AWS_SES_REGION (copied from there)."""
    dkim_key_length: str | None
    mail_from: str | None
    """The custom MAIL FROM domain; None: none is set."""
    mail_from_status: str | None
    mail_from_on_mx_failure: str | None
    forwards_feedback: bool
    configuration_set: str | None
    """The default configuration set, the only way events come to be published for mail from a Gmail alias."""


@dataclass(frozen=True, slots=True)
class ConfigurationSet:
    name: str
    region: str
    sending_enabled: bool
    tls_policy: str | None
    """REQUIRE or OPTIONAL."""
    suppressed_reasons: tuple[str, ...] | None
    """None: the account's apply; empty: suppression is off."""


@dataclass(frozen=True, slots=True)
class EventDestination:
    """Where a configuration set publishes its events."""

    name: str
    enabled: bool
    events: tuple[str, ...]
    """BOUNCE, COMPLAINT, DELIVERY, SEND, ..."""
    topic_arn: str | None
    """The SNS topic; None for another sort of destination."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Something Virtual Deliverability Manager advises."""

    resource_arn: str
    type: str
    """DKIM, SPF, DMARC, BIMI, COMPLAINT, ..."""
    description: str
    impact: str | None
    since: datetime | None


def ses_account(region: str) -> SesAccount | NotLookedUp:
    """The state of the SES account in a region."""
    return ask(f"the SES account in {region}", "sesv2", region, "GetAccount", lambda answer: _account(region, answer))


def allowance(region: str) -> Allowance | Halted | NotLookedUp:
    """What SES lets us send in a region now."""
    found = ses_account(region)
    if isinstance(found, NotLookedUp):
        return found
    if not found.sending_enabled:
        return Halted("SES is paused", f"SES sends nothing in {region}: sending is paused")
    if not found.production_access:
        why = f"SES sends only to verified addresses in {region}: the account is in the sandbox"
        return Halted("SES sandbox", why)
    left = None if found.max_24_hours < 0 else max(int(found.max_24_hours - found.sent_24_hours), 0)
    return Allowance(left, max(found.max_per_second, 0.1))


def identity(region: str, name: str) -> SesIdentity | NotLookedUp | None:
    """One identity (a domain or an address) with all the audit asks about; None: SES does not know it there."""
    return find(
        f"the SES identity {name} in {region}",
        "sesv2",
        region,
        "GetEmailIdentity",
        lambda answer: _identity(region, name, answer),
        absent=ABSENT,
        EmailIdentity=name,
    )


def identity_names(region: str) -> list[str] | NotLookedUp:
    """The names of all identities in a region."""
    return whole(
        pages(
            f"the SES identities in {region}",
            region,
            "ListEmailIdentities",
            lambda answer: [str(row["IdentityName"]) for row in answer["EmailIdentities"]],
        )
    )


def configuration_set(region: str, name: str) -> ConfigurationSet | NotLookedUp | None:
    """One configuration set; None: there is none of that name, and mail that asks for it is refused."""
    return find(
        f"the configuration set {name} in {region}",
        "sesv2",
        region,
        "GetConfigurationSet",
        lambda answer: _configuration_set(region, answer),
        absent=ABSENT,
        ConfigurationSetName=name,
    )


def event_destinations(region: str, configuration_set: str) -> list[EventDestination] | NotLookedUp | None:
    """Where a configuration set publishes its events; None: there is no such set."""
    return find(
        f"the event destinations of {configuration_set} in {region}",
        "sesv2",
        region,
        "GetConfigurationSetEventDestinations",
        _destinations,
        absent=ABSENT,
        ConfigurationSetName=configuration_set,
    )


def recommendations(region: str) -> list[Recommendation] | NotLookedUp:
    """The open recommendations of Virtual Deliverability Manager; ask only where it is enabled."""
    return whole(
        pages(
            f"the VDM recommendations in {region}",
            region,
            "ListRecommendations",
            lambda answer: [_recommendation(row) for row in answer["Recommendations"]],
            Filter={"STATUS": "OPEN"},
        )
    )


def _account(region: str, answer: Mapping[str, Any]) -> SesAccount:
    quota = answer["SendQuota"]
    return SesAccount(
        region=region,
        sending_enabled=bool(answer["SendingEnabled"]),
        production_access=bool(answer["ProductionAccessEnabled"]),
        enforcement=str(answer.get("EnforcementStatus") or "HEALTHY"),
        max_24_hours=float(quota["Max24HourSend"]),
        sent_24_hours=float(quota["SentLast24Hours"]),
        max_per_second=float(quota["MaxSendRate"]),
        suppressed_reasons=tuple((answer.get("SuppressionAttributes") or {}).get("SuppressedReasons") or ()),
        vdm_enabled=(answer.get("VdmAttributes") or {}).get("VdmEnabled") == "ENABLED",
    )


def _identity(region: str, name: str, answer: Mapping[str, Any]) -> SesIdentity:
    dkim = answer.get("DkimAttributes") or {}
    mail_from = answer.get("MailFromAttributes") or {}
    return SesIdentity(
        name=name,
        region=region,
        kind=str(answer["IdentityType"]),
        verified=bool(answer["VerifiedForSendingStatus"]),
        status=answer.get("VerificationStatus") or None,
        error=(answer.get("VerificationInfo") or {}).get("ErrorType") or None,
        dkim_status=dkim.get("Status") or None,
        dkim_signing=bool(dkim.get("SigningEnabled")),
        dkim_tokens=tuple(dkim.get("Tokens") or ()),
        dkim_zone=str(dkim.get("SigningHostedZone") or "dkim.amazonses.com"),
        dkim_origin=dkim.get("SigningAttributesOrigin") or None,
        dkim_key_length=dkim.get("CurrentSigningKeyLength") or None,
        mail_from=mail_from.get("MailFromDomain") or None,
        mail_from_status=mail_from.get("MailFromDomainStatus") or None,
        mail_from_on_mx_failure=mail_from.get("BehaviorOnMxFailure") or None,
        forwards_feedback=bool(answer.get("FeedbackForwardingStatus")),
        configuration_set=answer.get("ConfigurationSetName") or None,
    )


def _configuration_set(region: str, answer: Mapping[str, Any]) -> ConfigurationSet:
    suppression = answer.get("SuppressionOptions") or {}
    reasons = suppression.get("SuppressedReasons")
    return ConfigurationSet(
        name=str(answer["ConfigurationSetName"]),
        region=region,
        sending_enabled=bool((answer.get("SendingOptions") or {}).get("SendingEnabled", True)),
        tls_policy=(answer.get("DeliveryOptions") or {}).get("TlsPolicy") or None,
        suppressed_reasons=None if reasons is None else tuple(reasons),
    )


def _destinations(answer: Mapping[str, Any]) -> list[EventDestination]:
    return [
        EventDestination(
            name=str(row["Name"]),
            enabled=bool(row.get("Enabled")),
            events=tuple(row.get("MatchingEventTypes") or ()),
            topic_arn=(row.get("SnsDestination") or {}).get("TopicArn") or None,
        )
        for row in answer["EventDestinations"]
    ]


def _recommendation(row: Mapping[str, Any]) -> Recommendation:
    since = row.get("CreatedTimestamp")
    return Recommendation(
        str(row["ResourceArn"]),
        str(row["Type"]),
        str(row["Description"]),
        row.get("Impact") or None,
        None if since is None else since.astimezone(UTC),
    )
