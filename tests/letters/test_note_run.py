"""Notes in a run: which bounces get one, that there is exactly one, and its price."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.doubles.gmail import GmailDouble
from tests.worlds import run_world
from tests.worlds.made_mails import NOW, alias_notice, delay, minutes_ago, opened, refusal, sent
from tests.worlds.run_world import ask, at
from triage import run as worker
from triage import store
from triage.config import Settings
from triage.errors import TryLater
from triage.gmail import Refused, Streak
from triage.gmail.answers import Passing
from triage.letters.writer import not_done
from triage.model import RunSummary
from triage.report.text import planned_words

# In a run


@pytest.fixture
def settings(gmail: GmailDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return run_world.settings_over(gmail, tmp_path, monkeypatch, timeout_seconds=1)


Work = Callable[..., RunSummary]


@pytest.fixture
def work(settings: Settings) -> Work:
    """Do one run at a given moment, by default the one these tests know."""
    return lambda at=NOW, **changes: worker.run(replace(settings, **changes), lambda: at)


def seed(gmail: GmailDouble, *mails: bytes, thread_id: str | None = None, minutes: float = 30) -> str:
    """Let mails arrive one minute after the other, in one thread if given; returns the thread of the last."""
    for number, mail in enumerate(mails):
        last = gmail.seed(mail, thread_id=thread_id, received_at=minutes_ago(minutes - number))
    return gmail.messages[last].thread_id


def conversation(gmail: GmailDouble) -> str:
    """A thread that begins with a mail of ours."""
    message_id = gmail.seed(sent("mail-1@example.org"), labels=["SENT"], received_at=minutes_ago(60))
    return gmail.messages[message_id].thread_id


def notes(gmail: GmailDouble, thread_id: str | None = None) -> list[EmailMessage]:
    """The notes in a thread, or anywhere."""
    return [
        opened(message.raw)
        for message in gmail.messages.values()
        if b"X-Triage: note" in message.raw and thread_id in (None, message.thread_id)
    ]


def test_a_bounce_is_explained_in_its_own_thread(gmail: GmailDouble, work: Work, settings: Settings) -> None:
    thread_id = seed(gmail, refusal(1))
    bounce = next(message for message in gmail.messages.values() if "SENT" not in message.labels)
    labels = list(bounce.labels)
    summary = work()
    assert (summary.actions, summary.notes) == (1, 1)
    (note,) = notes(gmail, thread_id)
    assert note["Subject"] == "Undelivered Mail Returned to Sender"
    assert "Not delivered: the mail to pat@client.example." in note.get_content()
    (verdict,) = ask(settings, "SELECT id FROM verdicts")
    assert f"triage explain {verdict['id']}" in note.get_content()
    assert set(labels) < set(bounce.labels), "still unread, still in the inbox"
    (stored,) = [message for message in gmail.messages.values() if b"X-Triage" in message.raw]
    assert not {"INBOX", "UNREAD", "SENT"} & set(stored.labels)
    (action,) = ask(settings, "SELECT * FROM actions WHERE kind = 'note'")
    assert (action["state"], action["gmail_id"], action["error"]) == ("done", stored.id, None)
    assert ask(settings, "SELECT notes FROM runs") == [{"notes": 1}]


def test_a_note_is_never_taken_for_a_bounce_and_costs_nothing_later(gmail: GmailDouble, work: Work) -> None:
    seed(gmail, alias_notice(1), refusal(2), thread_id=conversation(gmail))
    work()
    gmail.reset_counters()
    summary = work()
    assert (summary.new, summary.units_new, summary.requests) == (0, 5, 1)


def test_one_note_for_each_cause_however_many_bounces(gmail: GmailDouble, work: Work) -> None:
    thread_id = conversation(gmail)
    second = alias_notice(2).replace(b"pat@client.example", b"sam@client.example")
    seed(gmail, alias_notice(1), second, refusal(3), thread_id=thread_id)
    assert work().notes == 2
    alias, remote = sorted(notes(gmail, thread_id), key=lambda note: "It left your side" in note.get_content())
    assert alias.get_content().startswith("Not delivered: the mail to pat@client.example and sam@client.example.")
    assert remote.get_content().startswith("Not delivered: the mail to pat@client.example.")
    seed(gmail, alias_notice(4), thread_id=thread_id, minutes=5)
    assert work().notes == 0
    assert len(notes(gmail)) == 2


def test_an_alias_note_names_the_place_and_the_relay_gmail_has(gmail: GmailDouble, work: Work) -> None:
    gmail.add_send_as("admin@queenofsandiego.com", host="email-smtp.us-west-2.amazonaws.com")
    thread_id = conversation(gmail)
    seed(gmail, alias_notice(1), thread_id=thread_id)
    work(smtp_user="ses-smtp-user")
    (note,) = notes(gmail, thread_id)
    for words in ("In Gmail on a computer: Settings", "email-smtp.us-west-2.amazonaws.com"):
        assert words in note.get_content()


def test_trouble_that_comes_back_after_it_was_over_gets_a_note_of_its_own(
    gmail: GmailDouble, work: Work, settings: Settings
) -> None:
    thread_id = conversation(gmail)
    gmail.seed(alias_notice(1), thread_id=thread_id, received_at=NOW - timedelta(days=9))
    assert work(NOW - timedelta(days=9)).notes == 1
    db = store.open_store(settings.database)
    (incident,) = db.execute("SELECT id FROM incidents").fetchall()
    store.close_by_hand(db, incident[0], "new password", NOW - timedelta(days=8))
    db.close()
    again = alias_notice(2).replace(b"pat@client.example", b"sam@client.example")
    gmail.seed(again, thread_id=thread_id, received_at=NOW - timedelta(days=1))
    assert work().notes == 1
    first, second = notes(gmail, thread_id)
    assert first["Message-ID"] != second["Message-ID"]
    assert second.get_content().startswith("Not delivered: the mail to sam@client.example.")


@pytest.mark.parametrize(
    ("genuine", "is_in_sent", "expected"), [("unknown", True, 1), ("unknown", False, 0), ("fail", True, 0)]
)
def test_only_what_is_acted_on_is_explained(
    gmail: GmailDouble, work: Work, genuine: str, is_in_sent: bool, expected: int
) -> None:
    seed(gmail, refusal(1, genuine=genuine, original_id="mail-1@example.org" if is_in_sent else "no@example.org"))
    assert work().notes == expected
    assert len(notes(gmail)) == expected


def test_a_delay_that_ended_before_its_note_was_written_gets_none(
    gmail: GmailDouble, work: Work, settings: Settings
) -> None:
    thread_id = conversation(gmail)
    seed(gmail, delay(1), refusal(2), thread_id=thread_id)
    assert work().notes == 1
    assert "Not delivered yet" not in notes(gmail, thread_id)[0].get_content()
    dropped = ask(settings, "SELECT state, error FROM actions WHERE kind = 'note' ORDER BY id LIMIT 1")
    assert dropped[0]["state"] == "dropped"


def test_notes_can_be_switched_off(gmail: GmailDouble, work: Work, settings: Settings) -> None:
    seed(gmail, refusal(1))
    assert work(notes=False).notes == 0
    assert ask(settings, "SELECT * FROM actions WHERE kind = 'note'") == []


def test_what_was_planned_before_they_were_switched_off_is_dropped(
    gmail: GmailDouble, work: Work, settings: Settings
) -> None:
    seed(gmail, refusal(1))
    gmail.fail("messages.insert", status=400)
    assert work().notes == 0
    assert work(notes=False).notes == 0
    (action,) = ask(settings, "SELECT state, error FROM actions WHERE kind = 'note'")
    assert action == {"state": "dropped", "error": "notes are switched off"}
    assert notes(gmail) == []


@pytest.mark.parametrize(("inbox", "unread"), [(True, False), (False, True), (True, True)])
def test_a_note_may_bring_the_conversation_up_again(gmail: GmailDouble, work: Work, inbox: bool, unread: bool) -> None:
    seed(gmail, refusal(1))
    work(note_inbox=inbox, note_unread=unread)
    (note,) = [message for message in gmail.messages.values() if b"X-Triage" in message.raw]
    assert ("INBOX" in note.labels, "UNREAD" in note.labels) == (inbox, unread)


def test_a_bounce_with_label_and_note_costs_sixty_units(gmail: GmailDouble, work: Work) -> None:
    seed(gmail, refusal(1))
    work()  # makes the label
    per_run = 5 + 5 + 1  # listing the mails, which of them are large, the labels
    for number in (2, 3):
        gmail.reset_counters()
        seed(gmail, refusal(number, original_id=f"mail-{number}@example.org"), minutes=5)
        assert work().notes == 1
        assert gmail.quota.units_new - per_run <= 60


def test_a_dry_run_tells_the_notes_once(gmail: GmailDouble, settings: Settings, work: Work) -> None:
    thread_id = conversation(gmail)
    seed(gmail, alias_notice(1), alias_notice(2), refusal(3), thread_id=thread_id)
    plan = worker.dry_run(settings, lambda: NOW)
    assert [line for line in planned_words(plan) if "note" in line] == [
        f"Would note    thread {thread_id}: alias-credentials-rejected",
        f"Would note    thread {thread_id}: recipient-unknown",
    ]
    assert plan.summary.notes == work().notes == 2


# Exactly once


def test_a_lost_database_writes_no_second_note(gmail: GmailDouble, work: Work, settings: Settings) -> None:
    seed(gmail, refusal(1), refusal(2, original_id="mail-2@example.org"))
    work()
    settings.database.unlink()
    work()
    assert len(notes(gmail)) == 2
    assert [row["state"] for row in ask(settings, "SELECT state FROM actions WHERE kind = 'note'")] == ["done"] * 2


def test_a_note_the_user_threw_away_stays_there(gmail: GmailDouble, work: Work, settings: Settings) -> None:
    seed(gmail, refusal(1))
    work()
    (note,) = [message for message in gmail.messages.values() if b"X-Triage" in message.raw]
    note.labels.append("TRASH")
    settings.database.unlink()
    work()
    assert len(notes(gmail)) == 1


@pytest.mark.parametrize("lag", [0.0, 3600.0])
@pytest.mark.parametrize("connection", ["drop", "reset", "truncate", "hang"])
def test_a_note_whose_answer_was_lost_is_found_and_not_written_again(
    gmail: GmailDouble, work: Work, settings: Settings, connection: Any, lag: float
) -> None:
    seed(gmail, refusal(1))
    gmail.clock.advance(7200)  # the search shows the bounce, whatever its lag
    gmail.account.search_lag = lag
    gmail.fail("messages.insert", when="after", connection=connection)
    with pytest.raises(TryLater) if connection == "hang" else nullcontext():  # no answer in time: nor to the next
        summary = work()
        assert (summary.actions, summary.notes) == (1, 0)
    (action,) = ask(settings, "SELECT state, tries, put_off, error FROM actions WHERE kind = 'note'")
    assert (action["state"], action["tries"], action["put_off"]) == ("planned", 0, 1)
    assert "did not confirm" in action["error"]
    assert work().notes == 1
    assert len(notes(gmail)) == 1
    assert gmail.quota.calls["messages.insert"] == 1
    assert work().notes == 0


@pytest.mark.parametrize("connection", ["drop", "reset"])
def test_a_note_that_never_arrived_is_written_by_the_next_run(gmail: GmailDouble, work: Work, connection: Any) -> None:
    seed(gmail, refusal(1))
    gmail.fail("messages.insert", when="before", connection=connection)
    assert work().notes == 0
    assert notes(gmail) == []
    assert work().notes == 1
    assert len(notes(gmail)) == 1


def test_notes_an_earlier_run_did_not_come_to_cost_no_more_than_others(
    gmail: GmailDouble, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed(gmail, *(refusal(number, original_id=f"mail-{number}@example.org") for number in (1, 2, 3)))

    def killed(*_: Any) -> NoReturn:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(worker, "write_notes", killed)
        with pytest.raises(KeyboardInterrupt):
            work()
    gmail.reset_counters()
    assert work().notes == 3
    assert gmail.quota.units_new == 5 + 2 + 3 * (5 + 25)  # listing; the account; each note
    assert len(notes(gmail)) == 3


@pytest.mark.parametrize("lag", [0.0, 3600.0])
@pytest.mark.parametrize("arrived", [True, False])
def test_a_note_an_earlier_version_may_have_written_is_not_written_again(
    gmail: GmailDouble, work: Work, settings: Settings, arrived: bool, lag: float
) -> None:
    """Which wrote no try down: it was killed around the insert, and then brought up to date."""
    seed(gmail, refusal(1))
    gmail.clock.advance(7200)  # the search shows the bounce, whatever its lag
    gmail.account.search_lag = lag
    gmail.fail("messages.insert", when="after" if arrived else "before", connection="drop")
    work()
    with closing(sqlite3.connect(settings.database)) as db, db:
        db.execute("UPDATE actions SET tries = 0, error = NULL WHERE kind = 'note'")
        db.execute("DELETE FROM inserts")
        db.execute("ALTER TABLE inserts DROP COLUMN thread_id")
        db.execute("DELETE FROM _sqlite_migrations WHERE name = 'm050_letters'")
    assert work().notes == 1
    assert len(notes(gmail)) == 1


def test_a_note_gmail_refuses_does_not_stop_the_others(gmail: GmailDouble, work: Work, settings: Settings) -> None:
    seed(gmail, refusal(1), refusal(2, original_id="mail-2@example.org"))
    gmail.fail("messages.insert", status=400)
    assert work().notes == 1
    assert work().notes == 1
    assert len(notes(gmail)) == 2


def test_three_that_gmail_does_not_do_one_after_the_other_end_the_part_of_the_run(tmp_path: Path) -> None:
    trouble, later = Streak(), Passing("Gmail answers 503", "Wait for the next run.")
    with closing(store.open_store(tmp_path / "triage.db")) as db:
        not_done(db, [], later, trouble, NOW)
        not_done(db, [], Refused(404, frozenset(), "no such thread"), trouble, NOW)
        for _ in range(2):
            not_done(db, [], later, trouble, NOW)
        with pytest.raises(Passing):
            not_done(db, [], later, trouble, NOW)


def test_a_thread_that_is_gone_at_a_second_look_gets_no_note(gmail: GmailDouble, settings: Settings) -> None:
    seed(gmail, refusal(1))
    gmail.fail("messages.insert", times=None, status=404)
    for minutes, state in ((0, "planned"), (30, "planned"), (61, "dropped")):
        assert worker.run(settings, partial(at, minutes=minutes)).notes == 0
        assert ask(settings, "SELECT state FROM actions WHERE kind = 'note'") == [{"state": state}]
    assert gmail.quota.calls["messages.insert"] == 2


def test_one_404_costs_no_note(gmail: GmailDouble, settings: Settings) -> None:
    seed(gmail, refusal(1))
    gmail.fail("messages.insert", status=404, body=b"<!DOCTYPE html><title>Error 404 (Not Found)!!1</title>")
    assert worker.run(settings, at).notes == 0
    assert worker.run(settings, partial(at, hours=1)).notes == 1


def test_a_note_gmail_puts_elsewhere_is_on_record(
    gmail: GmailDouble, work: Work, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread_id = seed(gmail, refusal(1))
    monkeypatch.setattr(gmail.account, "joined", lambda *_: None)
    assert work().notes == 1
    assert notes(gmail, thread_id) == []
    (action,) = ask(settings, "SELECT state, error FROM actions WHERE kind = 'note'")
    assert action["state"] == "done"
    assert "another conversation" in action["error"]
    assert work().notes == 0


def test_a_bounce_that_names_no_mail_of_its_thread_gets_a_label_only(gmail: GmailDouble, work: Work) -> None:
    seed(gmail, refusal(1).replace(b"Message-ID: <bounce-1@mx.example.com>\r\n", b""))
    summary = work()
    assert (summary.actions, summary.notes) == (1, 0)
