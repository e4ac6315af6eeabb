"""Text that strangers wrote, made safe to keep and to show: one line of it, and nothing in it that does not print.

Pure, and shared by all three packages. Caps come before regular expressions and are the caller's: each knows how much
of a text it needs.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache


def one_line(text: str) -> str:
    """One line as it is kept in the facts: white space folded, control, bidi and zero-width characters out.

    Keeps what merely does not print (soft hyphens, private-use characters): a reader may need it.
    """
    if text.isprintable():  # then its only white space is the blank, and nothing is to be taken out
        return " ".join(text.split()) if "  " in text else text.strip()
    return " ".join(_control().sub(" ", text).split())


@cache
def _control() -> re.Pattern[str]:
    return re.compile(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
    )


def lower_case(text: str) -> str:
    """The text in lower case, letter for letter, so that a place in it is the same place in the text.

    QUIRK(Unicode): the Turkish capital I with a dot alone becomes two characters, of which no phrase of ours knows.
    """
    return text.replace("\u0130", "i").lower() if "\u0130" in text else text.lower()


def printable(text: str, instead: str = " ") -> str:
    """The text with `instead` for each character that does not print, and a blank for each white space.

    `isprintable` is False for control, format (bidi, zero width), surrogate and private-use characters, and for all
    separators but the blank.
    """
    if text.isprintable():
        return text
    return "".join([char if char.isprintable() else " " if char.isspace() else instead for char in text])


def printable_line(text: str) -> str:
    """`printable`, and white space folded."""
    return " ".join(printable(text).split())


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters, the last three dots where something was cut off."""
    return text if len(text) <= limit else text[: max(limit - 3, 0)] + "..."


def domain_part(address: str | None) -> str | None:
    """What stands behind the @, in lower case and without a dot at its end; None where there is nothing."""
    return address.strip().rpartition("@")[2].lower().rstrip(".") or None if address and "@" in address else None


_TOLD_BY = (
    *(b"from", b"to", b"subject", b"date", b"content-type", b"content-transfer-encoding", b"auto-submitted"),
    *(b"x-failed-recipients", b"received", b"authentication-results"),
)
_MOST_HEADERS = 1 << 18
"""Bytes of the headers in which fields are told apart; what is more is compared as it is."""


def content_digest(raw: bytes) -> str:
    """The same for one delivery of a mail wherever it was read: in Gmail, in an mbox made of it, in a file saved of it.

    An mbox adds headers, ends lines its own way, and marks lines that begin with `From `: what comes after the headers
    is compared without these differences, and of the headers those that say what the mail is and how it came. Whoever
    writes a mail anew can copy all of it but the lines the receiving Gmail puts on top.
    """
    head, _, body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    fields = head[:_MOST_HEADERS].replace(b"\n ", b" ").replace(b"\n\t", b" ").split(b"\n")
    told = [b" ".join(field.split()) for field in fields if field.partition(b":")[0].strip().lower() in _TOLD_BY]
    said = head[_MOST_HEADERS:] + body.replace(b"\n>From ", b"\nFrom ").strip(b"\n")
    return hashlib.sha256(b"\n".join([*told, b"", said])).hexdigest()
