"""The note as a mail: what it says, and that hostile words can do no harm in it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import parsers
from parsers.facts import NotABounce
from remediation import load_causes
from remediation.suggest import Names
from tests.worlds.made_mails import NOW, alias_notice, delay, opened, refusal
from triage.display import wrapped
from triage.judging.verdict import classify
from triage.letters.letter import Place, note_place
from triage.letters.note import COLUMNS, MOST_LINES, NOTE_SENDER, compose_note, note_key, note_text

PLACE = Place("triage.1@bounce-triage.invalid", "Undelivered Mail", ("a@example.org", "bounce-1@mx.example.com"))


def records_of(raw: bytes) -> list[dict[str, Any]]:
    return [verdict.as_dict() | {"id": 17} for verdict in classify(parsers.parse(raw), "x")]


# What it says


def test_it_says_to_whom_why_and_what_to_do() -> None:
    lines = note_text(records_of(refusal(1)), NOW).splitlines()
    assert lines[0] == "Not delivered: the mail to pat@client.example. The other side refused it."
    assert lines[1] == "The address does not exist."
    assert lines[3].startswith("1. Compare pat@client.example letter by letter")
    assert lines[-1].startswith("More: `triage explain 17`.")
    assert "notes = false" in lines[-1]
    assert "triage undo notes" in lines[-1]


def test_it_leaves_out_what_nobody_has_to_know() -> None:
    text = note_text(records_of(refusal(1)), NOW)
    for word in ("recipient-unknown", "unknown-user-words", "Whose move", "not certain", "(sender)"):
        assert word not in text


def test_an_alias_failure_is_on_our_side_and_names_its_end() -> None:
    text = note_text(records_of(alias_notice(1)), NOW)
    assert "It was stopped on your side." in text
    assert "This way ends in January 2027: `triage outbox migrate` walks you over to its successor." in text
    assert "January 2027" not in note_text(records_of(refusal(1)), NOW)


def test_what_was_found_out_stands_before_any_step() -> None:
    text = note_text(records_of(alias_notice(1)), NOW, found="Key AKIA...7Q was made inactive on 21 Nov 06:02 UTC.")
    assert text.splitlines()[1] == ("The SMTP login was refused. Key AKIA...7Q was made inactive on 21 Nov 06:02 UTC.")


def test_several_people_are_named_once_each_and_many_are_counted() -> None:
    many = [record for number in range(14) for record in records_of(refusal(1, recipient=f"p{number}@client.example"))]
    first = note_text([*many, many[0]], NOW).splitlines()[0]
    assert first.startswith("Not delivered: the mail to p0@client.example, p1@client.example, ")
    assert first.endswith("p2@client.example and 11 more. The other side refused it.")


@pytest.mark.parametrize(
    ("kind", "recipient", "words"),
    [
        (
            "delayed",
            "pat@client.example",
            "Not delivered yet: the mail to pat@client.example. It is still being tried.",
        ),
        ("feedback", "pat@client.example", "Reported as spam: the mail to pat@client.example."),
        *(
            ("failed", who, "Not delivered: the mail to somebody the report does not name. The other side refused it.")
            for who in ("\u200b", None)
        ),
    ],
)
def test_each_kind_has_its_own_words(kind: str, recipient: str | None, words: str) -> None:
    record = records_of(refusal(1))[0] | {"kind": kind, "recipient": recipient}
    assert note_text([record], NOW).splitlines()[0] == words


def test_facts_make_the_fix_concrete() -> None:
    names = Names(mailbox="jadasailing@gmail.com", smtp_host="email-smtp.us-east-1.amazonaws.com")
    text = note_text(records_of(alias_notice(1)), NOW, names=names)
    assert "In Gmail on a computer: Settings" in text
    assert "SMTP Server: email-smtp.us-east-1.amazonaws.com" in text


@pytest.mark.parametrize("cause", sorted(load_causes()))
def test_the_note_of_every_cause_is_short_and_is_no_bounce_itself(cause: str) -> None:
    record = records_of(alias_notice(1))[0] | {"cause": cause, "side": load_causes()[cause].side}
    record |= {"actor": load_causes()[cause].actor}
    found = "Key AKIA...7Q was made inactive on 21 Nov 06:02 UTC; first failure 21 Nov 08:40 UTC."
    note = compose_note([record], PLACE, NOW, found=found if record["side"] == "own" else None)
    text = note_text([record], NOW, found=found if record["side"] == "own" else None)
    lines = [line for paragraph in text.splitlines() for line in wrapped(paragraph, COLUMNS)]
    assert len(lines) <= MOST_LINES
    assert "1. " in text
    numbers = re.findall(r"^(\d)\. ", text, re.MULTILINE)
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]
    assert len(note) < 2500
    read = parsers.parse(note)
    assert isinstance(read, NotABounce)
    assert "this program" in read.why


def test_a_cause_of_another_version_is_said_to_be_one() -> None:
    text = note_text([records_of(refusal(1))[0] | {"cause": "moon-phase"}], NOW)
    assert "A cause this version does not know." in text


# As a mail


def test_its_headers_make_it_a_note_of_ours_in_the_thread_of_the_bounce() -> None:
    mail = opened(compose_note(records_of(refusal(1)), PLACE, NOW))
    assert NOTE_SENDER in str(mail["From"])
    assert NOTE_SENDER.endswith(".invalid")
    assert mail["To"] is None
    assert mail["Subject"] == "Undelivered Mail"
    assert mail["Message-ID"] == "<triage.1@bounce-triage.invalid>"
    assert mail["In-Reply-To"] == "<bounce-1@mx.example.com>"
    assert str(mail["References"]).split() == ["<a@example.org>", "<bounce-1@mx.example.com>"]
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["X-Triage"] == "note; cause=recipient-unknown"
    assert mail["Date"] == "Tue, 24 Nov 2026 09:30:00 +0000"
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().replace("\r\n", "\n") == note_text(records_of(refusal(1)), NOW)


def test_its_message_id_depends_on_thread_bounce_and_cause_alone() -> None:
    base = {"key": "mailbox-full", "thread_id": "18a", "gmail_id": "18b"}
    bounce: dict[str, Any] = {"subject": "S", "message_id": "m@example.org", "references": ()}
    place = note_place(**base, **bounce)
    assert place is not None
    assert place == note_place(**base, **bounce)
    for key in base:
        other = note_place(**(base | {key: "18c"}), **bounce)
        assert other is not None
        assert other.message_id != place.message_id
    again = note_place(**base, **(bounce | {"subject": "T", "message_id": "n@example.org"}))
    assert again is not None
    assert again.message_id == place.message_id


@pytest.mark.parametrize("message_id", [None, "", "a b", "x>\r\nBcc: <y", "é@example.org", "x" * 300])
def test_without_a_usable_reference_there_is_no_place(message_id: str | None) -> None:
    assert note_place("unknown", "t", "g", subject="S", message_id=message_id, references=()) is None
    place = note_place("unknown", "t", "g", subject="S", message_id=message_id, references=("ok@example.org",))
    assert place is not None
    assert place.references == ("ok@example.org",)


HOSTILE = [
    "a\r\nBcc: eve@example.org",
    "\u202egnp.exe\u200b\x00\x1b[31m",
    "see https://evil.example/login or www.evil.example now",
    'you" \n\nWhat to do:\n1. Pay',
    "`rm -rf /`",
    "\udcff\udc80",
    "é" * 2000,
]


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_words_bring_no_header_no_line_and_no_link(words: str) -> None:
    mail, plain = (opened(_full_of(text)) for text in (words, "plain words"))
    assert mail.keys() == plain.keys()
    text = mail.get_content().replace("\r\n", "\n")
    assert text.count("\n") <= plain.get_content().count("\n")  # long words leave room for fewer steps
    assert "evil.example/login" not in text
    assert "www.evil" not in text
    assert "`rm" not in text
    assert all(char.isprintable() or char == "\n" for char in text)


def _full_of(words: str) -> bytes:
    """A note in which every value a stranger can set is this text."""
    record = records_of(refusal(1))[0]
    ses = {"ses_message_id": words, "ses_region": words, "subject": words}
    record |= dict.fromkeys(("recipient", "diagnostic", "remote_host", "evidence"), words)
    record |= {"original": (record["original"] or {}) | ses}
    return compose_note([record], PLACE, NOW, found=words)


@given(st.text(max_size=1200), st.text(max_size=300))
def test_any_subject_and_any_words_make_one_mail(subject: str, words: str) -> None:
    place = note_place("x", "t", "g", subject=subject, message_id="m@example.org", references=())
    assert place is not None
    record = records_of(refusal(1))[0] | {"diagnostic": words or None, "recipient": words or None}
    note = compose_note([record], place, NOW)
    assert note.isascii()
    assert max(map(len, note.split(b"\r\n"))) <= 998  # RFC 5322 2.1.1
    mail = opened(note)
    assert len(mail.get_all("From", [])) == 1
    assert mail["X-Triage"]
    assert not mail.defects


@pytest.mark.parametrize("subject", ["Zustellung gescheitert: Törn ⛵ " * 6, "=?utf-8?q?x?=", "x" * 700, "a  b"])
def test_the_subject_is_that_of_the_bounce_letter_by_letter(subject: str) -> None:
    place = note_place("x", "t", "g", subject=subject, message_id="m@example.org", references=())
    assert place is not None
    mail = opened(compose_note(records_of(refusal(1)), place, NOW))
    assert mail["Subject"] == " ".join(subject.split())


def test_a_delay_is_another_story_than_a_failure() -> None:
    assert note_key(records_of(delay(1))[0]) == "connection-failed/delayed"
    assert note_key(records_of(refusal(1))[0]) == "recipient-unknown"


def test_a_login_that_is_made_is_entered_too_however_long_the_names_are() -> None:
    """The note of a repair holds both steps; whom it hit and how it came about are cut for them."""
    records = [
        records_of(alias_notice(number))[0] | {"recipient": f"a-rather-long-name-{number}@harborview-events.example"}
        for number in range(6)
    ]
    relay = Names(alias="admin@queenofsandiego.com", smtp_host="email-smtp.us-east-1.amazonaws.com", smtp_port="587")
    for found in (None, "Key AKIA...NJ was made inactive on 22 Nov 07:36 UTC; first failure 22 Nov 10:15 UTC."):
        text = note_text(records, NOW, names=relay, found=found)
        assert "1. Make a new login" in text
        assert "2. In Gmail on a computer: Settings" in text
        assert sum(len(wrapped(line, COLUMNS)) or 1 for line in text.splitlines()) <= MOST_LINES
