"""`triage rejudge` shows which verdicts today's rules would change, and writes them only when told to."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.doubles.gmail import GmailDouble
from tests.worlds import forked
from tests.worlds.command import environment, triage
from tests.worlds.made_mails import refusal
from tests.worlds.schemas import by_schema


def _cause(folder: Path) -> str:
    with closing(sqlite3.connect(folder / "triage.db")) as db:
        (row,) = db.execute("SELECT category || ' ' || cause FROM verdicts").fetchall()
        return str(row[0])


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    """A database with one bounce in it, whose verdict is one that an older table of rules gave."""
    with GmailDouble() as gmail:
        gmail.write_credentials(tmp_path)
        (tmp_path / "triage.toml").write_text(f'gmail_url = "{gmail.url}"\nnotes = false\n', encoding="utf-8")
        gmail.seed(refusal(1), received_at=datetime.now(UTC) - timedelta(hours=1))
        triage(tmp_path, "run")
    assert _cause(tmp_path) == "remote-rejection recipient-unknown"
    with closing(sqlite3.connect(tmp_path / "triage.db")) as db, db:
        db.execute("UPDATE verdicts SET cause = 'unknown', category = 'unknown', rule = 'nothing-said'")
    return tmp_path


def test_without_apply_it_only_shows(judged: Path) -> None:
    output = triage(judged, "rejudge")
    assert "unknown -> recipient-unknown" in output.replace("→", "->")
    assert "1 mail judged again: 1 verdict would move" in output
    assert "triage rejudge --apply" in output
    assert _cause(judged) == "unknown unknown"


def test_apply_writes_once(judged: Path) -> None:
    assert "1 verdict moved" in triage(judged, "rejudge", "--apply")
    assert _cause(judged) == "remote-rejection recipient-unknown"
    assert "0 verdicts moved" in triage(judged, "rejudge", "--apply")


def test_json_names_the_fields_that_move(judged: Path) -> None:
    found = by_schema("rejudge", triage(judged, "rejudge", "--json"))
    assert "recipient-unknown" in json.dumps(found)
    assert _cause(judged) == "unknown unknown"


def test_without_a_database_there_is_nothing_to_judge(tmp_path: Path) -> None:
    (tmp_path / "triage.toml").write_text("", encoding="utf-8")
    done = forked.triage("rejudge", cwd=tmp_path, env=environment(tmp_path))
    assert (done.returncode, done.stdout) == (78, "")
    assert "There is no database" in done.stderr
    assert not (tmp_path / "triage.db").exists()
