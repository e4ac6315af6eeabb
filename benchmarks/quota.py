"""What a run costs at Gmail, counted by the double on loopback: HTTP requests and quota units (new table)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from benchmarks.measure import Row, within
from tests.doubles.gmail import GmailDouble
from tests.worlds.made_mails import NOW, minutes_ago, refusal, sent
from triage import run as worker
from triage.config import load_settings

PER_RUN = 5 + 5 + 1
"""Listing the mails, asking which new ones are large, and listing the labels: once for a run, whatever it finds."""


def rows(quick: bool, folder: Path | None = None) -> Iterator[Row]:
    """A quiet run, one bounce with its label, one with a note too, and many at once."""
    yield from _one_by_one(notes=False)
    yield from _one_by_one(notes=True)
    yield _many(10 if quick else 100)


def _one_by_one(notes: bool) -> Iterator[Row]:
    with GmailDouble() as gmail, tempfile.TemporaryDirectory(prefix="triage-bench-") as made_in:
        _seed(gmail, 1)
        _run(gmail, Path(made_in), notes)  # makes the label
        gmail.reset_counters()
        _seed(gmail, 2)
        _run(gmail, Path(made_in), notes)
        what, limit = ("a bounce with label and note", 60) if notes else ("a bounce with its label", 30)
        yield within(what, gmail.quota.units_new - PER_RUN, limit, "quota units")
        if not notes:
            gmail.reset_counters()
            _run(gmail, Path(made_in), notes)
            yield within("a quiet run", gmail.quota.http_requests, 2, "requests")
            yield within("a quiet run", gmail.quota.units_new, 6, "quota units")


def _many(number: int) -> Row:
    with GmailDouble() as gmail, tempfile.TemporaryDirectory(prefix="triage-bench-") as made_in:
        for nth in range(number):
            _seed(gmail, nth, minutes=number + 10 - nth)
        summary = _run(gmail, Path(made_in), notes=False)
        assert summary.judged == number, summary
        calls = gmail.quota.calls
        # One search of Sent for each mail that came back says whether it is ours; it is no fetching.
        others = calls["messages.modify"] + calls["labels.create"] + calls["messages.list"] - 1
        fetching = gmail.quota.http_requests - others
    return within(f"fetching {number} bounces in one run", fetching, 25, "requests")


def _seed(gmail: GmailDouble, number: int, minutes: float = 5) -> None:
    gmail.seed(sent(f"mail-{number}@example.org"), labels=["SENT"], received_at=minutes_ago(minutes + 60))
    gmail.seed(refusal(number, original_id=f"mail-{number}@example.org"), received_at=minutes_ago(minutes))


def _run(gmail: GmailDouble, folder: Path, notes: bool) -> worker.RunSummary:
    """One run as `triage run` does it, with everything it needs in one folder."""
    config = folder / "triage.toml"
    if not config.exists():
        gmail.write_credentials(folder)
        config.write_text(f"notes = {'true' if notes else 'false'}\n")
    return worker.run(load_settings(config, {"TRIAGE_GMAIL_URL": gmail.url}), _clock)


def _clock() -> datetime:
    return NOW
