"""Alerts that cannot be delivered: tried again, never doubled, and nothing of it stops a run."""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from tests.doubles.gmail import GmailDouble
from tests.doubles.http_sink import HttpSink
from tests.incidents.made import NOW, ago, publish, put, record, refused, taken
from tests.incidents.told import inbox, say, titles
from triage import store
from triage.config import Settings
from triage.gmail.client import Gmail
from triage.incidents import alerts
from triage.incidents.alerts import Telling

ROOT = Path(store.__file__).parents[2]


def test_what_could_not_be_delivered_is_tried_again_and_shown(
    db: Database, sink: HttpSink, by_push: Settings, double: GmailDouble, gmail: Gmail
) -> None:
    settings = replace(by_push, alert_inbox=True)
    put(db, 1, record(), at=ago(hours=1))
    put(db, 2, refused(), at=ago(hours=1))
    sink.status = 500
    told = say(db, settings, gmail)
    assert told.delivered == 2  # the inbox does not suffer from it
    (problem,) = told.problems
    assert problem.endswith("it was not taken: the service answered with error 500")
    waiting = [(row["tries"], row["error"] and row["error"][:16]) for row in store.planned_alerts(db)]
    assert waiting == [(1, "it was not taken"), (0, None)]  # the second was spared
    sink.status = 200
    assert say(db, settings, gmail, NOW + timedelta(minutes=15)) == Telling(2, ())
    assert len(sink.told) == 2
    assert store.planned_alerts(db) == []
    assert len(inbox(double)) == 2


def test_what_is_over_before_it_could_be_told_is_told_as_over_only(
    db: Database, sink: HttpSink, by_push: Settings
) -> None:
    put(db, 1, record(), at=ago(hours=4))
    sink.status = 503
    say(db, by_push, at=ago(hours=3))
    publish(db, taken(ago(hours=1)))
    sink.status = 200
    say(db, by_push)
    assert titles(sink) == ["Repaired: mail from admin@queenofsandiego.com leaves again"]


@pytest.mark.parametrize("address", ["nonsense", "nosuchservice://x/s3cr3t", "json://", "json://127.0.0.1:9/s3cr3t"])
def test_an_address_that_leads_nowhere_is_a_reason_without_its_secret(
    address: str, db: Database, plain: Settings, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    put(db, 1, record(), at=ago(hours=1))
    told = say(db, replace(plain, alerts=(address,)))
    assert told.delivered == 0
    (problem,) = told.problems
    assert "Apprise does not understand" in problem or "no connection" in problem
    everything = problem + "".join(capfd.readouterr()) + "\n".join(db.conn.iterdump())
    everything += "".join(r.getMessage() for r in caplog.records if r.name.startswith("apprise"))
    assert "s3cr3t" not in everything


def test_a_channel_that_was_taken_out_is_not_waited_for(db: Database, sink: HttpSink, by_push: Settings) -> None:
    put(db, 1, record(), at=ago(hours=1))
    sink.status = 500
    say(db, by_push)
    assert say(db, replace(by_push, alerts=())) == Telling(0, ())
    assert [row["state"] for row in store.alerts_of(db, 1)] == ["dropped"]


@pytest.mark.parametrize("method", ["messages.list", "messages.insert", "getProfile"])
@pytest.mark.parametrize("status", [403, 503])
def test_gmail_refusing_an_alert_stops_nothing(
    method: str, status: int, db: Database, double: GmailDouble, gmail: Gmail, by_inbox: Settings
) -> None:
    put(db, 1, record(), at=ago(hours=1))
    double.fail(method, times=None, status=status)
    told = say(db, by_inbox, gmail)
    assert (told.delivered, len(told.problems)) == (0, 1)
    double.clear_faults()
    assert say(db, by_inbox, gmail, NOW + timedelta(minutes=30)).delivered == 1
    assert len(inbox(double)) == 1


def test_a_mistake_of_our_own_stops_nothing(db: Database, by_push: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    put(db, 1, record(), at=ago(hours=1))
    monkeypatch.setattr(alerts, "alert_body", lambda *_: 1 / 0)
    assert say(db, by_push) == Telling(0, ("alerts: ZeroDivisionError: division by zero",))


@pytest.mark.parametrize("how", ["drop", "reset", "truncate"])
def test_an_insert_without_an_answer_is_looked_for_before_it_is_repeated(
    how: Any, db: Database, double: GmailDouble, gmail: Gmail, by_inbox: Settings
) -> None:
    put(db, 1, record(), at=ago(hours=1))
    double.fail("messages.insert", when="after", connection=how)
    assert say(db, by_inbox, gmail).delivered == 0
    assert len(inbox(double)) == 1
    assert say(db, by_inbox, gmail, NOW + timedelta(minutes=15)) == Telling(1, ())
    assert len(inbox(double)) == 1


def test_a_search_that_lags_does_not_double_it(
    db: Database, double: GmailDouble, gmail: Gmail, by_inbox: Settings
) -> None:
    put(db, 1, record(), at=ago(hours=1))
    double.account.search_lag = 120
    double.fail("messages.insert", when="after", connection="drop")
    say(db, by_inbox, gmail)
    told = say(db, by_inbox, gmail, NOW + timedelta(seconds=30))
    assert told.problems == ("alert by inbox: it was perhaps inserted a moment ago; it is looked for again next run",)
    double.clock.advance(300)
    assert say(db, by_inbox, gmail, NOW + timedelta(minutes=6)) == Telling(1, ())
    assert len(inbox(double)) == 1


def test_a_try_by_a_clock_that_was_ahead_is_waited_for_from_now_on(
    db: Database, double: GmailDouble, gmail: Gmail, by_inbox: Settings
) -> None:
    """Nothing had arrived; half an hour of the right clock is enough, not the nine days until the wrong one is over."""
    put(db, 1, record(), at=ago(hours=1))
    double.fail("messages.insert", connection="drop")
    say(db, by_inbox, gmail, NOW + timedelta(days=9))
    assert [say(db, by_inbox, gmail, NOW + timedelta(minutes=m)).delivered for m in (0, 15, 30)] == [0, 0, 1]
    assert len(inbox(double)) == 1


def test_what_was_told_in_the_future_holds_up_no_reminder(db: Database, sink: HttpSink, by_push: Settings) -> None:
    put(db, 1, record(), at=ago(hours=1))
    say(db, by_push, at=NOW + timedelta(days=9))
    told = [say(db, by_push, at=NOW + timedelta(hours=hours)).delivered for hours in (1, 2, 3)]
    assert told == [1, 0, 0], "once more, for nobody knows when it was told, and then by the right clock"


def test_openings_told_in_the_future_use_up_no_day(db: Database, sink: HttpSink, by_push: Settings) -> None:
    put(db, 1, refused(), at=ago(hours=2))
    say(db, by_push, at=NOW + timedelta(days=9))
    put(db, 2, refused(recipient="kim@sails.example"), at=ago(hours=1))
    assert say(db, replace(by_push, alerts_per_day=1)).delivered == 1


@pytest.mark.parametrize("arrived", [True, False])
def test_an_alert_an_earlier_version_tried_is_looked_for_before_it_is_repeated(
    db: Database, double: GmailDouble, gmail: Gmail, by_inbox: Settings, arrived: bool
) -> None:
    """Its try is on record with the alert alone; a mail in a thread of its own is told by the search only."""
    put(db, 1, record(), at=ago(hours=1))
    double.account.search_lag = 120
    double.fail("messages.insert", when="after" if arrived else "before", connection="drop")
    say(db, by_inbox, gmail)
    with db.conn:
        db.execute("DELETE FROM inserts")
        db.execute("ALTER TABLE inserts DROP COLUMN thread_id")
        db.execute("DELETE FROM _sqlite_migrations WHERE name = 'm050_letters'")
    store.open_store(by_inbox.database).close()
    assert say(db, by_inbox, gmail, NOW + timedelta(minutes=1)).delivered == 0
    double.clock.advance(300)
    assert say(db, by_inbox, gmail, NOW + timedelta(minutes=31)) == Telling(1, ())
    assert len(inbox(double)) == 1


def test_a_lost_database_does_not_double_it(
    db: Database, double: GmailDouble, gmail: Gmail, by_inbox: Settings, tmp_path: Path
) -> None:
    put(db, 1, record(), at=ago(hours=1))
    say(db, by_inbox, gmail)
    again = store.open_store(tmp_path / "again.db")
    put(again, 1, record(), at=ago(hours=1))
    assert say(again, by_inbox, gmail, NOW + timedelta(hours=3)) == Telling(1, ())
    again.close()
    assert len(inbox(double)) == 1


def test_only_what_is_told_costs_anything(db: Database, double: GmailDouble, gmail: Gmail, by_inbox: Settings) -> None:
    put(db, 1, record(), at=ago(hours=1))
    say(db, by_inbox, gmail)
    assert dict(double.quota.calls) == {"messages.list": 1, "messages.insert": 1, "getProfile": 2, "sendAs.list": 1}
    double.reset_counters()
    say(db, by_inbox, gmail, NOW + timedelta(minutes=15))
    assert double.quota.http_requests == 0


def test_apprise_is_imported_only_to_tell(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from datetime import datetime, UTC\n"
        "from triage import store, run; from triage.config import load_settings\n"
        "from triage.incidents import alerts, pings\n"
        "settings = load_settings(None, {'TRIAGE_ALERTS': 'json://127.0.0.1:9', 'TRIAGE_DATABASE': sys.argv[1]})\n"
        "teller = alerts.Teller(store.open_store(settings.database), settings, lambda: datetime.now(UTC))\n"
        "teller.push(None); teller.put_into_inbox(None)\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules} & {'apprise', 'requests', 'boto3'}))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "new.db")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
