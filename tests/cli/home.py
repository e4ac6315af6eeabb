"""A home folder to run the real command line in, and what a failure must look like."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from tests.worlds import forked

ROOT = Path(__file__).parents[2]
BOUNCES = ROOT / "tests" / "bounces"
ALIAS, EXCHANGE = "gmail-alias-ses-535.eml", "exchange-online-recipient-not-found-via-ses.eml"

PROGRAM = ("-m", "triage")


class Home:
    """A folder of its own to work in, with nothing of the user's environment but what finds the program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "TRIAGE_DATABASE": str(folder / "triage.db"),
        }

    def triage(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
        """Run a command in a process of its own; its output is read as UTF-8 with nothing lost."""
        return forked.triage(*arguments, cwd=self.folder, env=self.env, stdin=stdin)

    def started(
        self, *arguments: str, stdin: bytes = b"", program: Sequence[str] = PROGRAM, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """The same from the start of the interpreter on, which imports what the command needs and heeds PYTHON...."""
        done = subprocess.run(
            [sys.executable, *program, *arguments],
            cwd=self.folder,
            env=self.env | env,
            input=stdin,
            capture_output=True,
            timeout=60,
            check=False,
        )
        texts = (stream.decode("utf-8", "surrogateescape") for stream in (done.stdout, done.stderr))
        return subprocess.CompletedProcess(done.args, done.returncode, *texts)

    def on_terminal(
        self, *arguments: str, columns: int = 80, program: Sequence[str] = PROGRAM, **env: str
    ) -> tuple[int, str]:
        """Run a command whose output is a terminal; (exit code, everything the terminal got)."""
        return self._on_pty(None, arguments, columns, program, env)

    def with_terminal_for_errors(self, *arguments: str, program: Sequence[str] = PROGRAM) -> tuple[int, str, str]:
        """Run a command whose errors go to a terminal; (exit code, what the terminal got, standard output)."""
        with (self.folder / "output").open("wb") as output:
            code, got = self._on_pty(output, arguments, 80, program, {})
        return code, got, (self.folder / "output").read_text()

    def _on_pty(
        self,
        output: IO[bytes] | None,
        arguments: Sequence[str],
        columns: int,
        program: Sequence[str],
        env: Mapping[str, str],
    ) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, *program, *arguments],
            cwd=self.folder,
            env={**self.env, "TERM": "xterm", "COLUMNS": str(columns), **env},
            stdin=subprocess.DEVNULL,
            stdout=theirs if output is None else output,
            stderr=theirs,
        )
        os.close(theirs)
        got = b""
        try:
            while select.select([ours], [], [], 60)[0]:
                try:
                    data = os.read(ours, 65536)
                except OSError:  # Linux says EIO where others say end of file
                    break
                if not data:
                    break
                got += data
        finally:
            os.close(ours)
            code = process.wait(timeout=60)
        return code, got.decode("utf-8", "replace").replace("\r\n", "\n")

    def copy(self, *names: str) -> Path:
        """A folder `mails` with these samples."""
        mails = self.folder / "mails"
        mails.mkdir(exist_ok=True)
        for name in names:
            shutil.copy(BOUNCES / name, mails / name)
        return mails


def assert_two_lines(done: subprocess.CompletedProcess[str], code: int) -> list[str]:
    """The failure is one line what, one line what to do, on standard error only."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 2, done.stderr
    assert lines[0].startswith("triage: ")
    assert all(line.strip() for line in lines)
    return lines
