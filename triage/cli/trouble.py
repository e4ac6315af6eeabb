"""What the user is told of an error that ended a command, and with which exit code. Prints nothing.

That something in triage itself went wrong is said only where nothing outside can be found to blame: not the disk or a
file, not a damaged database.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from triage.errors import TriageError, of_catalogue, of_system


def told_of(error: Exception, asked: Any) -> TriageError:
    """The error as two lines with an exit code; `asked` are the global options of the command."""
    if isinstance(error, TriageError):
        return error
    from remediation import CatalogueError

    if isinstance(error, CatalogueError):
        return of_catalogue(error)
    return _of_database(error, asked) or of_system(error) or _our_own(error, asked.verbose)


def _of_database(error: Exception, asked: Any) -> TriageError | None:
    """Whether the database is to blame: it was opened, and is locked, full or damaged."""
    if "sqlite3" not in sys.modules:
        return None
    from triage import store
    from triage.config import load_settings

    try:
        named = {"database": asked.database}
        path = load_settings(asked.config, os.environ, named, asked.mailbox_name).database
    except TriageError:
        return None
    return store.blamed(error, path)


def _our_own(error: Exception, verbose: bool) -> TriageError:
    return TriageError(
        f"Something in triage itself went wrong: {type(error).__name__}: {error}",
        "The details follow." if verbose else "Run it again with --verbose to see where, and report it.",
    )
