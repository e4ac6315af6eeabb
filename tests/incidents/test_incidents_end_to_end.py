"""Incidents end to end: `triage` as a subprocess, with Gmail, AWS, a relay and a push service on loopback."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.aws import AwsDouble
from tests.doubles.faults import When
from tests.doubles.gmail import GmailDouble
from tests.doubles.http_sink import HttpSink
from tests.doubles.relay import RelayDouble
from tests.doubles.ses_api import new_message_id
from tests.doubles.ses_events import ses_event
from tests.incidents.made import put, record, refused
from tests.worlds import forked, killed
from tests.worlds.forked import Forked
from tests.worlds.made_mails import NOW, alias_notice, minutes_ago, put_into_sent, put_original_into_sent, sent
from tests.worlds.run_world import ask
from tests.worlds.schemas import by_schema
from triage import run as worker
from triage import store
from triage.cli import program as cli
from triage.config import Settings, load_settings
from triage.errors import CredentialsDead
from triage.gmail.client import connect
from triage.incidents.signs import look_for_sends
from triage.model import Evidence

ROOT = Path(store.__file__).parents[2]
BOUNCES = ROOT / "tests" / "bounces"
ALIAS = "admin@queenofsandiego.com"
STORY = ("gmail-alias-ses-535", "gmail-alias-ses-535-second", "ses-dsn-exchange-online-dmarc")


class World:
    """Two mails the alias could not send and one Exchange Online refused for DMARC, in one thread, hours ago."""

    def __init__(self, folder: Path, gmail: GmailDouble, aws: AwsDouble, sink: HttpSink) -> None:
        self.folder, self.gmail, self.aws, self.sink = folder, gmail, aws, sink
        self.now = datetime.now(UTC).replace(microsecond=0)
        gmail.write_credentials(folder)
        gmail.add_send_as(ALIAS, host="email-smtp.us-east-1.amazonaws.com")
        thread_id = None
        for number, name in enumerate(STORY):
            raw = (BOUNCES / f"{name}.eml").read_bytes()
            put_original_into_sent(gmail, raw)
            message_id = gmail.seed(raw, thread_id=thread_id, received_at=self.now - timedelta(hours=5 - number))
            thread_id = gmail.messages[message_id].thread_id
        self.queue = aws.make_event_queue()
        (folder / "triage.toml").write_text(
            f'gmail_url = "{gmail.url}"\nalerts = ["{sink.apprise}"]\nalert_inbox = true\n'
            f'ping_url = "{sink.url}/ping/s3cr3t-uuid"\nqueue_url = "{self.queue.url}"\nnotes = false\n'
        )
        (folder / "triage.toml").chmod(0o600)

    def triage(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith("TRIAGE_")}
        env |= self.aws.env | {"HOME": str(self.folder)}
        done = forked.triage(*arguments, cwd=self.folder, env=env, stdin=stdin, code=forked.IMPATIENT)
        assert "s3cr3t" not in done.stdout + done.stderr
        return done

    def incidents(self) -> dict[str, dict[str, Any]]:
        """By kind."""
        return {
            incident["kind"]: incident for incident in by_schema("incidents", told(self.folder, "incidents", "--json"))
        }

    def inbox(self) -> list[str]:
        """The subjects of the alerts in the inbox."""
        mails = [message_from_bytes(message.raw) for message in self.gmail.messages.values()]
        return [str(mail["Subject"]) for mail in mails if mail["X-Triage"]]


@pytest.fixture
def world(tmp_path: Path, aws: AwsDouble, sink: HttpSink) -> Iterator[World]:
    with GmailDouble() as gmail:
        yield World(tmp_path, gmail, aws, sink)


OPENED = [
    "Broken: mail from admin@queenofsandiego.com does not leave",
    "Refused: northpier[.]example does not take mail from admin@queenofsandiego.com",
]


def test_the_story_from_the_first_bounce_to_the_repair(world: World, tmp_path: Path) -> None:
    done = world.triage("run")
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 incidents opened; 4 alerts delivered" in done.stdout

    # Two incidents, each told once by each channel.
    found = world.incidents()
    assert {kind: (one["state"], one["bounces"], len(one["people"])) for kind, one in found.items()} == {
        "alias": ("open", 2, 2),
        "remote": ("open", 1, 1),
    }
    assert found["alias"]["key"] == f"alias {ALIAS}"
    assert found["remote"]["key"] == "remote northpier.example dmarc-rejected"
    assert [title for title, _ in world.sink.told] == world.inbox() == OPENED
    assert world.sink.pings == ["/ping/s3cr3t-uuid/start", "/ping/s3cr3t-uuid"]
    text = world.sink.told[0][1]
    for said in (
        "since ",
        "2 people not reached",
        "dana@harborview-events.example",
        "https://mail.",
    ):
        assert said in text.lower()

    # Nothing is repeated by a second run, which is quiet and cheap.
    world.gmail.reset_counters()
    done = world.triage("run")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert world.gmail.quota.http_requests <= 2
    assert world.gmail.quota.units_new <= 6
    assert len(world.sink.told) == len(world.inbox()) == 2

    # The owner makes a new key; its login is accepted; SES takes a mail that came through the alias.
    user = world.aws.make_smtp_user()
    with RelayDouble(tmp_path) as relay:
        login = ["--username", user.key_id, "--secret-key", "--region", "us-east-1", "--host", "localhost"]
        where = ["--port", str(relay.starttls.port), "--ca-file", str(relay.ca_file)]
        done = world.triage("credentials", "check", *login, *where, stdin=user.secret)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
    taken_at = datetime.now(UTC) - timedelta(minutes=1)
    for kind in ("Send", "Delivery"):
        message_id = new_message_id("us-east-1", int(taken_at.timestamp() * 1000))
        event = ses_event(kind, ["dana@harborview-events.example"], at=taken_at, message_id=message_id)
        event["mail"]["headers"].append({"name": "X-Gm-Message-State", "value": "AOJu0Yz"})
        world.aws.publish(event)
    done = world.triage("run")
    assert done.returncode == 0
    assert "1 incident closed; 2 alerts delivered" in done.stdout

    found = world.incidents()
    assert {kind: one["state"] for kind, one in found.items()} == {"alias": "closed", "remote": "open"}
    closed = found["alias"]
    assert (closed["closed_by"], closed["openings"]) == ("ses-event", 1)
    assert 4 * 3600 < closed["seconds_to_repair"] <= 5 * 3600
    assert 4 * 3600 < closed["seconds_to_detect"] <= 5 * 3600 + 60
    assert world.inbox()[2:] == ["Repaired: mail from admin@queenofsandiego.com leaves again"]
    assert re.search(r"^Broken for [45] hours\. ", world.sink.told[2][1])
    table = told(world.folder, "incidents")
    assert table.index("OPEN") < table.index("closed")
    assert "broken for" in table
    shown = told(world.folder, "incidents", "show", str(closed["id"]))
    assert shown.count(" by inbox: ") == 2
    assert told(world.folder, "report").startswith("Nothing to repair. Repaired today; ")
    assert "over since" in " ".join(told(world.folder, "report", "--full").split())

    assert world.triage("run").stdout == ""
    assert len(world.sink.told) == len(world.inbox()) == 3


def test_a_dead_sign_in_is_told_to_the_watcher(tmp_path: Path, sink: HttpSink) -> None:
    with GmailDouble() as gmail:
        settings = crash_world(tmp_path, gmail, sink)
        gmail.oauth.kill_refresh_tokens()
        gmail.clock.advance(7200)  # the access token is over too
        token = json.loads(settings.token.read_text())
        settings.token.write_text(json.dumps(token | {"expiry": "2020-01-01T00:00:00Z"}))
        with pytest.raises(CredentialsDead):
            worker.run(settings, lambda: NOW)
    assert sink.pings == ["/ping/s3cr3t-uuid/start", "/ping/s3cr3t-uuid/fail"]


def test_what_cannot_be_told_stops_nothing_and_stands_in_the_report(tmp_path: Path, sink: HttpSink) -> None:
    with GmailDouble() as gmail:
        settings = crash_world(tmp_path, gmail, sink)
        sink.status = 500
        summary = worker.run(settings, lambda: NOW)
        assert (summary.opened, summary.alerts, len(summary.not_told)) == (1, 1, 2)
        assert summary.not_told[1] == "the watcher at `ping_url`: it answered with error 500"
        assert summary.exit_code == 1
        assert ask(settings, "SELECT seconds IS NOT NULL AS is_timed FROM runs") == [{"is_timed": 1}]
        report = " ".join(told(tmp_path, "report").split())
        assert "Not told to anybody yet: alert by json-" in report
        assert "the watcher at `ping_url`: it answered with error 500" in report
        sink.status = 200
        assert worker.run(settings, lambda: NOW + timedelta(minutes=15)).alerts == 1
        assert [title for title, _ in sink.told] == OPENED[:1]
        assert "Not told" not in told(tmp_path, "report")


def told(folder: Path, *arguments: str) -> str:
    """What a command prints that only reads the database of this folder; it must succeed."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert cli.main([*arguments, "--config", str(folder / "triage.toml")]) == 0
    assert "s3cr3t" not in out.getvalue()
    return out.getvalue()


def test_the_commands_about_incidents(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def triage(*arguments: str) -> tuple[int, str, str]:
        code = cli.main([*arguments, "--config", str(tmp_path / "triage.toml")])
        return code, *capsys.readouterr()

    (tmp_path / "triage.toml").touch()
    assert triage("incidents")[0] == 78  # no database yet
    db = store.open_store(tmp_path / "triage.db")
    nothing = "No incident: no bounce shows anything that one repair would heal.\n"
    assert triage("incidents") == (0, nothing, "")
    put(db, 1, record(), record(recipient="kim@client.example"), at=minutes_ago(300))
    put(db, 2, refused(diagnostic="550 \x1b[2J"), at=minutes_ago(200))

    code, out, err = triage("incidents")
    assert (code, err) == (0, "")
    assert re.findall(r"^ +(\d)  (OPEN|closed) ", out, re.MULTILINE) == [("1", "OPEN"), ("2", "OPEN")]
    assert "hit: " in out
    assert "kim@client.example" in out
    code, out, err = triage("incidents", "show", "2")
    assert (code, err) == (0, "")
    assert out.startswith("Incident 2, open: broken since Tue 24 Nov 2026 06:10 UTC")
    assert "\x1b" not in out
    assert all(len(line) <= 100 or "`" in line for line in out.splitlines())
    close = ["close", "2", "--why"]
    for wrong in (["close", "99", "--why", "x"], [*close, " "], close[:2], ["show", "99"], ["show", "x"]):
        code, out, err = triage("incidents", *wrong)
        assert (code, out, len(err.splitlines())) == (2, "", 2), wrong

    code, out, err = triage("incidents", "close", "2", "--why", "they wrote that it works")
    assert (code, err) == (0, "")
    assert re.match(r"Incident 2 is closed: broken for .*, seen after .*\. The next bounce of its kind opens it", out)
    assert "closed already" in triage("incidents", "close", "2", "--why", "again")[1]
    found = by_schema("incidents", triage("incidents", "--json")[1])
    assert [(one["id"], one["state"], one["closed_by"], one["closed_why"]) for one in found] == [
        (1, "open", None, None),
        (2, "closed", "by-hand", "they wrote that it works"),
    ]
    assert by_schema("incidents show", triage("incidents", "show", "2", "--json")[1]) == found[1]
    assert "Over since" in triage("incidents", "show", "2")[1]
    for number in range(30):
        put(db, 10 + number, refused(recipient=f"pat@client{number}.example"), at=minutes_ago(100))
        store.close_by_hand(db, 3 + number, "gone", minutes_ago(50))
    assert "11 older incidents left out" in triage("incidents")[1]
    assert "left out" not in triage("incidents", "--all")[1]
    db.close()


# Without events: a login that was accepted, and a mail after it that did not come back


def test_a_verified_login_and_a_send_without_bounce_end_it(tmp_path: Path) -> None:
    db = store.open_store(tmp_path / "triage.db")
    [verdict_id] = put(db, 1, record(), at=minutes_ago(300))
    with GmailDouble() as double:
        double.write_credentials(tmp_path)
        gmail = connect(tmp_path / "token.json", url=double.url)

        def look(at: datetime = NOW) -> str:
            look_for_sends(db, gmail, at)
            store.settle_all(db, at)
            (incident,) = store.read_incidents(db)
            return incident.closed_by or incident.state

        double.seed(sent("before@mail.gmail.com"), labels=["SENT"], received_at=minutes_ago(250))
        assert look() == "open"
        assert double.quota.http_requests == 0, "asked before any login was accepted"
        accepted = Evidence("live-login", found=True, detail="accepted", result="accepted")
        store.record_evidence(db, verdict_id, [accepted], minutes_ago(200))
        assert look() == "open"  # what was sent before proves nothing
        double.seed(sent("after@mail.gmail.com"), labels=["SENT"], received_at=minutes_ago(30))
        assert look() == "open"  # its bounce may still come
        assert look(NOW + timedelta(hours=1)) == "login-and-send"
        (incident,) = store.read_incidents(db)
        assert incident.closed_at == minutes_ago(30)
        gmail.close()
    db.close()


# kill -9

# A run that kills itself at the nth transaction about alerts or inserts, "open" before it is committed or "done" after.
WORKER = """
import sys
from datetime import datetime
from pathlib import Path
from tests.worlds.killed import die_at_transaction
from triage import run
from triage.config import load_settings
from triage.store import actions, alerts

config, now, fatal = sys.argv[1:]
transactions = die_at_transaction(fatal, alerts, actions)
run.run(load_settings(Path(config), {}), lambda: datetime.fromisoformat(now))
print(transactions())
"""

# The run begins (1); for each of two channels planning, starting and finishing, the try to insert the one in the inbox
# and its success (2-9); the run ends (10).
TRANSACTIONS = 10


def crash_world(folder: Path, gmail: GmailDouble, sink: HttpSink) -> Settings:
    gmail.write_credentials(folder)
    put_into_sent(gmail)
    gmail.seed(alias_notice(1), received_at=minutes_ago(30))
    (folder / "triage.toml").write_text(
        f'gmail_url = "{gmail.url}"\nalerts = ["{sink.apprise}"]\nalert_inbox = true\nnotes = false\n'
        f'ping_url = "{sink.url}/ping/s3cr3t-uuid"\n'
    )
    (folder / "triage.toml").chmod(0o600)
    return load_settings(folder / "triage.toml", {})


def start(folder: Path, fatal: str = "none") -> Forked:
    return Forked(WORKER, str(folder / "triage.toml"), NOW.isoformat(), fatal)


def finish(process: Forked, settings: Settings, gmail: GmailDouble) -> list[tuple[str, str]]:
    """Wait for the kill, run again half an hour later and once more; the states of the alerts, by channel."""
    killed.wait_for_the_kill(process)
    for minutes in (30, 45):
        gmail.reset_counters()
        worker.run(settings, lambda: NOW + timedelta(minutes=minutes))  # noqa: B023 - used before the next
    assert dict(gmail.quota.calls) == {"messages.list": 1}, "the last run had something to do"
    db = store.open_readonly(settings.database)
    assert db is not None
    states = [(row["channel"].partition("-")[0], row["state"]) for row in store.alerts_of(db, 1)]
    db.close()
    return states


def in_inbox(gmail: GmailDouble) -> int:
    return sum(b"X-Triage: alert" in message.raw for message in gmail.messages.values())


DONE = [("json", "done"), ("inbox", "done")]


@pytest.mark.parametrize(
    "fatal", ["2 open", "2 done", "3 open", "3 done", "4 open", "5 open", "6 open", "7 open", "7 done", "9 open"]
)
def test_killed_at_a_transaction_the_inbox_has_it_once(fatal: str, tmp_path: Path, sink: HttpSink) -> None:
    with GmailDouble() as gmail:
        settings = crash_world(tmp_path, gmail, sink)
        assert finish(start(tmp_path, fatal), settings, gmail) == DONE
        assert in_inbox(gmail) == 1
        # Nobody can look into a push service: killed before it was recorded, it is told again.
        assert len(sink.told) == (2 if fatal == "4 open" else 1)


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_the_insert_the_inbox_has_it_once(when: When, tmp_path: Path, sink: HttpSink) -> None:
    with GmailDouble() as gmail:
        settings = crash_world(tmp_path, gmail, sink)
        process = start(tmp_path)
        gmail.kill_at(lambda: process.pid, "messages.insert", 1, when)
        assert finish(process, settings, gmail) == DONE
        assert in_inbox(gmail) == 1


def test_an_undisturbed_run_has_the_transactions_named_here(tmp_path: Path, sink: HttpSink) -> None:
    with GmailDouble() as gmail:
        crash_world(tmp_path, gmail, sink)
        done = start(tmp_path).finish()
        assert (done.stdout.strip(), done.stderr) == (str(TRANSACTIONS), "")
