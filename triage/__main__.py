"""`python -m triage`: the same as the command `triage`."""

from __future__ import annotations

import sys

from triage.cli.program import main

if __name__ == "__main__":
    sys.exit(main())
