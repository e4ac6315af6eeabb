"""Trouble on demand: wrong answers, slow answers, broken connections and killed clients, at the nth call of a method.

Decides what goes wrong; `gmail_http` makes it happen on the wire.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

Break = Literal["drop", "reset", "truncate", "hang", "omit"]
"""drop: closed without an answer · reset: RST · truncate: half the body · hang: no answer until the client gives up ·
omit: the part is missing from the batch answer."""
When = Literal["before", "after"]


@dataclass
class Reply:
    """One answer before it is put on the wire. `delay` is in seconds."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    truncated: bool = False
    omitted: bool = False


class BrokenConnectionError(Exception):
    """No answer at all: `how` says what the client sees."""

    def __init__(self, how: Break) -> None:
        super().__init__(how)
        self.how = how


@dataclass
class Fault:
    """What happens at which call. `nth` and `times` count down; `times` None means from then on, always."""

    method: str
    nth: int
    times: int | None
    when: When
    reply: Reply | None
    connection: Break | None
    latency: float
    jitter: float
    victim: int | Callable[[], int] | None

    def strikes(self, method: str) -> bool:
        if self.method not in ("*", method) or self.times == 0:
            return False
        if self.nth > 1:
            self.nth -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True

    def apply(self, reply: Reply | None) -> Reply | None:
        """The answer to give instead, or None to go on; raises BrokenConnectionError where there is none."""
        if self.victim is not None:
            pid = self.victim if isinstance(self.victim, int) else self.victim()
            os.kill(pid, signal.SIGKILL)
            raise BrokenConnectionError("drop")
        if self.connection in ("drop", "reset", "hang"):
            raise BrokenConnectionError(self.connection)
        return replace(self.reply) if self.reply is not None else reply


def answered(faults: list[Fault], process: Callable[[], Reply]) -> Reply:
    """Run `process` under the faults that struck this call, each before or after it."""
    reply: Reply | None = None
    for fault in faults:
        if fault.when == "before":
            reply = fault.apply(reply)
    if reply is None:
        reply = process()
    for fault in faults:
        if fault.when == "after":
            reply = fault.apply(reply) or reply
    for fault in faults:
        reply.delay = max(reply.delay, fault.latency + random.uniform(0, fault.jitter))
        reply.truncated |= fault.connection == "truncate"
        reply.omitted |= fault.connection == "omit"
    return reply
