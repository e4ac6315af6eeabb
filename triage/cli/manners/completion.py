"""Completion by the Tab key, by click's own machinery: https://click.palletsprojects.com/en/stable/shell-completion/

The shell calls the program with `_TRIAGE_COMPLETE` set; the script that makes it do so is what `triage completion`
prints. Both names of the program have one.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

NAMES = ("triage", "bounce-triage")
SHELLS = ("bash", "zsh", "fish")


def answered_shell(root: click.Group) -> int | None:
    """Answer a shell that asks for completions; gives the exit code, None where no shell asked."""
    for name in NAMES:
        if instruction := os.environ.get(_variable(name)):
            from click.shell_completion import shell_complete

            code = shell_complete(root, {}, name, _variable(name), instruction)
            sys.stdout.flush()
            return code
    return None


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion_(ctx: click.Context, shell: str) -> int:
    """Print the script that lets the Tab key complete commands, options and files.

    \b
    bash  eval "$(triage completion bash)"          in ~/.bashrc
    zsh   eval "$(triage completion zsh)"           in ~/.zshrc, after compinit
    fish  triage completion fish > ~/.config/fish/completions/triage.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    root = ctx.find_root().command
    # A shell that has only one of the two names is not troubled by the other.
    for name in NAMES:
        click.echo(kind(root, {}, name, _variable(name)).source())
    return 0


def complete_file(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete names of files, for what is no `click.Path` because it may be other things too."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def complete_cause(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The causes that begin like this."""
    from click.shell_completion import CompletionItem

    from remediation import load_causes

    return [CompletionItem(one.id, help=one.title) for one in load_causes().values() if one.id.startswith(incomplete)]


def _variable(name: str) -> str:
    return f"_{name}_COMPLETE".replace("-", "_").upper()
