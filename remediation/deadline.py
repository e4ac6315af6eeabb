"""A deadline for whatever waits: a call, or a whole piece of work, also where an answer drips in byte by byte.

A timeout of a socket only says how long one byte may take. Here a timer of the system interrupts whatever library
waits. Needs the main thread of a POSIX system; elsewhere nothing is interrupted, and the sockets' timeouts must do.
"""

from __future__ import annotations

import gc
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

AGAIN_SECONDS = 1.0
"""Where a library swallowed the interruption and waits on, it is interrupted again."""

SLOWEST_LINE = 100_000
"""Bytes a second that a line must carry; on a poorer one a large mail never gets through."""


def patience(seconds: float, size: int) -> float:
    """How long to wait for what takes so many seconds, where so many bytes go over the line first."""
    return seconds + size / SLOWEST_LINE


class WorkTooLong(BaseException):
    """The whole piece of work took too long. No `Exception`: no library and no retry of ours shall swallow it."""


_ends: list[tuple[float, Callable[[], BaseException]]] = []
"""When each deadline is over (monotonic seconds) and what to raise then, the outermost first."""


@contextmanager
def within(seconds: float, over: Callable[[], BaseException] = TimeoutError) -> Iterator[None]:
    """Let what is inside take at most so long; then `over` is raised where it waits, and again until it stops."""
    if not _can_interrupt():
        yield
        return
    before = signal.signal(signal.SIGALRM, _ring)
    _ends.append((time.monotonic() + seconds, over))
    try:
        _arm()
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _ends.pop()
        signal.signal(signal.SIGALRM, before)
        _arm()


def _can_interrupt() -> bool:
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


def _arm() -> None:
    if _ends:
        wait = min(end for end, _ in _ends) - time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, max(wait, 0.001), AGAIN_SECONDS)


def _ring(signum: int, frame: FrameType | None) -> None:
    if _clears_up(frame):
        return  # Python drops what is raised there; it rings again soon
    now = time.monotonic()
    for end, over in _ends:
        if now >= end:
            raise over()
    _arm()


def _clears_up(frame: FrameType | None) -> bool:
    """Is this inside a finalizer, a weak reference's end or somebody's watcher of the garbage collector?"""
    watchers = {getattr(watcher, "__code__", None) for watcher in gc.callbacks}
    while frame is not None:
        if frame.f_code.co_name in ("__del__", "_remove") or frame.f_code in watchers:
            return True
        frame = frame.f_back
    return False
