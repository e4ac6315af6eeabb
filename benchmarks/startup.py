"""How long `triage --help` takes beyond what Python itself needs to start."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import ROOT, Row, within

TRIES = 15


def rows(quick: bool, folder: Path | None = None) -> Iterator[Row]:
    """Wall time, the best of several tries each, taken in turns."""
    helps, passes = [], []
    for _ in range(2 if quick else TRIES):
        passes.append(_wall_seconds("-c", "pass"))
        helps.append(_wall_seconds("-m", "triage", "--help"))
    yield within("triage --help beyond python -c pass", (min(helps) - min(passes)) * 1000, 150, "ms")


def _wall_seconds(*arguments: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started
