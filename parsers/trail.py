"""The way a mail took, hop by hop with delays, from its Received headers; for `triage explain`.

Uses mail-parser, whose reading of Received headers knows more servers than we do. Slow (it builds the whole mail), so
never on the way to a verdict; `Original.path` answers from a few header marks there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from parsers.mime import moment, open_mail
from parsers.returned import MAX_RETURNED_BYTES
from parsers.text import one_line

MAX_HOPS = 50


@dataclass(frozen=True, slots=True)
class Hop:
    """One server that took the mail over, oldest first."""

    number: int
    from_host: str | None
    by_host: str | None
    protocol: str | None
    """The `with` word: `ESMTPSA` is a login, `SMTP` the API or an inner hop."""
    at: datetime | None
    """Aware, UTC."""
    delay: float | None
    """Seconds since the hop before; None for the first hop and where a time is missing."""


def received_trail(data: bytes) -> list[Hop]:
    """The hops of the returned mail inside a bounce; of the mail itself where it returns none. Empty without any."""
    import logging

    import mailparser

    # What it logs quotes the mail as it stands, terminal escapes included; where nobody set up logging, Python would
    # print it. Its modules log below this name.
    log = logging.getLogger("mailparser")
    log.propagate = False
    if not log.handlers:
        log.addHandler(logging.NullHandler())
    mail = open_mail(data)
    source = _header_bytes(data)
    for part in mail.parts:
        if part.media_type in ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers"):
            source = _header_bytes(part.body(MAX_RETURNED_BYTES))
            break
    try:
        received = mailparser.parse_from_bytes(source).received
    except Exception:  # mail-parser documents no errors; a trail is worth showing, never worth failing for
        return []
    hops: list[Hop] = []
    previous: datetime | None = None
    for number, raw in enumerate(received[:MAX_HOPS], 1):
        at = _when(raw)
        delay = (at - previous).total_seconds() if at is not None and previous is not None else None
        hops.append(Hop(number, _word(raw, "from"), _word(raw, "by"), _word(raw, "with"), at, delay))
        previous = at or previous
    return hops


def _header_bytes(data: bytes) -> bytes:
    normal = data.replace(b"\r\n", b"\n").lstrip(b"\n")
    end = normal.find(b"\n\n")
    return (normal if end < 0 else normal[:end])[:MAX_RETURNED_BYTES] + b"\n\n"


def _word(raw: dict[str, object], key: str) -> str | None:
    value = raw.get(key)
    return one_line(str(value))[:200] or None if value else None


def _when(raw: dict[str, object]) -> datetime | None:
    return moment(one_line(str(raw.get("date") or "")))
