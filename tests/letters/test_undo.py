"""Taking back: exactly what is on record as ours, into Trash and not beyond, however often it is asked."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from tests.doubles.gmail import GmailDouble
from tests.worlds import forked, run_world
from tests.worlds.made_mails import NOW, alias_notice, minutes_ago, refusal, sent
from tests.worlds.run_world import at
from triage import run as worker
from triage import store
from triage.config import Settings
from triage.errors import TryLater
from triage.gmail.client import Gmail, connect
from triage.gmail.messages import Unavailable
from triage.letters import undo
from triage.letters.undo import Undoing
from triage.lock import locked
from triage.store.mails import MAX_TRIES

ROOT = Path(store.__file__).parents[2]


@pytest.fixture
def settings(gmail: GmailDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return run_world.settings_over(gmail, tmp_path, monkeypatch, modules=(worker, undo), timeout_seconds=1)


@pytest.fixture
def thread(gmail: GmailDouble, settings: Settings) -> str:
    """A thread with three bounces of two causes, two notes and two labels; the user has a label of his own on it."""
    first = gmail.seed(sent("mail-1@example.org"), labels=["SENT", "Mine"], received_at=minutes_ago(60))
    thread_id = gmail.messages[first].thread_id
    for number, mail in enumerate((alias_notice(1), alias_notice(2), refusal(3))):
        gmail.seed(mail, thread_id=thread_id, received_at=minutes_ago(30 - number))
    summary = worker.run(settings, lambda: NOW)
    assert (summary.actions, summary.notes) == (3, 2)
    return thread_id


@pytest.fixture
def client(gmail: GmailDouble, settings: Settings) -> Iterator[Gmail]:
    opened = connect(settings.token, url=gmail.url, sleep=lambda seconds: None)
    yield opened
    opened.close()


def notes(gmail: GmailDouble) -> list[bool]:
    """For each note whether it is in Trash."""
    return ["TRASH" in message.labels for message in gmail.messages.values() if b"X-Triage" in message.raw]


def ours(gmail: GmailDouble, thread_id: str) -> set[str]:
    return {name for name in gmail.label_names_of_thread(thread_id) if name.startswith("Bounce/")}


def test_notes_go_to_trash_and_nothing_else_moves(gmail: GmailDouble, settings: Settings, thread: str) -> None:
    before = {key: list(m.labels) for key, m in gmail.messages.items() if b"X-Triage" not in m.raw}
    done = undo.take_back(settings, "notes", lambda: NOW)
    assert [one.problem for one in done] == [None, None]
    assert notes(gmail) == [True, True]
    assert {key: list(m.labels) for key, m in gmail.messages.items() if key in before} == before
    assert gmail.quota.calls["messages.delete"] == gmail.quota.calls["threads.delete"] == 0


def test_labels_come_off_and_stay_in_the_list_of_labels(gmail: GmailDouble, settings: Settings, thread: str) -> None:
    assert ours(gmail, thread) == {"Bounce/Fix your alias", "Bounce/Remote rejection"}
    labels = gmail.label_names()
    done = undo.take_back(settings, "labels", lambda: NOW)
    assert [one.problem for one in done] == [None, None]
    assert ours(gmail, thread) == set()
    assert gmail.label_names() == labels
    assert {"INBOX", "UNREAD", "Mine"} <= gmail.label_names_of_thread(thread)
    assert gmail.quota.calls["threads.modify"] == 1, "one to take both off"


@pytest.mark.parametrize("what", ["notes", "labels"])
def test_a_second_time_finds_nothing_to_do(
    gmail: GmailDouble, settings: Settings, thread: str, what: undo.What
) -> None:
    assert len(undo.take_back(settings, what, lambda: NOW)) == 2
    gmail.reset_counters()
    assert undo.take_back(settings, what, lambda: NOW) == []
    assert gmail.quota.requests == 0


def test_what_was_taken_back_is_not_done_again(gmail: GmailDouble, settings: Settings, thread: str) -> None:
    undo.take_back(settings, "notes", lambda: NOW)
    undo.take_back(settings, "labels", lambda: NOW)
    summary = worker.run(settings, lambda: NOW)
    assert (summary.actions, summary.notes) == (0, 0)
    gmail.seed(alias_notice(4), thread_id=thread, received_at=minutes_ago(1))
    summary = worker.run(settings, lambda: NOW)
    assert (summary.actions, summary.notes) == (1, 0), "a new bounce is labelled anew, and was explained before"


def test_a_label_the_user_set_himself_on_another_thread_stays(
    gmail: GmailDouble, settings: Settings, thread: str
) -> None:
    other = gmail.seed(sent("mail-9@example.org"), labels=["Bounce/Fix your alias"])
    undo.take_back(settings, "labels", lambda: NOW)
    assert ours(gmail, gmail.messages[other].thread_id) == {"Bounce/Fix your alias"}


def test_what_is_gone_already_needs_no_undoing(gmail: GmailDouble, settings: Settings, thread: str) -> None:
    for message in [m for m in gmail.messages.values() if b"X-Triage" in m.raw]:
        gmail.account.delete(message)
    for label in [label for label in gmail.account.labels.values() if label["name"].startswith("Bounce/")]:
        gmail.account.delete_label(label["id"])
    assert [one.problem for one in undo.take_back(settings, "notes", lambda: NOW)] == [None, None]
    assert [one.problem for one in undo.take_back(settings, "labels", lambda: NOW)] == [None, None]
    assert not {name for name in gmail.label_names() if name.startswith("Bounce/")}, "none was made to be taken off"
    assert undo.to_undo(settings, "notes") == undo.to_undo(settings, "labels") == []


def test_a_label_the_owner_renamed_comes_off(gmail: GmailDouble, settings: Settings, thread: str) -> None:
    """Also where a label of the old name was made again for a later bounce."""
    renamed = gmail.account.label_named("Bounce/Fix your alias")
    assert renamed is not None
    renamed["name"] = "Repair me"
    gmail.seed(alias_notice(4), thread_id=thread, received_at=minutes_ago(1))
    assert worker.run(settings, lambda: NOW).actions == 1
    assert {"Repair me", "Bounce/Fix your alias"} <= gmail.label_names_of_thread(thread)
    done = undo.take_back(settings, "labels", lambda: NOW)
    assert [(one.problem, one.was_there) for one in done] == [(None, True)] * 3
    assert ours(gmail, thread) == set()
    assert "Repair me" not in gmail.label_names_of_thread(thread)


def test_what_was_never_there_is_not_counted(gmail: GmailDouble, settings: Settings) -> None:
    """A note whose insert was never confirmed, and did not arrive."""
    gmail.seed(refusal(1), received_at=minutes_ago(5))
    gmail.fail("messages.insert", times=None, connection="drop")
    for day in range(MAX_TRIES):
        worker.run(settings, partial(at, days=day))
    gmail.clear_faults()
    with closing(store.open_store(settings.database)) as db, db.conn:
        db.execute("UPDATE actions SET state = 'dropped' WHERE kind = 'note'")
    shown = triage(settings, gmail, "undo", "notes")
    assert shown.stdout.splitlines()[:2] == [
        "0 notes moved to Trash.",
        "1 note more on record, but not in the mailbox (any more).",
    ]


def test_what_gmail_refuses_stays_to_be_done(gmail: GmailDouble, settings: Settings, thread: str) -> None:
    gmail.fail("messages.trash", status=400)
    done = undo.take_back(settings, "notes", lambda: NOW)
    assert [one.problem is None for one in done] == [False, True]
    assert len(undo.to_undo(settings, "notes")) == 1
    assert [one.problem for one in undo.take_back(settings, "notes", lambda: NOW)] == [None]
    assert notes(gmail) == [True, True]


def test_gmail_away_in_the_middle_loses_nothing(gmail: GmailDouble, settings: Settings, thread: str) -> None:
    gmail.fail("messages.trash", nth=2, times=None, status=503)
    with pytest.raises(TryLater):
        undo.take_back(settings, "notes", lambda: NOW)
    gmail.clear_faults()
    assert len(undo.take_back(settings, "notes", lambda: NOW)) == 1
    assert notes(gmail) == [True, True]


def test_a_note_given_up_without_knowing_whether_it_arrived_is_looked_for(
    gmail: GmailDouble, settings: Settings
) -> None:
    gmail.seed(refusal(1), received_at=minutes_ago(5))
    gmail.clock.advance(1800)
    gmail.fail("messages.insert", when="after", connection="drop")
    worker.run(settings, lambda: NOW)
    gmail.account.search_lag = 1000  # the bounce is found, the note is not
    gmail.fail("threads.get", times=None, status=404)
    gmail.fail("messages.insert", times=None, status=400)
    for day in range(1, MAX_TRIES + 1):
        worker.run(settings, partial(at, days=day))
    assert notes(gmail) == [False]
    gmail.account.search_lag = 0
    (undone,) = undo.take_back(settings, "notes", lambda: NOW)
    assert (undone.undoing.gmail_id, undone.problem) == (None, None)
    assert notes(gmail) == [True]


def test_nothing_is_undone_while_a_run_is_at_work(settings: Settings, thread: str) -> None:
    with locked(settings.database), pytest.raises(TryLater):
        undo.take_back(settings, "notes", lambda: NOW)
    assert len(undo.to_undo(settings, "notes")) == 2


def test_without_a_database_there_is_nothing_to_undo(settings: Settings) -> None:
    assert undo.to_undo(settings, "notes") == []
    assert undo.take_back(settings, "labels", lambda: NOW) == []
    assert not settings.database.exists()


def test_what_it_names(settings: Settings, thread: str) -> None:
    first, second = undo.to_undo(settings, "labels")
    assert first == Undoing(first.action_ids, thread, "Bounce/Fix your alias", label_id=first.label_id)
    assert (len(first.action_ids), second.what) == (2, "Bounce/Remote rejection")
    assert [one.what for one in undo.to_undo(settings, "notes")] == ["alias-credentials-rejected", "recipient-unknown"]


# The command


def triage(settings: Settings, gmail: GmailDouble, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "HOME": str(settings.token.parent)}
    env |= {"TRIAGE_CONFIG": str(settings.token.parent / "triage.toml"), "TRIAGE_GMAIL_URL": gmail.url}
    return forked.triage(*arguments, env=env, cwd=settings.token.parent)


def test_the_command_shows_first_and_does_then(gmail: GmailDouble, settings: Settings, thread: str) -> None:
    shown = triage(settings, gmail, "undo", "notes", "--dry-run")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.splitlines() == [
        f"Would be moved to Trash: the note about alias-credentials-rejected, thread {thread}",
        f"Would be moved to Trash: the note about recipient-unknown, thread {thread}",
        "Nothing was changed. 2 notes would be moved to Trash.",
    ]
    assert notes(gmail) == [False, False]
    done = triage(settings, gmail, "undo", "notes")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "2 notes moved to Trash."
    assert "notes = false" in done.stdout
    assert notes(gmail) == [True, True]
    labels = triage(settings, gmail, "undo", "labels")
    assert (labels.returncode, labels.stdout) == (0, "2 labels taken off.\n")


# What Gmail is asked


def test_trash_says_what_could_not_be_done(gmail: GmailDouble, client: Gmail) -> None:
    message_id = gmail.seed(refusal(1))
    assert client.trash(message_id) is None
    assert "TRASH" in gmail.labels_of(message_id)
    gone = client.trash("1234567890abcdef")
    assert isinstance(gone, Unavailable)
    assert gone.gone


def test_a_message_is_found_in_its_thread_before_the_search_knows_it(gmail: GmailDouble, client: Gmail) -> None:
    message_id = gmail.seed(refusal(1))
    thread_id = gmail.messages[message_id].thread_id
    gmail.account.search_lag = 3600
    assert client.find_message_id("bounce-1@mx.example.com") == []
    found = client.find_in_thread(thread_id, "bounce-1@mx.example.com")
    assert found is not None
    assert (found.id, found.thread_id) == (message_id, thread_id)
    assert client.find_in_thread(thread_id, "other@mx.example.com") is None
    assert client.find_in_thread("1234567890abcdef", "bounce-1@mx.example.com") is None


def test_a_label_is_found_without_being_made(gmail: GmailDouble, client: Gmail) -> None:
    assert client.find_label("Bounce/Mine") is None
    made = client.label_id("Bounce/Mine")
    assert client.find_label("bounce/MINE") == made
    assert gmail.label_names() == {"Bounce", "Bounce/Mine"}
