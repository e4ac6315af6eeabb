"""Measures how fast mails are judged, as a ratio against the standard library in the same run: `make bench`.

    python -m benchmarks [FOLDER of .eml]

The other figures have modules of their own: benchmarks.report, benchmarks.events, benchmarks.corpus.
"""

from __future__ import annotations

import email
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from parsers import parse
from triage.classify import classify

SAMPLES = Path(__file__).parents[1] / "tests" / "bounces"
BUDGET = 1.0


def main(arguments: list[str]) -> int:
    """Print the ratio; 1 where the budget is missed, 2 where there is nothing to measure."""
    folder = Path(arguments[0]) if arguments else SAMPLES
    mails = [path.read_bytes() for path in sorted(folder.glob("*.eml"))]
    if not mails:
        print(f"No .eml in {folder}: nothing was measured.")
        return 2
    stdlib = _best(lambda: [email.message_from_bytes(mail) for mail in mails])
    ours = _best(lambda: [json.dumps(v.record()) for mail in mails for v in classify(parse(mail), "x")])
    for name, seconds in (("email.message_from_bytes", stdlib), ("parse + classify + JSON", ours)):
        print(f"{name:28} {seconds / len(mails) * 1e6:7.0f} us a mail")
    print(f"ratio {ours / stdlib:.2f}, budget {BUDGET:.2f}: {'met' if ours <= BUDGET * stdlib else 'MISSED'}")
    return 0 if ours <= BUDGET * stdlib else 1


def _best(work: Callable[[], object], times: int = 5) -> float:
    """Processor seconds of the fastest of several runs."""
    taken = []
    for _ in range(times):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return min(taken)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
