"""Reads command lines with the real parser and runs nothing: whether what a document says can be typed at all."""

from __future__ import annotations

import re
import shlex

import click

from triage.cli.program import cli

_FENCED = re.compile(r"^```(?:sh|cron|text)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`((?:bounce-)?triage [^`\n]+(?:\n[^`\n]+)?)`")
_COMMAND = re.compile(r"(?:^|[\s/(\"$])((?:bounce-)?triage(?=[ \t]+[a-z-])[^\n]*)")
_END = re.compile(r"\s+#\s|\s+(?:\||>>?|&&)\s|\)\"")


def named_commands(text: str) -> list[str]:
    """The commands of ours that a text names between backticks."""
    return [_END.split(line.replace("\n", " "))[0].strip() for line in _INLINE.findall(text)]


def command_lines(text: str) -> list[str]:
    """The command lines of ours in the fenced blocks of a document."""
    found: list[str] = []
    for block in _FENCED.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            is_typed = line.startswith(("$ ", "triage ", "bounce-triage ", ".venv/bin/", "eval ", "*/", "0 "))
            if is_typed and not line.startswith(("$ cat", "$ git")) and (words := _COMMAND.search(line)):
                found.append(words[1])
    return [_END.split(line)[0].strip() for line in found]


def assert_understood(line: str, *, is_whole: bool = True) -> None:
    """The parser takes the line down to its last word; `...` stands for more, capitals for a value.

    Where a command is only named (`triage undo`), its arguments may be left out.
    """
    words = [re.sub(r"^[A-Z][A-Z|#_-]*$", "1", word) for word in shlex.split(line)[1:] if word != "..."]
    if not words:
        return
    try:
        context = cli.make_context("triage", words)
        while isinstance(context.command, click.Group) and context._protected_args:
            rest = [*context._protected_args, *context.args]
            name, found, rest = context.command.resolve_command(context, rest)
            assert found is not None
            context = found.make_context(name, rest, parent=context)
    except (click.exceptions.Exit, click.exceptions.NoArgsIsHelpError):  # --help, --version; a family of commands
        return
    except click.MissingParameter:
        assert not is_whole, line
