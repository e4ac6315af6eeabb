"""A mail that names thousands of recipients costs no more than one with two hundred, and says what was left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import parsers
from parsers.facts import MOST_RECIPIENTS, Bounce
from remediation import load_causes
from tests.doubles.gmail import GmailDouble
from tests.worlds.made_mails import EVERYBODY, NOW, OWNER, minutes_ago, sent
from tests.worlds.run_world import ask, clock, seed, settings_over
from triage import run as worker
from triage.gmail.client import connect
from triage.gmail.sent import Claim, Sent
from triage.judging.verdict import classify
from triage.owner.explain import explain_mail
from triage.store import incidents as store_incidents

MANY = 3000


def report(recipients: int, number: int = 1) -> bytes:
    """A delivery report about a mail in Sent, the recipients without a blank line between them, as AOL writes them."""
    people = "".join(
        f"Final-Recipient: rfc822; person-{one}@client.example\nAction: failed\nStatus: 5.7.1\n"
        for one in range(1, recipients + 1)
    )
    return (
        "Authentication-Results: mx.google.com; dkim=pass header.i=@mx.example.com\nReturn-Path: <>\n"
        f"From: Mail Delivery <mailer-daemon@mx.example.com>\nTo: {OWNER}\n"
        "Subject: Undelivered Mail Returned to Sender\n"
        f"Date: Tue, 24 Nov 2026 09:00:00 +0000\nMessage-ID: <many-{number}@mx.example.com>\nMIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n--b\n'
        "Content-Type: text/plain\n\nYour mail was refused by policy.\n--b\nContent-Type: message/delivery-status\n\n"
        f"Reporting-MTA: dns; mx.example.com\n\n{people}\n--b\nContent-Type: message/rfc822\n\n"
        f"Message-ID: <mail-1@example.org>\nFrom: {OWNER}\nTo: pat@client.example\nSubject: Your booking\n"
        "Date: Tue, 24 Nov 2026 08:59:00 +0000\n\nHello\n--b--\n"
    ).replace("\n", "\r\n").encode()  # fmt: skip


def read(recipients: int) -> Bounce:
    found = parsers.parse(report(recipients))
    assert isinstance(found, Bounce)
    return found


@pytest.mark.parametrize(("recipients", "told"), [(1, 1), (200, 200), (201, 200), (MANY, 200)])
def test_so_many_are_told_and_the_rest_is_counted(recipients: int, told: int) -> None:
    found = read(recipients)
    assert (len(found.failures), found.left_out) == (told, recipients - told)
    assert found.failures[0].recipient == "person-1@client.example"
    records = [verdict.as_dict() for verdict in classify(found, "gmail:1")]
    assert len(records) == told
    left_out = [record["why"] for record in records if "why" in record]
    words = f"left out: at least {recipients - told:,} more recipient"
    assert [(why or "").startswith(words) for why in left_out] == [True] * (recipients > told)
    lines = explain_mail(found, records, [], load_causes())
    assert (f"at least {recipients - told:,} more left out" in lines[0]) == (recipients > told)
    assert (words in "\n".join(lines).lower()) == (recipients > told)


def test_a_run_settles_an_incident_once_for_a_mail_and_asks_gmail_once(
    gmail: GmailDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_over(gmail, tmp_path, monkeypatch, "notes = false\n")
    settled: list[int] = []
    real = store_incidents._settle

    def counted(db: Any, incident_id: int, at: Any) -> None:
        settled.append(incident_id)
        real(db, incident_id, at)

    monkeypatch.setattr(store_incidents, "_settle", counted)
    everybody = ", ".join(f"person-{one}@client.example" for one in range(1, 300))
    gmail.seed(sent("mail-1@example.org", everybody), labels=["SENT"], received_at=minutes_ago(60))
    seed(gmail, report(MANY))
    assert MOST_RECIPIENTS == 200
    assert worker.run(settings, clock).judged == MOST_RECIPIENTS
    (row,) = ask(settings, "SELECT count(*) AS proven FROM verdicts WHERE proof = 'sent' AND incident_id IS NOT NULL")
    assert row["proven"] == MOST_RECIPIENTS
    (last,) = ask(settings, "SELECT why FROM verdicts WHERE why IS NOT NULL")
    assert "2,800 more" in last["why"]
    assert len(settled) == 1
    # Listing, fetching, one search of Sent, the headers of at most two copies, the label: nothing for each recipient.
    assert gmail.quota.units_new < 150


def test_one_original_is_searched_for_once_whoever_bounces_it(gmail: GmailDouble, tmp_path: Path) -> None:
    gmail.seed(sent("mail-1@example.org", EVERYBODY), labels=["SENT"], received_at=minutes_ago(60))
    gmail.write_credentials(tmp_path)
    opened = connect(tmp_path / "token.json", url=gmail.url, sleep=lambda _: None)
    found = Sent(opened)
    claim = Claim(("mail-1@example.org",), OWNER, "Your booking", None)
    gmail.reset_counters()
    for number in range(50):
        address = f"stranger-{number}@client.example"
        assert found.holds(claim, [address]) == {address: False}
    assert found.holds(claim, ["pat@client.example"]) == {"pat@client.example": True}
    assert gmail.quota.calls["messages.list"] <= 2
    assert gmail.quota.calls["messages.get"] == 1
    opened.close()


def test_the_opposite_a_real_report_about_one_person_costs_one_search(gmail: GmailDouble, tmp_path: Path) -> None:
    gmail.seed(sent("mail-1@example.org", EVERYBODY), labels=["SENT"], received_at=minutes_ago(60))
    gmail.write_credentials(tmp_path)
    opened = connect(tmp_path / "token.json", url=gmail.url, sleep=lambda _: None)
    gmail.reset_counters()
    claim = Claim(("mail-1@example.org",), OWNER, "Your booking", NOW)
    assert Sent(opened).holds(claim, ["pat@client.example"]) == {"pat@client.example": True}
    assert gmail.quota.units_new == 5
    opened.close()
