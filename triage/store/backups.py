"""Copies of the database: made before each change of its shape and once a week, the newest three kept, put back.

A copy is made by SQLite's own means, so it is whole whatever else is going on, and it counts only when SQLite finds
nothing wrong with it: a damaged database never pushes out a good copy. Beside the database, readable by its owner only.
"""

from __future__ import annotations

import os
import re
import secrets
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from triage.errors import ConfigError, TriageError, UsageError
from triage.own_files import refuse_special
from triage.store.database import (
    connect_plain,
    connect_readonly,
    damaged,
    file_of,
    has_pending,
    plain_errors,
    transaction,
)
from triage.store.soundness import cut_off, unsound

if TYPE_CHECKING:
    from sqlite_utils import Database

KEPT = 3
EVERY = timedelta(days=7)
_STAMP = "%Y%m%dT%H%M%SZ"
_BESIDE = ("-wal", "-shm", "-journal")


def backups_of(path: Path) -> list[tuple[datetime, Path]]:
    """The copies made by itself, the newest first, each with when it was made."""
    name = re.compile(re.escape(path.name) + r"\.backup-(\d{8}T\d{6}Z)")
    found = []
    for file in path.parent.iterdir() if path.parent.is_dir() else ():
        if stamp := name.fullmatch(file.name):
            with suppress(ValueError):
                found.append((datetime.strptime(stamp[1], _STAMP).replace(tzinfo=UTC), file))
    return sorted(found, reverse=True)


def back_up(path: Path, at: datetime, target: Path | None = None) -> Path:
    """Copy the database to `target`, or beside it, where only the newest three stay; returns where it is.

    Raises ConfigError where there is no database, it is damaged, or the copy cannot be written.
    """
    if target is not None and os.path.lexists(target):
        raise UsageError(f"{target} is there already", "Name a file that is not.")
    if not path.exists():
        raise ConfigError(f"There is no database {path}", "Make the first run: triage run")
    made = target or path.with_name(f"{path.name}.backup-{at.astimezone(UTC):{_STAMP}}")
    with plain_errors(path):
        refuse_special(path)
        _copied(path, made)
    if target is None:
        _rotate(path, at)
    return made


def back_up_weekly(db: Database, at: datetime) -> str | None:
    """Make the copy of the week, where it is due; says why it could not be made, None otherwise.

    The first is due a week after the first run.
    """
    path = file_of(db)
    made = [when for when, _ in backups_of(path) if when <= at]  # a clock that was ahead once must not stop them
    if not made:
        (first,) = db.execute("SELECT min(started_at) FROM runs").fetchone()
        made = [datetime.fromisoformat(first)] if first else [at]
    if at - max(made) < EVERY:
        return None
    try:
        back_up(path, at)
    except TriageError as error:
        return error.what
    return None


def restore(path: Path, source: Path | None, at: datetime) -> tuple[Path, Path | None]:
    """Put a copy, the newest if none is named, in place of the database: (the copy, where what was there is now).

    The caller holds the lock. Raises ConfigError for a copy that is none, damaged, or of a newer version.
    """
    chosen = source or next((file for _, file in backups_of(path)), None)
    if chosen is None:
        raise ConfigError(
            f"There is no backup of {path}", "Make the database again from what Gmail still has: triage rebuild"
        )
    if not chosen.exists():
        raise ConfigError(f"There is no file {chosen}.", "Name one of those that `triage restore --list` shows.")
    with plain_errors(chosen):
        refuse_special(chosen)
        _refuse_unusable(chosen)
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
        try:
            _copied(chosen, fresh)
            return chosen, put_in_place(path, fresh, at)
        finally:
            fresh.unlink(missing_ok=True)


def set_aside(path: Path, at: datetime) -> Path | None:
    """Move the database, with what SQLite keeps beside it, out of the way; where it is now, None: there was none.

    What lies beside it goes first: it must never be taken for a part of the database that comes in its place.
    """
    aside = path.with_name(f"{path.name}.old-{at.astimezone(UTC):{_STAMP}}")
    number = 1
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"{path.name}.old-{at.astimezone(UTC):{_STAMP}}-{number}")
    for suffix in _BESIDE:
        with suppress(FileNotFoundError):
            os.rename(path.with_name(path.name + suffix), aside.with_name(aside.name + suffix))
    with suppress(FileNotFoundError):
        os.rename(path, aside)
        return aside
    return None


def _copied(path: Path, target: Path) -> None:
    """A copy that is whole, on the disk and checked, or none."""
    draft = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(connect_readonly(path)) as source, closing(sqlite3.connect(draft)) as copy:
            source.conn.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
        with closing(connect_plain(str(draft))) as copied:
            if problem := unsound(copied):
                raise damaged(path, problem)
        _sync(draft)
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)
    _sync_folder(target.parent)


def _refuse_unusable(path: Path) -> None:
    problem = cut_off(path)
    if problem is None:
        with closing(connect_readonly(path)) as db:
            if not {"mails", "verdicts", "runs"} <= set(db.table_names()):
                raise ConfigError(f"{path} is no database of triage", "Name a file that `triage backup` made.")
            has_pending(db, path)  # refuses what is newer than this program
            problem = unsound(db)
    if problem:
        raise ConfigError(f"{path} is damaged: {problem}", "Name another backup.")


def _rotate(path: Path, at: datetime) -> None:
    """Let only the newest stay; those of a clock that was ahead count as the oldest."""
    found = sorted(backups_of(path), key=lambda one: (one[0] <= at, one[0]), reverse=True)
    for _, file in found[KEPT:]:
        file.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # not every file system syncs folders
        _sync(folder)


SALVAGED = ("rotations", "retired_keys", "resends", "inserts", "audits", "findings", "outbox")
"""What only the database knows, and what must not be done a second time: keys, mails written again, letters."""


def salvage(db: Database, old: Path) -> tuple[int, list[str]]:
    """Copy from a damaged database what Gmail cannot tell again: (rows, tables of which some or all is lost)."""
    rows, lost = 0, []
    for table in SALVAGED:
        try:
            with closing(connect_readonly(old)) as source:
                ours = {column.name for column in db[table].columns}
                for row in source.query(f"SELECT * FROM {table}"):  # noqa: S608
                    kept = [key for key in row if key in ours]
                    names, marks = ", ".join(kept), ", ".join("?" * len(kept))
                    with transaction(db):
                        sql = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})"  # noqa: S608
                        rows += db.execute(sql, [row[key] for key in kept]).rowcount
        except (sqlite3.Error, ValueError, LookupError):
            lost.append(table)
    return rows, lost


def counts_on_record(db: Database) -> tuple[int, int]:
    """(mails, verdicts) on record in a database that was made again."""
    mails, verdicts = db.execute(
        "SELECT (SELECT count(*) FROM mails), (SELECT count(*) FROM verdicts WHERE kind != 'not-a-bounce')"
    ).fetchone()
    return mails, verdicts


def put_in_place(path: Path, fresh: Path, at: datetime) -> Path | None:
    """Let a database made elsewhere in the same folder take the place; where the old one is now, None: there was none.

    The caller holds the lock and has closed both.
    """
    _sync(fresh)
    aside = set_aside(path, at)
    os.replace(fresh, path)
    _sync_folder(path.parent)
    return aside
