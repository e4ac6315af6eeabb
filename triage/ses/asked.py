"""What was asked of AWS in one run: each question once, and none of a service that does not answer.

Without it a region that is away would cost its time-out for every bounce. Remembers for one run only.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from remediation.aws import NotLookedUp

_T = TypeVar("_T")


@dataclass(slots=True)
class Asked:
    """The memory of one run."""

    answers: dict[Hashable, Any] = field(default_factory=dict)
    away: dict[Hashable, NotLookedUp] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    """What was to be looked up -> why it was not, for the record of the run."""

    def ask(
        self, where: tuple[str, str], what: str, about: Hashable, question: Callable[[], _T | NotLookedUp]
    ) -> _T | NotLookedUp:
        """The answer to a question about something, asked of a service in a region (`where`) unless that is in vain."""
        for gone in (where, (where, what)):
            if gone in self.away:
                return self.away[gone]
        key = (where, what, about)
        if key not in self.answers:
            answer = question()
            if isinstance(answer, NotLookedUp):
                self.problems[answer.what] = answer.why
                if answer.concerns_all:
                    self.away[where] = answer
                elif answer.kind != "refused":  # refused is about this one thing, the others are about all like it
                    self.away[where, what] = answer
            self.answers[key] = answer
        found: _T | NotLookedUp = self.answers[key]
        return found
