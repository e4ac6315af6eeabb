"""An mbox in which one mail of a hundred is a bounce: read and judged by us, against iterating mailbox.mbox.

    python -m benchmarks.mbox FILE

reads and judges one file and prints how many verdicts there were, the processor seconds and the peak memory in MB.
"""

from __future__ import annotations

import base64
import mailbox
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Row, at_least, best_of, peak_mb, processor_seconds, run_module, sample_mails, within
from triage.judging.files import json_line, judge_mails
from triage.mailbox import read_mails

NUMBER = 3_000
LINE = b'<tr><td style=3D"color:#333;font-size:14px">Down at the harbour: words of a newsletter =\n</td></tr>\n'
FROM_LINE = LINE.replace(b"Down at", b"From at")
"""The word our search for separators stops at, and behind a ">" as well: the worst a mailbox can do to it."""
SEPARATOR = b"From sender@example.org Tue Nov 24 09:00:00 2026\n"


def rows(quick: bool, folder: Path | None = None) -> Iterator[Row]:
    """Time as a ratio, memory as a figure, the latter for a file of a half too: it must not grow with the file."""
    number = 200 if quick else NUMBER
    with tempfile.TemporaryDirectory(prefix="triage-bench-") as made_in:
        path, half, worst = (Path(made_in, f"{name}.mbox") for name in ("takeout", "half", "worst"))
        write_mbox(path, number, folder)
        write_mbox(half, number // 2, folder)
        write_mbox(worst, number // 3, folder, line=FROM_LINE)
        size = path.stat().st_size / (1 << 20)
        (ours, theirs) = best_of([lambda: judge(path), lambda: _iterate(path)], 1 if quick else 3)
        yield at_least(f"mailbox.mbox / ours, {number:,} mails, {size:.0f} MB", theirs / ours, 10, "x as fast")
        (ours, theirs) = best_of([lambda: judge(worst), lambda: _iterate(worst)], 1 if quick else 2)
        what = "the same, newsletters that say From in every line"
        yield at_least(what, theirs / ours, 1, "x as fast")._replace(budget="", is_ok=None)
        whole, part = (float(run_module("benchmarks.mbox", str(each)).split()[2]) for each in (path, half))
        yield within("peak memory of it", whole, 150, "MB")
        yield within("peak memory / for half of the file", whole / part, 1.5, "x")


def write_mbox(path: Path, number: int, folder: Path | None = None, line: bytes = LINE) -> None:
    """A mailbox as people have them: letters, newsletters in HTML, attachments, every 100th mail a bounce."""
    chance = random.Random(number)
    bounces = sample_mails(folder)
    with path.open("wb") as out:
        for nth in range(number):
            mail = bounces[nth // 100 % len(bounces)] if nth % 100 == 99 else _ordinary(nth, chance, line)
            out.write(SEPARATOR + mail.replace(b"\r\n", b"\n").replace(b"\nFrom ", b"\n>From ") + b"\n\n")


def judge(path: Path) -> int:
    """What `triage classify --jsonl` does with a file; returns the number of mails."""
    return sum(block.mails for block in judge_mails(read_mails([path]), json_line))


def _ordinary(nth: int, chance: random.Random, line: bytes) -> bytes:
    """One of ten has an attachment, half are newsletters, the others are letters."""
    received = b"".join(
        b"Received: from a%d.example by b.example with ESMTPS id x%d;\n\tTue, 24 Nov 2026 09:00:00 +0000\n" % (hop, nth)
        for hop in range(5)
    )
    head = received + (
        b"Return-Path: <pat@client.example>\nFrom: Pat <pat@client.example>\nTo: admin@queenofsandiego.com\n"
        b"Subject: Sunset charter %d\nDate: Tue, 24 Nov 2026 09:00:00 +0000\nMessage-ID: <%d@client.example>\n"
        % (nth, nth)
    )
    kind = chance.random()
    if kind < 0.1:
        data = base64.encodebytes(chance.randbytes(200_000))
        return (
            head
            + b'Content-Type: multipart/mixed; boundary="00000000000057f0c806%06d"\n\n' % nth
            + b"--00000000000057f0c806%06d\nContent-Type: text/plain\n\nSee the file.\n" % nth
            + b"--00000000000057f0c806%06d\nContent-Type: application/pdf\n" % nth
            + b"Content-Transfer-Encoding: base64\n\n"
            + data
            + b"--00000000000057f0c806%06d--\n" % nth
        )
    if kind < 0.6:
        page = (
            b"List-Id: <news.client.example>\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n"
        )
        return head + page + line * chance.randrange(100, 600)
    return head + b"\n" + b"We would like to come aboard on Saturday, all six of us.\n" * chance.randrange(5, 80)


def _iterate(path: Path) -> None:
    box = mailbox.mbox(path)
    for _ in box:
        pass
    box.close()


if __name__ == "__main__":
    file = Path(sys.argv[1])
    counted: list[int] = []
    seconds = processor_seconds(lambda: counted.append(judge(file)))
    print(counted[0], f"{seconds:.2f}", f"{peak_mb():.1f}")
