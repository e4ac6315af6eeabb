"""Reads the rows of rules/*.toml, in the order of the names of the files, and refuses those that are not well written.

The order decides; see rules/README.md. Knows no mail, and nothing of what a cause means (that is `remediation`).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args

from parsers.facts import COMMANDS, FailureKind
from remediation import REASONS, CatalogueError, Cause, is_finer, load_causes
from triage.errors import ConfigError, of_catalogue
from triage.judging.phrases import plain, spellings, sure_beginnings

FOLDER = Path(__file__).parent / "rules"

_KEYS = {
    **dict.fromkeys(("id", "cause", "reason", "source"), str),
    **dict.fromkeys(("permanent", "relay", "names_recipient"), bool),
    **dict.fromkeys(("text", "regex", "status", "reply", "command", "platform", "remote", "notice", "kind"), list),
    **dict.fromkeys(("reported_by", "examples"), list),
}
"""The keys of a row and what they hold; one text stands for a list of one."""
_LISTS = [key for key, kind in _KEYS.items() if kind is list]
_STATUS = re.compile(r"[45x]\.\d{1,3}\.(?:\d{1,3}|\*)|[45]\.\d{1,3}\.\dxx|[45]\.\*\.\*")
_REPLY = re.compile(r"[45](?:\d\d|xx)")
_ABOUT_RECIPIENT = frozenset(
    {
        *("recipient-unknown", "recipient-address-malformed", "recipient-disabled", "recipient-moved"),
        *("recipient-access-denied", "domain-not-found"),
    }
)
"""Causes that only an answer to RCPT or later can prove: before it no server knows of a recipient (RFC 5321 3.3)."""
_LIST = re.compile(r"\{([a-z][a-z-]*)\}")
"""`{name}` in a text or regex: any word of the list of this name. A number in braces is a regex's own."""

Lists = Mapping[str, tuple[str, ...]]


class RuleError(ConfigError):
    """The rows do not say what they must; `what` names the file, the row and the key."""

    def __init__(self, what: str, todo: str = "Mend it, or install triage again.") -> None:
        super().__init__(what, todo)


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: every condition that is given must hold. None or empty = no such condition."""

    id: str
    file: str
    """The file it stands in."""
    cause: str
    source: str
    examples: tuple[str, ...]
    reason: str | None
    """A word of remediation.REASONS, where there is a finer one than the cause's own, of the same family."""
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
    commands: frozenset[str]
    reporters: frozenset[str]
    statuses: frozenset[str]
    replies: frozenset[str]
    about_recipient: bool
    """Its cause says something of the recipient, which no answer to an earlier command can."""


@cache
def load_rules() -> tuple[Rule, ...]:
    """Return the rows of all files in their order; read once per process.

    Raises ConfigError where the files, or the catalogue of causes they refer to, are not as they must be.
    """
    try:
        files = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.toml"))}
    except (OSError, UnicodeDecodeError) as error:
        raise RuleError(f"{FOLDER}: {error}", "Install triage again.") from error
    if not files:
        raise RuleError(f"{FOLDER}: there are no rules", "Install triage again.")
    return read_rules(files)


def read_rules(files: Mapping[str, str]) -> tuple[Rule, ...]:
    """Turn the texts of files, by name, into rules, in their order.

    Raises RuleError for what is no TOML, an unknown key, cause, reason or list, an id used twice, also in two files,
    and a row without example or source.
    """
    try:
        causes = load_causes()
    except CatalogueError as error:
        raise of_catalogue(error) from error
    rules = tuple(rule for name, toml in files.items() for rule in _read_file(name, toml, causes))
    places: dict[str, str] = {}
    for rule in rules:
        if rule.id in places:
            raise RuleError(f"{rule.file}, rule {rule.id}: the id is used twice, first in {places[rule.id]}")
        places[rule.id] = rule.file
    return rules


def _read_file(name: str, toml: str, causes: Mapping[str, Cause]) -> list[Rule]:
    try:
        data = tomllib.loads(toml)
    except tomllib.TOMLDecodeError as error:
        raise RuleError(f"{name}: not TOML: {error}", "Mend the line it names, or install triage again.") from error
    _refuse_others(name, data, ("words", "rule"))
    words, rows = data.get("words", {}), data.get("rule", [])
    if not isinstance(words, dict) or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise RuleError(f"{name}: it is made of one [words] and of [[rule]] rows")
    lists = {key: _words(name, key, value) for key, value in words.items()}
    return [_read_row(name, row, lists, causes) for row in rows]


def _words(file: str, name: str, words: Any) -> tuple[str, ...]:
    where = f"{file}, words {name}"
    if not _LIST.fullmatch(f"{{{name}}}"):
        raise RuleError(f"{where}: a name is made of small letters and hyphens")
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise RuleError(f"{where}: a list of texts is wanted")
    for word in words:
        _refuse_capitals(where, word)
    return _spelt(words)


def _spelt(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(spelling for word in words for spelling in spellings(word)))


def _read_row(file: str, row: Mapping[str, Any], lists: Lists, causes: Mapping[str, Cause]) -> Rule:
    where = f"{file}, rule {row.get('id', '?')}"
    _refuse_others(where, row, _KEYS)
    for key, value in row.items():
        if not isinstance(value, (str, list) if _KEYS[key] is list else _KEYS[key]):
            raise RuleError(f"{where}: {key} must be a {_KEYS[key].__name__}")
    for key in ("id", "cause", "source", "examples"):
        if not row.get(key):
            raise RuleError(f"{where}: {key} is missing")
    _refuse_word(where, "cause", row["cause"], causes)
    if "reason" in row:
        _refuse_word(where, "reason", row["reason"], REASONS)
        _refuse_other_family(where, row["reason"], causes[row["cause"]].reason)
    values = {key: _values(where, key, row[key]) if key in row else () for key in _LISTS}
    for text in values["text"]:
        _refuse_capitals(where, text)
    texts = _spelt(text for item in values["text"] for text in _spelt_out(where, item, lists))
    for text in texts:
        if not sure_beginnings(text):
            raise RuleError(f"{where}: text {text!r} needs a word of four letters, or one that ends inside it")
    if (values["regex"] or row.get("names_recipient")) and not texts:
        # The words let the costly test wait until it has a chance.
        raise RuleError(f"{where}: regex and names_recipient need text beside them")
    for kind in values["kind"]:
        _refuse_word(where, "kind", kind, get_args(FailureKind))
    for command in values["command"]:
        _refuse_word(where, "command", command, COMMANDS)
    for code, shape in [(s, _STATUS) for s in values["status"]] + [(r, _REPLY) for r in values["reply"]]:
        if not shape.fullmatch(code):
            raise RuleError(f"{where}: {code!r} is no code a row can ask for")
    return Rule(
        id=row["id"],
        file=file,
        cause=row["cause"],
        source=row["source"],
        examples=values["examples"],
        reason=row.get("reason"),
        permanent=row.get("permanent"),
        texts=texts,
        pattern="|".join(_with_lists(where, plain(regex), lists) for regex in values["regex"]) or None,
        names_recipient=row.get("names_recipient", False),
        platforms=frozenset(values["platform"]),
        remotes=values["remote"],
        notices=frozenset(values["notice"]),
        relay=row.get("relay", False),
        kinds=frozenset(values["kind"]),
        commands=frozenset(values["command"]),
        reporters=frozenset(values["reported_by"]),
        statuses=frozenset(values["status"]),
        replies=frozenset(values["reply"]),
        about_recipient=row["cause"] in _ABOUT_RECIPIENT,
    )


def _values(where: str, key: str, value: Any) -> tuple[str, ...]:
    """The value of a key that may be one text or a list of them."""
    values = (value,) if isinstance(value, str) else tuple(value)
    if not all(isinstance(item, str) and item for item in values):
        raise RuleError(f"{where}: {key} must be a text or a list of texts")
    return values


def _spelt_out(where: str, text: str, lists: Lists) -> tuple[str, ...]:
    """The words of the list a text names; a text that names none is itself."""
    named = _LIST.fullmatch(text)
    return _named(where, named[1], lists) if named else (text,)


def _with_lists(where: str, regex: str, lists: Lists) -> str:
    """A regex with the words of the lists it names in their places."""
    return _LIST.sub(lambda named: f"(?:{'|'.join(map(re.escape, _named(where, named[1], lists)))})", regex)


def _named(where: str, name: str, lists: Lists) -> tuple[str, ...]:
    _refuse_word(where, "list of words", name, lists)
    return lists[name]


def _refuse_capitals(where: str, text: str) -> None:
    if text != text.lower() or not text.strip() or "’" in text:
        raise RuleError(f"{where}: text {text!r} must be lower-case words with straight apostrophes")


def _refuse_other_family(where: str, reason: str, of_cause: str) -> None:
    """A reason follows from the cause: a row may only say the same thing more exactly."""
    if not is_finer(reason, of_cause):
        raise RuleError(
            f"{where}: reason {reason!r} is of another family than {of_cause!r}, the word of its cause",
            "Give the row another cause, or no reason (remediation/reasons.py holds the families).",
        )


def _refuse_others(where: str, table: Mapping[str, Any], keys: Collection[str]) -> None:
    for key in table:
        _refuse_word(where, "key", key, keys)


def _refuse_word(where: str, what: str, word: Any, legal: Collection[str]) -> None:
    if word not in legal:
        import difflib  # only an author of rules pays for it

        what = f"{where}: unknown {what} {word!r}"
        near = difflib.get_close_matches(str(word), list(legal), 1)
        raise RuleError(what, f"Did you mean {near[0]!r}?") if near else RuleError(what)
