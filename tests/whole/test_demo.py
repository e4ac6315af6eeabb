"""`make demo` and `triage run --mailbox examples/mailbox` keep what they promise on a fresh clone."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "mailbox"
STORY_BOUNCES = 3

WANTED = [
    ("dana@harborview-events.example", "smtp-credentials", "alias-credentials-rejected", "own", None),
    ("marcus@bayside-catering.example", "smtp-credentials", "alias-credentials-rejected", "own", None),
    ("priya@meridian-travel.example", "exchange-rejection", "recipient-unknown", "remote", "us-west-2"),
    ("carmen@coronado-yc.example", "remote-rejection", "mailbox-full", "remote", "us-west-2"),
    ("skipper@mission-bay.example", "delayed", "remote-system-error", "remote", None),
    ("dana@harborview-events.example", "unverified", "alias-credentials-rejected", "own", None),
]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, float, Path]:
    """What the demo printed, how long it took, and the folder for temporary files it was given."""
    temporary = tmp_path_factory.mktemp("tmp")
    started = time.monotonic()
    done = _run([sys.executable, "-m", "examples.demo"], ROOT, TMPDIR=str(temporary))
    return done.stdout, time.monotonic() - started, temporary


def test_the_demo_tells_the_story(demo: tuple[str, float, Path]) -> None:
    output, seconds, temporary = demo
    titles = re.findall(r"^(\d+)\. ", output, re.MULTILINE)
    assert titles == [str(number) for number in range(1, 14)]
    for recipient, category, cause, _, _ in WANTED:
        assert re.search(rf"{re.escape(recipient)} +{category} +{cause}", output), recipient
    labels = output.partition("5. The labels")[2].partition("6. One")[0]
    assert len(re.findall(r"^ +Bounce/", labels, re.MULTILINE)) == 2
    report = output.partition("8. What a human")[2].partition("9. Once more")[0].partition("reached.\n\n")[2]
    assert report.lstrip().startswith("1 thing on your side needs repair")
    assert len(report.rstrip().splitlines()) <= 40
    after = output.partition("12. The report")[2].partition("13. ")[0]
    assert "Nothing to repair. Repaired today; 2 people still lack a mail." in after
    assert seconds < 60
    assert list(temporary.iterdir()) == [], "left behind"


def test_the_demo_shows_why_who_was_told_and_that_it_is_over(demo: tuple[str, float, Path]) -> None:
    output = " ".join(demo[0].replace("|", " ").split())
    evidence = output.partition("4. The evidence")[2].partition("5. The labels")[0]
    assert re.search(r"1 own-side key AKIA…\w\w was made inactive on .*; first failure", evidence)
    assert re.search(r"3 ses-event Send .*; Bounce .* RESOLVER\.ADR\.RecipientNotFound", evidence)
    assert "because of this very mail" in evidence
    for number in (1, 2):
        assert f"{number} ses-id none: it was stopped before SES took it" in evidence
        assert f"{number} ses-event SES published nothing about it" in evidence
    incidents = output.partition("6. One repair")[2].partition("7. The alert")[0]
    assert incidents.count("OPEN") == 1
    assert "2 bounces; hit: marcus@bayside-catering.example and dana@harborview-events.example" in incidents
    alert = output.partition("7. The alert")[2].partition("8. What")[0]
    assert "Subject: Broken: mail from admin@queenofsandiego.com does not leave" in alert
    assert "https://mail.google.com/mail/?authuser=jadasailing@gmail.com#settings/accounts" in alert
    end = output.partition("10. The owner")[2].partition("11. The conversation")[0]
    assert "1 incident closed; 1 alert delivered" in end
    assert "Subject: Repaired: mail from admin@queenofsandiego.com leaves again" in end
    assert "Broken for 2 days." in end


def test_the_demo_ends_with_the_thread_and_a_report_to_open(demo: tuple[str, float, Path]) -> None:
    """Each bounce, the labels on top, and a note for each of the two troubles; the file that is named is there."""
    thread, _, end = demo[0].partition("11. The conversation")[2].partition("12. The report")
    assert "[Bounce/Exchange rejection]   [Bounce/Fix your alias]" in thread
    assert len(re.findall(r"^ +\* ", thread, re.MULTILINE)) == STORY_BOUNCES
    assert thread.count("Not delivered: the mail to") == 2
    named = re.search(r"\.demo/report\.html", end)
    assert named is not None
    html = (ROOT / named[0]).read_text(encoding="utf-8")
    assert "priya@meridian-travel.example" in html
    assert "</html>" in html


def test_the_demo_sends_a_labelled_draft_and_judges_its_bounce(demo: tuple[str, float, Path]) -> None:
    last = demo[0].partition("13. When the alias ends")[2].partition("That took")[0]
    told = " ".join(last.split())
    assert "draft 1: sent from admin@queenofsandiego.com to ines@meridian-travel.example" in told
    assert "Drafts: 0. Sent: Charter on 5 December, from Jada <admin@queenofsandiego.com>" in told
    assert "Its bounce: ines@meridian-travel.example, remote-rejection, recipient-unknown" in told
    assert len([line for line in last.splitlines() if line.strip()]) <= 8


def test_the_second_run_is_quiet_and_cheap(demo: tuple[str, float, Path]) -> None:
    last = demo[0].partition("9. Once more")[2].partition("10. ")[0]
    assert "(no output)" in last
    cost = re.search(r"It cost (\d+) requests? to\s+Gmail\s+and\s+(\d+)\s+of", last)
    assert cost is not None
    assert int(cost[1]) <= 2
    assert int(cost[2]) <= 6


def test_the_demo_is_plain_text_and_fits_the_page(demo: tuple[str, float, Path]) -> None:
    """Written to a file or a pipe it has no colour codes; only literal commands and SMTP answers may be long."""
    output = demo[0]
    assert "\x1b" not in output
    long = [line for line in output.splitlines() if len(line) > 100 and "$ " not in line and "quota unit" not in line]
    assert long == []


def test_the_example_mailbox_needs_no_account(tmp_path: Path) -> None:
    """The story is in one conversation: two of our side, one refused by Exchange with the SES id it left with."""
    done = _run([sys.executable, "-m", "triage", "run", "--mailbox", str(EXAMPLES)], tmp_path)
    assert re.match(r"\d new mails", done.stdout)
    assert done.stderr == ""
    assert f"triage report --database {tmp_path}/triage-of-files.db" in done.stdout, "apart from the real one"
    assert not (tmp_path / "triage.db").exists()
    with closing(sqlite3.connect(tmp_path / "triage-of-files.db")) as connection:
        rows = connection.execute(
            "SELECT recipient, category, cause, side, ses_region FROM verdicts WHERE cause IS NOT NULL ORDER BY id"
        ).fetchall()
    assert rows == WANTED
    again = _run([sys.executable, "-m", "triage", "run", "--mailbox", str(EXAMPLES)], tmp_path)
    assert again.stdout == ""


def _run(command: list[str], folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    if folder != ROOT:
        # A settings file in the working folder keeps whatever the user of this machine has configured out of the test.
        (folder / "triage.toml").touch()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRIAGE_", "AWS_"))}
    return subprocess.run(
        command,
        cwd=folder,
        env=kept | {"PYTHONPATH": str(ROOT), "COLUMNS": "100", "PYTHONIOENCODING": "utf-8"} | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    )
