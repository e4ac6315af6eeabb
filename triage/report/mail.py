"""The weekly report as a mail, and into the inbox with it: inserted, never sent, once a week however often it is asked.

The mail is made by pure functions; `deliver_report` is the only one that speaks to Gmail and the database.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from parsers.times import MONTHS, WEEKDAYS
from triage import store
from triage.display import counted, local_time
from triage.errors import TryLater
from triage.gmail import Gmail, Refused
from triage.letters import IN_INBOX, NOTE_DOMAIN, Inserted, NotYet, Place, insert_once, letter_bytes, letter_id
from triage.report import state
from triage.report.html import report_html
from triage.report.model import Report
from triage.report.text import report_text

if TYPE_CHECKING:
    from sqlite_utils import Database

REPORT_SENDER = f"Bounce report <report@{NOTE_DOMAIN}>"
TEXT_WIDTH = 76
"""Columns of the plain text: mail programs show longer lines badly (RFC 5322 2.1.1)."""


def deliver_report(gmail: Gmail, db: Database, report: Report) -> Inserted | NotYet:
    """Put the report into the inbox unless this week's is there already; the week is that of the end of the period.

    Raises TryLater or CredentialsDead where Gmail did not take it; a refusal is for later, too: it is due until done.
    """
    try:
        return _delivered(gmail, db, report)
    except Refused as refusal:
        raise TryLater(
            f"Gmail did not take the report: {refusal.text} (HTTP {refusal.status})",
            "Ask again in a quarter of an hour. If it lasts, report it with the line above.",
        ) from None


def _delivered(gmail: Gmail, db: Database, report: Report) -> Inserted | NotYet:
    address = gmail.profile_address()
    until = datetime.fromisoformat(report.until)
    message_id = report_message_id(address, until)
    return insert_once(
        gmail,
        db,
        f"report {week(until)} {address}",
        message_id,
        lambda: compose(report, address, message_id),
        label_ids=IN_INBOX,
        now=until,
    )


def is_in_inbox(db: Database, at: datetime) -> bool:
    """Whether the report of this week is in the inbox, as far as is on record; asks nobody."""
    return store.has_inserted(db, f"report {week(at)} ")


def week(at: datetime) -> str:
    """The week of a moment, in the zone times are told in, as ISO 8601 counts them: `2026-W48`."""
    year, number, _ = local_time(at).isocalendar()
    return f"{year}-W{number:02d}"


def report_message_id(address: str, at: datetime) -> str:
    """The Message-ID of a week's report, the same on every computer: it finds what a lost database has forgotten."""
    return letter_id(f"report {week(at)} {address.lower()}")


def compose(report: Report, address: str, message_id: str) -> bytes:
    """The report as a mail to the owner of the mailbox: plain text, and HTML for those who see it."""
    place, at = Place(message_id, subject(report)), datetime.fromisoformat(report.until)
    text = report_text(report, TEXT_WIDTH)
    return letter_bytes("report", REPORT_SENDER, place, at, text, to=address, html=report_html(report))


def subject(report: Report) -> str:
    """What an inbox shows: the answer first, as things stand now, then the day."""
    people = counted(len(report.missed), "person", "people")
    at = local_time(datetime.fromisoformat(report.until))
    day = f"{WEEKDAYS[at.weekday()]} {at.day} {MONTHS[at.month - 1]}"
    broken = sum(one.over_at is None for one in report.own)
    if state.not_read(report):
        what = "the mailbox is not being read"
    elif broken:
        what = f"{counted(broken, 'thing')} to repair on your side, {people} not reached"
    elif state.still_open(report):
        what = "something on your side is still open"
    elif report.own:
        what = f"repaired, {people} not reached"
    elif report.missed:
        what = f"nothing to repair on your side, {people} not reached"
    else:
        what = "all quiet"
    return f"Bounce report, {day}: {what}"
