"""One HTTP request in, one reply out: which method it is, who asks, what it costs, what goes wrong with it.

Paths and scopes are read from Google's own discovery document, the one bundled with the client, so client and double
cannot disagree about them. Knows nothing of sockets (loopback) and holds no mail (account).
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.utils import formatdate
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

from tests.doubles.faults import Faults
from tests.doubles.gmail.account import JSON, Account
from tests.doubles.gmail.api import METHODS
from tests.doubles.gmail.errors import ApiError, delegation_denied, scope_insufficient, too_many_concurrent
from tests.doubles.gmail.oauth import OAuth
from tests.doubles.gmail.quota import Quota
from tests.doubles.loopback import DoubleError, Reply, Request, json_reply


@dataclass(frozen=True)
class Route:
    """One method of the API. `name` is Google's without `gmail.users.` and `settings.`: messages.list, sendAs.get."""

    name: str
    http_method: str
    path: re.Pattern[str]
    scopes: frozenset[str]


@cache
def _routes() -> tuple[Route, ...]:
    """All methods Gmail has, literal paths before paths with an id."""
    document = files("googleapiclient") / "discovery_cache" / "documents" / "gmail.v1.json"
    found = [_route(method) for method in _methods(json.loads(document.read_text("utf-8")))]
    return tuple(sorted(found, key=lambda route: route.path.groups))


def _methods(node: JSON) -> list[JSON]:
    own = list(node.get("methods", {}).values())
    return own + [method for child in node.get("resources", {}).values() for method in _methods(child)]


def _route(method: JSON) -> Route:
    path = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape("/" + method["path"]))
    name = method["id"].removeprefix("gmail.users.").removeprefix("settings.")
    return Route(name, method["httpMethod"], re.compile(path), frozenset(method["scopes"]))


@dataclass
class Front:
    """Everything the double is, without the sockets."""

    account: Account
    complaints: list[str] = field(default_factory=list)
    oauth: OAuth = field(default_factory=OAuth)
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        self.quota = Quota(self.faults.calls)

    def answer(self, request: Request) -> Reply:
        """The reply to one request; raises BrokenConnectionError where there is to be none."""
        reply = self._answer(request)
        if self.account.clock.is_told:
            reply.headers = reply.headers | {"Date": formatdate(self.account.clock.now(), usegmt=True)}
        return reply

    def _answer(self, request: Request) -> Reply:
        target = urlsplit(request.target)
        if target.path == "/token":
            return self.faults.answer("token", lambda: self._token(request))
        if target.path == "/o/oauth2/auth":
            return Reply(302, headers={"Location": self.oauth.authorize(dict(parse_qsl(target.query)))})
        self.quota.http_requests += 1
        if target.path == "/batch":
            return self._packed(request, self.faults.answer("batch", lambda: self._batch(request)))
        return self._packed(request, self._call(request))

    def _packed(self, request: Request, reply: Reply) -> Reply:
        if self.account.compresses and "gzip" in (request.headers.get("Accept-Encoding") or ""):
            reply.body = gzip.compress(reply.body, 6)
            reply.headers = reply.headers | {"Content-Encoding": "gzip"}
        return reply

    def _token(self, request: Request) -> Reply:
        form = dict(parse_qsl(request.body.decode()))
        return json_reply(*self.oauth.token(form, request.headers.get("Authorization"), self.account.clock.now()))

    def _call(self, request: Request) -> Reply:
        """One call of the API, alone or as a part of a batch."""
        target = urlsplit(request.target)
        http_method = request.headers.get("X-HTTP-Method-Override", request.method)
        query, body = target.query, request.body
        if http_method != request.method:  # a GET too long for an address arrives as a form
            query, body = body.decode(), b""
        path = target.path.removeprefix("/upload")
        for route in _routes():
            if route.http_method == http_method and (found := route.path.fullmatch(path)):
                break
        else:
            self.complaints.append(f"no such address: {http_method} {target.path}")
            return Reply(404, b"<!DOCTYPE html><title>Error 404 (Not Found)!!1</title>", {"Content-Type": "text/html"})
        in_path = {name: unquote(value) for name, value in found.groupdict().items()}
        authorization = request.headers.get("Authorization")

        def process() -> Reply:
            try:
                given = _given(route, request, body) if path != target.path else json.loads(_of_a_size(body) or b"{}")
                return self._processed(route, in_path, parse_qs(query), given, authorization)
            except ApiError as error:
                return _error(error)
            except DoubleError as error:
                self.complaints.append(str(error))
                return _error(ApiError(400, str(error), "notTaughtToTheDouble"))  # not 5xx: nobody shall retry it

        return self.faults.answer(route.name, process)

    def _processed(
        self, route: Route, in_path: JSON, query: dict[str, list[str]], body: JSON, authorization: str | None
    ) -> Reply:
        granted = self.oauth.scopes_of(authorization, self.account.clock.now())
        method = METHODS.get(route.name)
        if method is None:
            raise DoubleError(f"the Gmail double was not taught {route.name}")
        mask = query.pop("fields", [""])[-1]
        query.pop("alt", None)
        query.pop("uploadType", None)
        user = in_path.pop("userId")
        if strange := {*in_path, *query, *body} - {*method.parameters.split(), *method.body.split()}:
            raise DoubleError(f"the Gmail double was not taught {', '.join(strange)} of {route.name}")
        self.quota.charge(route.name, self.account.clock.now())
        if route.scopes.isdisjoint(granted):
            raise scope_insufficient()
        if user not in ("me", self.account.address):
            raise delegation_denied(user)
        params = {
            name: values if name in ("metadataHeaders", "labelIds") else values[-1] for name, values in query.items()
        }
        result = method.answer(self.account, in_path | params, body)
        return Reply(204) if result is None else json_reply(200, _selected(result, _mask(mask)))

    def _batch(self, request: Request) -> Reply:
        """Answer a multipart/mixed batch part by part (developers.google.com/gmail/api/guides/batch)."""
        envelope = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode() + request.body
        parts: list[Any] = list(message_from_bytes(envelope).get_payload())
        served = len(parts) if self.account.parts_at_once is None else self.account.parts_at_once
        replies = [self._call(_inner(part.get_payload(), request.headers)) for part in parts[:served]]
        replies += [_error(too_many_concurrent())] * (len(parts) - len(replies))
        return _batch_reply([(part["Content-ID"], reply) for part, reply in zip(parts, replies, strict=True)])


def _of_a_size(body: bytes) -> bytes:
    """What stands in a request; from a few megabytes on Gmail wants a mail uploaded (google-api-go-client #374)."""
    if len(body) > 5 << 20:
        raise ApiError(413, "Request Entity Too Large", "uploadTooLarge")
    return body


def _given(route: Route, request: Request, body: bytes) -> JSON:
    """What a multipart upload says, the mail beside it included (developers.google.com/gmail/api/guides/uploads)."""
    boundary = re.search('boundary="(.+)"', request.headers["Content-Type"])
    if boundary is None or not request.headers["Content-Type"].startswith("multipart/related;"):
        raise DoubleError("the Gmail double was taught multipart uploads only")
    mark = b"--" + boundary[1].encode()
    said, mail = (part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in body.split(mark)[1:3])
    found: JSON = json.loads(said)
    place = found["message"] if route.name == "drafts.create" else found
    place["raw"] = base64.urlsafe_b64encode(mail).decode()
    return found


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
    lines = bytearray()
    for content_id, reply in answers:
        if reply.broken == "omit":
            continue
        # The client splits the inner message at CRLF and needs a word after the status.
        lines += (
            "--batch_double\r\nContent-Type: application/http\r\n"
            f"Content-ID: {content_id.replace('<', '<response-', 1)}\r\n\r\n"
            f"HTTP/1.1 {reply.status} Status\r\nContent-Length: {len(reply.body)}\r\n"
        ).encode()
        lines += "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items()).encode()
        lines += b"\r\n" + reply.body + b"\r\n"
    lines += b"--batch_double--\r\n"
    whole = Reply(200, bytes(lines), {"Content-Type": "multipart/mixed; boundary=batch_double"})
    whole.delay = max(reply.delay for _, reply in answers)  # parts run side by side
    whole.broken = "truncate" if any(reply.broken == "truncate" for _, reply in answers) else None
    return whole


def _error(error: ApiError) -> Reply:
    return Reply(error.status, error.body(), {"Content-Type": "application/json; charset=UTF-8"})


def _mask(text: str) -> JSON:
    """A partial response (the `fields` parameter), `a/b,c(d,e)`, as nested dicts; an empty dict means all below."""
    root: JSON = {}
    open_at = [root]
    for path, mark in re.findall(r"([\w/]*)([(),]?)", text):
        node = open_at[-1]
        for name in filter(None, path.split("/")):
            node = node.setdefault(name, {})
        if mark == "(":
            open_at.append(node)
        elif mark == ")":
            open_at.pop()
    return root


def _selected(answer: Any, mask: JSON) -> Any:
    if not mask:
        return answer
    if isinstance(answer, list):
        return [_selected(item, mask) for item in answer]
    return {name: _selected(answer[name], inner) for name, inner in mask.items() if name in answer}
