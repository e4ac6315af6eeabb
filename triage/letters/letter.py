"""What all messages of ours share: their Message-ID, their place in a conversation, their headers, their bytes.

Pure. Puts nothing anywhere (`once`). Subjects, addresses and Message-IDs come from strangers' mails: whatever they are,
they bring no header and no line into a message of ours. The senders lie in a domain that cannot receive (RFC 2606:
`.invalid`), so that Gmail takes none of it for a mail of the account's own and no machine answers it (RFC 3834).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from triage.display import shown

NOTE_DOMAIN = "bounce-triage.invalid"
NOTE_HEADER = "X-Triage"
"""Marks what we wrote, for other programs and for people who look at the source of a mail."""

IN_INBOX = ("INBOX", "UNREAD")
"""The labels of what is to be seen at once."""

MAX_LETTER_LINE = 900
"""Characters of a header value: RFC 5322 2.1.1 allows 998 in a line."""
MAX_REFERENCES = 10

_MESSAGE_ID = re.compile(r"[!-;=?-~]{3,250}")  # RFC 5322 3.6.4, what others make of it included; no angle brackets


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message goes: what makes it one, and what makes Gmail put it into the thread it belongs to."""

    message_id: str
    subject: str
    """That of the thread: Gmail joins it only by the same subject and a reference into it."""
    references: tuple[str, ...] = ()
    """Message-IDs of mails in the thread, the one that is answered last; empty: it begins a thread of its own."""


def letter_id(what: str, domain: str = NOTE_DOMAIN) -> str:
    """The Message-ID of a message of ours, no angle brackets: the same whenever `what` it is is the same.

    It depends on nothing else, so that a message written before a crash, or before a database was lost, is found again.
    For that reason no kind of message may ever say `what` in another way than it did.
    """
    return f"triage.{hashlib.sha256(what.encode()).hexdigest()[:32]}@{domain}"


def note_place(
    key: str, thread_id: str, gmail_id: str, *, subject: str | None, message_id: str | None, references: Sequence[str]
) -> Place | None:
    """The place of the note about a bounce; None where the bounce names no mail of the thread, so no note could join.

    `gmail_id`, `subject`, `message_id` and `references` are the bounce's own.
    """
    ids = [found for found in (*references, message_id) if found and _MESSAGE_ID.fullmatch(found)]
    if not ids:
        return None
    own_id = letter_id(f"{thread_id} {gmail_id} {key}")
    return Place(own_id, shown(subject or "", MAX_LETTER_LINE), tuple(dict.fromkeys(ids))[-MAX_REFERENCES:])


def letter_bytes(
    what: str, sender: str, place: Place, at: datetime, text: str, *, to: str | None = None, html: str | None = None
) -> bytes:
    """A message of ours as a whole mail in ASCII, CRLF line ends; `what` it is stands in its X-Triage header.

    Plain text, and HTML beside it for those who see it (RFC 2046 5.1.4).
    """
    from email.message import EmailMessage
    from email.policy import SMTP
    from email.utils import format_datetime

    body = EmailMessage(policy=SMTP.clone(max_line_length=76))  # RFC 2045 6.7
    body.set_content(_encodable(text), cte="quoted-printable")
    if html is not None:
        body.add_alternative(_encodable(html), subtype="html", cte="quoted-printable")
    ids = [f"<{_plain(one)}>" for one in place.references]
    headers = [
        ("From", _plain(sender)),
        ("To", _plain(to) if to else None),
        ("Subject", _subject(place.subject)),
        ("Date", format_datetime(at)),
        ("Message-ID", f"<{_plain(place.message_id)}>"),
        ("In-Reply-To", ids[-1] if ids else None),
        ("References", "\r\n ".join(ids) if ids else None),
        ("Auto-Submitted", "auto-generated"),  # RFC 3834
        (NOTE_HEADER, _plain(what)),
    ]
    # Not given to EmailMessage: it would decode a subject that looks like RFC 2047, and encode a long Message-ID as if
    # it were words; neither would join its thread.
    head = "".join(f"{name}: {value}\r\n" for name, value in headers if value is not None)
    return head.encode("ascii") + body.as_bytes()


def _plain(text: str) -> str:
    return shown(text, MAX_LETTER_LINE).encode("ascii", "replace").decode()


def _subject(text: str) -> str:
    """A subject as ASCII (RFC 2047 where it is not), folded; the decoded value is the text, letter by letter."""
    from email.header import Header

    text = _encodable(shown(text, MAX_LETTER_LINE))
    if text.isascii() and "=?" not in text:
        return text
    return Header(text, "utf-8", maxlinelen=75, header_name="Subject").encode(linesep="\r\n")


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
