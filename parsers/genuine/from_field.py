"""Reads the one address of a From field by the grammar (RFC 5322 3.4): not the first thing in it that looks like one.

`parsers.mime.address` finds an address for showing in whatever stands there; nobody is believed for that one.
"""

from __future__ import annotations

import re

from parsers.genuine.auth_results import without_comments
from parsers.mime import Headers, decode_words

MAX_FROM = 2048
"""Characters of a From field that is read; the longest honest display name in a bounce has some hundreds."""

_LOCAL = r"[!#$%&'*+\-./0-9=?A-Z^_`a-z{|}~]{1,64}+"
_DOMAIN = r"[A-Za-z0-9_-]{1,63}+(?:\.[A-Za-z0-9_-]{1,63}+)++"
_MAILBOX = re.compile(
    rf'[ \t]*+(?:(?:[^"<>()@,;:\\\x00-\x08\x0a-\x1f\x7f]++|"(?:[^"\\]++|\\.)*+")*+<[ \t]*+({_LOCAL}@{_DOMAIN})[ \t]*+>'
    rf"|({_LOCAL}@{_DOMAIN}))[ \t]*+",
    re.DOTALL,
)
_AT_DOMAIN = re.compile(r"@([A-Za-z0-9_.-]{0,255}+)")


def author(headers: Headers) -> str | None:
    """The address in From, lower case; None where there is not exactly one field with exactly one plain address.

    A group, a list, a route, a domain that is not ASCII, a name that shows an address of another domain: all of them
    can be read in two ways, and what Gmail checked may be the other one.
    """
    fields = headers.all("from")
    if len(fields) != 1 or len(fields[0]) > MAX_FROM:
        return None
    field = fields[0]
    text = without_comments(field)
    found = _MAILBOX.fullmatch(text) if text is not None else None
    if found is None:
        return None
    shown = decode_words(field) if "=?" in field else field
    if shown.count("@") > 1 and len({domain.lower() for domain in _AT_DOMAIN.findall(shown)}) > 1:
        return None
    return (found[1] or found[2]).lower()
