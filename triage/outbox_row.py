"""The row of a draft that leaves another way, as the store gives it back. Data only, like `triage.rows`."""

from __future__ import annotations

from typing import Literal, TypedDict

AskedBy = Literal["label", "word"]
"""How the owner asked: by the label, or by the address among the blind copies."""

EndsAs = Literal["waiting", "refused", "withdrawn"]
"""What becomes of a draft that did not leave."""


class OutboxRow(TypedDict):
    """A draft that is to leave, has left, or was not sent: one try of one version of it."""

    id: int
    draft_id: str
    gmail_id: str
    thread_id: str
    asked_by: AskedBy
    state: Literal["waiting", "taken", "sending", "sent", "returning", "done", "refused", "withdrawn"]
    seen_at: str
    sha256: str | None
    message_id: str | None
    sender: str | None
    recipients: list[str]
    bcc: str | None
    raw: bytes | None
    is_trashed: int
    mark: str | None
    relay: str | None
    relay_id: str | None
    seen_id: str | None
    ends_as: EndsAs | None
    kind: str | None
    why: str | None
    started_at: str | None
    done_at: str | None
