"""What the user is told of an error that ended a command, and with which exit code. Prints nothing.

That something in triage itself went wrong is said only where nothing outside can be found to blame: not the disk or a
file, not a damaged database.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import Any

import click

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


def told_usage(error: click.ClickException, arguments: Sequence[str]) -> tuple[str, str]:
    """A command line click could not read, as two lines: what is wrong, and how it is written."""
    context = getattr(error, "ctx", None)
    name = context.command_path if context else _command_of(arguments)
    if isinstance(error, click.exceptions.NoSuchCommand):
        near = "".join(f"Did you mean `{name} {one}`? " for one in error.possibilities or ())
        if error.command_name.isdecimal() and name == "triage incidents":
            near = f"Did you mean `{name} show {error.command_name}`? "
        return f"There is no command `{name} {error.command_name}`.", f"{near}All commands: `{_help_line(name)}`"
    if isinstance(error, click.NoSuchOption):
        if error.option_name == "-v":
            return (
                f"`{name}` has no option -v.",
                "--verbose says more, `triage --version` shows the version.",
            )
        near = "".join(f"Did you mean {one}? " for one in error.possibilities or ())
        return f"`{name}` has no option {error.option_name}.", f"{near}All options: `{_help_line(name)}`"
    return _wrong_value(error), f"Write it like `{_example(name)}`. More: `{_help_line(name)}`"


def _wrong_value(error: click.ClickException) -> str:
    """What is wrong with an argument, without click's words for its types."""
    if isinstance(error, click.MissingParameter):
        kind = getattr(error.param, "type", None)
        choices = f": {' or '.join(map(str, kind.choices))}" if isinstance(kind, click.Choice) else "."
        return f"{_parameter(error)} is missing{choices}"
    if isinstance(error, click.BadOptionUsage):
        return f"{error.option_name} needs a value after it."
    said = " ".join(error.format_message().split())
    if isinstance(error, click.BadParameter) and error.param is not None:
        said = f"{_parameter(error)}: {error.message}"
    said = re.sub(r"is not a valid integer( range)?\.?$", "is no number.", said)
    said = re.sub(r"is not in the range (\d{1,9})<=x<=(\d{1,9})\.?$", r"is not between \1 and \2.", said)
    said = re.sub(r"is not in the range x>=(\d{1,9})\.?$", r"is less than \1.", said)
    return re.sub(r"Got unexpected extra arguments? \((.{0,200})\)\.?$", r"There is a word too many: \1", said)


def _parameter(error: click.BadParameter) -> str:
    param = error.param
    if isinstance(param, click.Option):
        return max(param.opts, key=len)
    metavar = getattr(param, "metavar", None) or (param.name if param is not None and param.name else "an argument")
    return metavar.strip("[].").upper() if "@" not in metavar else metavar.rstrip(".")


def _command_of(arguments: Sequence[str]) -> str:
    """The command a line is about, where click does not say."""
    from triage.cli.manners.examples import EXAMPLES

    name = "triage"
    for word in arguments:
        name = longer if (longer := f"{name} {word}") in EXAMPLES else name
    return name


def _help_line(name: str) -> str:
    return f"triage help{name.removeprefix('triage')}"


def _example(name: str) -> str:
    from triage.cli.manners.examples import EXAMPLES

    return EXAMPLES.get(name, (f"{name} --help",))[0]
