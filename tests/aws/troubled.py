"""An endpoint in trouble in the place of every AWS service."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from botocore.retries.standard import ExponentialBackoff

from remediation.aws import client as asking
from tests.doubles.loopback import Loopback, Reply, Request
from tests.doubles.ses import ENV

REGION = "us-west-2"
ID = "0101019e1c2d3e4f-00000001-aaaa-4bbb-8ccc-0123456789ab-000000"
AT = datetime(2026, 5, 12, 14, 2, tzinfo=UTC)


class Troubled(Loopback):
    """An endpoint for every AWS service that gives one sort of answer to all."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.give: Callable[[Request], Reply] = lambda request: Reply(500)
        self.requests = 0

    def _answer(self, request: Request) -> Reply:
        self.requests += 1
        return self.give(request)


def point_at(server: Troubled, read_seconds: float, monkeypatch: pytest.MonkeyPatch) -> Troubled:
    server.requests = 0
    for name, value in (ENV | {"AWS_ENDPOINT_URL": server.url}).items():
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
