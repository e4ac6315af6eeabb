"""The one way into the mailbox: in a thread or in the inbox, once, whatever an earlier try left and when it was."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from tests.doubles.gmail import GmailDouble
from tests.incidents import conftest as told_world
from tests.worlds.made_mails import NOW, refusal
from triage import store
from triage.errors import TryLater
from triage.gmail.client import Gmail
from triage.letters.letter import IN_INBOX, Place, letter_bytes, letter_id
from triage.letters.once import LONGEST_LAG, Inserted, NotYet, insert_once

double, gmail = told_world.double, told_world.gmail

KEY, MESSAGE_ID = "test x", letter_id("x")


def raw() -> bytes:
    place = Place(MESSAGE_ID, "Undelivered Mail Returned to Sender", ("bounce-1@mx.example.com",))
    return letter_bytes("test", "test@bounce-triage.invalid", place, NOW, "Hello.")


def put(gmail: Gmail, db: Database, at: datetime = NOW, **where: Any) -> Inserted | NotYet:
    return insert_once(gmail, db, KEY, MESSAGE_ID, raw, now=at, **where)


def bounce(double: GmailDouble) -> str:
    """Let a bounce arrive long enough ago to be found; returns its thread."""
    thread_id = double.messages[double.seed(refusal(1))].thread_id
    double.clock.advance(3600)
    return thread_id


def letters(double: GmailDouble) -> list[Any]:
    return [message for message in double.messages.values() if b"X-Triage: test" in message.raw]


@pytest.mark.parametrize("in_thread", [True, False])
def test_it_is_inserted_once_and_then_costs_nothing(
    gmail: Gmail, double: GmailDouble, db: Database, in_thread: bool
) -> None:
    thread_id = bounce(double) if in_thread else None
    first = put(gmail, db, thread_id=thread_id, label_ids=IN_INBOX)
    (letter,) = letters(double)
    assert first == Inserted(letter.id, is_new=True)
    assert set(letter.labels) == {"INBOX", "UNREAD"}
    assert (letter.thread_id == thread_id) == in_thread
    assert double.quota.units_new == 30
    assert put(gmail, db, thread_id=thread_id) == Inserted(letter.id, is_new=False)
    assert double.quota.units_new == 30


@pytest.mark.parametrize("lag", [0.0, 30.0])
@pytest.mark.parametrize("arrived", [True, False])
@pytest.mark.parametrize("in_thread", [True, False])
def test_after_a_lost_answer_a_thread_tells_at_once_and_the_inbox_when_the_search_may_be_believed(
    gmail: Gmail, double: GmailDouble, db: Database, in_thread: bool, arrived: bool, lag: float
) -> None:
    thread_id = bounce(double) if in_thread else None
    double.account.search_lag = lag
    double.fail("messages.insert", connection="drop", when="after" if arrived else "before")
    lost = put(gmail, db, thread_id=thread_id)
    assert isinstance(lost, NotYet)
    assert "did not confirm" in lost.why
    answers = []
    for seconds in (5, LONGEST_LAG.total_seconds() - 1, LONGEST_LAG.total_seconds()):
        answers.append(put(gmail, db, NOW + timedelta(seconds=seconds), thread_id=thread_id))
        if seconds == 5:
            double.clock.advance(60)  # the search catches up
    waits_for = 0 if in_thread or (arrived and not lag) else 1 if arrived else 2
    assert [isinstance(answer, NotYet) for answer in answers] == [number < waits_for for number in range(3)]
    (letter,) = letters(double)
    assert answers[waits_for] == Inserted(letter.id, is_new=not arrived)
    assert double.quota.calls["messages.insert"] == 2 - arrived


def test_what_gmail_certainly_did_not_take_need_not_be_looked_for(
    gmail: Gmail, double: GmailDouble, db: Database
) -> None:
    thread_id = bounce(double)
    double.fail("messages.insert", status=429, times=None)
    with pytest.raises(TryLater, match="slow down"):
        put(gmail, db, thread_id=thread_id)
    double.clear_faults()
    put(gmail, db, thread_id=thread_id)
    assert double.quota.calls["threads.get"] == 0
    assert len(letters(double)) == 1


def test_two_at_once_put_it_there_once(gmail: Gmail, double: GmailDouble, db: Database, tmp_path: Path) -> None:
    """The other process asks between our look and our try."""

    def compose_slowly() -> bytes:
        with closing(store.open_store(tmp_path / "triage.db")) as other:
            assert store.begin_insert(other, KEY, MESSAGE_ID, None, NOW)
        return b"never used"

    assert isinstance(insert_once(gmail, db, KEY, MESSAGE_ID, compose_slowly, now=NOW), NotYet)
    assert len(double.messages) == 0


def test_where_gmail_put_it_stays_known(
    gmail: Gmail, double: GmailDouble, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread_id = bounce(double)
    monkeypatch.setattr(double.account, "joined", lambda *_: None)
    for is_new in (True, False):
        done = put(gmail, db, thread_id=thread_id)
        (letter,) = letters(double)
        assert done == Inserted(letter.id, is_new, elsewhere=letter.thread_id)


def test_a_left_over_note_that_did_not_arrive_costs_one_look_into_its_thread(
    gmail: Gmail, double: GmailDouble, db: Database
) -> None:
    thread_id = bounce(double)
    double.fail("messages.insert", connection="drop")
    assert isinstance(put(gmail, db, thread_id=thread_id), NotYet)
    double.reset_counters()
    done = put(gmail, db, NOW + LONGEST_LAG, thread_id=thread_id)
    assert isinstance(done, Inserted)
    assert done.is_new
    assert (double.quota.units_new, double.quota.calls["threads.get"]) == (70, 1)


@pytest.mark.parametrize("in_thread", [True, False])
@pytest.mark.parametrize("jump", [timedelta(0), timedelta(hours=1), timedelta(days=9), timedelta(days=-3)], ids=str)
def test_neither_a_long_lag_nor_a_clock_that_jumps_lets_it_come_twice(
    gmail: Gmail, double: GmailDouble, db: Database, in_thread: bool, jump: timedelta
) -> None:
    """A search that lags by half an hour, a run each quarter, and this computer's clock is off after the first."""
    where = {"thread_id": bounce(double) if in_thread else None}
    double.clock.is_told = True
    double.account.search_lag = 29 * 60
    double.fail("messages.insert", connection="drop", when="after")
    put(gmail, db, **where)
    answers = []
    for number in range(1, 4):
        double.clock.advance(900)
        answers.append(put(gmail, db, NOW + jump + number * timedelta(minutes=15), **where))
    assert len(letters(double)) == 1
    assert isinstance(answers[0], Inserted if in_thread else NotYet)
    assert isinstance(answers[-1], Inserted)


@pytest.mark.parametrize("in_thread", [True, False])
def test_an_empty_answer_of_a_search_that_finds_nothing_at_all_is_not_believed(
    gmail: Gmail, double: GmailDouble, db: Database, in_thread: bool
) -> None:
    thread_id = bounce(double)
    double.fail("messages.insert", connection="drop", when="after")
    put(gmail, db, thread_id=thread_id if in_thread else None)
    double.fail("messages.list", times=None, body=b'{"resultSizeEstimate": 0}', status=200)
    for days in range(1, 4):
        found = put(gmail, db, NOW + timedelta(days=days), thread_id=thread_id if in_thread else None)
        assert isinstance(found, Inserted if in_thread else NotYet)
        assert in_thread or "finds no mail at all, although the mailbox holds 2" in str(found.why)
    double.clear_faults()
    assert isinstance(put(gmail, db, NOW + timedelta(days=5), thread_id=thread_id if in_thread else None), Inserted)
    assert len(letters(double)) == 1
