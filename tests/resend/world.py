"""Bounced mails in the Gmail double, and the SES double to send them through once more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from remediation.aws import Allowance
from tests.doubles.gmail import GmailDouble
from tests.doubles.ses import ENV, SesDouble
from tests.worlds.made_mails import NOW, OWNER, opened
from tests.worlds.made_verdicts import proven
from triage import store
from triage.gmail.client import Gmail
from triage.model import StoredMail
from triage.resend import again as resend
from triage.resend.items import Item, plan_items

ROOT = Path(__file__).parents[2]
REGION = "us-east-1"
DAY = timedelta(days=1)


@dataclass
class World:
    """A mailbox, SES, and a database in which some mails of ours did not arrive."""

    folder: Path
    double: GmailDouble
    gmail: Gmail
    ses: SesDouble
    db: Any

    def write(
        self, subject: str, *people: str, days: float = 2, message_id: str | None = None, thread_id: str | None = None,
        more: str = "",
    ) -> str:  # fmt: skip
        """A mail of ours in Sent; returns its Message-ID."""
        message_id = message_id or f"{subject.replace(' ', '.').replace(':', '')}@mail.gmail.com"
        raw = (
            f"From: {OWNER}\r\nTo: {', '.join(people)}\r\nSubject: {subject}\r\nMessage-ID: <{message_id}>\r\n{more}"
            "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nSee you on board.\r\n"
        )
        self.double.seed(raw.encode(), ["SENT"], thread_id=thread_id, received_at=NOW - days * DAY)
        return message_id

    def bounce(self, message_id: str | None, recipient: str, *, days: float = 1, **changes: Any) -> int:
        """A verdict that this mail did not reach this person; returns its id."""
        record = {
            "source": "x",
            "kind": "failed",
            "recipient": recipient,
            "category": "smtp-credentials",
            "cause": "alias-credentials-rejected",
            "side": "own",
            "actor": "mailbox-owner",
            "permanent": True,
            "genuine": "pass",
            "fix": [],
            "links": [],
        } | changes
        original = {
            "gmail_message_id": message_id,
            "from": OWNER,
            "subject": changes.get("subject", "Charter"),
            "sent_at": (NOW - (days + 1) * DAY).isoformat(),
        }
        number = sum(1 for _ in self.db.query("SELECT 1 FROM mails"))
        at = NOW - days * DAY
        bounced = StoredMail(f"gmail:{number}", gmail_id=f"{number:016x}", thread_id="19a0", received_at=at, raw=b"x")
        mail_id = store.store_judged(self.db, bounced, [record | {"original": original}], [], at, proven(record))
        return int(store.verdicts_of(self.db, mail_id)[0]["id"])

    def plan(self, way: Any = "draft", now: datetime = NOW) -> list[Item]:
        return plan_items(self.db, self.gmail, store.hit_by_us(self.db, now - 30 * DAY), now, way=way)

    def put_back(self, now: datetime = NOW) -> list[str]:
        return [
            f"{one.item.recipient}: {one.words}"
            for one in resend.put_back(self.db, self.gmail, self.plan(now=now), lambda: now)
        ]

    def send(self, allowed: Allowance | None = None, naps: list[float] | None = None, now: datetime = NOW) -> list[str]:
        naps = [] if naps is None else naps
        allowed = allowed or Allowance(None, 1000.0)
        outcomes = resend.send(self.db, self.gmail, self.plan("ses", now), REGION, allowed, lambda: now, naps.append)
        return [f"{one.item.recipient}: {one.words}" for one in outcomes]

    def drafts(self) -> list[EmailMessage]:
        mailbox = self.double.account
        return [opened(mailbox.messages[message_id].raw) for message_id in mailbox.drafts.values()]

    def copies(self) -> list[EmailMessage]:
        return [
            opened(one.raw)
            for one in self.double.messages.values()
            if "SENT" in one.labels and b"X-Triage: sent again" in one.raw
        ]


def aws_env(ses: SesDouble) -> dict[str, str]:
    return ENV | {"AWS_ENDPOINT_URL_SESV2": ses.url}


def reasons(world: World, way: Any = "draft") -> list[str | None]:
    return [item.why_not for item in world.plan(way)]
