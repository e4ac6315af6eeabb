"""Figures of the last run as a text file, for the textfile collector of Prometheus' node_exporter.

All are gauges, so that the file is OpenMetrics and Prometheus' older text format at once: that collector reads the
older one, in which the `# EOF` of the newer is a comment (https://prometheus.io/docs/instrumenting/exposition_formats/).
Says how many and when, and nothing of whom, so that others may read it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from triage.errors import TriageError
from triage.model import RunSummary

_PREFIX = "bounce_triage_"


class Situation(NamedTuple):
    """What the database says after the run."""

    last_good_at: datetime | None
    open_incidents: int
    given_up: int


def metrics_text(
    outcome: RunSummary | TriageError,
    began_at: datetime,
    ended_at: datetime,
    situation: Situation | None,
    mailbox: str | None = None,
) -> str:
    """The file; `situation` None: the database could not be read."""
    name = f'mailbox="{mailbox}"' if mailbox else ""  # letters, digits, - and _ only
    lines: list[str] = []
    for figure, about, values in _figures(outcome, began_at, ended_at, situation):
        lines += [f"# HELP {_PREFIX}{figure} {about}", f"# TYPE {_PREFIX}{figure} gauge"]
        for label, value in values.items():
            labels = ",".join(filter(None, (name, label)))
            lines.append(f"{_PREFIX}{figure}{f'{{{labels}}}' if labels else ''} {value:.15g}")
    return "\n".join([*lines, "# EOF", ""])


def _figures(
    outcome: RunSummary | TriageError, began_at: datetime, ended_at: datetime, situation: Situation | None
) -> Iterator[tuple[str, str, Mapping[str, float]]]:
    yield "run_exit_code", "What the last run ended with: 0 done, 75 try later, 77 sign in.", {"": outcome.exit_code}
    yield "run_ended_timestamp_seconds", "When the last run ended.", {"": ended_at.timestamp()}
    yield "run_duration_seconds", "How long it took.", {"": (ended_at - began_at).total_seconds()}
    if isinstance(outcome, RunSummary):
        counts = {f'what="{key}"': float(value) for key, value in outcome.counts().items()}
        yield "run_count", "What the last run did, by the columns of `runs`.", counts
        if outcome.seconds:
            parts = {f'part="{part}"': seconds for part, seconds in outcome.seconds.items()}
            yield "run_part_seconds", "How long each part of it took.", parts
    if situation is not None:
        if situation.last_good_at is not None:
            good = {"": situation.last_good_at.timestamp()}
            yield "good_run_timestamp_seconds", "When a run last read the mailbox to its end.", good
        yield "open_incidents", "Incidents that are open.", {"": situation.open_incidents}
        yield (
            "given_up",
            "Labels, notes and mails given up; triage retry takes them up again.",
            {"": situation.given_up},
        )
