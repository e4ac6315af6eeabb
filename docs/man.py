"""Writes the man page from the commands themselves: one page for all, as git's and systemd's users look for it.

The macros are those of man(7): https://man7.org/linux/man-pages/man7/man.7.html
"""

from __future__ import annotations

from collections.abc import Iterator

import click

from triage.cli.manners.examples import EXAMPLES
from triage.cli.manners.help import SECTIONS, every_command
from triage.cli.program import EXIT_CODES, cli
from triage.config import settings_table


def man_page() -> str:
    """The page `triage.1`."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield '.\\" Written by `make docs`.'
    yield ".TH TRIAGE 1"
    yield from (".SH NAME", _text("triage - tell why a mail bounced, whose move it is, and how to fix it"))
    yield from (".SH SYNOPSIS", ".B triage", _text("[OPTIONS] COMMAND [ARGS]..."))
    yield ".SH DESCRIPTION"
    yield from _paragraphs(cli)
    yield _text("The command is also there as bounce-triage, for where another program is called triage.")
    yield from _options(cli)
    commands = dict(every_command("triage", cli))
    for title, names in SECTIONS.items():
        yield f".SH {_text(title.upper())}"
        for name in names:
            for full, command in commands.items():
                if full.split()[1:2] == [name]:
                    yield from _command(full, command)
    yield from (".SH EXIT STATUS", *_pairs((str(code), meaning) for code, meaning in EXIT_CODES))
    yield ".SH ENVIRONMENT"
    yield _text("Each setting of triage.toml may come from a variable instead:")
    yield from _pairs((f"TRIAGE_{name.upper()}", meaning) for name, _, meaning in settings_table())
    yield from (".SH FILES", *_pairs([("~/.config/bounce-triage/", "triage.toml, credentials.json, token.json")]))


def _command(name: str, command: click.Command) -> Iterator[str]:
    context = _context(command, name)
    yield f".SS {_text(' '.join([name, *command.collect_usage_pieces(context)]))}"
    yield from _paragraphs(command)
    yield from _options(command)
    if name in EXAMPLES:
        yield from (".PP", _text("Examples:"), ".RS", ".nf", *(_text(line) for line in EXAMPLES[name]), ".fi", ".RE")


def _paragraphs(command: click.Command) -> Iterator[str]:
    for number, paragraph in enumerate((command.help or "").split("\n\n")):
        lines = [line.strip() for line in paragraph.strip().splitlines()]
        yield from [".PP"] if number else []
        if lines and lines[0] == "\b":  # click's mark for lines that stay as they are
            yield from (".nf", *(_text(line) for line in lines[1:]), ".fi")
        else:
            yield _text(" ".join(lines))


def _options(command: click.Command) -> Iterator[str]:
    context = _context(command)
    # What every command takes is said once, at the top.
    common = () if command is cli else ("config", "verbose", "mailbox_name")
    records = [
        record
        for param in command.params
        if param.name not in common and (record := param.get_help_record(context)) is not None
    ]
    yield from _pairs(records)


def _pairs(pairs: Iterator[tuple[str, str]] | list[tuple[str, str]]) -> Iterator[str]:
    for name, meaning in pairs:
        yield from (".TP", f"\\fB{_text(name)}\\fR", _text(meaning))


def _context(command: click.Command, name: str = "triage") -> click.Context:
    # A command takes these from the group it is called through, and keeps the help option it made first.
    return click.Context(command, info_name=name, **{**cli.context_settings, **command.context_settings})


def _text(line: str) -> str:
    """A line that troff shows as it is: a dash stays one that can be copied, and nothing begins a request."""
    safe = line.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga").replace('"', "\\(dq")
    safe = safe.replace("'", "\\(aq").replace("~", "\\(ti").replace("^", "\\(ha")
    return f"\\&{safe}" if safe[:1] in (".", "\\") and not safe.startswith("\\-") else safe
