"""The turns of calls AWS limits to one a second: each operation of a region waits for its own. Judges nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

PACE_SECONDS = 1.0
"""SES: "You can execute this operation no more than once per second" (API reference, of each operation by itself)."""
SLOWEST_SECONDS = 8.0


@dataclass
class Turns:
    """Who waits how long. `seconds` lie between two turns of one kind, more where AWS asked to slow down."""

    seconds: float = PACE_SECONDS
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _next: dict[Hashable, float] = field(default_factory=dict)
    _gaps: dict[Hashable, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self, kind: Hashable) -> None:
        """Wait for the next turn of a kind; whoever comes meanwhile has the one after it."""
        with self._lock:
            now = self.clock()
            at = max(now, self._next.get(kind, now))
            self._next[kind] = at + self._gaps.get(kind, self.seconds)
        if at > now:
            self.sleep(at - now)

    def slow_down(self, kind: Hashable) -> None:
        """Let the turns of a kind lie twice as far apart from now on: others of the account ask as well."""
        with self._lock:
            gap = self._gaps[kind] = min(2 * self._gaps.get(kind, self.seconds), SLOWEST_SECONDS)
            self._next[kind] = self.clock() + gap
