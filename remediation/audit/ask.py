"""The AWS half of observing: account, identities, configuration sets, suppression list, keys and secret.

SES is asked one thing after the other in each region, and no operation twice within a second. Every question is
counted. Judges nothing: what could not be had is kept with its reason.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from parsers.ses_hosts import relay_host, ses_region_of_host
from parsers.text import domain_part
from remediation.audit.facts import (
    AuditFacts,
    KeyFacts,
    RegionFacts,
    RightFacts,
    Scope,
    SecretFacts,
    SetFacts,
    SuppressionCount,
)
from remediation.audit.scope import aliases_of, covering, domains_above, regions_of, relays_of
from remediation.aws import (
    NotLookedUp,
    QueueSetup,
    SesIdentity,
    Turns,
    access_keys,
    caller_identity,
    has_bounce_topic,
    inline_actions,
    key_setup,
    partition_of,
    queue_setup,
    region_of_secret,
    reputation,
    secret_login,
    secret_versions,
    sending_right,
    subscriptions,
    topic_admits_ses,
)
from remediation.aws import queue as aws_queue
from remediation.aws import ses as aws_ses
from remediation.aws import ses_setup as aws_ses_setup
from remediation.credentials import Login, Relay, check_login, usual_security

MAX_SUPPRESSED = 2000
"""Entries of the suppression list that are counted; more would take too long at one page a second."""
MAX_ADDRESS_IDENTITIES = 3
SSE_OF_AWS = "alias/aws/sqs"
"""The key AWS keeps for SQS; who may use it nobody can change."""
_PAGE = 100


@dataclass
class Meter:
    """Counts the questions and keeps to the pace SES allows."""

    turns: Turns = field(default_factory=Turns)
    calls: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, service: str, number: int = 1) -> None:
        with self._lock:
            self.calls[service] += number

    def ses(self, region: str, operation: str) -> None:
        """Wait for the turn of an SES operation in a region, and count it."""
        self.count("SES")
        self.turns.wait((region, operation))


def ask_account(facts: AuditFacts, meter: Meter) -> None:
    """Whether AWS answers at all, and as whom."""
    meter.count("STS")
    who = caller_identity()
    if isinstance(who, NotLookedUp):
        facts.aws_away = who
    else:
        facts.account_id = who.account


def ask_region(region: str, now: datetime, meter: Meter) -> RegionFacts:
    """The account in one region, the names of its identities, its rates."""
    meter.ses(region, "GetAccount")
    account = aws_ses_setup.ses_account(region)
    if isinstance(account, NotLookedUp) and account.concerns_all:
        return RegionFacts(region, account, account, away=account)
    meter.ses(region, "ListEmailIdentities")
    made = RegionFacts(region, account, aws_ses_setup.identity_names(region))
    meter.count("CloudWatch")
    made.rates = reputation(region, now)
    return made


def ask_identities(scope: Scope, region: RegionFacts, domains: list[str], meter: Meter) -> None:
    """The identities of the domains in one region, their configuration sets, and the suppression list."""
    if region.away is not None:
        return
    names = region.known_names
    beside = [name for name in names if domain_part(name) in domains]
    for name in (*domains, *beside[:MAX_ADDRESS_IDENTITIES]):
        region.identities[name] = _found_identity(_candidates(name, region), region.region, meter)
    for identity in region.identities.values():
        used = identity.configuration_set if isinstance(identity, SesIdentity) else None
        if used and used not in region.sets:
            region.sets[used] = _ask_set(region.region, used, meter)
    for identity in region.identities.values():
        if isinstance(identity, SesIdentity) and _hears_nothing(identity, region.sets):
            meter.ses(region.region, "GetIdentityNotificationAttributes")
            region.notified[identity.name] = has_bounce_topic(region.region, identity.name)
    region.suppressed = _count_suppressed(region.region, meter)
    for address in scope.addresses:
        meter.ses(region.region, "GetSuppressedDestination")
        region.suppressed_addresses[address] = aws_ses.suppressed_destination(region.region, address)
    if not isinstance(region.account, NotLookedUp) and region.account.vdm_enabled:
        meter.ses(region.region, "ListRecommendations")
        region.recommendations = aws_ses_setup.recommendations(region.region)


def _candidates(name: str, region: RegionFacts) -> list[str]:
    """The identities that may cover a name, the nearest first; where the names are not known, all above it."""
    if "@" in name:
        return [name]
    if isinstance(region.names, NotLookedUp):
        return domains_above(name)
    return [covering(name, region.known_names) or name]


def _hears_nothing(identity: SesIdentity, sets: Mapping[str, SetFacts]) -> bool:
    """Whether neither mail nor event tells of a bounce, as far as is known."""
    used = sets.get(identity.configuration_set or "")
    rows = used.destinations if used is not None and isinstance(used.destinations, list) else []
    return not identity.forwards_feedback and not any(row.enabled and "BOUNCE" in row.events for row in rows)


def _ask_set(region: str, name: str, meter: Meter) -> SetFacts:
    meter.ses(region, "GetConfigurationSet")
    made = SetFacts(aws_ses_setup.configuration_set(region, name))
    if made.found is None:
        return made
    meter.ses(region, "GetConfigurationSetEventDestinations")
    made.destinations = aws_ses_setup.event_destinations(region, name)
    if isinstance(made.destinations, list):
        for destination in made.destinations:
            if destination.topic_arn and destination.enabled:
                meter.count("SNS")
                made.topics[destination.topic_arn] = topic_admits_ses(destination.topic_arn)
    return made


def _count_suppressed(region: str, meter: Meter) -> SuppressionCount | NotLookedUp:
    counts: Counter[str] = Counter()
    meter.ses(region, "ListSuppressedDestinations")
    for number, entry in enumerate(aws_ses.suppressed_destinations(region), 1):
        if isinstance(entry, NotLookedUp):
            return entry
        counts[entry.reason] += 1
        if number >= MAX_SUPPRESSED:
            return SuppressionCount(counts, is_whole=False)
        if number % _PAGE == 0:  # the next one asks for another page
            meter.ses(region, "ListSuppressedDestinations")
    return SuppressionCount(counts)


def ask_keys(facts: AuditFacts, meter: Meter) -> None:
    """The keys of the SMTP user, and what its own policies allow."""
    user = facts.scope.smtp_user
    if user is None:
        return
    made = KeyFacts(user, access_keys(user))
    meter.count("IAM", 1 + (len(made.keys) if isinstance(made.keys, list) else 0))
    if isinstance(made.keys, list):
        made.actions = inline_actions(user)
        meter.count("IAM", 1 + (len(made.actions) if isinstance(made.actions, dict) else 0))
    facts.keys = made


def ask_rights(facts: AuditFacts, meter: Meter) -> None:
    """Whether the SMTP user may send with the identities, of every alias or else of every domain."""
    keys, account = facts.keys, facts.account_id
    if keys is None or account is None or not isinstance(keys.keys, list) or not any(key.active for key in keys.keys):
        return
    for region, name, sender, used_set in dict.fromkeys(_sending(facts)):
        arn = f"arn:{partition_of(region).name}"
        resources = [f"{arn}:ses:{region}:{account}:identity/{name}"]
        resources += [f"{arn}:ses:{region}:{account}:configuration-set/{used_set}"] if used_set else []
        user_arn = f"{arn}:iam::{account}:user/{keys.user}"
        meter.count("IAM")
        answer = sending_right(user_arn, resources, sender)
        keys.rights.append(RightFacts(name, region, sender, user_arn, tuple(resources), answer))
        if isinstance(answer, NotLookedUp):
            return  # it is the same user each time


def _sending(facts: AuditFacts) -> Iterator[tuple[str, str, str | None, str | None]]:
    """(region, identity, sender, its default configuration set) of what mail is sent with."""
    aliases = [(alias, ses_region_of_host(alias.host)) for alias in aliases_of(facts.scope)]
    for alias, region in aliases:
        if region in facts.regions:
            # An identity of the very address goes before that of its domain, as at SES.
            own = facts.regions[region].identities.get(alias.address.lower())
            found = own if isinstance(own, SesIdentity) else facts.alias_identities.get((alias.domain, region))
            if isinstance(found, SesIdentity):
                yield region, found.name, alias.address, found.configuration_set or None
    if not any(region for _, region in aliases):
        for held in facts.regions.values():
            for found in held.identities.values():
                if isinstance(found, SesIdentity) and "@" not in found.name:
                    yield held.region, found.name, None, found.configuration_set or None


def ask_event_path(facts: AuditFacts, meter: Meter) -> None:
    """Whom the topics of our events tell, and how the queue of the settings is set up."""
    if facts.aws_away is not None:
        return
    # A topic that is gone, or that SNS says nothing about, was told already.
    used = [
        arn
        for region in facts.regions.values()
        for held in region.sets.values()
        for arn, admits in held.topics.items()
        if isinstance(admits, bool)
    ]
    for arn in dict.fromkeys(used):
        meter.count("SNS")
        facts.subscribers[arn] = subscriptions(arn)
    url = facts.scope.queue_url
    if url:
        meter.count("SQS")
        region = aws_queue.queue_region(url) or regions_of(facts.scope)[0]
        facts.queue = found = queue_setup(region, url)
        if isinstance(found, QueueSetup) and found.kms_key and not found.kms_key.endswith(SSE_OF_AWS):
            meter.count("KMS", 2)
            facts.queue_key = key_setup(region, found.kms_key)


def ask_secret(facts: AuditFacts, meter: Meter) -> None:
    """The dates of the secret's versions; with a probe also its login, which is tried and then forgotten."""
    scope = facts.scope
    if scope.secret_id is None:
        return
    region = region_of_secret(scope.secret_id) or scope.secret_region or regions_of(scope)[0]
    meter.count("Secrets Manager")
    made = facts.secret = SecretFacts(scope.secret_id, region, secret_versions(region, scope.secret_id))
    if not scope.probe or not isinstance(made.versions, list):
        return
    meter.count("Secrets Manager")
    held = secret_login(region, scope.secret_id)
    if held is None or isinstance(held, NotLookedUp):
        made.username = held
        return
    made.username = held.username
    usual = held.host or relay_host(held.region or region)  # a password is good for one region only
    relays = [relay for relay in relays_of(scope) if scope.server or relay[0].lower() == usual]
    for host, port, security in relays or [(usual, held.port or 587, None)]:
        mode = usual_security(port) if security not in ("ssl", "starttls") else security
        relay = Relay(host, port, "ssl" if mode == "ssl" else "starttls", scope.ca_file)
        meter.count("SMTP")
        facts.logins.append((host, check_login(Login(held.username, held.password), relay)))


def ask_alias_identities(facts: AuditFacts, meter: Meter) -> None:
    """The identities of aliases, in the region of their host, which may be one that is not audited as a whole."""
    if facts.aws_away is not None:
        return
    for alias in aliases_of(facts.scope):
        region = ses_region_of_host(alias.host)
        if region is not None and (alias.domain, region) not in facts.alias_identities:
            found = _known_identity(facts, alias.domain, region) or _found_identity(
                domains_above(alias.domain), region, meter
            )
            facts.alias_identities[alias.domain, region] = found


def _known_identity(facts: AuditFacts, domain: str, region: str) -> SesIdentity | NotLookedUp | None:
    known = facts.regions.get(region)
    if known is None:
        return None
    name = covering(domain, known.identities)
    return known.away or (known.identities[name] if name else None)


def _found_identity(names: Iterable[str], region: str, meter: Meter) -> SesIdentity | NotLookedUp | None:
    for name in names:
        meter.ses(region, "GetEmailIdentity")
        if (answer := aws_ses_setup.identity(region, name)) is not None:
            return answer
    return None
