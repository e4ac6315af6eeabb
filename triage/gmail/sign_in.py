"""Signs in to Google once, by browser, and keeps the result in a token file only its owner can read.

Does not speak to Gmail. No token, code or client secret leaves this module by a log line, a repr or an error text.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from remediation.here import is_here
from triage.addresses import google_or_here
from triage.errors import ConfigError, CredentialsDead, TriageError, TryLater, UsageError
from triage.gmail.answers import no_answer, read_token_refusal
from triage.gmail.renewal import ENDS_AT, ends_at
from triage.own_files import is_open_to_others, read_plain, write_whole

SCOPE = "https://www.googleapis.com/auth/gmail.modify"
"""The one scope asked for: reads, labels and inserts, and lists the aliases; deletes nothing for good."""
ENOUGH_SCOPES = {SCOPE, "https://mail.google.com/"}
"""A token file made by another tool may carry the wider one, which includes all of ours."""

GOOGLE_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
_CLIENTS_URL = "https://console.cloud.google.com/auth/clients"
HEADLESS_PORT = 8765
HTTP_TIMEOUT_SECONDS = 30.0

# These libraries log requests, answers or redirect addresses at DEBUG and INFO, that is codes and tokens.
_TALKATIVE = (
    "google",
    "googleapiclient",
    "google_auth_httplib2",
    "google_auth_oauthlib",
    "oauthlib",
    "requests_oauthlib",
)

_OAUTH_WORD = re.compile(r"[a-z]{1,30}(?:_[a-z]{1,30}){1,5}")  # RFC 6749 5.2; a proxy's words are others
_SIGN_IN_AGAIN = "Run `triage auth` to sign in again."
PUBLISH = (
    "set the OAuth app to In production (https://console.cloud.google.com/auth/audience); your own use needs no "
    "verification"
)
_SEVEN_DAYS = (
    "Run `triage auth` to sign in again. If this happens every 7 days, the OAuth app is still in status Testing: "
    f"{PUBLISH}."
)


def authorize(
    credentials: Path,
    token: Path,
    *,
    headless: bool,
    paste: Callable[[str], str],
    show: Callable[[str], None],
    port: int | None = None,
    timeout_seconds: float = 300.0,
    open_browser: bool = True,
) -> datetime | None:
    """Ask the user for consent and write the token file, replacing an older one.

    Returns when Google will end this sign-in whatever happens (the seven days of an app in status Testing); None where
    Google names no end.

    `credentials` is the OAuth client file ("Desktop app") as downloaded from Google. On a desktop the browser comes
    back to a port of this machine (any free one, or `port`, which `ssh -L` can forward). With `headless` the user
    opens the address anywhere and pastes the address of the page it ends on: `paste(prompt)` returns that text,
    `show(line)` prints. Raises ConfigError for a wrong client file, CredentialsDead where consent or scope was not
    given, UsageError for a wrong paste, TryLater where nobody answered or Google is away. Uses PKCE (RFC 7636).
    """
    client = read_client(credentials)
    hush()
    from google_auth_oauthlib.flow import InstalledAppFlow

    flow = InstalledAppFlow.from_client_config({"installed": client}, scopes=[SCOPE])
    # run_local_server calls it without a timeout, and requests would then wait for ever.
    flow.fetch_token = partial(flow.fetch_token, timeout=HTTP_TIMEOUT_SECONDS)
    # Without prompt=consent Google leaves the refresh token out when the user has consented before.
    asking = {"access_type": "offline", "prompt": "consent"}
    try:
        with _granted_scopes_may_differ():
            if headless:
                _ask_by_paste(flow, asking, paste, show, port or HEADLESS_PORT)
            else:
                _ask_by_browser(flow, asking, show, port or 0, timeout_seconds, open_browser)
        granted = flow.credentials.granted_scopes
        signed_in = flow.credentials
        sign_in_ends_at = ends_at(flow.oauth2session.token, datetime.now(UTC))
    except TriageError:
        raise
    except Exception as error:
        # `from None`: the chain may hold the answer of the token endpoint.
        raise _consent_failed(error) from None
    finally:
        flow.oauth2session.close()
    # RFC 6749 5.1: no scope in the answer means that what was asked for is granted.
    if granted is not None and not ENOUGH_SCOPES & set(granted):
        raise CredentialsDead(
            "Google signed you in, but without the permission for Gmail.",
            "Run `triage auth` again and tick the box for Gmail on Google's page.",
        )
    if not signed_in.refresh_token:
        raise CredentialsDead(
            "Google signed you in for one hour only (no refresh token).",
            "Remove the app at https://myaccount.google.com/connections , then run `triage auth` again.",
        )
    save_token(token, signed_in, scopes=[SCOPE], ends=sign_in_ends_at)
    return sign_in_ends_at


def load_token(path: Path) -> Any:
    """The saved sign-in as google.oauth2.credentials.Credentials, with the scopes and token address of the file.

    Raises CredentialsDead when there is none, when it cannot be understood, or when others can read the file.
    """
    try:
        text, found = read_plain(path)
    except FileNotFoundError:
        raise CredentialsDead(
            f"No Google account is signed in: there is no {path}.", "Run `triage auth` to sign in."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialsDead(f"The saved sign-in {path} cannot be read: {_why(error)}", _SIGN_IN_AGAIN) from None
    if is_open_to_others(found):
        raise CredentialsDead(
            f"Others on this computer can read the saved sign-in {path} (mode {stat.S_IMODE(found.st_mode):03o}).",
            f"Run `chmod 600 {path}`; if a stranger may have read it, run `triage auth` instead.",
        )
    try:
        info = json.loads(text)
        expiry = _naive_utc(datetime.fromisoformat(info["expiry"])) if info.get("expiry") else None
        scopes = info.get("scopes") or [SCOPE]
        scopes = scopes.split() if isinstance(scopes, str) else [str(scope).strip() for scope in scopes]
        refresh_token, client_id, client_secret = (
            str(info[key]) for key in ("refresh_token", "client_id", "client_secret")
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise CredentialsDead(f"The saved sign-in {path} is damaged or of another program.", _SIGN_IN_AGAIN) from None
    if not ENOUGH_SCOPES & set(scopes):
        raise CredentialsDead(f"The saved sign-in {path} was made without gmail.modify.", _SIGN_IN_AGAIN)
    from google.oauth2.credentials import Credentials

    # Not Credentials.from_authorized_user_file: it ignores the token_uri of the file, and with it a test's own server.
    signed_in: Any = Credentials
    return signed_in(
        # Without an expiry the access token would pass for valid for ever.
        token=info.get("token") if expiry else None,
        refresh_token=refresh_token,
        token_uri=google_or_here(str(info.get("token_uri") or GOOGLE_TOKEN_URI), f"token_uri in {path}"),
        client_id=client_id,
        client_secret=client_secret,
        scopes=scopes,
        expiry=expiry,
    )


def _naive_utc(moment: datetime) -> datetime:
    """What google-auth compares with."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def save_token(path: Path, signed_in: Any, *, scopes: list[str] | None = None, ends: datetime | None = None) -> None:
    """Write the token file, mode 0600, in one step: a reader sees the old one or the new one, never half of it.

    The access token goes in with its expiry, so that a run within the hour needs no request to sign in. `scopes`
    replaces those asked for by those to ask for at the next refresh; `ends` is when Google ends the sign-in, where
    it said so. Raises ConfigError when it cannot be written.
    """
    info = json.loads(signed_in.to_json())
    if scopes is not None:
        info["scopes"] = scopes
    if ends is not None:
        info[ENDS_AT] = ends.astimezone(UTC).isoformat(timespec="seconds")
    target = Path(os.path.realpath(path))
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(target, json.dumps(info), 0o600)
    except OSError as error:
        raise ConfigError(
            f"The sign-in cannot be saved to {path}: {_why(error)}",
            "Make the folder writable or set `token` to another path.",
        ) from None


def mark_of(signed_in: Any) -> str:
    """What tells one sign-in from another, and nothing else: no token can be had from it."""
    return hashlib.sha256(f"{signed_in.client_id} {signed_in.refresh_token}".encode()).hexdigest()[:16]


def refresh_failed(error: Any) -> TriageError:
    """What to raise for a google.auth RefreshError: `Passing` where the token endpoint is away, else CredentialsDead.

    https://developers.google.com/identity/protocols/oauth2#expiration lists why a refresh token dies.
    """
    answer = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], dict) else {}
    said = answer.get("error")
    if isinstance(said, dict):  # the shape of Google's other servers, or of a proxy's: no word of OAuth's
        return read_token_refusal(answer)
    word = said if isinstance(said, str) else ""
    if word == "invalid_grant" and answer.get("error_subtype") != "invalid_rapt":
        return CredentialsDead(
            "Google no longer accepts the saved sign-in (invalid_grant: expired or revoked).", _SEVEN_DAYS
        )
    if word == "invalid_grant" or "Reauthentication is needed" in str(error.args[:1]):
        return CredentialsDead(
            "Your Google Workspace asks for a new sign-in from time to time (session control), so the saved one ended.",
            "Run `triage auth` to sign in again; the administrator can exempt trusted apps from session control.",
        )
    if word in ("invalid_client", "unauthorized_client", "deleted_client", "disabled_client"):
        return CredentialsDead(
            f"Google does not know the OAuth client of the saved sign-in any more ({word}).",
            f"Download the client file anew ({_CLIENTS_URL}), then run `triage auth`.",
        )
    if word == "invalid_scope":
        return CredentialsDead("The saved sign-in asks for more than was granted (invalid_scope).", _SIGN_IN_AGAIN)
    if not error.retryable and _OAUTH_WORD.fullmatch(word) and "rate" not in word and "limit" not in word:
        return CredentialsDead(f"Google refused to renew the saved sign-in ({word[:60]}).", _SIGN_IN_AGAIN)
    return no_answer(f"its sign-in server has a problem{f' ({word[:60]})' if word.isprintable() and word else ''}")


def read_client(path: Path) -> dict[str, Any]:
    """The `installed` part of Google's client file. Raises ConfigError for anything else."""
    get_one = f"Create an OAuth client of type Desktop app ({_CLIENTS_URL}), download its JSON file"
    try:
        data = json.loads(read_plain(path)[0])
    except FileNotFoundError:
        raise ConfigError(f"There is no OAuth client file {path}.", f"{get_one} and save it as {path}.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"The OAuth client file {path} cannot be read: {_why(error)}", f"{get_one} again.") from None
    client = data.get("installed") if isinstance(data, dict) else None
    if not isinstance(client, dict):
        raise ConfigError(f"{path} is no OAuth client file of type Desktop app.", f"{get_one} and save it as {path}.")
    missing = [
        key for key in ("client_id", "client_secret", "auth_uri", "token_uri") if not isinstance(client.get(key), str)
    ]
    if missing:
        raise ConfigError(f"{path} lacks {', '.join(missing)}.", f"{get_one} again.")
    for key in ("auth_uri", "token_uri"):
        google_or_here(client[key], f"{key} in {path}")
    return client


def addresses_here(path: Path) -> Iterator[tuple[str, str]]:
    """(name, address) of what a token, client or key file wants asked on this computer instead of at Google."""
    try:
        info = json.loads(read_plain(path)[0])
    except (OSError, ValueError, RecursionError):
        return
    for part in (info, info.get("installed") if isinstance(info, dict) else None):
        known = part if isinstance(part, dict) else {}
        here = [key for key in ("auth_uri", "token_uri") if is_here(str(known.get(key)))]
        yield from ((f"{key} in {path.name}", str(known[key])) for key in here)


def _ask_by_browser(
    flow: Any,
    asking: dict[str, str],
    show: Callable[[str], None],
    port: int,
    timeout_seconds: float,
    open_browser: bool,
) -> None:
    """Show the address, open it, and wait on 127.0.0.1 for the browser to come back."""
    import webbrowser

    authorization_url = flow.authorization_url

    # run_local_server would print the address itself and fail where no browser is installed.
    def shown_url(**wanted: Any) -> tuple[str, str]:
        url, state = authorization_url(**wanted)
        show("Open this address in a browser on this computer and allow access:")
        show(url)
        if not (open_browser and webbrowser.open(url)):
            port = urlsplit(flow.redirect_uri).port
            show(f"The browser is on another computer? There, run `ssh -L {port}:127.0.0.1:{port} THIS-HOST` first;")
            show("or stop here with Ctrl-C and run `triage auth --headless`.")
        show('Google warns of an app it has not verified: that is your own. Press "Advanced", then "Go to ...".')
        return url, state

    flow.authorization_url = shown_url
    flow.run_local_server(
        host="127.0.0.1",
        port=port,
        authorization_prompt_message=None,
        success_message="Done. You can close this page and go back to the terminal.",
        open_browser=False,
        timeout_seconds=timeout_seconds,
        **asking,
    )


def _ask_by_paste(
    flow: Any, asking: dict[str, str], paste: Callable[[str], str], show: Callable[[str], None], port: int
) -> None:
    """Show the address and take the address the browser ended on; nothing listens there, and nothing needs to."""
    flow.redirect_uri = f"http://127.0.0.1:{port}/"
    url, _ = flow.authorization_url(**asking)
    show("1. Open this address in a browser on any computer and allow access:")
    show(url)
    show('   Google warns of an app it has not verified: that is your own. Press "Advanced", then "Go to ...".')
    show(f"2. The browser then ends on a page it cannot show (http://127.0.0.1:{port}/?...). That is as it should be.")
    show("3. Copy the whole address of that page from the address bar and paste it here.")
    show(f"(Or connect by `ssh -L {port}:127.0.0.1:{port} THIS-HOST` and run `triage auth --port {port}` there.)")
    answer = paste("Address: ").strip().strip("<>\"'")
    _, mark, query = answer.partition("?")
    # oauthlib insists on https although the redirect goes to this machine; only the query counts.
    flow.fetch_token(authorization_response=f"https://127.0.0.1:{port}/?{query if mark else answer}")


def _consent_failed(error: Exception) -> TriageError:
    """What to raise for an error of oauthlib, requests or the local server; only their type and error word are told."""
    kind = type(error).__name__
    if kind == "WSGITimeoutError":
        return TryLater(
            "Nobody answered in the browser.",
            "Run `triage auth` again; add --headless where the browser is on another computer.",
        )
    if kind in ("MissingCodeError", "MismatchingStateError"):
        return UsageError(
            "That address is not the answer to this sign-in.",
            "Run `triage auth` again and use the address the browser ends on, whole and from this attempt.",
        )
    if kind == "AccessDeniedError":
        return CredentialsDead(
            "Access was not granted on Google's page.",
            "Run `triage auth` again and press Allow. If Google says the app is not verified: Advanced, then Go to it.",
        )
    if kind == "InvalidGrantError":
        return UsageError(
            "Google does not accept that code: it is used, too old or of another attempt.", "Run `triage auth` again."
        )
    word = getattr(error, "error", None)
    if isinstance(word, str) and word.replace("_", "").isalnum():
        return ConfigError(
            f"Google refused the sign-in ({word[:60]}).",
            f"Check that the OAuth client is of type Desktop app and still there ({_CLIENTS_URL}).",
        )
    if isinstance(error, OSError) and not isinstance(error, ConnectionError) and error.errno is not None:
        return UsageError(
            f"The port for the browser cannot be used: {_why(error)}", "Run `triage auth` again with another --port."
        )
    return no_answer(f"the sign-in did not finish ({kind})")


@contextmanager
def _granted_scopes_may_differ() -> Iterator[None]:
    """Keep oauthlib from raising when Google grants more or less than asked; `authorize` looks at it itself."""
    name = "OAUTHLIB_RELAX_TOKEN_SCOPE"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def hush() -> None:
    """Keep Google's libraries from logging requests and answers, which hold tokens, and 403s we report ourselves."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
