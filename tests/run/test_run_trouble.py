"""A run that meets trouble: what is asked for again, what is kept, and that nothing is lost."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from tests.doubles.gmail import GmailDouble
from tests.worlds.made_mails import NOW, refusal
from tests.worlds.run_world import Query, Work, at, clock, seed, trip_over, user_labels
from triage import run as worker
from triage.config import Settings
from triage.errors import CredentialsDead, TryLater
from triage.judging import mail as judge
from triage.store.mails import MAX_TRIES, RECORD_KEYS


def test_a_mail_our_code_trips_over_is_judged_later_without_fetching_it_again(
    gmail: GmailDouble, work: Work, query: Query
) -> None:
    seed(gmail, refusal(1, recipient="trap@client.example"), refusal(2))
    with pytest.MonkeyPatch.context() as patch:
        trip_over(patch, b"trap@")
        summary = work()
    assert (summary.judged, summary.failed, summary.new) == (1, 1, 2)
    assert summary.failures[0][1] == "RecursionError: too deep for us"
    assert query("SELECT state, error FROM mails WHERE error IS NOT NULL") == [
        {"state": "failed", "error": "RecursionError: too deep for us"}
    ]
    gmail.reset_counters()
    again = work()
    assert (again.judged, again.failed, again.actions) == (1, 0, 1)
    assert gmail.quota.calls["messages.get"] == 0
    assert query("SELECT state, tries FROM mails ORDER BY tries") == [
        {"state": "judged", "tries": 1},
        {"state": "judged", "tries": 2},
    ]


def test_a_mail_that_always_fails_is_kept_for_study(
    gmail: GmailDouble, work: Work, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed(gmail, refusal(1))
    trip_over(monkeypatch, b"")
    assert [work().failed for _ in range(MAX_TRIES + 1)] == [1] * MAX_TRIES + [0]
    (mail,) = query("SELECT state, raw IS NOT NULL AS has_raw FROM mails")
    assert mail == {"state": "kept", "has_raw": 1}


def test_a_mail_gmail_does_not_give_is_asked_for_again_by_its_id(gmail: GmailDouble, settings: Settings) -> None:
    (message_id, _) = seed(gmail, refusal(1), refusal(2))
    gmail.fail("messages.get", nth=1, status=400)
    summary = worker.run(settings, clock)
    assert (summary.judged, summary.failed) == (1, 1)
    much_later = NOW + timedelta(days=300)  # far outside of what is listed
    again = worker.run(settings, lambda: much_later)
    assert (again.judged, again.failed, again.new) == (1, 0, 1)
    assert user_labels(gmail, message_id) == {"Bounce/Remote rejection"}


def test_a_mail_is_forgotten_when_a_second_look_finds_it_gone(
    gmail: GmailDouble, settings: Settings, query: Query
) -> None:
    seed(gmail, refusal(1))
    gmail.fail("messages.get", times=None, status=404)
    for minutes, state, new in ((0, "failed", 1), (30, "failed", 0), (61, "gone", 1)):
        summary = worker.run(settings, partial(at, minutes=minutes))
        assert (summary.failed, summary.new) == (0, new)
        assert query("SELECT state FROM mails") == [{"state": state}]


def test_a_mail_that_comes_back_is_taken_up_again(gmail: GmailDouble, settings: Settings, query: Query) -> None:
    """Out of Spam or Trash, or Gmail had only said 404 for an hour."""
    seed(gmail, refusal(1))
    gmail.fail("messages.get", times=2, status=404)
    for minutes in (0, 61):
        worker.run(settings, partial(at, minutes=minutes))
    assert query("SELECT state FROM mails") == [{"state": "gone"}]
    assert worker.run(settings, partial(at, minutes=75)).judged == 1


def test_a_verdict_the_database_does_not_take_is_a_failure_of_its_mail_only(
    gmail: GmailDouble, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Verdict:
        def as_dict(self) -> dict[str, Any]:
            return dict.fromkeys(RECORD_KEYS) | {"kind": "failed", "source": "x", "diagnostic": object()}

    seed(gmail, refusal(1, recipient="trap@client.example"), refusal(2))
    real = judge.classify
    trap = "trap@client.example"
    monkeypatch.setattr(
        judge,
        "classify",
        lambda found, source: [Verdict()] if found.failures[0].recipient == trap else real(found, source),
    )
    summary = work()
    assert (summary.judged, summary.failed) == (1, 1)
    assert "ProgrammingError" in summary.failures[0][1]


def test_gmail_away_in_the_middle_loses_nothing(gmail: GmailDouble, work: Work, query: Query) -> None:
    seed(gmail, *(refusal(number) for number in range(15)))
    gmail.fail("batch", nth=2, times=None, status=503)
    gmail.fail("messages.get", nth=11, times=None, status=503)
    gmail.fail("messages.modify", times=None, status=503)
    with pytest.raises(TryLater):
        work()
    assert query("SELECT count(*) AS n FROM verdicts") == [{"n": 10}]
    assert query("SELECT * FROM state") == []
    (run,) = query("SELECT * FROM runs")
    assert run["error"]
    assert (run["new"], run["judged"]) == (12, 10), "two were put off before it was clear that Gmail is away"
    gmail.clear_faults()
    summary = work()
    assert (summary.new, summary.actions) == (5, 15)
    assert query("SELECT count(*) AS n FROM verdicts") == [{"n": 15}]


def test_dead_credentials_are_told_and_recorded(gmail: GmailDouble, work: Work, query: Query) -> None:
    gmail.oauth.kill_refresh_tokens()
    gmail.clock.advance(7200)
    gmail.fail("messages.list", times=None, status=401)
    with pytest.raises(CredentialsDead):
        work()
    assert query("SELECT error FROM runs")[0]["error"]
    assert query("SELECT * FROM state") == []


def test_a_label_gmail_refuses_stays_planned_and_the_others_are_set(
    gmail: GmailDouble, work: Work, query: Query
) -> None:
    first, second = seed(gmail, refusal(1), refusal(2, original_id="mail-2@example.org"))
    assert gmail.messages[first].thread_id != gmail.messages[second].thread_id
    gmail.fail("messages.modify", status=400)
    assert work().actions == 1
    assert [row["state"] for row in query("SELECT state FROM actions ORDER BY state")] == ["done", "planned"]
    assert work().actions == 1
    assert user_labels(gmail, first) == user_labels(gmail, second) == {"Bounce/Remote rejection"}


def test_a_mail_deleted_meanwhile_drops_its_action_at_the_second_look(
    gmail: GmailDouble, settings: Settings, query: Query
) -> None:
    seed(gmail, refusal(1))
    gmail.fail("messages.modify", times=None, status=404)
    for minutes, state in ((0, "planned"), (30, "planned"), (61, "dropped")):
        assert worker.run(settings, partial(at, minutes=minutes)).actions == 0
        (action,) = query("SELECT state, error FROM actions")
        assert action["state"] == state
        assert action["error"]
