"""Puts one text on the clipboard of this computer, where it has one.

The text goes to the tool by its standard input: never as an argument, which every user of the computer can read, and
never in its environment.
"""

from __future__ import annotations

import os
import shutil
import subprocess

from triage.errors import ConfigError

TOOLS = (
    ("pbcopy",),
    ("wl-copy", "--sensitive"),  # kept out of clipboard histories; older versions do not know the option
    ("wl-copy",),
    ("xclip", "-selection", "clipboard"),
    ("xsel", "--clipboard", "--input"),
    ("clip.exe",),
)
_NEEDED = ("PATH", "HOME", "DISPLAY", "XAUTHORITY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "SYSTEMROOT")
_SECONDS = 5.0


def copy(text: str) -> str:
    """Put the text on the clipboard and return the name of the tool that did it. Raises ConfigError where none can."""
    env = {name: os.environ[name] for name in _NEEDED if name in os.environ}
    for tool, *arguments in TOOLS:
        path = shutil.which(tool)
        if path is None:
            continue
        try:
            # Its output goes nowhere: xclip stays in the background and would keep a pipe open.
            subprocess.run(  # noqa: S603 - a fixed list of tools
                [path, *arguments],
                input=text.encode(),
                env=env,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_SECONDS,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            continue
        return tool
    raise ConfigError("There is no clipboard here.", "Use --show instead, where nobody looks on.")
