"""Opening the database: made and brought up to date, with errors a user can read and transactions that wait.

Part of the store: `store.py` offers what is here to everybody else. Knows the schema's steps, not its tables. Imports
SQLite only when a database is opened.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from triage.errors import ConfigError, TriageError, TryLater
from triage.own_files import refuse_special

if TYPE_CHECKING:
    from sqlite_utils import Database

Row = dict[str, Any]
"""A row the store keeps to itself; what it gives to others is in `triage.rows`."""

BUSY_SECONDS = 10.0  # a report may be read while a run writes; a write of ours takes milliseconds


WAY_BACK = "Put the newest backup back: triage restore. Without one: triage rebuild."


def open_store(path: Path) -> Database:
    """Open the database for writing, made (0600) or brought up to date as needed. Raises ConfigError or TryLater.

    After an unclean end SQLite checks all of it first; before its shape changes a backup is made.
    """
    with plain_errors(path):
        refuse_special(path)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        was_unclean = _refuse_cut_off(path)
        # SQLite gives its -wal and -shm files the mode of the database, so this one line covers all three.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        db = connect_plain(str(path))
        try:
            _brought_up(db, path, was_unclean)
        except BaseException:
            db.close()
            raise
        return db


def open_readonly(path: Path) -> Database | None:
    """Open the database without ever writing to it; None when there is none yet. Raises ConfigError or TryLater."""
    with plain_errors(path):
        refuse_special(path)
        if not path.exists():
            return None
        _refuse_cut_off(path)
        db = connect_readonly(path)
        try:
            if has_pending(db, path):
                raise ConfigError(
                    f"{path} was written by an older version", "Let `triage run` bring it up to date once."
                )
            _refuse_strange_shape(db, path)
        except BaseException:
            db.close()
            raise
        return db


def integrity_problem(db: Database) -> str | None:
    """What SQLite finds wrong with the file; None: nothing. Reads all of it."""
    from triage.store.soundness import unsound

    return unsound(db)


def blamed(error: Exception, path: Path) -> TriageError | None:
    """What to tell of an error where the database is to blame for it; None: it is not, as far as can be found."""
    import sqlite3

    told = of_sqlite(error, path) if isinstance(error, sqlite3.Error) else None
    if told or not os.path.isfile(path):  # Path.is_file raises where the folder is closed to us
        return told
    from triage.store.soundness import damage

    try:
        with closing(connect_readonly(path)) as db:
            problem = damage(db)
    except sqlite3.Error as another:
        problem = str(another)
    return damaged(path, problem) if problem else None


def damaged(path: Path, problem: str) -> ConfigError:
    """The database cannot be used, and how to get one that can."""
    return ConfigError(f"{path} is damaged: {problem}", WAY_BACK)


def _refuse_cut_off(path: Path) -> bool:
    """Raise ConfigError for a file that is no whole database any more; else whether its last user ended unclean."""
    from triage.store.soundness import cut_off, ended_unclean

    if problem := cut_off(path):
        raise damaged(path, problem)
    return ended_unclean(path)


def _brought_up(db: Database, path: Path, was_unclean: bool) -> None:
    from triage.store.soundness import unsound

    if was_unclean and (problem := unsound(db)):
        raise damaged(path, problem)
    # NORMAL may lose the last commits in a power cut, but never a commit before a later one: the cursor stays last.
    _switch_to_wal(db)
    for pragma in ("synchronous = NORMAL", "foreign_keys = ON"):
        db.execute(f"PRAGMA {pragma}")
    _migrate(db, path)
    if _refuse_strange_shape(db, path):
        from triage.store.soundness import keep_known_shape

        keep_known_shape(db)


def _refuse_strange_shape(db: Database, path: Path) -> bool:
    """Raise ConfigError where the steps are all there and the shape is another; else whether it had to be looked at."""
    from triage.store.soundness import is_known_shape, shape_problem

    if is_known_shape(db):
        return False
    if problem := shape_problem(db):
        raise _strange(path, problem)
    return True


def _strange(path: Path, problem: str) -> ConfigError:
    return ConfigError(f"{path} has a shape that no release of triage gave it: {problem}", WAY_BACK)


def schema_text() -> str:
    """The schema as SQL with its comments, tables first, for the docs."""
    db = connect_plain(":memory:")
    _migrate(db, Path(":memory:"))
    rows = db.execute(
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name NOT LIKE '%sqlite%'"
        " ORDER BY instr('table index trigger view', type), rowid"
    ).fetchall()
    db.close()
    return "".join(f"{sql};\n" for (sql,) in rows)


def connect_plain(target: str) -> Database:
    """A connection as it is, nothing made, checked or brought up to date."""
    import sqlite3

    from sqlite_utils import Database

    connection = sqlite3.connect(target, timeout=BUSY_SECONDS, uri=target.startswith("file:"))
    return Database(connection, execute_plugins=False)  # plugins of the user's sqlite-utils have no business here


def connect_readonly(path: Path) -> Database:
    """The same, without ever writing to the file."""
    return connect_plain(f"{path.absolute().as_uri()}?mode=ro")


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
    from triage.store.steps import migrations

    if has_pending(db, path):
        if migrations.applied(db):
            _back_up_first(path)
        try:
            with transaction(db):  # two first runs at once: the second waits here, then finds nothing to do
                migrations.apply(db)
        except ConfigError as error:
            if str(getattr(error.__cause__, "sqlite_errorname", "")) == "SQLITE_ERROR":  # a table or column is missing
                raise _strange(path, str(error.__cause__)) from error
            raise
    _refresh_views(db)


def _back_up_first(path: Path) -> None:
    from triage.store.backups import back_up

    try:
        back_up(path, datetime.now(UTC))
    except OSError as error:
        raise ConfigError(
            f"{path} is to be brought up to date, and cannot be backed up before: {error.strerror}",
            f"Make room on the disk of {path.parent}, then run it again.",
        ) from error


def has_pending(db: Database, path: Path) -> bool:
    """Whether steps are missing; a database that is ahead of this program is refused."""
    from triage.store.steps import migrations

    known = {step.name for step in migrations._migrations}
    unknown = [step.name for step in migrations.applied(db) if step.name not in known]
    if strange := [name for name in unknown if name < max(known)]:
        raise _strange(path, f"the step {strange[0]}")
    if newer := unknown:
        raise ConfigError(f"{path} was written by a newer version (step {newer[0]})", "Update bounce-triage.")
    return bool(migrations.pending(db))


@contextmanager
def plain_errors(where: Path | Database) -> Iterator[None]:
    """Turn what SQLite and the file system say about the database into our two-line errors."""
    import sqlite3

    try:
        yield
    except OSError as error:
        path = where if isinstance(where, Path) else file_of(where)
        todo = "Make the folder writable, or name another database."
        if error.errno == errno.ENOSPC:
            todo = _make_room(path)
        raise ConfigError(f"{path}: {error.strerror}", todo) from error
    except sqlite3.Error as error:
        path = where if isinstance(where, Path) else file_of(where)
        if told := of_sqlite(error, path):
            raise told from error
        if isinstance(error, sqlite3.OperationalError | sqlite3.DatabaseError) and not isinstance(
            error, sqlite3.IntegrityError | sqlite3.ProgrammingError | sqlite3.DataError
        ):
            raise damaged(path, str(error)) from error
        raise  # a row of ours is at fault, not the database


def of_sqlite(error: Exception, path: Path) -> TriageError | None:
    """What to tell of an error of SQLite's that is about the file or its disk; None: it may be about our own words."""
    name = str(getattr(error, "sqlite_errorname", ""))
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return TryLater(f"{path} is in use by another program", "Close it, or wait for the next run.")
    if name.startswith("SQLITE_FULL"):
        return ConfigError(f"{path}: the disk is full", _make_room(path))
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return ConfigError(f"{path}: {error}", f"Make it and its folder {path.parent} writable for this user.")
    if name.startswith("SQLITE_IOERR"):
        todo = f"Check the disk of {path.parent}, and whether it is full; then run it again."
        return ConfigError(f"{path}: {error}", todo)
    if name.startswith("SQLITE_CORRUPT"):
        return damaged(path, str(error))
    if name.startswith("SQLITE_NOTADB"):
        return ConfigError(f"{path}: {error}", WAY_BACK)
    return None


def _make_room(path: Path) -> str:
    return f"Make room on the disk of {path.parent}, then run it again: what was stored stays, the rest is done then."


def file_of(db: Database) -> Path:
    """The file of an open database."""
    return Path(next(row[2] for row in db.execute("PRAGMA database_list") if row[1] == "main"))


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


def read_state(db: Database, key: str) -> str | None:
    """What is kept under a key of `state`; None: nothing is."""
    row = db.execute("SELECT value FROM state WHERE key = ?", [key]).fetchone()
    return None if row is None else str(row[0])


def keep_state(db: Database, key: str, value: str) -> None:
    """Keep something under a key of `state`, in place of what was there; part of the caller's transaction."""
    db.execute("INSERT OR REPLACE INTO state (key, value) VALUES (?, ?)", [key, value])


def first_row(db: Database, sql: str, values: Sequence[Any] | dict[str, Any] = ()) -> Row | None:
    """The first row of an answer; None where there is none."""
    return next(db.query(sql, values), None)


@contextmanager
def transaction(db: Database) -> Iterator[None]:
    """All or nothing. IMMEDIATE, because a transaction that starts by reading cannot wait for a writer later."""
    with plain_errors(db):
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            db.rollback()
            raise
        db.commit()


def _refresh_views(db: Database) -> None:
    """Give the views the words of this version. They hold nothing, so no step has to be kept of what they were."""
    from triage.store.steps import VIEWS

    wanted = {name: f"CREATE VIEW {name} AS -- {view.description}\n{view.sql}" for name, view in VIEWS.items()}
    found = dict(db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'view'").fetchall())
    stale = {name: sql for name, sql in wanted.items() if found.get(name) != sql}
    if stale:
        with transaction(db):
            for name, sql in stale.items():
                db.execute(f"DROP VIEW IF EXISTS {name}")
                db.execute(sql)
