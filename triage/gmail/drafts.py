"""What an outbox asks of Gmail: labelled messages, drafts, a conversation at a glance, marks other computers see.

Sends nothing and deletes no mail: a draft that has gone out is moved to Trash by `Gmail.trash`, which names one version
of it. All of it is within gmail.modify (developers.google.com/workspace/gmail/api/reference/rest, each method's
"Authorization scopes").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from triage.gmail.answers import Refused
from triage.gmail.messages import MAX_HEADER, Ref, Unavailable, refused
from triage.gmail.wire import Wire

_HEADERS = ("From", "To", "Cc", "Delivered-To", "Message-ID")


class DraftRef(NamedTuple):
    """A draft, whose id stays, and its message, whose id is another after each change (Google's guide to drafts)."""

    id: str
    message: Ref


class InThread(NamedTuple):
    """A message of a conversation: its labels, and those of its header fields that say who wrote to whom."""

    id: str
    label_ids: frozenset[str]
    headers: Mapping[str, tuple[str, ...]]
    """By lower-case name."""


class Drafts:
    """The drafts of one mailbox; made by `Gmail`. Every method may raise what those of `Gmail` raise."""

    def __init__(self, wire: Wire, users: Any) -> None:
        self._wire = wire
        self._messages, self._threads = users.messages(), users.threads()
        self._labels, self._drafts = users.labels(), users.drafts()

    def labelled(self, label_id: str) -> list[Ref]:
        """The messages outside Spam and Trash that carry a label (5 units a page); no search, so nothing lags."""
        found = self._wire.pages("messages", self._messages.list, labelIds=[label_id])
        return list({entry["id"]: Ref(entry["id"], entry["threadId"]) for entry in found}.values())

    def all(self) -> list[DraftRef]:
        """Every draft outside Trash (5 units a page)."""
        found = {one["id"]: one["message"] for one in self._wire.pages("drafts", self._drafts.list)}
        return [DraftRef(draft_id, Ref(message["id"], message["threadId"])) for draft_id, message in found.items()]

    def conversation(self, thread_id: str) -> list[InThread]:
        """The messages of a thread, oldest first, those in Trash included (40 units); none: it is gone."""
        request = self._threads.get(
            userId="me",
            id=thread_id,
            format="metadata",
            metadataHeaders=list(_HEADERS),
            fields="messages(id,labelIds,payload/headers)",
        )
        try:
            answer = self._wire.call(request)
        except Refused as refusal:
            if refusal.status == 404:
                return []
            raise
        return [_in_thread(message) for message in answer.get("messages", ())]

    def untrash(self, gmail_id: str) -> Unavailable | None:
        """Take one message out of Trash (5 units); may be repeated. None when done, else why not."""
        try:
            self._wire.call(self._messages.untrash(userId="me", id=gmail_id, fields="id"))
        except Refused as refusal:
            return refused(gmail_id, refusal)
        return None

    def set_mark(self, name: str) -> None:
        """Make a label nobody sees in Gmail's lists (5 units); one of this name that is there will do."""
        body = {"name": name, "labelListVisibility": "labelHide", "messageListVisibility": "hide"}
        try:
            self._wire.call(self._labels.create(userId="me", body=body, fields="id,name"))
        except Refused as refusal:
            if refusal.status != 409:
                raise

    def drop_mark(self, label_id: str) -> None:
        """Delete a label of `set_mark` (5 units); may be repeated."""
        try:
            self._wire.call_empty(self._labels.delete(userId="me", id=label_id))
        except Refused as refusal:
            if refusal.status != 404:
                raise


def _in_thread(message: Mapping[str, Any]) -> InThread:
    headers: dict[str, tuple[str, ...]] = {}
    for header in (message.get("payload") or {}).get("headers", ()):
        name = str(header["name"]).lower()
        headers[name] = (*headers.get(name, ()), str(header["value"])[:MAX_HEADER])
    return InThread(message["id"], frozenset(message.get("labelIds", ())), headers)
