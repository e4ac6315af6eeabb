"""What every message of ours is made of: ids that never change, and headers no value can break."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlite_utils import Database

from tests.incidents.made import put, record
from tests.worlds.made_mails import NOW, opened
from triage import store
from triage.config import Settings
from triage.incidents import alerts
from triage.letters.letter import Place, letter_bytes, letter_id, note_place
from triage.report.mail import report_message_id
from triage.resend.mail import resend_id


def letter(**changes: Any) -> bytes:
    values: dict[str, Any] = {
        "what": "note",
        "sender": "Bounce triage <note@bounce-triage.invalid>",
        "at": NOW,
        "text": "Hello.\n",
        "place": Place(letter_id("x"), "Undelivered Mail"),
    }
    return letter_bytes(**(values | changes))


# Ids: what earlier versions put into mailboxes is found by them


@pytest.mark.parametrize(
    ("key", "gmail_id", "expected"),
    [
        ("recipient-unknown", "18b", "triage.179898dead64fb12c006ce196a97f916"),
        ("rotation r1 new", "18a", "triage.e9f47b795bdc220ac7a4042e6134799c"),
    ],
)
def test_a_note_keeps_the_id_it_always_had(key: str, gmail_id: str, expected: str) -> None:
    place = note_place(key, "18a", gmail_id, subject="S", message_id="m@example.org", references=())
    assert place is not None
    assert place.message_id == f"{expected}@bounce-triage.invalid"


def test_an_alert_keeps_the_id_it_always_had(db: Database, plain: Settings) -> None:
    put(db, 1, record(), at=NOW)
    store.settle_all(db, NOW)
    alerts.plan_due_alerts(db, replace(plain, alert_inbox=True), NOW)
    (alert,) = store.planned_alerts(db)
    assert alert["message_id"] == "triage.e7363886cbf054e81a03106e6c4975e5@bounce-triage.invalid"


def test_a_report_and_a_mail_given_once_more_keep_the_ids_they_always_had() -> None:
    at = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
    report = "triage.13ca0ef30f63dda5fa3d00d9786ba177@bounce-triage.invalid"
    assert report_message_id("JadaSailing@gmail.com", at) == report
    again = "triage.c2eed7c5e5563201404bfc0f5c93bc6d@queenofsandiego.com"
    assert resend_id("own@mail.gmail.com", "Pat@client.example", "ses", "queenofsandiego.com") == again


# Headers


def test_it_says_what_it_is_to_people_and_to_programs() -> None:
    mail = opened(letter(what="alert", to="jadasailing@gmail.com", text="Broken.\n", html="<p>Broken.</p>"))
    assert [(name, value) for name, value in mail.items() if not name.startswith(("Content-", "MIME-"))] == [
        ("From", "Bounce triage <note@bounce-triage.invalid>"),
        ("To", "jadasailing@gmail.com"),
        ("Subject", "Undelivered Mail"),
        ("Date", "Tue, 24 Nov 2026 09:30:00 +0000"),
        ("Message-ID", f"<{letter_id('x')}>"),
        ("Auto-Submitted", "auto-generated"),
        ("X-Triage", "alert"),
    ]
    parts = [(part.get_content_type(), part.get_content().strip()) for part in mail.iter_parts()]
    assert parts == [("text/plain", "Broken."), ("text/html", "<p>Broken.</p>")]


@pytest.mark.parametrize("message_id", ["a" * 200 + "@example.org", "=?utf-8?q?abc?=@example.org", "x@y"])
def test_what_it_answers_is_named_letter_by_letter(message_id: str) -> None:
    """Else it would not join its thread."""
    raw = letter(place=Place(letter_id("x"), "S", ("first@example.org", message_id)))
    assert f"\r\nIn-Reply-To: <{message_id}>\r\n".encode() in raw
    assert f"\r\nReferences: <first@example.org>\r\n <{message_id}>\r\n".encode() in raw


@pytest.mark.parametrize("subject", ["", "=?utf-8?q?x?=", "x" * 900, "y " * 400, "T\u00f6rn \u26f5 " * 80])
def test_its_subject_comes_out_letter_by_letter(subject: str) -> None:
    raw = letter(place=Place(letter_id("x"), subject))
    assert opened(raw)["Subject"] == subject.strip()
    words = [line for line in raw.partition(b"Date:")[0].splitlines() if b"=?" in line]
    assert max(map(len, words), default=0) <= 76  # RFC 2047 2


@given(st.lists(st.text(max_size=300), min_size=5, max_size=5))
def test_no_value_brings_a_header_or_a_line(values: list[str]) -> None:
    what, sender, to, subject, message_id = values
    place = Place(message_id, subject, tuple(values))
    raw = letter(what=what, sender=sender, to=to, place=place, text="".join(values), html=what)
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998  # RFC 5322 2.1.1
    assert b"\n" not in raw.replace(b"\r\n", b"")
    head = raw.partition(b"\r\n\r\n")[0].replace(b"\r\n ", b" ").split(b"\r\n")
    assert [line.partition(b":")[0] for line in head if not line.startswith((b"To:", b"Content-"))] == [
        *(b"From", b"Subject", b"Date", b"Message-ID", b"In-Reply-To", b"References", b"Auto-Submitted"),
        *(b"X-Triage", b"MIME-Version"),
    ]
