"""A newcomer with nothing but the README: sign in, doctor, run, report, each message naming the next step.

Everything is the real command line against the Gmail double; the only thing simulated is the browser, in which the
consent is clicked and the address it ends on is pasted back.
"""

from __future__ import annotations

import http.client
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.doubles.gmail import GmailDouble
from tests.worlds.command import environment, words
from tests.worlds.made_mails import put_original_into_sent

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
    process = _start(folder, *arguments)
    out, err = process.communicate(timeout=60)
    return process.returncode, out + err


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


def test_each_message_names_the_next_step(home: tuple[GmailDouble, Path]) -> None:
    gmail, folder = home

    code, said = _triage(folder, "doctor")
    assert code == 77
    assert "triage auth" in said

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
    assert "triage doctor" in out

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
