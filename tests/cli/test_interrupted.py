"""Signals at any moment, and standard streams that are closed or full: no traceback, and the work is kept."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cli.home import ALIAS, EXCHANGE, Home

# Sends itself a signal when a module is first imported, from the loading of the program to the work itself.
AT_IMPORT = """
import os, sys, signal
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), {number})
sys.meta_path.insert(0, Finder())
import runpy
sys.argv = ["triage", *sys.argv[1:]]
runpy.run_module("triage", run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.copy(ALIAS, EXCHANGE)
    return home


def stopped_at_import(home: Home, module: str, number: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    return home.started(*arguments, program=("-c", AT_IMPORT.format(module=module, number=number)))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize(
    "module", ["triage.cli.program", "click", "triage.errors", "triage.config", "sqlite3", "triage.run", "parsers.mime"]
)
def test_a_signal_at_any_moment_of_loading(home: Home, module: str, number: int, code: int) -> None:
    done = stopped_at_import(home, module, number, "run", "--database", "triage.db", "--mailbox", "mails")
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "ignored" not in done.stderr
    assert home.triage("run", "--database", "triage.db", "--mailbox", "mails").returncode == 0, (
        "the next run takes up where it stopped"
    )
    assert verdicts(home) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("after", [0.15, 0.3, 0.5, 0.9])
def test_a_signal_in_the_first_second(home: Home, number: int, after: float) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "triage", "classify", "-"],
        cwd=home.folder,
        env=home.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    time.sleep(after)
    process.send_signal(number)
    try:
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    if b"site.py" not in errors and process.returncode != -number:  # not even Python itself had begun
        assert process.returncode == 128 + number, errors
        assert b"Traceback" not in errors


def test_a_run_that_is_stopped_says_so_in_its_row(home: Home) -> None:
    os.mkfifo(home.folder / "stdin")
    keeps_open = os.open(home.folder / "stdin", os.O_RDWR)
    with open(home.folder / "stdin", "rb") as stdin:
        process = subprocess.Popen(
            [sys.executable, "-m", "triage", "run", "--database", "triage.db", "--mailbox", "-"],
            cwd=home.folder,
            env=home.env,
            stdin=stdin,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(300):  # it waits for a mail once it has written down that it began
            time.sleep(0.1)
            if has_begun(home):
                break
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    os.close(keeps_open)
    assert process.returncode == 143
    assert "Stopped before the end" in errors
    assert "Traceback" not in errors
    assert ask(home, "SELECT error FROM runs") == [("stopped by a signal (SIGTERM)",)]


# Streams


def redirected(home: Home, how: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = f"{sys.executable} -m triage {' '.join(arguments)} {how}"
    shell = ["/bin/bash", "-o", "pipefail", "-c", command]
    return subprocess.run(shell, cwd=home.folder, env=home.env, capture_output=True, timeout=60, check=False)


REDIRECTIONS = [
    *(">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full", ">/dev/full 2>/dev/full"),
    *(">/dev/full 2>&-", "| true", "2>&1 | true"),
]


@pytest.mark.parametrize("how", REDIRECTIONS)
def test_a_run_does_its_work_whatever_becomes_of_its_words(home: Home, how: str) -> None:
    arguments = ("run", "--verbose", "--database", "triage.db", "--mailbox", "mails")
    done = redirected(home, how, *arguments)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert verdicts(home) == 2
    assert ask(home, "PRAGMA integrity_check") == [("ok",)]
    if "|" not in how and how != "2>&-" and how != "2>/dev/full":
        [(unsaid,)] = ask(home, "SELECT unsaid FROM runs")
        assert "2 new mails: 2 verdicts" in str(unsaid)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_what_a_run_complains_of_is_kept_where_nobody_hears_it(home: Home) -> None:
    os.mkfifo(home.folder / "mails/pipe.eml")
    done = redirected(home, "2>&-", "run", "--database", "triage.db", "--mailbox", "mails")
    assert done.returncode == 1
    [(unsaid,)] = ask(home, "SELECT unsaid FROM runs")
    assert "pipe.eml: not a regular file" in unsaid


def test_all_that_was_said_is_no_news(home: Home) -> None:
    """The opposite."""
    assert redirected(home, "", "run", "--verbose", "--database", "triage.db", "--mailbox", "mails").returncode == 0
    assert ask(home, "SELECT unsaid FROM runs") == [(None,)]


@pytest.mark.parametrize("arguments", [("report",), ("classify", "mails"), ("classify", "--jsonl", "mails")])
def test_a_command_whose_work_is_its_words_says_that_they_are_lost(home: Home, arguments: Sequence[str]) -> None:
    assert home.triage("run", "--database", "triage.db", "--mailbox", "mails").returncode == 0
    done = redirected(home, ">/dev/full", *arguments)
    assert done.returncode == 1
    assert b"could not be written: No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr
    assert redirected(home, ">/dev/full 2>/dev/full", *arguments).returncode == 1
    assert redirected(home, ">&-", *arguments).returncode == 0, "closed on purpose"


@pytest.mark.parametrize("how", [">&-", "2>&-", ">/dev/full 2>/dev/full", "2>&1 >&-"])
def test_failures_keep_their_exit_code(home: Home, how: str) -> None:
    home.env["TRIAGE_SINCE_DAYS"] = "x"
    assert redirected(home, how, "report").returncode == 78
    assert redirected(home, how, "no-such-command").returncode == 2


def ask(home: Home, sql: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(home.folder / "triage.db") as db:
        rows = db.execute(sql).fetchall()
    db.close()
    return rows


def has_begun(home: Home) -> bool:
    try:
        return bool(ask(home, "SELECT 1 FROM runs"))
    except sqlite3.OperationalError:  # not made yet
        return False


def verdicts(home: Home) -> int:
    [(number,)] = ask(home, "SELECT count(*) FROM verdicts")
    assert isinstance(number, int)
    return number
