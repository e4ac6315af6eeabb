"""Reads an Authentication-Results field by its grammar, and believes nothing that is not in it.

A stranger's words stand inside the honest field: Gmail repeats the envelope sender or the HELO name, in a comment
and as a value. A search would find `dkim=pass` there; the grammar knows that it is a comment. A field that breaks the
grammar anywhere is not read at all: half a field is what an attacker would leave.
Source: RFC 8601 2.2; RFC 5322 3.2 (comments, quoted strings); RFC 2045 5.1 (token). Judges nothing.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_STAMP = 16 * 1024
"""Characters of a field that is read; Gmail writes some hundreds. A longer one is not cut, but not read."""

_QUOTED = r'"(?:[^"\\\x00-\x1f\x7f]++|\\[ -~])*+"'
_WORD = r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]++"
_KEYWORD = r"[A-Za-z0-9_.-]++"
# QUIRK(Gmail): `/` and `=` of base64 and of envelope senders stand unquoted; `:`, `[` and `]` belong to IP addresses.
_VALUE = rf"(?:{_QUOTED}(?:@[A-Za-z0-9_.-]++)?|[!#-'*+\-./0-9:=?@A-Z\[\]^_`a-z{{|}}~]++)"
_NAME = r"[A-Za-z0-9_-]++[ \t]*+\.[ \t]*+[A-Za-z0-9_.-]++"
_PROPERTY = rf"(?:{_NAME}|reason)[ \t]*+=[ \t]*+{_VALUE}"

_ID = re.compile(rf"[ \t]*+({_WORD})(?:[ \t]++([0-9]++))?[ \t]*+(?=;)")
_NO_RESULT = re.compile(r";[ \t]*+none[ \t]*+", re.IGNORECASE)
_RESULT = re.compile(
    rf";[ \t]*+({_KEYWORD})[ \t]*+(?:/[ \t]*+[0-9]++[ \t]*+)?=[ \t]*+({_KEYWORD})((?:[ \t]++{_PROPERTY})*+)[ \t]*+"
)
_PAIR = re.compile(rf"(?<![A-Za-z0-9_-])({_NAME}|reason)[ \t]*+=[ \t]*+({_VALUE})")
_FLAT_COMMENT = re.compile(r"\([^()]*+\)")
_MARK = re.compile(r'"(?:[^"\\]++|\\.)*+"|[()"]', re.DOTALL)
_MARK_IN_COMMENT = re.compile(r"(?:[^()\\]++|\\.)*+([()])", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)")


class MethodResult(NamedTuple):
    """One method and what it came to: `dkim=pass header.i=@example.org`."""

    method: str
    """Lower case, as is the result."""
    result: str
    properties: str
    """All that follows, as it stands; `values_of` takes it apart for those who ask."""


class AuthResults(NamedTuple):
    """One field: who wrote it, and what that server found."""

    authserv_id: str | None
    """Lower case; None where the field does not begin with one."""
    results: tuple[MethodResult, ...] | None
    """None where the field breaks the grammar in any place, is too long to be honest, or may be read in two ways."""


def read_field(field: str) -> AuthResults:
    """Read one field, unfolded. Only version 1 of the format is known (RFC 8601 2.2)."""
    text = without_comments(field) if len(field) <= MAX_STAMP else None
    if text is not None and ("(" in text or ")" in text):
        # In a quoted string, now that comments are out. Were Gmail to repeat a sender with such a character as it came,
        # its comment would end there, and the sender would write the next results; the quoted copy is what betrays it.
        text = None
    begin = _ID.match(field[:MAX_STAMP] if text is None else text)
    if begin is None or begin[2] not in (None, "1"):
        return AuthResults(None, None)
    return AuthResults(begin[1].lower(), None if text is None else _results(text, begin.end()))


def _results(text: str, at: int) -> tuple[MethodResult, ...] | None:
    if _NO_RESULT.fullmatch(text, at) is not None:
        return ()
    results = []
    while at < len(text):
        found = _RESULT.match(text, at)
        if found is None:
            return None
        method, result, properties = found.groups()
        results.append(MethodResult(method.lower(), result.lower(), properties))
        at = found.end()
    return tuple(results)


def values_of(properties: str) -> dict[str, str | None]:
    """The value of `header.i` and so on, names in lower case, without quotes.

    None for a name that stands there twice: who says two things has said nothing.
    """
    found: dict[str, str | None] = {}
    for name, value in _PAIR.findall(properties):
        name = name.lower() if name.find(" ") < 0 and name.find("\t") < 0 else "".join(name.lower().split())
        found[name] = None if name in found else _unquoted(value)
    return found


def without_comments(text: str) -> str | None:
    """The text with a blank for each comment, nested ones too; None where a comment or a quoted string never ends."""
    if '"' not in text and "\\" not in text:  # as nearly all are: only parentheses count, and few are nested
        flat = _FLAT_COMMENT.sub(" ", text)
        if "(" not in flat and ")" not in flat:
            return flat
    kept, at, mark = [], 0, _MARK.search(text)
    while mark is not None:
        found, resume = mark[0], mark.end()
        if found == "(":
            resume = _end_of_comment(text, resume)
            if resume < 0:
                return None
            kept += [text[at : mark.start()], " "]
            at = resume
        elif len(found) == 1:  # a comment closes that never began, or a string begins that never closes
            return None
        mark = _MARK.search(text, resume)
    return "".join([*kept, text[at:]]) if kept else text


def _end_of_comment(text: str, at: int) -> int:
    depth = 1
    while depth:
        mark = _MARK_IN_COMMENT.match(text, at)
        if mark is None:
            return -1
        depth += 1 if mark[1] == "(" else -1
        at = mark.end()
    return at


def _unquoted(value: str) -> str:
    if value[0] != '"':
        return value
    inner, _, domain = value[1:].rpartition('"')
    return _ESCAPED.sub(r"\1", inner) + domain
