"""Alerts: who is told what and when, and that nobody is told twice."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlite_utils import Database

from tests.doubles.gmail import GmailDouble
from tests.doubles.http_sink import HttpSink
from tests.incidents.made import NOW, ago, publish, put, record, refused, taken
from tests.incidents.told import inbox, say, titles
from triage.config import Settings, load_settings
from triage.errors import ConfigError
from triage.gmail.client import Gmail
from triage.gmail.query import SEARCHED_SUBJECTS
from triage.incidents.alerts import MOST_AT_ONCE, Telling, channels_of

# Once when it opens, again while it waits, once when it is over


def test_each_incident_is_told_once_by_every_channel(
    db: Database, sink: HttpSink, double: GmailDouble, gmail: Gmail, by_push: Settings
) -> None:
    settings = replace(by_push, alert_inbox=True)
    put(db, 1, record(), record(recipient="kim@client.example"), at=ago(hours=1))
    put(db, 2, refused(), at=ago(hours=1))
    assert say(db, settings, gmail) == Telling(4, ())
    told = [
        "Broken: mail from admin@queenofsandiego.com does not leave",
        "Refused: client[.]example does not take mail from admin@queenofsandiego.com",
    ]
    assert titles(sink) == told
    assert [mail["Subject"] for mail in inbox(double)] == told
    put(db, 3, record(recipient="lee@client.example"), at=NOW)
    assert say(db, settings, gmail, NOW + timedelta(hours=1)) == Telling(0, ())
    assert len(sink.told) == len(inbox(double)) == 2


def test_the_inbox_message_is_ours_unread_and_no_bounce(
    db: Database, double: GmailDouble, gmail: Gmail, by_inbox: Settings
) -> None:
    put(db, 1, record(), at=ago(hours=1))
    say(db, by_inbox, gmail)
    (message,) = double.messages.values()
    assert set(message.labels) == {"INBOX", "UNREAD"}
    (mail,) = inbox(double)
    assert (mail["To"], mail["Auto-Submitted"]) == ("jadasailing@gmail.com", "auto-generated")
    assert mail["From"].addresses[0].domain == "bounce-triage.invalid"
    assert re.fullmatch(r"<triage\.[0-9a-f]{32}@bounce-triage\.invalid>", mail["Message-ID"])
    assert not any(subject in mail["Subject"].lower() for subject in SEARCHED_SUBJECTS)


def test_nobody_is_told_where_no_channel_is_set(db: Database, plain: Settings, gmail: Gmail) -> None:
    put(db, 1, record())
    assert say(db, plain, gmail) == Telling(0, ())
    assert db["alerts"].count == 0
    assert gmail.quota.requests == 0


def test_a_reminder_comes_each_day_then_each_week(db: Database, sink: HttpSink, by_push: Settings) -> None:
    put(db, 1, record(), at=ago(hours=1))
    days = [day for day in range(40) if say(db, by_push, at=NOW + timedelta(days=day)).delivered]
    assert days == [0, 1, 2, 3, 4, 5, 6, 13, 20, 27, 34]
    assert titles(sink)[1] == "Still broken after 1 day: mail from admin@queenofsandiego.com does not leave"
    assert say(db, by_push, at=NOW + timedelta(days=40)) == Telling(0, ())


def test_the_hours_between_reminders_are_a_setting(db: Database, sink: HttpSink, by_push: Settings) -> None:
    settings = replace(by_push, reminder_hours=3)
    put(db, 1, record(), at=ago(hours=1))
    told = [hour for hour in range(8) if say(db, settings, at=NOW + timedelta(hours=hour)).delivered]
    assert told == [0, 3, 6]


def test_nobody_is_reminded_of_what_they_cannot_mend(db: Database, sink: HttpSink, by_push: Settings) -> None:
    put(db, 1, refused(cause="transport-rule-rejected", actor="recipient-admin"), at=ago(hours=1))
    put(db, 2, refused(), at=ago(hours=1))  # DMARC: ours
    say(db, by_push)
    say(db, by_push, at=NOW + timedelta(days=2))
    assert [title.partition(":")[0] for title in titles(sink)] == ["Refused", "Refused", "Still refused after 2 days"]


def test_it_is_told_once_that_it_is_over_and_how_long_it_took(db: Database, sink: HttpSink, by_push: Settings) -> None:
    put(db, 1, record(), at=ago(hours=4), seen_at=ago(hours=3))
    say(db, by_push, at=ago(hours=3))
    publish(db, taken(ago(minutes=30)))
    say(db, by_push)
    say(db, by_push, at=NOW + timedelta(days=1))
    assert titles(sink)[1:] == ["Repaired: mail from admin@queenofsandiego.com leaves again"]
    text = sink.told[1][1]
    assert "Broken for 3 hours." in text
    assert "SES took the mail to kim@client.example (Send event)" in text
    assert "pat@client.example" in text


def test_what_was_never_told_is_not_told_to_be_over(db: Database, sink: HttpSink, by_push: Settings) -> None:
    put(db, 1, record(), at=ago(hours=4))
    publish(db, taken(ago(minutes=30)))
    assert say(db, by_push) == Telling(0, ())


def test_it_is_told_when_it_opens_again_but_not_without_end(db: Database, sink: HttpSink, by_push: Settings) -> None:
    for number in range(6):
        put(db, number, record(), at=ago(minutes=100 - 10 * number))
        say(db, by_push, at=ago(minutes=99 - 10 * number))
        publish(db, taken(ago(minutes=98 - 10 * number)))
        say(db, by_push, at=ago(minutes=97 - 10 * number))
    assert [title.partition(":")[0] for title in titles(sink)] == [
        *("Broken", "Repaired", "Broken again", "Repaired", "Broken again", "Repaired")
    ]
    put(db, 9, record(), at=NOW)
    assert say(db, by_push) == Telling(0, ())
    say(db, by_push, at=NOW + timedelta(days=1))  # still broken the day after
    assert titles(sink)[-1] == "Broken again: mail from admin@queenofsandiego.com does not leave"


def test_an_old_archive_is_no_news(db: Database, by_push: Settings) -> None:
    put(db, 1, record(), at=ago(days=15), seen_at=NOW)
    assert say(db, by_push) == Telling(0, ())
    put(db, 2, record(), at=ago(hours=1), seen_at=NOW)
    assert say(db, by_push).delivered == 1


def test_many_at_once_are_told_by_the_few_that_matter_most(db: Database, sink: HttpSink, by_push: Settings) -> None:
    for number in range(8):
        put(db, number, refused(recipient=f"pat@client{number}.example"), at=ago(hours=1))
    put(db, 20, record(), at=ago(minutes=5))
    put(db, 21, refused(recipient="kim@client7.example"), at=ago(hours=1))
    assert say(db, by_push).delivered == MOST_AT_ONCE
    assert titles(sink)[0].startswith("Broken: mail from")
    assert "client7[.]example" in titles(sink)[1]
    assert "; 4 more: `triage incidents`" in sink.told[-1][1]
    assert say(db, by_push, at=NOW + timedelta(minutes=15)) == Telling(0, ())


def test_a_channel_that_is_set_later_hears_of_what_is_open(db: Database, sink: HttpSink, plain: Settings) -> None:
    put(db, 1, record(), at=ago(hours=1))
    assert say(db, plain) == Telling(0, ())
    assert say(db, replace(plain, alerts=(sink.apprise,)), at=NOW + timedelta(hours=1)).delivered == 1


# Settings


def test_channels_are_named_without_their_secret(plain: Settings) -> None:
    settings = replace(plain, alerts=("slack://token-a", "slack://token-b", "slack://token-a"), alert_inbox=True)
    names = [channel.name for channel in channels_of(settings)]
    assert names[0] == "inbox"
    assert len(set(names)) == 3
    assert all(re.fullmatch(r"slack-[0-9a-f]{8}", name) for name in names[1:])
    assert "token-" not in repr(settings)


@pytest.mark.parametrize(
    "line", ['alerts = "slack://s3cr3t"', 'ping_url = ["https://hc.example/s3cr3t"]', 'alerts = [7, "s3cr3t"]']
)
def test_a_secret_setting_of_the_wrong_kind_is_not_shown(line: str, tmp_path: Path) -> None:
    (tmp_path / "triage.toml").write_text(line)
    (tmp_path / "triage.toml").chmod(0o600)
    with pytest.raises(ConfigError) as raised:
        load_settings(tmp_path / "triage.toml", {})
    assert "s3cr3t" not in raised.value.what + raised.value.todo
    assert line.partition(" ")[0] in raised.value.what
