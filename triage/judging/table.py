"""Arranges the rules, and finds those that fit the words and codes of a failure, the first one first.

The order of the rules decides. Nothing here knows what a cause means (that is `remediation`), and nothing here reads a
mail.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TypeVar

from parsers.facts import Failure
from parsers.text import lower_case
from triage.judging.clauses import end_of_general, is_possibility, without_names, without_possibilities
from triage.judging.phrases import beginnings, find_phrase, plain, sure_beginnings
from triage.judging.rules import Rule, RuleError, load_rules

MAX_TEXT = 4096
"""Characters of one text that are read; the longest real diagnostic in public collections has under 3,000."""

NO_HOST = "nobody"
"""Among the hosts of a row: it fits, too, where the report names no host that spoke."""
_GENERAL_FILES = "60"
"""From here on the files hold words that any server may say."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Table:
    """The rows for one side of the question "was it the alias's relay?", indexed; the order of the files is kept."""

    rules: tuple[Rule, ...]
    words: Mapping[str, tuple[tuple[int, int], ...]]
    """How the rarest words of a phrase begin -> (place of the rule, place of the phrase in it). See `beginnings`."""
    codes: Mapping[str, tuple[int, ...]]
    """Status or reply code, as a row writes it -> places of the code rows."""
    codeless: tuple[int, ...]
    """Places of rows that ask for neither words nor a code."""


@cache
def load_tables() -> tuple[Table, Table]:
    """Return the rows for what servers of recipients said, and those for the relay behind an alias."""
    rules = load_rules()
    # Two tables, not a condition: no row without `relay` can ever be chosen for a relay, nor the other way round.
    return index(r for r in rules if not r.relay), index(r for r in rules if r.relay)


def index(rules: Iterable[Rule]) -> Table:
    """Arrange rules so that a text is tested against the few phrases that have a chance, not against all."""
    rules = tuple(rules)
    phrases = [(place, nth, phrase) for place, rule in enumerate(rules) for nth, phrase in enumerate(rule.texts)]
    how_often = Counter(word for _, _, phrase in phrases for word in sure_beginnings(phrase))
    words: dict[str, list[tuple[int, int]]] = {}
    for place, nth, phrase in phrases:
        words.setdefault(min(sure_beginnings(phrase), key=how_often.__getitem__), []).append((place, nth))
    codes: dict[str, list[int]] = {}
    codeless: list[int] = []
    for place, rule in enumerate(rules):
        if not rule.texts:
            for code in rule.statuses or rule.replies:
                codes.setdefault(code, []).append(place)
            if not rule.statuses and not rule.replies:
                codeless.append(place)
    return Table(rules, _frozen(words), _frozen(codes), tuple(codeless))


def _frozen(lists: Mapping[str, list[_T]]) -> dict[str, tuple[_T, ...]]:
    return {key: tuple(values) for key, values in lists.items()}


def by_words(
    table: Table, text: str, failure: Failure, notice: str | None, reporter: str | None
) -> tuple[Rule, str] | None:
    """Return the first rule whose words stand in a text, and those words as the text writes them."""
    return next(all_by_words(table, text, failure, notice, reporter), None)


def all_by_words(
    table: Table, text: str, failure: Failure, notice: str | None, reporter: str | None, *, whole: bool = True
) -> Iterator[tuple[Rule, str]]:
    """Yield every rule whose words stand in a text, in their order; no more work than is asked for.

    Sentences that list possibilities do not count, but for rows that quote them and, with `whole`, for those of a known
    vendor; without `whole` neither do the words of a general prefix alone: see `clauses`.
    """
    original = " ".join(text[:MAX_TEXT].split())
    named = lower_case(original).replace("’", "'")
    lower = plain(without_names(named, failure.recipient))
    certain = without_possibilities(lower)
    begin = 0 if whole else end_of_general(lower)
    hits = [hit for word in table.words.keys() & beginnings(lower) for hit in table.words[word]]
    hits.sort()
    last = -1
    for place, nth in hits:
        if place == last:
            continue  # by another of its phrases
        rule = table.rules[place]
        phrase = rule.texts[nth]
        if certain is not lower and not (whole and rule.file < _GENERAL_FILES) and not is_possibility(phrase):
            read = certain
        else:
            read = lower
        # A phrase may begin in the prefix and go on behind it: such a row has read the clause.
        at = find_phrase(phrase, read, max(0, begin - len(phrase) + 1))
        if at < 0 or not _applies(rule, failure, notice, reporter):
            continue
        end = at + len(phrase)
        if rule.pattern is not None:
            match = _compiled(rule.pattern).search(read, begin)
            if match is None:
                continue
            at, end = match.span()
        if rule.names_recipient and (failure.recipient is None or failure.recipient.lower() not in named):
            continue
        last = place
        yield rule, original[at:end]


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """A pattern, compiled when the first text needs it: all of them at once would cost 20 ms at each start."""
    try:
        return re.compile(pattern)
    except re.error as error:
        raise RuleError(f"the regex {pattern!r} cannot be read: {error}") from error


def by_codes(table: Table, failure: Failure, notice: str | None, reporter: str | None) -> tuple[Rule, str | None]:
    """Return the first row without words that fits, and the code it asked for; the last row of a table always fits."""
    places = set(table.codeless)
    for code in _status_forms(failure.status) + _reply_forms(failure.reply_code):
        places.update(table.codes.get(code, ()))
    for place in sorted(places):
        rule = table.rules[place]
        if _applies(rule, failure, notice, reporter):
            asked = failure.reply_code if rule.replies and not rule.statuses else failure.status
            return rule, asked or failure.reply_code
    raise RuleError("the table has no last row that fits everything")


def _applies(rule: Rule, failure: Failure, notice: str | None, reporter: str | None) -> bool:
    """Whether all conditions of a row hold but its words."""
    if rule.platforms and failure.platform not in rule.platforms:
        return False
    if rule.remotes and not _is_under(failure.remote_host, rule.remotes):
        return False
    if rule.statuses and rule.statuses.isdisjoint(_status_forms(failure.status)):
        return False
    if rule.replies and rule.replies.isdisjoint(_reply_forms(failure.reply_code)):
        return False
    if rule.about_recipient and _is_before_recipient(failure):
        return False
    return not (
        (rule.notices and notice not in rule.notices)
        or (rule.kinds and failure.kind not in rule.kinds)
        or (rule.commands and failure.command not in rule.commands)
        or (rule.reporters and reporter not in rule.reporters)
    )


def _is_before_recipient(failure: Failure) -> bool:
    """Whether the answer is about our host or our address: by the command it answers, or by its code (RFC 3463 3.2)."""
    return failure.command in ("CONNECT", "EHLO", "MAIL") or (failure.status or "")[2:] in ("1.7", "1.8")


def _is_under(host: str | None, suffixes: tuple[str, ...]) -> bool:
    if host is None:
        return NO_HOST in suffixes
    return any(host == suffix or host.endswith("." + suffix) for suffix in suffixes)


@lru_cache(256)
def _status_forms(status: str | None) -> tuple[str, ...]:
    """The ways a row can ask for a status: `5.7.606`, `x.7.606`, `5.7.6xx`, `5.7.*`, `x.7.*`, `5.*.*`."""
    parts = status.split(".") if status else ()
    if len(parts) != 3:
        return ()
    klass, subject, detail = parts
    return (
        f"{klass}.{subject}.{detail}",
        f"x.{subject}.{detail}",
        f"{klass}.{subject}.{detail[0]}xx" if len(detail) == 3 else "",
        f"{klass}.{subject}.*",
        f"x.{subject}.*",
        f"{klass}.*.*",
    )


def _reply_forms(code: str | None) -> tuple[str, ...]:
    return (code, code[0] + "xx") if code else ()
