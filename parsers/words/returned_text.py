"""Tells the words of a bounce from the returned mail that is quoted below, inside or above them.

Works on text that stands in one part; returned mails in parts of their own are found by their type. Reads no field of
the returned mail and judges nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache

from parsers.text import lower_case

MAX_MARKS = 40
"""Places of one text that are looked at as a possible beginning of the returned mail."""

# Words that every known dividing line holds; a plain search for them is far cheaper than any pattern.
_NEEDLES = (
    "original",
    "copy of",
    "unsent m",
    "message header",
    "returned m",
    "text follows",
    "message below",
    "nachricht",
    "d'origine",
    "copie d",
    "copia d",
    "ursprungligt",
    "oprindelig",
    "opprinnelig",
)
_NEEDLES_ABROAD = (
    "元の",
    "オリジナル",
    "原始邮件",
    "原始郵件",
    "원본",
    "исходн",
    "копия",
    "оригинал",
    "wiadomoś",
    "původní",
    "alkuperäinen",
    "ileti",
    "cópia da",
)
_DIVIDER = re.compile(
    r"[\W_]*(?:"
    r"(?:(?:below(?: this line)?|enclosed|included|attached|this|here|the following) (?:is|are) )"
    r"(?:an? |the )?(?:copy|headers?|text) of (?:the |your |that )?[^\n]{0,80}"
    r"|copy of (?:the|your) (?:original |returned )?(?:message|mail)(?: (?:headers?|follows?|below))*"
    r"|(?:the |your )?(?:(?:headers?|beginning|start|text|body) of (?:the |your )?)?"
    r"(?:original|unsent|returned|undelivered|rejected|bounced) (?:message|(?:e-?)?mail)(?: headers?| text| body)?"
    r"(?: (?:as follows|(?:is )?follow(?:s|ing|ed)?|is below|below|begins?(?: here)?))?(?: as a separate attachment)?"
    r"|message (?:headers?|text|body) follows?"
    r"|original-?nachricht|ursprüngliche nachricht|(?:kopie|header) der (?:original-?)?nachricht[^\n]{0,40}"
    r"|message d'origine|mensaje original|mensagem original|messaggio originale"
    r"|[^\n]{0,50}(?:copie du message|copia del? mensaje|copia del messaggio|cópia da mensagem)"
    r"(?! d(?:'|e |i )err)[^\n]{0,60}"
    r"|исходное (?:сообщение|письмо)|оригинал (?:сообщения|письма)"
    r"|[^\n]{0,30}копия [^\n]{0,30}(?:сообщения|письма)[^\n]{0,40}"
    r"|(?:oryginalna|pierwotna) wiadomość|[^\n]{0,30}kopia [^\n]{0,30}wiadomości[^\n]{0,40}|původní (?:zpráva|e-mail)"
    r"|ursprungligt meddelande|oprindelig (?:meddelelse|besked)|opprinnelig melding|alkuperäinen viesti"
    r"|(?:özgün|orijinal) ileti|원본 ?(?:메시지|메일)[^\n]{0,20}"
    # "Details of the original message" heads a part of the Exchange pages that goes on with the error.
    r"|(?:元の|オリジナルの?)(?:メッセージ|メール)(?![^\n]{0,6}詳細)[^\n]{0,20}|原始(?:邮件|郵件)(?!详|詳|的详|的詳)[^\n]{0,20}"
    r")[\W_]*"
)
# One header field as a line of text, perhaps quoted or indented.
_FIELD_LINE = re.compile(r"[ \t>|]*[!-9;-~]{2,60}[ \t]*:(?!//)")
_BLANK_LINE = re.compile(r"\n[ \t>|]*(?:\n|\Z)")
_FIRST_FIELD = re.compile(
    r"([ \t>|]*)(?:return-path|received|date|from|to|cc|subject|message-id|mime-version|content-[a-z-]+|reply-to"
    r"|sender|delivered-to|dkim-signature|domainkey-signature|authentication-results|arc-[a-z-]+|list-[a-z-]+"
    r"|x-[\w-]+)[ \t]*:",
    re.IGNORECASE,
)
# Fields that stand in a mail's header and hardly ever in a letter that describes a mail.
_TELLTALES = ("return-path:", "received:", "message-id:", "dkim-signature:")
# What only stands in front of the words about a failure: headers above it are a quotation inside those words.
_WORDS_FOLLOW = (
    "following recipient",
    "following address",
    "recipient address:",
    "final-recipient",
    "transcript of session",
    "diagnostic",
    "be delivered",
    "not deliver",
    "not delivered",
)


# Several readers ask for the same text of the same mail, one after the other.
@lru_cache(maxsize=8)
def split_original(text: str) -> tuple[str, str | None]:
    """Return the words before a quoted mail, and the header block of that mail as text; None where none is quoted.

    Quotation marks and indentation are taken off the block. Headers quoted in front of the words (Oracle Messaging
    Server does that) are cut out of them, so that no address of the returned mail is left among the words.
    """
    lower = lower_case(text)
    divider = _divider(text, lower)
    end = len(text) if divider is None else divider[0]
    words, quoted, cut = _by_headers(text, lower, end)
    if cut or divider is None:
        return words, quoted
    return words, _block(text, divider[1]) or quoted


def _divider(text: str, lower: str) -> tuple[int, int] | None:
    """The span of the first line that says: here the returned mail begins."""
    first: tuple[int, int] | None = None
    for needle in _NEEDLES if lower.isascii() else (*_NEEDLES, *_NEEDLES_ABROAD):
        at = lower.find(needle, 0, first[0] if first else len(lower))
        for _ in range(MAX_MARKS):
            if at < 0:
                break
            start = lower.rfind("\n", 0, at) + 1
            stop = lower.find("\n", at)
            stop = len(lower) if stop < 0 else stop
            if stop - start <= 160 and _DIVIDER.fullmatch(lower, start, stop) is not None:
                first = (start, stop)
                break
            at = lower.find(needle, stop, first[0] if first else len(lower))
    return first


def _by_headers(text: str, lower: str, end: int) -> tuple[str, str | None, bool]:
    """Find runs of header lines before `end`: words, header block, and whether the words end with that block."""
    words: list[str] = []
    quoted: str | None = None
    at = 0
    for _ in range(8):
        span = _run(text, lower, at, end)
        if span is None:
            break
        start, stop = span
        words.append(text[at:start])
        block = _block(text, start)
        below = lower[stop : min(end, stop + 1200)]
        if not any(words in below for words in _WORDS_FOLLOW):
            return "".join(words), block, True
        quoted = quoted or block
        at = stop
    words.append(text[at:end])
    return "".join(words), quoted, False


def _run(text: str, lower: str, at: int, end: int) -> tuple[int, int] | None:
    """The span of the first three or more header lines that no blank line parts, one of them telling."""
    candidates = []
    for name in _TELLTALES:
        found = lower.find(name, at, end)
        for _ in range(MAX_MARKS):
            if found < 0:
                break
            start = lower.rfind("\n", 0, found) + 1
            if not lower[start:found].strip(" \t>|"):
                candidates.append(start)
                break
            found = lower.find(name, found + len(name), end)
    for start in sorted(candidates):
        start = _up(text, lower, start, at)
        stop = _blank_after(text, start, end)
        if _has_fields(text, start, stop):
            return start, stop
    return None


def _up(text: str, lower: str, start: int, at: int) -> int:
    """Go up from a header line over the header and continuation lines above it."""
    for _ in range(200):
        above = lower.rfind("\n", at, start - 1) + 1 if start > at else start
        above = max(above, at)
        if above >= start:
            break
        line = text[above : start - 1]
        if _FIRST_FIELD.match(line) is None and not (line.startswith((" ", "\t", "> ")) and line.strip(" \t>|")):
            break
        start = above
    while start < len(text) and _FIRST_FIELD.match(text, start) is None:
        following = text.find("\n", start)
        if following < 0:
            break
        start = following + 1
    return start


def _blank_after(text: str, start: int, end: int) -> int:
    """Where the block that begins at `start` ends: at the first line with nothing but quotation marks."""
    found = _BLANK_LINE.search(text, start, end)
    return end if found is None else found.start() + 1


def _has_fields(text: str, start: int, stop: int) -> bool:
    """Whether at least three lines of a span are header fields."""
    count = 0
    for line in text[start : min(stop, start + 8192)].split("\n"):
        if _FIELD_LINE.match(line) is not None:
            count += 1
            if count == 3:
                return True
    return False


def _block(text: str, at: int) -> str | None:
    """The header block that begins within the next lines, without quotation marks and indentation."""
    for _ in range(30):
        if at >= len(text):
            return None
        found = _FIRST_FIELD.match(text, at)
        if found is not None:
            break
        following = text.find("\n", at)
        if following < 0:
            return None
        at = following + 1
    else:
        return None
    block = text[at : _blank_after(text, at, len(text))]
    prefix = found[1]
    if not prefix:
        return block
    kept = [line[len(prefix) :] if line.startswith(prefix) else line.lstrip(" >|") for line in block.split("\n")]
    return "\n".join(kept)
