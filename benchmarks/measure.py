"""What the benchmarks share: a row of the table, the best of several runs, and a subprocess with its memory.

Times are processor seconds wherever the machine is shared with others; ratios are only taken between times of one run.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "tests" / "bounces"


class Row(NamedTuple):
    """One line of the table. `is_ok` is None where there is no budget, only a figure to know."""

    what: str
    measured: str
    budget: str
    is_ok: bool | None


def within(what: str, measured: float, limit: float, unit: str) -> Row:
    """A row whose figure may be at most the limit."""
    return Row(what, f"{measured:.2f} {unit}", f"<= {limit:g} {unit}", measured <= limit)


def at_least(what: str, measured: float, limit: float, unit: str) -> Row:
    """A row whose figure must reach the limit."""
    return Row(what, f"{measured:.2f} {unit}", f">= {limit:g} {unit}", measured >= limit)


def processor_seconds(work: Callable[[], object]) -> float:
    """Processor time of one run in this process."""
    started = time.process_time()
    work()
    return time.process_time() - started


def best_of(works: list[Callable[[], object]], times: int) -> list[float]:
    """The fastest of several runs of each, taken in turns, so that a slow minute of the machine hits all alike."""
    taken = [[processor_seconds(work) for work in works] for _ in range(times)]
    return [min(column) for column in zip(*taken, strict=True)]


def peak_mb() -> float:
    """The most memory this process has had resident since it was started, in MB (2**20 bytes).

    QUIRK(Linux): ru_maxrss of a child begins at what its parent had when it forked, so the kernel's own figure for the
    program is read where there is one. Elsewhere (macOS) ru_maxrss is in bytes.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)


def run_module(name: str, *arguments: str, timeout: float = 300) -> str:
    """Run a module of ours in a new Python and return what it prints."""
    command = [sys.executable, "-m", name, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=timeout)
    return done.stdout


def sample_mails(folder: Path | None) -> list[bytes]:
    """The mails of tests/bounces, and those of a folder of more where one is given."""
    paths = sorted(SAMPLES.glob("*.eml")) + (sorted(folder.glob("*.eml")) if folder else [])
    return [path.read_bytes() for path in paths]
