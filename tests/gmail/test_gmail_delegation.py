"""An alias of Google Workspace gets its login through the Gmail API, and nothing but its place can be read back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from remediation.credentials import Login, Relay
from tests.doubles.gmail import GmailDouble
from tests.doubles.service_account import CLIENT_ID, ServiceAccount
from triage.errors import ConfigError, CredentialsDead, TriageError, TryLater
from triage.gmail.delegation import SCOPES, update_alias

ALIAS = "admin@queenofsandiego.com"
LOGIN = Login("AKIAIOSFODNN7EXAMPLE", "BLBM/9hSUELfq8Gw+rU1YcBjkOxGbhT2XG763xVLGWL9")
RELAY = Relay("email-smtp.us-east-1.amazonaws.com", 587, "starttls")


@pytest.fixture
def gmail() -> Iterator[GmailDouble]:
    with GmailDouble() as double:
        double.account.delegation = True
        double.add_send_as(ALIAS, host="email-smtp.eu-west-1.amazonaws.com")
        yield double


@pytest.fixture
def key_file(gmail: GmailDouble, tmp_path: Path) -> Iterator[Path]:
    with ServiceAccount(gmail) as account:
        yield account.write_key(tmp_path)


def update(gmail: GmailDouble, key_file: Path, **changes: str) -> str:
    return update_alias(
        key_file, changes.get("mailbox", gmail.address), changes.get("alias", ALIAS), LOGIN, RELAY, url=gmail.url
    )


def test_the_login_arrives_and_is_read_back(gmail: GmailDouble, key_file: Path) -> None:
    for _ in range(2):  # twice is as good as once
        said = update(gmail, key_file)
    assert gmail.alias_login(ALIAS) == (LOGIN.username, LOGIN.password)
    assert gmail.account.send_as[ALIAS]["smtpMsa"] == {
        "host": RELAY.host,
        "port": 587,
        "securityMode": "starttls",
    }
    assert RELAY.host in said
    assert LOGIN.password not in said


def test_without_delegation_the_administrators_clicks_are_named(gmail: GmailDouble, key_file: Path) -> None:
    gmail.account.delegation = False
    with pytest.raises(CredentialsDead) as refused:
        update(gmail, key_file)
    for word in (CLIENT_ID, *SCOPES):
        assert word in refused.value.todo
    with pytest.raises(CredentialsDead):
        update(gmail, key_file, mailbox="pat@example.org")


@pytest.mark.parametrize(
    ("status", "kind"), [(400, ConfigError), (403, CredentialsDead), (404, ConfigError), (500, TryLater)]
)
def test_refusals_are_told_without_the_password(
    gmail: GmailDouble, key_file: Path, status: int, kind: type[TriageError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # Google's client waits between its tries
    body = f'{{"error": {{"code": {status}, "message": "no: {LOGIN.password}"}}}}'.encode()
    gmail.fail("sendAs.patch", times=None, status=status, body=body, headers={"Content-Type": "application/json"})
    with pytest.raises(kind) as refused:
        update(gmail, key_file)
    assert LOGIN.password not in refused.value.what + refused.value.todo
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


def test_an_alias_that_is_not_there_or_not_verified(gmail: GmailDouble, key_file: Path) -> None:
    with pytest.raises(ConfigError, match="has no alias"):
        update(gmail, key_file, alias="nobody@example.org")
    gmail.add_send_as("pending@example.org", host=RELAY.host, verification="pending")
    with pytest.raises(ConfigError, match="not verified"):
        update(gmail, key_file, alias="pending@example.org")


def test_a_key_file_that_cannot_be_used(gmail: GmailDouble, key_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no key file"):
        update(gmail, tmp_path / "none.json")
    other = tmp_path / "other.json"
    for text in ("{", "{}", '{"type": "authorized_user"}'):
        other.write_text(text)
        other.chmod(0o600)
        with pytest.raises(ConfigError):
            update(gmail, other)
    other.write_text(key_file.read_text().replace("PRIVATE KEY", "PUBLIC KEY"))
    with pytest.raises(ConfigError, match="no usable key"):
        update(gmail, other)
    key_file.chmod(0o644)
    with pytest.raises(CredentialsDead, match="Others can read"):
        update(gmail, key_file)
