"""What the user is told of an error that ended a command, and with which exit code. Prints nothing.

That something in triage itself went wrong is said only where nothing outside can be found to blame: not the disk or a
file, not a damaged database.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from triage.errors import ConfigError, TriageError, TryLater, of_catalogue


def told_of(error: Exception, asked: Any) -> TriageError:
    """The error as two lines with an exit code; `asked` are the global options of the command."""
    if isinstance(error, TriageError):
        return error
    from remediation import CatalogueError

    if isinstance(error, CatalogueError):
        return of_catalogue(error)
    return _of_database(error, asked) or _of_system(error) or _our_own(error, asked.verbose)


def _of_database(error: Exception, asked: Any) -> TriageError | None:
    """Whether the database is to blame: it was opened, and is locked, full or damaged."""
    if "sqlite3" not in sys.modules:
        return None
    from triage import store
    from triage.config import load_settings

    try:
        path = load_settings(asked.config, os.environ, None, asked.mailbox_name).database
    except TriageError:
        return None
    return store.blamed(error, path)


def _of_system(error: Exception) -> TriageError | None:
    """A file or folder that cannot be used; memory that ran out."""
    if isinstance(error, MemoryError):
        return TryLater("There was not enough memory.", "Let other programs end, then run it again.")
    if not isinstance(error, OSError):
        return None
    if not _has_working_folder():
        return ConfigError(
            "The folder this command was started in is gone.", "Change to another one, and run it again."
        )
    if error.filename is None and error.errno is None:
        return None
    name = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    return ConfigError(
        f"{name}{error.strerror or type(error).__name__}",
        "See that this user can read and write it, that its folder is there, and that the disk has room.",
    )


def _has_working_folder() -> bool:
    try:
        os.getcwd()
    except OSError:
        return False
    return True


def _our_own(error: Exception, verbose: bool) -> TriageError:
    return TriageError(
        f"Something in triage itself went wrong: {type(error).__name__}: {error}",
        "The details follow." if verbose else "Run it again with --verbose to see where, and report it.",
    )
