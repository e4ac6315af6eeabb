"""In which form a command answers, and into which file: `--json`, `--jsonl`, `--csv`, `--format`, `--output`, `--open`.

One habit for all of them. A file is written whole or not at all, readable by its owner only: it names people.
Must import next to nothing: `triage --help` pays for it.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import wraps
from pathlib import Path
from typing import Any, Literal

import click

from triage.errors import ConfigError, UsageError

Form = Literal["text", "markdown", "html", "json", "jsonl", "csv"]
ENDINGS: dict[str, Form] = {
    ".txt": "text",
    ".md": "markdown",
    ".html": "html",
    ".htm": "html",
    ".json": "json",
    ".jsonl": "jsonl",
    ".csv": "csv",
}
FILE_WIDTH = 100
"""Columns of text that goes into a file."""

_SAYS = {
    "json": "One JSON document.",
    "jsonl": "One JSON object a line.",
    "csv": "A table for a spreadsheet.",
}


def answers(*forms: Form) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """The options by which a command answers in one of `forms` instead of text; it is told by `form`.

    Stands above `options` and `pass_obj`: whatever the command prints goes where the user wants it.
    """
    possible: tuple[Form, ...] = ("text", *forms)
    laid_out = "html" in forms

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        @wraps(command)
        def answer(*args: Any, **asked: Any) -> int:
            flags: list[Form] = [form for form in ("json", "jsonl", "csv") if asked.pop(f"as_{form}", False)]
            named = asked.pop("form", None)
            output: Path | None = asked.pop("output")
            opens = asked.pop("opens", False)
            form = _form([*flags, *([named] if named else [])], output, possible, opens=opens)
            if output is None and not opens:
                return command(*args, form=form, **asked)
            with _written(output) as path:
                code = command(*args, form=form, **asked)
            if output is not None:
                click.echo(f"Written: {path}")
            if opens:
                _open(path)
            return code

        made = answer
        if laid_out:
            made = click.option("--open", "opens", is_flag=True, help="Show it in the browser.")(made)
        made = click.option(
            "--output",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help=f"Write it to this file, in the form its name ends in: {_endings(possible)}.",
        )(made)
        for flag in reversed([form for form in forms if form in _SAYS]):
            made = click.option(f"--{flag}", f"as_{flag}", is_flag=True, help=_SAYS[flag])(made)
        if laid_out:
            choice = click.Choice(possible)
            made = click.option("--format", "form", type=choice, help="Text, if nothing says otherwise.")(made)
        return made

    return decorate


def is_form_asked(ctx: click.Context) -> bool:
    """Whether the user said in which form or where to, beside what else the command does."""
    return any(ctx.params.get(name) for name in ("form", "as_json", "as_jsonl", "as_csv", "output", "opens"))


def _form(asked: Sequence[Form], output: Path | None, possible: tuple[Form, ...], *, opens: bool) -> Form:
    """The one form that everything said agrees on."""
    if len(set(asked)) > 1:
        raise UsageError(f"It cannot be {' and '.join(asked)} at once.", "Leave all but one of them out.")
    said = asked[0] if asked else None
    if opens and said not in (None, "html"):
        raise UsageError(f"A browser shows HTML, not {said}.", "Leave the form out, or --open.")
    ending = output.suffix.lower() if output else ""
    if output is None or not ending or (said and ending not in ENDINGS):
        return said or ("html" if opens else "text")
    meant = ENDINGS.get(ending)
    if meant not in possible:
        raise UsageError(
            f"A file {ending} cannot be written by this command.", f"Let its name end in one of: {_endings(possible)}"
        )
    if said not in (None, meant) or (opens and meant != "html"):
        raise UsageError(f"{output.name} would hold {said or 'html'}.", "Let form and ending of the name agree.")
    return meant


def _endings(possible: tuple[Form, ...]) -> str:
    return ", ".join(ending for ending, form in ENDINGS.items() if form in possible and ending != ".htm")


@contextmanager
def _written(output: Path | None) -> Iterator[Path]:
    """What is printed meanwhile goes into the file, which is there when all of it is."""
    import tempfile

    if output is None:
        handle, kept = tempfile.mkstemp(prefix="bounce-report-", suffix=".html")
        path = Path(kept)
    else:
        path = Path(os.path.realpath(output))  # a link stays one
        if path.exists() and not path.is_file():
            raise UsageError(f"{output} is no plain file.", "Name a file, or leave --output out and use > instead.")
        try:
            handle, kept = tempfile.mkstemp(prefix=f".{path.name[:100]}.", dir=path.parent)
        except OSError as error:
            raise UsageError(
                f"{output}: {error.strerror}", "Name a file in a folder that is there and can be written."
            ) from error
    try:
        with _File(handle) as file, redirect_stdout(file):
            yield path
        os.replace(kept, path)
    except BaseException as error:
        os.unlink(kept)
        if isinstance(error, OSError) and error.filename is None and not isinstance(error, BrokenPipeError):
            raise ConfigError(f"{path} could not be written: {error.strerror}", "See that the disk has room.") from None
        raise


class _File(io.TextIOWrapper):
    """A file in the place of standard output, as wide as is good to read."""

    columns = FILE_WIDTH

    def __init__(self, handle: int) -> None:
        super().__init__(io.FileIO(handle, "w"), encoding="utf-8", errors="backslashreplace", write_through=True)


def columns_of_output() -> int:
    """Columns that what is printed now may have: of the file it goes to, else of the terminal, 80 without one."""
    import shutil

    return sys.stdout.columns if isinstance(sys.stdout, _File) else shutil.get_terminal_size().columns


def write_utf8(text: str) -> None:
    """UTF-8 on standard output, whatever the terminal is; a lone surrogate becomes the escape it has in ASCII."""
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:  # a Python program has put a stream of text in its place
        sys.stdout.write(text)
        return
    sys.stdout.flush()
    buffer.write(text.encode("utf-8", "backslashreplace"))
    if sys.stdout.isatty():
        sys.stdout.flush()


def write_csv(head: list[str], rows: Iterator[list[Any]] | list[list[Any]]) -> None:
    """A table (RFC 4180) whose cells no spreadsheet takes for a formula: they may come out of a stranger's mail.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    import csv

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(head)
    writer.writerows([[_cell(value) for value in row] for row in rows])
    write_utf8(text.getvalue())


# Some spreadsheets take the wide ones of East Asian keyboards for the same.
_FORMULA = frozenset("=+-@\uff1d\uff0b\uff0d\uff20")


def _cell(value: Any) -> Any:
    from parsers.text import printable_line

    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, str):
        return value
    line = printable_line(value)
    return f"'{line}" if line[:1] in _FORMULA else line


def _open(path: Path) -> None:
    import webbrowser

    if not webbrowser.open(path.absolute().as_uri()):
        raise UsageError(f"No browser could be started for {path}.", "Open that file yourself.")
