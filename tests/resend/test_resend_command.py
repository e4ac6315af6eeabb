"""`triage resend`: it shows first, and sends only on the very sentence."""

from __future__ import annotations

import os
import subprocess
from datetime import datetime

import pytest

from tests.resend.world import REGION, World, aws_env
from tests.worlds import forked
from tests.worlds.made_mails import NOW
from tests.worlds.schemas import by_schema
from triage import store


def triage(world: World, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    (world.folder / "triage.toml").write_text(f'gmail_url = "{world.double.url}"\nsmtp_region = "{REGION}"\n')
    config = str(world.folder / "triage.toml")
    return forked.triage("resend", "--config", config, *arguments, env=os.environ | aws_env(world.ses), stdin=typed)


def since() -> str:
    """A span that reaches back to the story's days, whatever the day of this run."""
    return f"{max((datetime.now(NOW.tzinfo) - NOW).days + 30, 30)}d"


def test_the_command_shows_puts_back_and_says_so(world: World) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example")
    shown = triage(world, "--dry-run", "--since", since())
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "pat@client.example (#1)" in shown.stdout
    assert "-> would be put back as a draft in its conversation" in " ".join(shown.stdout.split())
    assert world.drafts() == []
    done = triage(world, "--since", since())
    assert (done.returncode, done.stderr) == (0, "")
    assert "-> a draft lies in its conversation" in done.stdout
    assert len(world.drafts()) == 1


def test_an_incident_by_its_number(world: World) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example")
    world.bounce(
        world.write("Quote", "eve@client.example"), "eve@client.example", cause="ses-sandbox", category="ses-refused"
    )
    (number,) = {row["id"] for row in world.db.query("SELECT id FROM incidents WHERE kind = 'ses'")}
    done = triage(world, str(number), "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    assert [row["recipient"] for row in by_schema("resend", done.stdout)] == ["eve@client.example"]


@pytest.mark.parametrize("typed", ["", "yes\n", "send\n", "send 2\n", "SEND 1\n"])
def test_without_the_very_sentence_nothing_is_sent(world: World, typed: str) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example")
    done = triage(world, "--send", "--since", since(), typed=typed)
    assert done.returncode in (2, 130)
    assert world.ses.sent == []
    assert store.resends_in_doubt(world.db) == []


def test_the_sentence_sends(world: World) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example")
    done = triage(world, "--send", "--since", since(), "--json", typed="send 1\n")
    assert done.returncode == 0, done.stderr
    assert "Type `send 1` to send 1 mail from admin@queenofsandiego.com through Amazon SES in us-east-1" in done.stderr
    (row,) = by_schema("resend", done.stdout)
    assert row["outcome"].startswith("sent through SES (0100")
    assert len(world.ses.sent) == 1
    again = triage(world, "--send", "--since", since())
    assert again.returncode == 0
    assert "sent again through SES" in " ".join(again.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["1", "--cause", "mailbox-full"], 2, "two ways"),
        (["7"], 2, "no incident 7"),
        (["--cause", "nonsense"], 2, "no cause"),
        (["--region", "us-east-1"], 2, "--region is for --send"),
        (["--was-sent", "3"], 2, "no mail 3 in doubt"),
        (["--was-sent", "3", "--was-not-sent", "4"], 2, "cannot both"),
    ],
)
def test_a_question_that_makes_no_sense(world: World, arguments: list[str], code: int, words: str) -> None:
    done = triage(world, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr


def test_a_mail_in_doubt_is_told_also_where_it_was_not_asked_about(world: World) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example")
    world.ses.fail("SendEmail", connection="drop", when="after")
    world.send()
    done = triage(world, "--cause", "mailbox-full")
    assert "pat@client.example: perhaps sent at Tue 24 Nov 2026 09:30 UTC" in done.stderr
    assert "--was-not-sent 1" in done.stderr
    assert triage(world, "--was-sent", "1").stdout == "Mail 1: taken as sent.\n"


def test_nobody_hit_is_said(world: World) -> None:
    assert triage(world).stdout == "Nobody was hit, or nobody is left who was not reached since.\n"


def test_a_sandbox_is_said_before_anything_is_asked(world: World) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example")
    world.ses.region(REGION).account["ProductionAccessEnabled"] = False
    done = triage(world, "--send", "--since", since(), typed="send 1\n")
    assert done.returncode == 78
    assert "the account is in the sandbox" in done.stderr
