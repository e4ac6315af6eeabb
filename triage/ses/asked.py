"""What was asked of AWS in one run: each question once, and none of a service that does not answer.

Without it a region that is away would cost its time-out for every bounce. Remembers for one run, but for what AWS does
not allow: that is asked once a day, whatever the number of bounces and of runs.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from parsers.times import moment_from, utc_text
from remediation.aws import NotLookedUp
from triage.model import Denial

_T = TypeVar("_T")


@dataclass(slots=True)
class Asked:
    """The memory of one run."""

    answers: dict[Hashable, Any] = field(default_factory=dict)
    away: dict[Hashable, NotLookedUp] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    """What was to be looked up -> why it was not, for the record of the run."""
    denied: dict[tuple[tuple[str, str], str], Denial] = field(default_factory=dict)
    """What AWS does not allow, by service, region and question; what an earlier run was told among it."""

    began_at: str = ""
    """When the run began, UTC."""

    @classmethod
    def after(cls, denials: Iterable[Denial], at: datetime) -> Asked:
        """The memory of a run that begins at `at`, with what AWS did not allow a moment ago."""
        asked = cls(began_at=utc_text(at))
        for row in denials:
            where = (row["service"], row["region"])
            asked.denied[where, row["question"]] = row
            asked.away[where, row["question"]] = NotLookedUp(row["what"], row["why"], "denied")
        return asked

    @property
    def new_denials(self) -> list[Denial]:
        """What AWS did not allow in this run."""
        return [row for row in self.denied.values() if row["at"] == self.began_at]

    @property
    def denied_at(self) -> datetime | None:
        """When AWS first said of something it still does not allow that it does not; None: there is no such thing."""
        return min((moment_from(row["at"]) for row in self.denied.values()), default=None)

    def ask(
        self, where: tuple[str, str], what: str, about: Hashable, question: Callable[[], _T | NotLookedUp]
    ) -> _T | NotLookedUp:
        """The answer to a question about something, asked of a service in a region (`where`) unless that is in vain."""
        for gone in (where, (where, what)):
            if gone in self.away:
                self.problems[self.away[gone].what] = self.away[gone].why
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
                if answer.kind == "denied":
                    self.denied[where, what] = {
                        "service": where[0],
                        "region": where[1],
                        "question": what,
                        "what": answer.what,
                        "why": answer.why,
                        "at": self.began_at,
                    }
            self.answers[key] = answer
        found: _T | NotLookedUp = self.answers[key]
        return found
