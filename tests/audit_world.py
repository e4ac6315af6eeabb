"""The healthy domain as a fixture, and the audit of it, for the tests that break something in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.retries.standard import ExponentialBackoff

from remediation.audit import audit
from remediation.audit_facts import Audit, Finding
from tests.doubles.aws import AwsDouble
from tests.doubles.healthy import (
    NOW,
    World,
    make_healthy,
)
from tests.doubles.relay import RelayDouble
from tests.doubles.zone import ZoneDouble


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ZoneDouble, RelayDouble]]:
    with ZoneDouble() as dns, RelayDouble(tmp_path_factory.mktemp("relay")) as relay:
        yield dns, relay


@pytest.fixture
def world(aws: AwsDouble, servers: tuple[ZoneDouble, RelayDouble], monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0)
    monkeypatch.setattr("remediation.dns.LIFETIME_SECONDS", 2.0)
    dns, relay = servers
    relay.mode = "normal"
    return make_healthy(aws, dns, relay)


def look(world: World, **changes: Any) -> Audit:
    return audit(world.scope(**changes), NOW, pace=0)


def states(result: Audit) -> set[str]:
    return {finding.state for finding in result.findings}


def wrong(result: Audit) -> list[tuple[str, str]]:
    return [(finding.check, finding.state) for finding in result.findings if finding.state != "ok"]


def the(result: Audit, check: str) -> Finding:
    return next(finding for finding in result.findings if finding.check == check)
