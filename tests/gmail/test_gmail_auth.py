"""Signing in against the double's OAuth endpoints, headless and on a desktop, and the client file."""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.doubles.gmail import GmailDouble
from tests.gmail import signing_in as signing_in
from tests.gmail.signing_in import connect_to, sign_in
from triage.errors import ConfigError, CredentialsDead, TriageError, TryLater, UsageError
from triage.gmail import sign_in as gmail_auth
from triage.gmail.sign_in import SCOPE, authorize

double = signing_in.double

EXAMPLE = Path(__file__).parents[2] / "credentials.example.json"


def no_paste(_: str) -> str:
    raise AssertionError("nothing should be pasted here")


# -- signing in ---------------------------------------------------------------------------------------------------


def test_headless_end_to_end(double: GmailDouble, tmp_path: Path) -> None:
    before = dict(os.environ)
    shown = sign_in(tmp_path)
    asked = parse_qs(urlsplit(next(line for line in shown if line.startswith("http"))).query)
    assert asked["scope"] == [SCOPE]
    assert (asked["access_type"], asked["prompt"]) == (["offline"], ["consent"])
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["redirect_uri"] == ["http://127.0.0.1:8765/"]
    assert any("ssh -L 8765:127.0.0.1:8765" in line for line in shown)
    assert dict(os.environ) == before
    with connect_to(double, tmp_path / "token.json") as gmail:
        assert gmail.profile_address() == double.address


@pytest.mark.parametrize(
    "change",
    [
        lambda address: f"  <{address}>\n",
        lambda address: address.removeprefix("http://"),
        lambda address: address.partition("?")[2],
        lambda address: "?" + address.partition("?")[2],
    ],
    ids=["brackets", "no scheme", "query", "question mark"],
)
def test_headless_takes_the_address_however_it_was_copied(
    double: GmailDouble, tmp_path: Path, change: Callable[[str], str]
) -> None:
    sign_in(tmp_path, change)
    assert (tmp_path / "token.json").exists()


def test_token_file_holds_what_later_runs_need_and_is_private(double: GmailDouble, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        sign_in(tmp_path)
    finally:
        os.umask(old)
    path = tmp_path / "token.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    info = json.loads(path.read_text())
    assert info["refresh_token"] in double.oauth.refresh_tokens
    assert info["token"] in double.oauth.access_tokens
    assert info["scopes"] == [SCOPE]
    assert info["token_uri"] == double.token_uri
    left = datetime.fromisoformat(info["expiry"]) - datetime.now(UTC)
    assert timedelta(minutes=50) < left < timedelta(minutes=61)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["credentials.json", "token.json"]


@pytest.mark.parametrize(
    ("change", "expected", "words"),
    [
        (lambda address: address.replace("state=", "state=x"), UsageError, "not the answer to this sign-in"),
        (lambda _: "hello", UsageError, "not the answer to this sign-in"),
        (lambda _: "", UsageError, "not the answer to this sign-in"),
        (lambda address: address.replace("code=", "code=x"), UsageError, "does not accept that code"),
    ],
    ids=["foreign state", "not an address", "nothing", "wrong code"],
)
def test_headless_wrong_paste(
    double: GmailDouble, tmp_path: Path, change: Callable[[str], str], expected: type[TriageError], words: str
) -> None:
    with pytest.raises(expected, match=words):
        sign_in(tmp_path, change)
    assert not (tmp_path / "token.json").exists()


def test_consent_refused(double: GmailDouble, tmp_path: Path) -> None:
    double.oauth.deny_consent = True
    with pytest.raises(CredentialsDead, match="not granted"):
        sign_in(tmp_path)


def test_gmail_box_not_ticked(double: GmailDouble, tmp_path: Path) -> None:
    double.oauth.granted_scopes = ["openid"]
    with pytest.raises(CredentialsDead, match="without the permission for Gmail") as caught:
        sign_in(tmp_path)
    assert "tick the box" in caught.value.todo
    assert not (tmp_path / "token.json").exists()


def test_more_granted_than_asked(double: GmailDouble, tmp_path: Path) -> None:
    double.oauth.granted_scopes = ["openid", SCOPE]
    sign_in(tmp_path)
    assert json.loads((tmp_path / "token.json").read_text())["scopes"] == [SCOPE]


def test_client_unknown_to_google(double: GmailDouble, tmp_path: Path) -> None:
    client = json.loads((tmp_path / "credentials.json").read_text())
    client["installed"]["client_secret"] = "another"
    (tmp_path / "credentials.json").write_text(json.dumps(client))
    with pytest.raises(ConfigError, match="invalid_client"):
        sign_in(tmp_path)


@pytest.mark.parametrize("trouble", [{"connection": "reset"}, {"connection": "hang"}, {"status": 503}])
def test_google_away_during_sign_in(
    double: GmailDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: dict[str, Any]
) -> None:
    monkeypatch.setattr(gmail_auth, "HTTP_TIMEOUT_SECONDS", 0.3)
    double.fail("token", times=None, **trouble)
    with pytest.raises(TryLater):
        sign_in(tmp_path)


def test_desktop_end_to_end(double: GmailDouble, tmp_path: Path) -> None:
    shown: list[str] = []
    pages: list[bytes] = []

    def browse(url: str) -> None:
        with urllib.request.urlopen(url, timeout=5) as page:
            pages.append(page.read())

    browser = threading.Thread(target=lambda: browse(next(line for line in shown if line.startswith("http"))))

    def show(line: str) -> None:
        shown.append(line)
        if line.startswith("http"):
            browser.start()

    authorize(
        tmp_path / "credentials.json",
        tmp_path / "token.json",
        headless=False,
        paste=no_paste,
        show=show,
        timeout_seconds=5,
        open_browser=False,
    )
    browser.join(5)
    assert b"go back to the terminal" in pages[0]
    asked = parse_qs(urlsplit(next(line for line in shown if line.startswith("http"))).query)
    port = urlsplit(asked["redirect_uri"][0]).port
    assert any(f"ssh -L {port}:127.0.0.1:{port}" in line for line in shown), "no browser came up here"
    assert any("--headless" in line for line in shown)
    assert asked["redirect_uri"][0].startswith("http://127.0.0.1:")
    assert (asked["access_type"], asked["prompt"]) == (["offline"], ["consent"])
    with connect_to(double, tmp_path / "token.json") as gmail:
        assert gmail.profile_address() == double.address


def test_desktop_nobody_answers(double: GmailDouble, tmp_path: Path) -> None:
    with pytest.raises(TryLater, match="Nobody answered") as caught:
        authorize(
            tmp_path / "credentials.json",
            tmp_path / "token.json",
            headless=False,
            paste=no_paste,
            show=lambda _: None,
            timeout_seconds=0.05,
            open_browser=False,
        )
    assert "--headless" in caught.value.todo


def test_desktop_port_in_use(double: GmailDouble, tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with pytest.raises(UsageError, match="port") as caught:
            authorize(
                tmp_path / "credentials.json",
                tmp_path / "token.json",
                headless=False,
                paste=no_paste,
                show=lambda _: None,
                port=listener.getsockname()[1],
                timeout_seconds=1,
                open_browser=False,
            )
    assert "--port" in caught.value.todo


def test_desktop_opens_the_browser_and_does_without(
    double: GmailDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url))  # gives None, as where there is no browser
    with pytest.raises(TryLater):
        authorize(
            tmp_path / "credentials.json",
            tmp_path / "token.json",
            headless=False,
            paste=no_paste,
            show=lambda _: None,
            timeout_seconds=0.05,
        )
    assert opened[0].startswith(f"{double.url}/o/oauth2/auth?")


# -- the client file ----------------------------------------------------------------------------------------------


def test_example_client_file_has_the_shape_google_uses() -> None:
    from google_auth_oauthlib.flow import InstalledAppFlow

    flow = InstalledAppFlow.from_client_secrets_file(str(EXAMPLE), scopes=[SCOPE])
    assert flow.client_type == "installed"
    url, _ = flow.authorization_url()
    assert url.startswith("https://accounts.google.com/o/oauth2/auth?")
    flow.oauth2session.close()
    assert "EXAMPLE" in flow.client_config["client_secret"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "There is no OAuth client file"),
        ("{", "cannot be read"),
        ("[]", "no OAuth client file of type Desktop app"),
        ('{"web": {"client_id": "x"}}', "no OAuth client file of type Desktop app"),
        ('{"type": "service_account"}', "no OAuth client file of type Desktop app"),
        ('{"installed": {"client_id": "x"}}', "lacks client_secret, auth_uri, token_uri"),
    ],
)
def test_wrong_client_file(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "credentials.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=words) as caught:
        authorize(path, tmp_path / "token.json", headless=True, paste=no_paste, show=lambda _: None)
    assert "Desktop app" in caught.value.todo


def test_client_file_that_sends_secrets_over_plain_http(tmp_path: Path) -> None:
    client = json.loads(EXAMPLE.read_text())
    client["installed"]["token_uri"] = "http://oauth.example/token"
    (tmp_path / "credentials.json").write_text(json.dumps(client))
    with pytest.raises(ConfigError, match="token_uri"):
        authorize(tmp_path / "credentials.json", tmp_path / "t", headless=True, paste=no_paste, show=lambda _: None)
