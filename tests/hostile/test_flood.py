"""A flood hides nothing: what is about our own side always comes first, the rest has limits that say what they hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlite_utils import Database

from tests.doubles.gmail import GmailDouble
from tests.doubles.http_sink import HttpSink
from tests.incidents import conftest as channels
from tests.incidents.made import NOW, ago, publish, put, record, refused, ses_refused, taken
from tests.incidents.told import say, titles
from tests.worlds.made_mails import alias_notice, refusal
from tests.worlds.made_verdicts import proven
from tests.worlds.run_world import ask, clock, seed, settings_over
from triage import run as worker
from triage import store
from triage.config import Settings
from triage.incidents.alerts import MOST_AT_ONCE
from triage.model import StoredMail
from triage.report.build import read_report
from triage.report.words import summary, totals_words

sink, by_push = channels.sink, channels.by_push

FLOOD = 200


def flood(db: Database, numbers: Iterable[int] = range(FLOOD)) -> None:
    """A proven refusal of each of many domains: whoever is written to by a list can arrange that."""
    for number in numbers:
        put(db, number, refused(recipient=f"pat@client{number}.example"), at=ago(minutes=30))


def test_the_own_side_is_told_first_among_two_hundred(db: Database, sink: HttpSink, by_push: Settings) -> None:
    flood(db, range(100))
    put(db, 1000, record(), at=ago(minutes=5))
    flood(db, range(100, FLOOD))
    told = say(db, by_push)
    assert titles(sink)[0] == "Broken: mail from admin@queenofsandiego.com does not leave"
    assert told.delivered == len(titles(sink)) == MOST_AT_ONCE
    assert told.held == FLOOD + 1 - MOST_AT_ONCE
    assert f"Beside this one {told.held} incidents opened" in sink.told[-1][1]


def test_more_of_our_own_than_are_told_at_once_are_all_told(db: Database, sink: HttpSink, by_push: Settings) -> None:
    flood(db)
    aliases = [f"{name}@queenofsandiego.com" for name in ("admin", "crew", "info", "news", "sail", "shop", "work")]
    for number, alias in enumerate(aliases):
        put(db, 1000 + number, record(**{"from": alias}), at=ago(minutes=5))
    told = say(db, by_push)
    assert sorted(titles(sink)) == sorted(f"Broken: mail from {alias} does not leave" for alias in aliases)
    assert told.held == FLOOD


def test_the_own_side_is_told_though_the_day_is_used_up(db: Database, sink: HttpSink, by_push: Settings) -> None:
    settings = replace(by_push, alerts_per_day=7)
    flood(db, range(20))
    assert say(db, settings, at=NOW).delivered == 5
    flood(db, range(20, 40))
    assert say(db, settings, at=NOW + timedelta(minutes=15)).delivered == 2
    put(db, 1000, record(), at=NOW)
    flood(db, range(40, 60))
    done = say(db, settings, at=NOW + timedelta(minutes=30))
    assert (done.delivered, done.held) == (1, 20)
    assert titles(sink)[-1].startswith("Broken: mail from")
    assert "Beside this one 20 incidents opened" in sink.told[-1][1]
    put(db, 1001, refused(recipient="pat@next-day.example"), at=NOW + timedelta(hours=26))
    assert say(db, settings, at=NOW + timedelta(hours=27)).delivered >= 2  # the reminder of our own, and what is new
    assert "next-day[.]example" in " ".join(titles(sink))


def test_what_an_earlier_run_could_not_tell_waits_behind_the_own_side(
    db: Database, sink: HttpSink, by_push: Settings
) -> None:
    flood(db, range(4))
    sink.status = 500
    assert say(db, by_push).delivered == 0
    before = len(sink.told)
    sink.status = 200
    put(db, 1000, record(), at=ago(minutes=1))
    assert say(db, by_push, at=NOW + timedelta(minutes=15)).delivered == 5
    assert titles(sink)[before].startswith("Broken: mail from")


def test_repairs_of_our_own_are_told_in_a_flood(db: Database, sink: HttpSink, by_push: Settings) -> None:
    put(db, 1000, record(), at=ago(minutes=50))
    say(db, by_push, at=ago(minutes=45))
    publish(db, taken(ago(minutes=40)))
    flood(db)
    say(db, by_push)
    assert "Repaired: mail from admin@queenofsandiego.com leaves again" in titles(sink)


# -- incidents ------------------------------------------------------------------------------------------------------


def test_incidents_of_other_sides_have_a_limit_a_day_and_ours_none(db: Database) -> None:
    def arrive(number: int, verdict: dict[str, object], day: int) -> None:
        at = NOW + timedelta(days=day)
        mail = StoredMail(f"gmail:{number}", f"{number:016x}", "t", f"b-{number}@x.example", at, b"raw %d" % number)
        store.store_judged(db, mail, [verdict], (), at, proven(verdict), most_incidents=50)  # type: ignore[list-item]

    for number in range(FLOOD):
        arrive(number, refused(recipient=f"pat@client{number}.example"), 0)
    arrive(1000, record(), 0)
    arrive(1001, ses_refused(), 0)
    arrive(1002, refused(recipient="kim@client7.example"), 0)  # known: it grows
    found = store.read_incidents(db)
    assert len(found) == 52
    assert [incident.side for incident in found[:2]] == ["own", "own"]
    assert {incident.bounces for incident in found if incident.place == "client7.example"} == {2}
    assert store.held_incidents(db) == FLOOD - 50
    arrive(1003, refused(recipient="kim@client199.example"), 2)
    assert "client199.example" in {incident.place for incident in store.read_incidents(db)}


# -- a whole run ----------------------------------------------------------------------------------------------------


def test_a_run_says_what_it_held_back_and_writes_the_own_note(
    gmail: GmailDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_over(gmail, tmp_path, monkeypatch, "notes_per_day = 3\n")
    seed(gmail, *(refusal(number, original_id=f"mail-{number}@example.org") for number in range(3, 9)))
    seed(gmail, alias_notice(2), minutes=5)
    done = worker.run(settings, clock)
    assert (done.notes, done.held_notes, done.held_incidents) == (4, 3, 0)
    rows = ask(settings, "SELECT state, error FROM actions WHERE kind = 'note' ORDER BY id")
    assert [row["error"] for row in rows if row["state"] == "dropped"] == ["held back: more than 3 a day"] * 3
    assert rows[-1]["state"] == "done"
    (row,) = ask(settings, "SELECT * FROM runs")
    assert "held back, too many in a day: 3 notes" in totals_words(row)
    db = store.open_readonly(settings.database)
    assert db is not None
    report = read_report(db, settings, since=NOW - timedelta(days=7), now=NOW)
    db.close()
    assert report.held == {"notes": 3, "alerts": 0, "incidents": 0}
    assert "Held back, too many in a day: 3 notes; none of them is about your own side." in summary(report)
    assert worker.run(settings, clock).held_notes == 0  # said once
