"""The catalogue of causes: what each one means, whose move it is, and how it is fixed.

Reads `causes.toml` beside this file and nothing else. Knows no mail, no verdict, no network; filling the fix steps
with real names is `remediation.suggest`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

from remediation.reasons import FAMILIES as FAMILIES
from remediation.reasons import REASONS as REASONS
from remediation.reasons import is_finer as is_finer
from remediation.vendor_limits import SUCCESSOR

Side = Literal["own", "remote", "unknown"]
"""Where the mail was stopped: before it left us (alias relay, SES, Gmail), at the recipient's servers, or not known."""

Actor = Literal["mailbox-owner", "aws-admin", "dns-admin", "recipient", "recipient-admin", "sender", "nobody"]

Permanence = Literal["permanent", "temporary", "depends"]

CATEGORIES = frozenset({"smtp-credentials", "ses-refused"})
"""The categories a cause alone decides; every other category depends on who refused (DESIGN section 3)."""

CREDENTIAL_CAUSES = frozenset({"alias-credentials-rejected", "alias-misconfigured"})
"""The failures a missing or wrong key can cause; a relay that is slow or away is no reason to touch keys."""

FILE = Path(__file__).parent / "causes.toml"

_REQUIRED = ("title", "meaning", "side", "actor", "permanence", "reason", "fix", "links")
_OPTIONAL = ("category", "decide", "notes")
_NOTE_KEYS = ("steps", "links")
_STEP_KEYS = ("when", "text", "for")

FOR_OTHERS = {
    "aws": "For whoever looks after AWS: ",
    "dns": "For whoever looks after the DNS: ",
    "microsoft": "For whoever looks after Microsoft 365: ",
    "terminal": "For whoever is at home in a terminal: ",
}
"""How a step begins that is not for the owner of the mailbox; only such a step may hold a command."""


class CatalogueError(ValueError):
    """The catalogue does not say what it must: `what` names the cause and the key, `todo` the nearest legal word."""

    def __init__(self, what: str, near: str | None = None) -> None:
        self.what = what
        self.todo = f"Did you mean {near!r}?" if near else "Mend it, or install triage again."
        super().__init__(f"{what}, did you mean {near!r}?" if near else what)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do, as a template."""

    text: str
    """A sentence or two; `{name}` stands for a value, what is between backticks is to be typed into a terminal.

    Begins as in FOR_OTHERS where it is not for the owner of the mailbox.
    """
    when: str | None = None
    """A word of `suggest.CONDITIONS`, or `not` and such a word: the step is given only then. None = always."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a mail failed, in the words a mailbox owner understands, and what to do."""

    id: str
    title: str
    meaning: str
    """What it means, one to three plain sentences, the technical term beside the plain one."""
    side: Side
    actor: Actor
    permanence: Permanence
    reason: str
    """The word of REASONS that comes nearest; a rule may know better."""
    category: str | None
    steps: tuple[Step, ...]
    """The fix in the order it should be tried, the notes the cause refers to last."""
    links: tuple[str, ...]
    """Official documentation only. Never a link that was found in a bounce."""
    decide: str | None
    """For an ambiguous cause: the other readings, and the test that would tell them apart. None = not ambiguous."""
    notes: tuple[str, ...]
    """Names of the shared notes that are already part of `steps`."""

    @property
    def fix(self) -> tuple[str, ...]:
        """The texts of all steps as templates, whatever their condition."""
        return tuple(step.text for step in self.steps)


@cache
def load_causes() -> Mapping[str, Cause]:
    """Return every cause by its id, in the order of the file; read once per process.

    Raises CatalogueError where the packaged file is not as it must be (a test keeps that from being shipped).
    """
    try:
        return read_causes(FILE.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogueError(str(error)) from error


def read_causes(toml: str) -> Mapping[str, Cause]:
    """Turn the text of a catalogue into causes by id, refusing whatever the table of keys does not allow.

    Raises CatalogueError naming the cause, and the nearest legal word for a misspelt one.
    """
    try:
        data = tomllib.loads(toml)
    except tomllib.TOMLDecodeError as error:
        raise CatalogueError(f"not TOML: {error}") from error
    _refuse_others("the catalogue", data, ("phrases", "notes", "causes"))
    phrases = {name: _one_line(text) for name, text in data.get("phrases", {}).items()} | {"successor": SUCCESSOR}
    notes = data.get("notes", {})
    for name, note in notes.items():
        _refuse_others(f"note {name}", note, _NOTE_KEYS)
    return MappingProxyType(
        {id_: _read_cause(id_, table, notes, phrases) for id_, table in data.get("causes", {}).items()}
    )


def is_for_others(step: str) -> bool:
    """Whether a step, filled or not, is for somebody else than the owner of the mailbox (see FOR_OTHERS)."""
    return step.startswith(tuple(FOR_OTHERS.values()))


def _read_cause(id_: str, table: Any, notes: Mapping[str, Any], phrases: Mapping[str, str]) -> Cause:
    where = f"cause {id_}"
    _refuse_others(where, table, _REQUIRED + _OPTIONAL)
    for key in _REQUIRED:
        if key not in table or not (table[key] or key == "links"):
            raise CatalogueError(f"{where}: {key} is missing")
    named = tuple(table.get("notes", ()))
    for name in named:
        _refuse_word(where, "note", name, notes)
    for key, words in (("side", get_args(Side)), ("actor", get_args(Actor)), ("permanence", get_args(Permanence))):
        _refuse_word(where, key, table[key], words)
    _refuse_word(where, "reason", table["reason"], REASONS)
    if "category" in table:
        _refuse_word(where, "category", table["category"], CATEGORIES)
    rows = [*table["fix"], *(row for name in named for row in notes[name].get("steps", ()))]
    links = [*table["links"], *(link for name in named for link in notes[name].get("links", ()))]
    if not links:
        raise CatalogueError(f"{where}: neither it nor its notes have a link")
    return Cause(
        id=id_,
        title=_one_line(table["title"]),
        meaning=_one_line(table["meaning"]),
        side=table["side"],
        actor=table["actor"],
        permanence=table["permanence"],
        reason=table["reason"],
        category=table.get("category"),
        steps=tuple(_read_step(where, row, phrases) for row in rows),
        links=tuple(dict.fromkeys(links)),
        decide=_one_line(table["decide"]) if "decide" in table else None,
        notes=named,
    )


def _read_step(where: str, row: Any, phrases: Mapping[str, str]) -> Step:
    table = {"text": row} if isinstance(row, str) else row
    _refuse_others(f"{where}, a step", table, _STEP_KEYS)
    if not table.get("text"):
        raise CatalogueError(f"{where}: a step has no text")
    text = _one_line(table["text"])
    for name, phrase in phrases.items():
        text = text.replace("{" + name + "}", phrase)
    whom = table.get("for")
    if whom is not None:
        _refuse_word(where, "for", whom, FOR_OTHERS)
        text = FOR_OTHERS[whom] + text
    return Step(text, table.get("when"))


def _one_line(text: Any) -> str:
    """Join a text that was wrapped for reading in the file."""
    if not isinstance(text, str):
        raise CatalogueError(f"a text is expected, not {text!r}")
    return " ".join(text.split())


def _refuse_others(where: str, table: Any, keys: Collection[str]) -> None:
    if not isinstance(table, dict):
        raise CatalogueError(f"{where}: a table is expected, not {table!r}")
    for key in table:
        _refuse_word(where, "key", key, keys)


def _refuse_word(where: str, what: str, word: Any, legal: Collection[str]) -> None:
    if word not in legal:
        import difflib  # only an author of the catalogue pays for it

        near = difflib.get_close_matches(str(word), list(legal), 1)
        raise CatalogueError(f"{where}: unknown {what} {word!r}", near[0] if near else None)
