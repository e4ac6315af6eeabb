"""What a mail shows of being a bounce: single observations about its header and its own words.

None of them decides alone; `parsers/not_bounces.py` weighs them.
"""

from __future__ import annotations

import re
from functools import lru_cache

from parsers.mime import Mail, Part, address
from parsers.text import lower_case
from parsers.words import (
    BOUNCE_SUBJECTS,
    BOUNCE_WORDS,
    DAEMON_NAMES,
    DAEMONS,
    FAILURE_SENTENCES,
    FORWARDED,
    INTRODUCED,
    says,
    split_original,
)

MAX_FAILURE_WORDS = 6000
"""Characters of the text in which words of failure are looked for."""
REPORT_TYPES = ("message/delivery-status", "message/global-delivery-status")

_DAEMON = re.compile(DAEMONS, re.IGNORECASE)
_POSTMASTER = re.compile(r"(?:mailer-?daemon|post-?master|mdaemon)@", re.IGNORECASE)
_REFUSAL = re.compile(r"(?<![\w.-])(?:[45]\.\d\.\d{1,3}(?![.\d])|[45]\d\d[ -]{1,3}(?:#?[45]\.\d|[^\W\d_]{2}))")
_FORWARDED = re.compile(rf"^(?:{FORWARDED})[ \t]*$", re.MULTILINE | re.IGNORECASE)
_INTRODUCED = re.compile(INTRODUCED, re.MULTILINE | re.IGNORECASE)
_QUOTED_LINE = re.compile(r"^[ \t]*>(?!>>)[^\n]*$", re.MULTILINE)
_BULK = ("bulk", "list", "junk")


# Asked of the same subject more than once.
@lru_cache(maxsize=8)
def speaks_of_failure(subject: str) -> bool:
    """Whether a subject is one of a bounce."""
    lower = lower_case(subject)
    for root, pattern in BOUNCE_SUBJECTS:  # noqa: SIM110 (see `says`: asked of every mail of a mailbox)
        if root in lower and re.search(pattern, lower) is not None:
            return True
    return False


def is_daemon(sender: str | None) -> bool:
    """Whether a From value names a mail system: an address like mailer-daemon@, or none and a name like it."""
    if not sender:
        return False
    found = address(sender)
    if found is not None:
        return _DAEMON.match(found) is not None
    bare = sender.strip(" <>\"'")
    return not bare or _DAEMON.match(bare + "@") is not None or says(sender.lower(), DAEMON_NAMES)


def is_daemon_address(found: str) -> bool:
    """Whether an address is one that only mail systems use."""
    return _DAEMON.match(found) is not None


def has_null_sender(mail: Mail) -> bool:
    """Whether the envelope had no return address, as RFC 5321 4.5.5 wants it for every notification."""
    value = mail.headers.raw("return-path")
    return value is not None and (
        value in ("<>", "", "< >") or value.lower().startswith(("<mailer-daemon", "mailer-daemon"))
    )


def return_address(mail: Mail) -> str | None:
    """Where an answer would go; None for none, and for a mail system's own, which only looks like one."""
    returned = address(mail.headers.raw("return-path"))
    # Not DAEMONS: who sends to many lets bounces come back to an address called so, for every mail.
    return returned if returned is not None and _POSTMASTER.match(returned) is None else None


def list_marks(mail: Mail) -> list[str]:
    """The headers by which a mail calls itself one to many; a Precedence only where no other one says so."""
    marks = [name.title() for name in ("list-id", "list-unsubscribe") if name in mail.headers]
    is_bulk = (mail.headers.raw("precedence") or "").strip().lower() in _BULK
    return marks or (["Precedence"] if is_bulk else [])


def attaches_mail(mail: Mail) -> bool:
    """Whether a part of a mail is another mail, or the header of one."""
    return any(part.media_type in ("message/rfc822", "text/rfc822-headers") for part in mail.parts)


def gives_mail_back(mail: Mail) -> bool:
    """Whether a mail holds another one, or the header of one, in a part or in its words."""
    if attaches_mail(mail):
        return True
    part = first_text_part(mail)
    return part is not None and split_original(part.text())[1] is not None


def shows_refusal(mail: Mail) -> bool:
    """Whether the first text of a mail quotes a reply or a status code of a server."""
    part = first_text_part(mail)
    return part is not None and _REFUSAL.search(part.text()[:MAX_FAILURE_WORDS]) is not None


def first_text_part(mail: Mail) -> Part | None:
    """The first part with words in it."""
    return next((part for part in mail.parts if part.media_type.startswith("text/") and part.size), None)


def _plain_part(mail: Mail) -> Part | None:
    """The first part with plain words in it; what calls itself several parts and is none is read as one."""
    return next((p for p in mail.parts if p.media_type.startswith(("text/plain", "multipart/")) and p.size), None)


def _page(mail: Mail) -> Part | None:
    return next((p for p in mail.parts if p.media_type == "text/html" and p.size), None)


def own_words(mail: Mail) -> str:
    """What the sender of a mail wrote: what is returned, forwarded or quoted left out, at most 6000 characters.

    In a session's transcript ">>> " is no quotation mark.
    """
    part = _plain_part(mail) or _page(mail)
    if part is None:
        return ""
    text = split_original(part.text())[0][:MAX_FAILURE_WORDS]
    forwarded = _FORWARDED.search(text)
    if forwarded is not None:
        text = text[: forwarded.start()]
    if not has_null_sender(mail) and not is_daemon(mail.headers.raw("from")):
        introduced = _INTRODUCED.search(text)
        if introduced is not None:
            text = text[: introduced.end()]
    return _QUOTED_LINE.sub("", text) if ">" in text else text


def quotes_refusal(words: str) -> bool:
    """Whether words quote a reply or a status code of a server."""
    return _REFUSAL.search(words) is not None


def tells_failure(lower_words: str) -> bool:
    """Whether lower-case words hold a sentence of a delivery that failed."""
    return says(lower_words, FAILURE_SENTENCES)


def words_of_failure(mail: Mail) -> str | None:
    """The first sentence of failure in the mail's own words, a returned or quoted mail left out."""
    part = _plain_part(mail)
    if part is not None:
        opening = part.text()[:MAX_FAILURE_WORDS].lower()
    else:
        part = _page(mail)
        if part is None:
            return None
        # Reducing a page to its words is slow, and most pages are newsletters: a look at the raw page comes first.
        opening = part.body(32 * 1024).decode("utf-8", "replace").replace("\n", " ").lower()
    if failure_words_in(opening) is None:
        return None
    return failure_words_in(split_original(part.text())[0][:MAX_FAILURE_WORDS].lower())


def failure_words_in(lower: str) -> str | None:
    """The first of BOUNCE_WORDS, in their order, that a text holds."""
    for root, group in BOUNCE_WORDS:
        if root in lower and (words := next((words for words in group if words in lower), None)) is not None:
            return words
    return None


def looks_like_bounce(mail: Mail) -> str | None:
    """The observation that makes a mail without a report part look like a bounce, in plain words; None without any."""
    headers = mail.headers
    if "x-failed-recipients" in headers:
        return "it names failed recipients (X-Failed-Recipients)"
    if any(part.media_type in REPORT_TYPES for part in mail.parts):
        return "it holds a report for machines"
    if is_daemon(headers.raw("from")):
        return "it comes from a mail system (From)"
    if has_null_sender(mail):
        return "it has no return address (Return-Path: <>)"
    if speaks_of_failure(mail.subject or ""):
        return "its subject speaks of a failed delivery"
    if "x-ms-exchange-message-is-ndr" in headers:
        return "Exchange marks it as a non-delivery report"
    words = words_of_failure(mail)
    return f"it says “{words}”" if words is not None else None
