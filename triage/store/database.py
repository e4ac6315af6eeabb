"""Opening the database: made and brought up to date, with errors a user can read and transactions that wait.

Part of the store: `store.py` offers what is here to everybody else. Knows the schema's steps, not its tables. Imports
SQLite only when a database is opened.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from triage.errors import ConfigError, TryLater
from triage.own_files import refuse_special

if TYPE_CHECKING:
    from sqlite_utils import Database

Row = dict[str, Any]
"""A row the store keeps to itself; what it gives to others is in `triage.rows`."""

BUSY_SECONDS = 10.0  # a report may be read while a run writes; a write of ours takes milliseconds


def open_store(path: Path) -> Database:
    """Open the database for writing, made (0600) or brought up to date as needed. Raises ConfigError or TryLater."""
    with plain_errors(path):
        refuse_special(path)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives its -wal and -shm files the mode of the database, so this one line covers all three.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        db = _connect(str(path))
        # NORMAL may lose the last commits in a power cut, but never a commit before a later one: the cursor stays last.
        _switch_to_wal(db)
        for pragma in ("synchronous = NORMAL", "foreign_keys = ON"):
            db.execute(f"PRAGMA {pragma}")
        _migrate(db, path)
        return db


def open_readonly(path: Path) -> Database | None:
    """Open the database without ever writing to it; None when there is none yet. Raises ConfigError or TryLater."""
    with plain_errors(path):
        refuse_special(path)
        if not path.exists():
            return None
        db = _connect(f"{path.absolute().as_uri()}?mode=ro")
        if has_pending(db, path):
            db.close()
            raise ConfigError(f"{path} was written by an older version", "Let `triage run` bring it up to date once.")
        return db


def schema_text() -> str:
    """The schema as SQL with its comments, tables first, for the docs."""
    db = _connect(":memory:")
    _migrate(db, Path(":memory:"))
    rows = db.execute(
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name NOT LIKE '%sqlite%'"
        " ORDER BY instr('table index trigger view', type), rowid"
    ).fetchall()
    db.close()
    return "".join(f"{sql};\n" for (sql,) in rows)


def _connect(target: str) -> Database:
    import sqlite3

    from sqlite_utils import Database

    connection = sqlite3.connect(target, timeout=BUSY_SECONDS, uri=target.startswith("file:"))
    return Database(connection, execute_plugins=False)  # plugins of the user's sqlite-utils have no business here


def _switch_to_wal(db: Database) -> None:
    """Let readers and one writer go on side by side; the file remembers it, so only a new one has to be switched.

    QUIRK(SQLite): two programs that switch the same new file meet "locked" at once, without the wait that every other
    statement gets.
    """
    import sqlite3

    give_up = time.monotonic() + BUSY_SECONDS
    while db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return  # also where the file system has no WAL: the database works without
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(0.01)


def _migrate(db: Database, path: Path) -> None:
    from triage.store.migrations import migrations

    if has_pending(db, path):
        with transaction(db):  # two first runs at once: the second waits here, then finds nothing to do
            migrations.apply(db)


def has_pending(db: Database, path: Path) -> bool:
    """Whether steps are missing; a database that is ahead of this program is refused."""
    from triage.store.migrations import migrations

    known = {step.name for step in migrations._migrations}
    if newer := [step.name for step in migrations.applied(db) if step.name not in known]:
        raise ConfigError(f"{path} was written by a newer version (step {newer[0]})", "Update bounce-triage.")
    return bool(migrations.pending(db))


@contextmanager
def plain_errors(path: Path | str) -> Iterator[None]:
    """Turn what SQLite and the file system say about the database into our two-line errors."""
    import sqlite3

    try:
        yield
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", "Make the folder writable, or name another database.") from error
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError):
        raise  # a row of ours is at fault, not the database
    except sqlite3.DatabaseError as error:
        if "locked" in str(error) or "busy" in str(error):
            raise TryLater(f"{path} is in use by another program", "Close it, or wait for the next run.") from error
        raise ConfigError(f"{path}: {error}", "Check the disk, or move the file away to start afresh.") from error


@overload
def storable(text: str) -> str: ...
@overload
def storable(text: None) -> None: ...
def storable(text: str | None) -> str | None:
    """Text as SQLite can hold it and its tools show it: what is no Unicode becomes a question mark, NUL a blank."""
    return None if text is None else text.encode("utf-8", "replace").decode().replace("\x00", " ")


def all_rows(db: Database, sql: str, values: Sequence[Any] | dict[str, Any] = ()) -> list[Any]:
    """Every row of an answer. Which of `triage.rows` they are the statement knows, and the caller's types say."""
    return list(db.query(sql, values))


def with_json(rows: Iterable[Row], column: str) -> list[Any]:
    """The rows with what is JSON in that column read."""
    return [{**row, column: json.loads(row[column])} for row in rows]


def first_row(db: Database, sql: str, values: Sequence[Any] | dict[str, Any] = ()) -> Row | None:
    """The first row of an answer; None where there is none."""
    return next(db.query(sql, values), None)


@contextmanager
def transaction(db: Database) -> Iterator[None]:
    """All or nothing. IMMEDIATE, because a transaction that starts by reading cannot wait for a writer later."""
    with plain_errors("the database"):
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            db.rollback()
            raise
        db.commit()
