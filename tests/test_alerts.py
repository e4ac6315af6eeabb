"""Alerts and pings: who is told what and when, that nobody is told twice, and that nothing of it stops a run."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from remediation import load_causes
from tests.doubles.gmail import GmailDouble
from tests.doubles.http_sink import HttpSink
from tests.made_incidents import ALIAS, NOW, RELAY, ago, publish, put, record, refused, ses_refused, taken
from triage import alerts, pings, store, store_alerts, store_events, store_incidents
from triage import gmail as gmail_module
from triage.alert_text import Facts, alert_body, alert_title, clicks
from triage.alerts import MOST_AT_ONCE, Told, channels_of, tell
from triage.config import Settings, load_settings
from triage.errors import ConfigError, CredentialsDead, TryLater
from triage.evidence import Evidence
from triage.gmail import Gmail
from triage.gmail_query import BOUNCE_SUBJECTS

ROOT = Path(store.__file__).parents[1]
EVIL = "https://evil.example/login"


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    opened = store.open_store(tmp_path / "triage.db")
    yield opened
    opened.close()


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    with HttpSink() as double:
        yield double


@pytest.fixture
def double() -> Iterator[GmailDouble]:
    with GmailDouble() as gmail:
        gmail.add_send_as(ALIAS, host=RELAY)
        yield gmail


@pytest.fixture
def gmail(double: GmailDouble, tmp_path: Path) -> Iterator[Gmail]:
    double.write_credentials(tmp_path)
    opened = gmail_module.connect(tmp_path / "token.json", url=double.url, timeout_seconds=1, sleep=lambda _: None)
    yield opened
    opened.close()


@pytest.fixture
def plain(tmp_path: Path) -> Settings:
    (tmp_path / "triage.toml").write_text("")
    return load_settings(tmp_path / "triage.toml", {})


@pytest.fixture
def by_push(plain: Settings, sink: HttpSink) -> Settings:
    return replace(plain, alerts=(sink.apprise,))


@pytest.fixture
def by_inbox(plain: Settings) -> Settings:
    return replace(plain, alert_inbox=True)


def say(db: Database, settings: Settings, gmail: Gmail | None = None, at: datetime = NOW, settle: bool = True) -> Told:
    if settle:
        store_incidents.settle_all(db, at)
    return tell(db, settings, gmail, lambda: at)


def inbox(double: GmailDouble) -> list[Any]:
    return [message_from_bytes(message.raw, policy=policy.default) for message in double.messages.values()]


def titles(sink: HttpSink) -> list[str]:
    return [title for title, _ in sink.told]


# Once when it opens, again while it waits, once when it is over


def test_each_incident_is_told_once_by_every_channel(
    db: Database, sink: HttpSink, double: GmailDouble, gmail: Gmail, by_push: Settings
) -> None:
    settings = replace(by_push, alert_inbox=True)
    put(db, 1, record(), record(recipient="kim@client.example"), at=ago(hours=1))
    put(db, 2, refused(), at=ago(hours=1))
    assert say(db, settings, gmail) == Told(4, ())
    told = [
        "Broken: mail from admin@queenofsandiego.com does not leave",
        "Refused: client.example does not take mail from admin@queenofsandiego.com",
    ]
    assert titles(sink) == told
    assert [mail["Subject"] for mail in inbox(double)] == told
    put(db, 3, record(recipient="lee@client.example"), at=NOW)
    assert say(db, settings, gmail, NOW + timedelta(hours=1)) == Told(0, ())
    assert len(sink.told) == len(inbox(double)) == 2


def test_the_inbox_message_is_ours_unread_and_no_bounce(
    db: Database, double: GmailDouble, gmail: Gmail, by_inbox: Settings
) -> None:
    put(db, 1, record(), at=ago(hours=1))
    say(db, by_inbox, gmail)
    (message,) = double.messages.values()
    assert set(message.labels) == {"INBOX", "UNREAD"}
    mail = message_from_bytes(message.raw, policy=policy.default)
    assert (mail["To"], mail["Auto-Submitted"]) == ("jadasailing@gmail.com", "auto-generated")
    assert mail["From"].addresses[0].domain == "bounce-triage.invalid"
    assert re.fullmatch(r"<triage\.[0-9a-f]{32}@bounce-triage\.invalid>", mail["Message-ID"])
    assert double.sent == []
    assert not any(subject in mail["Subject"].lower() for subject in BOUNCE_SUBJECTS)


def test_nobody_is_told_where_no_channel_is_set(db: Database, plain: Settings, gmail: Gmail) -> None:
    put(db, 1, record())
    assert say(db, plain, gmail) == Told(0, ())
    assert db["alerts"].count == 0
    assert gmail.quota.requests == 0


def test_a_reminder_comes_each_day_then_each_week(db: Database, sink: HttpSink, by_push: Settings) -> None:
    put(db, 1, record(), at=ago(hours=1))
    days = [day for day in range(40) if say(db, by_push, at=NOW + timedelta(days=day)).delivered]
    assert days == [0, 1, 2, 3, 4, 5, 6, 13, 20, 27, 34]
    assert titles(sink)[1] == "Still broken after 1 day: mail from admin@queenofsandiego.com does not leave"
    assert say(db, by_push, at=NOW + timedelta(days=40)) == Told(0, ())


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
    assert "broken for 3 hours, seen after 1 hour" in text
    assert "SES took the mail to kim@client.example (Send event)" in text
    assert "pat@client.example" in text


def test_what_was_never_told_is_not_told_to_be_over(db: Database, sink: HttpSink, by_push: Settings) -> None:
    put(db, 1, record(), at=ago(hours=4))
    publish(db, taken(ago(minutes=30)))
    assert say(db, by_push) == Told(0, ())


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
    assert say(db, by_push) == Told(0, ())
    say(db, by_push, at=NOW + timedelta(days=1))  # still broken the day after
    assert titles(sink)[-1] == "Broken again: mail from admin@queenofsandiego.com does not leave"


def test_an_old_archive_is_no_news(db: Database, by_push: Settings) -> None:
    put(db, 1, record(), at=ago(days=15), seen_at=NOW)
    assert say(db, by_push) == Told(0, ())
    put(db, 2, record(), at=ago(hours=1), seen_at=NOW)
    assert say(db, by_push).delivered == 1


def test_many_at_once_are_told_by_the_few_that_matter_most(db: Database, sink: HttpSink, by_push: Settings) -> None:
    for number in range(8):
        put(db, number, refused(recipient=f"pat@client{number}.example"), at=ago(hours=1))
    put(db, 20, record(), at=ago(minutes=5))
    put(db, 21, refused(recipient="kim@client7.example"), at=ago(hours=1))
    assert say(db, by_push).delivered == MOST_AT_ONCE
    assert titles(sink)[0].startswith("Broken: mail from")
    assert "client7.example" in titles(sink)[1]
    assert "Beside this one 4 incidents opened" in sink.told[-1][1]
    assert say(db, by_push, at=NOW + timedelta(minutes=15)) == Told(0, ())


def test_a_channel_that_is_set_later_hears_of_what_is_open(db: Database, sink: HttpSink, plain: Settings) -> None:
    put(db, 1, record(), at=ago(hours=1))
    assert say(db, plain) == Told(0, ())
    assert say(db, replace(plain, alerts=(sink.apprise,)), at=NOW + timedelta(hours=1)).delivered == 1


# What it says


def test_it_says_what_broke_since_when_who_is_hit_and_what_to_click(
    db: Database, sink: HttpSink, by_push: Settings, gmail: Gmail
) -> None:
    [verdict_id] = put(db, 1, record(), at=ago(hours=5), seen_at=NOW)
    words = "key AKIA...7Q was made inactive on 12 May 14:02 UTC; first failure 12 May 16:40 UTC"
    store_events.record_evidence(db, verdict_id, [Evidence("own-side", found=True, detail=words, result="proven")], NOW)
    say(db, by_push, gmail)
    ((_, text),) = sink.told
    for said in (
        "What broke: The alias's SMTP login was refused (alias-credentials-rejected).",
        "Since when: Tue 24 Nov 2026 04:30 UTC (5 hours ago)",
        "Who is hit: 1 person, 1 mail.\n- pat@client.example: Friday sail",
        'What to click: https://mail.google.com/mail/#settings/accounts - under "Send mail as" beside',
        "you, the owner of the mailbox",
        "1. See whether the access key behind the alias still exists",
        "SMTP Server: email-smtp.us-east-1.amazonaws.com",  # Gmail was asked for the relay
        "Gmail as jadasailing@gmail.com",
        f"What is known: proven: {words}",
        "`triage incidents show 1`",
    ):
        assert said in text


HOSTILE: dict[str, Any] = {
    "recipient": f"{EVIL}@client.example",
    "subject": f"Verify now {EVIL} or www.evil.example\r\nBcc: x@evil.example",
    "diagnostic": f"535 Confirm your password within 24 hours: {EVIL}\x1b[2J",
    "remote_host": "evil.example/login",
    "evidence": EVIL,
    "from": f"admin@queenofsandiego.com {EVIL}",
}


@pytest.mark.parametrize("occasion", ["opened", "reminder", "closed"])
@pytest.mark.parametrize("verdict", [record(**HOSTILE), refused(**HOSTILE), ses_refused(**HOSTILE)])
def test_no_link_out_of_a_bounce_is_ever_repeated(
    verdict: dict[str, Any], occasion: str, db: Database, plain: Settings
) -> None:
    put(db, 1, verdict, at=ago(hours=5))
    store_incidents.close_by_hand(db, 1, f"see {EVIL}", ago(minutes=1))
    (incident,) = store_incidents.read_incidents(db)
    facts = alerts.facts_of(db, plain, incident)
    text = f"{alert_title(incident, occasion, NOW)}\n{alert_body(incident, occasion, facts, NOW)}"
    links = set(re.findall(r"(?:https?:|www\.|mailto:)\S*", text))
    own = {link for cause in load_causes().values() for link in cause.links}
    steps = " ".join(step.text for cause in load_causes().values() for step in cause.steps)
    own |= {link.rstrip(".,)") for link in re.findall(r"https?:\S+", steps)}
    page = clicks(incident)
    assert {link.rstrip(".,)") for link in links} <= own | ({page.partition(" ")[0]} if page else set())
    assert "evil.example/" not in text
    assert text.replace("\n", "").isprintable()
    assert "\n" not in alert_title(incident, occasion, NOW)


def test_the_people_named_are_few_and_the_rest_is_counted(db: Database, plain: Settings) -> None:
    put(db, 1, *(record(recipient=f"p{n}@client.example", message_id=f"m{n}") for n in range(25)), at=ago(hours=1))
    (incident,) = store_incidents.read_incidents(db)
    text = alert_body(incident, "opened", alerts.facts_of(db, plain, incident), NOW)
    assert "Who is hit: 25 people, 25 mails." in text
    assert text.count("@client.example: ") == 10
    assert "- and 15 more" in text


def test_the_page_to_click_is_made_only_of_what_is_one(db: Database) -> None:
    put(db, 1, ses_refused(ses_region="us-west-2"))
    put(db, 2, ses_refused(cause="ses-sandbox", ses_region="x.evil.example/#", diagnostic=None))
    by_cause = {incident.cause: clicks(incident) for incident in store_incidents.read_incidents(db)}
    assert by_cause == {
        "ses-identity-not-verified": "https://us-west-2.console.aws.amazon.com/ses/home?region=us-west-2#/identities",
        "ses-sandbox": None,
    }


def test_an_unknown_cause_of_another_version_has_words_too(db: Database) -> None:
    put(db, 1, record(cause="alias-from-the-future"), at=ago(hours=1))
    (incident,) = store_incidents.read_incidents(db)
    assert "alias-from-the-future" in alert_body(incident, "opened", Facts(), NOW)


# What goes wrong


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
    waiting = store_alerts.undelivered(db)
    assert [(row["tries"], row["error"][:16]) for row in waiting] == [(1, "it was not taken")]  # the second was spared
    sink.status = 200
    assert say(db, settings, gmail, NOW + timedelta(minutes=15)) == Told(2, ())
    assert len(sink.told) == 2
    assert store_alerts.undelivered(db) == []
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
    assert say(db, replace(by_push, alerts=())) == Told(0, ())
    assert [row["state"] for row in store_alerts.alerts_of(db, 1)] == ["dropped"]


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
    assert say(db, by_inbox, gmail, NOW + timedelta(minutes=15)).delivered == 1
    assert len(inbox(double)) == 1


def test_a_mistake_of_our_own_stops_nothing(db: Database, by_push: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    put(db, 1, record(), at=ago(hours=1))
    monkeypatch.setattr(alerts, "alert_body", lambda *_: 1 / 0)
    assert say(db, by_push) == Told(0, ("alerts: ZeroDivisionError: division by zero",))


@pytest.mark.parametrize("how", ["drop", "reset", "truncate"])
def test_an_insert_without_an_answer_is_looked_for_before_it_is_repeated(
    how: Any, db: Database, double: GmailDouble, gmail: Gmail, by_inbox: Settings
) -> None:
    put(db, 1, record(), at=ago(hours=1))
    double.fail("messages.insert", when="after", connection=how)
    assert say(db, by_inbox, gmail).delivered == 0
    assert len(inbox(double)) == 1
    assert say(db, by_inbox, gmail, NOW + timedelta(minutes=15)) == Told(1, ())
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
    assert say(db, by_inbox, gmail, NOW + timedelta(minutes=6)) == Told(1, ())
    assert len(inbox(double)) == 1


def test_a_lost_database_does_not_double_it(
    db: Database, double: GmailDouble, gmail: Gmail, by_inbox: Settings, tmp_path: Path
) -> None:
    put(db, 1, record(), at=ago(hours=1))
    say(db, by_inbox, gmail)
    again = store.open_store(tmp_path / "again.db")
    put(again, 1, record(), at=ago(hours=1))
    assert say(again, by_inbox, gmail, NOW + timedelta(hours=3)) == Told(1, ())
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
        "from triage import alerts, store, run, pings; from triage.config import load_settings\n"
        "settings = load_settings(None, {'TRIAGE_ALERTS': 'json://127.0.0.1:9', 'TRIAGE_DATABASE': sys.argv[1]})\n"
        "alerts.tell(store.open_store(settings.database), settings, None, lambda: datetime.now(UTC))\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules} & {'apprise', 'requests', 'boto3'}))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "new.db")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


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
    with pytest.raises(ConfigError) as raised:
        load_settings(tmp_path / "triage.toml", {})
    assert "s3cr3t" not in raised.value.what + raised.value.todo
    assert line.partition(" ")[0] in raised.value.what


# Pings


@pytest.mark.parametrize(
    ("error", "last"),
    [
        (None, ["/ping/1234"]),
        (CredentialsDead("The sign-in is dead.", "Run `triage auth`."), ["/ping/1234/fail"]),
        (RuntimeError("secret"), ["/ping/1234/fail"]),
        (TryLater("Gmail is away.", "Wait."), []),
    ],
)
def test_a_watcher_hears_of_the_start_and_the_end(sink: HttpSink, error: Exception | None, last: list[str]) -> None:
    def work() -> None:
        with pings.watched(f"{sink.url}/ping/1234"):
            if error:
                raise error

    if error:
        with pytest.raises(type(error)):
            work()
    else:
        work()
    assert sink.pings == ["/ping/1234/start", *last]
    words = [request.body.decode() for request in sink.requests[1:]]
    told = {CredentialsDead: "The sign-in is dead.", RuntimeError: "RuntimeError"}
    assert words == [told.get(type(error), "")][: len(last)]


def test_a_ping_keeps_what_follows_the_path(sink: HttpSink) -> None:
    assert pings.ping(f"{sink.url}/ping/1234/?rid=7", "start")
    assert sink.pings == ["/ping/1234/start?rid=7"]


Trouble = Callable[[HttpSink, pytest.MonkeyPatch], str]
TROUBLES: dict[str, Trouble] = {
    "an error": lambda sink, patch: (setattr(sink, "status", 500), f"{sink.url}/ping/1")[1],
    "nobody there": lambda sink, patch: "http://127.0.0.1:9/ping/1",
    "silence": lambda sink, patch: (setattr(sink, "hangs", True), f"{sink.url}/ping/1")[1],
    "no web address": lambda sink, patch: "file:///etc/passwd",
    "no address": lambda sink, patch: "http://[broken",
}


@pytest.mark.parametrize("name", TROUBLES)
def test_a_watcher_in_trouble_stops_nothing(name: str, sink: HttpSink, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pings.TIMEOUT_SECONDS == 5.0
    monkeypatch.setattr(pings, "TIMEOUT_SECONDS", 0.2)
    address = TROUBLES[name](sink, monkeypatch)
    started = time.monotonic()
    done = []
    with pings.watched(address):
        done.append(True)
    assert done
    assert not pings.ping(address)
    assert time.monotonic() - started < 3


def test_nobody_watches_by_default(plain: Settings) -> None:
    assert plain.ping_url is None
    with pings.watched(plain.ping_url):
        pass
