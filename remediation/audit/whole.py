"""The infrastructure check: is it us? Observes first (`audit_gather`), then judges every fact by small pure functions.

Changes nothing anywhere and sends no mail. A question nobody answered gives one `unknown` that says which checks it
leaves open; it is never a fault. The kinds of finding are in `audit_catalogue`, the judging in `audit_checks_*`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

from remediation.audit.account import check_region
from remediation.audit.alias import check_aliases
from remediation.audit.catalogue import CHECKS, unanswered, worst_first
from remediation.audit.dkim import check_dkim, check_mail_from, check_zone
from remediation.audit.event_path import check_event_path
from remediation.audit.facts import Audit, AuditFacts, DomainFacts, Finding, Scope
from remediation.audit.gather import gather_facts
from remediation.audit.identity import check_identities
from remediation.audit.keys import check_credentials
from remediation.audit.records import check_domain
from remediation.audit.trouble import with_troubles
from remediation.aws import PACE_SECONDS, SesIdentity

DNS_CHECKS = frozenset(check for check in CHECKS if check.startswith(("domain-", "spf-", "dmarc-", "recipient-")))
"""What is judged without AWS."""
UNKNOWN_ONLY = frozenset({"aws-credentials", "ses-region", "ses-account", "route53", "gmail-aliases"})
"""What is only ever told when it could not be looked up."""


def audit(scope: Scope, now: datetime, *, pace: float = PACE_SECONDS) -> Audit:
    """Look at everything `scope` names and judge it. Never raises for what the outside does.

    `pace` is the least time in seconds between two calls of one SES operation in one region.
    """
    started = time.perf_counter()
    facts, calls = gather_facts(scope, now, pace=pace)
    return Audit(
        at=now,
        domains=tuple(facts.domains),
        regions=tuple(facts.regions),
        findings=tuple(worst_first(with_troubles(judge_facts(facts), facts))),
        calls=dict(calls),
        seconds=time.perf_counter() - started,
        not_asked=tuple(facts.not_asked),
    )


def judge_facts(facts: AuditFacts) -> Iterator[Finding]:
    """Every finding the facts give. Pure."""
    if facts.aws_away is not None:
        open_ = [check for check in CHECKS if check not in DNS_CHECKS and not check.startswith(("alias-", "smtp-end"))]
        open_ = [check for check in open_ if check not in UNKNOWN_ONLY]
        yield unanswered(
            *("aws-credentials", "AWS", facts.aws_away),
            by_hand="aws sts get-caller-identity",
            leaves_open=[*open_, "alias-relay", "dmarc-alignment"],
        )
    for region in facts.regions.values():
        yield from check_region(region, facts.scope.earlier)
    for domain in facts.domains.values():
        identities = _identities(facts, domain)
        yield from check_domain(domain, identities)
        yield from check_identities(domain.domain, facts.regions.values())
        yield from check_zone(domain)
        for identity in identities:
            yield from check_dkim(domain, identity)
            yield from check_mail_from(domain, identity)
    yield from check_event_path(facts)
    yield from check_credentials(facts)
    yield from check_aliases(facts)


def _identities(facts: AuditFacts, domain: DomainFacts) -> list[SesIdentity]:
    """The domain's identity in every region that has one."""
    return [
        identity
        for region in facts.regions.values()
        if isinstance(identity := region.identities.get(domain.domain), SesIdentity)
    ]
