"""A run, and each call in it, ends in time: also where an answer drips in byte by byte, whatever library waits."""

from __future__ import annotations

import contextlib
import gc
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remediation import deadline
from remediation.aws import NotLookedUp
from remediation.aws import client as aws_client
from remediation.aws import queue as aws_queue
from remediation.deadline import WorkTooLong, within
from tests.doubles.gmail import GmailDouble
from tests.doubles.loopback import Loopback, Reply
from tests.worlds.made_mails import refusal
from tests.worlds.run_world import Query, at, seed
from triage import reading
from triage import run as worker
from triage.config import Settings, load_settings
from triage.errors import OutOfTime, TryLater
from triage.gmail import wire
from triage.incidents import channels, pings


@pytest.fixture
def dripping() -> Iterator[Loopback]:
    """A server whose answers take a quarter of an hour."""

    def answer(_: object) -> Reply:
        reply = Reply(200, b" " * 9000, {"Content-Type": "application/json"})
        reply.broken = "drip"
        return reply

    with Loopback(answer) as server:
        yield server


@pytest.fixture(autouse=True)
def in_time() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 15
    assert deadline._ends == []


def minutes(settings: Settings, number: float) -> Settings:
    few: Any = number
    return replace(settings, run_minutes=few)


@pytest.mark.parametrize("method", ["messages.list", "batch", "messages.modify"])
def test_an_answer_of_gmail_that_drips_in_is_over_in_time(
    gmail: GmailDouble, settings: Settings, query: Query, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(wire, "CALL_SECONDS", 0.7)
    seed(gmail, refusal(1), refusal(2))
    gmail.fail(method, times=None, connection="drip")
    with pytest.raises(TryLater):
        worker.run(settings, at)
    gmail.clear_faults()
    worker.run(settings, at)
    assert query("SELECT count(*) AS n FROM actions WHERE state = 'done'") == [{"n": 2}]


def test_a_whole_run_ends_in_time_and_keeps_what_was_done(gmail: GmailDouble, settings: Settings, query: Query) -> None:
    seed(gmail, refusal(1), refusal(2))
    gmail.fail("labels.list", times=None, connection="drip")
    with pytest.raises(OutOfTime):
        worker.run(minutes(settings, 0.03), at)
    assert query("SELECT count(*) AS n FROM mails") == [{"n": 2}]
    assert "took longer" in query("SELECT error FROM runs")[0]["error"]
    gmail.clear_faults()
    assert worker.run(settings, at).actions == 2


def test_a_mail_that_takes_for_ever_is_not_the_first_again(
    gmail: GmailDouble, settings: Settings, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = seed(gmail, refusal(1), refusal(2))
    real = reading.looked_at

    def looked_at(mail: Any, *more: Any) -> Any:
        while mail.gmail_id == ids[0]:
            time.sleep(0.1)
        return real(mail, *more)

    monkeypatch.setattr(reading, "looked_at", looked_at)
    for known in (0, 1):
        with pytest.raises(OutOfTime):
            worker.run(minutes(settings, 0.02), at)
        assert query("SELECT count(*) AS n FROM mails") == [{"n": known}]


def test_reading_leaves_time_for_labels(gmail: GmailDouble, settings: Settings, query: Query) -> None:
    seed(gmail, *(refusal(number, original_id=f"mail-{number}@example.org") for number in range(1, 9)))
    gmail.fail("messages.list", nth=3, times=1, latency=1.3)  # the search of Sent for the first
    with pytest.raises(OutOfTime):
        worker.run(minutes(settings, 0.035), at)
    assert query("SELECT count(*) AS n FROM mails") == [{"n": 1}]
    assert query("SELECT state FROM actions") == [{"state": "done"}]
    assert query("SELECT tries FROM fetches") == [], "no mail is to blame"
    assert query("SELECT * FROM state") == []
    assert worker.run(settings, at).judged == 7


def test_a_queue_that_drips_is_not_looked_up(dripping: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": dripping.url,
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
    }.items():
        monkeypatch.setenv(name, value)
    waits = aws_client.AWS_TRIES * (aws_client.CONNECT_SECONDS + aws_client.READ_SECONDS)
    monkeypatch.setattr(aws_client, "SPARE_SECONDS", 1 - waits)
    found = aws_queue.receive("us-east-1", f"{dripping.url}/123456789012/events")
    assert isinstance(found, NotLookedUp)
    assert found.kind in ("timeout", "unreachable")


def test_a_watcher_that_drips_is_left(dripping: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pings, "PING_SECONDS", 0.5)
    assert pings.ping(dripping.url) == "no answer within 0 s"


def test_apprise_that_waits_is_left(dripping: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "APPRISE_SECONDS", 1.0)
    began = time.monotonic()
    assert channels.push(dripping.url.replace("http:", "json:"), "t", "b", "opened")
    assert time.monotonic() - began < 8


def test_what_swallows_the_interruption_is_interrupted_again() -> None:
    def wait_on() -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                time.sleep(5)

    with pytest.raises(WorkTooLong), within(0.1, WorkTooLong), within(0.05):
        wait_on()


def test_the_inner_deadline_leaves_the_outer_one() -> None:
    with within(60, WorkTooLong):
        with pytest.raises(TimeoutError), within(0.05):
            time.sleep(5)
        time.sleep(0.05)


def test_it_does_not_ring_while_python_clears_up() -> None:
    """What is raised in a finalizer or in a watcher of the garbage collector is dropped, with a warning."""
    dropped: list[object] = []

    def slow() -> None:
        time.sleep(0.15)

    class Ending:
        def __del__(self) -> None:
            slow()

    def watcher(phase: str, info: dict[str, int]) -> None:
        if phase == "stop":
            slow()

    def wait_on(clear_up: Callable[[], object]) -> None:
        clear_up()
        time.sleep(5)

    hook, sys.unraisablehook = sys.unraisablehook, dropped.append
    gc.callbacks.append(watcher)
    try:
        for clear_up in (gc.collect, Ending):
            with pytest.raises(TimeoutError), within(0.05):
                wait_on(clear_up)
    finally:
        gc.callbacks.remove(watcher)
        sys.unraisablehook = hook
    assert dropped == []


def test_ten_minutes_unless_the_owner_says_otherwise(tmp_path: Path) -> None:
    (tmp_path / "triage.toml").write_text("run_minutes = 30\n")
    assert load_settings(tmp_path / "triage.toml", {}).run_minutes == 30
    assert load_settings(None, {}).run_minutes == 10
