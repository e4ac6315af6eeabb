"""Tells monitors how a run ended: whatever it was, and also where the database cannot be read. Prints nothing."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from pathlib import Path

from parsers.times import moment_from
from triage import store
from triage.config import Settings
from triage.errors import TriageError
from triage.model import RunSummary
from triage.monitor.log import append_line, run_record
from triage.monitor.metrics import Situation, metrics_text
from triage.own_files import write_whole


def tell_monitors(
    settings: Settings | None,
    outcome: RunSummary | TriageError,
    began_at: datetime,
    ended_at: datetime,
    *,
    log_file: Path | None = None,
    mailbox: str | None = None,
) -> list[str]:
    """Write the log and the figures that are wanted; why one could not be written, in words.

    `settings` None: they could not be read. `mailbox`, one of several, gets a file of figures of its own.
    """
    problems = []
    if log_file is not None:
        try:
            append_line(log_file, run_record(outcome, began_at, ended_at, mailbox))
        except OSError as error:
            problems.append(f"the log file {log_file}: {error.strerror}")
    if settings is not None and settings.metrics_file is not None:
        path = settings.metrics_file
        path = path.with_stem(f"{path.stem}-{mailbox}") if mailbox else path
        try:
            text = metrics_text(outcome, began_at, ended_at, _situation(settings), mailbox)
            write_whole(path, text, 0o644)  # node_exporter is another user
        except OSError as error:
            problems.append(f"the metrics_file {path}: {error.strerror}")
    return problems


def _situation(settings: Settings) -> Situation | None:
    try:
        db = store.open_readonly(settings.database)
        if db is None:
            return None
        with closing(db):
            good = store.last_reads(db)[1]
            open_now = sum(one.closed_at is None for one in store.read_incidents(db))
            given_up = sum(one.number for one in store.given_up(db))
            return Situation(moment_from(good["finished_at"]) if good else None, open_now, given_up)
    except Exception:  # damaged: the exit code says so, and the figures must come all the same
        return None
