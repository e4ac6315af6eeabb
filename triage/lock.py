"""One command at a time that writes to a database. The lock goes with the process, however it ends; its file stays."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from triage.errors import ConfigError, TryLater


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Hold the lock of a database. Raises TryLater when another holds it, ConfigError where it cannot be made."""
    from filelock import FileLock, Timeout

    lock = FileLock(lock_file(database), timeout=0, mode=0o600)
    try:
        database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        if problem := _cannot_be_locked(lock_file(database)):
            raise _no_lock(lock.lock_file, problem) from None
        raise TryLater("Another run is at work on this database.", "Nothing: it does what this one would.") from None
    except (OSError, NotImplementedError, ValueError) as error:
        raise _no_lock(lock.lock_file, getattr(error, "strerror", None) or str(error)) from error
    try:
        yield
    finally:
        lock.release()


def _no_lock(name: str, why: str) -> ConfigError:
    return ConfigError(
        f"{name}: it cannot be locked: {why}",
        "Make the folder writable, or set `database` to one on a disk of this computer.",
    )


def _cannot_be_locked(path: Path) -> str | None:
    """Why nobody can lock this file; None: somebody else has it locked, or that cannot be told here.

    `filelock` waits for whatever the system refuses, so that a file system without locks looks like another run.
    """
    try:
        import fcntl
    except ImportError:
        return None
    try:
        opened = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        return error.strerror
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    except OSError as error:
        return error.strerror
    finally:
        os.close(opened)
    return None


def lock_file(database: Path) -> Path:
    """Where the lock of a database lies."""
    return database.with_name(f"{database.name}.lock")


def is_locked(database: Path) -> bool:
    """Whether a command is at work on this database at this moment. Leaves no file behind where there was none."""
    from filelock import FileLock, Timeout

    path = lock_file(database)
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0, mode=0o600):
            return False
    except Timeout:
        return True
