"""The healthy domain as a fixture, and the audit of it, for the tests that break something in it."""

from __future__ import annotations

from typing import Any

from remediation.audit.facts import Audit, Finding
from remediation.audit.whole import audit
from tests.doubles.healthy import NOW, World


def look(world: World, **changes: Any) -> Audit:
    return audit(world.scope(**changes), NOW, pace=0)


def states(result: Audit) -> set[str]:
    return {finding.state for finding in result.findings}


def wrong(result: Audit) -> list[tuple[str, str]]:
    return [(finding.check, finding.state) for finding in result.findings if finding.state != "ok"]


def the(result: Audit, check: str) -> Finding:
    return next(finding for finding in result.findings if finding.check == check)
