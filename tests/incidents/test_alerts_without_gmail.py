"""The ways that need no Gmail tell while Gmail is away or nobody is signed in, and before anything waits for it."""

from __future__ import annotations

import json
from contextlib import closing, nullcontext, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.gmail import GmailDouble
from tests.doubles.http_sink import HttpSink
from tests.incidents.told import titles
from tests.worlds.made_mails import NOW, alias_notice, minutes_ago, put_into_sent
from tests.worlds.run_world import settings_over
from triage import run as worker
from triage import store
from triage.config import Settings
from triage.errors import CredentialsDead, TryLater
from triage.incidents import alerts

BROKEN = "Broken: mail from admin@queenofsandiego.com does not leave"
DEAD = "The mailbox is not read: sign in again"


@pytest.fixture
def double() -> Any:
    with GmailDouble() as gmail:
        gmail.add_send_as("admin@queenofsandiego.com", host="email-smtp.us-east-1.amazonaws.com")
        yield gmail


@pytest.fixture
def settings(double: GmailDouble, sink: HttpSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    over = settings_over(double, tmp_path, monkeypatch, "alert_inbox = true\n")
    put_into_sent(double)
    double.seed(alias_notice(1), received_at=minutes_ago(30))
    return replace(over, alerts=(sink.apprise,))


def run(settings: Settings, **later: float) -> Any:
    return worker.run(settings, lambda: NOW + timedelta(**later))


@pytest.mark.parametrize("method", ["messages.modify", "labels.list", "getProfile", "messages.insert"])
def test_a_first_run_pushes_whatever_of_gmail_is_away(
    method: str, double: GmailDouble, sink: HttpSink, settings: Settings
) -> None:
    double.fail(method, times=None, status=503)
    for minutes in (0, 15):  # the second one does not tell it again
        with suppress(TryLater):
            run(settings, minutes=minutes)
        assert titles(sink) == [BROKEN]


@pytest.mark.parametrize("trouble", ["search", "another sign-in and no profile", "no answer", "sendAs.list"])
def test_what_a_killed_run_stored_is_pushed_while_gmail_is_away(
    trouble: str, double: GmailDouble, sink: HttpSink, settings: Settings
) -> None:
    run(replace(settings, alerts=(), alert_inbox=False))
    if trouble == "another sign-in and no profile":
        with closing(store.open_store(settings.database)) as db:
            store.names.keep_owner(db, "jadasailing@gmail.com", "another mark")
        double.fail("getProfile", times=None, status=503)
    elif trouble == "search":
        double.fail("messages.list", times=None, status=503)
    elif trouble == "no answer":
        double.fail("messages.list", times=None, connection="reset")
    else:
        double.fail(trouble, times=None, status=503)
    for minutes in (15, 30):
        with nullcontext() if trouble == "sendAs.list" else pytest.raises(TryLater):
            run(settings, minutes=minutes)
        assert titles(sink) == [BROKEN]


def test_it_is_pushed_before_labels_and_notes(
    double: GmailDouble, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_before: list[int] = []
    real = alerts.push

    def push(*values: Any) -> str | None:
        asked_before.append(sum(double.quota.calls[name] for name in ("messages.modify", "messages.insert")))
        return real(*values)

    monkeypatch.setattr(alerts, "push", push)
    assert run(settings).alerts == 2
    assert asked_before == [0]
    assert double.quota.calls["messages.modify"] == 1


# A dead sign-in


def die(double: GmailDouble, settings: Settings) -> None:
    double.oauth.kill_refresh_tokens()
    double.clock.advance(7200)  # the access token is over too
    token = json.loads(settings.token.read_text())
    settings.token.write_text(json.dumps(token | {"expiry": "2020-01-01T00:00:00Z"}))


def test_a_dead_sign_in_is_pushed_once_a_day_and_put_nowhere_else(
    double: GmailDouble, sink: HttpSink, settings: Settings
) -> None:
    die(double, settings)
    for hours in (0, 0.25, 12, 23.5):
        with pytest.raises(CredentialsDead):
            run(settings, hours=hours)
        assert titles(sink) == [DEAD]
    (told,) = sink.told
    assert "triage auth" in told[1]
    with pytest.raises(CredentialsDead):
        run(settings, hours=24.5)
    assert titles(sink) == [DEAD, DEAD]
    with closing(store.open_store(settings.database)) as db:
        assert [(row["channel"], row["state"]) for row in db["alerts"].rows] == [(row_channel(settings), "done")] * 2


def test_a_token_that_is_not_there_is_told_too(sink: HttpSink, settings: Settings) -> None:
    settings.token.unlink()
    with pytest.raises(CredentialsDead):
        run(settings)
    assert titles(sink) == [DEAD]


def test_nobody_hears_of_a_dead_sign_in_that_works_again(
    double: GmailDouble, sink: HttpSink, settings: Settings
) -> None:
    token = settings.token.read_text()
    settings.token.unlink()
    sink.status = 503
    with pytest.raises(CredentialsDead):
        run(settings)
    settings.token.write_text(token)
    settings.token.chmod(0o600)
    sink.status = 200
    run(settings, minutes=15)
    assert titles(sink) == [BROKEN]


def row_channel(settings: Settings) -> str:
    (channel,) = (one.name for one in alerts.channels_of(settings) if one.address)
    return channel
