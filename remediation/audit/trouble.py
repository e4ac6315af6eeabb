"""Puts open incidents beside the checks: what mails say is broken is not in order, whatever is set up. Pure.

A check about the thing an incident is about fails with it; where there is no such check, the incident stands for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from remediation.audit.catalogue import finding
from remediation.audit.facts import AuditFacts, Finding, OpenTrouble
from remediation.audit.scope import aliases_of, covering

_OF_REGION: Mapping[str, str] = {
    "ses-sending-paused": "sending-paused",
    "ses-sandbox": "sandbox",
    "ses-daily-quota": "quota",
    "ses-rate-exceeded": "quota",
    "ses-not-subscribed": "ses-account",
}
"""Cause of an incident -> the check of the account it makes fail."""
_OF_DOMAIN: Mapping[str, str] = {
    "ses-identity-not-verified": "ses-identity",
    "ses-access-denied": "sending-right",
    "ses-configuration-set-missing": "configuration-set",
    "ses-mail-from-not-verified": "mail-from",
    "dmarc-rejected": "dmarc-alignment",
    "sender-unauthenticated": "dmarc-alignment",
    "spf-rejected": "spf-record",
    "dkim-rejected": "dkim-status",
    "sender-domain-unresolvable": "domain-mx",
}
"""The same for the domain of our address."""


def with_troubles(findings: Iterable[Finding], facts: AuditFacts) -> Iterator[Finding]:
    """The findings, each with what is open about its subject."""
    troubles = [(trouble, *about) for trouble in facts.scope.troubles if (about := _about(trouble, facts))]
    told: set[int] = set()
    for one in findings:
        for trouble, check, subject in troubles:
            if one.check == check and _is_about(one.subject, subject):
                told.add(trouble.number)
                one = _failed(one, trouble)
        yield one
    for trouble, check, subject in troubles:
        if trouble.number not in told:
            asked = "the incidents that are open"
            yield _failed(finding(check, subject, "ok", asked, "nothing else is known"), trouble)


def _about(trouble: OpenTrouble, facts: AuditFacts) -> tuple[str, str] | None:
    """The check an incident is about, and of what; None: of nothing that was looked at."""
    sender = (trouble.sender or "").lower()
    if check := _OF_REGION.get(trouble.cause):
        return (check, trouble.place) if trouble.place in facts.regions and trouble.place else None
    domain = covering(sender.rpartition("@")[2], facts.domains) if sender else None
    if check := _OF_DOMAIN.get(trouble.cause):
        return (check, domain) if domain else None
    is_alias = domain is not None or any(alias.address.lower() == sender for alias in aliases_of(facts.scope))
    return ("alias-relay", sender) if trouble.cause.startswith("alias-") and is_alias else None


def _is_about(subject: str, wanted: str) -> bool:
    """Whether a finding's subject is a region, domain or address, or something of it."""
    words = subject.lower().split()
    return any(word in (wanted, f"{wanted}:") or word.endswith((f".{wanted}", f"@{wanted}")) for word in words)


def _failed(one: Finding, trouble: OpenTrouble) -> Finding:
    show = f"Mails say so: `triage incidents show {trouble.number}` tells which, and what to do."
    answered = f"{one.answered}; but an incident is open: {trouble.words}"
    return replace(one, state="fail", answered=answered, fix=(show, *one.fix))
