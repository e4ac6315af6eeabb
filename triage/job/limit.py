"""How long a command may take: what it waits for is broken off then, and what was done is kept. Prints nothing."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from remediation.deadline import WorkTooLong, within
from triage.errors import OutOfTime

_T = TypeVar("_T")


class Limit:
    """The time a command may take, from now on."""

    def __init__(self, minutes: int, what: str | None = None) -> None:
        self._minutes = minutes
        self._what = what
        self._began = time.monotonic()

    def for_a_share(self, items: Iterable[_T], share: float) -> Iterator[_T]:
        """The items, until so much of the time is over. Raises OutOfTime then, which is between two of them."""
        for item in items:
            yield item
            if time.monotonic() - self._began > self._minutes * 60 * share:
                raise OutOfTime(self._minutes, self._what)


@contextmanager
def limited(minutes: int, what: str | None = None) -> Iterator[Limit]:
    """Raises OutOfTime about `what` when the work inside took so long, whatever it waits for."""
    try:
        with within(minutes * 60, WorkTooLong):
            yield Limit(minutes, what)
    except WorkTooLong:
        raise OutOfTime(minutes, what) from None
