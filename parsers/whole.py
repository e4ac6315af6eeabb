"""One mail as a whole: which reader understands it, and what all bounces have in common.

Imported only when there is a mail to read: the readers below are a tenth of a second of regular expressions.
"""

from __future__ import annotations

from collections.abc import Callable

from parsers.facts import MOST_RECIPIENTS, Bounce, Failure, NotABounce, Reading
from parsers.genuine import authenticity, second_hand
from parsers.mime import Mail, message_ids, moment, open_mail
from parsers.not_bounces import nothing_found, plainly_no_bounce, why_no_bounce
from parsers.readers import (
    read_delivery_status,
    read_exchange,
    read_feedback,
    read_gmail_notice,
    read_prose,
    read_ses_mail,
)
from parsers.returned import describe, returned_headers
from parsers.signs import looks_like_bounce
from parsers.text import domain_part
from parsers.words import is_by_relay, is_unnamed

Reader = Callable[[Mail], Reading | None]

# Formats that say of themselves what they are, the most reliable first.
FORMAL: tuple[Reader, ...] = (read_ses_mail, read_feedback, read_gmail_notice, read_delivery_status)
# Formats that are only words; read where the mail looks like a bounce and nothing says that it is something else.
BY_WORDS: tuple[Reader, ...] = (read_exchange, read_prose)

MAX_ATTACHED_DEPTH = 2
"""Bounces that arrive as an attachment of another mail are opened this deep."""
MAX_ATTACHED = 4
"""Attached mails of a mail that are opened to look for a bounce; one of each of those. All may be full of text."""


def read_bounce(data: bytes, relay_hosts: frozenset[str], depth: int = 0) -> Bounce | NotABounce:
    """What `parsers.parse` promises; `depth` counts the mails this one was attached to."""
    mail = open_mail(data)
    plain = plainly_no_bounce(mail)
    if plain is not None:
        return plain
    for read in FORMAL:
        reading = read(mail)
        if reading is not None:
            return as_bounce(mail, reading, relay_hosts)
    other = why_no_bounce(mail)
    if other is not None and other.kind == "auto-reply":
        return other
    if looks_like_bounce(mail) is not None and other is None:
        for read in BY_WORDS:
            reading = read(mail)
            if reading is not None:
                return as_bounce(mail, reading, relay_hosts)
    attached = _attached_bounce(mail, relay_hosts, depth)
    if attached is not None:
        return attached
    return other or nothing_found(mail)


def as_bounce(mail: Mail, reading: Reading, relay_hosts: frozenset[str]) -> Bounce:
    """What a reader made of a mail, with what all bounces have in common."""
    headers = mail.headers
    original = reading.original
    if original is None:
        original = describe(returned_headers(mail), mail)
    failures = reading.failures[:MOST_RECIPIENTS]
    if reading.reported_by == "gmail":
        if relay_hosts:
            failures = tuple(
                f._replace(at_relay=True) if f.at_relay is None and f.remote_host in relay_hosts else f
                for f in failures
            )
        if any(f.at_relay for f in failures):
            original = original._replace(path="gmail-alias")
        elif original.path is None:
            original = original._replace(path="gmail")
    else:
        host = domain_part(mail.sender)
        by = reading.reported_by
        failures = tuple(f._replace(at_relay=is_by_relay(f, by, host, original)) for f in failures)
        failures = tuple(f._replace(is_unnamed=is_unnamed(f, by, host, original)) for f in failures)
    failures = _once_each(failures)
    references = [
        *reading.references,
        *message_ids(headers.raw("in-reply-to")),
        *message_ids(headers.raw("references")),
    ]
    return Bounce(
        reader=reading.reader,
        reported_by=reading.reported_by,
        failures=failures,
        original=original,
        genuine=authenticity(headers, reading.reader),
        notice=reading.notice,
        message_id=_first(message_ids(headers.raw("message-id"))),
        reported_at=moment(headers.raw("date")),
        sender=mail.sender,
        subject=mail.subject,
        references=tuple(dict.fromkeys(references)),
        left_out=len(reading.failures) - len(failures),
    )


def _once_each(failures: tuple[Failure, ...]) -> tuple[Failure, ...]:
    """One failure for each recipient: of those about the same address the one that says most, in the first one's place.

    A failure outweighs a delay, a delay an arrival; then a reply with a code outweighs one without.
    """
    best: dict[object, Failure] = {}
    for number, failure in enumerate(failures):
        key = failure.recipient.lower() if failure.recipient else number
        known = best.get(key)
        if known is None or _weight(failure) > _weight(known):
            best[key] = failure
    return failures if len(best) == len(failures) else tuple(best.values())


def _weight(failure: Failure) -> tuple[int, bool, bool]:
    kinds = ("delivered", "delayed", "failed", "feedback")
    return kinds.index(failure.kind), failure.reply_code is not None, failure.diagnostic is not None


def _attached_bounce(mail: Mail, relay_hosts: frozenset[str], depth: int) -> Bounce | None:
    """A bounce somebody forwards as an attachment: read for what it says, but nobody vouches for it any more."""
    if depth >= MAX_ATTACHED_DEPTH:
        return None
    attached = [part for part in mail.parts if part.media_type == "message/rfc822"]
    for part in attached[: 1 if depth else MAX_ATTACHED]:
        inner = read_bounce(part.body(), relay_hosts, depth + 1)
        if isinstance(inner, Bounce):
            return inner._replace(genuine=second_hand(mail.headers, inner.genuine), is_direct=False)
    return None


def _first(items: list[str]) -> str | None:
    return items[0] if items else None
