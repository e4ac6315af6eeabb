"""Counts what a client costs: quota units in both of Google's tables, API calls by method, HTTP requests.

Counts and, where asked to, enforces the limit per user and minute. Knows nothing of mailboxes.
Source of the numbers: developers.google.com/workspace/gmail/api/reference/quota, domain/gmail.md 4.1.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Literal

from tests.doubles.gmail_errors import DoubleError, quota_exceeded

Table = Literal["new", "old"]
PER_MINUTE: dict[Table, int] = {"new": 6_000, "old": 15_000}

_OLD = {
    1: "labels.list labels.get getProfile sendAs.list sendAs.get filters.list filters.get",
    2: "history.list",
    5: "messages.get messages.attachments.get drafts.get messages.trash messages.list messages.modify messages.untrash "
    "labels.create labels.update labels.patch labels.delete drafts.list filters.create filters.delete",
    10: "threads.get threads.list threads.modify threads.trash threads.untrash messages.delete drafts.create "
    "drafts.delete",
    15: "drafts.update",
    20: "threads.delete",
    25: "messages.insert messages.import",
    50: "messages.batchModify messages.batchDelete stop",
    100: "watch messages.send drafts.send sendAs.create sendAs.update sendAs.patch",
}
UNITS_OLD = {method: units for units, methods in _OLD.items() for method in methods.split()}
# Projects created since 1 May 2026. The drafts rows but drafts.get are not in the facts: taken as unchanged.
UNITS_NEW = UNITS_OLD | {
    "messages.get": 20,
    "messages.attachments.get": 20,
    "drafts.get": 20,
    "messages.trash": 20,
    "threads.get": 40,
}


@dataclass
class Quota:
    """The meter. A batch of n parts is n `requests` and one of `http_requests`; OAuth is in `calls` only."""

    units_new: int = 0
    units_old: int = 0
    requests: int = 0
    http_requests: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    enforced: Table | None = None
    """The table whose limit per minute is enforced; None lets everything through."""
    _spent: deque[tuple[float, int]] = field(default_factory=deque, repr=False)

    def charge(self, method: str, now: float) -> None:
        """Count one API call; raises 403 rateLimitExceeded when an enforced minute is used up. `now` in seconds."""
        if method not in UNITS_NEW:
            raise DoubleError(f"no quota units known for {method}")
        units = {"new": UNITS_NEW[method], "old": UNITS_OLD[method]}
        self.requests += 1
        self.units_new += units["new"]
        self.units_old += units["old"]
        if self.enforced is None:
            return
        while self._spent and self._spent[0][0] <= now - 60:
            self._spent.popleft()
        if sum(cost for _, cost in self._spent) + units[self.enforced] > PER_MINUTE[self.enforced]:
            raise quota_exceeded()
        self._spent.append((now, units[self.enforced]))

    def reset(self) -> None:
        """Zero the counters; the enforced minute keeps what was spent."""
        self.units_new = self.units_old = self.requests = self.http_requests = 0
        self.calls.clear()

    def counters(self) -> dict[str, object]:
        return {
            "units_new": self.units_new,
            "units_old": self.units_old,
            "requests": self.requests,
            "http_requests": self.http_requests,
            "calls": dict(self.calls),
        }
