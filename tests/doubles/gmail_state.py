"""The mailbox behind the double: messages, threads, labels, drafts, aliases and history, and their snapshot on disk.

Knows nothing of HTTP, tokens or quota. Not thread-safe: the caller holds the lock.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.doubles import gmail_errors as errors
from tests.doubles import gmail_mail as mail
from tests.doubles.gmail_mail import JSON

SYSTEM_LABELS = (
    "INBOX",
    "SPAM",
    "TRASH",
    "UNREAD",
    "STARRED",
    "IMPORTANT",
    "SENT",
    "DRAFT",
    "CHAT",
    "CATEGORY_PERSONAL",
    "CATEGORY_SOCIAL",
    "CATEGORY_PROMOTIONS",
    "CATEGORY_UPDATES",
    "CATEGORY_FORUMS",
)
THREAD_CAP = 100
"""Gmail starts a new conversation after about this many messages (domain/gmail.md 6.1, believed, not documented)."""


@dataclass(slots=True)
class StoredMessage:
    """One message. `labels` are label ids in the order they came; `internal_ms` is Gmail's internalDate."""

    id: str
    thread_id: str
    raw: bytes
    labels: list[str]
    internal_ms: int
    arrived_at: float
    history_id: int = 0
    _view: mail.SearchView | None = field(default=None, repr=False)

    @property
    def view(self) -> mail.SearchView:
        if self._view is None:
            self._view = mail.search_view(self.raw)
        return self._view


@dataclass
class Mailbox:
    """Everything Gmail would remember of one account."""

    address: str
    messages: dict[str, StoredMessage] = field(default_factory=dict)
    threads: dict[str, list[str]] = field(default_factory=dict)
    labels: dict[str, JSON] = field(default_factory=dict)
    drafts: dict[str, str] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    """Ids of messages really sent (messages.send, drafts.send), oldest first; an insert never is."""
    send_as: dict[str, JSON] = field(default_factory=dict)
    alias_logins: dict[str, list[str]] = field(default_factory=dict)
    """SMTP user name and password by alias: written through sendAs.update, never returned by the API."""
    history: list[JSON] = field(default_factory=list)
    history_id: int = 1_203_417
    history_floor: int = 0
    """A startHistoryId below this is expired (404)."""
    serial: int = 0
    _threads_by_message_id: dict[str, list[str]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self.labels:
            self.labels = {name: {"id": name, "name": name, "type": "system"} for name in SYSTEM_LABELS}
            self.send_as = {self.address: {"sendAsEmail": self.address, "isPrimary": True, "isDefault": True}}
            self.history_floor = self.history_id

    # -- messages -----------------------------------------------------------------------------------------------

    def add(
        self,
        raw: bytes,
        labels: Iterable[str],
        now: float,
        *,
        thread_id: str | None = None,
        internal_ms: int | None = None,
    ) -> StoredMessage:
        """Store a mail in the given thread, or as the start of a new one named after it."""
        self.serial += 1
        message_id = f"{int(now * 1000) << 20 | self.serial & 0xFFFFF:016x}"
        message = StoredMessage(
            message_id, thread_id or message_id, raw, list(dict.fromkeys(labels)), internal_ms or int(now * 1000), now
        )
        self._file(message)
        self._record(message, "messagesAdded", {"labelIds": list(message.labels)})
        return message

    def delete(self, message: StoredMessage) -> None:
        del self.messages[message.id]
        thread = self.threads[message.thread_id]
        thread.remove(message.id)
        if not thread:
            del self.threads[message.thread_id]
        for draft_id in [draft_id for draft_id, owned in self.drafts.items() if owned == message.id]:
            del self.drafts[draft_id]
        self._record(message, "messagesDeleted", {})

    def change_labels(self, message: StoredMessage, add: Iterable[str], remove: Iterable[str]) -> None:
        """Add and remove; what changes nothing leaves no trace in the history."""
        added = [label for label in dict.fromkeys(add) if label not in message.labels]
        removed = [label for label in dict.fromkeys(remove) if label in message.labels]
        message.labels = [label for label in message.labels if label not in removed] + added
        if added:
            self._record(message, "labelsAdded", {"labelIds": list(message.labels)}, {"labelIds": added})
        if removed:
            self._record(message, "labelsRemoved", {"labelIds": list(message.labels)}, {"labelIds": removed})

    def message(self, given: str) -> StoredMessage:
        found = self.messages.get(parsed_id(given))
        if found is None:
            raise errors.not_found()
        return found

    def thread(self, given: str) -> list[StoredMessage]:
        """The messages of a thread, oldest first."""
        members = self.threads.get(parsed_id(given))
        if members is None:
            raise errors.not_found()
        return sorted((self.messages[member] for member in members), key=lambda message: message.internal_ms)

    # -- threading ----------------------------------------------------------------------------------------------

    def thread_for(self, raw: bytes) -> str | None:
        """The thread a mail joins by itself: same subject and a reference into it (Gmail's rule since March 2019).

        Google's own failure notices join by reference alone: they always have another subject and are seen in the
        conversation they report on.
        """
        parsed = mail.read_headers(raw)
        own_notice = "mailer-daemon@googlemail.com" in mail.addresses_in(parsed, "From")
        for reference in reversed(mail.ids_in(parsed, "References", "In-Reply-To")):
            for thread_id in self._threads_by_message_id.get(reference, ()):
                if thread_id in self.threads and (own_notice or self._accepts(thread_id, raw)):
                    return thread_id if len(self.threads[thread_id]) < THREAD_CAP else None
        return None

    def joins(self, thread_id: str, raw: bytes) -> bool:
        """Whether the API lets a mail into a thread asked for by id: reference into it, same subject, not full."""
        parsed = mail.read_headers(raw)
        into = any(
            thread_id in self._threads_by_message_id.get(reference, ())
            for reference in mail.ids_in(parsed, "References", "In-Reply-To")
        )
        return into and self._accepts(thread_id, raw) and len(self.threads[thread_id]) < THREAD_CAP

    def _accepts(self, thread_id: str, raw: bytes) -> bool:
        subject = mail.base_subject(mail.read_headers(raw))
        members = (self.messages[member].raw for member in self.threads[thread_id])
        return any(mail.base_subject(mail.read_headers(member)) == subject for member in members)

    # -- labels and aliases -------------------------------------------------------------------------------------

    def label_named(self, name: str) -> JSON | None:
        """A label by name in any case, or None."""
        wanted = name.casefold()
        return next((label for label in self.labels.values() if label["name"].casefold() == wanted), None)

    def add_label(self, label: JSON) -> JSON:
        self.serial += 1
        created = {"id": f"Label_{self.serial}", "type": "user"} | label
        self.labels[created["id"]] = created
        return created

    def delete_label(self, label_id: str) -> None:
        for message in self.messages.values():
            self.change_labels(message, (), (label_id,))
        del self.labels[label_id]

    # -- history and snapshot -----------------------------------------------------------------------------------

    def _file(self, message: StoredMessage) -> None:
        self.messages[message.id] = message
        self.threads.setdefault(message.thread_id, []).append(message.id)
        if own_id := mail.message_id(mail.read_headers(message.raw)):
            self._threads_by_message_id.setdefault(own_id, []).append(message.thread_id)

    def _record(self, message: StoredMessage, kind: str, state: JSON, change: JSON | None = None) -> None:
        # Real history ids have gaps; code that counts on "+1" must fail here too.
        self.history_id += 3 + self.history_id % 5
        message.history_id = self.history_id
        names = {"id": message.id, "threadId": message.thread_id}
        self.history.append(
            {"id": self.history_id, "messages": [names], kind: [{"message": names | state} | (change or {})]}
        )

    def snapshot(self) -> JSON:
        """Everything as JSON; `restored` is the way back."""
        plain = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        rows = [
            [m.id, m.thread_id, base64.b64encode(m.raw).decode(), m.labels, m.internal_ms, m.arrived_at, m.history_id]
            for m in self.messages.values()
        ]
        return plain | {"messages": rows, "threads": {}}


def restored(snapshot: JSON) -> Mailbox:
    """The mailbox a snapshot was taken of."""
    mailbox = Mailbox(**(snapshot | {"messages": {}}))
    for message_id, thread_id, raw, *rest in snapshot["messages"]:
        mailbox._file(StoredMessage(message_id, thread_id, base64.b64decode(raw), *rest))
    return mailbox


def parsed_id(given: str) -> str:
    """A message or thread id in its one spelling; 400 for what can be no id (brekkylab/backlot, measured live)."""
    if not re.fullmatch(r"[0-9a-fA-F]{1,16}", given) or int(given, 16) >= 2**63:
        raise errors.invalid("Invalid id value")
    return f"{int(given, 16):016x}"
