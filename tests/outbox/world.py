"""A mailbox with drafts, SES to send them through, and the owner who labels, edits, discards and sends by hand."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from tests.doubles.gmail import GmailDouble
from tests.doubles.gmail.account import StoredMessage
from tests.doubles.ses import SesDouble
from tests.worlds.made_mails import NOW, OWNER
from triage import store
from triage.config import Settings
from triage.gmail.client import Gmail
from triage.outbox import Desk, WayOut, poll, would_send
from triage.outbox_row import OutboxRow

REGION = "us-east-1"
LABEL = "Send via SES"
GMAIL = "jadasailing@gmail.com"
MINUTE = timedelta(minutes=1)


@dataclass
class World:
    """A mailbox, SES, and the store between them."""

    folder: Path
    double: GmailDouble
    gmail: Gmail
    ses: SesDouble
    db: Any
    settings: Settings
    relay: WayOut
    at: datetime = NOW
    naps: list[float] = field(default_factory=list)

    # -- the owner ----------------------------------------------------------------------------------------------

    def receive(self, subject: str = "Charter", to: str = OWNER, message_id: str = "asks@client.example") -> str:
        """A mail from a client; returns its thread."""
        raw = (
            f"From: Pat <pat@client.example>\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{message_id}>\r\n"
            "\r\nIs the boat free?\r\n"
        )
        return self.double.messages[self.double.seed(raw.encode())].thread_id

    def write(
        self, subject: str = "Re: Charter", *, to: str = "Pat <pat@client.example>", more: str = "",
        answers: str | None = "asks@client.example", sender: str = f"Jada <{GMAIL}>", raw: bytes | None = None,
    ) -> str:  # fmt: skip
        """A draft; returns its id."""
        refers = f"In-Reply-To: <{answers}>\r\nReferences: <{answers}>\r\n" if answers else ""
        raw = (
            raw
            or (
                f"MIME-Version: 1.0\r\nDate: Tue, 24 Nov 2026 09:00:00 +0000\r\n{refers}"
                f"Message-ID: <draft-{len(self.double.messages)}@mail.gmail.com>\r\nSubject: {subject}\r\n"
                f"From: {sender}\r\nTo: {to}\r\n{more}Content-Type: text/plain; charset=utf-8\r\n\r\nYes, it is.\r\n"
            ).encode()
        )
        account = self.double.account
        message = account.add(raw, ["DRAFT"])
        draft_id = f"r{account.new_id():019d}"
        account.drafts[draft_id] = message.id
        return draft_id

    def draft(self, draft_id: str) -> StoredMessage:
        return self.double.messages[self.double.account.drafts[draft_id]]

    def label(self, message: StoredMessage, name: str = LABEL) -> None:
        label = self.double.account.label_named(name) or self.double.account.add_label(name=name)
        self.double.account.change_labels(message, [label["id"]], ())

    def unlabel(self, message: StoredMessage) -> None:
        if label := self.double.account.label_named(LABEL):
            for one in self.double.account.thread(message.thread_id):
                self.double.account.change_labels(one, (), [label["id"]])

    def edit(self, draft_id: str, more: bytes = b"PS: and sunny.\r\n", *, keeps_label: bool = True) -> None:
        """Gmail saves another version: the message is replaced, the draft keeps its id."""
        account, before = self.double.account, self.draft(draft_id)
        labels = before.labels if keeps_label else ["DRAFT"]
        labels = [label for label in labels if label != "TRASH"]
        del account.messages[before.id]
        after = account.add(before.raw + more, labels, thread_id=before.thread_id)
        account.drafts[draft_id] = after.id

    def discard(self, draft_id: str) -> None:
        self.double.account.delete(self.draft(draft_id))

    def send_by_hand(self, draft_id: str) -> None:
        """Gmail's own Send: the draft goes, a new message lies in Sent."""
        account, before = self.double.account, self.draft(draft_id)
        account.delete(before)
        account.add(before.raw, ["SENT"], thread_id=before.thread_id)

    # -- the program --------------------------------------------------------------------------------------------

    def desk(self, **changes: Any) -> Desk:
        return Desk(
            replace(self.settings, **changes), self.db, self.gmail, self.relay, lambda: self.at, self.naps.append
        )

    def look(self, minutes: float = 2, **changes: Any) -> list[str]:
        """Let time pass and look once, with a Gmail that remembers nothing."""
        self.at += minutes * MINUTE
        self.gmail._known_labels = None
        return [outcome.words for outcome in poll(self.desk(**changes))]

    def would(self) -> list[str]:
        self.gmail._known_labels = None
        return [outcome.words for outcome in would_send(self.desk())]

    # -- what is to be seen -------------------------------------------------------------------------------------

    def sent_copies(self) -> list[StoredMessage]:
        return [one for one in self.double.messages.values() if "SENT" in one.labels]

    def notes(self) -> list[EmailMessage]:
        return [opened(one.raw) for one in self.double.messages.values() if b"X-Triage: outbox" in one.raw]

    def rows(self) -> list[OutboxRow]:
        return [row for number in range(1, 100) if (row := store.read_outbox(self.db, number))]

    def marks(self) -> set[str]:
        return {name for name in self.double.label_names() if "/sending" in name}


def opened(raw: bytes) -> EmailMessage:
    found = message_from_bytes(raw, policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found


def a_setting(folder: Path, **changes: Any) -> Settings:
    return Settings(
        database=folder / "triage.db", credentials=folder / "credentials.json", token=folder / "token.json",
        outbox=True, outbox_from=(OWNER,), smtp_region=REGION, **changes,
    )  # fmt: skip


def env_of(double: GmailDouble, aws: dict[str, str]) -> dict[str, str]:
    return os.environ | aws | {"TRIAGE_GMAIL_URL": double.url}
