"""What every command does alike: help, examples, completion, machine output, `--since`, errors, streams.

In: a command and what was asked of it. Out: its help, its output in the form asked for, two lines for each failure.
May import: `triage.store`. Nobody but `triage.cli` imports it.
"""

from __future__ import annotations

__all__ = ["completion", "examples", "help", "output", "records", "since", "streams", "trouble"]
