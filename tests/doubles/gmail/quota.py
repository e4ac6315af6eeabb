"""Counts what a client costs: quota units in both of Google's tables, API calls by method, HTTP requests.

Source of the numbers: developers.google.com/workspace/gmail/api/reference/quota, domain/gmail.md 4.1. The drafts rows
but drafts.get are not in the facts: taken as equal in both.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from tests.doubles.gmail.errors import quota_exceeded

PER_MINUTE = 6_000
"""Units of the new table a user may spend in a minute."""
UNITS = {
    # (projects created since 1 May 2026, older projects)
    "drafts.create": (10, 10),
    "drafts.delete": (10, 10),
    "drafts.get": (20, 5),
    "drafts.list": (5, 5),
    "getProfile": (1, 1),
    "labels.create": (5, 5),
    "labels.delete": (5, 5),
    "labels.list": (1, 1),
    "messages.get": (20, 5),
    "messages.insert": (25, 25),
    "messages.list": (5, 5),
    "messages.trash": (20, 5),
    "messages.untrash": (5, 5),
    "sendAs.get": (1, 1),
    "sendAs.list": (1, 1),
    "sendAs.patch": (100, 100),
    "threads.get": (40, 10),
    "messages.modify": (5, 5),
    "threads.modify": (10, 10),
}


@dataclass
class Quota:
    """The meter. A batch of n parts is n `requests` and one of `http_requests`; OAuth is in `calls` only."""

    calls: Counter[str]
    units_new: int = 0
    units_old: int = 0
    requests: int = 0
    http_requests: int = 0
    is_enforced: bool = False
    """Whether the limit per minute of the new table is; else everything is let through."""
    _spent: deque[tuple[float, int]] = field(default_factory=deque, repr=False)

    def charge(self, method: str, now: float) -> None:
        """Count one API call; raises 403 rateLimitExceeded when an enforced minute is used up. `now` in seconds."""
        new, old = UNITS[method]
        self.requests += 1
        self.units_new += new
        self.units_old += old
        while self._spent and self._spent[0][0] <= now - 60:
            self._spent.popleft()
        if self.is_enforced and new + sum(cost for _, cost in self._spent) > PER_MINUTE:
            raise quota_exceeded()
        self._spent.append((now, new))

    def reset(self) -> None:
        """Zero the counters; the enforced minute keeps what was spent."""
        self.units_new = self.units_old = self.requests = self.http_requests = 0
        self.calls.clear()
