"""A newcomer with nothing but the README, and an owner with nothing but docs/owner.md, do what is written there.

Everything is the real command line against the Gmail double; the only thing simulated is the browser, in which the
consent is clicked and the address it ends on is pasted back.
"""

from __future__ import annotations

import http.client
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.doubles.gmail import GmailDouble
from tests.worlds import forked
from tests.worlds.command import environment, words
from tests.worlds.made_mails import put_original_into_sent
from tests.worlds.understood import command_lines, named_commands

ROOT = Path(__file__).parents[2]
MAILS = sorted((ROOT / "examples" / "mailbox").glob("*.eml"))


@pytest.fixture
def home(tmp_path: Path) -> Iterator[tuple[GmailDouble, Path]]:
    """A mailbox with bounces in it, and a folder with no more than what the README has a newcomer put there."""
    with GmailDouble() as gmail:
        gmail.write_credentials(tmp_path)
        (tmp_path / "token.json").unlink()
        (tmp_path / "triage.toml").write_text(f'gmail_url = "{gmail.url}"\n', encoding="utf-8")
        for hours, mail in enumerate(MAILS, 1):
            put_original_into_sent(gmail, mail.read_bytes())
            gmail.seed(mail.read_bytes(), received_at=datetime.now(UTC) - timedelta(hours=hours))
        yield gmail, tmp_path


def _start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        words(*arguments),
        cwd=folder,
        env=environment(folder, OAUTHLIB_INSECURE_TRANSPORT="1"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _triage(folder: Path, *arguments: str) -> tuple[int, str]:
    done = forked.triage(*arguments, cwd=folder, env=environment(folder, OAUTHLIB_INSECURE_TRANSPORT="1"))
    return done.returncode, done.stdout + done.stderr


def _consent(url: str) -> str:
    """Open the page and click through it; returns the address the browser ends on."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}")
        answer = connection.getresponse()
        answer.read()
        return str(answer.headers["Location"])
    finally:
        connection.close()


def _sign_in(gmail: GmailDouble, folder: Path) -> str:
    """`triage auth --headless`, with the address opened and the one it ends on pasted; what was said then."""
    signing_in = _start(folder, "auth", "--headless")
    assert signing_in.stdout is not None
    assert signing_in.stdin is not None
    seen = ""
    while not (found := re.search(rf"{re.escape(gmail.url)}/\S+", seen)):
        line = signing_in.stdout.readline()
        assert line, f"no address to open: {seen}"
        seen += line
    out, err = signing_in.communicate(_consent(found[0]) + "\n", timeout=60)
    assert signing_in.returncode == 0, err
    return out


def test_each_message_names_the_next_step(home: tuple[GmailDouble, Path]) -> None:
    gmail, folder = home

    code, said = _triage(folder, "doctor")
    assert code == 77
    assert "triage auth" in said

    assert "triage doctor" in _sign_in(gmail, folder)

    code, said = _triage(folder, "doctor")
    assert code == 0, said
    assert "triage run" in said

    code, said = _triage(folder, "run", "--dry-run")
    assert code == 0
    assert "Would label" in said

    code, said = _triage(folder, "run")
    assert code == 0
    assert "new mails" in said

    code, said = _triage(folder, "report")
    assert code == 0
    assert "Nothing to repair on your side" in said
    number = re.search(r"\(#(\d+)\)", said)
    assert number is not None
    assert "triage explain NUMBER" in " ".join(said.split())

    code, said = _triage(folder, "explain", number[1])
    assert code == 0
    assert "What to do" in said


def test_every_command_of_the_readmes_set_up_does_its_work_in_its_order(home: tuple[GmailDouble, Path]) -> None:
    gmail, folder = home
    gmail.add_send_as("admin@queenofsandiego.com", host="email-smtp.us-east-1.amazonaws.com")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## Set up for real")[2].partition("\n## ")[0]
    typed = [*named_commands(section), *command_lines(section.replace("\n   ", "\n"))]
    assert typed[:2] == ["triage auth", "triage auth --headless"]
    assert typed[2:7] == [f"triage {one}" for one in ("doctor", "alerts test", "run --dry-run", "run", "schedule")]
    assert typed[-2:] == ["triage run", "triage report --deliver inbox >/dev/null"]
    _sign_in(gmail, folder)
    said = {}
    for line in typed[2:]:
        code, said[line] = _triage(folder, *line.removesuffix(" >/dev/null").split()[1:])
        assert code == 0, (line, said[line])
    assert "inbox" in said["triage alerts test"]
    assert "report --deliver inbox" in said["triage schedule"]
    assert said["triage run"] == "", "the second one is quiet"
    _owner_finds_what_her_page_says(gmail)


def _owner_finds_what_her_page_says(gmail: GmailDouble) -> None:
    """With nothing but Gmail: labels, notes, the mail that something broke, and the week's report."""
    page = " ".join((ROOT / "docs" / "owner.md").read_text(encoding="utf-8").split())
    labels = {name for name in gmail.label_names() if name.startswith("Bounce/")}
    assert len(labels) >= 2
    for label in labels:
        assert f"| `{label}` |" in page
    mails = [message_from_bytes(one.raw, policy=policy.default) for one in gmail.messages.values()]
    notes = [mail.get_content() for mail in mails if "(a note, not a mail)" in str(mail["From"])]
    assert notes
    assert "Bounce triage" in page
    for note in notes:
        assert "1. " in note
        assert any(
            words in note for words in ("stopped on your side", "The other side refused it", "still being tried")
        )
    for said in ("stopped on your side", "the other side refused it"):
        assert said in page
    subjects = [str(mail["Subject"]) for mail in mails]
    assert any(subject.startswith("Broken:") for subject in subjects)
    assert "**Broken:**" in page
    (report,) = [mail for mail in mails if str(mail["Subject"]).startswith("Bounce report")]
    body = report.get_body(("plain",))
    assert body is not None
    assert "who was not reached" in body.get_content().lower()
    assert "**Who was not reached**" in page
