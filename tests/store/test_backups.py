"""Copies of the database: when they are made, how many stay, that they are whole, and that they can be put back."""

from __future__ import annotations

import os
import sqlite3
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from sqlite_utils import Database

from tests.worlds.made_verdicts import LABEL, NOW, gmail_mail, record, rows
from triage import store
from triage.errors import ConfigError, UsageError
from triage.store import backups
from triage.store.steps import migrations

DAY = timedelta(days=1)


def filled(db: Database) -> None:
    store.store_judged(db, gmail_mail(), [record()], [LABEL], NOW)


def test_a_copy_is_whole_and_for_its_owner_alone(db: Database, path: Path) -> None:
    filled(db)  # still in the -wal file
    made = backups.back_up(path, NOW)
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert made.parent == path.parent
    assert sorted(file.name for file in path.parent.iterdir() if "backup" in file.name) == [made.name]
    copied = store.open_readonly(made)
    assert copied is not None
    assert len(rows(copied, "verdicts")) == 1
    copied.close()


def test_only_the_newest_three_stay(db: Database, path: Path) -> None:
    made = [backups.back_up(path, NOW + DAY * number) for number in (9, 1, 2, 3, 4)]
    # The first is of a clock that was ahead: it counts as the oldest.
    assert [file for _, file in backups.backups_of(path)] == [made[4], made[3], made[2]]


def test_one_is_made_each_week_and_none_more(db: Database, path: Path) -> None:
    run = store.start_run(db, "gmail", NOW)
    store.finish_run(db, run, NOW, {})
    made = []
    for hours in range(0, 24 * 30, 6):
        at = NOW + timedelta(hours=hours)
        before = {file for _, file in backups.backups_of(path)}
        assert backups.back_up_weekly(db, at) is None
        made += [at - NOW] * bool({file for _, file in backups.backups_of(path)} - before)
    assert made == [DAY * 7, DAY * 14, DAY * 21, DAY * 28]


def test_a_damaged_database_never_pushes_out_a_good_copy(db: Database, path: Path) -> None:
    filled(db)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    good = backups.back_up(path, NOW)
    db.close()
    data = bytearray(path.read_bytes())
    for page in range(2, len(data) // 4096):
        data[page * 4096 : page * 4096 + 40] = os.urandom(40)
    path.write_bytes(data)
    for number in range(1, 5):
        with pytest.raises(ConfigError):
            backups.back_up(path, NOW + DAY * number)
    assert [file for _, file in backups.backups_of(path)] == [good]
    assert not list(path.parent.glob(".*")), "no draft is left behind"


def test_before_the_shape_changes_a_copy_is_made(path: Path) -> None:
    path.parent.mkdir()
    old = Database(sqlite3.connect(path))
    migrations.apply(old, stop_before="m050_letters")
    old.execute("INSERT INTO runs (source, started_at) VALUES ('gmail', '2026-11-01T00:00:00Z')")
    old.conn.commit()
    old.close()
    store.open_store(path).close()
    [(_, made)] = backups.backups_of(path)
    copied = sqlite3.connect(made)
    assert copied.execute("SELECT count(*) FROM runs").fetchone() == (1,)
    assert copied.execute("SELECT count(*) FROM _sqlite_migrations WHERE name = 'm050_letters'").fetchone() == (0,)
    copied.close()


def test_a_new_database_needs_no_copy(path: Path) -> None:
    store.open_store(path).close()
    assert backups.backups_of(path) == []


def test_what_was_there_stays_and_its_log_is_no_part_of_what_comes(db: Database, path: Path) -> None:
    filled(db)
    made = backups.back_up(path, NOW)
    store.move_cursor(db, NOW)
    db.conn.execute("PRAGMA wal_autocheckpoint = 0")
    wal = path.with_name("triage.db-wal").read_bytes()
    whole = path.read_bytes()
    db.close()
    path.write_bytes(whole)
    path.with_name("triage.db-wal").write_bytes(wal)  # as after a kill
    chosen, aside = backups.restore(path, None, NOW)
    assert chosen == made
    assert aside is not None
    assert aside.with_name(f"{aside.name}-wal").read_bytes() == wal
    back = store.open_store(path)
    assert store.read_cursor(back) is None
    assert len(rows(back, "verdicts")) == 1
    back.close()
    kept = store.open_store(aside)
    assert store.read_cursor(kept) == NOW
    kept.close()


def test_what_cannot_be_put_back_is_refused_and_nothing_is_moved(db: Database, path: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no backup") as caught:
        backups.restore(path, None, NOW)
    assert "triage rebuild" in caught.value.todo
    for name, data in (("none", b"hello " * 900), ("cut", b"S"), ("empty", b"")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ConfigError):
            backups.restore(path, tmp_path / name, NOW)
    newer = backups.back_up(path, NOW)
    other = sqlite3.connect(newer)
    other.execute("INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('triage', 'm999', '')")
    other.commit()
    other.close()
    with pytest.raises(ConfigError, match="newer version"):
        backups.restore(path, newer, NOW)
    with pytest.raises(UsageError):
        backups.back_up(path, NOW, newer)
    assert not list(path.parent.glob("triage.db.old-*"))


# What an unclean end leaves


def test_a_database_is_checked_after_an_unclean_end_and_only_then(
    db: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from triage.store import soundness

    checked: list[int] = []
    monkeypatch.setattr(soundness, "unsound", lambda db: checked.append(1))
    store.open_store(path).close()
    assert checked == [1], "somebody has it open, or was killed"
    db.close()
    store.open_store(path).close()
    assert checked == [1]


@pytest.mark.parametrize("size", [1, 100, 511])
def test_a_file_that_was_cut_off_is_refused_and_never_overwritten(db: Database, path: Path, size: int) -> None:
    db.close()
    os.truncate(path, size)
    before = path.read_bytes()
    for open_it in (store.open_store, store.open_readonly):
        with pytest.raises(ConfigError, match="cut off") as caught:
            open_it(path)
        assert "triage restore" in caught.value.todo
    assert path.read_bytes() == before


def test_an_empty_file_beside_what_was_to_be_written_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"")
    wal = path.with_name("triage.db-wal")
    wal.write_bytes(b"x" * 4096)
    with pytest.raises(ConfigError, match="cut off"):
        store.open_store(path)
    assert wal.exists()
    wal.unlink()
    journal = path.with_name("triage.db-journal")
    journal.write_bytes(bytes.fromhex("d9d505f920a163d7") + b"\0\0\0\1" + b"rand" + b"\0\0\0\7" + b"\0" * 492)
    with pytest.raises(ConfigError, match="cut off"):
        store.open_store(path)
    assert path.stat().st_size == 0


def test_a_first_run_that_was_killed_at_once_is_no_damage(path: Path) -> None:
    """The opposite: what a killed first run leaves is a new database, and its journal says that there was none."""
    path.parent.mkdir()
    path.write_bytes(b"")
    journal = path.with_name("triage.db-journal")
    journal.write_bytes(bytes.fromhex("d9d505f920a163d7") + b"\0\0\0\0" + b"rand" + b"\0\0\0\0" + b"\0" * 492)
    store.open_store(path).close()
    assert path.stat().st_size > 0


def test_a_full_disk_names_the_file_and_the_next_step(db: Database, path: Path) -> None:
    db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(ConfigError, match="the disk is full") as caught:
        store.store_judged(db, gmail_mail(), [record(diagnostic="x" * 400_000)], [LABEL], NOW)
    assert str(path) in caught.value.what
    assert f"Make room on the disk of {path.parent}" in caught.value.todo
