"""A draft as Gmail composed it, made ready to leave another way: four header fields changed, all else byte for byte.

Pure. Works on the bytes. What goes out names no blind copy; who gets it is for the envelope to say.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from email.header import decode_header, make_header
from email.utils import format_datetime, getaddresses, parseaddr

from triage.letters import letter_id
from triage.resend import SentMail, field_text, joined, new_field, read_sent

# Stamps of a way it has not taken, or that the next server sets. A Bcc field would tell the others, and SES refuses a
# Sender it does not know.
_DROPPED = re.compile(
    r"(return-path|received|delivered-to|sender|bcc|resent-[a-z-]+|dkim-signature|x-received|authentication-results"
    r"|arc-[a-z-]+|x-gm-[a-z-]+|x-google-[a-z-]+|x-gmail-[a-z-]+|x-ses-[a-z-]+|feedback-id|x-triage)$"
)
_ONCE = ("from", "to", "cc", "bcc", "subject", "reply-to")
"""RFC 5322 3.6: at most one each. With two, the next server and we might read another one."""
_ADDRESS = re.compile(r"[^\s@<>(),;:\"\\]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253}[A-Za-z0-9])")


@dataclass(frozen=True, slots=True)
class Letter:
    """A draft, opened."""

    mail: SentMail
    sha256: str
    """Of all its bytes."""
    sender: str | None
    """The address it is from, in lower case; None: there is none, or several."""
    recipients: tuple[str, ...]
    """To, Cc and Bcc, each once, in that order."""
    subject: str
    ids: tuple[str, ...]
    """The Message-IDs it answers, the nearest last, without angle brackets."""
    faults: tuple[str, ...]
    """Why it cannot be sent as it stands, in words."""


def read_letter(raw: bytes, *, word_address: str | None = None) -> Letter:
    """Open the bytes of a draft. `word_address` is nobody to write to: it is how the owner asks for sending."""
    mail = read_sent(raw)
    fields = [name for name, _ in mail.fields]
    faults = [f"it has {fields.count(name)} {name.capitalize()} fields" for name in _ONCE if fields.count(name) > 1]
    found: dict[str, str] = {}
    for name in ("to", "cc", "bcc"):
        value = mail.value(name)
        for _, address in getaddresses([value]) if value else ():
            if word_address and name == "bcc" and address.lower() == word_address.lower():
                continue
            if _ADDRESS.fullmatch(address) and address.isascii():
                found.setdefault(address.lower(), address)
            else:
                faults.append(f"{name.capitalize()} holds something that is no address: {address or value}")
    if not found and not faults:
        faults.append("it is written to nobody")
    sender = (mail.sender or "").lower() or None
    return Letter(
        mail=mail,
        sha256=hashlib.sha256(raw).hexdigest(),
        sender=sender,
        recipients=tuple(found.values()),
        subject=_decoded(mail.value("subject") or ""),
        ids=tuple(dict.fromkeys(re.findall(r"<([^<>\s]{3,250})>", _referred(mail)))),
        faults=tuple(faults),
    )


def is_asked_by(raw: bytes, word_address: str) -> bool:
    """Whether the owner wrote the address that asks for sending among the blind copies."""
    value = read_sent(raw).value("bcc")
    return bool(value) and word_address.lower() in (address.lower() for _, address in getaddresses([str(value)]))


def outbox_id(gmail_id: str, sha256: str, sender: str) -> str:
    """The Message-ID a draft leaves with: the same each time this version of it is tried. SES replaces it."""
    return letter_id(f"outbox {gmail_id} {sha256}", sender.rpartition("@")[2])


def to_leave(letter: Letter, sender: str, message_id: str, at: datetime) -> bytes:
    """The mail as it leaves, from `sender`: From, Date and Message-ID changed, Bcc taken out, all else as it was."""
    new = {"date": new_field("Date", format_datetime(at)), "message-id": new_field("Message-ID", f"<{message_id}>")}
    fields = [
        _from(raw, sender) if name == "from" else new.pop(name, b"") if name in ("date", "message-id") else raw
        for name, raw in letter.mail.fields
        if not _DROPPED.match(name)
    ]
    return joined(letter.mail, [*fields, *new.values()])


def blind_copies(letter: Letter, word_address: str | None) -> str | None:
    """The Bcc field's value for the copy in Sent, which shows it to the owner alone; None: there are none."""
    value = letter.mail.value("bcc")
    if not value or not word_address or word_address.lower() not in value.lower():
        return value
    kept = [address for _, address in getaddresses([value]) if address.lower() != word_address.lower()]
    return ", ".join(kept) or None


def as_copy(raw: bytes, message_id: str, bcc: str | None) -> bytes:
    """What left, as it lies in Sent: under the Message-ID its recipients see, so that their answers find it."""
    mail = read_sent(raw)
    fields = [
        new_field("Message-ID", f"<{message_id}>") if name == "message-id" else field for name, field in mail.fields
    ]
    return joined(mail, [*fields, *([new_field("Bcc", bcc)] if bcc else [])])


def _from(raw: bytes, sender: str) -> bytes:
    """The From field with another address and the same name."""
    address = parseaddr(field_text(raw))[1]
    marked = f"<{address}>".encode()
    return raw.replace(marked, f"<{sender}>".encode()) if address and marked in raw else new_field("From", sender)


def _referred(mail: SentMail) -> str:
    return f"{mail.value('references') or ''} {mail.value('in-reply-to') or ''}"


def _decoded(value: str) -> str:
    try:
        return str(make_header(decode_header(value)))
    except (ValueError, LookupError):
        return value
