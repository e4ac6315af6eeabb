"""Judges the "Send mail as" aliases with a server of their own, and these servers. Facts in, findings out."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import datetime

from parsers.ses_hosts import relay_host, ses_region_of_host
from parsers.text import domain_part
from remediation.audit.catalogue import dig, finding, unanswered
from remediation.audit.endpoint import Endpoint
from remediation.audit.facts import Alias, AuditFacts, Finding, FindingState
from remediation.audit.scope import aliases_of, covering, regions_of
from remediation.aws import NotLookedUp, SesIdentity
from remediation.credentials import TLS_PORTS
from remediation.vendor_limits import (
    ALIASES_END,
    ALIASES_END_LINK,
    ALIASES_NEVER_DELETE,
    MICROSOFT_AUTH_OFF,
    MICROSOFT_AUTH_WORDS,
    MICROSOFT_SUBMISSION,
    OTHER_WAYS,
    SUCCESSOR,
)

PERSONAL = frozenset({"gmail.com", "googlemail.com"})
STARTTLS_PORTS = frozenset({25, 587, 2587})
BY_HAND = "https://mail.google.com/mail/#settings/accounts, Send mail as"


def check_aliases(facts: AuditFacts) -> Iterator[Finding]:
    """Every alias, the end of them all, and the servers behind them."""
    if isinstance(facts.scope.aliases, NotLookedUp):
        open_ = ("alias-relay", "alias-security", "alias-verification", "alias-end")
        yield unanswered("gmail-aliases", facts.scope.mailbox or "Gmail", facts.scope.aliases, leaves_open=open_)
    aliases = aliases_of(facts.scope)
    for alias in aliases:
        yield from _check_alias(facts, alias)
    if aliases and facts.scope.mailbox:
        yield check_end(facts.scope.mailbox, aliases, facts.at)
    for endpoint in facts.endpoints:
        yield check_endpoint(endpoint)


def _check_alias(facts: AuditFacts, alias: Alias) -> Iterator[Finding]:
    yield from _relay(facts, alias)
    yield check_security(alias)
    if alias.verification is not None:
        pending = alias.verification.lower() != "accepted"
        yield finding(
            *("alias-verification", alias.address, "warn" if pending else "ok"),
            f"the alias {alias.address} in Gmail",
            f"verification {alias.verification}",
            fix=["Open the confirmation mail Gmail sent to the address, or have it sent again there."]
            if pending
            else [],
            by_hand=BY_HAND,
        )


def _relay(facts: AuditFacts, alias: Alias) -> Iterator[Finding]:
    """Whether the alias's host is there, and is the SES endpoint of a region that knows the domain."""
    asked, region = f"the server of {alias.address} in Gmail", ses_region_of_host(alias.host)
    answer = facts.alias_hosts.get(alias.host)
    right = [relay_host(name) for name in _regions_with(facts, alias.domain)]
    fix = [
        f"In Gmail, edit the alias: SMTP server {host}, port 587, TLS, with the login for that region."
        for host in right
    ]
    if alias.host.lower() == MICROSOFT_SUBMISSION:
        yield _microsoft(facts, alias, asked)
        return
    if region is None and ("amazonaws" in alias.host.lower() or alias.host.lower().startswith("email-smtp")):
        words = f"{alias.host}, which is no SES endpoint (email-smtp.REGION.amazonaws.com)"
        yield finding("alias-relay", alias.address, "fail", asked, words, fix=fix, by_hand=BY_HAND)
    elif answer is not None and answer.is_absent:
        yield finding(
            *("alias-relay", alias.address, "fail", f"A {alias.host}", answer.words),
            fix=fix or ["Correct the host name in Gmail."],
            by_hand=dig("A", alias.host),
        )
    elif region is None:
        yield finding("alias-relay", alias.address, "ok", asked, f"{alias.host}, not SES: not judged", by_hand=BY_HAND)
    elif facts.aws_away is None:
        yield from _relay_region(facts, alias, region, asked, fix)


def _relay_region(facts: AuditFacts, alias: Alias, region: str, asked: str, fix: list[str]) -> Iterator[Finding]:
    identity = facts.alias_identities.get((alias.domain, region))
    by_hand = f"aws sesv2 get-email-identity --email-identity {alias.domain} --region {region}"
    if isinstance(identity, NotLookedUp):
        known = facts.regions.get(region)
        if known is None or (known.away is None and not _is_told(facts, alias.domain, region)):
            yield unanswered("alias-relay", alias.address, identity, by_hand=by_hand)
        return
    if identity is None:
        elsewhere = _regions_with(facts, alias.domain)
        if not elsewhere and region in facts.regions:
            return  # the domain is verified nowhere: `ses-identity` says so
        words = f"{alias.host}, but {alias.domain} is no identity in {region}"
        words += f"; it is in {', '.join(elsewhere)}" if elsewhere else ""
        yield finding("alias-relay", alias.address, "fail", asked, words, fix=fix, by_hand=by_hand)
        return
    if region not in regions_of(facts.scope):
        yield finding(
            *(
                "alias-relay",
                alias.address,
                "warn",
                asked,
                f"{alias.host}: {region} is not among the regions looked at",
            ),
            fix=[f'Add it to triage.toml: `regions = ["{region}", ...]`'],
            by_hand=by_hand,
        )
        return
    yield finding(
        "alias-relay", alias.address, "ok", asked, f"{alias.host}, where {identity.name} is known", by_hand=by_hand
    )


def _is_told(facts: AuditFacts, domain: str, region: str) -> bool:
    """Whether the finding about the identity itself already says that it was not looked up."""
    return covering(domain, facts.regions[region].identities) is not None


def _microsoft(facts: AuditFacts, alias: Alias, asked: str) -> Finding:
    """A login with a password, which is all Gmail can, has an end at Microsoft."""
    is_off = facts.at >= MICROSOFT_AUTH_OFF
    words = f"{alias.host}: logins with a password {'are' if is_off else 'will be'} off by default"
    fix = [MICROSOFT_AUTH_WORDS]
    return finding("alias-relay", alias.address, "warn", asked, words, fix=fix, by_hand=BY_HAND)


def _regions_with(facts: AuditFacts, domain: str) -> list[str]:
    """The regions that were looked at and know the domain."""
    return [
        region.region
        for region in facts.regions.values()
        if any(
            isinstance(identity, SesIdentity) and (domain == name or domain.endswith(f".{name}"))
            for name, identity in region.identities.items()
        )
    ]


def check_security(alias: Alias) -> Finding:
    """Whether the port begins as the alias expects it to."""
    port, security = alias.port or 587, (alias.security or "none").lower()
    wanted = "ssl" if port in TLS_PORTS else "starttls"
    problem = None
    if security not in ("ssl", "starttls"):
        problem = "no encryption: SES does not offer a login then"
    elif port in TLS_PORTS | STARTTLS_PORTS and security != wanted:
        problem = f"{security}, but port {port} begins with {wanted}"
    return finding(
        *("alias-security", alias.address, "fail" if problem else "ok"),
        f"port and security of {alias.address} in Gmail",
        f"port {port}, {problem or security}",
        fix=["In Gmail, edit the alias: port 587 with TLS, or port 465 with SSL."] if problem else [],
        by_hand=BY_HAND,
    )


def check_end(mailbox: str, aliases: tuple[Alias, ...], now: datetime) -> Finding:
    """Outside servers for aliases end in January 2027, for personal accounts."""
    is_personal = domain_part(mailbox) in PERSONAL
    named = ", ".join(alias.address for alias in aliases)
    state: FindingState = "ok" if not is_personal else "fail" if now >= ALIASES_END else "warn"
    if not is_personal:
        words = f"{mailbox} is no personal account: {named} may stay"
    elif now >= ALIASES_END:
        words = f"it is past January 2027: {named} may stop any day, or has"
    else:
        words = f"{named}: {(ALIASES_END - now).days} days left"
    plan = [
        f"{SUCCESSOR} before then: you write in Gmail as now, and the drafts you label leave through SES"
        " (docs/outbox.md; about 10 cents for 1,000 mails, and this computer has to run).",
        f"Other ways out: {OTHER_WAYS}.",
        "Until then keep the alias working: do not let its login lapse, and test the new way with a mail to yourself.",
        ALIASES_NEVER_DELETE,
        f"Google's word on it: {ALIASES_END_LINK}",
    ]
    asked = f"aliases of {mailbox} with an outside server"
    return finding("alias-end", mailbox, state, asked, words, fix=plan if is_personal else [], by_hand=BY_HAND)


def check_endpoint(endpoint: Endpoint) -> Finding:
    """A server that answers and offers a login; one that cannot be reached from here is not known to be at fault."""
    states: dict[str, FindingState] = {"offers-login": "ok", "unreachable": "unknown"}
    port = endpoint.port
    host = shlex.quote(endpoint.host)
    how = f"openssl s_client -connect {host}:{port}" + ("" if port in TLS_PORTS else " -starttls smtp")
    fix = {
        "offers-login": [],
        "unreachable": [
            f"From here it cannot be reached; Gmail may reach it all the same. Try: `nc -vz {host} {port}`"
        ],
        "no-login": ["Use port 587 or 465: SES offers logins there once the connection is encrypted."],
        "no-encryption": ["Use 587 with STARTTLS or 465 with TLS from the start; the other way round neither works."],
        "bad-certificate": ["Check the host name, and whether something between here and there intercepts TLS."],
    }[endpoint.outcome]
    return finding(
        *("smtp-endpoint", f"{endpoint.host}:{port}", states.get(endpoint.outcome, "fail")),
        f"connect to {endpoint.host}:{port}, encrypt, read what is offered (no login)",
        endpoint.answered,
        fix=fix,
        by_hand=how,
    )
