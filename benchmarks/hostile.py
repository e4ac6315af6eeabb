"""Mails made to cost time or memory, each read and judged in a process of its own.

    python -m benchmarks.hostile FILE

judges the whole of one file and prints the number of verdicts, the processor seconds and the peak memory in MB.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.classify import judge
from benchmarks.hostile_mails import MAILS, PIECES, baits
from benchmarks.measure import Row, peak_mb, processor_seconds, run_module

SECONDS = 2.0
MB = 300.0
BAIT = 1 << 20
"""Bytes of a mail that one piece fills."""
QUICK = ("empty", "nested 1,000 deep", "10,000 parts")


class Cost(NamedTuple):
    """What one mail cost. The memory is that of the whole process: Python, our code, the mail and its verdicts."""

    verdicts: int
    seconds: float
    mb: float


def cost_of(mail: bytes) -> Cost:
    """Judge a mail in a new process, which reads it from a file; raises where it does not end or fails."""
    with tempfile.NamedTemporaryFile(suffix=".eml") as file:
        file.write(mail)
        file.flush()
        verdicts, seconds, mb = run_module("benchmarks.hostile", file.name, timeout=120).split()
    return Cost(int(verdicts), float(seconds), float(mb))


def rows(quick: bool, folder: Path | None = None) -> Iterator[Row]:
    """The slowest and the largest of all, and every one that misses a budget."""
    costs = {name: cost_of(make()) for name, make in MAILS.items() if not quick or name in QUICK}
    slowest = max(costs, key=lambda name: costs[name].seconds)
    largest = max(costs, key=lambda name: costs[name].mb)
    yield _row(f"slowest of {len(costs)} hostile mails: {slowest}", costs[slowest])
    yield _row(f"largest of {len(costs)} hostile mails: {largest}", costs[largest])
    yield _bait_row(quick)
    for name, cost in costs.items():
        if not is_bounded(cost) and name not in (slowest, largest):
            yield _row(f"hostile mail: {name}", cost)


def slowest_bait(size: int, pieces: tuple[bytes, ...] = PIECES) -> tuple[float, str]:
    """Processor seconds of the slowest mail that one piece fills, and that piece; all judged in this process."""
    slowest = (0.0, "")
    for piece in pieces:
        for mail in baits(piece, size):
            started = time.process_time()
            judge(mail)
            slowest = max(slowest, (time.process_time() - started, repr(piece)))
    return slowest


def _bait_row(quick: bool) -> Row:
    seconds, piece = slowest_bait(64 * 1024, PIECES[:4]) if quick else slowest_bait(BAIT)
    what = f"slowest of {len(PIECES)} pieces filling each place of a mail: {piece}"
    return Row(what, f"{seconds:.2f} s", f"< {SECONDS:g} s", seconds < SECONDS)


def is_bounded(cost: Cost) -> bool:
    """Whether a mail keeps both budgets and got an answer."""
    return cost.verdicts > 0 and cost.seconds < SECONDS and cost.mb < MB


def _row(what: str, cost: Cost) -> Row:
    return Row(what, f"{cost.seconds:.2f} s, {cost.mb:.0f} MB", f"< {SECONDS:g} s, < {MB:g} MB", is_bounded(cost))


if __name__ == "__main__":
    data = Path(sys.argv[1]).read_bytes()
    answers: list[str] = []
    seconds = processor_seconds(lambda: answers.append(judge(data)))
    print(answers[0].count("\n"), f"{seconds:.3f}", f"{peak_mb():.1f}")
