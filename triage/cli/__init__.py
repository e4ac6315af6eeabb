"""The command line: a file per command family; the only room that prints and exits.

In: arguments, settings, the terminal. Out: lines and an exit code.
May import: every room. Nobody imports it, but what starts the program.
"""

from __future__ import annotations

__all__ = ["program", "stopping"]
