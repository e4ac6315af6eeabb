"""The database: all or nothing, nothing twice, and what comes out is what went in."""

from __future__ import annotations

import json
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from tests.worlds.made_verdicts import LABEL, NOW, RAW, TABLES, gmail_mail, proven, record, rows
from triage import store
from triage.model import StoredMail
from triage.store import database
from triage.store.mails import MAX_TRIES, PROOF_COLUMNS, RECORD_KEYS

# Mails and verdicts


def test_a_judged_mail_comes_back_as_it_went_in(db: Database) -> None:
    records = [record(), record(recipient="kim@client.example", permanent=None, fix=["Ärger", "zwei"])]
    mail_id = store.store_judged(db, gmail_mail(), records, [LABEL], NOW)
    stored = store.verdicts_of(db, mail_id)
    own = (*PROOF_COLUMNS, "id", "mail_id", "received_at", "superseded_by", "gmail_id", "thread_id")
    assert [{k: v for k, v in verdict.items() if k not in own} for verdict in stored] == records
    assert list(stored[0])[:22] == list(RECORD_KEYS)
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
    first = store.store_judged(db, StoredMail("a.eml", raw=RAW), [record()], [], NOW)
    assert store.has_judged_file(db, RAW)
    assert not store.has_judged_file(db, RAW + b"!")
    assert store.store_judged(db, StoredMail("b.eml", raw=RAW), [record()], [], NOW) == first
    store.store_judged(db, gmail_mail(1), [record()], [], NOW)
    store.store_judged(db, gmail_mail(2), [record()], [], NOW)
    assert len(rows(db, "mails")) == 3


def test_raw_may_be_left_in_the_users_file(db: Database) -> None:
    mail_id = store.store_judged(db, StoredMail("a.eml", raw=RAW, keep_raw=False), [record()], [], NOW)
    assert store.read_raw(db, mail_id) is None
    assert store.has_judged_file(db, RAW)


@given(text=st.text(st.characters(codec=None), max_size=30), raw=st.binary(max_size=300))
@settings(max_examples=60, deadline=None)
def test_any_text_and_any_bytes_can_be_stored(text: str, raw: bytes) -> None:
    db = database.connect_plain(":memory:")
    database._migrate(db, Path(":memory:"))
    hostile = record(subject=text, diagnostic=text, recipient=text, fix=[text])
    mail_id = store.store_judged(db, gmail_mail(source=text, message_id=text, raw=raw), [hostile], [LABEL], NOW)
    (stored,) = store.verdicts_of(db, mail_id)
    printable = text.encode("utf-8", "replace").decode().replace("\x00", " ")
    assert [stored["diagnostic"], stored["recipient"], stored["original"]["subject"]] == [printable] * 3
    assert stored["fix"] == [printable]
    assert store.read_raw(db, mail_id) == raw
    db.close()


# Failures


def test_a_failed_mail_is_asked_for_again_and_then_kept(db: Database) -> None:
    unread = gmail_mail(raw=None)
    for _ in range(MAX_TRIES - 1):
        assert store.record_failed(db, unread, "HTTP 500", NOW) == "failed"
        assert [mail.gmail_id for mail in store.failed_mails(db, NOW)] == [unread.gmail_id]
    assert store.record_failed(db, unread, "HTTP 500", NOW) == "kept"
    assert store.failed_mails(db, NOW) == []
    (row,) = store.unreadable_mails(db)
    assert (row["tries"], row["error"], row["state"]) == (MAX_TRIES, "HTTP 500", "kept")
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
    assert [mail.raw for mail in store.failed_mails(db, NOW)] == [RAW]


def test_a_mail_is_gone_when_a_second_look_says_so(db: Database) -> None:
    store.record_missing(db, gmail_mail(raw=None), "HTTP 404", NOW)
    assert store.failed_mails(db, NOW + timedelta(minutes=59)) == []
    later = NOW + timedelta(hours=1)
    assert len(store.failed_mails(db, later)) == 1
    assert store.known_gmail_ids(db, [gmail_mail().gmail_id or ""])
    store.record_missing(db, gmail_mail(raw=None), "HTTP 404", later)
    assert rows(db, "mails")[0]["state"] == "gone"
    assert store.failed_mails(db, later + timedelta(days=9)) == store.unreadable_mails(db) == []
    assert not store.known_gmail_ids(db, [gmail_mail().gmail_id or ""]), "where it is listed again it is back"


def test_failing_or_going_later_does_not_undo_a_verdict(db: Database) -> None:
    store.store_judged(db, gmail_mail(), [record()], [], NOW)
    assert store.record_failed(db, gmail_mail(raw=None), "HTTP 500", NOW) == "judged"
    store.record_missing(db, gmail_mail(raw=None), "deleted", NOW)
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
        store.store_judged(db, gmail_mail(number), [record(kind=kind)], [], NOW, proven(record()))
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
        store.store_judged(db, mail, [verdict], [], NOW, proven(verdict))
    assert (stored_kinds(db)["delayed"] is not None) is is_same


# Actions, runs, cursor


def test_an_action_is_planned_then_done(db: Database) -> None:
    store.store_judged(db, gmail_mail(1), [record()], [LABEL], NOW)
    store.store_judged(db, gmail_mail(2), [record()], [LABEL], NOW)
    first, second = store.pending_actions(db, NOW)
    assert (first["kind"], first["target"], first["payload"]) == ("label", "thread-1", {"label": "Bounce/Unknown"})
    store.finish_labels(db, {first["id"]: "Label_1"}, NOW)
    assert [action["id"] for action in store.pending_actions(db, NOW)] == [second["id"]]
    assert rows(db, "actions")[0]["done_at"] == "2026-11-24T09:00:00Z"


def test_an_action_that_fails_is_tried_a_few_times(db: Database) -> None:
    store.store_judged(db, gmail_mail(), [record()], [LABEL], NOW)
    (action,) = store.pending_actions(db, NOW)
    at = NOW
    for _ in range(MAX_TRIES):
        assert store.pending_actions(db, at)
        store.fail_actions(db, [action["id"]], "HTTP 400", at)
        at += timedelta(days=1)
    assert store.pending_actions(db, NOW) == []
    assert (rows(db, "actions")[0]["state"], rows(db, "actions")[0]["error"]) == ("dropped", "HTTP 400")


def test_an_action_that_is_no_longer_wanted_is_dropped_at_once(db: Database) -> None:
    store.store_judged(db, gmail_mail(), [record()], [LABEL], NOW)
    store.fail_actions(db, [1], "notes are switched off", NOW, for_good=True)
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


def test_a_mail_without_a_date_counts_from_the_run_that_saw_it(db: Database) -> None:
    mail_id = store.store_judged(db, StoredMail("a.eml", raw=RAW), [record()], [], NOW)
    assert [verdict["received_at"] for verdict in store.verdicts_of(db, mail_id)] == ["2026-11-24T09:00:00Z"]


@pytest.mark.parametrize(
    ("question", "index"),
    [
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
        "find_mails": ["x"],
        "known_gmail_ids": [["x"]],
        "has_judged_file": [b"x"],
        "pending_actions": [NOW],
        "failed_mails": [NOW],
    }
    asked: list[tuple[str, Any]] = []
    with db.tracer(lambda sql, values: asked.append((sql, values))):
        getattr(store, question)(db, *arguments.get(question, []))
    plans = [
        json.dumps([row[3] for row in db.conn.execute(f"EXPLAIN QUERY PLAN {sql}", values or [])])
        for sql, values in asked
        if sql.lstrip().startswith("SELECT")
    ]
    assert any(index in plan for plan in plans), plans
    assert question == "find_mails" or not any("TEMP B-TREE" in plan for plan in plans), plans
