"""Judging an archive into parts (`--parts` of classify), here or on a cluster. Prints; decides nothing."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from triage.cli.shared import progress_bar, say, warn

IN_CLUSTER_AT_ONCE = 256
"""Parts that a cluster is given ahead, so that none of its workers waits."""


class Wanted(NamedTuple):
    """What is asked for beside the paths."""

    folder: str
    is_parquet: bool
    part_bytes: int
    jobs: int | None
    cluster: str | None


def classify_into_parts(paths: tuple[str, ...], wanted: Wanted) -> int:
    """Judge, and say in a line or two what was done."""
    from contextlib import ExitStack

    from triage.archive import Archive, dask_workers, form_of, open_output
    from triage.display import counted, table_totals
    from triage.judging import cores, process_pool
    from triage.mailbox import UnreadableFile

    form = form_of(wanted.folder, "parquet" if wanted.is_parquet else None)
    archive = Archive(paths, open_output(wanted.folder, form), wanted.part_bytes)
    total, there, unreadable = 0, 0, list[UnreadableFile]()
    counts = Counter[tuple[str, str | None, str | None]]()
    with ExitStack() as stack:
        jobs = wanted.jobs or cores()
        if wanted.cluster:
            workers = stack.enter_context(dask_workers(wanted.cluster, jobs))
            warn(f"Dask shows what is done at {workers.dashboard}")
            parts = archive.judge(workers.executor, IN_CLUSTER_AT_ONCE)
        else:
            parts = archive.judge(stack.enter_context(process_pool(jobs)), 2 * jobs)
        progress = stack.enter_context(progress_bar("Judging parts"))
        for number, part in enumerate(parts, start=1):
            total += part.mails
            there += part.was_there
            counts.update(part.counts)
            unreadable += part.unreadable
            progress(number, len(archive.parts))
    for source, why in unreadable:
        warn(f"{source}: {why}")
    if total:
        say([table_totals(total, counts, len(unreadable)).rstrip()])
    say([f"{counted(len(archive.parts), 'part')} in {wanted.folder}, {there} of them there before."])
    return 1 if unreadable else 0
