"""The note as a mail: what it says, and that hostile words can do no harm in it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import parsers
from parsers.facts import NotABounce
from remediation import load_causes
from remediation.suggest import Names
from tests.worlds.made_mails import NOW, alias_notice, delay, opened, refusal
from triage.judge.verdict import classify
from triage.letters.letter import Place, note_place
from triage.letters.note import NOTE_SENDER, Conclusion, compose_note, note_key, note_text

PLACE = Place("triage.1@bounce-triage.invalid", "Undelivered Mail", ("a@example.org", "bounce-1@mx.example.com"))


def records_of(raw: bytes) -> list[dict[str, Any]]:
    return [verdict.record() | {"id": 17} for verdict in classify(parsers.parse(raw), "x")]


# What it says


def test_it_says_to_whom_why_whose_move_the_fix_and_the_evidence() -> None:
    paragraphs = note_text(records_of(refusal(1))).split("\n\n")
    assert paragraphs[0] == "Not delivered: the mail to pat@client.example."
    assert paragraphs[1].startswith("Why: The recipient's server was reached and knows no such mailbox (user unknown)")
    assert "[recipient-unknown]" in paragraphs[1]
    assert paragraphs[1].endswith("It left your side; the other side refused it.")
    assert paragraphs[2] == "Whose move: you, the sender: another address, or another content (sender)."
    steps = paragraphs[3].splitlines()
    assert steps[:2] == ["What to do:", f"1. {records_of(refusal(1))[0]['fix'][0]}"]
    assert '"550 5.1.1 <user> User unknown"' in paragraphs[4]
    assert "mx[.]client[.]example" in paragraphs[4]
    assert "rule unknown-user-words" in paragraphs[4]
    assert "triage explain 17" in paragraphs[4]
    assert "notes = false" in paragraphs[5]
    assert "triage undo notes" in paragraphs[5]


def test_an_alias_failure_is_on_our_side_and_names_its_end_date() -> None:
    text = note_text(records_of(alias_notice(1)))
    assert "It never left your side" in text
    assert "January 2027" in text


def test_what_was_found_out_is_told_and_only_a_proof_ends_the_doubt() -> None:
    doubt = "This is not certain; `triage explain 17` says what would decide it."
    told = {
        result: note_text(records_of(alias_notice(1)), conclusion=Conclusion("the key AKIA...7Q is gone", result))
        for result in ("likely", "proven")
    }
    assert doubt in note_text(records_of(alias_notice(1)))
    assert doubt in told["likely"]
    assert "Found out: the key AKIA...7Q is gone (likely)" in told["likely"]
    assert doubt not in told["proven"]
    assert "Found out: the key AKIA...7Q is gone (proven)" in told["proven"]


def test_several_people_are_named_once_each_and_many_are_counted() -> None:
    many = [record for number in range(14) for record in records_of(refusal(1, recipient=f"p{number}@client.example"))]
    first = note_text([*many, many[0]]).splitlines()[0]
    assert first.startswith("Not delivered: the mail to p0@client.example, p1@client.example, ")
    assert first.endswith("p9@client.example and 4 more.")


@pytest.mark.parametrize(
    ("kind", "recipient", "words"),
    [
        (
            "delayed",
            "pat@client.example",
            "Not delivered yet: the mail to pat@client.example. It is still being tried.",
        ),
        ("feedback", "pat@client.example", "Reported as spam: the mail to pat@client.example."),
        ("failed", "\u200b", "Not delivered: the mail to somebody the report does not name."),
        ("failed", None, "Not delivered: the mail to somebody the report does not name."),
    ],
)
def test_each_kind_has_its_own_words(kind: str, recipient: str | None, words: str) -> None:
    record = records_of(refusal(1))[0] | {"kind": kind, "recipient": recipient}
    assert note_text([record]).splitlines()[0] == words
    assert ("the other side refused it" in note_text([record])) == (kind == "failed")


def test_known_names_make_the_fix_concrete() -> None:
    text = note_text(records_of(alias_notice(1)), names=Names(mailbox="jadasailing@gmail.com", iam_user="ses-smtp"))
    assert "open Gmail as jadasailing@gmail.com" in text
    assert "aws iam list-access-keys --user-name ses-smtp" in text


@pytest.mark.parametrize("cause", sorted(load_causes()))
def test_the_note_of_every_cause_is_short_and_is_no_bounce_itself(cause: str) -> None:
    record = records_of(alias_notice(1))[0] | {"cause": cause, "side": load_causes()[cause].side}
    record |= {"actor": load_causes()[cause].actor}
    note = compose_note([record], PLACE, NOW)
    assert len(note) < 4500
    found = parsers.parse(note)
    assert isinstance(found, NotABounce)
    assert "this program" in found.why


def test_a_cause_of_another_version_is_said_to_be_one() -> None:
    text = note_text([records_of(refusal(1))[0] | {"cause": "moon-phase"}])
    assert "a cause this version does not know [moon-phase]" in text


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
    assert mail.get_content().replace("\r\n", "\n") == note_text(records_of(refusal(1)))


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
    assert text.count("\n") == plain.get_content().count("\n")
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
    return compose_note([record], PLACE, NOW, conclusion=Conclusion(words, "likely"))


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
