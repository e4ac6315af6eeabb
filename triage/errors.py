"""The failures a command ends with; each says what is wrong and what to do, and carries the exit code.

    TriageError              1   base; raised as such only for what fits nowhere below
    +-- UsageError           2   the command line asks for something that cannot be done
    +-- TryLater            75   locked, Gmail or AWS away, rate limit: the next run will do (EX_TEMPFAIL)
    +-- CredentialsDead     77   token revoked or expired for good, missing scope, file open to others (EX_NOPERM)
    +-- ConfigError         78   configuration or database that cannot be used as it is (EX_CONFIG)

The numbers from 75 on are those of sysexits.h. What goes wrong with a single mail is never one of these: it is a
value with a reason, stored beside the mail. Prints nothing and exits nothing; that is the command line's work.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remediation import CatalogueError


class TriageError(Exception):
    """A failure the user is told in two lines: `what` is wrong, then `todo`, what to do about it.

    Both are one line each, whatever they were made from (an answer of a server may hold line ends). Where several
    things are wrong at once, `details` holds a line for each, told between the two.
    """

    exit_code = 1

    def __init__(self, what: str, todo: str, details: Iterable[str] = ()) -> None:
        self.what = " ".join(what.split())
        self.todo = " ".join(todo.split())
        self.details = tuple(" ".join(line.split()) for line in details)
        super().__init__(self.what)

    def __reduce__(self) -> tuple[Any, ...]:
        """A worker process may end with one."""
        return _remade, (type(self), self.what, self.todo, self.details)


def _remade(kind: type[TriageError], what: str, todo: str, details: tuple[str, ...]) -> TriageError:
    error = kind.__new__(kind)
    TriageError.__init__(error, what, todo, details)
    return error


class UsageError(TriageError):
    """The command line asks for something that cannot be done, for example a path that is not there."""

    exit_code = 2


class TryLater(TriageError):  # noqa: N818 - named for what the user should do
    """Nothing is wrong that time will not heal; the next run takes up where this one stopped."""

    exit_code = 75


class OutOfTime(TryLater):
    """A command took as long as it may; what was done is kept. `what` it is, to begin a sentence; None: a run."""

    def __init__(self, minutes: int, what: str | None = None) -> None:
        nothing = "Nothing: the next run goes on from here. `run_minutes` gives a run more time."
        again = "Run the same command again: it goes on from here. `run_minutes` gives it more time."
        super().__init__(
            f"{what or 'The run'} took longer than {minutes} min and was stopped; what was done is kept.",
            again if what else nothing,
        )


class CredentialsDead(TriageError):  # noqa: N818 - named for what is the matter
    """No later run will get further before a human signs in again or mends the credentials."""

    exit_code = 77


class ConfigError(TriageError):
    """The configuration or the database cannot be used as it is."""

    exit_code = 78


def of_catalogue(error: CatalogueError) -> ConfigError:
    """The catalogue of causes cannot be used: no command can say what a failure means."""
    return ConfigError(f"remediation/causes.toml: {error.what}", error.todo)


def of_system(error: Exception) -> TriageError | None:
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


MAX_WHY = 300  # characters of an error's text that are kept


def why_failed(error: Exception) -> str:
    """An error as one line for the database and the report."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:MAX_WHY]


def what_failed(error: Exception) -> str:
    """The same of any error: ours says in its own words what is wrong."""
    return error.what if isinstance(error, TriageError) else why_failed(error)


def stopped_by(error: Exception | KeyboardInterrupt) -> str:
    """What stopped a run, for its row."""
    if isinstance(error, KeyboardInterrupt):
        return f"stopped by a signal{f' ({error})' if str(error) else ''}"
    return what_failed(error)
