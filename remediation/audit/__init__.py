"""Looks at the sending infrastructure: facts gathered first, then checks that only read facts.

In: what is to be looked at. Out: findings (ok, warn, fail, unknown) with evidence and the command that shows it.
May import: `remediation.aws`, `remediation.dns`, the login probe of `remediation.credentials`.
"""

from __future__ import annotations

from remediation.audit.address import History, domain_of
from remediation.audit.facts import Alias, Audit, Finding, OpenTrouble, Scope
from remediation.audit.scope import regions_of
from remediation.audit.whole import audit

__all__ = [
    "Alias",
    "Audit",
    "Finding",
    "History",
    "OpenTrouble",
    "Scope",
    "address",
    "audit",
    "domain_of",
    "regions_of",
]
