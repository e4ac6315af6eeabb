"""Runs the real command line as a process, in a folder of its own that is also its home."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.worlds import forked

ROOT = Path(__file__).parents[2]


def environment(folder: Path, **more: str) -> dict[str, str]:
    """This process's environment without settings of ours or AWS's, and with `folder` as home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRIAGE_", "AWS_"))}
    return {**kept, "PYTHONPATH": str(ROOT), "HOME": str(folder), **more}


def words(*arguments: str) -> list[str]:
    """The command line of `triage`."""
    return [sys.executable, "-m", "triage", *arguments]


def triage(folder: Path, *arguments: str) -> str:
    """Run `triage` where it must end well and complain of nothing; returns what it printed."""
    done = forked.triage(*arguments, cwd=folder, env=environment(folder))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
