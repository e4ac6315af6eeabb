"""The last step of the demo: a labelled draft leaves through SES, lies under Sent, and its bounce is judged."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from email import message_from_bytes
from email.utils import format_datetime
from pathlib import Path

from tests.doubles.aws import AwsDouble
from tests.doubles.gmail import GmailDouble

LABEL = "Send via SES"
OWNER, DOMAIN, REGION = "admin@queenofsandiego.com", "queenofsandiego.com", "us-east-1"
PERSON = "ines@meridian-travel.example"
_DRAFT = f"""MIME-Version: 1.0
From: Jada <jadasailing@gmail.com>
To: Ines <{PERSON}>
Subject: Charter on 5 December
Message-ID: <draft-1@mail.gmail.com>
Content-Type: text/plain; charset=utf-8

The 5th is yours. Jada
"""
_BOUNCE = """Return-Path: <>
Authentication-Results: mx.google.com; dkim=pass header.i=@amazonses.com; spf=pass
From: MAILER-DAEMON@amazonses.com
To: {owner}
Subject: Delivery Status Notification (Failure)
Date: {date}
Message-ID: <bounce-{id}>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain; charset=us-ascii

An error occurred while trying to deliver the mail to the following recipients:
{person}
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; a8-50.smtp-out.amazonses.com

Action: failed
Final-Recipient: rfc822; {person}
Diagnostic-Code: smtp; 550 5.1.1 <{person}>: Recipient address rejected: User unknown
Status: 5.1.1

--b
Content-Type: message/rfc822

{original}
--b--
"""


def outbox_lines(gmail: GmailDouble, aws: AwsDouble, folder: Path, triage: Callable[..., str]) -> Iterator[str]:
    """What is to be seen, line by line, while it happens. `triage` runs the command and returns what it said."""
    aws.ses.add_identity(DOMAIN, REGION)
    with (folder / "triage.toml").open("a", encoding="utf-8") as config:
        config.write(f'outbox = true\noutbox_from = ["{OWNER}"]\nsmtp_region = "{REGION}"\n')
    account = gmail.account
    draft = account.add(_DRAFT.replace("\n", "\r\n").encode(), ["DRAFT"])
    account.drafts["r1"] = draft.id
    triage("outbox")  # it makes the label, so that the owner finds it
    label = account.label_named(LABEL)
    assert label is not None
    account.change_labels(draft, [label["id"]], ())
    triage("outbox")
    with closing(sqlite3.connect(folder / "triage.db")) as db, db:
        db.execute("UPDATE outbox SET seen_at = '2026-01-01T00:00:00Z'")  # the minute to undo it in passes at once
    yield triage("outbox").strip()
    drafts = [one for one in account.drafts.values() if "TRASH" not in gmail.messages[one].labels]
    (copy,) = [one for one in gmail.messages.values() if "SENT" in one.labels and PERSON.encode() in one.raw]
    mail = message_from_bytes(copy.raw)
    yield f"Drafts: {len(drafts)}. Sent: {mail['Subject']}, from {mail['From']}, to {mail['To']}"
    gmail.seed(_bounce(copy.raw))
    triage("run")
    with closing(sqlite3.connect(folder / "triage.db")) as db:
        (row,) = db.execute("SELECT recipient, category, cause FROM verdicts WHERE recipient = ?", (PERSON,))
    yield f"Its bounce: {', '.join(row)}"


def _bounce(original: bytes) -> bytes:
    mail = message_from_bytes(original)
    text = _BOUNCE.format(
        owner=OWNER,
        person=PERSON,
        date=format_datetime(datetime.now(UTC)),
        id=mail["Message-ID"].strip("<>"),
        original=original.decode().replace("\r\n", "\n"),
    )
    return text.replace("\n", "\r\n").encode()
