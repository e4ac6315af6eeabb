"""Tells the trouble of one item from that of all of Gmail: a 5xx about one mail must not stop the others.

Sends nothing. One object serves one part of a run.
"""

from __future__ import annotations

from triage.errors import TryLater
from triage.gmail.answers import OutcomeUnknown, Passing, Refused

MOST_IN_A_ROW = 3
"""So many different items that fail one after the other, and none between them that works: Gmail is away."""


class Streak:
    """Counts the items of one part of a run that Gmail did not do, one after the other."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def met(self, error: TryLater, items: int = 1) -> None:
        """Gmail did not do `items` items; raises the error where that is no matter of single items."""
        self._in_a_row += items
        if is_everywhere(error) or self._in_a_row >= MOST_IN_A_ROW:
            raise error

    def over(self) -> None:
        """Gmail did one, or said no to one: it is there."""
        self._in_a_row = 0


def is_everywhere(error: TryLater) -> bool:
    """Whether one such answer tells that the next item will meet the same: no answer in time, or "slower"."""
    if isinstance(error, Passing):
        return error.limited or error.timed_out
    # What is neither is told of the whole account: its quota is used up.
    return error.timed_out if isinstance(error, OutcomeUnknown) else True


def is_put_off(error: Refused | TryLater) -> bool:
    """Whether it is Gmail's own trouble and none of the item's: never counted against it."""
    return isinstance(error, TryLater) or error.is_passing
