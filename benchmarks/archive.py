"""`classify --parts`: processes here and Dask workers against one process; how time and memory grow with the mails.

    python -m benchmarks.archive FOLDER MAILS JOBS [ADDRESS]

judges FOLDER/MAILS.mbox into parts and prints wall seconds, processor seconds and peak memory in MB; `--only archive`
runs it for each row. A million mails: `python -m benchmarks --only archive --large`. Dask where `make cluster` put it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from benchmarks.mbox import SEPARATOR
from benchmarks.measure import Row, peak_mb, run_module, sample_mails, within
from triage.archive import Archive, dask_workers, open_output
from triage.judging import process_pool

PART_BYTES = 16 << 20


class Taken(NamedTuple):
    """What one command took."""

    wall: float
    processor: float
    """Seconds of this process and of those it has waited for; not of Dask's workers."""
    memory: float
    """MB at the most, of the largest process."""


SMALL, MIDDLE, LARGE = 10_000, 100_000, 1_000_000


def rows(quick: bool, folder: Path | None = None) -> Iterator[Row]:
    """Growth in processor time, which other programs do not change; speed-up in wall time, which they do.

    So a speed-up has no budget here: on cores that others use it says nothing. Each is measured once.
    """
    sizes = (200, 400) if quick else (SMALL, MIDDLE, LARGE) if "--large" in sys.argv else (SMALL, MIDDLE)
    with tempfile.TemporaryDirectory(prefix="triage-bench-") as made_in:
        for mails in sizes:
            _write(Path(made_in, f"{mails}.mbox"), mails, folder)
        one = {mails: _judged(made_in, mails, 1) for mails in sizes}
        least = sizes[0]
        for mails in sizes[1:]:
            growth = one[mails].processor / one[least].processor / (mails / least)
            row = within(f"archive, processor time a mail, {mails:,} / {least:,} mails", growth, 1.3, "x")
            yield row._replace(is_ok=None) if quick else row
            peak = one[mails].memory / one[least].memory
            yield within(f"archive, peak memory, {mails:,} / {least:,} mails", peak, 1.5, "x")
        for mails in sizes[:2]:
            two = _judged(made_in, mails, 2)
            yield _speed_up(f"archive, 2 processes / 1, {mails:,} mails", one[mails], two)
        if find_spec("distributed") is None:
            yield Row("archive, 2 Dask workers / 1 process", "NOT RUN: 2 workers", "(make cluster)", None)
            return
        dask = _judged(made_in, sizes[1], 2, "local")
        yield _speed_up(f"archive, 2 Dask workers / 1 process, {sizes[1]:,} mails", one[sizes[1]], dask)


def _speed_up(what: str, one: Taken, two: Taken) -> Row:
    return Row(what, f"{one.wall / two.wall:.2f} x as fast", "", None)


def _write(path: Path, mails: int, folder: Path | None) -> None:
    samples = [mail.replace(b"\r\n", b"\n").replace(b"\nFrom ", b"\n>From ") for mail in sample_mails(folder)]
    with path.open("wb") as out:
        for number in range(mails):
            out.write(SEPARATOR + samples[number % len(samples)] + b"\n\n")


def _judged(folder: str, mails: int, jobs: int, *cluster: str) -> Taken:
    """In a process of its own."""
    found = run_module("benchmarks.archive", folder, str(mails), str(jobs), *cluster, timeout=7200).split()
    assert int(found[0]) == mails
    return Taken(*map(float, found[1:]))


def _judge(folder: Path, mails: int, jobs: int, address: str | None) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as output:
        archive = Archive([str(folder / f"{mails}.mbox")], open_output(output, "jsonl"), PART_BYTES)
        if address is None:
            with process_pool(jobs) as pool:
                started = time.perf_counter()
                judged = sum(part.mails for part in archive.judge(pool, 2 * jobs))
        else:
            with dask_workers(address, jobs) as cluster:
                started = time.perf_counter()
                judged = sum(part.mails for part in archive.judge(cluster.executor, 64))
        seconds = time.perf_counter() - started
    spent = sum(os.times()[:4])
    print(judged, f"{seconds:.2f}", f"{spent:.2f}", f"{max(peak_mb(), _peak_of_workers()):.1f}")


def _peak_of_workers() -> float:
    """Of the processes that have ended; in KB on Linux."""
    import resource

    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (1 << 10 if sys.platform == "linux" else 1 << 20)


if __name__ == "__main__":
    _judge(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else None)
