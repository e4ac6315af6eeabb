"""A Gmail that lives on loopback and is driven by the unmodified google-api-python-client.

    with GmailDouble() as gmail:
        bounce_id = gmail.seed(raw)
        gmail.write_credentials(folder)          # credentials.json and token.json, pointing here
        ...                                      # TRIAGE_GMAIL_URL=gmail.url, or rootUrl of the discovery document
        assert gmail.label_names_of_thread(bounce_id) == {"INBOX", "Bounce/Exchange"}
        assert gmail.quota.units_new <= 30

`python -m tests.doubles.gmail --port N --state FILE` runs it as its own process and prints its URL as the first line;
`/_double/seed`, `/_double/state` and `/_double/counters` then take the place of the methods. On leaving, the context
manager raises what the double was asked and not taught: a test must not pass on a query nobody checked.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.doubles.gmail_account import Account, Clock
from tests.doubles.gmail_errors import ApiError, by_status
from tests.doubles.gmail_faults import Break, Fault, Reply, When
from tests.doubles.gmail_front import Front, Request
from tests.doubles.gmail_http import LoopbackServer, Served
from tests.doubles.gmail_oauth import CLIENT_ID, CLIENT_SECRET, GMAIL_MODIFY, LIFETIME, OAuth
from tests.doubles.gmail_quota import Quota
from tests.doubles.gmail_state import Mailbox, StoredMessage, restored


class GmailDouble(Served):
    """One Gmail account behind a port of 127.0.0.1. Every method may be called while a client is talking to it."""

    def __init__(self, address: str = "jadasailing@gmail.com", *, port: int = 0, state: Path | None = None) -> None:
        """`state` is a file everything is kept in after each change, and read from when it exists; port 0 picks one."""
        self._state = state
        kept = json.loads(state.read_text()) if state and state.exists() else None
        mailbox = restored(kept["mailbox"]) if kept else Mailbox(address)
        self.account = Account(mailbox)
        self._front = Front(self.account, on_change=self._save)
        if kept:
            vars(self._front.oauth).update(kept["oauth"])
        self._server = LoopbackServer(port, self._answer, self.complaints.append)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.token_uri = f"{self.url}/token"

    # -- what is in the mailbox ---------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        return self.account.mailbox.address

    @property
    def messages(self) -> dict[str, StoredMessage]:
        """Every message by id, in order of arrival: .raw, .thread_id, .labels (ids), .internal_ms."""
        return self.account.mailbox.messages

    @property
    def sent(self) -> list[str]:
        """Ids of the messages the client really sent; inserts and drafts are not among them."""
        return self.account.mailbox.sent

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
        with self._front.lock:
            mailbox = self.account.mailbox
            ids = [self._label_id(name) for name in labels]
            thread = mailbox.thread(thread_id)[0].thread_id if thread_id else mailbox.thread_for(raw)
            internal_ms = int(received_at.timestamp() * 1000) if received_at else None
            message = mailbox.add(raw, ids, self.clock.now(), thread_id=thread, internal_ms=internal_ms)
            self._save()
            return message.id

    def labels_of(self, message_id: str) -> set[str]:
        """The label ids of a message."""
        return set(self.messages[message_id].labels)

    def label_names_of_thread(self, thread_id: str) -> set[str]:
        """The label names any message of the thread carries."""
        with self._front.lock:
            labels = self.account.mailbox.labels
            return {labels[key]["name"] for message in self.account.mailbox.thread(thread_id) for key in message.labels}

    def label_names(self) -> set[str]:
        """The names of all user labels."""
        return {label["name"] for label in self.account.mailbox.labels.values() if label["type"] == "user"}

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
        with self._front.lock:
            self.account.mailbox.send_as[address.lower()] = alias | {"treatAsAlias": True} | msa
            self._save()

    def alias_login(self, address: str) -> tuple[str, str] | None:
        """The SMTP user name and password the client gave an alias, which the API never returns."""
        login = self.account.mailbox.alias_logins.get(address)
        return (login[0], login[1]) if login else None

    def expire_history(self) -> None:
        """Make every historyId handed out so far answer 404."""
        mailbox = self.account.mailbox
        mailbox.history_id += 10  # the next getProfile gives a living one
        mailbox.history_floor = mailbox.history_id

    # -- what it cost, what goes wrong --------------------------------------------------------------------------

    @property
    def quota(self) -> Quota:
        """units_new, units_old, requests, http_requests (a batch is one; OAuth is none), calls by method, enforced."""
        return self._front.quota

    @property
    def clock(self) -> Clock:
        """`.advance(seconds)` pushes the double's time: tokens expire, lag passes, quota minutes go by."""
        return self.account.clock

    @property
    def oauth(self) -> OAuth:
        """deny_consent, granted_scopes, kill_refresh_tokens(), revoke(token), ..."""
        return self._front.oauth

    @property
    def complaints(self) -> list[str]:
        """What it was asked and not taught; clear it where that is what the test is about."""
        return self._front.complaints

    def reset_counters(self) -> None:
        """Zero `quota`, so that what follows is counted alone."""
        self.quota.reset()

    def fail(
        self,
        method: str,
        nth: int = 1,
        *,
        times: int | None = 1,
        when: When = "before",
        status: int | None = None,
        error: ApiError | None = None,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        connection: Break | None = None,
        latency: float = 0.0,
        jitter: float = 0.0,
    ) -> None:
        """Make the nth call of `method` from now on go wrong, `times` times (None: for ever).

        `method` is "messages.get", "token", "batch", ... or "*" for any; a part of a batch counts as a call of its own.
        `status` answers Gmail's usual error of that number, `error` a chosen one of gmail_errors, `body` any bytes.
        `connection` breaks it, `latency` (+ random `jitter`, seconds) only delays. `when="after"`: the call was carried
        out first, and the client does not learn of it.
        """
        reply = None
        if body is not None:
            reply = Reply(status or 500, body, headers or {"Content-Type": "text/html"})
        elif status is not None or error is not None:
            chosen = error or by_status(status or 500)
            told = {"Content-Type": "application/json; charset=UTF-8"} | (headers or {})
            reply = Reply(chosen.status, chosen.body(), told)
        self._add(Fault(method, nth, times, when, reply, connection, latency, jitter, None))

    def kill_at(self, pid: int | Callable[[], int], method: str, nth: int = 1, when: When = "after") -> None:
        """SIGKILL a process at the nth call of `method` from now on, before or after it is carried out."""
        self._add(Fault(method, nth, 1, when, None, None, 0.0, 0.0, pid))

    def clear_faults(self) -> None:
        with self._front.lock:
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
        with self._front.lock:
            now = self.clock.now()
            access, refresh = self.oauth.issue(list(scopes), now)
            self._save()
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

    # -- inside -------------------------------------------------------------------------------------------------

    def _add(self, fault: Fault) -> None:
        with self._front.lock:
            self._front.faults.append(fault)

    def _label_id(self, name: str) -> str:
        labels = self.account.mailbox.labels
        known = self.account.mailbox.label_named(name)
        return name if name in labels else (known or self.account.mailbox.add_label({"name": name}))["id"]

    def _answer(self, request: Request) -> Reply:
        if urlsplit(request.target).path.startswith("/_double/"):
            return self._control(request)
        return self._front.answer(request)

    def _control(self, request: Request) -> Reply:
        """The endpoints of process mode: the methods above for a test in another process."""
        target = urlsplit(request.target)
        query = {name: values[-1] for name, values in parse_qs(target.query).items()}
        match request.method, target.path.removeprefix("/_double/"):
            case "POST", "seed":
                labels = query.get("labels", "INBOX,UNREAD").split(",")
                received_at = datetime.fromisoformat(query["received_at"]) if "received_at" in query else None
                answer: Any = {"id": self.seed(request.body, labels, query.get("thread_id"), received_at)}
            case "POST", "send_as":
                self.add_send_as(**json.loads(request.body))
                answer = self.account.mailbox.send_as
            case "GET", "state":
                answer = self._told_state()
            case "GET", "counters":
                answer = self.quota.counters()
            case "DELETE", "counters":
                self.reset_counters()
                answer = self.quota.counters()
            case _:
                return Reply(404, b"no such control endpoint", {"Content-Type": "text/plain"})
        return Reply(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _told_state(self) -> dict[str, Any]:
        with self._front.lock:
            snapshot = self.account.mailbox.snapshot()
            names = {key: label["name"] for key, label in snapshot["labels"].items()}
            messages = [
                {"id": m.id, "thread_id": m.thread_id, "labels": [names[key] for key in m.labels], "size": len(m.raw)}
                for m in self.messages.values()
            ]
        return {
            "address": self.address,
            "messages": messages,
            "labels": sorted(self.label_names()),
            "drafts": snapshot["drafts"],
            "sent": snapshot["sent"],
            "complaints": self.complaints,
        }

    def _save(self) -> None:
        if self._state is None:
            return
        with self._front.lock:
            kept = {"mailbox": self.account.mailbox.snapshot(), "oauth": vars(self.oauth)}
            unfinished = self._state.with_name(self._state.name + ".new")
            unfinished.write_text(json.dumps(kept))
            unfinished.replace(self._state)


def _write_private(path: Path, content: dict[str, Any]) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file)


def main() -> None:
    """Run as a process of its own until SIGTERM or Ctrl-C; the first line of output is the URL."""
    parser = argparse.ArgumentParser(prog="python -m tests.doubles.gmail", description=main.__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--state", type=Path, help="file to keep everything in")
    parser.add_argument("--address", default="jadasailing@gmail.com")
    parser.add_argument("--credentials", type=Path, help="folder to write credentials.json and token.json to")
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with GmailDouble(options.address, port=options.port, state=options.state) as gmail:
        if options.credentials:
            gmail.write_credentials(options.credentials)
        print(gmail.url, flush=True)
        stop.wait()


if __name__ == "__main__":
    main()
