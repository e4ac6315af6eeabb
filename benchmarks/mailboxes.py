"""What many mailboxes cost in one process: a quiet run over each, start-up paid once. The double is another process.

python -m benchmarks --only mailboxes
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.measure import ROOT, Row, peak_mb, within
from tests.doubles.gmail import GmailDouble

MAILBOXES = 1000
AT_ONCE = (1, 4, 8)
_BUDGET_MS, _BUDGET_REQUESTS, _BUDGET_MB = 40, 2, 250


def rows(quick: bool, folder: Path | None = None) -> Iterator[Row]:
    """Processor and wall time, requests, units and memory; with one mailbox at a time and with more."""
    number = 6 if quick else MAILBOXES
    ours, its = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="triage-bench-") as made_in:
        double = context.Process(target=_serve, args=(its, made_in), daemon=True)
        double.start()
        try:
            url = ours.recv()
            _write_settings(Path(made_in), number)
            _run(made_in, url, AT_ONCE[-1])  # the first run makes the databases
            for at_once in AT_ONCE:
                ours.send("reset")
                ours.recv()
                found = _run(made_in, url, at_once)
                ours.send("count")
                requests, units = ours.recv()
                what = f"{number} mailboxes, {at_once} at once"
                yield within(what, found["cpu"] / number * 1000, _BUDGET_MS, "ms CPU each")
                yield Row(what, f"{found['wall']:.1f} s wall", "(a figure to know)", None)
                yield within(what, found["mb"], _BUDGET_MB, "MB")
                yield within(what, requests / number, _BUDGET_REQUESTS, "requests each")
                yield Row(what, f"{units / number:.1f} units each", "(a figure to know)", None)
        finally:
            double.kill()


def _serve(pipe: Connection, folder: str) -> None:
    with GmailDouble() as gmail:
        gmail.write_credentials(Path(folder))
        pipe.send(gmail.url)
        while True:
            if pipe.recv() == "reset":
                gmail.reset_counters()
                pipe.send(None)
            else:
                pipe.send((gmail.quota.http_requests, gmail.quota.units_new))


def _write_settings(folder: Path, number: int) -> None:
    """Mailboxes of their own in all but the double behind them."""
    tables = []
    for nth in range(number):
        tables.append(f'[[mailbox]]\nname = "m{nth}"\n')
        shutil.copy(folder / "token.json", folder / f"m{nth}-token.json")
    (folder / "triage.toml").write_text("alert_inbox = false\nnotes = false\n" + "".join(tables))


def _run(folder: str, url: str, at_once: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.mailboxes", folder, url, str(at_once)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _measure(folder: str, url: str, at_once: int) -> dict[str, float]:
    """In a process of its own, as cron starts it."""
    from triage.cli.shared import now
    from triage.config import mailbox_settings
    from triage.many import run_each

    started = time.perf_counter()
    mailboxes = mailbox_settings(Path(folder) / "triage.toml", {"TRIAGE_GMAIL_URL": url})
    for one in run_each(mailboxes, now, at_once=at_once):
        assert one.exit_code == 0, one
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {"cpu": used.ru_utime + used.ru_stime, "wall": time.perf_counter() - started, "mb": peak_mb()}


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
