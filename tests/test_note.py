"""The note in the thread: what it says, whom it can harm (nobody), and that there is exactly one, at its price."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import parsers
from parsers.facts import NotABounce
from remediation import load_causes
from remediation.suggest import suggest
from tests.doubles.gmail import GmailDouble
from tests.made_mails import NOW, alias_notice, delay, minutes_ago, refusal, sent
from triage import run as worker
from triage import store, store_incidents
from triage.classify import classify
from triage.config import Settings, load_settings
from triage.gmail import connect
from triage.note import NOTE_SENDER, Conclusion, Place, compose_note, note_key, note_place, note_text
from triage.report_text import planned_words
from triage.run import RunSummary

PLACE = Place("triage.1@bounce-triage.invalid", "Undelivered Mail", ("a@example.org", "bounce-1@mx.example.com"))


def records_of(raw: bytes) -> list[dict[str, Any]]:
    return [verdict.record() | {"id": 17} for verdict in classify(parsers.parse(raw), "x")]


def opened(note: bytes) -> EmailMessage:
    mail = message_from_bytes(note, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


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
    assert "mx.client.example" in paragraphs[4]
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


def test_facts_make_the_fix_concrete() -> None:
    text = note_text(records_of(alias_notice(1)), facts={"mailbox": "jadasailing@gmail.com", "iam_user": "ses-smtp"})
    assert "open Gmail as jadasailing@gmail.com" in text
    assert "aws iam list-access-keys --user-name ses-smtp" in text


@pytest.mark.parametrize("cause", sorted(load_causes()))
def test_the_note_of_every_cause_is_short_and_is_no_bounce_itself(cause: str) -> None:
    record = records_of(alias_notice(1))[0] | {"cause": cause, "side": load_causes()[cause].side}
    record |= {"actor": load_causes()[cause].actor, "fix": suggest(record)}
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
    return compose_note([record | {"fix": suggest(record)}], PLACE, NOW, conclusion=Conclusion(words, "likely"))


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


# In a run


@pytest.fixture
def gmail() -> Iterator[GmailDouble]:
    with GmailDouble() as double:
        yield double


@pytest.fixture
def settings(gmail: GmailDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    gmail.write_credentials(tmp_path)
    monkeypatch.setattr(worker, "connect", partial(connect, sleep=lambda seconds: None, timeout_seconds=1))
    (tmp_path / "triage.toml").write_text("")
    return load_settings(tmp_path / "triage.toml", {"TRIAGE_GMAIL_URL": gmail.url})


Work = Callable[..., RunSummary]


@pytest.fixture
def work(settings: Settings) -> Work:
    """Do one run at a given moment, by default the one these tests know."""
    return lambda at=NOW, **changes: worker.run(replace(settings, **changes), lambda: at)


def seed(gmail: GmailDouble, *mails: bytes, thread_id: str | None = None, minutes: float = 30) -> str:
    """Let mails arrive one minute after the other, in one thread if given; returns the thread of the last."""
    for number, mail in enumerate(mails):
        last = gmail.seed(mail, thread_id=thread_id, received_at=minutes_ago(minutes - number))
    return gmail.messages[last].thread_id


def conversation(gmail: GmailDouble) -> str:
    """A thread that begins with a mail of ours."""
    message_id = gmail.seed(sent("mail-1@example.org"), labels=["SENT"], received_at=minutes_ago(60))
    return gmail.messages[message_id].thread_id


def notes(gmail: GmailDouble, thread_id: str | None = None) -> list[EmailMessage]:
    """The notes in a thread, or anywhere."""
    return [
        opened(message.raw)
        for message in gmail.messages.values()
        if b"X-Triage: note" in message.raw and thread_id in (None, message.thread_id)
    ]


def rows(settings: Settings, sql: str) -> list[dict[str, Any]]:
    db = store.open_readonly(settings.database)
    assert db is not None
    try:
        return list(db.query(sql))
    finally:
        db.close()


def test_a_bounce_is_explained_in_its_own_thread(gmail: GmailDouble, work: Work, settings: Settings) -> None:
    thread_id = seed(gmail, refusal(1))
    bounce = next(iter(gmail.messages.values()))
    labels = list(bounce.labels)
    summary = work()
    assert (summary.actions, summary.notes) == (1, 1)
    (note,) = notes(gmail, thread_id)
    assert note["Subject"] == "Undelivered Mail Returned to Sender"
    assert "Not delivered: the mail to pat@client.example." in note.get_content()
    (verdict,) = rows(settings, "SELECT id FROM verdicts")
    assert f"triage explain {verdict['id']}" in note.get_content()
    assert set(labels) < set(bounce.labels), "still unread, still in the inbox"
    (stored,) = [message for message in gmail.messages.values() if b"X-Triage" in message.raw]
    assert not {"INBOX", "UNREAD", "SENT"} & set(stored.labels)
    assert gmail.sent == []
    (action,) = rows(settings, "SELECT * FROM actions WHERE kind = 'note'")
    assert (action["state"], action["gmail_id"], action["error"]) == ("done", stored.id, None)
    assert rows(settings, "SELECT notes FROM runs") == [{"notes": 1}]


def test_a_note_is_never_taken_for_a_bounce_and_costs_nothing_later(gmail: GmailDouble, work: Work) -> None:
    seed(gmail, alias_notice(1), refusal(2), thread_id=conversation(gmail))
    work()
    gmail.reset_counters()
    summary = work()
    assert (summary.new, summary.units_new, summary.requests) == (0, 5, 1)


def test_one_note_for_each_cause_however_many_bounces(gmail: GmailDouble, work: Work) -> None:
    thread_id = conversation(gmail)
    second = alias_notice(2).replace(b"pat@client.example", b"sam@client.example")
    seed(gmail, alias_notice(1), second, refusal(3), thread_id=thread_id)
    assert work().notes == 2
    alias, remote = sorted(notes(gmail, thread_id), key=lambda note: "It left your side" in note.get_content())
    assert alias.get_content().startswith("Not delivered: the mail to pat@client.example and sam@client.example.")
    assert remote.get_content().startswith("Not delivered: the mail to pat@client.example.")
    seed(gmail, alias_notice(4), thread_id=thread_id, minutes=5)
    assert work().notes == 0
    assert len(notes(gmail)) == 2


def test_an_alias_note_names_the_account_and_the_relay_gmail_has(gmail: GmailDouble, work: Work) -> None:
    gmail.add_send_as("admin@queenofsandiego.com", host="email-smtp.us-west-2.amazonaws.com")
    thread_id = conversation(gmail)
    seed(gmail, alias_notice(1), thread_id=thread_id)
    work(smtp_user="ses-smtp-user")
    (note,) = notes(gmail, thread_id)
    for words in ("Gmail as jadasailing@gmail.com", "email-smtp.us-west-2.amazonaws.com", "--user-name ses-smtp-user"):
        assert words in note.get_content()


def test_trouble_that_comes_back_after_it_was_over_gets_a_note_of_its_own(
    gmail: GmailDouble, work: Work, settings: Settings
) -> None:
    thread_id = conversation(gmail)
    gmail.seed(alias_notice(1), thread_id=thread_id, received_at=NOW - timedelta(days=9))
    assert work(NOW - timedelta(days=9)).notes == 1
    db = store.open_store(settings.database)
    (incident,) = db.execute("SELECT id FROM incidents").fetchall()
    store_incidents.close_by_hand(db, incident[0], "new password", NOW - timedelta(days=8))
    db.close()
    again = alias_notice(2).replace(b"pat@client.example", b"sam@client.example")
    gmail.seed(again, thread_id=thread_id, received_at=NOW - timedelta(days=1))
    assert work().notes == 1
    first, second = notes(gmail, thread_id)
    assert first["Message-ID"] != second["Message-ID"]
    assert second.get_content().startswith("Not delivered: the mail to sam@client.example.")


@pytest.mark.parametrize(
    ("genuine", "is_in_sent", "expected"), [("unknown", True, 1), ("unknown", False, 0), ("fail", True, 0)]
)
def test_only_what_is_acted_on_is_explained(
    gmail: GmailDouble, work: Work, genuine: str, is_in_sent: bool, expected: int
) -> None:
    if is_in_sent:
        conversation(gmail)
    seed(gmail, refusal(1, genuine=genuine))
    assert work().notes == expected
    assert len(notes(gmail)) == expected


def test_a_delay_that_ended_before_its_note_was_written_gets_none(
    gmail: GmailDouble, work: Work, settings: Settings
) -> None:
    thread_id = conversation(gmail)
    seed(gmail, delay(1), refusal(2), thread_id=thread_id)
    assert work().notes == 1
    assert "Not delivered yet" not in notes(gmail, thread_id)[0].get_content()
    dropped = rows(settings, "SELECT state, error FROM actions WHERE kind = 'note' ORDER BY id LIMIT 1")
    assert dropped[0]["state"] == "dropped"


def test_notes_can_be_switched_off(gmail: GmailDouble, work: Work, settings: Settings) -> None:
    seed(gmail, refusal(1))
    assert work(notes=False).notes == 0
    assert rows(settings, "SELECT * FROM actions WHERE kind = 'note'") == []


def test_what_was_planned_before_they_were_switched_off_is_dropped(
    gmail: GmailDouble, work: Work, settings: Settings
) -> None:
    seed(gmail, refusal(1))
    gmail.fail("messages.insert", status=400)
    assert work().notes == 0
    assert work(notes=False).notes == 0
    (action,) = rows(settings, "SELECT state, error FROM actions WHERE kind = 'note'")
    assert action == {"state": "dropped", "error": "notes are switched off"}
    assert notes(gmail) == []


@pytest.mark.parametrize(("inbox", "unread"), [(True, False), (False, True), (True, True)])
def test_a_note_may_bring_the_conversation_up_again(gmail: GmailDouble, work: Work, inbox: bool, unread: bool) -> None:
    seed(gmail, refusal(1))
    work(note_inbox=inbox, note_unread=unread)
    (note,) = [message for message in gmail.messages.values() if b"X-Triage" in message.raw]
    assert ("INBOX" in note.labels, "UNREAD" in note.labels) == (inbox, unread)


def test_a_bounce_with_label_and_note_costs_sixty_units(gmail: GmailDouble, work: Work) -> None:
    seed(gmail, refusal(1))
    work()  # makes the label
    per_run = 5 + 1  # listing the mails, listing the labels
    for number in (2, 3):
        gmail.reset_counters()
        seed(gmail, refusal(number, original_id=f"mail-{number}@example.org"), minutes=5)
        assert work().notes == 1
        assert gmail.quota.units_new - per_run <= 60


def test_a_dry_run_tells_the_notes_once(gmail: GmailDouble, settings: Settings, work: Work) -> None:
    thread_id = conversation(gmail)
    seed(gmail, alias_notice(1), alias_notice(2), refusal(3), thread_id=thread_id)
    plan = worker.dry_run(settings, lambda: NOW)
    assert [line for line in planned_words(plan) if "note" in line] == [
        f"Would note    thread {thread_id}: alias-credentials-rejected",
        f"Would note    thread {thread_id}: recipient-unknown",
    ]
    assert plan.summary.notes == work().notes == 2


# Exactly once


def test_a_lost_database_writes_no_second_note(gmail: GmailDouble, work: Work, settings: Settings) -> None:
    seed(gmail, refusal(1), refusal(2, original_id="mail-2@example.org"))
    work()
    settings.database.unlink()
    work()
    assert len(notes(gmail)) == 2
    assert [row["state"] for row in rows(settings, "SELECT state FROM actions WHERE kind = 'note'")] == ["done"] * 2


def test_a_note_the_user_threw_away_stays_there(gmail: GmailDouble, work: Work, settings: Settings) -> None:
    seed(gmail, refusal(1))
    work()
    (note,) = [message for message in gmail.messages.values() if b"X-Triage" in message.raw]
    note.labels.append("TRASH")
    settings.database.unlink()
    work()
    assert len(notes(gmail)) == 1


@pytest.mark.parametrize("lag", [0.0, 3600.0])
@pytest.mark.parametrize("connection", ["drop", "reset", "truncate", "hang"])
def test_a_note_whose_answer_was_lost_is_found_and_not_written_again(
    gmail: GmailDouble, work: Work, settings: Settings, connection: Any, lag: float
) -> None:
    seed(gmail, refusal(1))
    gmail.clock.advance(7200)  # the search shows the bounce, whatever its lag
    gmail.account.search_lag = lag
    gmail.fail("messages.insert", when="after", connection=connection)
    summary = work()
    assert (summary.actions, summary.notes) == (1, 0)
    (action,) = rows(settings, "SELECT state, tries, error FROM actions WHERE kind = 'note'")
    assert (action["state"], action["tries"]) == ("planned", 1)
    assert "did not confirm" in action["error"]
    assert work().notes == 1
    assert len(notes(gmail)) == 1
    assert gmail.quota.calls["messages.insert"] == 1
    assert work().notes == 0


@pytest.mark.parametrize("connection", ["drop", "reset"])
def test_a_note_that_never_arrived_is_written_by_the_next_run(gmail: GmailDouble, work: Work, connection: Any) -> None:
    seed(gmail, refusal(1))
    gmail.fail("messages.insert", when="before", connection=connection)
    assert work().notes == 0
    assert notes(gmail) == []
    assert work().notes == 1
    assert len(notes(gmail)) == 1


def test_a_note_gmail_refuses_does_not_stop_the_others(gmail: GmailDouble, work: Work, settings: Settings) -> None:
    seed(gmail, refusal(1, original_id="a@example.org"), refusal(2, original_id="b@example.org"))
    gmail.fail("messages.insert", status=400)
    assert work().notes == 1
    assert work().notes == 1
    assert len(notes(gmail)) == 2


def test_a_thread_that_is_gone_gets_no_note(gmail: GmailDouble, work: Work, settings: Settings) -> None:
    seed(gmail, refusal(1))
    gmail.fail("messages.insert", status=404)
    assert work().notes == 0
    (action,) = rows(settings, "SELECT state FROM actions WHERE kind = 'note'")
    assert action["state"] == "dropped"


def test_a_note_gmail_puts_elsewhere_is_on_record(
    gmail: GmailDouble, work: Work, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread_id = seed(gmail, refusal(1))
    monkeypatch.setattr(gmail.account.mailbox, "joins", lambda *_: False)
    assert work().notes == 1
    assert notes(gmail, thread_id) == []
    (action,) = rows(settings, "SELECT state, error FROM actions WHERE kind = 'note'")
    assert action["state"] == "done"
    assert "another conversation" in action["error"]
    assert work().notes == 0


def test_a_bounce_that_names_no_mail_of_its_thread_gets_a_label_only(gmail: GmailDouble, work: Work) -> None:
    seed(gmail, refusal(1).replace(b"Message-ID: <bounce-1@mx.example.com>\r\n", b""))
    summary = work()
    assert (summary.actions, summary.notes) == (1, 0)
