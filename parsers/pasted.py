"""Reads what a person copied out of a bounce: an error line, a few of them, or a whole notice without its headers.

Whoever pastes says that it is about a failed mail, so nothing is weighed for and against that. What a mail shows and a
copy does not stays unknown: who wrote it, whether it is genuine, and often who spoke.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from parsers.facts import Authenticity, Bounce, Failure, FailureKind, NotABounce, Reading
from parsers.mime import Mail, open_mail
from parsers.readers import (
    kind_of,
    read_exchange,
    read_gmail_notice,
    read_prose,
    read_ses_mail,
    with_speaker,
    with_words,
)
from parsers.signs import MAX_FAILURE_WORDS, failure_words_in, speaks_of_failure
from parsers.smtp_reply import join_lines, read_reply
from parsers.text import lower_case
from parsers.whole import as_bounce, read_bounce
from parsers.words import FINAL_WORDS, find_addresses, says, split_original

MAX_PASTED = 256 * 1024
"""Characters that are read."""
MAX_LINE_PASTED = 1000
"""So short a text may be a server's words without a code: "mailbox full". Whether it is, only the rules know."""
MAX_TITLE_PASTED = 300
PLAIN_WORDS = "pasted-words"
"""The `reader` of such a text."""
FROM_NOWHERE = Authenticity("unknown", "pasted text shows nothing of where it comes from")
_NOBODY = "nobody@pasted.invalid"
# Whom a notice is about stands in its text only by chance: in the mail a header says it.
_GMAIL = f"From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>\nX-Failed-Recipients: {_NOBODY}\n"
_SNS = "X-Amz-Sns-Message-Id: pasted\n"

# Fields that mail servers and programs write: whoever pastes these has the source of the mail, not what is shown of it.
_SOURCE = re.compile(r"^(?:received|return-path|message-id|mime-version|delivered-to):", re.IGNORECASE | re.MULTILINE)
_FIELD = re.compile(r"[!-9;-~]{1,70}:|From ")
_SUBJECT = re.compile(
    r"^[ \t>]*(?:subject|betreff|asunto|objet|oggetto):[ \t]*(\S.{0,300})", re.IGNORECASE | re.MULTILINE
)
# A bare code inside a sentence is none in a mail; of a line that somebody picks out because of it, it is.
_PICKED = re.compile(r"(?<![\w.-])[245]\d\d(?=[- ]#?[245]\.\d|[- ][^\W\d_]|\s*$)")
_EXPIRED = re.compile(r"(?<![\d.])[45]\.4\.7(?![\d.])|\bexpired\b")  # RFC 3463 3.5: delivery time expired
_QUOTING = re.compile(r"^[ \t]*(?:>[ \t]?)+", re.MULTILINE)


def read_pasted(text: str, at_relay: bool | None = None) -> Bounce | NotABounce:
    """What `parsers.parse_pasted` promises."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip("\ufeff \t\n")[:MAX_PASTED]
    if is_source(text):
        found = read_bounce(_bytes(text), frozenset())
        if isinstance(found, NotABounce):
            return found
        return _told(found._replace(genuine=FROM_NOWHERE), at_relay)
    if not text:
        return NotABounce("not-a-bounce", "there is nothing in it")
    text = _QUOTING.sub("", text)
    reading = _by_notice(text) or _by_reply(text)
    if reading is None:
        return NotABounce("not-a-bounce", "no error code and no words of a failed delivery stand in it")
    found = as_bounce(_in_a_mail(text), reading, frozenset())
    failures = tuple(f._replace(at_relay=True) if _speaks_for_relay(f) else f for f in found.failures)
    return _told(found._replace(failures=failures, genuine=FROM_NOWHERE, sender=None, subject=None), at_relay)


def is_source(text: str) -> bool:
    """Whether a text is the source of a mail ("Show original"), which begins with its headers."""
    head = text.partition("\n\n")[0]
    return _FIELD.match(text) is not None and _SOURCE.search(head) is not None


def _told(found: Bounce, at_relay: bool | None) -> Bounce:
    """The bounce with what the person says of who spoke."""
    if at_relay is None:
        return found
    return found._replace(failures=tuple(f._replace(at_relay=at_relay) for f in found.failures))


def _speaks_for_relay(failure: Failure) -> bool:
    """Whether the words, or the host, can only be those of the server behind an alias."""
    return bool(failure.at_relay or with_speaker(failure._replace(at_relay=None)).at_relay)


def _in_a_mail(text: str, sender: str = "") -> Mail:
    """The text as the only part of a mail, in a copy without most of its headers."""
    subject = _SUBJECT.search(text, 0, 2000)
    title = f"Subject: {subject[1].strip()}\n" if subject is not None else ""
    form = "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
    return open_mail(_bytes(f"{sender}{title}{form}{text}\n"))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _by_notice(text: str) -> Reading | None:
    """The text as a notice in the words of a program; None where it names neither a recipient nor a kind of notice."""
    gmail = read_gmail_notice(_in_a_mail(text, _GMAIL))
    if gmail is not None and gmail.notice is not None:
        named = _only(find_addresses(split_original(text)[0][:2000]))
        return gmail._replace(failures=tuple(_not_about_a_sender(_about(f, named)) for f in gmail.failures))
    if text.startswith("{") and (notification := read_ses_mail(_in_a_mail(text, _SNS))) is not None:
        return notification
    mail = _in_a_mail(text)
    reading = read_exchange(mail) or read_prose(mail)
    if reading is None or not any(f.diagnostic or f.status or f.reply_code for f in reading.failures):
        return None
    return reading._replace(failures=tuple(_not_about_a_sender(f) for f in reading.failures))


def _by_reply(text: str) -> Reading | None:
    """The text as what one server said, with or without the words of a program around it."""
    line = join_lines(text)
    reply = read_reply(line)
    if (reply is None or reply.code is None) and (picked := _PICKED.search(line)) is not None:
        line = line[picked.start() :]
        reply = read_reply(line)
    lower = lower_case(text)
    says_so = reply or failure_words_in(lower[:MAX_FAILURE_WORDS]) or speaks_of_failure(text[:MAX_TITLE_PASTED])
    if not says_so and len(text) > MAX_LINE_PASTED:
        return None
    diagnostic = reply.text if reply is not None and reply.code is not None else line
    kind = _kind(reply.code or reply.status if reply is not None else None, text, lower)
    failure = Failure(kind, _only(find_addresses(text[:8192])))
    failure = _not_about_a_sender(with_words(failure, diagnostic, None if diagnostic == line else line))
    return Reading("pasted" if says_so else PLAIN_WORDS, (failure,))


def _not_about_a_sender(failure: Failure) -> Failure:
    """A relay's own answer names whom it does not let send, not whom it did not reach."""
    named = (failure.recipient or "").lower() in (failure.diagnostic or "").lower()
    return failure._replace(recipient=None) if named and _speaks_for_relay(failure) else failure


def _about(failure: Failure, named: str | None) -> Failure:
    return failure._replace(recipient=named) if failure.recipient == _NOBODY else failure


def _only(addresses: Iterable[str]) -> str | None:
    """The only address of a text; where it names several, nobody can tell whom it is about."""
    found = {one.lower(): one for one in addresses}
    return next(iter(found.values())) if len(found) == 1 else None


def _kind(code: str | None, text: str, lower: str) -> FailureKind:
    """What the words say, else the class of the code: RFC 5321 4.2.1 lets the sender of a 4 try again."""
    told = kind_of(None, lower)
    if told != "failed" or code is None:
        return told
    if code[0] == "4":
        return "failed" if says(lower[:4000], FINAL_WORDS) or _EXPIRED.search(lower) else "delayed"
    return "delivered" if code[0] == "2" else "failed"
