"""SIGTERM and SIGINT end a command cleanly: with 143 or 130, and never with a traceback.

While a command works they come as an exception, so that transactions are rolled back and files closed; what is stored
stays. Before and after, where nothing is under way, the process just ends. Imports nothing that costs.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
TRY_LATER = 75
CODE_BASE = 128
"""A process that a signal ended is reported by shells as this plus the signal's number."""


class Stopped(KeyboardInterrupt):
    """A signal asked the command to end; `code` is what it ends with."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = CODE_BASE + number


def end_quietly(number: int, frame: FrameType | None = None) -> None:
    """The handler for where nothing is under way: while modules are loaded, and after the last word."""
    os._exit(CODE_BASE + number)


def heed_signals() -> None:
    """From now on no signal makes a traceback; for the very first line of the program."""
    _set(end_quietly)


def end_with(code: int) -> int:
    """The exit code, for the very last line; after "try later" no thread is waited for that still waits for a server.

    What it brings is not wanted any more, and one whose answer drips in would hold the end up for ever.
    """
    import threading

    if code == TRY_LATER and any(
        not one.daemon and one is not threading.current_thread() for one in threading.enumerate()
    ):
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(code)
    return code


@contextmanager
def stoppable() -> Iterator[None]:
    """While a command works a signal raises `Stopped`, once; the next one ends the process."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    hook = sys.unraisablehook

    def raise_it(number: int, frame: FrameType | None) -> None:
        _set(end_quietly)
        raise Stopped(number)

    def swallowed(unraisable: Any) -> None:
        # It came while an object was finalized, where Python would print it and go on.
        if isinstance(unraisable.exc_value, Stopped):
            os._exit(unraisable.exc_value.code)
        hook(unraisable)

    if not _set(raise_it):
        yield  # not in the main thread: somebody else's signals
        return
    sys.unraisablehook = swallowed
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def _set(handler: Any) -> bool:
    try:
        for number in SIGNALS:
            signal.signal(number, handler)
    except ValueError:
        return False
    return True
