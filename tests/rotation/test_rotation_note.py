"""The hand-over as a note in the threads that failed: once in each, however often and however soon it is asked for."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.gmail import GmailDouble
from tests.rotation.test_rotation_watch import ALIAS, ROTATION
from tests.worlds import run_world
from tests.worlds.made_mails import NOW, alias_notice, minutes_ago, opened
from tests.worlds.made_verdicts import gmail_mail, proven, record
from triage import store
from triage.config import Settings
from triage.letters import letter_id
from triage.rotation.hand_over import by_note

IDS = ("bounce-1@googlemail.com", "bounce-2@googlemail.com")


@pytest.fixture
def settings(gmail: GmailDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return run_world.settings_over(gmail, tmp_path, monkeypatch)


def failures(gmail: GmailDouble, settings: Settings, *message_ids: str | None, subject: str = "Failure") -> list[str]:
    """Let alias failures of these Message-IDs arrive, each in a thread of its own, and be judged; returns the threads.

    The search shows all that arrived by then, whatever its lag.
    """
    values: dict[str, Any] = {"category": "smtp-credentials", "cause": "alias-credentials-rejected", "from": ALIAS}
    threads = []
    with closing(store.open_store(settings.database)) as db:
        for number, message_id in enumerate(message_ids, 1):
            raw = alias_notice(number).replace(b"bounce-%d@googlemail.com" % number, (message_id or "").encode())
            raw = raw.replace(b"Delivery Status Notification (Failure)", subject.encode())
            at = minutes_ago(90 - number)
            message = gmail.messages[gmail.seed(raw, received_at=at)]
            ids = {"gmail_id": message.id, "thread_id": message.thread_id, "message_id": message_id}
            failure = record(**values)
            mail = gmail_mail(number, raw=raw, received_at=at, **ids)
            store.store_judged(db, mail, [failure], [], NOW, proven(failure))
            threads.append(message.thread_id)
    gmail.clock.advance(3600)
    return threads


def notes(gmail: GmailDouble) -> list[tuple[str, EmailMessage]]:
    """(thread, note) of each there is."""
    marked = [message for message in gmail.messages.values() if b"X-Triage: rotation" in message.raw]
    return [(message.thread_id, opened(message.raw)) for message in marked]


@pytest.mark.parametrize("lag", [0.0, 30.0])
def test_asked_for_twice_it_is_there_once(gmail: GmailDouble, settings: Settings, lag: float) -> None:
    threads = failures(gmail, settings, *IDS)
    gmail.account.search_lag = lag
    for seconds in (0, 5):
        assert by_note(settings, ROTATION, NOW + timedelta(seconds=seconds)) == []
    found = notes(gmail)
    assert [thread_id for thread_id, _ in found] == threads[: len(found)] == threads
    for thread_id, note in found:
        # The id it had before there was a record of it: what earlier versions wrote is found.
        assert note["Message-ID"] == f"<{letter_id(f'{thread_id} {thread_id} rotation r1 new')}>"
        assert (note["To"], note["Subject"], note["X-Triage"]) == (gmail.address, "Failure", "rotation")
        assert "Username: AKIANEW" in note.get_content()


@pytest.mark.parametrize("lag", [0.0, 30.0])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_is_told_and_looked_up(gmail: GmailDouble, settings: Settings, when: Any, lag: float) -> None:
    failures(gmail, settings, IDS[0])
    gmail.account.search_lag = lag
    gmail.fail("messages.insert", connection="drop", when=when)
    (problem,) = by_note(settings, ROTATION, NOW)
    assert problem.startswith("The note in the thread could not be written: Gmail did not confirm")
    assert by_note(settings, ROTATION, NOW + timedelta(seconds=5)) == []
    assert len(notes(gmail)) == 1


def test_a_note_of_an_earlier_version_is_found(gmail: GmailDouble, settings: Settings) -> None:
    """Which kept no record of it."""
    failures(gmail, settings, IDS[0])
    by_note(settings, ROTATION, NOW)
    with closing(store.open_store(settings.database)) as db:
        db["inserts"].delete_where()
    assert by_note(settings, ROTATION, NOW + timedelta(days=1)) == []
    assert len(notes(gmail)) == 1


def test_the_old_login_given_back_is_a_note_of_its_own(gmail: GmailDouble, settings: Settings) -> None:
    failures(gmail, settings, IDS[0])
    for keeps in ("new", "old", "new"):
        assert by_note(settings, replace(ROTATION, keeps=keeps), NOW) == []  # type: ignore[arg-type]
    assert ["old login" in note.get_content() for _, note in notes(gmail)] == [False, True]


@pytest.mark.parametrize(
    ("message_id", "is_noted"),
    [
        ("1@mx.google.com", True),
        ("a" * 200 + "@mx.google.com", True),
        ("1\n2@mx.google.com", False),
        ("<[x]@y>", False),
        (None, False),
    ],
)
def test_nothing_a_bounce_says_breaks_the_note(
    gmail: GmailDouble, settings: Settings, message_id: str | None, is_noted: bool
) -> None:
    """A mail of strangers names itself and its subject as it likes; the hand-over goes on."""
    threads = failures(gmail, settings, message_id, subject="Delivery\r\n Bcc: x@example.org")
    assert by_note(settings, ROTATION, NOW) == []
    assert [thread_id for thread_id, _ in notes(gmail)] == threads * is_noted
    for _, note in notes(gmail):
        assert note["Subject"] == "Delivery Bcc: x@example.org"
        assert note["Bcc"] is None
        assert str(note["In-Reply-To"]) == f"<{message_id}>"


def test_a_thread_that_is_gone_is_told(gmail: GmailDouble, settings: Settings) -> None:
    failures(gmail, settings, IDS[0])
    gmail.fail("messages.insert", status=404)
    (problem,) = by_note(settings, ROTATION, NOW)
    assert "HTTP 404" in problem
