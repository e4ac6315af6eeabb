"""Workers that are killed (SIGKILL) at a chosen moment, in a process of their own, and the runs after them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from types import ModuleType
from typing import Any

from tests.doubles.gmail import GmailDouble
from tests.worlds.forked import Forked
from triage import run as worker
from triage.config import Settings


def die() -> None:
    """End this process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_transaction(fatal: str, *modules: Any) -> Callable[[], int]:
    """Let the nth transaction of these modules be the last: `"3 open"` before it is committed, `"3 done"` after.

    Returns what tells how many there have been.
    """
    count = 0
    commit = modules[0].transaction

    @contextmanager
    def counted(db: Any) -> Iterator[None]:
        nonlocal count
        count += 1
        number = count
        with commit(db):
            yield
            if fatal == f"{number} open":
                die()
        if fatal == f"{number} done":
            die()

    for module in modules:
        module.transaction = counted
    return lambda: count


def die_at_call(fatal: str, module: ModuleType, name: str) -> None:
    """Let the nth call of a function be the last: `"2 before"` it, or `"2 after"`."""
    count = 0
    function = getattr(module, name)

    def counted(*values: Any) -> None:
        nonlocal count
        count += 1
        if fatal == f"{count} before":
            die()
        function(*values)
        if fatal == f"{count} after":
            die()

    setattr(module, name, counted)


def wait_for_the_kill(process: Forked) -> None:
    """Let a worker run that must be killed, and must not complain before."""
    done = process.finish()
    assert (done.returncode, done.stderr) == (-9, "")


def finish(process: Forked, gmail: GmailDouble, settings: Settings, now: datetime) -> None:
    """Let it run into the kill, do another run, then a third that must find nothing to do."""
    wait_for_the_kill(process)
    worker.run(settings, lambda: now)
    gmail.reset_counters()
    assert worker.run(settings, lambda: now).new == 0
    assert dict(gmail.quota.calls) == {"messages.list": 1}
