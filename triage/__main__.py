"""`python -m triage` and the command `triage`: heeds signals and strange streams first, then loads the program."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; returns its exit code."""
    from triage.cli.stopping import end_with, heed_signals

    heed_signals()
    from triage.cli.program import main as run_command

    return end_with(run_command())


if __name__ == "__main__":
    sys.exit(main())
