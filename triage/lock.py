"""One command at a time that writes to a database. The lock goes with the process, however it ends; its file stays."""

from __future__ import annotations

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
        raise TryLater("Another run is at work on this database.", "Nothing: it does what this one would.") from None
    except OSError as error:
        raise ConfigError(
            f"{lock.lock_file}: {error.strerror}", "Make the folder writable, or set `database`."
        ) from error
    try:
        yield
    finally:
        lock.release()


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
