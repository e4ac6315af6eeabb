"""Reads bounces that are only words: qmail, Exim, sendmail, web mailers, phone carriers, and whoever else writes one.

The formats are a table (prose_tables.py) that names the writer; the reading itself goes by shape and is the same for
all, because most of the senders of tomorrow are in no table. Expects a mail that looks like a bounce (not_bounces.py).
"""

from __future__ import annotations

import re

from parsers.facts import Failure, FailureKind, Reading
from parsers.mime import Mail, address, decode_words
from parsers.platform import reporter_of, writer_of
from parsers.readers.delivery_status import read_fields, with_words
from parsers.returned import returned_headers
from parsers.signs import MAX_FAILURE_WORDS, REPORT_TYPES, failure_words_in, speaks_of_failure
from parsers.smtp_reply import read_reply
from parsers.text import lower_case
from parsers.words import (
    ADDRESS,
    BY_SENDER,
    DELAY_TITLES,
    DELAY_WORDS,
    DELAY_WORDS_ABROAD,
    DELIVERED_TITLES,
    DELIVERED_WORDS,
    FINAL_WORDS,
    WENT_WRONG,
    Told,
    find_addresses,
    host_in,
    recipient_reason,
    says,
    split_original,
    tells_of_login,
    told_failures,
)

__all__ = ["read_prose", "recipient_reason"]

MAX_OWN_WORDS = 32 * 1024
"""Characters of a bounce's own words that are read."""
MAX_FAILURES = 500


# What qmail and Yahoo write behind the reply of the server.
_AFTERWORDS = re.compile(r"(?:\.? )?Giving up on [\w.:]+$|\[(?:RCPT_TO|MAIL_FROM|DATA|EHLO|CONNECT)\]$")


_REFUSED = re.compile(r"(?<![\w.-])[45](?:\.\d\.\d{1,3}(?![.\d])|\d\d[ -]#?[45]\.\d)")
# Strong Mail and its kin: `Permanent Failure: 550_5.1.1_<pat@client.example>..._User_unknown`
_UNDERSCORED = re.compile(r"(?:^|[:;] ?)[45]\d\d_")


# How Exim, Postfix and sendmail name the address that was written to, before what they made of it.
_WRITTEN_TO = re.compile(rf"\((?:ultimately )?(?:generated|expanded) from:? <?({ADDRESS})>?\)[: ]*")


# DragonFly and its kin: one recipient a bounce, named in the first sentence; the reply below may name others.
_NAMED = re.compile(rf"error delivering your mail to <({ADDRESS})>")


def read_prose(mail: Mail) -> Reading | None:
    """Read who failed and why out of the words; None where they name no failed recipient."""
    text = first_text(mail)
    words = bounce_words(mail)
    named = _failed_recipients(mail, words)
    lower = lower_case(words)
    kind = kind_of(mail.subject, lower)
    failures = _embedded_report(words, lower, mail) if "final-recipient" in lower else _report_as_text(mail, words)
    if not failures:
        own = own_addresses(mail)
        told = told_failures(words, own, named) if words else [Told(n) for n in named]
        failures = tuple(failure_from(t, kind, words if len(told) == 1 else t.words) for t in told[:MAX_FAILURES])
        if not named and _only_tells_the_owner(mail, failures, lower):
            return None
    if not failures:
        failures = _sole_addressee(mail, words, kind)
    if not failures:
        return None
    return Reading("prose", failures, _writer(mail, text[: len(words) + 200].lower()))


def bounce_words(mail: Mail) -> str:
    """The bounce's own words: its first part with text in it, the returned mail cut off."""
    return split_original(first_text(mail))[0][:MAX_OWN_WORDS]


def own_addresses(mail: Mail) -> frozenset[str]:
    """Addresses in the bounce's own header, lower case: the sender of the returned mail (To), the bounce's own."""
    raw = mail.headers.raw
    recipients = raw("to") or ""
    found: list[str | None] = [*find_addresses(recipients[:8192])] if "," in recipients else [address(recipients)]
    found += [
        mail.sender,
        *(address(raw(name)) for name in ("return-path", "delivered-to", "reply-to", "x-original-to")),
    ]
    return frozenset([a.lower() for a in found if a])


def kind_of(subject: str | None, lower_words: str) -> FailureKind:
    """Whether a bounce says that it is over, that it is still being tried, or that all went well."""
    opening = lower_words[:4000]
    title = (subject or "").lower()
    if (title.startswith(DELIVERED_TITLES) or says(opening, DELIVERED_WORDS)) and not (
        says(opening, FINAL_WORDS) or says(opening, WENT_WRONG) or _REFUSED.search(opening)
    ):
        return "delivered"
    about, _, quoted = title.partition(":")
    # Behind "Undeliverable:" stands the subject of the returned mail, which may be about any delay.
    if says(about if quoted and says(about, WENT_WRONG) else title, DELAY_TITLES) and "permanent" not in opening:
        return "delayed"
    delayed = any(root in opening and says(opening, words) for root, words in DELAY_WORDS) or (
        not opening.isascii() and says(opening, DELAY_WORDS_ABROAD)
    )
    return "delayed" if delayed and not says(opening, FINAL_WORDS) else "failed"


def failure_from(told: Told, kind: FailureKind, prose: str | None) -> Failure:
    """Make a failure of what a text tells of one recipient: the server's reply apart from the words around it."""
    diagnostic, original = told.words, None
    if diagnostic is not None and (written := _WRITTEN_TO.match(diagnostic)) is not None:
        original, diagnostic = written[1], diagnostic[written.end() :] or None
    if diagnostic is not None and "_" in diagnostic and _UNDERSCORED.search(diagnostic) is not None:
        diagnostic = diagnostic.replace("_", " ")
    reply = read_reply(diagnostic) if diagnostic else None
    while reply is not None and reply.code is not None and reply.code[0] in "23":
        reply = read_reply(reply.text[3:])  # a size or an address that looks like a reply
    if reply is not None and reply.code is not None:
        diagnostic = reply.text
    if diagnostic:
        if diagnostic.endswith("]") or "Giving up on" in diagnostic:
            diagnostic = _AFTERWORDS.sub("", diagnostic)
        diagnostic = _unwrapped(diagnostic.strip(" '\""))
    is_login = tells_of_login(prose or "") or tells_of_login(told.words or "")
    failure = Failure(
        kind,
        told.recipient,
        original_recipient=original,
        command=told.command,
        remote_host=told.host,
        at_relay=is_login or None,
    )
    return with_words(failure, diagnostic, " ".join(prose.split())[:2000] if prose else None)


def _unwrapped(text: str) -> str:
    """Take off brackets around a reason, and one that closes what opened before it."""
    for opening, closing in ("()", "[]"):
        if text.endswith(closing) and text.count(closing) > text.count(opening):
            text = text[:-1]
        elif text.startswith(opening) and text.endswith(closing) and text.count(opening) == 1:
            text = text[1:-1]
    return text.strip()


def first_text(mail: Mail) -> str:
    """The first part with words in it, plain text before HTML."""
    # QUIRK(broken MIME): `text/plain charset=...` without semicolon, a multipart without its boundary: still text.
    parts = [part for part in mail.parts if part.media_type.startswith(("text/", "multipart/")) and part.size]
    if len(parts) > 1:
        parts.sort(key=lambda part: not part.media_type.startswith("text/plain"))
    for part in parts:
        text = part.text()
        if text and not text.isspace():
            return text
    return ""


def _failed_recipients(mail: Mail, words: str) -> tuple[str, ...]:
    """Who is named as failed by a sentence or a header made for that.

    X-Failed-Recipients (Exim, Gmail and others) is a comma list, perhaps as RFC 2047 encoded words.
    """
    values = mail.headers.all("x-failed-recipients") or mail.headers.all("x-failed-recipient")
    if values:
        return tuple(find_addresses(decode_words(", ".join(values))))[:MAX_FAILURES]
    named = _NAMED.search(words, 0, 2000)
    return (named[1],) if named is not None else ()


def _sole_addressee(mail: Mail, words: str, kind: FailureKind) -> tuple[Failure, ...]:
    """The one addressee of the returned mail, where the words name nobody: a mail to one person failed for that one."""
    if _holds_a_report(mail):
        return ()
    returned = returned_headers(mail)
    found = find_addresses(", ".join(returned.all("to"))) if returned is not None else []
    is_empty_report = any(part.media_type in REPORT_TYPES for part in mail.parts)
    if len(found) != 1 or not (words.strip() or is_empty_report):
        return ()
    if "@" in ", ".join(returned.all("to") if returned is not None else ()).replace(found[0], ""):
        return ()  # more than one addressee, though not every address is one
    told = Told(found[0], recipient_reason(words, found[0]), host_in(words[:4000]))
    return (failure_from(told, kind, words),)


def _holds_a_report(mail: Mail) -> bool:
    """Whether a mail attached to this one is itself a delivery report, which says more than the words around it."""
    return any(
        p.media_type == "message/rfc822" and b"message/delivery-status" in p.body(65536).lower() for p in mail.parts
    )


def _embedded_report(words: str, lower: str, mail: Mail) -> tuple[Failure, ...]:
    """The fields of a delivery report that stands in the text, where the MIME around it is broken."""
    first = max(lower.find("reporting-mta"), 0) or lower.find("final-recipient")
    start = max(lower.rfind("\n\n", 0, first), 0)
    return read_fields(words[start:], words[:start], mail)[0]


MAX_REPORT = 64 * 1024
"""Bytes of a text part that may be a report in disguise."""


def _report_as_text(mail: Mail, words: str) -> tuple[Failure, ...]:
    """The fields of a delivery report that a gateway made a plain text of (`ATT00001.txt`), in a part of its own."""
    if len(mail.parts) < 2:
        return ()
    for part in mail.parts[1:9]:
        if part.media_type in ("text/plain", "application/octet-stream") and part.size <= MAX_REPORT:
            text = part.text()
            lower = text.lower()
            if "final-recipient" in lower and "action" in lower:
                return read_fields(text, words, mail)[0]
    return ()


def _only_tells_the_owner(mail: Mail, failures: tuple[Failure, ...], lower: str) -> bool:
    """Whether nobody but the reader of the mail is named, without a mail given back or plain words of a bounce.

    That is a mail system's letter to its own user: a quota that is nearly used up, a mail it holds back, a login.
    """
    readers = {a.lower() for name in ("to", "delivered-to", "x-original-to") if (a := address(mail.headers.raw(name)))}
    is_plain = speaks_of_failure(mail.subject or "") or failure_words_in(lower[:MAX_FAILURE_WORDS]) is not None
    for failure in failures:
        if failure.kind != "failed" or (is_plain and (failure.reply_code or failure.status)):
            return False
        if failure.recipient is None or failure.recipient.lower() not in readers:
            return False
    return bool(failures) and returned_headers(mail) is None


def _writer(mail: Mail, lower_text: str) -> str | None:
    sender = ((mail.headers.get("from") or "") + " " + (mail.headers.raw("x-mailer") or "")).lower()
    for name, mark in BY_SENDER:
        if mark in sender:
            return name
    opening = lower_text[:4000]
    by_words = writer_of(opening)
    if by_words is not None:
        return by_words
    found = address(sender)
    return reporter_of(None, found)
