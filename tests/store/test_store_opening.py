"""Opening the database: who may read it, old and newer versions, and several processes at once."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlite_utils import Database

from tests.worlds import template
from tests.worlds.made_verdicts import LABEL, NOW, TABLES, gmail_mail, record, rows
from triage import store
from triage.errors import ConfigError, TryLater
from triage.store import database
from triage.store.mails import PROOF_COLUMNS, RECORD_KEYS
from triage.store.steps import migrations


def test_the_database_is_made_for_the_owner_alone(db: Database, path: Path) -> None:
    store.move_cursor(db, NOW)
    for name in ("triage.db", "triage.db-wal", "triage.db-shm"):
        assert stat.S_IMODE((path.parent / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert db.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_a_new_file_that_somebody_writes_to_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.2, other.rollback)
    release.start()
    opened = store.open_store(path)
    release.join()
    assert opened.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    opened.close()
    other.close()


def test_opening_again_changes_nothing(db: Database, path: Path) -> None:
    store.store_judged(db, gmail_mail(), [record()], [LABEL], NOW)
    again = store.open_store(path)
    assert [len(rows(again, table)) for table in TABLES] == [1, 1, 1, 0, 0]
    assert not migrations.pending(again)
    again.close()


@pytest.mark.parametrize("step", [step.name for step in migrations._migrations])
def test_each_step_can_be_the_one_an_old_database_stopped_before(step: str, path: Path) -> None:
    path.parent.mkdir()
    old = Database(sqlite3.connect(path))
    migrations.apply(old, stop_before=step)
    old.close()
    with pytest.raises(ConfigError, match="older version"):
        store.open_readonly(path)
    db = store.open_store(path)
    assert set(TABLES) <= set(db.table_names())
    db.close()


def test_reading_never_makes_or_writes_a_database(path: Path) -> None:
    assert store.open_readonly(path) is None
    assert not path.parent.exists()
    store.open_store(path).close()
    db = store.open_readonly(path)
    assert db is not None
    with pytest.raises(ConfigError, match="readonly"):
        store.move_cursor(db, NOW)
    assert store.read_cursor(db) is None
    db.close()


def test_a_database_of_a_newer_version_is_left_alone(db: Database, path: Path) -> None:
    db["_sqlite_migrations"].insert({"migration_set": "triage", "name": "m999_later", "applied_at": ""})
    for open_it in (store.open_store, store.open_readonly):
        with pytest.raises(ConfigError, match="m999_later"):
            open_it(path)


def test_a_file_that_is_no_database_is_a_configuration_error(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("this is not a database, but long enough to be looked at " * 9)
    with pytest.raises(ConfigError, match=r"notes\.txt"):
        store.open_store(path)
    with pytest.raises(ConfigError, match="no plain file"):
        store.open_store(tmp_path)


def test_a_database_that_stays_locked_is_for_later(db: Database, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.01)
    db.execute("BEGIN IMMEDIATE")
    other = store.open_store(path)
    with pytest.raises(TryLater):
        store.move_cursor(other, NOW)
    other.close()
    db.rollback()


def test_two_first_runs_at_once_both_find_a_whole_database(path: Path) -> None:
    code = "import sys; from pathlib import Path; from triage.store import open_store; open_store(Path(sys.argv[1]))"
    root = Path(store.__file__).parents[2]
    runs = [subprocess.Popen([sys.executable, "-c", code, path], cwd=root) for _ in range(4)]
    assert [run.wait() for run in runs] == [0] * 4


def test_importing_the_store_does_not_import_sqlite() -> None:
    code = "import sys, triage.store; sys.exit(any(m.startswith(('sqlite', 'click')) for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(store.__file__).parents[2]).returncode == 0


def test_the_schema_says_what_null_means() -> None:
    text = store.schema_text()
    assert [line for line in text.splitlines() if line.startswith("CREATE TABLE")] == [
        f"CREATE TABLE {table} ("
        for table in (
            *(*TABLES, "rotations", "retired_keys", "events", "evidence", "audits", "findings"),
            *("incidents", "repairs", "verdict_hours", "inserts", "resends", "fetches"),
            *("readings", "verdict_changes", "denials", "outbox", "alerts", "sending_states"),
        )
    ]
    assert "-- NULL: the mail came from a file" in text
    assert "_sqlite_migrations" not in text
    sqlite3.connect(":memory:").executescript(text).close()


def test_the_columns_of_verdicts_are_the_keys_of_the_record(db: Database) -> None:
    columns = [column.name for column in db["verdicts"].columns]
    keys = [key for key in RECORD_KEYS if key != "original"]
    assert sorted(columns) == sorted(
        [
            "id",
            "mail_id",
            "position",
            "received_at",
            "superseded_by",
            "incident_id",
            *keys,
            *store.ORIGINAL_KEYS,
            "why",
            *PROOF_COLUMNS,
            "proof_tries",
        ]
    )


def test_what_other_tests_begin_with_is_what_the_steps_lead_to(path: Path, tmp_path: Path) -> None:
    def shape(db: Database) -> list[tuple[str, str]]:
        found = db.execute("SELECT name, sql FROM sqlite_master WHERE type != 'view' ORDER BY rowid").fetchall()
        steps = db.execute("SELECT migration_set, name FROM _sqlite_migrations ORDER BY id").fetchall()
        kept = {table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in sorted(db.table_names())}
        db.close()
        return [*found, *steps, *kept.items()]

    by_steps = shape(store.open_store(path))
    template.use()
    assert shape(store.open_store(tmp_path / "short.db")) == by_steps
