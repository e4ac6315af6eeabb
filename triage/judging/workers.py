"""Work in several processes: a thin layer over `concurrent.futures`, the same for a pool here and for a cluster.

Any Executor will do. What is asked for is a function, what to call it with, and how much may be under way at a time.
"""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from triage.errors import TriageError
from triage.judging.table import load_tables

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

MOST_JOBS = 64

_In = TypeVar("_In")
_Out = TypeVar("_Out")


def in_order(executor: Executor, work: Callable[[_In], _Out], items: Iterable[_In], at_once: int) -> Iterator[_Out]:
    """What `work` gives for each item, in their order. No more than `at_once` are under way, so memory stays flat."""
    waiting: deque[Future[_Out]] = deque()
    try:
        for item in items:
            waiting.append(executor.submit(work, item))
            if len(waiting) > at_once:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


@contextmanager
def process_pool(jobs: int) -> Iterator[Executor]:
    """So many processes of this computer. Raises TriageError where one is killed from outside."""
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    load_tables()  # before the processes part: each of them has it then
    with ProcessPoolExecutor(jobs, mp_context=_process_context(), initializer=_leave_interrupts_to_parent) as pool:
        try:
            yield pool
        except BrokenProcessPool as error:
            raise TriageError("A worker process was killed from outside.", "Try again with --jobs 1.") from error
        except BaseException:  # whoever stops it does not wait for what is under way
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def cores() -> int:
    """How many processes this computer runs at once."""
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(mine, MOST_JOBS)


def _process_context() -> Any:
    """Fork where there is one, and no thread may hold a lock: the workers start with rules and code already loaded."""
    import multiprocessing
    import threading

    is_alone = threading.active_count() == 1
    methods = multiprocessing.get_all_start_methods()
    return multiprocessing.get_context("fork" if is_alone and "fork" in methods else "spawn")


def _leave_interrupts_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
