"""The story end to end: `triage run` as a subprocess against Gmail, SES, SQS, IAM and CloudTrail on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.aws import AwsDouble
from tests.doubles.gmail import GmailDouble
from tests.doubles.ses_events import ses_event
from tests.worlds import forked
from tests.worlds.stored import every_verdict
from triage import store

ROOT = Path(__file__).parents[2]
BOUNCES = ROOT / "tests" / "bounces"
ALIAS = "admin@queenofsandiego.com"
THIRD_ID = "010101a1efaea11d-933fac44-7e22-275c-e0d0-89b5b9df51e0-000000"
STORY = ("gmail-alias-ses-535", "gmail-alias-ses-535-second", "exchange-online-recipient-not-found-via-ses")


class World:
    """The story as it lies in Gmail and at AWS, hours ago; and a way to let `triage` loose on it."""

    def __init__(self, folder: Path, gmail: GmailDouble, aws: AwsDouble) -> None:
        self.folder, self.gmail, self.aws = folder, gmail, aws
        self.now = datetime.now(UTC).replace(second=0, microsecond=0)
        gmail.write_credentials(folder)
        gmail.add_send_as(ALIAS, host="email-smtp.us-east-1.amazonaws.com")
        self.rotated_at = self.now - timedelta(hours=5)
        thread_id = None
        for number, name in enumerate(STORY):
            raw = (BOUNCES / f"{name}.eml").read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            received_at = self.now - timedelta(hours=3 - number)
            message_id = gmail.seed(raw, thread_id=thread_id, received_at=received_at)
            thread_id = gmail.messages[message_id].thread_id
        self.old = aws.make_smtp_user()
        aws.use_key(self.old, datetime.now(UTC) - timedelta(days=9))
        aws.deactivate_key(self.old)
        new = aws.add_key(self.old.name)
        aws.trail.note("created", self.old.name, new.key_id, self.rotated_at - timedelta(minutes=3))
        aws.trail.note("made inactive", self.old.name, self.old.key_id, self.rotated_at)
        self.secret = aws.make_secret({"username": new.key_id, "password": "B" * 44})
        self.queue = aws.make_event_queue()
        sent_at = datetime(2026, 11, 18, 17, 22, 41, tzinfo=UTC)
        people = ["priya@meridian-travel.example"]
        for kind in ("Send", "Bounce"):
            aws.publish(ses_event(kind, people, at=sent_at, message_id=THIRD_ID, region="us-west-2"))
        aws.ses.suppress(people[0], "us-west-2", message_id=THIRD_ID, at=sent_at)

    def triage(self, *arguments: str, with_aws: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        settings = {
            "TRIAGE_CONFIG": str(self.folder / "triage.toml"),
            "TRIAGE_GMAIL_URL": self.gmail.url,
            "TRIAGE_ALERT_INBOX": "no",
            "HOME": str(self.folder),
        }
        if with_aws:
            settings |= {
                "TRIAGE_REGIONS": "us-east-1,us-west-2",
                "TRIAGE_QUEUE_URL": self.queue.url,
                "TRIAGE_SMTP_USER": self.old.name,
                "TRIAGE_SMTP_SECRET": self.secret,
            }
        (self.folder / "triage.toml").touch()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRIAGE_")}
        return forked.triage(*arguments, env=inherited | self.aws.env | settings | env, code=forked.IMPATIENT)

    def state(self) -> tuple[dict[str, dict[str, Any]], dict[str, dict[tuple[str, str | None], dict[str, Any]]]]:
        """Verdicts and their evidence, by recipient."""
        db = store.open_readonly(self.folder / "triage.db")
        assert db is not None
        verdicts = {verdict["recipient"].partition("@")[0]: verdict for verdict in every_verdict(db)}
        rows = store.evidence_of(db, [verdict["id"] for verdict in verdicts.values()])
        db.close()
        return verdicts, {
            name: {(row["kind"], row["place"]): row for row in rows.get(verdict["id"], [])}
            for name, verdict in verdicts.items()
        }


@pytest.fixture
def world(tmp_path: Path, aws: AwsDouble) -> Iterator[World]:
    with GmailDouble() as gmail:
        yield World(tmp_path, gmail, aws)


def test_the_story(world: World) -> None:
    done = world.triage("run")
    assert (done.returncode, done.stderr) == (0, "")
    verdicts, evidence = world.state()
    assert {name: verdict["category"] for name, verdict in verdicts.items()} == {
        "dana": "smtp-credentials",
        "marcus": "smtp-credentials",
        "priya": "exchange-rejection",
    }
    # The third left through SES in another region, and three sources agree on it.
    third = evidence["priya"]
    assert third["ses-id", None]["detail"] == f"{THIRD_ID} in us-west-2; found in: returned Message-ID"
    assert third["ses-event", None]["detail"].startswith("Send 18 Nov 17:22 UTC; Bounce 18 Nov 17:22 UTC, Permanent/")
    assert third["suppression-list", "us-west-2"]["detail"].endswith("because of this very mail")
    assert third["suppression-list", "us-east-1"]["found"] is False
    # The first two never got there, and one change of keys explains both.
    short = f"AKIA…{world.old.key_id[-2:]}"
    for name in ("dana", "marcus"):
        assert evidence[name]["ses-id", None]["found"] is False
        assert evidence[name]["ses-event", None]["detail"].startswith("SES published nothing about it")
        conclusion = evidence[name]["own-side", None]
        assert conclusion["result"] == "proven"
        assert conclusion["detail"].startswith(f"key {short} was made inactive on {world.rotated_at.day} ")
    assert evidence["dana"]["own-side", None]["detail"] == evidence["marcus"]["own-side", None]["detail"]
    assert world.aws.waiting() == 0

    told = world.triage("explain", str(verdicts["dana"]["id"])).stdout
    assert "What SES and AWS know" in told
    assert f"proven: key {short} was made inactive" in told
    told = world.triage("explain", str(verdicts["priya"]["id"])).stdout
    assert "because of this very mail" in " ".join(told.split())

    calls, before = dict(world.aws.ses.calls), world.state()
    again = world.triage("run")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert world.state() == before
    assert dict(world.aws.ses.calls) == calls


def test_a_bounce_only_ses_told_of(world: World) -> None:
    at = world.now - timedelta(minutes=40)
    world.aws.publish(ses_event("Bounce", ["lee@client.example"], at=at, region="us-west-2"))
    assert world.triage("run").returncode == 0
    verdicts, evidence = world.state()
    assert verdicts["lee"]["source"].startswith("ses-event:0101")
    assert evidence["lee"]["ses-event", None]["found"] is True
    told = world.triage("explain", str(verdicts["lee"]["id"])).stdout
    assert "an SES event taken from our own queue" in " ".join(told.split())


def test_aws_away_changes_no_verdict_and_is_made_up_for(world: World) -> None:
    done = world.triage("run", "--verbose", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert done.returncode == 0
    assert "Not looked up: the event queue: no AWS credentials" in done.stderr
    verdicts, evidence = world.state()
    assert {verdict["category"] for verdict in verdicts.values()} == {"smtp-credentials", "exchange-rejection"}
    assert verdicts["priya"]["original"]["ses_message_id"] == THIRD_ID
    assert evidence["priya"]["suppression-list", "us-west-2"]["not_looked_up_why"]
    assert evidence["dana"]["own-side", None]["result"] == "unknown"
    told = world.triage("explain", str(verdicts["priya"]["id"])).stdout
    assert "not looked up: no AWS credentials" in " ".join(told.split())
    assert world.triage("run").returncode == 0
    _, evidence = world.state()
    assert evidence["priya"]["suppression-list", "us-west-2"]["found"] is True
    assert evidence["dana"]["own-side", None]["result"] == "proven"
    assert not [row for rows in evidence.values() for row in rows.values() if row["not_looked_up_why"]]


COUNTER = (
    "import sys; from triage.cli.program import main; code = main(['run']);"
    " sys.stderr.write(' '.join({name.partition('.')[0] for name in sys.modules})); sys.exit(code)"
)


@pytest.mark.parametrize("with_queue", [False, True])
def test_a_run_pays_for_boto3_only_with_a_queue(world: World, with_queue: bool) -> None:
    env = {
        **os.environ,
        **world.aws.env,
        "TRIAGE_GMAIL_URL": world.gmail.url,
        "TRIAGE_ALERT_INBOX": "no",
        "HOME": str(world.folder),
    }
    env["TRIAGE_CONFIG"] = str(world.folder / "triage.toml")
    (world.folder / "triage.toml").touch()
    env |= {"TRIAGE_QUEUE_URL": world.queue.url} if with_queue else {}
    assert forked.triage("run", env=env).returncode == 0
    done = subprocess.run([sys.executable, "-c", COUNTER], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0
    loaded = set(done.stderr.split())
    assert "sqlite3" in loaded
    assert ("boto3" in loaded) is with_queue
