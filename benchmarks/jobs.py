"""`classify --jobs 2` against one process, in wall time: mails in memory, so that no disk is measured."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Row, at_least, sample_mails
from triage.judging.files import json_line, judge_mails
from triage.mailbox import LocalMail

TIMES_OVER = 40
TRIES = 4


def rows(quick: bool, folder: Path | None = None) -> Iterator[Row]:
    """How many times faster two processes are; the best of several tries each, because others use the cores too."""
    samples = sample_mails(folder)
    chosen = samples[:100] if quick else samples * TIMES_OVER
    mails = [LocalMail(f"mails/{number}.eml", data) for number, data in enumerate(chosen)]
    one, two = [], []
    for _ in range(1 if quick else TRIES):
        one.append(_wall_seconds(mails, 1))
        two.append(_wall_seconds(mails, 2))
    row = at_least(f"classify --jobs 2 / one process, {len(mails):,} mails", min(one) / min(two), 1.7, "x as fast")
    has_two = len(os.sched_getaffinity(0)) >= 2 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) >= 2
    yield row if has_two else row._replace(budget="(one core only)", is_ok=None)


def _wall_seconds(mails: list[LocalMail], jobs: int) -> float:
    started = time.perf_counter()
    judged = sum(block.mails for block in judge_mails(mails, json_line, jobs))
    assert judged == len(mails)
    return time.perf_counter() - started
