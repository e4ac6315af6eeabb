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

from tests.doubles.gmail import GmailDouble
from tests.worlds.command import triage
from tests.worlds.made_mails import put_original_into_sent

ROOT = Path(__file__).parents[2]
STORY = sorted((ROOT / "examples" / "mailbox").glob("[123]-*.eml"))


@pytest.fixture
def gmail(tmp_path: Path) -> Iterator[tuple[GmailDouble, str]]:
    """A mailbox with the conversation in it, and the id of its thread."""
    with GmailDouble() as double:
        double.write_credentials(tmp_path)
        (tmp_path / "triage.toml").write_text(f'gmail_url = "{double.url}"\nnotes = false\n', encoding="utf-8")
        now = datetime.now(UTC)
        for mail in STORY[:2]:  # the third was sent by SES's API, and never lay in Sent
            put_original_into_sent(double, mail.read_bytes())
        double.add_send_as("admin@queenofsandiego.com", host="email-smtp.us-east-1.amazonaws.com")
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
    # Nothing here shows that the third is about a mail of ours: the demo has the event of SES that does.
    assert labels == ["Bounce/Fix your alias"]


def test_the_second_run_asks_twice_at_most(gmail: tuple[GmailDouble, str], tmp_path: Path) -> None:
    double, _ = gmail
    triage(tmp_path, "run")
    double.reset_counters()
    assert triage(tmp_path, "run") == ""
    assert double.quota.http_requests <= 2
    assert double.quota.units_new <= 6
