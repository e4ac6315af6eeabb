"""A Gmail double with settings, and a run over it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.doubles.gmail import GmailDouble
from tests.worlds.made_mails import NOW, minutes_ago, put_into_sent
from triage import run as worker
from triage import store
from triage.config import Settings, load_settings
from triage.gmail.client import connect
from triage.judging import mail as judge
from triage.model import RunSummary

QUIET = RunSummary(units_new=5, units_old=5, requests=1)


def clock() -> datetime:
    return NOW


def at(**later: float) -> datetime:
    """The moment these tests know, or one so much later: `at(minutes=5)`."""
    return NOW + timedelta(**later)


def settings_over(
    gmail: GmailDouble,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    config: str = "",
    *,
    modules: Iterable[ModuleType] = (worker,),
    timeout_seconds: float = 2,
) -> Settings:
    """Settings for a mailbox of the double, everything in one folder; where these modules wait takes no time."""
    put_into_sent(gmail)
    gmail.reset_counters()
    gmail.write_credentials(folder)
    for module in modules:
        patient = partial(connect, sleep=lambda seconds: None, timeout_seconds=timeout_seconds)
        monkeypatch.setattr(module, "connect", patient)
    told = "" if "alert_inbox" in config else "alert_inbox = false\n"  # a test counts what it is about
    (folder / "triage.toml").write_text(config + told)
    return load_settings(folder / "triage.toml", {"TRIAGE_GMAIL_URL": gmail.url})


Work = Callable[..., RunSummary]
Query = Callable[[str], list[dict[str, Any]]]


def ask(settings: Settings, sql: str) -> list[dict[str, Any]]:
    """What the database says after a run."""
    db = store.open_readonly(settings.database)
    assert db is not None
    with closing(db):
        return list(db.query(sql))


def seed(gmail: GmailDouble, *mails: bytes, thread_id: str | None = None, minutes: float = 30) -> list[str]:
    """Let mails arrive one minute after the other, in one thread if given; returns their ids."""
    return [
        gmail.seed(mail, thread_id=thread_id, received_at=minutes_ago(minutes - number))
        for number, mail in enumerate(mails)
    ]


def user_labels(gmail: GmailDouble, message_id: str) -> set[str]:
    names = gmail.label_names_of_thread(gmail.messages[message_id].thread_id)
    return names - {"INBOX", "UNREAD", "SENT", "SPAM"}


def trip_over(monkeypatch: pytest.MonkeyPatch, word: bytes) -> None:
    """Let our own code fail on mails that hold this word."""
    real = judge.parsers.parse

    def parse(data: bytes) -> Any:
        if word in data:
            raise RecursionError("too deep\nfor us")
        return real(data)

    monkeypatch.setattr(judge.parsers, "parse", parse)
