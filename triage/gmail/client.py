"""Speaks to Gmail: lists, fetches, labels and inserts, and says what it cost. Its door is `connect`.

Never deletes for good, never sends, never marks read, and judges no mail. The `gmail_*` modules beside it are its parts
(the sign-in, the connection, what answers mean); but for `authorize`, other modules import this one only.
"""

from __future__ import annotations

import random
import time
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from triage.errors import ConfigError
from triage.gmail.answers import Pace, Refused, is_invalid_label_name
from triage.gmail.drafts import Drafts
from triage.gmail.fetching import fetch
from triage.gmail.messages import Outline, RawMessage, Ref, SendAs, SentCopy, Unavailable, outline, refused, sent_copy
from triage.gmail.renewal import RenewedSignIn
from triage.gmail.uploading import with_mail
from triage.gmail.wire import LARGEST_ANSWER, Wire

TIMEOUT_SECONDS = 30.0


def _utc_now() -> datetime:
    return datetime.now(UTC)


def connect(
    token: Path,
    *,
    url: str | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], datetime] = _utc_now,
    rand: Callable[[], float] = random.random,
) -> Gmail:
    """Open the mailbox the token file belongs to; sends nothing yet.

    `url` is the root of the API where it is not Google's own (a test's double), used for batches too. Raises
    CredentialsDead when nobody is signed in or others can read the token file.
    """
    return Gmail(Wire(token, url, timeout_seconds, Pace(sleep, now, rand)))


class _Label(NamedTuple):
    id: str
    name: str


ANY_MAIL = "larger:1"
"""A search that finds whatever there is."""


class Gmail:
    """One mailbox, for one thread. Every method may raise TryLater, CredentialsDead, ConfigError, or `Refused`."""

    def __init__(self, wire: Wire) -> None:
        self.quota = wire.quota
        self.sign_in_mark = wire.sign_in_mark
        """Tells one sign-in from another; the account may still be the same."""
        self._wire = wire
        self._has_found = False
        # Kept, because building a resource object costs thirty times as much as building a request from it.
        self._users = wire.service.users()
        self._messages = self._users.messages()
        self._threads = self._users.threads()
        self._labels = self._users.labels()
        self._drafts = self._users.drafts()
        self.drafts = Drafts(wire, self._users)
        self._send_as = self._users.settings().sendAs()
        # By case-folded name; None until the list was read.
        self._known_labels: dict[str, _Label] | None = None
        self._asked_names: dict[str, str] = {}
        # Happens by itself at the latest when the object goes, so that no caller leaves a socket open.
        self.close: Callable[[], object] = weakref.finalize(self, wire.close)

    def renew_sign_in(self) -> RenewedSignIn | None:
        """Renew the sign-in now, due or not (0 units), and give what Google said; None: nothing that can be read."""
        return self._wire.renew()

    def profile_address(self) -> str:
        """The address of the signed-in account (1 unit)."""
        return str(self._wire.call(self._users.getProfile(userId="me"))["emailAddress"])

    def its_time(self, ours: datetime) -> datetime:
        """The time by Gmail's clock, as it told with its last answer; `ours` where it told none."""
        return self._wire.told_at or ours

    def search_problem(self) -> str | None:
        """Why an empty answer of the search cannot be believed; None: it can.

        Free where a search found something before; else it is asked for any mail at all (5 units), and, where it knows
        of none, Gmail how many there are (1 unit).
        """
        if self._has_found or next(self.list_refs(ANY_MAIL), None):
            return None
        mails = int(self._wire.call(self._users.getProfile(userId="me")).get("messagesTotal", 0))
        return f"Gmail's search finds no mail at all, although the mailbox holds {mails:,}" if mails else None

    def list_refs(self, query: str, label_id: str | None = None) -> Iterator[Ref]:
        """All messages a search finds, Spam and Trash included, page by page (5 units each), in no promised order.

        `label_id`: only those that carry this label.
        """
        seen: set[str] = set()
        asked = {"q": query or None, "labelIds": label_id, "includeSpamTrash": True}
        for entry in self._wire.pages("messages", self._messages.list, **asked):
            if entry["id"] not in seen:
                seen.add(entry["id"])
                self._has_found = True
                yield Ref(entry["id"], entry["threadId"])

    def get_raw(
        self,
        ids: Iterable[str],
        *,
        singly: Collection[str] = (),
        starting: Callable[[list[str]], None] | None = None,
        most_bytes: int = LARGEST_ANSWER,
    ) -> Iterator[RawMessage | Unavailable]:
        """Fetch messages, ten by one HTTP request (20 units each), in the order asked for, one answer for each.

        `singly`: those that get a request of their own, because they are large; `most_bytes`: of one answer. `starting`
        is told before each request whom it is about. What Gmail does not give after several tries is `Unavailable`;
        raises TryLater where it gives nothing to several messages in a row.
        """
        return fetch(self._wire, self._messages, ids, singly, starting, most_bytes)

    def outline(self, gmail_id: str) -> Outline | Unavailable:
        """The headers of a message, how it begins and how large it is (20 units), for one whose bytes are too many."""
        fields = "id,threadId,internalDate,sizeEstimate,snippet,payload/headers"
        request = self._messages.get(userId="me", id=gmail_id, format="metadata", fields=fields)
        try:
            return outline(gmail_id, self._wire.call(request))
        except Refused as refusal:
            return refused(gmail_id, refusal)

    def find_message_id(self, rfc822_message_id: str) -> list[Ref]:
        """The messages with this Message-ID, given with or without angle brackets, in Trash and Spam too (5 units).

        Search can lag behind an insert by seconds. An id that cannot be searched for finds nothing.
        """
        wanted = rfc822_message_id.strip().removeprefix("<").removesuffix(">")
        # It may come from a stranger's mail: it must stay one word of our search and not become a search of its own.
        if not wanted or not wanted.isprintable() or set(wanted) & set(' "(){}'):
            return []
        return list(self.list_refs(f"rfc822msgid:{wanted}"))

    def sent_copy(self, gmail_id: str) -> SentCopy | None:
        """Whom a mail in Sent went to, from whom and when (20 units); None: that cannot be read."""
        request = self._messages.get(
            userId="me",
            id=gmail_id,
            format="metadata",
            metadataHeaders=["Message-ID", "From", "To", "Cc", "Bcc", "Subject"],
            fields="id,internalDate,payload/headers",
        )
        return sent_copy(self._wire.call(request))

    def label_names(self) -> dict[str, str]:
        """The name of each label by its id, Gmail's own included (1 unit)."""
        return {label["id"]: label["name"] for label in self._read_labels()}

    def label_id(self, name: str) -> str:
        """The id of a label, found without regard to case or made, with its parents (`Bounce/Ours` is in `Bounce`).

        Kept for the life of this object. Where Gmail does not allow the name (reserved names are localized), the part
        it objects to becomes `triage-<part>`. Raises ConfigError for an empty name.
        """
        if self._known_labels is None:
            self._read_labels()
        assert self._known_labels is not None
        label = self._known_labels.get(name.casefold())
        if label is None:
            parts = [part.strip() for part in name.split("/") if part.strip()]
            for part in parts:
                label = self._find_or_create_label(label, part)
            if label is None:
                raise ConfigError("A label has no name.", "Set `label_prefix` to a name such as Bounce.")
            self._known_labels[name.casefold()] = label
        self._asked_names[label.id] = name
        return label.id

    def find_label(self, name: str) -> str | None:
        """The id of the label `label_id` would give, None where it would have to make one (1 unit, once)."""
        if self._known_labels is None:
            self._read_labels()
        label: _Label | None = None
        for part in filter(None, (part.strip() for part in name.split("/"))):
            label = next(filter(None, map(self._known, _spellings(label, part))), None)
            if label is None:
                return None
        return label.id if label else None

    def add_labels(self, gmail_id: str, label_ids: Iterable[str]) -> Unavailable | None:
        """Put labels on a message, which shows them on its conversation (5 units); may be repeated.

        None when done, else why it was not. A label of `label_id` that the user has deleted meanwhile is made again.
        """
        return self._modify(self._messages, gmail_id, "addLabelIds", list(dict.fromkeys(label_ids)))

    def remove_labels(self, gmail_id: str, label_ids: Iterable[str]) -> Unavailable | None:
        """Take labels off one message (5 units); may be repeated. None when done, else why not."""
        return self._modify(self._messages, gmail_id, "removeLabelIds", list(dict.fromkeys(label_ids)))

    def remove_thread_labels(self, thread_id: str, label_ids: Iterable[str]) -> Unavailable | None:
        """Take labels off every message of a thread (10 units); may be repeated. None when done, else why not."""
        return self._modify(self._threads, thread_id, "removeLabelIds", list(dict.fromkeys(label_ids)))

    def insert(self, raw: bytes, thread_id: str | None, label_ids: Iterable[str] = ()) -> Ref:
        """Put a message into the mailbox without sending it (25 units), into a thread if given.

        To join the thread it also needs In-Reply-To or References into it and the same Subject; compare the thread_id
        that comes back. Never handed to Gmail twice: raises `OutcomeUnknown` when no clear answer came, and then
        `find_message_id` must be asked first. `Refused` (404) when the thread is gone.
        """
        place: dict[str, Any] = {"labelIds": list(label_ids)}
        if thread_id is not None:
            place["threadId"] = thread_id
        answer = self._wire.call_once(with_mail(self._messages.insert, place, raw))
        return Ref(answer["id"], answer["threadId"])

    def find_in_thread(self, thread_id: str, rfc822_message_id: str) -> Ref | None:
        """The message of a thread with this Message-ID (40 units); unlike a search it sees what came a moment ago."""
        request = self._threads.get(
            userId="me",
            id=thread_id,
            format="metadata",
            metadataHeaders=["Message-ID"],
            fields="messages(id,threadId,payload/headers)",
        )
        try:
            thread = self._wire.call(request)
        except Refused as refusal:
            if refusal.status == 404:
                return None
            raise
        for message in thread.get("messages", ()):
            headers = (message.get("payload") or {}).get("headers", ())
            if any(header["value"].strip(" <>") == rfc822_message_id.strip(" <>") for header in headers):
                return Ref(message["id"], message["threadId"])
        return None

    def trash(self, message_id: str) -> Unavailable | None:
        """Move one message to Trash, where Gmail keeps it for 30 days (20 units). None when done, else why not."""
        try:
            self._wire.call(self._messages.trash(userId="me", id=message_id, fields="id"))
        except Refused as refusal:
            return refused(message_id, refusal)
        return None

    def create_draft(self, raw: bytes, thread_id: str | None) -> Ref:
        """Put a message among the drafts, into a thread if given, by the rules of `insert` (10 units). Sends nothing.

        The id that comes back is that of the message, which a search finds, not that of the draft.
        """
        place = {} if thread_id is None else {"threadId": thread_id}
        answer = self._wire.call_once(with_mail(self._drafts.create, place, raw, inside="message"))
        return Ref(answer["message"]["id"], answer["message"]["threadId"])

    def send_as(self) -> list[SendAs]:
        """The addresses the account sends from, with the outside relay of each alias that has one (1 unit)."""
        answer = self._wire.call(self._send_as.list(userId="me"))
        return [
            SendAs(
                address=entry["sendAsEmail"],
                display_name=entry.get("displayName") or None,
                is_primary=bool(entry.get("isPrimary")),
                host=(relay := entry.get("smtpMsa") or {}).get("host") or None,
                port=relay.get("port"),
                security=relay.get("securityMode") or None,
                verification=entry.get("verificationStatus") or None,
            )
            for entry in answer.get("sendAs", ())
        ]

    def _read_labels(self) -> list[dict[str, Any]]:
        labels: list[dict[str, Any]] = self._wire.call(self._labels.list(userId="me")).get("labels", [])
        # Gmail's own labels are left out: SENT cannot be put on a thread, so a label named Sent must not find it.
        self._known_labels = {
            entry["name"].casefold(): _Label(entry["id"], entry["name"])
            for entry in labels
            if entry.get("type") != "system"
        }
        return labels

    def _find_or_create_label(self, parent: _Label | None, part: str) -> _Label:
        """One step of a label's path, below the parent as the user spells it."""
        names = _spellings(parent, part)
        if found := next(filter(None, map(self._known, names)), None):
            return found
        for name in names:
            try:
                made = self._wire.call(
                    self._labels.create(
                        userId="me",
                        body={"name": name, "labelListVisibility": "labelShow", "messageListVisibility": "show"},
                    )
                )
            except Refused as refusal:
                if refusal.status == 409:
                    # Made a moment ago by somebody else, or by a try of ours whose answer was lost.
                    self._read_labels()
                    if found := self._known(name):
                        return found
                elif not is_invalid_label_name(refusal):
                    raise
                last_refusal = refusal
            else:
                label = _Label(made["id"], made["name"])
                assert self._known_labels is not None
                self._known_labels[name.casefold()] = label
                return label
        raise last_refusal

    def _known(self, name: str) -> _Label | None:
        return (self._known_labels or {}).get(name.casefold())

    def _modify(self, kind: Any, item_id: str, change: str, label_ids: list[str]) -> Unavailable | None:
        """`kind`: the messages or the threads of the API."""

        def modify(ids: list[str]) -> None:
            if ids:
                self._wire.call(kind.modify(userId="me", id=item_id, body={change: ids}, fields="id"))

        try:
            modify(label_ids)
        except Refused as refusal:
            if refusal.status not in (400, 404):
                raise
            # Gmail does not say whether the item or a label is missing, so look at the labels.
            there = self.label_names()
            if all(label_id in there for label_id in label_ids):
                return refused(item_id, refusal)
            if change == "removeLabelIds":
                label_ids = [label_id for label_id in label_ids if label_id in there]
            elif unknown := [i for i in label_ids if i not in there and i not in self._asked_names]:
                return Unavailable(item_id, f"there is no label {unknown[0]} any more", gone=False)
            else:
                label_ids = [i if i in there else self.label_id(self._asked_names[i]) for i in label_ids]
            try:
                modify(label_ids)
            except Refused as second:
                return refused(item_id, second)
        return None


def _spellings(parent: _Label | None, part: str) -> list[str]:
    """How one step of a label's path may be named: as asked, or as it is where Gmail does not allow that."""
    return [f"{parent.name}/{name}" if parent else name for name in (part, f"triage-{part}")]
