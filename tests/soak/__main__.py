"""Live many seeds, and print what they came to.

python -m tests.soak [SEEDS] [RUNS] [FIRST]      20 seeds of 100 runs, from seed 1 on

Ends with 1 at the first broken promise, and names the seed. Memory and time are judged here, where there is enough
of both: what a run takes and holds at the end is compared with what it did at the beginning.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path
from statistics import median

import tests.conftest  # noqa: F401 - the time zone and the mask of files of all tests
from tests.soak.soak import lived
from tests.worlds import forked

MOST_GROWTH_MB = 20.0
MOST_SLOWER = 2.0
"""Of the runs of the last quarter of the seeds, beside those of the first."""


def main(seeds: int = 20, runs: int = 100, first: int = 1) -> int:
    """Say what came of it; 1: a promise was broken."""
    codes: Counter[int] = Counter()
    happened: Counter[str] = Counter()
    seconds: list[float] = []
    held: list[float] = []
    for seed in range(first, first + seeds):
        with tempfile.TemporaryDirectory() as folder:
            done = lived(seed, runs, Path(folder))
            happened.update(done.life.happened())
        codes += done.life.codes
        seconds += done.life.seconds
        held.append(_megabytes())
        if done.problems:
            print(f"seed {seed}:", *done.problems, sep="\n  ")
            return 1
        is_screen = sys.stderr.isatty()
        progress = f"seed {seed} of {first + seeds - 1}"
        print(f"\r{progress}" if is_screen else progress, end="" if is_screen else "\n", file=sys.stderr, flush=True)
    forked.stop()
    quarter = max(len(seconds) // 4, 1)
    slower = median(seconds[-quarter:]) / median(seconds[:quarter])
    grown = held[-1] - held[min(1, len(held) - 1)]
    ends = ", ".join(f"{number} ended {code}" for code, number in codes.most_common())
    print(f"\n{sum(codes.values())} runs in {seeds} lives: {ends}")
    print(", ".join(f"{number} {name}" for name, number in happened.items()))
    print(
        f"every promise was kept; a run took {median(seconds) * 1000:.0f} ms, at the end {slower:.2f} times the first"
    )
    print(f"memory grew by {grown:.1f} MB after the second life")
    return int(grown > MOST_GROWTH_MB or slower > MOST_SLOWER)


def _megabytes() -> float:
    """What this process holds now (Linux); 0 where nobody tells."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), 0.0)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
