"""Channels on loopback for alerts, and what was told through them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from tests import stored
from tests.doubles.gmail import GmailDouble
from tests.doubles.http_sink import HttpSink
from tests.made_incidents import ALIAS, NOW, RELAY
from triage import gmail as gmail_module
from triage import store_incidents
from triage.alerts import Told, tell
from triage.config import Settings
from triage.gmail import Gmail

db, plain = stored.db, stored.plain


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
    return replace(plain, alerts=(sink.apprise,))


@pytest.fixture
def by_inbox(plain: Settings) -> Settings:
    return replace(plain, alert_inbox=True)


def say(db: Database, settings: Settings, gmail: Gmail | None = None, at: datetime = NOW, settle: bool = True) -> Told:
    if settle:
        store_incidents.settle_all(db, at)
    return tell(db, settings, gmail, lambda: at)


def inbox(double: GmailDouble) -> list[Any]:
    return [message_from_bytes(message.raw, policy=policy.default) for message in double.messages.values()]


def titles(sink: HttpSink) -> list[str]:
    return [title for title, _ in sink.told]
