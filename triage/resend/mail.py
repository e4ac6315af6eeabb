"""A mail out of Sent made ready to go once more: its header fields changed where they must be, its body byte for byte.

Pure. Works on the bytes, because a mail that is parsed and written again is another mail: attachments, signatures and
encodings stay exactly what they were. Sends nothing and knows neither Gmail nor SES.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime, getaddresses, parseaddr

from triage.letters import NOTE_HEADER, letter_id

MAX_RESENT_REFERENCES = 20
"""RFC 5322 sets no limit; longer lists make header lines nobody wants (RFC 5537 3.4.4 trims the middle)."""

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:")
_ID = re.compile(r"<[^<>\s]{1,250}>")
# Stamps of the way the mail took, and what is given anew. A Bcc field would tell the others.
_DROPPED = re.compile(
    r"(return-path|received|delivered-to|message-id|date|bcc|in-reply-to|references|dkim-signature|x-received"
    r"|authentication-results|arc-[a-z-]+|x-gm-[a-z-]+|x-google-[a-z-]+|x-gmail-original-message-id|x-ses-[a-z-]+"
    r"|resent-[a-z-]+|feedback-id|x-triage)$"
)


@dataclass(frozen=True, slots=True)
class SentMail:
    """A mail as it lies in Sent: its header fields in order, and the bytes behind them."""

    fields: tuple[tuple[str, bytes], ...]
    """Lower-case name -> the whole field as it stands, folded, with its line ends."""
    body: bytes
    """From the empty line on."""

    def value(self, name: str) -> str | None:
        """The first field of that name, unfolded; None where there is none or it is empty."""
        return next((text for field, raw in self.fields if field == name and (text := field_text(raw))), None)

    @property
    def message_id(self) -> str | None:
        """Without angle brackets."""
        found = _ID.search(self.value("message-id") or "")
        return found[0][1:-1] if found else None

    @property
    def sender(self) -> str | None:
        """The address it is from."""
        address = parseaddr(self.value("from") or "")[1]
        return address if "@" in address else None

    def went_to(self, address: str) -> bool:
        """Whether it was written to this address: only such a one gets it again, whatever a bounce says."""
        hidden = getaddresses([self.value("bcc") or ""])
        return address.lower() in self.people | {found.lower() for _, found in hidden}

    @property
    def people(self) -> frozenset[str]:
        """Everybody it was addressed to openly, in lower case."""
        named = [self.value(name) or "" for name in ("to", "cc")]
        return frozenset(address.lower() for _, address in getaddresses(named) if "@" in address)


def read_sent(raw: bytes) -> SentMail:
    """Open the bytes of a mail; whatever they are, nothing of them is lost."""
    fields: list[tuple[str, bytes]] = []
    at = 0
    while at < len(raw):
        end = raw.find(b"\n", at) + 1 or len(raw)
        line = raw[at:end]
        if not line.strip(b"\r\n"):
            break
        if line[:1] in b" \t" and fields:
            name, before = fields[-1]
            fields[-1] = (name, before + line)
        elif found := _FIELD.match(line):
            fields.append((found[1].decode("ascii").lower(), line))
        else:
            break  # no header: the body begins without an empty line
        at = end
    return SentMail(tuple(fields), raw[at:])


def as_draft(mail: SentMail, recipients: Collection[str], message_id: str) -> bytes:
    """The mail as a draft to those of its recipients whom it did not reach; `message_id` becomes its Message-ID.

    Who is meant but named nowhere in the mail (it was a blind copy) becomes one again.
    """
    wanted = {address.lower() for address in recipients}
    fields = []
    for name, raw in mail.fields:
        if name in ("to", "cc"):
            kept = [(who, address) for who, address in getaddresses([field_text(raw)]) if address.lower() in wanted]
            if kept:
                fields.append(new_field(name.capitalize(), ", ".join(map(_address, kept))))
        elif not _DROPPED.match(name):
            fields.append(raw)
    hidden = sorted(wanted - mail.people)
    if hidden:
        fields.append(new_field("Bcc", ", ".join(hidden)))
    return joined(mail, [*fields, *_threading(mail, message_id)])


def to_send(mail: SentMail, message_id: str, at: datetime) -> bytes:
    """The mail as it goes out once more, addressed as it was; who gets it is for the envelope to say."""
    fields = [raw for name, raw in mail.fields if not _DROPPED.match(name)]
    date = new_field("Date", format_datetime(at))
    return joined(mail, [*fields, date, new_field(NOTE_HEADER, "sent again"), *_threading(mail, message_id)])


def resend_id(original_id: str, recipient: str, way: str, domain: str) -> str:
    """The Message-ID for giving a mail to a person once more, the same each time it is asked for."""
    return letter_id(f"{way} {original_id} {recipient.lower()}", domain)


def _threading(mail: SentMail, message_id: str) -> Iterable[bytes]:
    """What keeps the mail in its conversation, at the recipient's by the ids they know, in Gmail by the mail's own."""
    own = f"<{mail.message_id}>" if mail.message_id else None
    known = _ID.findall(mail.value("references") or "") or _ID.findall(mail.value("in-reply-to") or "")
    ids = [one for one in dict.fromkeys([*known, own]) if one]
    if len(ids) > MAX_RESENT_REFERENCES:
        ids = [ids[0], *ids[-MAX_RESENT_REFERENCES + 1 :]]
    answered = _ID.findall(mail.value("in-reply-to") or "")[:1] or ids[-1:]
    yield new_field("Message-ID", f"<{message_id}>")
    if answered:
        yield new_field("In-Reply-To", answered[0])
    if ids:
        yield new_field("References", "\n ".join(ids))


def joined(mail: SentMail, fields: Iterable[bytes]) -> bytes:
    """The mail with these fields, all with the line ends the wire wants (RFC 5322 2.1)."""
    head = b"".join(line + b"\r\n" for field in fields for line in field.splitlines())
    body = mail.body
    if not body.startswith((b"\r\n", b"\n")):
        head += b"\r\n"
    return head + body


def new_field(name: str, value: str) -> bytes:
    """A header field of ours, in ASCII."""
    return f"{name}: {value}\n".encode("ascii", "replace")


def _address(pair: tuple[str, str]) -> str:
    """An address as it stood; an encoded word (RFC 2047) must not come into quotes."""
    name, address = pair
    if not name:
        return address
    if re.fullmatch(r"(?:=\?[^?\s]+\?[BbQq]\?[^?\s]*\?=\s*)+", name):
        return f"{name} <{address}>"
    quoted = re.sub(r'(["\\])', r"\\\1", name)
    return f'"{quoted}" <{address}>'


def field_text(raw: bytes) -> str:
    """The value of a header field, unfolded."""
    value = raw.partition(b":")[2].decode("utf-8", "replace")
    return " ".join(value.split())
