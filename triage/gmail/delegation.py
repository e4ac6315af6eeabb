"""Gives an alias its new SMTP login through the Gmail API: only for Google Workspace, with a service account.

Part of the Gmail module: Google lets nobody else change an alias (domain-wide delegation, scope settings.sharing). No
password is logged, shown or kept; Google never gives it back, so what can be read back is host, port and security.
Source: https://developers.google.com/gmail/api/reference/rest/v1/users.settings.sendAs
"""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from remediation.credentials import Login, Relay
from triage.addresses import google_or_here
from triage.errors import ConfigError, CredentialsDead, TriageError, TryLater
from triage.gmail import sign_in as gmail_auth
from triage.gmail.proxy import open_http
from triage.own_files import is_open_to_others, read_plain

SCOPES = (
    "https://www.googleapis.com/auth/gmail.settings.basic",
    "https://www.googleapis.com/auth/gmail.settings.sharing",
)
_DELEGATION_URL = "https://admin.google.com/ac/owl/domainwidedelegation"


def update_alias(
    service_account: Path, mailbox: str, alias: str, login: Login, relay: Relay, *, url: str | None = None
) -> str:
    """Let the alias use this login, read it back, and return what Gmail then says in one line.

    `service_account` is the key file as downloaded; `mailbox` the user it acts for. Doing it twice changes nothing.
    Raises ConfigError, CredentialsDead or TryLater.
    """
    info = _read_key_file(service_account)
    gmail_auth.hush()
    from google.oauth2 import service_account as google_accounts

    try:
        signed = google_accounts.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
            info, scopes=list(SCOPES), subject=mailbox
        )
    except Exception as error:  # the library's own words may hold parts of the key
        raise ConfigError(
            f"{service_account} is no usable key of a service account ({type(error).__name__}).", "Download it anew."
        ) from None
    try:
        return _updated(signed, mailbox, alias, login, relay, url)
    except TriageError:
        raise
    except Exception as error:
        # `from None`: what failed has the password in its request.
        raise _understood(error, info, mailbox, alias) from None


def _updated(signed: Any, mailbox: str, alias: str, login: Login, relay: Relay, url: str | None) -> str:
    from google_auth_httplib2 import AuthorizedHttp, Request
    from googleapiclient.discovery import build_from_document
    from googleapiclient.discovery_cache import get_static_doc

    document = json.loads(get_static_doc("gmail", "v1"))
    if url:
        document["rootUrl"] = google_or_here(url, "gmail_url").rstrip("/") + "/"
    document.pop("mtlsRootUrl", None)
    http = open_http(gmail_auth.HTTP_TIMEOUT_SECONDS)
    try:
        renew = signed.refresh
        signed.refresh = lambda _: renew(Request(http))
        gmail = build_from_document(document, http=AuthorizedHttp(signed, http=http))
        send_as = gmail.users().settings().sendAs()
        wanted = {"host": relay.host, "port": relay.port, "securityMode": relay.security}
        body = {"smtpMsa": wanted | {"username": login.username, "password": login.password}}
        # Patching with the same values again is harmless, so this may be repeated.
        send_as.patch(userId=mailbox, sendAsEmail=alias, body=body).execute(num_retries=2)
        answer = send_as.get(userId=mailbox, sendAsEmail=alias).execute(num_retries=2)
    finally:
        http.close()
    found = {key: (answer.get("smtpMsa") or {}).get(key) for key in wanted}
    if found != wanted:
        raise TryLater(
            f"Gmail took the change of {alias}, but shows {found['host']}:{found['port']} ({found['securityMode']}).",
            "Run the same command again in a minute; if it stays so, enter the login by hand.",
        )
    status = answer.get("verificationStatus")
    if status not in (None, "accepted"):
        raise ConfigError(
            f"Gmail took the login of {alias}, but the alias is not verified ({status}).",
            "Open the mail Gmail sent to that address and confirm it.",
        )
    return f"Gmail took the login of {alias} through its API and shows {relay.host}:{relay.port}"


def _read_key_file(path: Path) -> dict[str, Any]:
    try:
        text, found = read_plain(path)
        info = json.loads(text)
    except FileNotFoundError:
        raise ConfigError(f"There is no key file {path}.", "Set `service_account`, or leave it out.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"The key file {path} cannot be read ({type(error).__name__}).", "Download it anew."
        ) from None
    if is_open_to_others(found):
        mode = stat.S_IMODE(found.st_mode)
        raise CredentialsDead(f"Others can read the key file {path} (mode {mode:03o}).", f"Run `chmod 600 {path}`.")
    if not isinstance(info, dict) or info.get("type") != "service_account":
        raise ConfigError(f"{path} is no key file of a service account.", "Download the JSON key of the account.")
    google_or_here(str(info.get("token_uri")), f"token_uri in {path}")
    return info


def _understood(error: Exception, info: dict[str, Any], mailbox: str, alias: str) -> TriageError:
    """Our error for one of Google's; only types, status numbers and error words are told."""
    from google.auth.exceptions import RefreshError, TransportError
    from googleapiclient.errors import HttpError

    allow = (
        f"In {_DELEGATION_URL} allow client {info.get('client_id') or 'ID of the service account'} the scopes"
        f" {','.join(SCOPES)}; it can take an hour to count."
    )
    if isinstance(error, RefreshError):
        if error.retryable:
            return TryLater("Google's sign-in server has a problem.", "Run the same command again later.")
        return CredentialsDead(f"Google does not let the service account act for {mailbox}.", allow)
    if isinstance(error, HttpError):
        status = int(error.resp.status)
        if status == 404:
            return ConfigError(
                f"{mailbox} has no alias {alias}.", "Check `smtp_alias`, or add the alias in Gmail first."
            )
        if status in (401, 403):
            return CredentialsDead(f"Google does not let the service account change {alias} ({status}).", allow)
        if status == 400:
            return ConfigError(
                f"Gmail refused the login for {alias} (400).",
                "It could not log in with it: run `triage credentials check`, then the same command again.",
            )
        return TryLater(f"Gmail could not change {alias} ({status}).", "Run the same command again later.")
    if isinstance(error, OSError | TransportError):
        return TryLater(f"Gmail could not be reached ({type(error).__name__}).", "Run the same command again later.")
    return TryLater(f"The change of {alias} did not come through ({type(error).__name__}).", "Run it again.")
