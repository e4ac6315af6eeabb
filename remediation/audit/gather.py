"""Observes everything an audit needs, side by side where that is allowed: AWS, Route 53, public DNS, SMTP servers.

Public DNS is asked whether or not AWS answers. Judges nothing: what could not be had is kept with its reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from parsers.ses_hosts import relay_host
from remediation.audit import endpoint as smtp_endpoint
from remediation.audit.ask import (
    Meter,
    ask_account,
    ask_alias_identities,
    ask_event_path,
    ask_identities,
    ask_keys,
    ask_region,
    ask_rights,
    ask_secret,
)
from remediation.audit.facts import AuditFacts, DomainFacts, Scope, ZoneFacts
from remediation.audit.scope import aliases_of, covering, dkim_names, domains_above, regions_of, relays_of
from remediation.aws import PACE_SECONDS, NotLookedUp, SesIdentity, Turns, Zone, cnames_below, zone, zone_ids
from remediation.dns import Answer, Dns, dmarc, mail_hosts, spf

if TYPE_CHECKING:
    from concurrent.futures import Future

_T = TypeVar("_T")

_WORKERS = 12


def gather_facts(scope: Scope, now: datetime, *, pace: float = PACE_SECONDS) -> tuple[AuditFacts, Counter[str]]:
    """Observe everything `scope` asks for; returns the facts and how often each service was asked. Never raises."""
    from concurrent.futures import ThreadPoolExecutor

    meter, dns = Meter(Turns(pace)), Dns(scope.dns_server)
    facts = AuditFacts(scope, now)
    with ThreadPoolExecutor(_WORKERS) as pool:
        side: list[Future[Any]] = [pool.submit(_ask_relays, facts, dns, meter)]
        side += [pool.submit(dns.ask, *question) for question in _first_questions(scope.domains)]
        ask_account(facts, meter)
        if facts.aws_away is None:
            side += [pool.submit(ask_keys, facts, meter), pool.submit(ask_secret, facts, meter)]
            for region in _wait([pool.submit(ask_region, name, now, meter) for name in regions_of(scope)]):
                facts.regions[region.region] = region
        domains = _domains(facts)
        side += [pool.submit(ask_identities, scope, region, domains, meter) for region in facts.regions.values()]
        for domain in _wait([pool.submit(_ask_domain, facts, name, dns, meter) for name in domains]):
            facts.domains[domain.domain] = domain
        _wait(side)
        _wait([pool.submit(_ask_records, facts, domain, dns, meter) for domain in facts.domains.values()])
        ask_alias_identities(facts, meter)
        ask_rights(facts, meter)
        ask_event_path(facts, meter)
    _note_not_asked(facts)
    meter.count("DNS", dns.questions)
    return facts, meter.calls


def _wait(futures: Iterable[Future[_T]]) -> list[_T]:
    return [future.result() for future in futures]


def _first_questions(domains: Iterable[str]) -> list[tuple[str, str]]:
    return [
        question
        for domain in domains
        for question in (
            *((domain, type_) for type_ in ("TXT", "MX", "A", "NS")),
            *((f"_dmarc.{name}", "TXT") for name in dmarc.walk_names(domain)),
        )
    ]


def _domains(facts: AuditFacts) -> list[str]:
    """What to look at: as asked for, else the domains of the aliases, else every domain SES knows."""
    names = [name for region in facts.regions.values() for name in region.known_names]
    wanted = list(facts.scope.domains)
    if not wanted:
        # An alias below a verified domain is sent with that domain's identity.
        wanted = [covering(alias.domain, names) or alias.domain for alias in aliases_of(facts.scope)]
    return list(dict.fromkeys(wanted or [name for name in names if "@" not in name]))


def _ask_domain(facts: AuditFacts, domain: str, dns: Dns, meter: Meter) -> DomainFacts:
    dns.ask_all(_first_questions([domain]))
    below = [alias.domain for alias in aliases_of(facts.scope) if alias.domain.endswith(f".{domain}")]
    made = DomainFacts(
        domain,
        mx=dns.ask(domain, "MX"),
        address=dns.ask(domain, "A"),
        spf=spf.walk(dns.ask, domain),
        dmarc={sender: dmarc.find_dmarc(dns.ask, sender) for sender in dict.fromkeys((domain, *below))},
    )
    made.mail_hosts = mail_hosts(made.mx, dns.ask)
    if (record := made.dmarc[domain].record) is not None:
        made.reports = {name: dns.ask(name, "TXT") for _, name in dmarc.strangers(record)}
    if facts.aws_away is None:
        made.zone = _ask_zone(domain, dns, meter)
    return made


def _ask_zone(domain: str, dns: Dns, meter: Meter) -> ZoneFacts | NotLookedUp | None:
    """The Route 53 zone a domain lies in: of its own name, else of the nearest name above it."""
    for name in domains_above(domain):
        meter.count("Route 53")
        ids = zone_ids(name)
        if isinstance(ids, NotLookedUp):
            return ids
        zones: list[Zone] = []
        for zone_id, _ in ids:
            meter.count("Route 53")
            found = zone(zone_id, name)
            if isinstance(found, NotLookedUp):
                return found
            zones += [] if found is None else [found]
        if zones:
            made = ZoneFacts(zones, dns.ask(name, "NS"))
            if made.in_use is None and made.servers.state == "found":
                made.by_address = _zone_by_address(made, dns)
            return made
    return None


def _zone_by_address(facts: ZoneFacts, dns: Dns) -> Zone | Answer | None:
    """The zone whose servers are the public ones under other names ("white label" name servers)."""
    names = (*facts.servers.records, *(server for held in facts.zones for server in held.servers))
    dns.ask_all([(name, "A") for name in names])
    unknown = [answer for name in names if (answer := dns.ask(name, "A")).state == "unknown"]
    public = {address for name in facts.servers.records for address in dns.ask(name, "A").records}
    for held in facts.zones:
        if public & {address for server in held.servers for address in dns.ask(server, "A").records}:
            return held
    return unknown[0] if unknown else None


def _ask_records(facts: AuditFacts, domain: DomainFacts, dns: Dns, meter: Meter) -> None:
    """The records SES wants, in Route 53 and in public DNS, and what is aligned with what."""
    known = [
        identity
        for region in facts.regions.values()
        if isinstance(identity := region.identities.get(domain.domain), SesIdentity)
    ]
    names = [name for identity in known for name in dkim_names(identity)]
    places = list(dict.fromkeys(identity.mail_from for identity in known if identity.mail_from))
    dns.ask_all(
        [
            *((name, type_) for name in names for type_ in ("CNAME", "TXT")),
            *((place, type_) for place in places for type_ in ("MX", "TXT")),
        ]
    )
    domain.dkim = {name: (dns.ask(name, "CNAME"), dns.ask(name, "TXT")) for name in names}
    if isinstance(domain.zone, ZoneFacts) and domain.zone.in_use is not None and known:
        domain.zone.cnames = _ask_cnames(domain.zone.in_use, dict.fromkeys(identity.name for identity in known), meter)
    domain.mail_from = {place: (dns.ask(place, "MX"), spf.walk(dns.ask, place)) for place in places}
    for sender, found in domain.dmarc.items():
        for identity in known:
            for other, tag in ((identity.name, "adkim"), (identity.mail_from, "aspf")):
                if other and found.record is not None:
                    mode = found.record.tag(tag, "r")
                    domain.aligned[sender, other, mode] = dmarc.aligned(dns.ask, sender, other, mode)


def _ask_cnames(used: Zone, names: Iterable[str], meter: Meter) -> dict[str, str] | NotLookedUp:
    """The DKIM records Route 53 holds for these identities."""
    found: dict[str, str] = {}
    for name in names:
        meter.count("Route 53")
        answer = cnames_below(used.id, f"_domainkey.{name}")
        if isinstance(answer, NotLookedUp):
            return answer
        found |= answer or {}
    return found


def _ask_relays(facts: AuditFacts, dns: Dns, meter: Meter) -> None:
    """The servers of the aliases; without aliases, the SES endpoints of the regions in the settings."""
    scope = facts.scope
    relays = relays_of(scope)
    hosts = list(dict.fromkeys(alias.host for alias in aliases_of(scope)))
    dns.ask_all([(host, "A") for host in hosts])
    facts.alias_hosts = {host: dns.ask(host, "A") for host in hosts}
    usual = [(relay_host(region), 587, None) for region in scope.regions]
    for host, port, security in relays or usual:
        answer = facts.alias_hosts.get(host)
        if answer is None or not answer.is_absent:  # a host that is not there is a matter of the alias
            meter.count("SMTP")
            made = smtp_endpoint.probe(host, port, security, ca_file=scope.ca_file)
            facts.endpoints.append(made)


def _note_not_asked(facts: AuditFacts) -> None:
    scope = facts.scope
    if scope.smtp_user is None:
        facts.not_asked.append("The access keys behind the SMTP login: set `smtp_user` to the name of its IAM user.")
    if scope.secret_id is None:
        facts.not_asked.append("The secret the SMTP login is kept in: set `smtp_secret`, if there is one.")
    elif not scope.probe:
        facts.not_asked.append("Whether the SMTP login works: `triage audit --probe` logs in once, without sending.")
    if not facts.domains:
        facts.not_asked.append("Any domain: name one, or set `domains`; no alias and no identity in SES names one.")
