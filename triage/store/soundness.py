"""Whether a database is whole: by its size, by SQLite's own check, by its shape, and by what its values must be.

Only reads. What is wrong comes back in words; the way out is the same for all of it (`WAY_BACK`). The shape is what the
steps of this version make: tables, columns, indexes, triggers; more than that is no fault. An early version edited its
steps in place, so that a database may name all the steps and still have another shape: that is told before any work is
done, and not by a column that is missing later.
"""

from __future__ import annotations

import json
import sqlite3
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from parsers.facts import FailureKind, NotKind
from remediation import Actor, Side
from triage.rows import Category
from triage.store.database import connect_plain, file_of
from triage.store.steps import migrations

if TYPE_CHECKING:
    from sqlite_utils import Database

SMALLEST = 512
"""Bytes of the smallest page SQLite knows; no database is shorter. https://sqlite.org/fileformat2.html#pages"""
JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")

_PARTS = (
    "SELECT m.type, m.name, '' FROM sqlite_master m WHERE m.type IN ('table', 'index', 'trigger')"
    " AND m.sql IS NOT NULL AND m.name NOT LIKE '%sqlite%'"
    " UNION ALL SELECT 'column', m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c"
    " WHERE m.type = 'table' AND m.name NOT LIKE '%sqlite%'"
)
_JSON = {
    *(("verdicts", "fix"), ("verdicts", "links"), ("actions", "payload"), ("rotations", "keys_before")),
    *(("audits", "domains"), ("audits", "regions"), ("audits", "calls"), ("audits", "not_asked")),
    *(("findings", "figures"), ("readings", "said")),
}
_WORDS: dict[tuple[str, str], frozenset[str]] = {
    ("verdicts", "kind"): frozenset(get_args(FailureKind) + get_args(NotKind)),
    ("verdicts", "category"): frozenset(get_args(Category)),
    ("verdicts", "side"): frozenset(get_args(Side)),
    ("verdicts", "actor"): frozenset(get_args(Actor)),
}


def cut_off(path: Path) -> str | None:
    """How the file was cut off, by its size and what lies beside it; None: it is whole, new, or not there."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return None
    if 0 < size < SMALLEST:
        return f"it was cut off after {size} byte{'' if size == 1 else 's'}"
    if size == 0 and (_size(path, "-wal") or _pages_before(path)):
        return "it was cut off: it is empty, and what was about to be written to it is still there"
    return None


def ended_unclean(path: Path) -> bool:
    """Whether something is left to be written of what a program did before it was killed, or does at this moment."""
    return bool(_size(path, "-wal") or _size(path, "-journal"))


def unsound(db: Database) -> str | None:
    """What SQLite finds wrong with the file; None: nothing. Reads all of it."""
    (answer,) = db.execute("PRAGMA quick_check(1)").fetchone()
    return None if answer == "ok" else str(answer)


def damage(db: Database) -> str | None:
    """All that can be told of a damage; None: none is found. Reads every value; for when something went wrong."""
    try:
        return unsound(db) or shape_problem(db) or next(_wrong_values(db), None)
    except (sqlite3.Error, ValueError, LookupError) as error:
        return str(error) or type(error).__name__


def shape_problem(db: Database) -> str | None:
    """What the database lacks, in words; None: nothing."""
    lacking = sorted(_expected() - _parts(db))
    if not lacking:
        return None
    kind, name, column = next((part for part in lacking if part[0] == "table"), lacking[0])
    return f"it lacks the column {name}.{column}" if kind == "column" else f"it lacks the {kind} {name}"


def is_known_shape(db: Database) -> bool:
    """Whether the shape was found right before, and nothing changed it since: it is looked at once, not at each run."""
    (mark,) = db.execute("PRAGMA user_version").fetchone()
    return bool(mark == _mark(db))


def keep_known_shape(db: Database) -> None:
    """Remember in the head of the file that its shape was found right."""
    db.execute(f"PRAGMA user_version = {_mark(db)}")


def _mark(db: Database) -> int:
    """What changes when the shape does: SQLite's own count of changes, and the newest step."""
    (version,) = db.execute("PRAGMA schema_version").fetchone()
    return zlib.crc32(f"{version} {migrations._migrations[-1].name}".encode()) >> 1


@cache
def _expected() -> frozenset[tuple[str, str, str]]:
    db = connect_plain(":memory:")
    migrations.apply(db)
    parts = _parts(db)
    db.close()
    return parts


def _parts(db: Database) -> frozenset[tuple[str, str, str]]:
    return frozenset((kind, name, column) for kind, name, column in db.execute(_PARTS))


def _size(path: Path, suffix: str) -> int:
    try:
        return path.with_name(f"{path.name}{suffix}").stat().st_size
    except OSError:
        return 0


def _pages_before(path: Path) -> int:
    """Pages the database had by its rollback journal (https://sqlite.org/fileformat2.html#the_rollback_journal)."""
    try:
        with path.with_name(f"{path.name}-journal").open("rb") as file:
            head = file.read(20)
    except OSError:
        return 0
    return int(struct.unpack(">I", head[16:20])[0]) if len(head) == 20 and head[:8] == JOURNAL_MAGIC else 0


def _wrong_values(db: Database) -> Iterator[str]:
    """Values that nobody wrote: no UTF-8, no time, no JSON, no word of ours, nothing that can be unpacked."""
    with closing(sqlite3.connect(f"{file_of(db).as_uri()}?mode=ro", uri=True)) as raw:
        raw.text_factory = bytes
        tables = raw.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%sqlite%'")
        for table in [name.decode() for (name,) in tables]:
            rows = raw.execute(f'SELECT * FROM "{table}"')  # noqa: S608
            checks = [_check_of(table, column[0]) for column in rows.description]
            for row in rows:
                for (column, fits), value in zip(checks, row, strict=True):
                    if value is not None and not _fits(fits, value):
                        yield f"a value in {table}.{column} cannot be read"


def _fits(fits: Callable[[Any], object], value: Any) -> bool:
    try:
        return fits(value) is not False
    except (ValueError, TypeError, AttributeError, RecursionError, zlib.error):
        return False


def _check_of(table: str, column: str) -> tuple[str, Callable[[Any], object]]:
    if column == "raw":
        return column, zlib.decompress
    if column == "at" or column.endswith("_at"):
        return column, lambda value: datetime.fromisoformat(value.decode())
    if (table, column) in _JSON:
        return column, json.loads
    if words := _WORDS.get((table, column)):
        return column, lambda value: value.decode() in words
    return column, lambda value: value.decode() if isinstance(value, bytes) else None
