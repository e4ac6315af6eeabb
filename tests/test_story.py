"""The story, end to end: the real command line as a subprocess, the real Google client, a Gmail double on loopback.

One conversation holds two failures of the alias's relay and one refusal by the recipient's Exchange server. The run
must tell them apart, tie the third to the SES message it was, and say so in the mailbox; the next run must be cheap.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.command import triage
from tests.doubles.gmail import GmailDouble

ROOT = Path(__file__).parents[1]
STORY = sorted((ROOT / "examples" / "mailbox").glob("[123]-*.eml"))


@pytest.fixture
def gmail(tmp_path: Path) -> Iterator[tuple[GmailDouble, str]]:
    """A mailbox with the conversation in it, and the id of its thread."""
    with GmailDouble() as double:
        double.write_credentials(tmp_path)
        (tmp_path / "triage.toml").write_text(f'gmail_url = "{double.url}"\nnotes = false\n', encoding="utf-8")
        now = datetime.now(UTC)
        first = double.seed(STORY[0].read_bytes(), received_at=now - timedelta(hours=3))
        thread = double.messages[first].thread_id
        for hours, mail in enumerate(STORY[1:], 1):
            double.seed(mail.read_bytes(), thread_id=thread, received_at=now - timedelta(hours=3 - hours))
        yield double, thread


def test_the_two_failures_are_told_apart_in_one_conversation(gmail: tuple[GmailDouble, str], tmp_path: Path) -> None:
    double, thread = gmail
    assert len(STORY) == 3
    triage(tmp_path, "run")
    with closing(sqlite3.connect(tmp_path / "triage.db")) as connection:
        rows = connection.execute(
            "SELECT category, side, actor, ses_message_id IS NOT NULL, ses_region, ses_id_source, path FROM verdicts"
            " ORDER BY received_at"
        ).fetchall()
    never_left = ("smtp-credentials", "own", "mailbox-owner", 0, None, None, "gmail-alias")
    assert rows[:2] == [never_left, never_left]
    category, side, _, has_id, region, source, path = rows[2]
    assert (category, side, has_id, region, path) == ("exchange-rejection", "remote", 1, "us-west-2", "ses-api")
    assert source is not None
    labels = [name for name in double.label_names_of_thread(thread) if name.startswith("Bounce/")]
    assert sorted(labels) == ["Bounce/Exchange rejection", "Bounce/Fix your alias"]


def test_the_second_run_asks_twice_at_most(gmail: tuple[GmailDouble, str], tmp_path: Path) -> None:
    double, _ = gmail
    triage(tmp_path, "run")
    double.reset_counters()
    assert triage(tmp_path, "run") == ""
    assert double.quota.http_requests <= 2
    assert double.quota.units_new <= 6
