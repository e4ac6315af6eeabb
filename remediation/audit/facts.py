"""What an audit is asked to look at, what it observed, and what it found: data only, no question and no judgement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from parsers.text import domain_part
from parsers.times import utc_text
from remediation.audit.endpoint import Endpoint
from remediation.aws import (
    AccessKey,
    ConfigurationSet,
    EventDestination,
    KeySetup,
    NotLookedUp,
    QueueSetup,
    Recommendation,
    Reputation,
    SecretVersion,
    SendingRight,
    SesAccount,
    SesIdentity,
    Subscription,
    Suppressed,
    Zone,
)
from remediation.credentials import LoginCheck
from remediation.dns import Answer, Dmarc, MailHost, SpfWalk

FindingState = Literal["ok", "warn", "fail", "unknown"]
Severity = Literal["high", "medium", "low"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check of one subject."""

    check: str
    """A key of `audit_catalogue.CHECKS`."""
    subject: str
    """The domain, region, address, host or user that was looked at."""
    state: FindingState
    severity: Severity
    """How much it matters where it is not ok."""
    asked: str
    """The evidence: what was asked ..."""
    answered: str
    """... and what came back."""
    meaning: str
    """What it means for mail that shall arrive, in one sentence."""
    fix: tuple[str, ...] = ()
    """Steps with real names filled in; a command or a record stands between backticks."""
    by_hand: str = ""
    """The command that shows the same."""
    leaves_open: tuple[str, ...] = ()
    """Other checks that could not be judged for the same reason."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """Numbers the next audit compares with."""

    def record(self) -> dict[str, Any]:
        """As it is written in JSON."""
        return {
            "check": self.check,
            "subject": self.subject,
            "state": self.state,
            "severity": self.severity,
            "evidence": {"asked": self.asked, "answered": self.answered},
            "meaning": self.meaning,
            "fix": list(self.fix),
            "by_hand": self.by_hand,
            "leaves_open": list(self.leaves_open),
            "figures": dict(self.figures),
        }


@dataclass(frozen=True, slots=True)
class Alias:
    """A "Send mail as" address with a server of its own, as Gmail tells it."""

    address: str
    host: str
    port: int | None
    security: str | None
    """none, ssl or starttls."""
    verification: str | None = None
    """accepted or pending."""

    @property
    def domain(self) -> str:
        return domain_part(self.address) or ""


@dataclass(frozen=True, slots=True)
class OpenTrouble:
    """An incident that is open: what mails say is broken, whatever the settings look like."""

    number: int
    cause: str
    sender: str | None
    """Our address it is about; None: not known, or about all."""
    place: str | None
    """The region of SES it is about; None: of another kind."""
    words: str
    """What broke, and since when."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What to look at. Nothing named means: find out."""

    domains: tuple[str, ...] = ()
    """None: the domains of the aliases, else every domain that is an identity in SES."""
    regions: tuple[str, ...] = ()
    """None: the regions of the aliases' hosts, else the region AWS tools are set to."""
    aliases: tuple[Alias, ...] | NotLookedUp = ()
    mailbox: str | None = None
    """The Gmail address the aliases belong to; None: not known."""
    smtp_user: str | None = None
    secret_id: str | None = None
    addresses: tuple[str, ...] = ()
    """Recipients to look up on the suppression list."""
    dns_server: str | None = None
    secret_region: str | None = None
    """None: the first region."""
    server: tuple[str, int, str | None] | None = None
    """Host, port and security of the SMTP server to look at; None: those of the aliases."""
    ca_file: Path | None = None
    probe: bool = False
    """Log in to the SMTP server with the login in the secret."""
    queue_url: str | None = None
    """The queue our events arrive in; None: there is none."""
    topics: tuple[str, ...] = ()
    """The topics the settings name, by ARN."""
    troubles: tuple[OpenTrouble, ...] = ()
    """The incidents that are open."""
    earlier: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Figures of the last audit: `check subject` -> numbers."""


@dataclass
class SetFacts:
    """A configuration set and where its events go."""

    found: ConfigurationSet | NotLookedUp | None
    """None: there is no such set."""
    destinations: list[EventDestination] | NotLookedUp | None = None
    topics: dict[str, bool | NotLookedUp | None] = field(default_factory=dict)
    """Topic ARN -> whether SES may publish to it; None: there is no such topic."""


@dataclass(frozen=True, slots=True)
class SuppressionCount:
    """How many addresses the suppression list of a region holds, by reason."""

    by_reason: Mapping[str, int]
    is_whole: bool = True
    """False: counting ended before the list did."""

    @property
    def total(self) -> int:
        return sum(self.by_reason.values())


@dataclass
class RegionFacts:
    """One region of the SES account."""

    region: str
    account: SesAccount | NotLookedUp
    names: list[str] | NotLookedUp
    """Of the identities."""
    away: NotLookedUp | None = None
    """Why nothing else was asked here; None: all was."""
    identities: dict[str, SesIdentity | NotLookedUp | None] = field(default_factory=dict)
    """By name: domains, and addresses that stand beside their domain."""
    sets: dict[str, SetFacts] = field(default_factory=dict)
    notified: dict[str, bool | NotLookedUp] = field(default_factory=dict)
    """Identity -> whether an SNS topic of its own is told of bounces (API v1); asked for only where nothing else is."""
    suppressed: SuppressionCount | NotLookedUp | None = None
    suppressed_addresses: dict[str, Suppressed | NotLookedUp | None] = field(default_factory=dict)
    rates: Reputation | NotLookedUp | None = None
    recommendations: list[Recommendation] | NotLookedUp | None = None
    """None: VDM is off."""

    @property
    def known_names(self) -> list[str]:
        """The names of the identities; none where they could not be had."""
        return [] if isinstance(self.names, NotLookedUp) else self.names


@dataclass
class ZoneFacts:
    """The Route 53 zones a domain may lie in, and what the world says."""

    zones: list[Zone]
    servers: Answer
    """The NS records public DNS has for the zone's name."""
    cnames: dict[str, str] | NotLookedUp | None = None
    """The DKIM records in the zone that is in use; None: none of ours is."""

    by_address: Zone | Answer | None = None
    """The zone whose servers have the addresses of the public ones, which then only go by names of their own; an
    Answer: that could not be looked up. Asked for only where the names differ."""

    @property
    def in_use(self) -> Zone | None:
        """The zone public DNS delegates to, at least in part; None: no zone of ours, or not known."""
        public = set(self.servers.records)
        by_name = next((zone for zone in self.zones if public & set(zone.servers)), None)
        return by_name or (self.by_address if isinstance(self.by_address, Zone) else None)


@dataclass
class DomainFacts:
    """One domain mail is sent from."""

    domain: str
    mx: Answer
    address: Answer
    """Its A records: where mail goes without MX."""
    spf: SpfWalk
    dmarc: dict[str, Dmarc]
    """For this domain and every From domain below it."""
    mail_hosts: list[MailHost] = field(default_factory=list)
    """The servers its MX names."""
    reports: dict[str, Answer] = field(default_factory=dict)
    """Name -> answer, for outside domains that must agree to receive our DMARC reports."""
    zone: ZoneFacts | NotLookedUp | None = None
    """None: no zone in Route 53, or AWS was not asked."""
    dkim: dict[str, tuple[Answer, Answer]] = field(default_factory=dict)
    """Record name -> what CNAME and TXT say in public DNS."""
    mail_from: dict[str, tuple[Answer, SpfWalk]] = field(default_factory=dict)
    """MAIL FROM domain -> its MX and its SPF."""
    aligned: dict[tuple[str, str, str], bool | Answer] = field(default_factory=dict)
    """(From domain, other domain, mode) -> whether they are aligned; an Answer: could not be looked up."""

    @property
    def senders(self) -> list[str]:
        """The From domains."""
        return list(self.dmarc)


@dataclass
class KeyFacts:
    """The IAM user behind the SMTP login."""

    user: str
    keys: list[AccessKey] | NotLookedUp | None
    actions: dict[str, list[str]] | NotLookedUp | None = None
    rights: list[RightFacts] = field(default_factory=list)
    """Whether it may send with each identity; asked for only where there is a key that could."""


@dataclass(frozen=True, slots=True)
class RightFacts:
    """What was asked of IAM about sending with one identity, and what came back."""

    identity: str
    region: str
    sender: str | None
    """An address it is sent from; None: none is known."""
    user_arn: str
    resources: tuple[str, ...]
    """What SES asks for: the identity, and its default configuration set."""
    answer: SendingRight | NotLookedUp


@dataclass
class SecretFacts:
    """The secret the SMTP login is kept in."""

    secret_id: str
    region: str
    versions: list[SecretVersion] | NotLookedUp | None
    username: str | NotLookedUp | None = None
    """The access key id in it; asked for only with a probe. None: not asked, or there is no login in it."""


@dataclass
class AuditFacts:
    """Everything that was observed."""

    scope: Scope
    at: datetime
    regions: dict[str, RegionFacts] = field(default_factory=dict)
    domains: dict[str, DomainFacts] = field(default_factory=dict)
    aws_away: NotLookedUp | None = None
    """Why AWS was asked nothing; None: it was asked."""
    account_id: str | None = None
    alias_identities: dict[tuple[str, str], SesIdentity | NotLookedUp | None] = field(default_factory=dict)
    """(domain, region) -> the identity that covers it, for aliases whose host is in a region that is not audited."""
    alias_hosts: dict[str, Answer] = field(default_factory=dict)
    keys: KeyFacts | None = None
    secret: SecretFacts | None = None
    subscribers: dict[str, list[Subscription] | NotLookedUp | None] = field(default_factory=dict)
    """Topic ARN -> whom it tells; of the topics SES may publish to. None: there is no such topic."""
    queue: QueueSetup | NotLookedUp | None = None
    """The queue of the settings; None: none is set, or there is no such queue."""
    queue_key: KeySetup | NotLookedUp | None = None
    """The key of KMS the queue is encrypted with; None: it is with none, or there is no such key."""
    endpoints: list[Endpoint] = field(default_factory=list)
    logins: list[tuple[str, LoginCheck]] = field(default_factory=list)
    """Host and what came of the login there."""
    not_asked: list[str] = field(default_factory=list)
    """What was left out, and which setting would change that."""


@dataclass(frozen=True, slots=True)
class Audit:
    """The outcome of one audit."""

    at: datetime
    domains: tuple[str, ...]
    regions: tuple[str, ...]
    findings: tuple[Finding, ...]
    """The worst first."""
    calls: Mapping[str, int]
    """How often each service was asked."""
    seconds: float
    not_asked: tuple[str, ...] = ()

    @property
    def has_failed(self) -> bool:
        return any(finding.state == "fail" for finding in self.findings)

    def record(self) -> dict[str, Any]:
        """As it is written in JSON."""
        return {
            "at": utc_text(self.at),
            "domains": list(self.domains),
            "regions": list(self.regions),
            "calls": dict(self.calls),
            "seconds": round(self.seconds, 2),
            "findings": [finding.record() for finding in self.findings],
            "not_asked": list(self.not_asked),
        }
