"""The weekly report as a mail, and into the inbox with it: inserted, never sent, once a week however often it is asked.

The mail is made by pure functions; `deliver` is the only one that speaks to Gmail and the database.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING

from triage.display import counted, when_words
from triage.gmail import Gmail
from triage.insert_once import Inserted, NotYet, insert_once
from triage.note import NOTE_DOMAIN, NOTE_HEADER
from triage.report_html import report_html
from triage.report_model import Report
from triage.report_text import report_text

if TYPE_CHECKING:
    from sqlite_utils import Database

SENDER = f"report@{NOTE_DOMAIN}"
LABELS = ("INBOX", "UNREAD")
TEXT_WIDTH = 76
"""Columns of the plain text: mail programs show longer lines badly (RFC 5322 2.1.1)."""


def deliver(gmail: Gmail, db: Database, report: Report) -> Inserted | NotYet:
    """Put the report into the inbox unless this week's is there already; the week is that of the end of the period.

    Raises TryLater, CredentialsDead or `Refused` where Gmail did not take it.
    """
    address = gmail.profile_address()
    until = datetime.fromisoformat(report.until)
    message_id = report_message_id(address, until)
    return insert_once(
        gmail,
        db,
        f"report {week(until)} {address}",
        message_id,
        lambda: compose(report, address, message_id),
        label_ids=LABELS,
        now=until,
    )


def week(at: datetime) -> str:
    """The week of a moment, in UTC, as ISO 8601 counts them: `2026-W48`."""
    year, number, _ = at.astimezone(UTC).isocalendar()
    return f"{year}-W{number:02d}"


def report_message_id(address: str, at: datetime) -> str:
    """The Message-ID of a week's report, the same on every computer: it finds what a lost database has forgotten."""
    digest = hashlib.sha256(f"report {week(at)} {address.lower()}".encode()).hexdigest()[:32]
    return f"triage.{digest}@{NOTE_DOMAIN}"


def compose(report: Report, address: str, message_id: str) -> bytes:
    """The report as a mail to the owner of the mailbox: plain text, and HTML for those who see it (RFC 2046 5.1.4)."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = f"Bounce report <{SENDER}>"
    mail["To"] = address
    mail["Subject"] = subject(report)
    mail["Date"] = format_datetime(datetime.fromisoformat(report.until))
    mail["Message-ID"] = f"<{message_id}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday notice answers it
    mail[NOTE_HEADER] = "report"
    mail.set_content(report_text(report, TEXT_WIDTH), cte="quoted-printable")
    mail.add_alternative(report_html(report), subtype="html", cte="quoted-printable")
    return mail.as_bytes()


def subject(report: Report) -> str:
    """What an inbox shows: the answer first, then the day."""
    people = counted(len(report.missed), "person", "people")
    day = when_words(report.until).rsplit(" ", 3)[0]
    if report.own:
        what = f"{counted(len(report.own), 'thing')} to repair on your side, {people} not reached"
    elif report.missed:
        what = f"nothing to repair on your side, {people} not reached"
    else:
        what = "all quiet"
    return f"Bounce report, {day}: {what}"
