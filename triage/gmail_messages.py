"""What Gmail gives, as plain immutable data: messages, addresses, and what could not be had. Sends nothing."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Ref(NamedTuple):
    """A message in the mailbox: Gmail's own ids, which are no Message-IDs."""

    id: str
    thread_id: str


@dataclass(frozen=True, slots=True)
class RawMessage:
    """A message as it arrived, byte by byte. `internal_at` is when Gmail took it in: aware, UTC."""

    id: str
    thread_id: str
    raw: bytes = field(repr=False)
    internal_at: datetime
    label_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A message or thread that could not be had. `gone`: it is no longer there; else asking another time may help."""

    id: str
    why: str
    gone: bool


@dataclass(frozen=True, slots=True)
class SendAs:
    """An address the account sends from. `host`, `port`, `security` are those of an outside relay, None without one."""

    address: str
    display_name: str | None
    is_primary: bool
    host: str | None
    port: int | None
    security: str | None
    """none | ssl | starttls, as Gmail spells them."""
    verification: str | None
    """accepted | pending; None for the primary address."""


def raw_message(message_id: str, answer: dict[str, Any]) -> RawMessage | Unavailable:
    """A message out of Gmail's answer in format raw; `Unavailable` where that cannot be read."""
    try:
        encoded = answer["raw"]
        raw = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        internal_at = EPOCH + timedelta(milliseconds=int(answer["internalDate"]))
    except (KeyError, ValueError, OverflowError, TypeError) as error:
        return Unavailable(message_id, f"Gmail's answer cannot be read ({type(error).__name__})", gone=False)
    return RawMessage(
        id=message_id,
        thread_id=answer.get("threadId", message_id),
        raw=raw,
        internal_at=internal_at,
        label_ids=tuple(answer.get("labelIds", ())),
    )
