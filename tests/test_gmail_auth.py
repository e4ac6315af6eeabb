"""Signing in against the double's OAuth endpoints, and the token file: who may read it and what goes into it."""

from __future__ import annotations

import json
import logging
import os
import socket
import stat
import threading
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.doubles.gmail import GmailDouble
from triage import gmail_auth
from triage.errors import ConfigError, CredentialsDead, TriageError, TryLater, UsageError
from triage.gmail import Gmail, connect
from triage.gmail_auth import SCOPE, authorize, load_token, save_token
from triage.gmail_renewal import sign_in_ends_at

EXAMPLE = Path(__file__).parent.parent / "credentials.example.json"


@pytest.fixture
def double(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GmailDouble]:
    """A Gmail with a client file, and nobody signed in yet."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    monkeypatch.delenv("OAUTHLIB_RELAX_TOKEN_SCOPE", raising=False)
    with GmailDouble() as double:
        double.write_credentials(tmp_path)
        (tmp_path / "token.json").unlink()
        yield double


@pytest.fixture
def token(double: GmailDouble, tmp_path: Path) -> Path:
    """A token file as an earlier `triage auth` left it."""
    double.write_credentials(tmp_path)
    return tmp_path / "token.json"


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def redirected(url: str) -> str:
    """Where a browser ends up that consents at this address."""
    try:
        with urllib.request.build_opener(NoRedirect).open(url, timeout=5):
            raise AssertionError("no redirect")
    except urllib.error.HTTPError as answer:
        with answer:
            return str(answer.headers["Location"])


def sign_in(folder: Path, change: Callable[[str], str] = lambda address: address) -> list[str]:
    """A headless sign-in in which the user pastes the address the browser ended on, changed by `change`."""
    shown: list[str] = []

    def paste(_: str) -> str:
        return change(redirected(next(line for line in shown if line.startswith("http"))))

    authorize(folder / "credentials.json", folder / "token.json", headless=True, paste=paste, show=shown.append)
    return shown


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


# -- by hand ------------------------------------------------------------------------------------------------------


def connect_to(double: GmailDouble, token: Path) -> closing[Gmail]:
    """A client of the double that never waits, closed at the end."""
    return closing(connect(token, url=double.url, sleep=lambda _: None))


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
