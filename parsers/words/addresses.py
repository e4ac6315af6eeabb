"""The mail addresses in a text, also where the words around them are written without spaces."""

from __future__ import annotations

import re

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


def _only_one(lines: list[str], own: frozenset[str]) -> list[str]:
    """The only address in the words, whatever language stands around it."""
    text = "\n".join(line for line in lines if "@" in line)
    found = find_addresses(text)
    others = [recipient for recipient in found if recipient.lower() not in own and not _HELP_ADDRESS.match(recipient)]
    if len(others) != 1:
        return []
    at = text.find(others[0])
    # A notice about a mail "from a@b" that came in names no failed recipient.
    return [] if text[max(0, at - 40) : at].lower().rstrip(" \t:<(\"'").endswith((" from", " by")) else others
