"""The Gmail double without HTTP, for tests of thousands of runs: the client's methods, answered by the double's own.

Before and after each call somebody may do something: end the program, lose the answer, change the mailbox.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from tests.doubles.gmail.account import Account
from tests.doubles.gmail.api import METHODS
from tests.doubles.gmail.errors import ApiError
from triage.errors import TryLater
from triage.gmail import DraftRef, InThread, OutcomeUnknown, RawMessage, Ref, Refused, Unavailable


class DirectGmail:
    """As `triage.gmail.Gmail`, for what the outbox asks of it. `step` is told (method, "before" or "after")."""

    def __init__(self, account: Account, step: Callable[[str, str], None]) -> None:
        self.account, self.step, self.drafts = account, step, self

    def call(self, name: str, params: dict[str, Any] | None = None, body: dict[str, Any] | None = None) -> Any:
        self.step(name, "before")
        try:
            answer = METHODS[name].answer(self.account, params or {}, body or {})
        except ApiError as error:
            self.step(name, "after")
            raise Refused(error.status, frozenset(), str(error)) from None
        self.step(name, "after")
        return answer

    def its_time(self, ours: datetime) -> datetime:
        return ours

    def search_problem(self) -> str | None:
        return None

    # -- labels -------------------------------------------------------------------------------------------------

    def label_names(self) -> dict[str, str]:
        return {one["id"]: one["name"] for one in self.call("labels.list")["labels"]}

    def find_label(self, name: str) -> str | None:
        found = self.account.label_named(name)
        return found["id"] if found else None

    def label_id(self, name: str) -> str:
        found = self.account.label_named(name) or self.account.add_label(name=name)
        return str(found["id"])

    def set_mark(self, name: str) -> None:
        try:
            self.call("labels.create", body={"name": name})
        except Refused as refusal:
            if refusal.status != 409:
                raise

    def drop_mark(self, label_id: str) -> None:
        with suppress(Refused):
            self.call("labels.delete", {"id": label_id})

    def add_labels(self, gmail_id: str, label_ids: Iterable[str]) -> Unavailable | None:
        return self._done(gmail_id, "messages.modify", {"addLabelIds": list(label_ids)})

    def remove_thread_labels(self, thread_id: str, label_ids: Iterable[str]) -> Unavailable | None:
        return self._done(thread_id, "threads.modify", {"removeLabelIds": list(label_ids)})

    # -- messages -----------------------------------------------------------------------------------------------

    def profile_address(self) -> str:
        return self.account.address

    def labelled(self, label_id: str) -> list[Ref]:
        found = self.call("messages.list", {"labelIds": [label_id], "maxResults": 500})
        return [Ref(one["id"], one["threadId"]) for one in found.get("messages", ())]

    def find_message_id(self, message_id: str) -> list[Ref]:
        asked = {"q": f"rfc822msgid:{message_id}", "includeSpamTrash": "true"}
        return [Ref(one["id"], one["threadId"]) for one in self.call("messages.list", asked).get("messages", ())]

    def find_in_thread(self, thread_id: str, message_id: str) -> Ref | None:
        self.step("threads.get", "before")
        members = [one for one in self.account.messages.values() if one.thread_id == thread_id]
        return next((Ref(one.id, one.thread_id) for one in members if one.message_id == message_id), None)

    def get_raw(self, ids: Iterable[str], **_: Any) -> Iterator[RawMessage | Unavailable]:
        for gmail_id in ids:
            try:
                found = self.call("messages.get", {"id": gmail_id, "format": "raw"})
            except Refused as refusal:
                yield Unavailable(gmail_id, refusal.what, gone=refusal.status == 404)
                continue
            at = datetime.fromtimestamp(int(found["internalDate"]) / 1000, UTC)
            raw = base64.urlsafe_b64decode(found["raw"])
            yield RawMessage(gmail_id, found["threadId"], raw, at, tuple(found.get("labelIds", ())))

    def trash(self, gmail_id: str) -> Unavailable | None:
        return self._done(gmail_id, "messages.trash")

    def untrash(self, gmail_id: str) -> Unavailable | None:
        return self._done(gmail_id, "messages.untrash")

    def insert(self, raw: bytes, thread_id: str | None, label_ids: Iterable[str] = ()) -> Ref:
        body: dict[str, Any] = {"raw": base64.urlsafe_b64encode(raw).decode(), "labelIds": list(label_ids)}
        try:
            made = self.call("messages.insert", body=body | ({"threadId": thread_id} if thread_id else {}))
        except TryLater as lost:
            raise OutcomeUnknown(lost.what) from None
        return Ref(made["id"], made["threadId"])

    # -- drafts -------------------------------------------------------------------------------------------------

    def all(self) -> list[DraftRef]:
        found = self.call("drafts.list", {"maxResults": 500}).get("drafts", ())
        return [DraftRef(one["id"], Ref(one["message"]["id"], one["message"]["threadId"])) for one in found]

    def conversation(self, thread_id: str) -> list[InThread]:
        try:
            found = self.call("threads.get", {"id": thread_id, "format": "metadata"})
        except Refused:
            return []
        return [
            InThread(
                one["id"],
                frozenset(one.get("labelIds", ())),
                {header["name"].lower(): (header["value"],) for header in one["payload"]["headers"]},
            )
            for one in found["messages"]
        ]

    def _done(self, item_id: str, method: str, body: dict[str, Any] | None = None) -> Unavailable | None:
        try:
            self.call(method, {"id": item_id}, body)
        except Refused as refusal:
            return Unavailable(item_id, refusal.what, gone=refusal.status == 404)
        return None
