"""A log of runs as JSON lines, one a run, for `--log-file`: counts, seconds and what went wrong.

Of a mail it names the id and never its contents. Each line is one write to the end of a file that is opened for it, so
that logrotate may move the file away at any time, and two runs may write into one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from parsers.times import utc_text
from triage.errors import TriageError
from triage.model import RunSummary

MOST_TOLD_IDS = 100
"""Ids of mails in one line."""


def run_record(
    outcome: RunSummary | TriageError, began_at: datetime, ended_at: datetime, mailbox: str | None = None
) -> dict[str, Any]:
    """How a run ended, as one JSON object; `mailbox` is the name of one of several."""
    record: dict[str, Any] = {
        "began_at": utc_text(began_at),
        "ended_at": utc_text(ended_at),
        "mailbox": mailbox,
        "exit_code": outcome.exit_code,
    }
    if isinstance(outcome, TriageError):
        return record | {"error": outcome.what, "todo": outcome.todo}
    return record | {
        "error": None,
        **outcome.counts(),
        "seconds": dict(outcome.seconds),
        # Why a mail could not be judged may quote it; the database and `triage report` know.
        "failures": [source for source, _ in outcome.failures[:MOST_TOLD_IDS]],
        "not_looked_up": list(outcome.not_looked_up),
        "not_told": list(outcome.not_told),
        "rotation": outcome.rotation,
    }


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Write the record to the end of the file, which only its owner can read. Raises OSError."""
    line = json.dumps(record, ensure_ascii=True) + "\n"
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    opened = os.open(path, flags, 0o600)
    try:
        os.write(opened, line.encode("ascii"))
    finally:
        os.close(opened)
