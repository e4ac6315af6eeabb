"""Channels on loopback for alerts, and what was told through them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlite_utils import Database

from tests.doubles.gmail import GmailDouble
from tests.doubles.http_sink import HttpSink
from tests.incidents.made import NOW
from tests.worlds.made_mails import opened
from triage import store
from triage.config import Settings
from triage.gmail.client import Gmail
from triage.incidents.alerts import Teller, Telling


def say(
    db: Database, settings: Settings, gmail: Gmail | None = None, at: datetime = NOW, settle: bool = True
) -> Telling:
    if settle:
        store.settle_all(db, at)
    teller = Teller(db, settings, lambda: at)
    teller.push(gmail)
    teller.put_into_inbox(gmail)
    return teller.came_of_it


def inbox(double: GmailDouble) -> list[Any]:
    return [opened(message.raw) for message in double.messages.values()]


def titles(sink: HttpSink) -> list[str]:
    return [title for title, _ in sink.told]
