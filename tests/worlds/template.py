"""Databases that are made in a moment: the shape that all steps lead to, written down once for each process.

Nearly every test opens a database that is not there yet, and all steps one after the other take longer than what most
of them test. Here the first database of a process goes through the steps, and each after it gets what came of them, in
the one transaction that the steps would have had. A database with a past goes through its steps as ever, and so does
every one in tests/store, which tests them; that both ways end in the same shape is tested there too.
"""

from __future__ import annotations

import sqlite3
from functools import cache

from sqlite_utils import Database

from triage.store.steps import migrations

step_by_step = migrations.apply
"""What the program does."""


def use() -> None:
    """Make new databases of this process from here on the short way."""
    setattr(migrations, "apply", _apply)  # noqa: B010 - mypy takes no assignment to a method


def leave() -> None:
    """Make them step by step again."""
    setattr(migrations, "apply", step_by_step)  # noqa: B010


def _apply(db: Database, *, stop_before: str | None = None) -> None:
    if stop_before or migrations.applied(db) or db.table_names() not in ([], [migrations.migrations_table]):
        step_by_step(db, stop_before=stop_before)
        return
    for statement in _statements():
        db.execute(statement)


@cache
def _statements() -> tuple[str, ...]:
    """All that makes an empty database one that has been through the steps."""
    with sqlite3.connect(":memory:") as connection:
        made = Database(connection, execute_plugins=False)
        step_by_step(made)
        made_by = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%' ORDER BY rowid"
        shape = [sql for (sql,) in connection.execute(made_by)]  # in this order; a dump has one of its own
        return (*shape, *(line for line in connection.iterdump() if line.startswith("INSERT ")))
