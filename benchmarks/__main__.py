"""Measures every budget in one run and prints one table: `make bench`.

    python -m benchmarks [--quick | --large] [--only NAME] [FOLDER of .eml]

FOLDER adds mails to those of tests/bounces. `--quick` takes tiny sizes: it shows that all of it works, its figures say
nothing. `--large` measures a million mails too. Each benchmark can also be found by name, see BENCHMARKS;
benchmarks.corpus scores accuracy and is run apart.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import archive, classify, events, hostile, jobs, mailboxes, mbox, ownership, quota, report, startup
from benchmarks.measure import Row

BENCHMARKS: dict[str, Callable[[bool, Path | None], Iterator[Row]]] = {
    "classify": classify.rows,
    "jobs": jobs.rows,
    "archive": archive.rows,
    "mbox": mbox.rows,
    "mailboxes": mailboxes.rows,
    "hostile": hostile.rows,
    "startup": startup.rows,
    "quota": quota.rows,
    "report": report.rows,
    "events": events.rows,
    "ownership": ownership.rows,
}
_LINE = "{:58} {:>20}  {:>20}  {}"


def main(arguments: list[str]) -> int:
    """Print the table, row by row as it is measured; 1 where a budget is missed, 2 where the arguments are wrong."""
    is_quick = "--quick" in arguments
    words = [word for word in arguments if word not in ("--quick", "--large")]
    names = list(BENCHMARKS)
    if "--only" in words[:-1]:
        at = words.index("--only")
        names = [words[at + 1]]
        del words[at : at + 2]
    folder = Path(words[0]) if words else None
    if len(words) > 1 or not BENCHMARKS.keys() >= set(names) or (folder and not any(folder.glob("*.eml"))):
        print(f"Nothing was measured. {(__doc__ or '').split(chr(10) * 2)[1].strip()}")
        print(f"FOLDER must hold .eml files; NAME is one of {', '.join(BENCHMARKS)}.")
        return 2
    print(_LINE.format("what", "measured", "budget", "ok?"), flush=True)
    missed = 0
    for name in names:
        for row in BENCHMARKS[name](is_quick, folder):
            verdict = {True: "yes", False: "MISSED", None: ""}[row.is_ok]
            print(_LINE.format(row.what, row.measured, row.budget, verdict), flush=True)
            missed += row.is_ok is False
    print(f"{missed} missed" if missed else "all budgets kept")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
