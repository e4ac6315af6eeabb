"""Takes what is posted to it, on loopback: for Apprise's `json://` addresses and for pings.

    with HttpSink() as sink:
        settings = replace(settings, alerts=(sink.apprise,), ping_url=f"{sink.url}/ping/1234")
        ...
        assert sink.told == [("Broken: ...", "What broke: ...")]
        assert sink.pings == ["/ping/1234/start", "/ping/1234"]

`sink.status` and `sink.text` are what it answers; `sink.hangs` makes it answer nothing until the client gives up.
"""

from __future__ import annotations

import json

from tests.doubles.loopback import BrokenConnectionError, Loopback, Reply, Request


class HttpSink(Loopback):
    """An HTTP server that keeps every request."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.requests: list[Request] = []
        self.status = 200
        self.hangs = False
        self.text = b"{}"
        self.apprise = f"{self.url.replace('http', 'json')}/alerts/s3cr3t-token"

    @property
    def told(self) -> list[tuple[str, str]]:
        """(title, text) of every alert that was taken, in order."""
        alerts = [json.loads(request.body) for request in self.requests if "/alerts/" in request.target]
        return [(alert["title"], alert["message"]) for alert in alerts]

    @property
    def pings(self) -> list[str]:
        """The paths that were pinged, in order."""
        return [request.target for request in self.requests if "/ping/" in request.target]

    def _answer(self, request: Request) -> Reply:
        if self.hangs:
            raise BrokenConnectionError("hang")
        if self.status < 400 or "/ping/" in request.target:
            self.requests.append(request)
        return Reply(self.status, self.text)
