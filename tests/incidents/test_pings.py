"""Pings: a watcher hears of the start and the end of each run, and its trouble stops nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.doubles.http_sink import HttpSink
from triage.config import Settings
from triage.errors import CredentialsDead, TryLater
from triage.incidents import pings


@pytest.mark.parametrize(
    ("error", "last"),
    [
        (None, ["/ping/1234"]),
        (CredentialsDead("The sign-in is dead.", "Run `triage auth`."), ["/ping/1234/fail"]),
        (RuntimeError("secret"), ["/ping/1234/fail"]),
        (TryLater("Gmail is away.", "Wait."), []),
    ],
)
def test_a_watcher_hears_of_the_start_and_the_end(sink: HttpSink, error: Exception | None, last: list[str]) -> None:
    def work() -> None:
        with pings.watched(f"{sink.url}/ping/1234"):
            if error:
                raise error

    if error:
        with pytest.raises(type(error)):
            work()
    else:
        work()
    assert sink.pings == ["/ping/1234/start", *last]
    words = [request.body.decode() for request in sink.requests[1:]]
    told = {CredentialsDead: "The sign-in is dead.", RuntimeError: "RuntimeError"}
    assert words == [told.get(type(error), "")][: len(last)]


def test_a_ping_keeps_what_follows_the_path(sink: HttpSink) -> None:
    assert pings.ping(f"{sink.url}/ping/1234/?rid=7", "start") is None
    assert sink.pings == ["/ping/1234/start?rid=7"]


Trouble = Callable[[HttpSink, pytest.MonkeyPatch], str]
WHYS = {
    "an error": "it answered with error 500",
    "nobody there": "no connection",
    "silence": "no answer within 0 s, no connection",
    "no web address": "its address does not begin with https://",
    "no address": "no connection",
    "not known": "it does not know this address",
}
TROUBLES: dict[str, Trouble] = {
    "an error": lambda sink, patch: (setattr(sink, "status", 500), f"{sink.url}/ping/1")[1],
    "nobody there": lambda sink, patch: "http://127.0.0.1:9/ping/1",
    "not known": lambda sink, patch: (setattr(sink, "text", b"OK (not found)"), f"{sink.url}/ping/1")[1],
    "silence": lambda sink, patch: (setattr(sink, "hangs", True), f"{sink.url}/ping/1")[1],
    "no web address": lambda sink, patch: "file:///etc/passwd",
    "no address": lambda sink, patch: "http://[broken",
}


@pytest.mark.parametrize("name", TROUBLES)
def test_a_watcher_in_trouble_stops_nothing(name: str, sink: HttpSink, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pings.PING_SECONDS == 5.0
    monkeypatch.setattr(pings, "PING_SECONDS", 0.2)
    address = TROUBLES[name](sink, monkeypatch)
    started = time.monotonic()
    done = []
    with pings.watched(address):
        done.append(True)
    assert done
    why = pings.ping(address)
    assert why
    assert why in WHYS[name]
    assert time.monotonic() - started < 3


def test_nobody_watches_by_default(plain: Settings) -> None:
    assert plain.ping_url is None
    with pings.watched(plain.ping_url):
        pass


def test_a_watcher_that_does_not_hear_of_the_end_is_told_twice_and_then_known(sink: HttpSink) -> None:
    sink.status = 503
    with pings.watched(f"{sink.url}/ping/1") as watcher:
        why = watcher.hears_of_the_end()
    assert why == "it answered with error 503"
    assert sink.pings == ["/ping/1/start", "/ping/1", "/ping/1"], "and not again when the work is left"
