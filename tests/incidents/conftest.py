"""The channels on loopback that alerts are told through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.doubles.gmail import GmailDouble
from tests.doubles.http_sink import HttpSink
from tests.incidents.made import ALIAS, RELAY
from triage.config import Settings
from triage.gmail import client as gmail_module
from triage.gmail.client import Gmail


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    with HttpSink() as double:
        yield double


@pytest.fixture
def double() -> Iterator[GmailDouble]:
    with GmailDouble() as gmail:
        gmail.add_send_as(ALIAS, host=RELAY)
        yield gmail


@pytest.fixture
def gmail(double: GmailDouble, tmp_path: Path) -> Iterator[Gmail]:
    double.write_credentials(tmp_path)
    opened = gmail_module.connect(tmp_path / "token.json", url=double.url, timeout_seconds=1, sleep=lambda _: None)
    yield opened
    opened.close()


@pytest.fixture
def by_push(plain: Settings, sink: HttpSink) -> Settings:
    return replace(plain, alerts=(sink.apprise,), alert_inbox=False)


@pytest.fixture
def by_inbox(plain: Settings) -> Settings:
    return replace(plain, alert_inbox=True)
