"""Mails that are too large, pack too well, or end the program: a run takes little memory and judges all the others."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.gmail import GmailDouble
from tests.worlds.made_mails import alias_notice, newsletter, refusal
from tests.worlds.run_world import Query, Work, at, seed, user_labels
from triage import reading
from triage import run as worker
from triage.config import Settings
from triage.gmail import fetching, wire
from triage.owner import retry
from triage.owner.doctor import examine
from triage.report import words

MB = 1_000_000
ROOT = Path(__file__).parents[2]


def large(mail: bytes, size: int, *, packs_well: bool = False) -> bytes:
    """The same bounce with so much of the returned mail behind it."""
    some = b"0123456789" * 7 + b"\r\n" if packs_well else None
    noise = random.Random(7)
    lines = [some or noise.randbytes(35).hex().encode() + b"\r\n" for _ in range(200)]
    more = b"".join(lines) * (size // 14_400 + 1)
    head, end, rest = mail.rpartition(b"--b--")
    return head + more[: max(size - len(mail), 0)] + b"\r\n" + end + rest


def peak(settings: Settings, folder: Path) -> tuple[int, dict[str, Any]]:
    """(MB a run took at its most, what it came to), in a process of its own."""
    code = (
        "import dataclasses, json, re, sys; from datetime import datetime; from pathlib import Path\n"
        "from triage import config, run\n"
        "settings = config.load_settings(Path(sys.argv[1]), {'TRIAGE_GMAIL_URL': sys.argv[2]})\n"
        "done = run.run(settings, lambda: datetime.fromisoformat(sys.argv[3]))\n"
        "used = re.search(r'VmHWM:\\s+(\\d+) kB', Path('/proc/self/status').read_text())\n"  # ru_maxrss: its parent's
        "print(json.dumps([int(used[1]) // 1000, dataclasses.asdict(done)]))"
    )
    command = [sys.executable, "-c", code, folder / "triage.toml", str(settings.gmail_url), at().isoformat()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    used, summary = json.loads(done.stdout)
    return used, summary


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("size", "number"),
    [(25 * MB, 9), (8 * MB, 6), (reading.LARGE_BYTES - 1000, 40)],
    ids=["too large", "large", "not yet large"],
)
def test_a_run_takes_at_most_200_mb(
    gmail: GmailDouble, settings: Settings, tmp_path: Path, size: int, number: int
) -> None:
    gmail.account.compresses = True
    seed(gmail, *(large(alias_notice(one), size) for one in range(number)), refusal(99), minutes=60)
    used, summary = peak(settings, tmp_path)
    assert (summary["new"], summary["judged"], summary["failed"]) == (number + 1, number + 1, 0)
    print(f"{number} mails of {size / MB:.1f} MB: {used} MB")
    assert used <= 200


def test_a_mail_that_is_too_large_is_judged_by_its_headers_and_its_beginning(
    gmail: GmailDouble, work: Work, query: Query
) -> None:
    small, big = seed(gmail, refusal(1), large(alias_notice(2), 9 * MB))
    assert work().judged == 2
    assert query("SELECT state, error FROM mails WHERE error IS NOT NULL") == [
        {
            "state": "judged",
            "error": "not fetched (9.0 MB, larger than 8 MB): only its headers and its beginning are known",
        }
    ]
    assert query("SELECT length(raw) < 2000 AS is_small FROM mails WHERE error IS NOT NULL") == [{"is_small": 1}]
    kinds = query("SELECT v.kind, v.genuine FROM verdicts v JOIN mails m ON m.id = mail_id WHERE m.error IS NOT NULL")
    assert kinds == [{"kind": "failed", "genuine": "pass"}]
    assert user_labels(gmail, small) == {"Bounce/Remote rejection"}
    assert big in gmail.messages
    assert gmail.quota.calls["messages.get"] == 2, "one raw, one by its headers"


def test_a_large_mail_that_says_nothing_is_kept_and_told(gmail: GmailDouble, work: Work, query: Query) -> None:
    mail = newsletter(1) + b"x" * 9 * MB
    seed(gmail, mail)
    summary = work()
    assert (summary.failed, summary.dropped) == (1, 1)
    assert query("SELECT state, raw FROM mails") == [{"state": "kept", "raw": None}]
    assert "9.0 MB, larger than 8 MB" in summary.failures[0][1]
    assert work().new == 0


def test_a_large_mail_that_was_given_up_is_fetched_whole_when_somebody_asks(
    gmail: GmailDouble, settings: Settings, work: Work, query: Query
) -> None:
    """Its headers say nothing; what makes it a bounce lies in its body."""
    silent = refusal(1).replace(b"MAILER-DAEMON@", b"postmaster@").replace(b"Auto-Submitted:", b"X-Nothing:")
    seed(gmail, large(silent.replace(b"; report-type=delivery-status", b""), 12 * MB), refusal(2))
    assert (work().judged, [one.number for one in retry.take_up(settings, apply=False)]) == (1, [1])
    (told,) = [check for check in examine(settings.token.parent / "triage.toml", {}, at()) if check.name == "given up"]
    assert "triage retry" in str(told.todo)
    (mail,) = query("SELECT source, state, tries, error FROM mails WHERE state = 'kept'")
    assert "`triage retry` takes it up again" in words.unreadable(mail)
    gmail.fail("messages.get", status=503, times=4)
    retry.take_up(settings, apply=True)
    assert work().judged == 0, "Gmail's own trouble leaves it asked for"
    gmail.clear_faults()
    assert worker.run(settings, lambda: at(minutes=60)).judged == 1
    assert query("SELECT count(*) AS n FROM mails WHERE state = 'judged' AND error IS NULL") == [{"n": 2}]
    assert query("SELECT * FROM state WHERE key LIKE 'whole%'") == []
    assert retry.take_up(settings, apply=True) == []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_is_fetched_by_hand_takes_at_most_200_mb(
    gmail: GmailDouble, settings: Settings, work: Work, tmp_path: Path
) -> None:
    silent = newsletter(1).replace(b"Subject:", b"X-Subject:")
    seed(gmail, silent + b"x" * 24 * MB, silent + b"y" * 40 * MB)
    assert work().failed == 2
    retry.take_up(settings, apply=True)
    used, summary = peak(settings, tmp_path)
    print(f"a mail of 24 MB by hand: {used} MB")
    assert (summary["not_bounces"], summary["failed"]) == (1, 1), "40 MB are too many even then"
    assert used <= 200


def test_sizes_cost_one_search_and_a_quiet_run_none(gmail: GmailDouble, work: Work) -> None:
    seed(gmail, *(refusal(number) for number in range(100)), minutes=200)
    summary = work()
    assert summary.judged == 100
    assert summary.requests - gmail.quota.calls["messages.modify"] - gmail.quota.calls["labels.create"] == 2 + 10 + 2
    gmail.reset_counters()
    work()
    assert (gmail.quota.http_requests, gmail.quota.units_new) == (1, 5)


def test_only_bounces_are_kept_whole(gmail: GmailDouble, work: Work, query: Query) -> None:
    seed(gmail, refusal(1), newsletter(2))
    work()
    rows = query("SELECT raw IS NOT NULL AS has_raw, length(raw_sha256) AS digest FROM mails ORDER BY id")
    assert rows == [{"has_raw": 1, "digest": 64}, {"has_raw": 0, "digest": 64}]


# One mail at fault


def hide_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Gmail's search not know yet which mails are large."""
    monkeypatch.setattr(reading, "_larger", lambda *_: frozenset())


def test_a_mail_that_packs_too_well_stops_no_other(
    gmail: GmailDouble, work: Work, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide_sizes(monkeypatch)
    gmail.account.compresses = True
    seed(gmail, refusal(1), large(alias_notice(2), 11 * MB, packs_well=True), *map(refusal, (3, 4, 5, 6)))
    summary = work()
    assert (summary.judged, summary.failed) == (6, 0)
    (mail,) = query("SELECT error FROM mails WHERE error IS NOT NULL")
    assert "could not be taken in" in mail["error"]


@pytest.mark.parametrize("error", [MemoryError(), ZeroDivisionError("in a library"), wire.AnswerTooLarge("huge")])
def test_a_batch_that_cannot_be_taken_in_is_fetched_one_by_one(
    gmail: GmailDouble, work: Work, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    ids = seed(gmail, *(alias_notice(number) for number in range(6)))
    real = fetching.raw_message

    def taken_in(message_id: str, answer: Any) -> Any:
        if message_id == ids[2]:
            raise error
        return real(message_id, answer)

    monkeypatch.setattr(fetching, "raw_message", taken_in)
    assert (work().judged, gmail.quota.calls["batch"]) == (6, 1)


def test_a_cut_answer_to_a_batch_is_asked_for_one_by_one(gmail: GmailDouble, work: Work) -> None:
    seed(gmail, *(refusal(number) for number in range(6)))
    gmail.fail("batch", times=None, connection="truncate")
    assert work().judged == 6


def test_a_mail_that_ends_the_program_is_not_the_first_again(
    gmail: GmailDouble, settings: Settings, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the kernel does it where memory is short: no Python code of ours runs after it."""
    ids = seed(gmail, *(alias_notice(number) for number in range(6)))
    real = reading.looked_at

    def run_that_dies() -> int:
        if pid := os.fork():
            return os.waitpid(pid, 0)[1]

        def looked_at(mail: Any, *more: Any) -> Any:
            if mail.gmail_id == ids[1] and mail.remark is None:
                os.kill(os.getpid(), 9)
            return real(mail, *more)

        monkeypatch.setattr(reading, "looked_at", looked_at)
        worker.run(settings, at)
        os._exit(0)

    assert run_that_dies() == 9
    assert query("SELECT count(*) AS n FROM mails") == [{"n": 1}]
    assert run_that_dies() == 9
    assert query("SELECT count(*) AS n FROM mails") == [{"n": 5}], "the others first"
    assert run_that_dies() == 0
    assert query("SELECT count(*) AS n FROM mails WHERE state = 'judged'") == [{"n": 6}]
    (mail,) = query("SELECT error FROM mails WHERE error IS NOT NULL")
    assert "2 runs ended in the middle of it" in mail["error"]
    assert query("SELECT * FROM fetches") == []
