"""One Gmail account: messages, threads, labels, drafts and aliases, a clock that tests can push, and Gmail's rules.

Knows nothing of HTTP, tokens or quota. Not thread-safe: the caller holds the lock.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesHeaderParser
from functools import cached_property
from html import escape
from typing import Any

from tests.doubles.gmail.errors import invalid, not_found

JSON = dict[str, Any]
SYSTEM_LABELS = ("INBOX", "SPAM", "TRASH", "UNREAD", "STARRED", "IMPORTANT", "SENT", "DRAFT", "CHAT")


@dataclass
class Clock:
    """Real time plus whatever a test added. Seconds since the epoch."""

    ahead: float = 0.0
    is_told: bool = False
    """Whether each answer of Gmail's says what time it is, as the real one's do."""

    def now(self) -> float:
        return time.time() + self.ahead

    def advance(self, seconds: float) -> None:
        self.ahead += seconds


@dataclass
class StoredMessage:
    """One message. `labels` are label ids in the order they came; `internal_ms` is Gmail's internalDate."""

    id: str
    thread_id: str
    raw: bytes
    labels: list[str]
    internal_ms: int
    arrived_at: float

    @cached_property
    def headers(self) -> Message[str, str]:
        """The mail without its body parsed: enough for all the double does, and cheap for large mails."""
        return BytesHeaderParser().parsebytes(self.raw)

    def text_of(self, header: str) -> str:
        """All values of a header in one text, decoded (RFC 2047)."""
        return " ".join(_decoded(str(value)) for value in self.headers.get_all(header, []))

    def ids_in(self, *headers: str) -> list[str]:
        """Message-IDs without their brackets, which some leave out."""
        text = " ".join(map(self.text_of, headers))
        return re.findall(r"<([^<>\s]+)>", text) or text.split()

    @cached_property
    def snippet(self) -> str:
        """How the text begins, as HTML, which is what a list of mails shows of it."""
        mail = message_from_bytes(self.raw[:100_000])
        texts = [part for part in mail.walk() if part.get_content_type() == "text/plain"]
        found = texts[0].get_payload(decode=True) if texts else b""
        return escape(" ".join(found.decode("utf-8", "replace").split())[:200]) if isinstance(found, bytes) else ""

    @cached_property
    def message_id(self) -> str | None:
        return next(iter(self.ids_in("Message-ID")), None)

    @cached_property
    def words(self) -> dict[str, str]:
        """What a search by `from:`, `to:` and `subject:` looks at."""
        return {header.lower(): words(self.text_of(header)) for header in ("From", "To", "Cc", "Bcc", "Subject")}

    @cached_property
    def base_subject(self) -> str:
        """The subject without reply and forward marks, as threading compares it."""
        return re.sub(r"^((re|fwd?|aw|wg):\s*)+", "", " ".join(self.text_of("Subject").split()).casefold())


@dataclass
class Account:
    """Everything Gmail would remember of one account, and what a test may choose of the world around it."""

    address: str
    clock: Clock = field(default_factory=Clock)
    messages: dict[str, StoredMessage] = field(default_factory=dict)
    labels: dict[str, JSON] = field(default_factory=dict)
    drafts: dict[str, str] = field(default_factory=dict)
    """The id of the message by that of the draft."""
    send_as: dict[str, JSON] = field(default_factory=dict)
    alias_logins: dict[str, tuple[str, str]] = field(default_factory=dict)
    """SMTP user name and password by alias: written through sendAs, never given out by the API."""
    search_lag: float = 0.0
    """Seconds until a new message is found by a search; get and threads see it at once."""
    parts_at_once: int | None = None
    """How many parts of one batch are served before the rest get 429 "Too many concurrent requests for user.".

    Parts put off never reach their method: they are in no counter.
    """
    compresses: bool = False
    """Whether answers are packed (gzip) for a client that takes that, as Google's are."""
    delegation: bool = False
    """Whether aliases may be changed (service accounts with domain-wide delegation only)."""
    _serial: int = 0
    _threads_by_message_id: dict[str, list[str]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.labels |= {name: {"id": name, "name": name, "type": "system"} for name in SYSTEM_LABELS}
        self.send_as[self.address] = {"sendAsEmail": self.address, "isPrimary": True, "isDefault": True}

    def new_id(self) -> int:
        self._serial += 1
        return self._serial

    # -- messages -----------------------------------------------------------------------------------------------

    def add(
        self,
        raw: bytes,
        labels: Iterable[str],
        *,
        thread_id: str | None = None,
        wanted: str | None = None,
        internal_ms: int | None = None,
    ) -> StoredMessage:
        """Store a mail in the given thread, else in the one it joins by Gmail's rules, else as the start of a new one.

        `wanted` is the only thread it may join. A thread has the id of its first message.
        """
        now = self.clock.now()
        message_id = f"{int(now * 1000) << 20 | self.new_id() & 0xFFFFF:016x}"
        message = StoredMessage(
            message_id, "", raw, list(dict.fromkeys(labels)), internal_ms or int(now * 1000), arrived_at=now
        )
        message.thread_id = thread_id or self.joined(message, wanted) or message_id
        self.messages[message_id] = message
        if message.message_id:
            self._threads_by_message_id.setdefault(message.message_id, []).append(message.thread_id)
        return message

    def delete(self, message: StoredMessage) -> None:
        del self.messages[message.id]
        self.drafts = {draft_id: owned for draft_id, owned in self.drafts.items() if owned != message.id}

    def change_labels(self, message: StoredMessage, add: Iterable[str], remove: Iterable[str]) -> None:
        kept = [label for label in message.labels if label not in set(remove)]
        message.labels = list(dict.fromkeys([*kept, *add]))

    def message(self, given: str) -> StoredMessage:
        found = self.messages.get(_parsed_id(given))
        if found is None:
            raise not_found()
        return found

    def thread(self, given: str) -> list[StoredMessage]:
        """The messages of a thread, oldest first."""
        thread_id = _parsed_id(given)
        members = [message for message in self.messages.values() if message.thread_id == thread_id]
        if not members:
            raise not_found()
        return sorted(members, key=lambda message: message.internal_ms)

    def joined(self, message: StoredMessage, wanted: str | None) -> str | None:
        """The thread a mail joins: same subject and a reference into it (Gmail's rule since March 2019).

        Google's own failure notices join by reference alone: they always have another subject and are seen in the
        conversation they report on.
        """
        is_notice = "mailer-daemon@googlemail.com" in message.text_of("From").lower()
        for reference in reversed(message.ids_in("References", "In-Reply-To")):
            for thread_id in self._threads_by_message_id.get(reference, ()):
                subjects = {other.base_subject for other in self.messages.values() if other.thread_id == thread_id}
                if wanted in (None, thread_id) and subjects and (is_notice or message.base_subject in subjects):
                    return thread_id
        return None

    # -- labels -------------------------------------------------------------------------------------------------

    def label_named(self, name: str) -> JSON | None:
        """A label by name in any case, or None."""
        wanted = name.casefold()
        return next((label for label in self.labels.values() if label["name"].casefold() == wanted), None)

    def add_label(self, **label: str) -> JSON:
        created: JSON = {"id": f"Label_{self.new_id()}", "type": "user"} | label
        self.labels[created["id"]] = created
        return created

    def delete_label(self, label_id: str) -> None:
        for message in self.messages.values():
            self.change_labels(message, (), (label_id,))
        del self.labels[label_id]


def words(text: str) -> str:
    """Whole words, split at every symbol, as one padded string: `needle in haystack` is then a phrase match."""
    return " " + " ".join(re.findall(r"[^\W_]+", text.lower())) + " "


def _decoded(value: str) -> str:
    try:
        return str(make_header(decode_header(value)))
    except (ValueError, LookupError):
        return value


def _parsed_id(given: str) -> str:
    """A message or thread id in its one spelling; 400 for what can be no id (brekkylab/backlot, measured live)."""
    if not re.fullmatch(r"[0-9a-fA-F]{1,16}", given) or int(given, 16) >= 2**63:
        raise invalid("Invalid id value")
    return f"{int(given, 16):016x}"
