"""`triage explain` of a text that somebody copied: the same rules, and what a copy does not show is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
USER_UNKNOWN = "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient pat@client.example not found"


def explain(home: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "triage", "explain", *arguments]
    env = {"HOME": str(home), "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    return subprocess.run(command, cwd=home, env=env, input=stdin, capture_output=True, text=True, check=False)


def test_an_error_line_is_explained_and_who_said_it_is_asked(tmp_path: Path) -> None:
    done = explain(tmp_path, USER_UNKNOWN)
    assert (done.returncode, done.stderr) == (0, "")
    text = " ".join(done.stdout.split())
    assert "recipient-unknown" in text
    assert "Who said it? It was read as said by the recipient's server." in text
    assert "--said-by relay" in text
    assert "Not known from a copy: whether the mail is genuine" in text
    assert "Genuine" not in text
    assert len(done.stdout.splitlines()) < 50


def test_standard_input_may_be_a_copy_or_a_mail(tmp_path: Path) -> None:
    assert explain(tmp_path, "-", stdin=USER_UNKNOWN).stdout == explain(tmp_path, USER_UNKNOWN).stdout
    mail = (ROOT / "tests" / "bounces" / "gmail-alias-ses-535.eml").read_text(encoding="utf-8")
    assert "What a copy does not show" not in explain(tmp_path, "-", stdin=mail).stdout


def test_who_said_it_can_be_answered(tmp_path: Path) -> None:
    asked = explain(tmp_path, "554 5.7.1 Relay access denied")
    assert "(alias-credentials-rejected). Then run the same with" in " ".join(asked.stdout.split())
    answered = explain(tmp_path, "--said-by", "relay", "554 5.7.1 Relay access denied")
    assert "login was refused (alias-credentials-rejected)" in answered.stdout
    assert "Who said it?" not in answered.stdout


def test_what_only_a_relay_says_is_not_asked_about(tmp_path: Path) -> None:
    done = explain(tmp_path, "535 Authentication Credentials Invalid")
    assert "Who said it?" not in done.stdout
    assert "as a rule only a server that you log in to says this" in " ".join(done.stdout.split())


def test_a_text_that_is_no_bounce_says_what_to_copy(tmp_path: Path) -> None:
    done = explain(tmp_path, "see you at the pier")
    assert done.returncode == 0
    assert "Copy the line with the three-digit code" in done.stdout


def test_hostile_text_does_no_harm_on_the_terminal(tmp_path: Path) -> None:
    done = explain(tmp_path, "550 5.1.1 \x1b]0;owned\x07\u202eUser unknown")
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout
    assert "recipient-unknown" in done.stdout


def test_a_long_text_is_no_file_name(tmp_path: Path) -> None:
    done = explain(tmp_path, "550 5.1.1 User unknown " + "x" * 5000)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_number_needs_a_database(tmp_path: Path) -> None:
    done = explain(tmp_path, "17")
    assert done.returncode == 78
    assert "There is no database" in done.stderr


@pytest.mark.parametrize("what", ["nothing-here.eml", "18c2a4f0b3d1e5f6", "<a@mail.gmail.com>"])
def test_one_word_is_a_name_and_no_text(tmp_path: Path, what: str) -> None:
    done = explain(tmp_path, what)
    assert done.returncode == 2
    assert "an error line in quotes" in done.stderr
