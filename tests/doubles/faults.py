"""Trouble on demand: wrong answers, slow answers, broken connections and killed clients, at the nth call of a name.

Decides what goes wrong; `loopback` makes it happen on the wire.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from tests.doubles.loopback import Break, BrokenConnectionError, Reply

When = Literal["before", "after"]


@dataclass
class _Fault:
    name: str
    nth: int
    times: int | None
    when: When
    reply: Reply | None
    connection: Break | None
    latency: float
    victim: int | Callable[[], int] | None

    def strikes(self, name: str) -> bool:
        """Whether this call of `name` is one that goes wrong. Counts down."""
        if self.name not in ("*", name) or self.times == 0:
            return False
        if self.nth > 1:
            self.nth -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True

    def applied(self, reply: Reply | None) -> Reply | None:
        """The answer to give instead; raises BrokenConnectionError where there is none."""
        if self.victim is not None:
            os.kill(self.victim if isinstance(self.victim, int) else self.victim(), signal.SIGKILL)
            raise BrokenConnectionError("drop")
        if self.connection in ("drop", "reset", "hang"):
            raise BrokenConnectionError(self.connection)
        return replace(self.reply) if self.reply is not None else reply


class Faults:
    """The calls a double was asked, counted by name, and what is to go wrong with those to come."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.calls: Counter[str] = Counter()
        """How often each was asked for, repetitions and failures included."""
        self._coming: list[_Fault] = []

    def add(
        self,
        name: str,
        nth: int = 1,
        *,
        times: int | None = 1,
        when: When = "before",
        reply: Reply | None = None,
        connection: Break | None = None,
        latency: float = 0.0,
        victim: int | Callable[[], int] | None = None,
    ) -> None:
        """Make the nth call of `name` (or of "*") from now on go wrong, `times` times (None: for ever).

        `reply` is answered instead, `connection` breaks it, `latency` (seconds) only delays, `victim` is a process to
        kill. `when="after"`: the call was carried out first, and the client does not learn of it.
        """
        with self.lock:
            self._coming.append(_Fault(name, nth, times, when, reply, connection, latency, victim))

    def clear(self) -> None:
        with self.lock:
            self._coming.clear()

    def answer(self, name: str, process: Callable[[], Reply]) -> Reply:
        """Count a call and carry it out, one at a time, under what strikes it."""
        with self.lock:
            self.calls[name] += 1
            struck = [fault for fault in self._coming if fault.strikes(name)]
        reply: Reply | None = None
        for fault in struck:
            if fault.when == "before":
                reply = fault.applied(reply)
        if reply is None:
            with self.lock:
                reply = process()
        for fault in struck:
            if fault.when == "after":
                reply = fault.applied(reply) or reply
        for fault in struck:
            reply.delay = max(reply.delay, fault.latency)
            reply.broken = fault.connection or reply.broken
        return reply
