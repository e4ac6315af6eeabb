"""What every step of the outbox works with, and what it says of a draft."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from triage import store
from triage.config import Settings
from triage.gmail import Gmail, RawMessage, Refused, Unavailable
from triage.letters import insert_once
from triage.model import Clock
from triage.outbox.relay import WayOut
from triage.outbox_row import OutboxRow

if TYPE_CHECKING:
    from sqlite_utils import Database

LARGEST_DRAFT = 90_000_000
"""Bytes of Gmail's answer: 40 MB of mail in base64 twice over would be 71."""


@dataclass(frozen=True, slots=True)
class News:
    """What became of a draft in this look: `words` for the owner; `is_trouble`: somebody must do something."""

    words: str
    is_trouble: bool = False


@dataclass(slots=True)
class Desk:
    """One mailbox, its store, and the way out of it, during one look."""

    settings: Settings
    db: Database
    gmail: Gmail
    relay: WayOut
    now: Clock
    sleep: Callable[[float], None]
    _address: str | None = field(default=None, repr=False)

    @property
    def label(self) -> str:
        """The name of the label that asks for sending."""
        return self.settings.outbox_label

    @property
    def label_id(self) -> str:
        """Its id; made where it is not there, so that the owner finds it in Gmail."""
        return self.gmail.label_id(self.label)

    @property
    def word_address(self) -> str | None:
        """The address that asks for sending when it is a blind copy; None: there is none."""
        if self.settings.outbox_word is None:
            return None
        if self._address is None:
            self._address = self.gmail.profile_address()
        name, _, domain = self._address.partition("@")
        return f"{name}+{self.settings.outbox_word}@{domain}".lower()

    def message(self, gmail_id: str) -> RawMessage | Unavailable:
        """A message as it is now (20 units)."""
        (found,) = self.gmail.get_raw([gmail_id], most_bytes=LARGEST_DRAFT)
        return found

    def row(self, row_id: int) -> OutboxRow:
        """What is on record of a draft by now."""
        found = store.read_outbox(self.db, row_id)
        assert found is not None
        return found

    def put_in(
        self, key: str, message_id: str, compose: Callable[[], bytes], thread_id: str | None, label_ids: Iterable[str]
    ) -> str | None:
        """Insert a message once, into its conversation while that is there; why it is not there yet, None: it is.

        Raises Refused where Gmail does not take it.
        """
        for place in dict.fromkeys((thread_id, None)):
            try:
                done = insert_once(
                    self.gmail, self.db, key, message_id, compose, thread_id=place, label_ids=label_ids, now=self.now()
                )
            except Refused as refusal:
                if not refusal.is_missing or place is None:
                    raise
                continue
            return done.why
        return None

    def new_mark(self, draft_id: str) -> str:
        """The name of a label that says: this draft is being sent by one that knows this name."""
        return f"{self.mark_prefix(draft_id)}{secrets.token_hex(4)}"

    def mark_prefix(self, draft_id: str) -> str:
        """What the marks of all who send this draft begin with, whichever version of it."""
        return f"{self.label}/sending {draft_id} "

    def not_sent(self, kind: str) -> str:
        """The name of the label that says why a draft was not sent."""
        return f"{self.label}/Not sent: {kind}"
