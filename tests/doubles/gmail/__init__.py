"""A Gmail that lives on loopback and is driven by the unmodified google-api-python-client.

    with GmailDouble() as gmail:
        bounce_id = gmail.seed(raw)
        gmail.write_credentials(folder)          # credentials.json and token.json, pointing here
        ...                                      # TRIAGE_GMAIL_URL=gmail.url, or rootUrl of the discovery document
        assert gmail.label_names_of_thread(bounce_id) == {"INBOX", "Bounce/Exchange"}
        assert gmail.quota.units_new <= 30

It serves what our client calls (`api.METHODS`) and finds what our searches ask for (`query`). On leaving, the context
manager raises what it was asked and not taught, sending above all: a test must not pass on what nobody checked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.doubles.faults import When
from tests.doubles.gmail.account import Account, Clock, StoredMessage
from tests.doubles.gmail.errors import ApiError, by_status
from tests.doubles.gmail.front import Front
from tests.doubles.gmail.oauth import CLIENT_ID, CLIENT_SECRET, GMAIL_MODIFY, LIFETIME, OAuth
from tests.doubles.gmail.quota import Quota
from tests.doubles.loopback import Loopback, Reply


class GmailDouble(Loopback):
    """One Gmail account behind a port of 127.0.0.1. Every method may be called while a client is talking to it."""

    def __init__(self, address: str = "jadasailing@gmail.com") -> None:
        self.account = Account(address)
        """What is in the mailbox, and the world around it: search_lag, parts_at_once, delegation."""
        self._front = Front(self.account)
        super().__init__(self._front.answer)
        self._front.complaints = self.complaints
        self.token_uri = f"{self.url}/token"

    # -- what is in the mailbox ---------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        return self.account.address

    @property
    def messages(self) -> dict[str, StoredMessage]:
        """Every message by id, in order of arrival: .raw, .thread_id, .labels (ids), .internal_ms."""
        return self.account.messages

    def seed(
        self,
        raw: bytes,
        labels: Iterable[str] = ("INBOX", "UNREAD"),
        thread_id: str | None = None,
        received_at: datetime | None = None,
    ) -> str:
        """Let a mail arrive and return its message id.

        `labels` are label ids, or names of user labels, created when missing. Without `thread_id` it is threaded as
        Gmail does. `received_at` (aware) becomes internalDate; without it the mail arrives now. Raises ApiError 404
        for a thread that is not there.
        """
        with self._front.faults.lock:
            thread = self.account.thread(thread_id)[0].thread_id if thread_id else None
            internal_ms = int(received_at.timestamp() * 1000) if received_at else None
            ids = [self._label_id(name) for name in labels]
            return self.account.add(raw, ids, thread_id=thread, internal_ms=internal_ms).id

    def labels_of(self, message_id: str) -> set[str]:
        """The label ids of a message."""
        return set(self.messages[message_id].labels)

    def label_names_of_thread(self, thread_id: str) -> set[str]:
        """The label names any message of the thread carries."""
        with self._front.faults.lock:
            labels = self.account.labels
            return {labels[key]["name"] for message in self.account.thread(thread_id) for key in message.labels}

    def label_names(self) -> set[str]:
        """The names of all user labels."""
        return {label["name"] for label in self.account.labels.values() if label["type"] == "user"}

    def add_send_as(
        self,
        address: str,
        *,
        display_name: str = "",
        host: str | None = None,
        port: int = 587,
        security: str = "starttls",
        verification: str = "accepted",
    ) -> None:
        """Add a "Send mail as" alias, with `host` one that leaves through that SMTP server."""
        alias = {"sendAsEmail": address, "displayName": display_name, "verificationStatus": verification}
        msa = {"smtpMsa": {"host": host, "port": port, "securityMode": security}} if host else {}
        self.account.send_as[address.lower()] = alias | {"treatAsAlias": True} | msa

    def alias_login(self, address: str) -> tuple[str, str] | None:
        """The SMTP user name and password the client gave an alias, which the API never returns."""
        return self.account.alias_logins.get(address)

    # -- what it cost, what goes wrong --------------------------------------------------------------------------

    @property
    def quota(self) -> Quota:
        """units_new, units_old, requests, http_requests (a batch is one; OAuth is none), calls by method."""
        return self._front.quota

    @property
    def clock(self) -> Clock:
        """`.advance(seconds)` pushes the double's time: tokens expire, lag passes, quota minutes go by."""
        return self.account.clock

    @property
    def oauth(self) -> OAuth:
        """deny_consent, granted_scopes, is_testing, kill_refresh_tokens(), ..."""
        return self._front.oauth

    def reset_counters(self) -> None:
        """Zero `quota`, so that what follows is counted alone."""
        self.quota.reset()

    def fail(
        self,
        method: str,
        nth: int = 1,
        *,
        status: int | None = None,
        error: ApiError | None = None,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        **how: Any,
    ) -> None:
        """Make the nth call of `method` from now on go wrong; `how` is told in `Faults.add`.

        `method` is "messages.get", "token", "batch", ... or "*" for any; a part of a batch counts as a call of its own.
        `status` answers Gmail's usual error of that number, `error` a chosen one of `errors`, `body` any bytes.
        """
        reply = None
        if body is not None:
            reply = Reply(status or 500, body, headers or {"Content-Type": "text/html"})
        elif error := error or (by_status(status) if status else None):
            told = {"Content-Type": "application/json; charset=UTF-8"} | (headers or {})
            reply = Reply(error.status, error.body(), told)
        self._front.faults.add(method, nth, reply=reply, **how)

    def kill_at(self, pid: int | Callable[[], int], method: str, nth: int = 1, when: When = "after") -> None:
        """SIGKILL a process at the nth call of `method` from now on, before or after it is carried out."""
        self._front.faults.add(method, nth, when=when, victim=pid)

    def clear_faults(self) -> None:
        self._front.faults.clear()

    # -- credentials --------------------------------------------------------------------------------------------

    def write_credentials(self, folder: Path, scopes: Iterable[str] = (GMAIL_MODIFY,)) -> None:
        """Write `credentials.json` (a desktop client as downloaded) and a ready `token.json`, both 0600."""
        client = {
            "client_id": CLIENT_ID,
            "project_id": "bounce-triage-double",
            "auth_uri": f"{self.url}/o/oauth2/auth",
            "token_uri": self.token_uri,
            "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
            "client_secret": CLIENT_SECRET,
            "redirect_uris": ["http://localhost"],
        }
        _write_private(folder / "credentials.json", {"installed": client})
        _write_private(folder / "token.json", self.token_info(scopes))

    def token_info(self, scopes: Iterable[str] = (GMAIL_MODIFY,)) -> dict[str, Any]:
        """A granted token in the shape of google.oauth2.credentials.Credentials.to_json."""
        now = self.clock.now()
        access, refresh = self.oauth.issue(list(scopes), now)
        expiry = datetime.fromtimestamp(now + LIFETIME, UTC).replace(tzinfo=None)
        return {
            "token": access,
            "refresh_token": refresh,
            "token_uri": self.token_uri,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "scopes": list(scopes),
            "universe_domain": "googleapis.com",
            "account": "",
            "expiry": f"{expiry.isoformat()}Z",
        }

    def _label_id(self, name: str) -> str:
        known = self.account.labels.get(name) or self.account.label_named(name)
        return str((known or self.account.add_label(name=name))["id"])


def _write_private(path: Path, content: dict[str, Any]) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file)
