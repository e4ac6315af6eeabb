"""Standard output and error that never stop the work: closed, on a full disk, or a pipe nobody reads.

What could not be said is kept, so that a run can write it down. Standard output to a pipe whose reader has seen enough
still ends a command, as it does everywhere, but for a run, whose work is not its words.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any

MOST_KEPT = 4000  # bytes of what could not be said


class _Forgiving(io.FileIO):
    """Writes to a descriptor; what it does not take is kept."""

    def __init__(self, descriptor: int, *, is_closed: bool) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.was_closed = is_closed
        self.forgives_pipe = descriptor == 2
        self.lost = b""
        self.why: str | None = None

    def write(self, data: Any) -> int:
        """Like FileIO's; says that all was written also where it was not."""
        if not self.was_closed:
            try:
                return super().write(data) or 0
            except OSError as error:
                if error.errno == errno.EPIPE and not self.forgives_pipe:
                    raise
                self.why = error.strerror
        self.lost = (self.lost + bytes(data))[:MOST_KEPT]
        return len(data)


_kept: dict[int, _Forgiving] = {}


def forgive_streams() -> None:
    """Put such streams in place of the process's own; what somebody else has put there stays.

    A closed descriptor is first opened on /dev/null: else the next file that is opened, the database, would get its
    number, and whatever a library prints would be written into it.
    """
    closed = [number for number in (0, 1, 2) if not _is_open(number)]
    for _ in closed:
        os.open(os.devnull, os.O_RDWR)  # gets the lowest free number
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - as long as the process
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is not getattr(sys, f"__{name}__"):
            continue
        old = getattr(sys, name)
        raw = _kept[number] = _Forgiving(number, is_closed=number in closed)
        lines = number == 2 or raw.isatty()
        encoding = old.encoding if old is not None else "utf-8"
        stream = io.TextIOWrapper(io.BufferedWriter(raw), encoding=encoding, errors="replace", line_buffering=lines)
        setattr(sys, name, stream)


def forgive_pipe() -> None:
    """From now on nobody's leaving ends the command."""
    for raw in _kept.values():
        raw.forgives_pipe = True


def unsaid() -> str:
    """What could not be said so far, on either stream; empty: nothing."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    return b"".join(raw.lost for raw in _kept.values()).decode("utf-8", "replace").strip()


def lost_output() -> str | None:
    """Why standard output could not be written; None: it was, or somebody closed it on purpose."""
    return _kept[1].why if 1 in _kept else None


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
