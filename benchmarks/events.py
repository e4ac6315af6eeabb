"""How fast 100,000 SES events go from queue messages into the database, and how much memory that takes.

    python -m benchmarks.events [NUMBER]

The queue is one in memory: what is measured is reading, storing and the loop, not the network. A real queue adds two
requests for every ten messages.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from benchmarks.measure import Row
from remediation.aws import queue as aws_queue
from tests.doubles.ses_events import in_envelope, ses_event
from triage import store
from triage.ses.events import drain

NUMBER = 100_000
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
KINDS = ("Send", "Delivery", "Send", "Delivery", "Send", "Delivery", "Send", "Delivery", "Send", "Bounce")


def bodies(number: int) -> Iterator[str]:
    """Messages as SNS puts them into a queue: as many mails sent as a busy day has, one in five of them bounced."""
    for n in range(number):
        at = NOW - timedelta(seconds=number - n)
        yield in_envelope(
            ses_event(KINDS[n % 10], [f"p{n // 2}@client.example"], at=at, client_id=f"{n // 2}@mail.gmail.com")
        )


def rows(quick: bool, folder: Path | None = None) -> Iterator[Row]:
    """A figure to know; no budget was given for it."""
    number = 200 if quick else NUMBER
    seconds, _ = measure(number)
    yield Row(f"{number:,} SES events from the queue", f"{number / seconds:,.0f} a second", "", None)


def measure(number: int = NUMBER) -> tuple[float, float]:
    """Drain once; (seconds, MB more memory). The time to make the messages is measured alone and taken off."""
    started = time.perf_counter()
    for _ in bodies(number):
        pass
    making = time.perf_counter() - started
    source = bodies(number)

    def receive(region: str, queue_url: str) -> list[aws_queue.QueueMessage]:
        return [
            aws_queue.QueueMessage(str(n), body, "", 1)
            for n, body in zip(range(aws_queue.MAX_MESSAGES), source, strict=False)
        ]

    def delete(region: str, queue_url: str, messages: Sequence[aws_queue.QueueMessage]) -> list[str]:
        return []

    with (
        patch.object(aws_queue, "receive", receive),
        patch.object(aws_queue, "delete", delete),
        tempfile.TemporaryDirectory() as folder,
    ):
        db = store.open_store(Path(folder, "triage.db"))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.perf_counter()
        drained = drain(db, "queue", "us-east-1", NOW)
        seconds = max(time.perf_counter() - started - making, 0.001)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        db.close()
    assert drained.taken == number, drained
    return seconds, grown / 1024


def main(number: int = NUMBER) -> None:
    """Say how it went."""
    seconds, grown = measure(number)
    print(f"{number:,} events in {seconds:.1f} s: {number / seconds:,.0f} a second, {grown:.0f} MB more memory")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
