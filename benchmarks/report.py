"""How long `triage report` takes over a million verdicts: the whole command, from its start to its last line.

    python -m benchmarks.report [NUMBER]

Twice: all of them received in the last seven days, the worst there can be, and spread over three years. The verdicts
are made by SQL, so that making them does not take longer than measuring.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.measure import ROOT, Row
from triage import store

BUDGET_SECONDS = 1.0
NUMBER = 1_000_000
TRIES = 5
SPREADS = {"all in the last 7 days": timedelta(days=7), "over 3 years": timedelta(days=3 * 365)}

# One in ten is of our own side, one delayed, one not understood, one forged; the rest are refusals of seven causes.
_MAILS = """WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :number)
INSERT INTO mails (id, gmail_id, thread_id, source, received_at, seen_at, state, tries)
SELECT i, printf('%016x', i), printf('%016x', i / 3), 'gmail:' || printf('%016x', i),
 strftime('%Y-%m-%dT%H:%M:%SZ', :now, '-' || CAST(i * :seconds / :number AS INT) || ' seconds'), '', 'judged', 1
FROM n"""
_VERDICTS = """INSERT INTO verdicts (mail_id, position, received_at, source, kind, recipient, category, cause, side,
 actor, permanent, reason, status, reply_code, diagnostic, platform, remote_host, reported_by, message_id, sent_at,
 "from", subject, path, genuine, rule, evidence, fix, links)
SELECT id, 0, received_at, source, iif(id % 10 = 0, 'delayed', 'failed'),
 'p' || (id % 50000) || '@c' || (id % 997) || '.example',
 CASE id % 10 WHEN 0 THEN 'delayed' WHEN 1 THEN 'smtp-credentials' WHEN 2 THEN 'unknown' WHEN 3 THEN 'unverified'
  WHEN 4 THEN 'exchange-rejection' ELSE 'remote-rejection' END,
 CASE id % 10 WHEN 0 THEN 'mailbox-full' WHEN 1 THEN 'alias-credentials-rejected' WHEN 2 THEN 'unknown' ELSE
  CASE id % 7 WHEN 0 THEN 'recipient-unknown' WHEN 1 THEN 'mailbox-full' WHEN 2 THEN 'spam-rejected'
  WHEN 3 THEN 'dmarc-rejected' WHEN 4 THEN 'policy-rejected' WHEN 5 THEN 'sender-blocklisted'
  ELSE 'domain-not-found' END END,
 CASE id % 10 WHEN 1 THEN 'own' WHEN 2 THEN 'unknown' ELSE 'remote' END, 'sender', id % 2, 'userunknown', '5.1.1',
 '550', '550 5.1.1 <p' || id || '@client.example>: user unknown', 'google', 'mx' || (id % 500) || '.example', 'gmail',
 'm' || id || '@mail.gmail.com', received_at, 'admin@queenofsandiego.com', 'Sunset charter ' || id, 'gmail',
 iif(id % 10 = 3, 'fail', 'pass'), 'rule', 'user unknown', :fix, '["https://support.google.com/mail/answer/22370"]'
FROM mails"""
_FIX = '["Open the settings and look at the first line.", "Then do the second thing.", "Write once more."]'


def fill(path: Path, number: int, spread: timedelta) -> None:
    """Make a database with so many verdicts, the newest of them just now."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
    with closing(store.open_store(path)) as db, db.conn:
        db.execute("BEGIN")
        db.execute(_MAILS, {"number": number, "now": now, "seconds": int(spread.total_seconds())})
        db.execute(_VERDICTS, {"fix": _FIX})


def seconds(path: Path, tries: int, *arguments: str) -> float:
    """The best of some tries: other programs use the machine too."""
    command = [sys.executable, "-m", "triage", "report", *arguments]
    env = os.environ | {"TRIAGE_DATABASE": str(path)}
    best = float("inf")
    for _ in range(tries):
        started = time.perf_counter()
        subprocess.run(command, env=env, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        best = min(best, time.perf_counter() - started)
    return best


def measure(number: int = NUMBER, tries: int = TRIES) -> Iterator[tuple[str, float]]:
    """(what, seconds) of each case."""
    for name, spread in SPREADS.items():
        with tempfile.TemporaryDirectory(prefix="triage-bench-") as folder:
            path = Path(folder, "triage.db")
            fill(path, number, spread)
            yield f"{name}, text", seconds(path, tries)
            yield f"{name}, HTML", seconds(path, tries, "--format", "html")
            if spread > timedelta(days=365):
                yield f"{name}, a year of it", seconds(path, tries, "--since", "52w")


def rows(quick: bool, folder: Path | None = None) -> Iterator[Row]:
    """The slowest case of all."""
    number = 1_000 if quick else NUMBER
    name, took = max(measure(number, tries=1 if quick else TRIES), key=lambda case: case[1])
    what = f"report over {number:,} verdicts ({name})"
    yield Row(what, f"{took:.2f} s", f"< {BUDGET_SECONDS:g} s", took < BUDGET_SECONDS)


def main(number: int = NUMBER) -> int:
    """Measure and say it; returns 1 where the budget was not kept."""
    print(f"triage report over {number:,} verdicts, the whole command (budget {BUDGET_SECONDS:.0f} s):")
    worst = 0.0
    for name, took in measure(number):
        print(f"  {took:5.2f} s  {name}")
        worst = max(worst, took)
    return 0 if worst < BUDGET_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:2])))
