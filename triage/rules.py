"""Loads the table of rules and finds the first row that fits the words and codes of a failure.

The rows are data (`rules.toml`); their order decides. Nothing here knows what a cause means (that is `remediation`),
and nothing here reads a mail.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar, get_args

from parsers.facts import Failure, Kind
from remediation import REASONS, load_causes

MAX_TEXT = 4096
"""Characters of one text that are read; the longest real diagnostic in public collections has under 3,000."""

_T = TypeVar("_T")

_WORD = re.compile(r"\w+")
# Japanese, Chinese and Korean put no space between words: there each character counts as one.
_UNSPACED = re.compile(r"[\u3040-\u9fff\uac00-\ud7a3]")
_BEGINNING = re.compile(r"(\w{1,4}+)\w*+")
_KEYS = {
    **dict.fromkeys(("id", "cause", "reason", "regex", "source"), str),
    **dict.fromkeys(("permanent", "relay", "names_recipient"), bool),
    **dict.fromkeys(
        ("text", "status", "reply", "platform", "remote", "notice", "kind", "reported_by", "examples"), list
    ),
}
"""The keys of a row and what they hold; one text stands for a list of one."""
_STATUS = re.compile(r"[45x]\.\d{1,3}\.(?:\d{1,3}|\*)|[45]\.\d{1,3}\.\dxx|[45]\.\*\.\*")
_REPLY = re.compile(r"[45](?:\d\d|xx)")


class RuleError(ValueError):
    """The table does not say what it must; the message names the row and the key."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: every condition that is given must hold. None or empty = no such condition."""

    id: str
    cause: str
    source: str
    examples: tuple[str, ...]
    reason: str | None
    """A word of remediation.REASONS, where the cause's own is not the nearest."""
    permanent: bool | None
    texts: tuple[str, ...]
    """Lower-case words, one of which must stand in the text."""
    pattern: str | None
    """A regex that must be found too, in the lower-case text; matches in linear time."""
    names_recipient: bool
    """The text must name the recipient that failed (SES lists the addresses that it does not know)."""
    platforms: frozenset[str]
    remotes: tuple[str, ...]
    notices: frozenset[str]
    relay: bool
    kinds: frozenset[str]
    reporters: frozenset[str]
    statuses: frozenset[str]
    replies: frozenset[str]


@dataclass(frozen=True, slots=True)
class Table:
    """The rows for one side of the question "was it the alias's relay?", indexed; the order of the file is kept."""

    rules: tuple[Rule, ...]
    words: Mapping[str, tuple[tuple[int, int], ...]]
    """How the rarest words of a phrase begin -> (place of the rule, place of the phrase in it). See `beginnings`."""
    codes: Mapping[str, tuple[int, ...]]
    """Status or reply code, as a row writes it -> places of the code rows."""
    codeless: tuple[int, ...]
    """Places of rows that ask for neither words nor a code."""


@cache
def load_rules() -> tuple[Rule, ...]:
    """Return the rows of `rules.toml` in their order; read once per process."""
    return read_rules((Path(__file__).parent / "rules.toml").read_text(encoding="utf-8"))


@cache
def load_tables() -> tuple[Table, Table]:
    """Return the rows for what servers of recipients said, and those for the relay behind an alias."""
    rules = load_rules()
    # Two tables, not a condition: no row without `relay` can ever be chosen for a relay, nor the other way round.
    return index(r for r in rules if not r.relay), index(r for r in rules if r.relay)


def read_rules(toml: str) -> tuple[Rule, ...]:
    """Turn the text of a table into rules, in its order.

    Raises RuleError for an unknown key, cause or reason, a repeated id, and a row without example or source.
    """
    rows = _plain_rows(toml)
    if rows is None:
        data = tomllib.loads(toml)
        _refuse_others("the table", data, ("rule",))
        rows = data.get("rule", ())
    rules = tuple(_read_row(row) for row in rows)
    seen: set[str] = set()
    for rule in rules:
        if rule.id in seen:
            raise RuleError(f"rule {rule.id}: the id is used twice")
        seen.add(rule.id)
    return rules


_COMMENT = re.compile(r"^#.*\n?", re.MULTILINE)
_LITERAL = re.compile(r"^(\w+ = )'([^'\n]*)'$", re.MULTILINE)
_KEY = re.compile(r"^(\w+) = ", re.MULTILINE)


def _plain_rows(toml: str) -> list[dict[str, Any]] | None:
    """Read rows that are written plainly, strings and lists of strings only, as JSON; None where one is not.

    tomllib takes 200 ms for the packaged table, this 5: a command that judges one mail would notice.
    """
    blocks = _COMMENT.sub("", toml).split("[[rule]]\n")
    if blocks[0].strip():
        return None
    plain = [_LITERAL.sub(lambda m: m[1] + json.dumps(m[2]), block).replace(",\n]", "\n]") for block in blocks[1:]]
    try:
        # A leading comma before each key; the first of a row is cut off.
        rows = json.loads(
            "[" + ",".join("{" + _KEY.sub(r',"\1": ', b).strip()[1:] + "}" for b in plain) + "]", object_pairs_hook=list
        )
    except ValueError:
        return None
    found = [dict(pairs) for pairs in rows]
    return found if all(len(row) == len(pairs) for row, pairs in zip(found, rows, strict=True)) else None


def _read_row(row: Mapping[str, Any]) -> Rule:
    where = f"rule {row.get('id', '?')}"
    _refuse_others(where, row, _KEYS)
    for key, value in row.items():
        if not isinstance(value, (str, list) if _KEYS[key] is list else _KEYS[key]):
            raise RuleError(f"{where}: {key} must be a {_KEYS[key].__name__}")
    for key in ("id", "cause", "source", "examples"):
        if not row.get(key):
            raise RuleError(f"{where}: {key} is missing")
    _refuse_word(where, "cause", row["cause"], load_causes())
    if "reason" in row:
        _refuse_word(where, "reason", row["reason"], REASONS)
    texts = _list(row, "text")
    for text in texts:
        if text != text.lower() or not text.strip() or "’" in text:
            raise RuleError(f"{where}: text {text!r} must be lower-case words with straight apostrophes")
        if not _sure_beginnings(text):
            raise RuleError(f"{where}: text {text!r} needs a word of four letters, or one that ends inside it")
    if ("regex" in row or row.get("names_recipient")) and not texts:
        # The words let the costly test wait until it has a chance.
        raise RuleError(f"{where}: regex and names_recipient need text beside them")
    for kind in _list(row, "kind"):
        _refuse_word(where, "kind", kind, get_args(Kind))
    for code, shape in [(s, _STATUS) for s in _list(row, "status")] + [(r, _REPLY) for r in _list(row, "reply")]:
        if not shape.fullmatch(code):
            raise RuleError(f"{where}: {code!r} is no code a row can ask for")
    return Rule(
        id=row["id"],
        cause=row["cause"],
        source=row["source"],
        examples=_list(row, "examples"),
        reason=row.get("reason"),
        permanent=row.get("permanent"),
        texts=texts,
        pattern=row.get("regex"),
        names_recipient=row.get("names_recipient", False),
        platforms=frozenset(_list(row, "platform")),
        remotes=_list(row, "remote"),
        notices=frozenset(_list(row, "notice")),
        relay=row.get("relay", False),
        kinds=frozenset(_list(row, "kind")),
        reporters=frozenset(_list(row, "reported_by")),
        statuses=frozenset(_list(row, "status")),
        replies=frozenset(_list(row, "reply")),
    )


def _list(row: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """The value of a key that may be one string or a list of them."""
    value = row.get(key, ())
    values = (value,) if isinstance(value, str) else tuple(value)
    if not all(isinstance(item, str) and item for item in values):
        raise RuleError(f"rule {row.get('id', '?')}: {key} must be a text or a list of texts")
    return values


def index(rules: Iterable[Rule]) -> Table:
    """Arrange rules so that a text is tested against the few phrases that have a chance, not against all."""
    rules = tuple(rules)
    phrases = [(place, nth, phrase) for place, rule in enumerate(rules) for nth, phrase in enumerate(rule.texts)]
    how_often = Counter(word for _, _, phrase in phrases for word in _sure_beginnings(phrase))
    words: dict[str, list[tuple[int, int]]] = {}
    for place, nth, phrase in phrases:
        words.setdefault(min(_sure_beginnings(phrase), key=lambda word: how_often[word]), []).append((place, nth))
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


def beginnings(text: str) -> set[str]:
    """How the words of a text begin, four letters at most, alone and together with the next word.

    A phrase can stand in a text only if its words do. One look-up for each of the few words of a text takes the place
    of a search for each of the two thousand phrases of the table.
    """
    words = _BEGINNING.findall(text if text.isascii() else _UNSPACED.sub(r" \g<0> ", text))
    return {*words, *map(" ".join, pairwise(words))}


def _sure_beginnings(phrase: str) -> list[str]:
    """The beginnings a text must have to hold a phrase, pairs where there are; its last word may end later there."""
    phrase = _UNSPACED.sub(r" \g<0> ", phrase)
    words = [m[0][:4] for m in _WORD.finditer(phrase) if m.end() < len(phrase) or m.end() - m.start() >= 4]
    return [a + " " + b for a, b in pairwise(words)] or words


def by_words(
    table: Table, text: str, failure: Failure, notice: str | None, reporter: str | None
) -> tuple[Rule, str] | None:
    """Return the first rule whose words stand in a text, and those words as the text writes them."""
    original = " ".join(text[:MAX_TEXT].split())
    lower = original.lower().replace("’", "'")
    hits = [hit for word in table.words.keys() & beginnings(lower) for hit in table.words[word]]
    hits.sort()
    for place, nth in hits:
        rule = table.rules[place]
        at = _find(rule.texts[nth], lower)
        if at < 0 or not _applies(rule, failure, notice, reporter):
            continue
        end = at + len(rule.texts[nth])
        if rule.pattern is not None:
            match = _compiled(rule.pattern).search(lower)
            if match is None:
                continue
            at, end = match.span()
        if rule.names_recipient and (failure.recipient is None or failure.recipient.lower() not in lower):
            continue
        # Some letters change their length in lower case; then the places differ, and the lower-case words must do.
        return rule, (original if len(original) == len(lower) else lower)[at:end]
    return None


def _find(phrase: str, text: str) -> int:
    """Where a phrase stands in a text, beginning where a word begins; -1 where it does not."""
    at = text.find(phrase)
    while at > 0 and _is_inside_word(text, at):
        at = text.find(phrase, at + 1)
    return at


def _is_inside_word(text: str, at: int) -> bool:
    if text[at] >= "\u3040" or text[at - 1] >= "\u3040":
        return False  # no spaces between words there, see _UNSPACED
    return (text[at].isalnum() or text[at] == "_") and (text[at - 1].isalnum() or text[at - 1] == "_")


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """A pattern, compiled when the first text needs it: all of them at once would cost 20 ms at each start."""
    return re.compile(pattern)


def by_codes(table: Table, failure: Failure, notice: str | None, reporter: str | None) -> tuple[Rule, str | None]:
    """Return the first row without words that fits, and the code it asked for; the last row of a table always fits."""
    places = set(table.codeless)
    for code in _status_forms(failure.status) + _reply_forms(failure.reply_code):
        places.update(table.codes.get(code, ()))
    for place in sorted(places):
        rule = table.rules[place]
        if _applies(rule, failure, notice, reporter):
            return rule, (
                failure.reply_code if rule.replies and not rule.statuses else failure.status
            ) or failure.reply_code
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
    return not (
        (rule.notices and notice not in rule.notices)
        or (rule.kinds and failure.kind not in rule.kinds)
        or (rule.reporters and reporter not in rule.reporters)
    )


def _is_under(host: str | None, suffixes: tuple[str, ...]) -> bool:
    return host is not None and any(host == suffix or host.endswith("." + suffix) for suffix in suffixes)


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


def _refuse_others(where: str, table: Mapping[str, Any], keys: Iterable[str]) -> None:
    for key in table:
        _refuse_word(where, "key", key, keys)


def _refuse_word(where: str, what: str, word: Any, legal: Iterable[str]) -> None:
    legal = list(legal)
    if word not in legal:
        near = difflib.get_close_matches(str(word), legal, 1)
        raise RuleError(f"{where}: unknown {what} {word!r}" + (f", did you mean {near[0]!r}?" if near else ""))
