"""Each command that waits for others ends in time with 75, and the same command goes on where it was stopped."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import triage.gmail
from tests.doubles.gmail import GmailDouble
from tests.worlds.made_mails import refusal
from tests.worlds.run_world import ask, at, seed, settings_over
from triage import rebuild as making
from triage import run as worker
from triage.cli import program
from triage.config import Settings
from triage.gmail.client import connect
from triage.letters import undo
from triage.owner import retry


@pytest.fixture
def settings(gmail: GmailDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    settings = settings_over(
        gmail, tmp_path, monkeypatch, 'notes = false\ndns = "127.0.0.1:1"\n', modules=(worker, making, undo)
    )
    monkeypatch.setattr(triage.gmail, "connect", partial(connect, sleep=lambda _: None, timeout_seconds=2))
    monkeypatch.setenv("TRIAGE_GMAIL_URL", gmail.url)
    monkeypatch.setenv("TRIAGE_CONFIG", str(tmp_path / "triage.toml"))
    monkeypatch.chdir(tmp_path)
    seed(gmail, refusal(1))
    worker.run(settings, at)
    return settings


@pytest.mark.parametrize(
    ("command", "drips", "what"),
    [
        (["report", "--deliver", "inbox"], "getProfile", "The report"),
        (["undo", "labels"], "threads.modify", "Taking back"),
        (["resend", "--cause", "recipient-unknown", "--since", "520w"], "messages.list", "Writing again"),
        (["rebuild"], "messages.list", "The rebuild"),
        (["audit", "example.org"], "sendAs.list", "The audit"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_command_is_stopped_and_goes_on(
    gmail: GmailDouble,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    drips: str,
    what: str,
) -> None:
    minutes: Any = 0.01
    real = program.read_settings

    def hurried(asked: Any, **more: Any) -> Settings:

        return replace(real(asked, **more), run_minutes=minutes)

    for module in ("report", "owner", "resend", "database", "audit"):
        monkeypatch.setattr(f"triage.cli.{module}.read_settings", hurried)
    gmail.fail(drips, times=None, connection="drip")
    began = time.monotonic()
    assert program.main(command) == 75
    assert time.monotonic() - began < 10
    err = capsys.readouterr().err
    assert f"triage: {what} took longer than 0.01 min and was stopped; what was done is kept." in err
    assert "Run the same command again" in err
    gmail.clear_faults()
    minutes = 1
    assert program.main(command) in (0, 1)
    assert "took longer" not in capsys.readouterr().err
    assert ask(settings, "SELECT count(*) AS n FROM verdicts") == [{"n": 1}]


def test_taking_up_again_is_stopped_too(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:

    from triage import store
    from triage.errors import OutOfTime

    few: Any = 0.005
    monkeypatch.setattr(store, "take_up_again", lambda db: time.sleep(5))
    with pytest.raises(OutOfTime, match="Taking up again took longer"):
        retry.take_up(replace(settings, run_minutes=few), apply=True)


def test_a_thread_that_waits_for_ever_does_not_hold_up_the_end() -> None:
    code = (
        "import sys, threading, triage.cli.stopping as stopping, triage.cli.program as program, triage.__main__ as it\n"
        "def main():\n    threading.Thread(target=threading.Event().wait).start(); print('said'); return 75\n"
        "program.main = main\nsys.exit(it.main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (75, "said\n")
