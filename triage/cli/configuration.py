"""The commands `triage config ...`: whether the settings can be used, and where each value comes from. Prints only."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from triage.cli.manners.help import Family
from triage.cli.manners.output import answers
from triage.cli.shared import options, say, write_record

if TYPE_CHECKING:
    from triage.config import Sourced


@click.group(cls=Family)
@options
def config() -> None:
    """Look at the settings: whether they can be used, and where each value comes from."""


@config.command()
@options
@click.pass_obj
def check(asked: Any) -> int:
    """Say whether all settings can be used; what cannot is told at once, each with its file and line.

    Ends with 0 where they can, 78 where not. Asks nobody; `triage doctor` looks whether they work.
    """
    from triage.display import counted

    found = _sourced(asked)
    changed = [name for name, origin in found.origins.items() if origin != "default"]
    say([_file_line(found), f"All settings can be used; {counted(len(changed), 'setting')} of your own."])
    return 0


@config.command()
@answers("json")
@options
@click.pass_obj
def show(asked: Any, form: str) -> int:
    """Show every setting with its value, and where that comes from: a file and its line, a variable, or the default.

    What is secret is not shown, only whether it is set.
    """
    found = _sourced(asked)
    values = {name: _shown_value(found, name) for name in found.origins}
    if form == "json":
        rows = {name: {"value": values[name], "from": origin} for name, origin in found.origins.items()}
        write_record({"file": found.config_file and str(found.config_file), "settings": rows})
        return 0
    say([_file_line(found)])
    say(f"{name} = {json.dumps(values[name], ensure_ascii=False)}  ({found.origins[name]})" for name in found.origins)
    return 0


def _sourced(asked: Any) -> Sourced:
    from triage.config import source_settings

    return source_settings(asked.config, os.environ, None, asked.mailbox_name)


def _file_line(found: Sourced) -> str:
    if found.config_file is None:
        return "There is no triage.toml: everything has its default, or comes from TRIAGE_... variables."
    real = Path(os.path.realpath(found.config_file))
    linked = f", a link to {real}" if found.config_file.is_symlink() else ""
    return f"Read from {found.config_file}{linked}."


def _shown_value(found: Sourced, name: str) -> Any:
    """The value as JSON has it; of a secret only that it is set."""
    from triage.config import is_secret

    value = getattr(found.settings, name)
    if is_secret(name) and value:
        return "set, not shown"
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value
