"""From when on a run looks, that there is one at a time, and what a dry run tells."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.doubles.gmail import GmailDouble
from tests.worlds.made_mails import NOW, delay, newsletter, refusal
from tests.worlds.run_world import QUIET, Query, Work, at, clock, seed, user_labels
from triage import run as worker
from triage.config import Settings
from triage.errors import ConfigError, TryLater
from triage.lock import locked
from triage.model import Judged
from triage.owner.doctor import examine

# From when on


def test_the_first_run_looks_back_a_month_and_since_decides_otherwise(gmail: GmailDouble, settings: Settings) -> None:
    for days in (1, 10, 40):
        gmail.seed(refusal(days), received_at=NOW - timedelta(days=days))
    assert len(worker.dry_run(settings, clock).outcomes) == 2
    assert len(worker.dry_run(settings, clock, since=NOW - timedelta(days=5)).outcomes) == 1
    assert len(worker.dry_run(settings, clock, since=NOW - timedelta(days=50)).outcomes) == 3


def test_later_runs_overlap_and_since_only_looks_further_back(gmail: GmailDouble, work: Work) -> None:
    gmail.seed(newsletter(9), received_at=NOW)
    work()
    gmail.seed(refusal(1), received_at=NOW - timedelta(hours=47))  # search had not shown it in time
    gmail.seed(refusal(2), received_at=NOW - timedelta(hours=50))
    assert work(since=NOW - timedelta(hours=1)).new == 1
    assert work(since=NOW - timedelta(days=3)).new == 1


def test_a_clock_that_was_ahead_hides_nothing(gmail: GmailDouble, settings: Settings) -> None:
    worker.run(settings, lambda: NOW + timedelta(days=365))
    seed(gmail, refusal(1))
    assert worker.run(settings, clock).new == 1


@pytest.mark.parametrize("ahead", [timedelta(hours=49), timedelta(days=4), timedelta(days=29)])
def test_a_clock_that_is_ahead_for_days_loses_nothing(
    gmail: GmailDouble, settings: Settings, query: Query, ahead: timedelta
) -> None:
    """Mails arrive by Gmail's clock, runs happen by ours, which is set right after some days."""
    arrived = 0
    for hours in range(0, 24 * 8, 6):
        gmail_now = NOW + timedelta(hours=hours)
        gmail.seed(refusal(arrived), received_at=gmail_now - timedelta(minutes=5))
        arrived += 1
        ours = gmail_now + (ahead if 24 <= hours < 24 * 6 else timedelta(0))
        worker.run(settings, lambda ours=ours: ours)  # type: ignore[misc]
    assert query("SELECT count(*) AS n FROM mails WHERE state = 'judged'") == [{"n": arrived}]


def test_a_mail_that_claims_to_be_of_the_future_moves_nothing(gmail: GmailDouble, settings: Settings) -> None:
    """Another program may put a mail into the mailbox with any time."""
    gmail.seed(refusal(1), received_at=NOW + timedelta(days=900))
    worker.run(settings, clock)
    seed(gmail, refusal(2))
    assert worker.run(settings, clock).new == 1


def test_subjects_of_other_languages_are_the_users(gmail: GmailDouble, settings: Settings) -> None:
    mail = refusal(1).replace(b"Undelivered Mail Returned to Sender", b"Unzustellbar")
    seed(gmail, mail.replace(b"Mail Delivery <mailer-daemon@", b"<robot@"))
    assert worker.dry_run(settings, clock).outcomes == ()
    assert len(worker.dry_run(replace(settings, subjects=("Unzustellbar",)), clock).outcomes) == 1


def test_a_delay_that_ended_is_noted(gmail: GmailDouble, work: Work, query: Query) -> None:
    seed(gmail, delay(1))
    work()
    seed(gmail, refusal(2), minutes=1)
    work()
    failed = query("SELECT id FROM verdicts WHERE kind = 'failed'")[0]["id"]
    assert query("SELECT superseded_by FROM verdicts WHERE kind = 'delayed'") == [{"superseded_by": failed}]


# One at a time


def test_a_second_run_at_the_same_time_is_for_later(gmail: GmailDouble, work: Work, settings: Settings) -> None:
    with locked(settings.database):
        with pytest.raises(TryLater, match="Another run is at work") as caught:
            work()
        assert caught.value.exit_code == 75
        with pytest.raises(TryLater):
            worker.run_local(settings, clock, [os.devnull])
        worker.dry_run(settings, clock)
    assert work() == QUIET


def test_a_folder_that_cannot_be_written_is_a_configuration_error(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError):
        worker.run(replace(settings, database=tmp_path / "file/triage.db"), clock)


# Dry run


def test_a_dry_run_tells_what_a_run_would_do_and_writes_nothing(
    gmail: GmailDouble, settings: Settings, tmp_path: Path
) -> None:
    (message_id,) = seed(gmail, refusal(1))
    before = sorted(tmp_path.iterdir())
    plan = worker.dry_run(settings, clock)
    assert sorted(tmp_path.iterdir()) == before
    assert set(gmail.quota.calls) == {"messages.list", "messages.get"}
    assert user_labels(gmail, message_id) == set()
    (outcome,) = plan.outcomes
    assert isinstance(outcome, Judged)
    assert [action.payload["label"] for action in outcome.actions] == ["Bounce/Remote rejection"]
    done = worker.run(settings, clock)
    assert (plan.summary.new, plan.summary.judged, plan.summary.actions) == (done.new, done.judged, done.actions)
    assert worker.dry_run(settings, clock).outcomes == (), "it knows what was judged"


def test_a_search_that_finds_nothing_at_all_is_told_from_days_without_any_mail(
    gmail: GmailDouble, settings: Settings, query: Query
) -> None:
    [mail] = seed(gmail, refusal(1))
    worker.run(settings, at)
    gmail.reset_counters()
    worker.run(settings, partial(at, days=5))
    assert gmail.quota.units_new == 5, "it finds again what was seen last"
    del gmail.messages[mail]
    worker.run(settings, partial(at, days=5))
    assert gmail.quota.units_new == 15, "that is gone: once a day it asks whether the search works"
    worker.run(settings, partial(at, days=5, minutes=15))
    assert gmail.quota.units_new == 20
    cursor = query("SELECT value FROM state WHERE key = 'cursor'")
    gmail.fail("messages.list", times=None, body=b'{"resultSizeEstimate": 0}', status=200)
    with pytest.raises(TryLater, match="finds no mail at all, although the mailbox holds"):
        worker.run(settings, partial(at, days=7))
    assert query("SELECT value FROM state WHERE key = 'cursor'") == cursor
    told = {
        check.name: check.state
        for check in examine(settings.database.parent / "triage.toml", {"TRIAGE_GMAIL_URL": gmail.url}, at())
    }
    assert told["search"] == "fail"
    gmail.clear_faults()
    assert worker.run(settings, partial(at, days=7)).judged == 0
