"""Bulk judging: order, bounded memory, one bad mail costs no other, the same in one process and in several."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from triage.judging import files as classify_files
from triage.judging.files import CHUNK_MAILS, json_line, judge_mails
from triage.mailbox import LocalMail, UnreadableFile

ROOT = Path(__file__).parents[2]
NOTICE = (ROOT / "tests" / "bounces" / "gmail-alias-ses-535.eml").read_bytes()


def plain(number: int) -> LocalMail:
    message = EmailMessage()
    message["From"] = "pat@client.example"
    message["Subject"] = f"mail {number}"
    message.set_content("Hello.")
    return LocalMail(f"box#{number}", message.as_bytes())


def test_records_come_in_the_order_of_the_mails() -> None:
    mails = [plain(number) for number in range(3 * CHUNK_MAILS + 1)]
    blocks = list(judge_mails(mails, json_line))
    sources = [json.loads(line)["source"] for block in blocks for line in block.text.splitlines()]
    assert sources == [mail.source for mail in mails]
    assert sum(block.mails for block in blocks) == len(mails)
    assert blocks[0].counts["not-a-bounce", None, None] == CHUNK_MAILS


def test_mails_are_read_only_as_they_are_judged() -> None:
    taken = 0

    def mails() -> Iterator[LocalMail]:
        nonlocal taken
        for number in range(10 * CHUNK_MAILS):
            taken += 1
            yield plain(number)

    blocks = judge_mails(mails(), json_line)
    next(blocks)
    assert taken == CHUNK_MAILS


def test_a_chunk_of_large_mails_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classify_files, "CHUNK_BYTES", 1000)
    large = LocalMail("a", b"Subject: x\n\n" + b"x" * 600)
    assert [block.mails for block in judge_mails([large] * 5, json_line)] == [2, 2, 1]


def test_what_cannot_be_read_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    real = classify_files.judge

    def trips(data: bytes, **source: str) -> Any:
        if b"bait" in data:
            raise RuntimeError("never seen before")
        return real(data, **source)

    monkeypatch.setattr(classify_files, "judge", trips)
    mails = [UnreadableFile("gone.eml", "No such file"), LocalMail("bad.eml", b"bait"), LocalMail("good.eml", NOTICE)]
    (block,) = judge_mails(mails, json_line)
    assert [json.loads(line)["source"] for line in block.text.splitlines()] == ["good.eml"]
    assert block.unreadable[0] == UnreadableFile("gone.eml", "No such file")
    assert block.unreadable[1].source == "bad.eml"
    assert "RuntimeError in trips, line" in block.unreadable[1].why
    assert "never seen before" not in block.unreadable[1].why, "an error's text may quote the mail"


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, because several workers are forked from a process without threads."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


JOBS = """
import sys
from triage.judging import json_line, judge_mails
from triage.mailbox import LocalMail
notice = open(sys.argv[2], "rb").read()
mails = [LocalMail(f"m{n}", notice if n % 7 == 0 else b"Subject: %d\\n\\nx\\n" % n) for n in range(1000)]
for block in judge_mails(mails, json_line, int(sys.argv[1])):
    sys.stdout.write(block.text)
"""
KILLED = """
import os
from triage.errors import TriageError
from triage.judging import files as classify_files
from triage.mailbox import LocalMail
def die(data, source): os._exit(9)
classify_files.judge = die
try:
    list(classify_files.judge_mails([LocalMail("a", b"x")], classify_files.json_line, 2))
except TriageError as error:
    print(error.what, error.todo)
"""


def test_several_processes_say_the_same_as_one() -> None:
    sample = "tests/bounces/gmail-alias-ses-535.eml"
    one, several = run(JOBS, "1", sample), run(JOBS, "3", sample)
    assert one.stdout.count("\n") == 1000
    assert several.stdout == one.stdout
    assert several.stderr == one.stderr == ""


def test_a_killed_worker_is_told_instead_of_waited_for() -> None:
    assert run(KILLED).stdout == "A worker process was killed from outside. Try again with --jobs 1.\n"
