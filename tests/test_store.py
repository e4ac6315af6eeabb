"""The database: all or nothing, nothing twice, and what comes out is what went in."""

from __future__ import annotations

import json
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from triage import database, store
from triage.errors import ConfigError, TryLater
from triage.migrations import migrations
from triage.store import Action, Mail

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
RAW = b"Subject: x\n\nyes\n"
LABEL = Action("label", "thread-1", {"label": "Bounce/Unknown"})
TABLES = ("mails", "verdicts", "actions", "runs", "state")


def record(**changes: Any) -> dict[str, Any]:
    """A verdict record as `classify` gives it; keys of `original` may be given like all others."""
    original: dict[str, Any] = dict.fromkeys(store.ORIGINAL_KEYS) | {
        "message_id": "mail-1@example.org",
        "from": "admin@queenofsandiego.com",
    }
    full: dict[str, Any] = dict.fromkeys(store.RECORD_KEYS) | {
        "source": "gmail:1",
        "kind": "failed",
        "recipient": "pat@client.example",
        "category": "exchange-rejection",
        "cause": "recipient-unknown",
        "permanent": True,
        "genuine": "pass",
        "original": original,
        "fix": ["Ask Pat."],
        "links": [],
    }
    for key, value in changes.items():
        (original if key in original else full)[key] = value
    return full


def gmail_mail(number: int = 1, **changes: Any) -> Mail:
    values: dict[str, Any] = {
        "source": f"gmail:{number}",
        "gmail_id": f"{number:016x}",
        "thread_id": "thread-1",
        "message_id": f"bounce-{number}@example.com",
        "received_at": NOW - timedelta(hours=1),
        "raw": RAW,
    }
    return Mail(**(values | changes))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data/triage.db"


@pytest.fixture
def db(path: Path) -> Iterator[Database]:
    db = store.open_store(path)
    yield db
    db.close()


def rows(db: Database, table: str) -> list[dict[str, Any]]:
    return list(db.query(f"SELECT * FROM {table}"))


# Opening


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
    with pytest.raises(ConfigError, match="Is a directory"):
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
    root = Path(store.__file__).parents[1]
    runs = [subprocess.Popen([sys.executable, "-c", code, path], cwd=root) for _ in range(4)]
    assert [run.wait() for run in runs] == [0] * 4


def test_importing_the_store_does_not_import_sqlite() -> None:
    code = "import sys, triage.store; sys.exit(any(m.startswith(('sqlite', 'click')) for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(store.__file__).parents[1]).returncode == 0


def test_the_schema_says_what_null_means() -> None:
    text = store.schema_text()
    assert [line for line in text.splitlines() if line.startswith("CREATE TABLE")] == [
        f"CREATE TABLE {table} ("
        for table in (
            *(*TABLES, "rotations", "retired_keys", "events", "evidence", "audits", "findings"),
            *("incidents", "repairs", "alerts", "verdict_hours", "inserts", "resends"),
        )
    ]
    assert "-- NULL: the mail came from a file" in text
    assert "_sqlite_migrations" not in text
    sqlite3.connect(":memory:").executescript(text).close()


def test_the_columns_of_verdicts_are_the_keys_of_the_record(db: Database) -> None:
    columns = [column.name for column in db["verdicts"].columns]
    keys = [key for key in store.RECORD_KEYS if key != "original"]
    assert sorted(columns) == sorted(
        ["id", "mail_id", "position", "received_at", "superseded_by", "incident_id", *keys, *store.ORIGINAL_KEYS, "why"]
    )


# Mails and verdicts


def test_a_judged_mail_comes_back_as_it_went_in(db: Database) -> None:
    records = [record(), record(recipient="kim@client.example", permanent=None, fix=["Ärger", "zwei"])]
    mail_id = store.store_judged(db, gmail_mail(), records, [LABEL], NOW)
    stored = store.verdicts_of(db, mail_id)
    own = ("id", "mail_id", "received_at", "superseded_by", "gmail_id", "thread_id")
    assert [{k: v for k, v in verdict.items() if k not in own} for verdict in stored] == records
    assert list(stored[0])[:22] == list(store.RECORD_KEYS)
    assert list(stored[0]["original"]) == list(store.ORIGINAL_KEYS)
    assert stored[0]["received_at"] == "2026-11-24T08:00:00Z"
    assert stored[0]["thread_id"] == "thread-1"
    assert store.read_raw(db, mail_id) == RAW
    assert rows(db, "mails")[0]["raw"] != RAW, "stored compressed"


def test_what_is_not_a_bounce_keeps_its_why_and_has_no_original(db: Database) -> None:
    none = record(kind="not-a-bounce", original=None, why="no report part") | {"fix": [], "links": []}
    mail_id = store.store_judged(db, gmail_mail(), [none], [], NOW)
    (stored,) = store.verdicts_of(db, mail_id)
    assert (stored["original"], stored["why"], stored["fix"]) == (None, "no report part", [])


def test_mail_verdicts_and_actions_are_written_together_or_not_at_all(db: Database) -> None:
    broken = record(diagnostic=object())
    with pytest.raises(sqlite3.ProgrammingError):
        store.store_judged(db, gmail_mail(), [record(), broken], [LABEL], NOW)
    assert [len(rows(db, table)) for table in TABLES] == [0] * 5
    store.store_judged(db, gmail_mail(), [record()], [LABEL], NOW)  # the connection is fit for the next one


def test_a_mail_is_stored_once(db: Database) -> None:
    first = store.store_judged(db, gmail_mail(), [record()], [LABEL], NOW)
    assert store.store_judged(db, gmail_mail(), [record(), record()], [LABEL], NOW) == first
    assert [len(rows(db, table)) for table in TABLES] == [1, 1, 1, 0, 0]


def test_the_same_bytes_from_two_files_are_one_mail_but_in_gmail_they_are_two(db: Database) -> None:
    first = store.store_judged(db, Mail("a.eml", raw=RAW), [record()], [], NOW)
    assert store.has_judged_file(db, RAW)
    assert not store.has_judged_file(db, RAW + b"!")
    assert store.store_judged(db, Mail("b.eml", raw=RAW), [record()], [], NOW) == first
    store.store_judged(db, gmail_mail(1), [record()], [], NOW)
    store.store_judged(db, gmail_mail(2), [record()], [], NOW)
    assert len(rows(db, "mails")) == 3


def test_raw_may_be_left_in_the_users_file(db: Database) -> None:
    mail_id = store.store_judged(db, Mail("a.eml", raw=RAW, keep_raw=False), [record()], [], NOW)
    assert store.read_raw(db, mail_id) is None
    assert store.has_judged_file(db, RAW)


@given(text=st.text(st.characters(codec=None), max_size=30), raw=st.binary(max_size=300))
@settings(max_examples=60, deadline=None)
def test_any_text_and_any_bytes_can_be_stored(text: str, raw: bytes) -> None:
    db = database._connect(":memory:")
    database._migrate(db, Path(":memory:"))
    hostile = record(subject=text, diagnostic=text, recipient=text, fix=[text])
    mail_id = store.store_judged(db, gmail_mail(source=text, message_id=text, raw=raw), [hostile], [LABEL], NOW)
    (stored,) = store.verdicts_of(db, mail_id)
    printable = text.encode("utf-8", "replace").decode()
    assert [stored["diagnostic"], stored["recipient"], stored["original"]["subject"]] == [printable] * 3
    assert stored["fix"] == [printable]
    assert store.read_raw(db, mail_id) == raw
    db.close()


# Failures


def test_a_failed_mail_is_asked_for_again_and_then_kept(db: Database) -> None:
    unread = gmail_mail(raw=None)
    for _ in range(store.MAX_TRIES - 1):
        assert store.record_failed(db, unread, "HTTP 500", NOW) == "failed"
        assert [mail.gmail_id for mail in store.failed_mails(db)] == [unread.gmail_id]
    assert store.record_failed(db, unread, "HTTP 500", NOW) == "kept"
    assert store.failed_mails(db) == []
    (row,) = store.unreadable_mails(db)
    assert (row["tries"], row["error"], row["state"]) == (store.MAX_TRIES, "HTTP 500", "kept")
    assert store.known_gmail_ids(db, [unread.gmail_id or "", "f"]) == {unread.gmail_id}


def test_a_failed_mail_that_is_judged_later_forgets_its_error(db: Database) -> None:
    store.record_failed(db, gmail_mail(raw=None, message_id=None), "HTTP 500", NOW)
    store.store_judged(db, gmail_mail(), [record()], [LABEL], NOW + timedelta(hours=1))
    (row,) = rows(db, "mails")
    assert (row["state"], row["error"], row["tries"]) == ("judged", None, 2)
    assert row["seen_at"] == "2026-11-24T09:00:00Z"
    assert store.unreadable_mails(db) == []


def test_a_failure_keeps_the_bytes_it_has_and_those_it_had(db: Database) -> None:
    store.record_failed(db, gmail_mail(), "our bug", NOW)
    store.record_failed(db, gmail_mail(raw=None), "again", NOW)
    assert [mail.raw for mail in store.failed_mails(db)] == [RAW]


def test_a_mail_that_is_gone_is_not_asked_for_again(db: Database) -> None:
    store.record_gone(db, gmail_mail(raw=None), "deleted", NOW)
    assert store.failed_mails(db) == []
    assert store.unreadable_mails(db) == []
    assert store.known_gmail_ids(db, [gmail_mail().gmail_id or ""])


def test_failing_or_going_later_does_not_undo_a_verdict(db: Database) -> None:
    store.store_judged(db, gmail_mail(), [record()], [], NOW)
    assert store.record_failed(db, gmail_mail(raw=None), "HTTP 500", NOW) == "judged"
    store.record_gone(db, gmail_mail(raw=None), "deleted", NOW)
    assert rows(db, "mails")[0]["state"] == "judged"


# Superseding


def stored_kinds(db: Database) -> dict[str, str | None]:
    """kind -> kind of the verdict that supersedes it."""
    found = {row["id"]: row for row in rows(db, "verdicts")}
    return {
        row["kind"]: found[row["superseded_by"]]["kind"] if row["superseded_by"] else None for row in found.values()
    }


@pytest.mark.parametrize("order", [("delayed", "failed"), ("failed", "delayed")])
def test_a_failure_supersedes_the_delay_in_whichever_order_they_come(db: Database, order: tuple[str, str]) -> None:
    for number, kind in enumerate(order):
        store.store_judged(db, gmail_mail(number), [record(kind=kind)], [], NOW)
    assert stored_kinds(db) == {"delayed": "failed", "failed": None}


@pytest.mark.parametrize(
    ("failed", "thread", "is_same"),
    [
        ({}, "thread-2", True),
        ({"message_id": None}, "thread-1", True),
        ({"message_id": None}, "thread-2", False),
        ({"message_id": "mail-2@example.org"}, "thread-1", False),
        ({"message_id": "ses@example.com", "gmail_message_id": "sent-1@example.org"}, "thread-2", True),
        ({"recipient": "kim@client.example"}, "thread-1", False),
        ({"recipient": None}, "thread-1", False),
        ({"genuine": "fail"}, "thread-1", False),
        ({"kind": "delivered"}, "thread-2", True),
        ({"kind": "feedback"}, "thread-1", False),
    ],
)
@pytest.mark.parametrize("delay_first", [True, False])
def test_which_failure_belongs_to_which_delay(
    db: Database, failed: dict[str, Any], thread: str, is_same: bool, delay_first: bool
) -> None:
    delayed = record(kind="delayed", gmail_message_id="sent-1@example.org")
    pair = [(gmail_mail(1), delayed), (gmail_mail(2, thread_id=thread), record(**failed))]
    for mail, verdict in pair if delay_first else reversed(pair):
        store.store_judged(db, mail, [verdict], [], NOW)
    assert (stored_kinds(db)["delayed"] is not None) is is_same


# Actions, runs, cursor


def test_an_action_is_planned_then_done(db: Database) -> None:
    store.store_judged(db, gmail_mail(1), [record()], [LABEL], NOW)
    store.store_judged(db, gmail_mail(2), [record()], [LABEL], NOW)
    first, second = store.pending_actions(db)
    assert (first["kind"], first["target"], first["payload"]) == ("label", "thread-1", {"label": "Bounce/Unknown"})
    store.finish_actions(db, [first["id"]], NOW)
    assert [action["id"] for action in store.pending_actions(db)] == [second["id"]]
    assert rows(db, "actions")[0]["done_at"] == "2026-11-24T09:00:00Z"


def test_an_action_that_fails_is_tried_a_few_times(db: Database) -> None:
    store.store_judged(db, gmail_mail(), [record()], [LABEL], NOW)
    (action,) = store.pending_actions(db)
    for _ in range(store.MAX_TRIES):
        assert store.pending_actions(db)
        store.fail_actions(db, [action["id"]], "HTTP 400", for_good=False)
    assert store.pending_actions(db) == []
    assert (rows(db, "actions")[0]["state"], rows(db, "actions")[0]["error"]) == ("dropped", "HTTP 400")


def test_an_action_on_what_is_gone_is_dropped_at_once(db: Database) -> None:
    store.store_judged(db, gmail_mail(), [record()], [LABEL], NOW)
    store.fail_actions(db, [1], "thread deleted", for_good=True)
    assert rows(db, "actions")[0]["state"] == "dropped"


def test_runs_are_told_newest_first(db: Database) -> None:
    first = store.start_run(db, "gmail", NOW)
    second = store.start_run(db, "takeout.mbox", NOW)
    store.finish_run(db, second, NOW + timedelta(minutes=1), {"new": 3, "judged": 2})
    store.finish_run(db, first, NOW, {}, error="Gmail is away")
    newest, oldest = store.last_runs(db, 5)
    assert (newest["source"], newest["new"], newest["finished_at"]) == ("takeout.mbox", 3, "2026-11-24T09:01:00Z")
    assert (oldest["error"], oldest["new"]) == ("Gmail is away", None)
    assert len(store.last_runs(db)) == 1


def test_the_cursor_is_remembered(db: Database) -> None:
    assert store.read_cursor(db) is None
    store.move_cursor(db, NOW)
    store.move_cursor(db, NOW + timedelta(days=1))
    assert store.read_cursor(db) == NOW + timedelta(days=1)


# Questions


def test_a_mail_is_found_by_any_of_its_ids(db: Database) -> None:
    store.store_judged(db, gmail_mail(1, message_id="other@example.com"), [record(message_id="x@example.com")], [], NOW)
    verdict = record(gmail_message_id="sent@example.org")
    mail_id = store.store_judged(db, gmail_mail(0x123456789012345), [record(message_id=None), verdict], [], NOW)
    for ident in (
        "0123456789012345",
        f"bounce-{0x123456789012345}@example.com",
        " <mail-1@example.org> ",
        "sent@example.org",
        str(store.verdicts_of(db, mail_id)[1]["id"]),
    ):
        assert [mail["id"] for mail in store.find_mails(db, ident)] == [mail_id], ident
    assert store.find_mails(db, "nobody@example.com") == []
    assert store.find_mails(db, "99") == []
    assert store.read_raw(db, 99) is None


def test_one_returned_mail_may_have_several_bounces(db: Database) -> None:
    ids = [store.store_judged(db, gmail_mail(number), [record()], [], NOW) for number in (1, 2)]
    assert [mail["id"] for mail in store.find_mails(db, "mail-1@example.org")] == ids[::-1]


def test_verdicts_since_a_moment_newest_first(db: Database) -> None:
    for number in range(4):
        mail = gmail_mail(number, received_at=NOW - timedelta(days=number))
        store.store_judged(db, mail, [record(recipient=f"{number}@client.example")], [], NOW)
    since = NOW - timedelta(days=2)
    found = [verdict["recipient"] for verdict in store.verdicts_since(db, since)]
    assert found == ["0@client.example", "1@client.example", "2@client.example"]
    assert len(list(store.verdicts_since(db, None, limit=2))) == 2
    assert len(list(store.verdicts_since(db, None))) == 4


def test_a_mail_without_a_date_counts_from_the_run_that_saw_it(db: Database) -> None:
    store.store_judged(db, Mail("a.eml", raw=RAW), [record()], [], NOW)
    assert [verdict["received_at"] for verdict in store.verdicts_since(db, NOW)] == ["2026-11-24T09:00:00Z"]


@pytest.mark.parametrize(
    ("question", "index"),
    [
        ("verdicts_since", "verdicts_by_time"),
        ("find_mails", "verdicts_by_message_id"),
        ("pending_actions", "actions_planned"),
        ("failed_mails", "mails_not_judged"),
        ("known_gmail_ids", "sqlite_autoindex_mails_1"),
        ("has_judged_file", "mails_from_files"),
    ],
)
def test_questions_are_answered_from_an_index(db: Database, question: str, index: str) -> None:
    """A report over a million verdicts must take less than a second; benchmarks/ measures it, this guards the plan."""
    arguments = {
        "verdicts_since": [NOW, 10],
        "find_mails": ["x"],
        "known_gmail_ids": [["x"]],
        "has_judged_file": [b"x"],
    }
    asked: list[tuple[str, Any]] = []
    with db.tracer(lambda sql, values: asked.append((sql, values))):
        answer = getattr(store, question)(db, *arguments.get(question, []))
        list(answer) if question == "verdicts_since" else answer
    plans = [
        json.dumps([row[3] for row in db.conn.execute(f"EXPLAIN QUERY PLAN {sql}", values or [])])
        for sql, values in asked
        if sql.lstrip().startswith("SELECT")
    ]
    assert any(index in plan for plan in plans), plans
    assert question == "find_mails" or not any("TEMP B-TREE" in plan for plan in plans), plans
