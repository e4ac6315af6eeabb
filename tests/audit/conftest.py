"""The healthy domain, for the tests that break something in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from botocore.retries.standard import ExponentialBackoff

from tests.doubles.aws import AwsDouble
from tests.doubles.healthy import World, make_healthy
from tests.doubles.relay import RelayDouble
from tests.doubles.zone import ZoneDouble


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ZoneDouble, RelayDouble]]:
    with ZoneDouble() as dns, RelayDouble(tmp_path_factory.mktemp("relay")) as relay:
        yield dns, relay


@pytest.fixture
def world(aws: AwsDouble, servers: tuple[ZoneDouble, RelayDouble], monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0)
    monkeypatch.setattr("remediation.dns.lookup.LIFETIME_SECONDS", 2.0)
    dns, relay = servers
    relay.mode = "normal"
    return make_healthy(aws, dns, relay)
