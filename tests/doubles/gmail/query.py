"""As much of Gmail's search language (`q`) as our searches speak, compiled to a predicate over stored messages.

Terms with an operator, all of which must hold, or one of those in braces. Whole words, never substrings. Whatever else
raises `DoubleError`: Gmail would search for the words and find nothing, and a test must not pass on that.
Sources: support.google.com/mail/answer/7190, domain/gmail.md 5.1.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.doubles.gmail.account import StoredMessage, words
from tests.doubles.loopback import DoubleError

Match = Callable[[StoredMessage], bool]

_TERM = re.compile(r'\s*(?:(-?)([a-z0-9]+):(?:"([^"]+)"|([^\s(){}"*]+))(?=[\s}]|$)|([{}]))')
_PLACES = {"sent": "SENT", "drafts": "DRAFT", "chats": "CHAT", "inbox": "INBOX", "trash": "TRASH", "spam": "SPAM"}
_SIZES = {"": 1, "k": 1024, "m": 1024**2}


def compile_query(q: str) -> Match:
    """Whether a message is found by `q`."""
    all_of: list[Match] = []
    any_of: list[Match] | None = None
    at = 0
    while q[at:].strip():
        found = _TERM.match(q, at)
        if found is None:
            raise _not_taught(q[at:])
        at = found.end()
        minus, operator, phrase, word, brace = found.groups()
        if brace == "{" and any_of is None:
            any_of = []
        elif brace == "}" and any_of:
            all_of.append(_any(any_of))
            any_of = None
        elif brace:
            raise _not_taught(q)
        else:
            term = _term(operator, phrase or word)
            (all_of if any_of is None else any_of).append(_not(term) if minus else term)
    if any_of is not None:
        raise _not_taught(q)
    return lambda message: all(term(message) for term in all_of)


def _term(operator: str, value: str) -> Match:
    match operator:
        case "from" | "to" | "cc" | "bcc" | "subject" if (needle := words(value)).strip():
            return lambda message: needle in message.words[operator]
        case "rfc822msgid":
            return lambda message: message.message_id == value.strip("<>")
        case "in" if value in _PLACES:
            return lambda message: _PLACES[value] in message.labels
        case "after" if value.isdecimal():
            return lambda message: message.internal_ms >= int(value) * 1000
        case "before" if value.isdecimal():
            return lambda message: message.internal_ms < int(value) * 1000
        case "larger" if size := re.fullmatch(r"(\d+)([km]?)", value.lower()):
            return lambda message: len(message.raw) > int(size[1]) * _SIZES[size[2]]
    raise _not_taught(f"{operator}:{value}")


def _any(terms: list[Match]) -> Match:
    return lambda message: any(term(message) for term in terms)


def _not(term: Match) -> Match:
    return lambda message: not term(message)


def _not_taught(what: str) -> DoubleError:
    return DoubleError(f"the Gmail double was not taught this query: {what}")
