"""An endpoint in trouble in the place of every AWS service."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from botocore.retries.standard import ExponentialBackoff

from remediation import aws as asking
from tests.doubles.gmail_faults import Reply
from tests.doubles.gmail_front import Request
from tests.doubles.gmail_http import LoopbackServer

REGION = "us-west-2"
ID = "0101019e1c2d3e4f-00000001-aaaa-4bbb-8ccc-0123456789ab-000000"
AT = datetime(2026, 5, 12, 14, 2, tzinfo=UTC)


class Troubled:
    """An endpoint for every AWS service that gives one sort of answer to all."""

    def __init__(self) -> None:
        self.give: Callable[[Request], Reply] = lambda request: Reply(500)
        self.requests = 0
        self.failures: list[str] = []
        self.server = LoopbackServer(0, self._answer, self.failures.append)
        self.server.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def _answer(self, request: Request) -> Reply:
        self.requests += 1
        return self.give(request)


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[float, Troubled]]:
    """One server for each time-out, because clients are kept by address and making one takes a tenth of a second."""
    servers = {10.0: Troubled(), 0.05: Troubled()}
    yield servers
    for server in servers.values():
        server.server.stop()
        assert not server.failures


@pytest.fixture
def troubled(servers: dict[float, Troubled], monkeypatch: pytest.MonkeyPatch) -> Troubled:
    return point_at(servers[10.0], 10.0, monkeypatch)


def point_at(server: Troubled, read_seconds: float, monkeypatch: pytest.MonkeyPatch) -> Troubled:
    server.requests = 0
    for name, value in {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0.0)
    monkeypatch.setattr(asking, "READ_SECONDS", read_seconds)
    return server


def says(service: str, status: int, code: str, message: str = "no") -> Callable[[Request], Reply]:
    """An error in the protocol of a service."""
    if service in ("iam", "sts"):
        text = f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
        return lambda request: Reply(status, text.encode(), {"Content-Type": "text/xml"})
    body = json.dumps({"__type": code, "message": message}).encode()
    return lambda request: Reply(status, body, {"Content-Type": "application/json", "x-amzn-ErrorType": code})
