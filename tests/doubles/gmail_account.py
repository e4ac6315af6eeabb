"""What the API methods work on: one mailbox, a clock that tests can push, and the worlds a test can choose."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from tests.doubles.gmail_state import Mailbox


@dataclass
class Clock:
    """Real time plus whatever a test added. Seconds since the epoch."""

    ahead: float = 0.0

    def now(self) -> float:
        return time.time() + self.ahead

    def advance(self, seconds: float) -> None:
        self.ahead += seconds


@dataclass
class Account:
    """One Gmail account. The switches show worlds that exist but cannot all be true at once."""

    mailbox: Mailbox
    clock: Clock = field(default_factory=Clock)
    search_lag: float = 0.0
    """Seconds until a new message is found by `q`; get, threads and history see it at once."""
    insert_deduplicates: bool = False
    """Whether a second insert with the same Message-ID answers the first message (unproven for real Gmail)."""
    phantom_history_page: bool = False
    """Whether history announces one more page that then holds no `history` (gauteh/lieer #22, #24, #102, #120)."""
    parts_at_once: int | None = None
    """How many parts of one batch are served before the rest get 429 "Too many concurrent requests for user.".

    Parts put off never reach their method: they are in no counter.
    """
    delegation: bool = False
    """Whether sendAs entries but the primary may be changed (service accounts with domain-wide delegation only)."""
    reserved_label_names: set[str] = field(default_factory=lambda: {"muted", "migrated"})
    """Names refused beside the system labels; real ones are localized (GAM-team/got-your-back #82, #95, #135)."""
