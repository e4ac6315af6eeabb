"""Released steps are frozen; databases of earlier shapes open, and a shape that no release made is told as such.

`shapes/` holds the schemas that earlier commits really made: `opens-...` and, by steps that were edited in place before
that was forbidden, `strange-...`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from pathlib import Path

import pytest
from sqlite_utils import Database

from tests.worlds.made_verdicts import LABEL, NOW, gmail_mail, record, rows
from triage import store
from triage.errors import ConfigError
from triage.store import backups
from triage.store.steps import VIEWS, migrations

HERE = Path(__file__).parent
RELEASED = HERE / "released.json"


def made(path: Path, name: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    with sqlite3.connect(path) as db:
        db.executescript((HERE / "shapes" / name).read_text())
    db.close()
    return path


def names(kind: str) -> list[str]:
    found = sorted(file.name for file in (HERE / "shapes").glob(f"{kind}-*.sql"))
    assert found
    return found


def digests() -> dict[str, str]:
    """Each step with a digest of the schema it leaves; views are made anew at each opening, and are no part of it."""
    db = Database(sqlite3.connect(":memory:"))
    found = {}
    following = [*(step.name for step in migrations._migrations[1:]), None]
    for step, stop in zip(migrations._migrations, following, strict=True):
        migrations.apply(db, stop_before=stop) if stop else migrations.apply(db)
        sql = "SELECT sql FROM sqlite_master WHERE type != 'view' AND name NOT LIKE '%sqlite%' ORDER BY type, name"
        text = "\n".join(str(row[0]) for row in db.execute(sql))
        found[step.name] = hashlib.sha256(text.encode()).hexdigest()[:16]
    return found


def test_released_steps_make_what_they_made_when_they_were_released() -> None:
    """A failure here means: put it back, and add a step. Only a step that is not in the file may still be edited."""
    released, now = json.loads(RELEASED.read_text()), digests()
    assert list(now)[: len(released)] == list(released), "a step goes at the end"
    assert {name: now[name] for name in released} == released


@pytest.mark.parametrize("name", names("opens"))
def test_an_earlier_shape_opens_and_works(path: Path, name: str) -> None:
    store.open_store(made(path, name)).close()
    assert len(backups.backups_of(path)) == 1
    db = store.open_store(path)
    store.store_judged(db, gmail_mail(), [record()], [LABEL], NOW)
    assert len(rows(db, "verdicts")) == 1
    assert {view: len(rows(db, view)) >= 0 for view in VIEWS} == dict.fromkeys(VIEWS, True)
    db.close()


@pytest.mark.parametrize("name", names("strange"))
def test_a_shape_no_release_made_is_told_before_any_work(path: Path, name: str) -> None:
    made(path, name)
    for open_it in (store.open_store, store.open_store):
        with pytest.raises(ConfigError, match="a shape that no release of triage gave it") as caught:
            open_it(path)
        assert "triage restore" in caught.value.todo
        assert "triage rebuild" in caught.value.todo


def test_a_view_with_other_words_is_made_anew(path: Path) -> None:
    store.open_store(path).close()
    name = next(iter(VIEWS))
    with sqlite3.connect(path) as other:
        other.executescript(f"DROP VIEW {name}; CREATE VIEW {name} AS SELECT 1 AS one")
    other.close()
    db = store.open_store(path)
    assert "one" not in [column.name for column in db[name].columns]
    db.close()


def test_what_the_owner_added_is_no_fault(path: Path) -> None:
    store.open_store(path).close()
    with sqlite3.connect(path) as other:
        other.executescript("CREATE TABLE mine (x); CREATE INDEX mine_by_x ON mine (x); ALTER TABLE runs ADD COLUMN y")
    other.close()
    with contextlib.closing(store.open_store(path)) as opened:
        assert opened["mine"].exists()
        assert "y" in opened["runs"].columns_dict
