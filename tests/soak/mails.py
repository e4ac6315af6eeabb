"""Bounces as they come in during these weeks: those of `tests.worlds.made_mails`, with their own dates and people."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime

from tests.worlds import made_mails

_WORDS = b"Diagnostic-Code: smtp; 550 5.1.1 <user> User unknown\r\n"
_SENT_AT = b"Date: Tue, 24 Nov 2026 08:59:00 +0000"
_ARRIVED_AT = b"Tue, 24 Nov 2026 09:00:"


@dataclass
class Arrived:
    """A mail that came in, and what is true of it whatever the program thinks."""

    gmail_id: str
    people: tuple[str, ...]
    """Whom it says a mail did not reach; empty: it is no bounce."""
    is_ours: bool
    """Whether the mail it returns lies in Sent: only then anything is done about it."""
    through_alias: bool
    arrived_at: datetime
    is_gone: bool = False
    """The owner deleted it for good."""
    taken_off: set[str] = field(default_factory=set)
    """Ids of labels the owner took off after they were set."""


def refusal(number: int, people: tuple[str, ...], original_id: str, at: datetime) -> bytes:
    """One bounce about several people."""
    mail = made_mails.refusal(number, recipient=people[0], original_id=original_id)
    blocks = [
        f"\r\nFinal-Recipient: rfc822; {one}\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        "Remote-MTA: dns; mx.client.example\r\n".encode()
        + _WORDS
        for one in people[1:]
    ]
    return _dated(mail.replace(_WORDS, _WORDS + b"".join(blocks)), at)


def delay(number: int, person: str, original_id: str, at: datetime) -> bytes:
    mail = made_mails.delay(number, recipient=person)
    return _dated(mail.replace(b"mail-1@example.org", original_id.encode()), at)


def alias_notice(number: int, original_id: str, at: datetime) -> bytes:
    return _dated(made_mails.alias_notice(number).replace(b"mail-2@example.org", original_id.encode()), at)


def newsletter(number: int, at: datetime) -> bytes:
    return _dated(made_mails.newsletter(number), at)


def sent(original_id: str, people: tuple[str, ...], at: datetime) -> bytes:
    mail = made_mails.sent(original_id, ", ".join(people))
    return mail.replace(b"\r\n\r\n", f"\r\nDate: {format_datetime(at)}\r\n\r\n".encode(), 1)


def _dated(mail: bytes, at: datetime) -> bytes:
    date = format_datetime(at).encode()
    start = mail.find(_ARRIVED_AT)
    mail = mail[:start] + date + mail[start + len(_ARRIVED_AT) + len(b"00 +0000") :]
    return mail.replace(_SENT_AT, b"Date: " + date)
