"""How long each part of a run took. Asks nobody but the clock that never jumps."""

from __future__ import annotations

import time


class Stopwatch:
    """Times parts that come one after the other; a part that is begun again goes on where it stopped."""

    def __init__(self) -> None:
        self._parts: dict[str, float] = {}
        self._part: str | None = None
        self._since = 0.0

    def begin(self, part: str) -> None:
        """Let this part begin, and the one before it end."""
        self.end()
        self._part = part

    def end(self) -> dict[str, float]:
        """Let the last part end; all parts with their seconds, to the thousandth."""
        now = time.monotonic()
        if self._part is not None:
            self._parts[self._part] = self._parts.get(self._part, 0.0) + now - self._since
        self._part, self._since = None, now
        return {part: round(seconds, 3) for part, seconds in self._parts.items()}
