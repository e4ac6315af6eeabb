"""One HTTP request in, one reply out: which endpoint it is, who asks, what it costs, what goes wrong with it.

Knows nothing of sockets (gmail_http) and holds no mail (gmail_state).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from tests.doubles import gmail_api as api
from tests.doubles import gmail_settings as settings
from tests.doubles.gmail_account import Account
from tests.doubles.gmail_errors import (
    JSON,
    ApiError,
    DoubleError,
    delegation_denied,
    invalid,
    scope_insufficient,
    too_many_concurrent,
)
from tests.doubles.gmail_faults import Fault, Reply, answered
from tests.doubles.gmail_oauth import OAuth
from tests.doubles.gmail_quota import Quota
from tests.doubles.gmail_routes import Route, checked_body, find_route, select_fields, typed_parameters

Method = Callable[[Account, JSON, JSON], JSON | None]
METHODS: dict[str, Method] = {
    "getProfile": settings.get_profile,
    "watch": settings.watch,
    "stop": settings.stop,
    "messages.list": api.messages_list,
    "messages.get": api.messages_get,
    "messages.insert": api.messages_insert,
    "messages.import": api.messages_import,
    "messages.send": api.messages_send,
    "messages.modify": api.messages_modify,
    "messages.batchModify": api.messages_batch_modify,
    "messages.batchDelete": api.messages_batch_delete,
    "messages.delete": api.messages_delete,
    "messages.trash": api.messages_trash,
    "messages.untrash": api.messages_untrash,
    "messages.attachments.get": api.attachments_get,
    "threads.list": api.threads_list,
    "threads.get": api.threads_get,
    "threads.modify": api.threads_modify,
    "drafts.create": api.drafts_create,
    "drafts.update": api.drafts_update,
    "drafts.get": api.drafts_get,
    "drafts.list": api.drafts_list,
    "drafts.delete": api.drafts_delete,
    "drafts.send": api.drafts_send,
    "history.list": api.history_list,
    "labels.list": settings.labels_list,
    "labels.get": settings.labels_get,
    "labels.create": settings.labels_create,
    "labels.patch": settings.labels_patch,
    "labels.update": settings.labels_patch,
    "labels.delete": settings.labels_delete,
    "sendAs.list": settings.send_as_list,
    "sendAs.get": settings.send_as_get,
    "sendAs.update": settings.send_as_update,
    "sendAs.patch": settings.send_as_update,
}
MAX_BATCH = 100


@dataclass(frozen=True)
class Request:
    """A request as it came in; header names in any case."""

    method: str
    target: str
    headers: Message[str, str]
    body: bytes


@dataclass
class Front:
    """Everything the double is, without the sockets."""

    account: Account
    oauth: OAuth = field(default_factory=OAuth)
    quota: Quota = field(default_factory=Quota)
    faults: list[Fault] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    """What the double was asked and not taught; a test with complaints has proven nothing."""
    on_change: Callable[[], None] = lambda: None
    lock: threading.RLock = field(default_factory=threading.RLock)

    def answer(self, request: Request) -> Reply:
        """The reply to one request; raises BrokenConnectionError where there is to be none."""
        path = urlsplit(request.target).path
        if path in ("/token", "/oauth2/token", "/o/oauth2/token"):
            return self._named("token", lambda: self._token(request))
        if path in ("/o/oauth2/auth", "/o/oauth2/v2/auth"):
            query = dict(parse_qsl(urlsplit(request.target).query))
            return Reply(302, headers={"Location": self.oauth.authorize(query)})
        if path == "/revoke":
            return self._named("revoke", lambda: self._revoke(request))
        self.quota.http_requests += 1
        if path in ("/batch", "/batch/gmail/v1"):
            return self._named("batch", lambda: self._batch(request))
        return self._call(request)

    def _named(self, name: str, process: Callable[[], Reply]) -> Reply:
        """Count a call and answer it under its faults."""
        with self.lock:
            self.quota.calls[name] += 1
            struck = [fault for fault in self.faults if fault.strikes(name)]

        def locked() -> Reply:
            with self.lock:
                return process()

        return answered(struck, locked)

    def _call(self, request: Request) -> Reply:
        """One call of the API, alone or as a part of a batch."""
        target = urlsplit(request.target)
        http_method = request.headers.get("X-HTTP-Method-Override") or request.method
        query, body = parse_qs(target.query, keep_blank_values=True), request.body
        if http_method != request.method:  # a GET too long for an address arrives as a form
            query, body = parse_qs(request.body.decode(), keep_blank_values=True), b""
        found = find_route(http_method, target.path)
        if found is None:
            self.complaints.append(f"no such address: {http_method} {target.path}")
            return Reply(404, b"<!DOCTYPE html><title>Error 404 (Not Found)!!1</title>", {"Content-Type": "text/html"})
        route, path_params = found

        def process() -> Reply:
            try:
                granted = self.oauth.scopes_of(request.headers.get("Authorization"), self.account.clock.now())
                result = self._processed(route, path_params, query, body, granted)
            except ApiError as error:
                return _error(error)
            except DoubleError as error:
                self.complaints.append(str(error))
                return _error(ApiError(400, str(error), "notTaughtToTheDouble"))  # not 5xx: nobody shall retry it
            if http_method != "GET":
                self.on_change()
            if result is None:
                return Reply(204)
            return _json(200, select_fields(result, query["fields"][-1]) if "fields" in query else result)

        return self._named(route.name, process)

    def _processed(
        self, route: Route, path_params: JSON, query: dict[str, list[str]], body: bytes, granted: list[str]
    ) -> JSON | None:
        if route.name not in METHODS:
            raise DoubleError(f"the Gmail double was not taught {route.name}")
        self.quota.charge(route.name, self.account.clock.now())
        if route.scopes.isdisjoint(granted):
            raise scope_insufficient()
        if path_params["userId"] not in ("me", self.account.mailbox.address):
            raise delegation_denied(path_params["userId"])
        params = path_params | typed_parameters(route, query)
        return METHODS[route.name](self.account, params, checked_body(route, body))

    def _token(self, request: Request) -> Reply:
        form = dict(parse_qsl(request.body.decode()))
        status, answer = self.oauth.token(form, request.headers.get("Authorization"), self.account.clock.now())
        self.on_change()
        return _json(status, answer)

    def _revoke(self, request: Request) -> Reply:
        given = parse_qs(urlsplit(request.target).query) | parse_qs(request.body.decode())
        status, answer = self.oauth.revoke(given.get("token", [""])[-1])
        self.on_change()
        return _json(status, answer)

    def _batch(self, request: Request) -> Reply:
        """Answer a multipart/mixed batch part by part (developers.google.com/gmail/api/guides/batch)."""
        envelope = b"Content-Type: " + request.headers.get("Content-Type", "").encode() + b"\r\n\r\n" + request.body
        message = message_from_bytes(envelope)
        if not message.is_multipart():
            return _error(invalid("Failed to parse batch request, error: no boundary"))
        parts: list[Any] = list(message.get_payload())
        if len(parts) > MAX_BATCH:
            # mhasbini/gmail_analyzer #12
            text = f"Inner request count exceeds the limit. Received: {len(parts)}, Limit: {MAX_BATCH}"
            return _error(invalid(text))
        answers = []
        for number, part in enumerate(parts):
            if self.account.parts_at_once is not None and number >= self.account.parts_at_once:
                reply = _error(too_many_concurrent())
            else:
                reply = self._call(_inner(part.get_payload(), request.headers))
            answers.append((part["Content-ID"] or "<none>", reply))
        return _batch_reply(answers)


def _inner(text: str, outer: Message[str, str]) -> Request:
    """The request inside a part; the outer Authorization counts where it brings none."""
    head, _, body = text.replace("\r\n", "\n").partition("\n\n")
    line, _, header_text = head.lstrip("\n").partition("\n")
    method, target, *_ = line.split(" ")
    headers = message_from_bytes(header_text.encode() + b"\n\n")
    if "Authorization" not in headers and "Authorization" in outer:
        headers["Authorization"] = outer["Authorization"]
    return Request(method, target, headers, body.strip().encode())


def _batch_reply(answers: list[tuple[str, Reply]]) -> Reply:
    boundary = "batch_double"
    lines = bytearray()
    for content_id, reply in answers:
        if reply.omitted:
            continue
        headers = reply.headers | {"Content-Length": str(len(reply.body))}
        inner = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        # The client splits the inner message at CRLF and needs a word after the status.
        lines += (
            f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: {content_id.replace('<', '<response-', 1)}"
            f"\r\n\r\nHTTP/1.1 {reply.status} Status\r\n{inner}\r\n"
        ).encode()
        lines += reply.body + b"\r\n"
    lines += f"--{boundary}--\r\n".encode()
    whole = Reply(200, bytes(lines), {"Content-Type": f"multipart/mixed; boundary={boundary}"})
    whole.delay = max((reply.delay for _, reply in answers), default=0.0)  # parts run side by side
    whole.truncated = any(reply.truncated for _, reply in answers)
    return whole


def _json(status: int, answer: Any) -> Reply:
    return Reply(status, json.dumps(answer).encode(), {"Content-Type": "application/json; charset=UTF-8"})


def _error(error: ApiError) -> Reply:
    return Reply(error.status, error.body(), {"Content-Type": "application/json; charset=UTF-8"})
