"""The token file: who may read it, what goes into it, when it is renewed, and what Google says when it is dead."""

from __future__ import annotations

import json
import logging
import stat
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.doubles.gmail import GmailDouble
from tests.gmail import signing_in as signing_in
from tests.gmail.signing_in import connect_to, redirected, sign_in
from triage.errors import ConfigError, CredentialsDead, TriageError, TryLater
from triage.gmail import sign_in as gmail_auth
from triage.gmail.client import connect
from triage.gmail.renewal import sign_in_ends_at
from triage.gmail.sign_in import SCOPE, authorize, load_token, save_token

double = signing_in.double


@pytest.fixture
def token(double: GmailDouble, tmp_path: Path) -> Path:
    """A token file as an earlier `triage auth` left it."""
    double.write_credentials(tmp_path)
    return tmp_path / "token.json"


# -- the token file -----------------------------------------------------------------------------------------------


def test_valid_token_needs_no_sign_in_request(double: GmailDouble, token: Path) -> None:
    before = token.read_bytes()
    with connect_to(double, token) as gmail:
        gmail.profile_address()
    assert double.quota.calls["token"] == 0
    assert token.read_bytes() == before


def test_expired_token_is_renewed_once_and_kept(double: GmailDouble, token: Path) -> None:
    old = rewrite(token, expiry="2026-01-01T00:00:00Z")
    with connect_to(double, token) as gmail:
        gmail.profile_address()
        assert (gmail.quota.requests, gmail.quota.units_new) == (2, 1)
    new = json.loads(token.read_text())
    assert new["token"] != old["token"]
    assert new["refresh_token"] == old["refresh_token"]
    assert datetime.fromisoformat(new["expiry"]) > datetime.now(UTC) + timedelta(minutes=50)
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    with connect_to(double, token) as gmail:
        gmail.profile_address()
    assert double.quota.calls["token"] == 1


@pytest.mark.parametrize("batch", [False, True])
def test_token_refused_in_the_middle_is_renewed(double: GmailDouble, token: Path, batch: bool) -> None:
    there = double.seed(b"From: <a@b.example>\r\n\r\n")
    old = json.loads(token.read_text())
    double.clock.advance(4000)  # over for Google, still good by the file
    with connect_to(double, token) as gmail:
        assert [message.id for message in gmail.get_raw([there])] == [there] if batch else gmail.profile_address()
        assert gmail.quota.requests == 3  # refused, renewed, done
    assert double.quota.calls["token"] == 1
    assert json.loads(token.read_text())["token"] not in (old["token"], None)


def test_token_without_expiry_is_not_trusted(double: GmailDouble, token: Path) -> None:
    info = json.loads(token.read_text())
    del info["expiry"]
    token.write_text(json.dumps(info))
    with connect_to(double, token) as gmail:
        gmail.profile_address()
    assert double.quota.calls["token"] == 1


def test_refresh_asks_for_the_scopes_of_the_file(double: GmailDouble, tmp_path: Path) -> None:
    wide = "https://mail.google.com/"
    double.write_credentials(tmp_path, scopes=[wide])
    rewrite(tmp_path / "token.json", expiry=None, scopes=f"{wide} ")
    with connect_to(double, tmp_path / "token.json") as gmail:
        gmail.profile_address()
    assert json.loads((tmp_path / "token.json").read_text())["scopes"] == [wide]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o610])
def test_token_others_can_read_is_refused(double: GmailDouble, token: Path, mode: int) -> None:
    token.chmod(mode)
    with pytest.raises(CredentialsDead, match=f"mode {mode:o}") as caught:
        load_token(token)
    assert f"chmod 600 {token}" in caught.value.todo


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"refresh_token": "r"}',
        '{"refresh_token": "r", "client_id": "c", "client_secret": "s", "expiry": 3}',
    ],
)
def test_damaged_token_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "token.json"
    path.touch(0o600)
    path.write_text(content)
    with pytest.raises(CredentialsDead, match="damaged") as caught:
        load_token(path)
    assert "triage auth" in caught.value.todo


def test_nobody_signed_in_yet(tmp_path: Path) -> None:
    with pytest.raises(CredentialsDead, match="No Google account is signed in"):
        connect(tmp_path / "token.json")


def test_token_made_for_another_purpose(double: GmailDouble, tmp_path: Path) -> None:
    double.write_credentials(tmp_path, scopes=["https://www.googleapis.com/auth/gmail.readonly"])
    with pytest.raises(CredentialsDead, match=r"without gmail\.modify"):
        load_token(tmp_path / "token.json")


def test_token_is_never_sent_to_a_plain_http_address(double: GmailDouble, token: Path) -> None:
    rewrite(token, token_uri="http://oauth.example/token")
    with pytest.raises(ConfigError, match="token_uri"):
        load_token(token)


def test_interrupted_save_leaves_the_old_file(
    double: GmailDouble, token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = token.read_bytes()
    signed_in = load_token(token)

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(ConfigError, match="No space left"):
        save_token(token, signed_in)
    assert token.read_bytes() == before
    assert sorted(entry.name for entry in token.parent.iterdir()) == ["credentials.json", "token.json"]


def test_save_follows_a_link_and_makes_the_folder_private(double: GmailDouble, token: Path, tmp_path: Path) -> None:
    signed_in = load_token(token)
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "new" / "token.json")
    save_token(link, signed_in)
    assert link.is_symlink()
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert load_token(link).refresh_token == signed_in.refresh_token


# -- dead credentials ---------------------------------------------------------------------------------------------


def refused_by_google(error: str, **more: str) -> dict[str, Any]:
    body = json.dumps({"error": error, "error_description": "Bad Request", **more}).encode()
    return {"status": 400, "body": body, "headers": {"Content-Type": "application/json"}}


@pytest.mark.parametrize(
    ("trouble", "words", "todo"),
    [
        (refused_by_google("invalid_grant"), "invalid_grant", "every 7 days, the OAuth app is still in status Testing"),
        (refused_by_google("invalid_grant", error_subtype="invalid_rapt"), "session control", "triage auth"),
        (refused_by_google("deleted_client"), "deleted_client", "Download the client file anew"),
        (refused_by_google("invalid_client"), "invalid_client", "Download the client file anew"),
        (refused_by_google("invalid_scope"), "invalid_scope", "triage auth"),
        (refused_by_google("org_internal"), "org_internal", "triage auth"),
    ],
    ids=["expired", "reauth", "client deleted", "client unknown", "scope", "other"],
)
def test_refresh_refused_for_good(
    double: GmailDouble, token: Path, trouble: dict[str, Any], words: str, todo: str
) -> None:
    rewrite(token, expiry=None)
    double.fail("token", times=None, **trouble)
    with connect_to(double, token) as gmail, pytest.raises(CredentialsDead, match=words) as caught:
        gmail.profile_address()
    assert todo in caught.value.todo
    assert double.quota.calls["token"] == 1
    assert gmail.quota.requests == 1


def test_refresh_token_killed_during_a_run(double: GmailDouble, token: Path) -> None:
    double.oauth.kill_refresh_tokens()
    double.clock.advance(4000)
    with connect_to(double, token) as gmail, pytest.raises(CredentialsDead, match="invalid_grant"):
        gmail.profile_address()


@pytest.mark.parametrize(
    "trouble",
    [{"status": 503}, {"status": 500, "body": b"<html>"}, {"connection": "reset"}, {"connection": "truncate"}],
    ids=["503", "html", "reset", "truncate"],
)
def test_sign_in_server_away_is_try_later(
    double: GmailDouble, token: Path, monkeypatch: pytest.MonkeyPatch, trouble: dict[str, Any]
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # google-auth waits by itself between its own tries
    rewrite(token, expiry=None)
    double.fail("token", times=None, **trouble)
    with connect_to(double, token) as gmail, pytest.raises(TryLater):
        gmail.profile_address()


def test_no_secret_in_any_error_log_or_output(
    double: GmailDouble, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    told = ""
    addresses: list[str] = []

    def remember(address: str) -> str:
        addresses.append(address)
        return address

    def fails(step: Callable[[], object]) -> None:
        nonlocal told
        with pytest.raises(TriageError) as caught:
            step()
        told += "".join(traceback.format_exception(caught.value)) + repr(caught.value) + caught.value.todo

    sign_in(tmp_path, remember)
    # An answer that holds tokens and yet is an error: google-auth and oauthlib put it into their exceptions.
    leak = json.dumps({"refresh_token": "1//double-leak", "id_token": "ya29.double-leak", "scope": SCOPE}).encode()
    double.fail("token", status=200, body=b'{"access_token": "ya29.double-leak', headers={"Content-Type": "text/plain"})
    fails(lambda: sign_in(tmp_path, remember))
    double.fail("token", times=2, status=200, body=leak, headers={"Content-Type": "application/json"})
    fails(lambda: sign_in(tmp_path, remember))
    rewrite(tmp_path / "token.json", expiry=None)
    double.clock.advance(1)
    with connect_to(double, tmp_path / "token.json") as gmail:
        try:
            gmail.profile_address()
        except TriageError as error:
            told += "".join(traceback.format_exception(error)) + error.todo
        told += repr(gmail)
    fails(lambda: sign_in(tmp_path, lambda address: remember(address).replace("state=", "state=x")))
    double.oauth.kill_refresh_tokens()
    rewrite(tmp_path / "token.json", expiry=None)
    with connect_to(double, tmp_path / "token.json") as gmail:
        fails(gmail.profile_address)
    told += caplog.text + "".join(capsys.readouterr())
    client_secret = json.loads((tmp_path / "credentials.json").read_text())["installed"]["client_secret"]
    codes = [parse_qs(urlsplit(address).query)["code"][0] for address in addresses]
    assert len(codes) == 4
    for secret in ("1//double", "ya29.double", client_secret, *codes):
        assert secret not in told


def rewrite(token: Path, **change: Any) -> dict[str, Any]:
    """Change a token file in place and return what it held."""
    old: dict[str, Any] = json.loads(token.read_text())
    token.write_text(json.dumps(old | change))
    return old


def test_hush_covers_every_library_that_logs_requests() -> None:
    gmail_auth.hush()
    for name in ("google.auth.transport.requests", "google_auth_oauthlib.flow", "requests_oauthlib.oauth2_session"):
        assert not logging.getLogger(name).isEnabledFor(logging.INFO)


# -- the seven days of an app in status Testing ---------------------------------------------------------------------


@pytest.mark.parametrize("is_testing", [True, False])
def test_an_end_google_names_is_told_and_kept(double: GmailDouble, tmp_path: Path, is_testing: bool) -> None:
    double.oauth.is_testing = is_testing
    shown: list[str] = []
    ends_at = authorize(
        tmp_path / "credentials.json",
        tmp_path / "token.json",
        headless=True,
        paste=lambda _: redirected(next(line for line in shown if line.startswith("http"))),
        show=shown.append,
    )
    kept = sign_in_ends_at(tmp_path / "token.json")
    if is_testing:
        assert ends_at is not None
        assert timedelta(days=6, hours=23) < ends_at - datetime.now(UTC) < timedelta(days=7)
        assert kept == ends_at.replace(microsecond=0)
    else:
        assert (ends_at, kept) == (None, None)


def test_a_new_sign_in_forgets_the_end_of_the_old_one(double: GmailDouble, tmp_path: Path) -> None:
    double.oauth.is_testing = True
    sign_in(tmp_path)
    assert sign_in_ends_at(tmp_path / "token.json") is not None
    double.oauth.is_testing = False
    sign_in(tmp_path)
    assert sign_in_ends_at(tmp_path / "token.json") is None
