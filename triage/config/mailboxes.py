"""Several mailboxes in one triage.toml: a `[[mailbox]]` table for each, whose values go before those of the whole file.

Opens no file. A table has a name and its account, database, token and whatever else is different for this mailbox; its
database and token are files named after it unless it says otherwise, so that no two mailboxes ever share one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from triage.config.settings import Settings
from triage.errors import ConfigError, UsageError

TABLES = "mailbox"
"""The key of the tables; with a text behind it, it is the setting of that name."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")  # a part of file names
_OTHER_WORDS = {"account": "mailbox"}
"""Words of a table -> the setting they stand for."""


class MailboxSettings(NamedTuple):
    """One of several mailboxes: its settings, or why they cannot be used."""

    name: str
    settings: Settings | ConfigError


class SettingsFile(NamedTuple):
    """A triage.toml that was read."""

    path: Path | None
    """None: there is none."""
    found: Mapping[str, Any]
    """What it sets for everything."""
    lines: Mapping[str, int]
    tables: Mapping[str, Mapping[str, Any]]
    """By name, in the order of the file; empty: it is about one mailbox."""


def tables_by_name(tables: list[Any], file: Path) -> dict[str, Mapping[str, Any]]:
    """The `[[mailbox]]` tables by their names. Raises ConfigError where one has none, or two have the same."""
    found: dict[str, Mapping[str, Any]] = {}
    for number, table in enumerate(tables, start=1):
        name = table.get("name") if isinstance(table, dict) else None
        if not isinstance(name, str) or _NAME.fullmatch(name) is None:
            raise ConfigError(
                f"{file}: the [[mailbox]] table number {number} has no name, or one that no file can have.",
                'Give it one of letters, digits, - and _, such as name = "office".',
            )
        if name.lower() in {known.lower() for known in found}:  # some disks know no capitals
            raise ConfigError(f"{file}: two [[mailbox]] tables are named {name}.", "Give each a name of its own.")
        found[name] = table
    return found


def named_table(
    tables: Mapping[str, Mapping[str, Any]], name: str | None, file: Path | None
) -> tuple[str, Mapping[str, Any]] | None:
    """The table that is meant, with its name; None: the file is about one mailbox. Raises UsageError for any other."""
    if name is None and not tables:
        return None
    if name is None:
        raise UsageError(f"{file} is about {len(tables)} mailboxes.", f"Say which: --mailbox-name {next(iter(tables))}")
    if name not in tables:
        known = (
            f"It has: {', '.join(list(tables)[:10])}"
            if tables
            else "Leave --mailbox-name out: it has no [[mailbox]] tables"
        )
        raise UsageError(f"There is no mailbox named {name!r} in {file or 'triage.toml'}.", f"{known}.")
    return name, tables[name]


def own_values(name: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of one mailbox: those of its table, and the files that are named after it."""
    values = {"database": f"{name}.db", "token": f"{name}-token.json"}
    return values | {_OTHER_WORDS.get(key, key): value for key, value in table.items() if key != "name"}
