"""A run while the SMTP login is being renewed: what it tells of it, how often, and that it never stops for it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.doubles.gmail import GmailDouble
from tests.rotation.test_rotation_watch import ALIAS, ROTATION
from tests.worlds import run_world
from tests.worlds.made_mails import NOW, minutes_ago, refusal
from tests.worlds.made_verdicts import gmail_mail, proven, record
from triage import run as worker
from triage import store
from triage.config import Settings
from triage.errors import TryLater
from triage.rotation import under_way as rotation_watch


@pytest.fixture
def settings(gmail: GmailDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Told into the inbox."""
    return run_world.settings_over(gmail, tmp_path, monkeypatch, "notes = false\nalert_inbox = true\n")


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def after(hours: float) -> Callable[[], datetime]:
    return lambda: NOW + timedelta(hours=hours)


def under_way(settings: Settings, **changes: Any) -> None:
    with closing(store.open_store(settings.database)) as db:
        begun = replace(ROTATION, started_at=ago(days=2), asked_at=ago(days=2), offered_at=ago(days=2))
        store.keep_rotation(db, replace(begun, **changes))


def subjects(gmail: GmailDouble) -> list[str]:
    return [
        str(message_from_bytes(message.raw)["Subject"])
        for message in gmail.messages.values()
        if "SENT" not in message.labels
    ]


def test_a_run_reminds_of_a_rotation_once_a_day(gmail: GmailDouble, settings: Settings) -> None:
    under_way(settings)
    told = [worker.run(settings, after(h)) for h in (0, 1, 25)]
    assert [summary.alerts for summary in told] == [1, 0, 1]
    assert subjects(gmail) == ["The SMTP login of admin@queenofsandiego.com is being renewed"] * 2
    for summary in told:
        assert summary.rotation is not None
        assert "has to be entered in Gmail" in summary.rotation
    assert told[1].requests <= 2


def test_bounces_after_the_old_key_went_are_told_once_a_day(gmail: GmailDouble, settings: Settings) -> None:
    under_way(settings, state="grace", confirmed_at=ago(days=1), inactive_at=ago(days=1))
    with closing(store.open_store(settings.database)) as db:
        values: dict[str, Any] = {"category": "smtp-credentials", "cause": "alias-credentials-rejected", "from": ALIAS}
        for number in (7, 8):
            mail = gmail_mail(number, received_at=ago(hours=number))
            failure = record(**values)
            store.store_judged(db, mail, [failure], [], NOW, proven(failure))
    for hours in (1, 2, 23):
        worker.run(settings, after(hours))
    with closing(store.open_store(settings.database)) as db:
        (alert,) = db.query("SELECT body, state, incident_id FROM alerts WHERE occasion = 'rotation'")
    assert (alert["state"], alert["incident_id"]) == ("done", None)
    assert "AKIAOLD is Inactive" in alert["body"]
    assert "triage credentials rotate abort" in alert["body"]


@pytest.mark.parametrize(
    "problem", [TryLater("A rotation command is at work.", "Wait."), OSError("AWS is away"), ValueError("x")]
)
def test_a_rotation_that_cannot_be_looked_after_stops_no_run(
    gmail: GmailDouble, settings: Settings, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    def fails(*_: Any) -> NoReturn:
        raise problem

    monkeypatch.setattr(rotation_watch, "watch", fails)
    gmail.seed(refusal(1), received_at=minutes_ago(5))
    summary = worker.run(settings, after(0))
    assert summary.judged == 1
    assert summary.rotation is None
    assert [line.partition(":")[0] for line in summary.not_told] == ["rotation"]
