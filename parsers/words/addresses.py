"""The mail addresses in a text, also where the words around them are written without spaces."""

from __future__ import annotations

import re

from parsers.words.failure_words import HELP_BEFORE, YOUR_MAIL_TO
from parsers.words.transcript import ADDRESS

_ANY = re.compile(ADDRESS)


# Scripts without spaces between words put an address between their own letters and brackets.
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3"


_WIDE_MARKS = "\u3000-\u303f\uff00-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65«»“”„‘’…"


_BEFORE_ADDRESS = re.compile(rf"[^@]*(?:[{_WIDE_MARKS}]|[{_UNSPACED}](?=[!-?A-~]{{1,64}}@))")


_AFTER_ADDRESS = re.compile(rf"[{_WIDE_MARKS}]|(?<=[A-Za-z0-9])[{_UNSPACED}]")


def find_addresses(text: str) -> list[str]:
    """Every mail address in a text, in order, without repeats."""
    found = _ANY.findall(text)
    return list(dict.fromkeys(one.rstrip(".") if one.isascii() else _bare(one) for one in found))


def _bare(found: str) -> str:
    """An address without the letters and marks of the words around it, where those are written without spaces.

    Whatever stands before a wide bracket or colon goes, and a letter of such a script right beside Latin ones; a name
    that is wholly of that script (RFC 6531) stays.
    """
    before = _BEFORE_ADDRESS.match(found)
    bare = found[before.end() :] if before is not None else found
    after = _AFTER_ADDRESS.search(bare, bare.find("@") + 2)
    return (bare[: after.start()] if after is not None else bare).rstrip(".")


_HELP_ADDRESS = re.compile(
    r"(?:post-?master|mailer-daemon|abuse|support|helpdesk|help|info|no-?reply|webmaster)@"
    r"|[\w.+-]{1,60}-(?:request|owner|bounces)@",
    re.IGNORECASE,
)


# "Unknown user: a@b", "Recipient: <a@b>", "RCPT TO: a@b".
_LABELLED = re.compile(
    rf"[ \t\u3000>*-]{{0,40}}([^\s:：][^:：\n]{{0,90}}?)[ \t]{{0,40}}[:：][ \t\u3000]*"
    rf"[<\"'\[(]{{0,2}}(?:rfc822;[ \t]*|smtp:)?<?({ADDRESS})",
    re.IGNORECASE,
)
_NOT_THE_RECIPIENT = re.compile(
    r"from|sender|reply|return-path|contact|support|help|assist|question|admin|postmaster|webmaster|abuse|\bcc\b|\bby\b|id\b"
    r"|absender|expéditeur|remitente|remetente|mittente|отправител|送信者|差出人|envelope|subject|date|message-id"
    r"|afzender|avsändare|avsender|afsender|lähettäjä|nadawc|odesílatel|gönderen|αποστολέα|відправник|発信者|送信元"
    r"|発件人|发件人|寄件|보낸|발신|identif|token|kontakt|hilfe|ayuda|\baide\b|помощ|поддержк|問い?合わ?せ",
    re.IGNORECASE,
)


def _only_one(lines: list[str], own: frozenset[str]) -> list[str]:
    """The only address in the words, whatever language stands around it."""
    text = "\n".join(line for line in lines if "@" in line)
    found = find_addresses(text)
    others = [recipient for recipient in found if recipient.lower() not in own and not _HELP_ADDRESS.match(recipient)]
    if len(others) != 1:
        return []
    at = text.find(others[0])
    # A notice about a mail "from a@b" that came in names no failed recipient.
    lead = text[max(0, at - 60) : at].lower().rstrip(" \t:<(\"'-")
    return [] if lead.endswith((*HELP_BEFORE, " by")) and not lead.endswith(YOUR_MAIL_TO) else others


def _alone_in_line(lines: list[str]) -> list[str]:
    """Addresses made for help that begin a line of their own, so that no sentence above it goes on with them."""
    starts = [
        index
        for index, line in enumerate(lines)
        if "@" in line and _HELP_ADDRESS.match(line) is not None and not _goes_on(lines, index)
    ]
    return find_addresses("\n".join(lines[index] for index in starts))


def _goes_on(lines: list[str], index: int) -> bool:
    """Whether the line above is a sentence that is not at its end."""
    above = lines[index - 1].rstrip() if index else ""
    return bool(above) and not above.endswith((":", "：", "-", "=", "*", ".")) and "@" not in above


def _labelled(lines: list[str]) -> list[str]:
    found = []
    for line in lines:
        label = _LABELLED.match(line) if "@" in line else None
        if label is not None and _names_recipient(label[1]):
            found.append(label[2].rstrip(".") if label[2].isascii() else _bare(label[2]))
            rest = line[label.end() :].lstrip(" >\"'")
            if rest[:1] in (",", ";", "、", "，") and "@" in rest:
                found += find_addresses(rest)
    return found


def _names_recipient(label: str) -> bool:
    """Whether words before a colon may name who failed: not the sender, nor whom to ask."""
    if label.lower().endswith(YOUR_MAIL_TO):
        return True
    return _NOT_THE_RECIPIENT.search(label) is None and not label.lower().endswith(HELP_BEFORE)
