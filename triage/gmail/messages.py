"""What Gmail gives, as plain immutable data: messages, addresses, and what could not be had. Sends nothing."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from triage.gmail.answers import Refused

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_HEADER = 100_000
"""Characters of one header that are read: a mail of ours may name a thousand people."""
MAX_HEADERS = 1000


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
    """A message or thread that could not be had. `gone`: it is not there; else asking another time may help."""

    id: str
    why: str
    gone: bool
    is_passing: bool = False
    """Gmail's own trouble (it answers 5xx, "slower", nothing whole): says nothing about the message."""
    is_too_much: bool = False
    """Its bytes cannot be taken in here (too many, packed too well); `Gmail.outline` may help."""


def refused(item_id: str, refusal: Refused) -> Unavailable:
    """What Gmail refused to give, or to do, about one message or thread."""
    return Unavailable(item_id, refusal.what, gone=refusal.is_missing, is_passing=refusal.is_passing)


@dataclass(frozen=True, slots=True)
class Outline:
    """A message without its body: its headers, how it begins, how large it is."""

    id: str
    thread_id: str
    size: int
    """Bytes, as Gmail estimates."""
    raw: bytes = field(repr=False)
    """A mail made of its headers and of the one line of text that Gmail shows in a list."""
    internal_at: datetime


@dataclass(frozen=True, slots=True)
class SentCopy:
    """What the headers of a mail in Sent say. Addresses in lower case; None and empty: not said."""

    message_id: str | None
    sender: str | None
    recipients: frozenset[str]
    """To, Cc and Bcc."""
    subject: str | None
    sent_at: datetime
    """When Gmail took it in."""


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


_OF_THE_BODY = frozenset({"content-type", "content-transfer-encoding", "content-disposition", "mime-version"})


def outline(message_id: str, answer: dict[str, Any]) -> Outline | Unavailable:
    """A message out of Gmail's answer in format metadata; `Unavailable` where that cannot be read."""
    from html import unescape

    try:
        headers = [(str(h["name"]), str(h["value"])[:MAX_HEADER]) for h in answer["payload"]["headers"][:MAX_HEADERS]]
        internal_at = EPOCH + timedelta(milliseconds=int(answer["internalDate"]))
        size = int(answer.get("sizeEstimate", 0))
    except (KeyError, ValueError, OverflowError, TypeError) as error:
        return Unavailable(message_id, f"Gmail's answer cannot be read ({type(error).__name__})", gone=False)
    lines = [f"{name}: {' '.join(value.split())}" for name, value in headers if name.lower() not in _OF_THE_BODY]
    lines += ["MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "", unescape(answer.get("snippet", ""))]
    raw = "".join(f"{line}\r\n" for line in lines).encode("utf-8", "replace")
    return Outline(message_id, answer.get("threadId", message_id), size, raw, internal_at)


def sent_copy(answer: dict[str, Any]) -> SentCopy | None:
    """A mail in Sent out of Gmail's answer in format metadata; None where that cannot be read."""
    from email.utils import getaddresses

    headers: dict[str, list[str]] = {}
    try:
        for header in answer["payload"]["headers"]:
            headers.setdefault(header["name"].lower(), []).append(header["value"][:MAX_HEADER])
        sent_at = EPOCH + timedelta(milliseconds=int(answer["internalDate"]))
    except (KeyError, ValueError, OverflowError, TypeError):
        return None
    named = [value for name in ("to", "cc", "bcc") for value in headers.get(name, ())]
    senders = [address.lower() for _, address in getaddresses(headers.get("from", []))]
    return SentCopy(
        message_id=next(iter(headers.get("message-id", ())), "").strip(" <>") or None,
        sender=senders[0] if len(senders) == 1 and senders[0] else None,
        recipients=frozenset(address.lower() for _, address in getaddresses(named) if "@" in address),
        subject=next(iter(headers.get("subject", ())), None),
        sent_at=sent_at,
    )
