"""`classify --parts`: processes here and Dask workers against one process; how time and memory grow with the mails.

    python -m benchmarks.archive FOLDER MAILS JOBS [ADDRESS]

judges FOLDER/MAILS.mbox into parts and prints wall seconds and the peak memory of this process in MB; `--only archive`
runs it for each row. A million mails: `python -m benchmarks --only archive --large`. Dask where `make cluster` put it.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from benchmarks.mbox import SEPARATOR
from benchmarks.measure import Row, at_least, peak_mb, run_module, sample_mails, within
from triage.archive import Archive, dask_workers, open_output
from triage.judging import process_pool

PART_BYTES = 16 << 20
SMALL, MIDDLE, LARGE = 10_000, 100_000, 1_000_000


def rows(quick: bool, folder: Path | None = None) -> Iterator[Row]:
    """Ratios of wall times, each pair measured in turns, because others use the cores too."""
    sizes = (200, 400) if quick else (SMALL, MIDDLE, LARGE) if "--large" in sys.argv else (SMALL, MIDDLE)
    with tempfile.TemporaryDirectory(prefix="triage-bench-") as made_in:
        for mails in sizes:
            _write(Path(made_in, f"{mails}.mbox"), mails, folder)
        least, most = sizes[0], sizes[1]
        one, memory = _judged(made_in, least, 1)
        two, _ = _judged(made_in, least, 2)
        yield at_least(f"archive, 2 processes / 1, {least:,} mails", one / two, 1.6, "x as fast")._replace(is_ok=None)
        for mails in sizes[1:]:
            larger, peak = _judged(made_in, mails, 1)
            growth = larger / one / (mails / least)
            yield within(f"archive, time a mail, {mails:,} / {least:,} mails", growth, 1.3, "x")._replace(
                is_ok=None if quick else growth <= 1.3
            )
            yield within(f"archive, peak memory, {mails:,} / {least:,} mails", peak / memory, 1.5, "x")
        two, _ = _judged(made_in, most, 2)
        larger, _ = _judged(made_in, most, 1)
        yield at_least(f"archive, 2 processes / 1, {most:,} mails", larger / two, 1.6, "x as fast")._replace(is_ok=None)
        if find_spec("distributed") is None:
            yield Row("archive, 2 Dask workers / 1 process", "NOT RUN: 2 workers", "(make cluster)", None)
            return
        dask, _ = _judged(made_in, most, 2, "local")
        what = f"archive, 2 Dask workers / 1 process, {most:,} mails"
        yield at_least(what, larger / dask, 1.6, "x as fast")._replace(is_ok=None)


def _write(path: Path, mails: int, folder: Path | None) -> None:
    samples = [mail.replace(b"\r\n", b"\n").replace(b"\nFrom ", b"\n>From ") for mail in sample_mails(folder)]
    with path.open("wb") as out:
        for number in range(mails):
            out.write(SEPARATOR + samples[number % len(samples)] + b"\n\n")


def _judged(folder: str, mails: int, jobs: int, *cluster: str) -> tuple[float, float]:
    """Seconds and MB, in a process of its own."""
    found = run_module("benchmarks.archive", folder, str(mails), str(jobs), *cluster, timeout=7200).split()
    assert int(found[0]) == mails
    return float(found[1]), float(found[2])


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
    print(judged, f"{seconds:.2f}", f"{max(peak_mb(), _peak_of_workers()):.1f}")


def _peak_of_workers() -> float:
    """Of the processes that have ended; in KB on Linux."""
    import resource

    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (1 << 10 if sys.platform == "linux" else 1 << 20)


if __name__ == "__main__":
    _judge(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else None)
