"""A verdict that changes: its label and its note are corrected once, its incident follows, and what it was is kept."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.gmail import GmailDouble
from tests.doubles.ses_api import new_message_id
from tests.doubles.ses_events import in_envelope, ses_event
from tests.ses.world import read_events
from tests.worlds import run_world
from tests.worlds.made_mails import NOW, minutes_ago, refusal
from tests.worlds.run_world import ask, seed
from triage import run as worker
from triage import store
from triage.config import Settings
from triage.owner.rejudge import judge_again

ID = new_message_id("us-west-2", int(minutes_ago(32).timestamp() * 1000))
SUPPRESSED = (
    "Amazon SES did not send the message to this address because it is on the suppression list for your account."
)
LATER = NOW + timedelta(minutes=20)


@pytest.fixture
def settings(gmail: GmailDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return run_world.settings_over(gmail, tmp_path, monkeypatch, 'domains = ["queenofsandiego.com"]\n')


def publish(settings: Settings, at: datetime, **details: Any) -> None:
    event = ses_event(
        "Bounce", ["pat@client.example"], at=minutes_ago(31), message_id=ID, region="us-west-2", **details
    )
    found = read_events(in_envelope(event))
    assert isinstance(found, list)
    with closing(store.open_store(settings.database)) as db:
        store.store_events(db, found, [], at)


def suppress(settings: Settings, at: datetime = NOW) -> None:
    publish(
        settings,
        at,
        client_id="mail-1@example.org",
        subtype="OnAccountSuppressionList",
        status="5.1.1",
        diagnostic=SUPPRESSED,
    )


def notes(gmail: GmailDouble) -> list[str]:
    """What the notes outside of the trash say."""
    return [
        message.raw.decode()
        for message in gmail.messages.values()
        if b"X-Triage: note" in message.raw and "TRASH" not in message.labels
    ]


def labels(gmail: GmailDouble, bounce: str) -> set[str]:
    return run_world.user_labels(gmail, bounce) - {"TRASH"}


def state(settings: Settings) -> list[list[dict[str, Any]]]:
    return [
        ask(settings, f"SELECT * FROM {table} ORDER BY rowid")
        for table in ("verdicts", "readings", "verdict_changes", "actions")
    ]


def test_label_and_note_are_corrected_once(gmail: GmailDouble, settings: Settings) -> None:
    (bounce,) = seed(gmail, refusal(1))
    worker.run(settings, lambda: NOW)
    (before,) = labels(gmail, bounce)
    assert len(notes(gmail)) == 1
    suppress(settings)
    worker.run(settings, lambda: LATER)
    assert labels(gmail, bounce) == {"Bounce/SES refused"} != {before}
    (note,) = notes(gmail)
    assert "ses-suppressed" in note
    (verdict,) = ask(settings, "SELECT cause, category, side, actor, proof FROM verdicts")
    assert (verdict["cause"], verdict["category"], verdict["side"]) == ("ses-suppressed", "ses-refused", "own")
    assert verdict["proof"] == "sent"
    (change,) = ask(settings, "SELECT * FROM verdict_changes")
    assert (change["old_cause"], change["new_cause"]) == ("recipient-unknown", "ses-suppressed")
    assert (change["at"], change["corrected_at"]) == ("2026-11-24T09:50:00Z",) * 2
    assert "Amazon SES tells there what it did itself" in change["why"]
    kept, messages = state(settings), len(gmail.messages)
    again = worker.run(settings, lambda: LATER + timedelta(minutes=20))
    assert (again.actions, again.notes) == (0, 0)
    assert state(settings) == kept
    assert len(gmail.messages) == messages
    (kind,) = {row["kind"] for row in ask(settings, "SELECT kind FROM evidence WHERE kind = 'judgement'")}
    assert kind == "judgement"


def test_known_in_time_nothing_wrong_is_ever_set(gmail: GmailDouble, settings: Settings) -> None:
    (bounce,) = seed(gmail, refusal(1))
    suppress(settings)
    worker.run(settings, lambda: NOW)
    assert labels(gmail, bounce) == {"Bounce/SES refused"}
    assert len(notes(gmail)) == 1
    assert "TRASH" not in {label for message in gmail.messages.values() for label in message.labels}


@pytest.mark.parametrize(("other", "still"), [("mail-3@example.org", [False, True]), ("mail-1@example.org", [True])])
def test_a_note_that_another_mail_of_the_thread_needs_stays(
    gmail: GmailDouble, settings: Settings, other: str, still: list[bool]
) -> None:
    first = gmail.seed(refusal(1), received_at=minutes_ago(30))
    gmail.seed(refusal(2, original_id=other), thread_id=gmail.messages[first].thread_id, received_at=minutes_ago(29))
    worker.run(settings, lambda: NOW)
    suppress(settings)
    worker.run(settings, lambda: LATER)
    assert sorted("ses-suppressed" in note for note in notes(gmail)) == still


def test_the_incident_follows(gmail: GmailDouble, settings: Settings) -> None:
    seed(gmail, refusal(1).replace(b"5.1.1", b"5.7.1").replace(b"User unknown", b"rejected by the DMARC policy"))
    worker.run(settings, lambda: NOW)
    (opened,) = ask(settings, "SELECT kind, state FROM incidents")
    assert opened == {"kind": "remote", "state": "open"}
    suppress(settings)
    worker.run(settings, lambda: LATER)
    (closed,) = ask(settings, "SELECT state, closed_by FROM incidents")
    assert closed == {"state": "closed", "closed_by": "emptied"}
    assert ask(settings, "SELECT incident_id FROM verdicts") == [{"incident_id": None}]


def test_rejudging_weighs_too(gmail: GmailDouble, settings: Settings) -> None:
    seed(gmail, refusal(1))
    worker.run(settings, lambda: NOW)
    suppress(settings)
    worker.run(settings, lambda: LATER)
    kept = state(settings)
    assert judge_again(settings, LATER + timedelta(hours=1), apply=True).moves == ()
    assert state(settings) == kept
