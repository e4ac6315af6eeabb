"""Gmail's search language (`q`), compiled to a predicate over stored messages.

Whole words, never substrings. What it was not taught raises `DoubleError`: Gmail would silently search for the words
and find nothing, and a test must not pass on that. Knows nothing of HTTP.
Sources: support.google.com/mail/answer/7190 (operators), developers.google.com/gmail/api/guides/filtering (dates),
domain/gmail.md 5.1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from tests.doubles.gmail_errors import DoubleError
from tests.doubles.gmail_mail import SearchView, words

PACIFIC = ZoneInfo("America/Los_Angeles")
_WORD_FIELDS = {"from", "to", "cc", "bcc", "subject", "deliveredto", "list", "filename"}
_DAYS = {"d": 1, "m": 30, "y": 365}
"""newer_than knows days, months and years only; a month is taken as 30 days here, which no test may depend on."""
_SIZES = {"": 1, "k": 1024, "m": 1024**2}
_IN = {"sent": "SENT", "draft": "DRAFT", "drafts": "DRAFT", "chats": "CHAT", "chat": "CHAT"}
_IS = {"unread": "UNREAD", "starred": "STARRED", "important": "IMPORTANT", "sent": "SENT", "draft": "DRAFT"}


class Candidate(Protocol):
    """What a query looks at."""

    labels: list[str]
    internal_ms: int

    @property
    def view(self) -> SearchView: ...


Match = Callable[[Candidate], bool]


@dataclass
class Query:
    """A compiled query; `opens_spam_and_trash` is true where it asks for them itself (in:anywhere, in:spam, ...)."""

    matches: Match
    opens_spam_and_trash: bool


def compile_query(q: str, *, now: float, address: str, label_ids: dict[str, str]) -> Query:
    """Compile `q`. `now` is in epoch seconds, `label_ids` maps label names to ids, `address` stands for `me`."""
    reader = _Reader(q, now, address, {_spelled(name): label_id for name, label_id in label_ids.items()})
    matches = reader.all_of(closing="")
    return Query(matches, reader.opens)


@dataclass
class _Reader:
    """A cursor over the query text."""

    text: str
    now: float
    address: str
    label_ids: dict[str, str]
    at: int = 0
    opens: bool = field(default=False)

    def all_of(self, closing: str, operator: str | None = None) -> Match:
        """Terms up to `closing`, all of which must hold; OR binds tighter than the space between terms."""
        terms: list[Match] = []
        while not self._ends(closing):
            if self._take(r"AND(?=\s)"):
                continue
            term = [self._term(operator)]
            while self._take(r"OR(?=[\s({\"])"):
                term.append(self._term(operator))
            terms.append(_any(term))
        return _all(terms)

    def any_of(self, operator: str | None = None) -> Match:
        """The inside of braces: one of the terms must hold."""
        terms = []
        while not self._ends("}"):
            if not self._take(r"OR(?=[\s({\"])"):
                terms.append(self._term(operator))
        return _any(terms)

    def _term(self, operator: str | None) -> Match:
        if self._take(r"-(?=\S)"):
            opens, term = self.opens, self._term(operator)
            self.opens = opens  # -in:spam does not ask for spam
            return lambda candidate: not term(candidate)
        if self._take(r"\("):
            return self.all_of(")", operator)
        if self._take(r"\{"):
            return self.any_of(operator)
        if quoted := self._take(r'"([^"]*)"'):
            return self._judge(operator, quoted.group(1))
        if named := self._take(r"([A-Za-z0-9_]+):(?=\S)"):
            if operator:
                self._refuse(f"operator inside {operator}:(...)")
            return self._operand(named.group(1).lower())
        if word := self._take(r'([^\s(){}"]+)'):
            if re.search(r"\*|^(OR|AND|AROUND)$|:", word.group(1)):
                self._refuse(f"term {word.group(1)!r}")
            return self._judge(operator, word.group(1).removeprefix("+"))
        return self._refuse("syntax")

    def _operand(self, operator: str) -> Match:
        if self._take(r"\("):
            return self.all_of(")", operator)
        if self._take(r"\{"):
            return self.any_of(operator)
        value = self._take(r'"([^"]*)"') or self._take(r'([^\s(){}"]+)')
        return self._judge(operator, value.group(1)) if value else self._refuse(f"empty {operator}:")

    def _judge(self, operator: str | None, value: str) -> Match:
        """The predicate of one operator with one value."""
        low = value.lower()
        match operator:
            case None:
                return self._has_words("text", value)
            case "from" | "to" | "cc" | "bcc" if low == "me":
                return self._has_words(operator, self.address)
            case _ if operator in _WORD_FIELDS:
                return self._has_words(operator, value)
            case "rfc822msgid":
                wanted = value.strip("<>")
                return lambda candidate: candidate.view.message_id == wanted
            case "in":
                return self._in(low)
            case "label":
                return self._labelled(low)
            case "is":
                return self._is(low)
            case "has":
                return self._has(low)
            case "larger" | "size" | "smaller":
                return self._sized(operator, low)
            case "after" | "newer" | "before" | "older":
                return self._dated(operator, low)
            case "newer_than" | "older_than":
                return self._aged(operator, low)
        return self._refuse(f"operator {operator}:")

    def _has_words(self, part: str, value: str) -> Match:
        needle = words(value)
        if not needle.strip():
            self._refuse(f"no word in {value!r}")
        return lambda candidate: needle in candidate.view.words[part]

    def _in(self, value: str) -> Match:
        if value == "anywhere":
            self.opens = True
            return lambda _: True
        return _labelled(_IN[value]) if value in _IN else self._labelled(value)

    def _labelled(self, value: str) -> Match:
        label_id = self.label_ids.get(_spelled(value))
        self.opens = self.opens or label_id in ("SPAM", "TRASH")
        return _labelled(label_id) if label_id else lambda _: False

    def _is(self, value: str) -> Match:
        if value == "read":
            return lambda candidate: "UNREAD" not in candidate.labels
        return _labelled(_IS[value]) if value in _IS else self._refuse(f"is:{value}")

    def _has(self, value: str) -> Match:
        if value == "attachment":
            return lambda candidate: candidate.view.has_attachment
        users = {label_id for label_id in self.label_ids.values() if label_id.startswith("Label_")}
        if value == "userlabels":
            return lambda candidate: not users.isdisjoint(candidate.labels)
        if value == "nouserlabels":
            return lambda candidate: users.isdisjoint(candidate.labels)
        return self._refuse(f"has:{value}")

    def _sized(self, operator: str, value: str) -> Match:
        parsed = re.fullmatch(r"(\d+)(k|m|)b?", value)
        if not parsed:
            return self._refuse(f"{operator}:{value}")
        limit = int(parsed.group(1)) * _SIZES[parsed.group(2)]
        if operator == "smaller":
            return lambda candidate: candidate.view.size < limit
        return lambda candidate: candidate.view.size > limit

    def _dated(self, operator: str, value: str) -> Match:
        """Epoch seconds as they are; a date means midnight Pacific."""
        if re.fullmatch(r"\d{6,}", value):
            limit = int(value)
        elif parsed := re.fullmatch(r"(\d{4})[/-](\d{1,2})[/-](\d{1,2})", value):
            day = date(*map(int, parsed.groups()))
            limit = int(datetime(day.year, day.month, day.day, tzinfo=PACIFIC).timestamp())
        else:
            return self._refuse(f"{operator}:{value}")
        return _since(limit) if operator in ("after", "newer") else _until(limit)

    def _aged(self, operator: str, value: str) -> Match:
        parsed = re.fullmatch(r"(\d+)([dmy])", value)
        if not parsed:
            return self._refuse(f"{operator}:{value}")
        limit = self.now - int(parsed.group(1)) * _DAYS[parsed.group(2)] * 86400
        return _since(limit) if operator == "newer_than" else _until(limit)

    def _ends(self, closing: str) -> bool:
        if closing and self._take(re.escape(closing)):
            return True
        at_end = not self.text[self.at :].strip()
        if at_end and closing:
            self._refuse(f"missing {closing}")
        return at_end

    def _take(self, pattern: str) -> re.Match[str] | None:
        found = re.compile(rf"\s*(?:{pattern})").match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

    def _refuse(self, what: str) -> Match:
        raise DoubleError(f"the Gmail double was not taught this query: {what} in {self.text!r}")


def _spelled(name: str) -> str:
    """Label names as the search box spells them: a dash for space and slash."""
    return re.sub(r"[\s/&()]", "-", name.lower())


def _labelled(label_id: str) -> Match:
    return lambda candidate: label_id in candidate.labels


def _since(limit: float) -> Match:
    return lambda candidate: candidate.internal_ms >= limit * 1000


def _until(limit: float) -> Match:
    return lambda candidate: candidate.internal_ms < limit * 1000


def _all(terms: Iterable[Match]) -> Match:
    fixed = tuple(terms)
    return lambda candidate: all(term(candidate) for term in fixed)


def _any(terms: Iterable[Match]) -> Match:
    fixed = tuple(terms)
    return lambda candidate: any(term(candidate) for term in fixed)
