"""The database knows whose mailbox it is about: another account is refused, a new sign-in of the same is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.gmail import GmailDouble
from tests.worlds.made_mails import refusal
from tests.worlds.run_world import ask, clock, seed, settings_over
from triage import run as worker
from triage.config import Settings
from triage.errors import ConfigError


@pytest.fixture
def settings(gmail: GmailDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    settings = settings_over(gmail, tmp_path, monkeypatch, "notes = false\n")
    seed(gmail, refusal(1))
    worker.run(settings, clock)
    return settings


@pytest.fixture
def other() -> Iterator[GmailDouble]:
    with GmailDouble("somebody@example.org") as double:
        yield double


def sign_in(gmail: GmailDouble, settings: Settings) -> Settings:
    from dataclasses import replace

    gmail.write_credentials(settings.token.parent)
    return replace(settings, gmail_url=gmail.url)


def test_another_account_is_refused_with_a_way_out(settings: Settings, other: GmailDouble) -> None:
    seed(other, refusal(2))
    other.oauth._serial = 1000  # a token of another account never has the name of one of the first
    before = ask(settings, "SELECT count(*) AS n FROM mails")
    with pytest.raises(ConfigError, match="another mailbox") as caught:
        worker.run(sign_in(other, settings), clock)
    assert "somebody@example.org" in caught.value.todo
    assert "triage auth" in caught.value.todo
    assert "`database`" in caught.value.todo
    assert ask(settings, "SELECT count(*) AS n FROM mails") == before


def test_a_new_sign_in_of_the_same_account_goes_on_and_is_asked_once(gmail: GmailDouble, settings: Settings) -> None:
    sign_in(gmail, settings)
    gmail.reset_counters()
    worker.run(settings, clock)
    assert gmail.quota.calls["getProfile"] == 1
    gmail.reset_counters()
    worker.run(settings, clock)
    assert dict(gmail.quota.calls) == {"messages.list": 1}


def test_a_known_owner_is_named(gmail: GmailDouble, settings: Settings, other: GmailDouble) -> None:
    sign_in(gmail, settings)
    worker.run(settings, clock)
    other.oauth._serial = 1000
    with pytest.raises(ConfigError, match=gmail.address):
        worker.run(sign_in(other, settings), clock)


def test_no_token_is_in_the_database(gmail: GmailDouble, settings: Settings) -> None:
    data = settings.database.read_bytes()
    for token in (*gmail.oauth.refresh_tokens, *gmail.oauth.access_tokens):
        assert token.encode() not in data
