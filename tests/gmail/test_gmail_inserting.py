"""The Gmail client inserts and finds messages: into the thread, and never twice."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from tests.doubles.gmail import GmailDouble
from tests.gmail.world import BOUNCE, NOTE, NOTE_ID, closed_port
from triage.errors import TryLater
from triage.gmail.answers import OutcomeUnknown, Refused
from triage.gmail.client import Gmail, connect


def notes_in(double: GmailDouble) -> list[bytes]:
    return [message.raw for message in double.messages.values() if NOTE_ID.encode() in message.raw]


def test_insert_joins_the_thread(double: GmailDouble, gmail: Gmail) -> None:
    bounce = double.messages[double.seed(BOUNCE)]
    label = gmail.label_id("Bounce")
    ref = gmail.insert(NOTE, bounce.thread_id, [label])
    assert ref.thread_id == bounce.thread_id
    assert double.messages[ref.id].raw == NOTE
    assert double.labels_of(ref.id) == {label}
    assert gmail.quota.units_new == double.quota.units_new == 1 + 5 + 25


def test_insert_without_thread_starts_one(double: GmailDouble, gmail: Gmail) -> None:
    ref = gmail.insert(NOTE, None)
    assert double.messages[ref.id].labels == []


@pytest.mark.parametrize(
    ("trouble", "copies"),
    [
        ({"connection": "drop", "when": "after"}, 1),
        ({"connection": "reset", "when": "after"}, 1),
        ({"connection": "hang", "when": "after"}, 1),
        ({"connection": "truncate", "when": "after"}, 1),
        ({"status": 503, "when": "after"}, 1),
        ({"connection": "drop"}, 0),
        ({"connection": "hang"}, 0),
        ({"status": 500}, 0),
    ],
)
def test_insert_without_a_clear_answer_is_never_repeated(
    double: GmailDouble, gmail: Gmail, trouble: dict[str, str], copies: int
) -> None:
    thread_id = double.messages[double.seed(BOUNCE)].thread_id
    assert gmail.profile_address()  # leaves an open connection, the usual cause of a second sending
    double.fail("messages.insert", **trouble)  # type: ignore[arg-type]
    with pytest.raises(OutcomeUnknown) as caught:
        gmail.insert(NOTE, thread_id)
    assert caught.value.exit_code == 75
    assert double.quota.calls["messages.insert"] == 1
    assert notes_in(double) == [NOTE] * copies
    assert [ref.thread_id for ref in gmail.find_message_id(NOTE_ID)] == [thread_id] * copies


def test_insert_refused_as_too_fast_is_repeated(double: GmailDouble, gmail: Gmail) -> None:
    double.fail("messages.insert", times=2, status=429)
    gmail.insert(NOTE, None)
    assert notes_in(double) == [NOTE]
    assert double.quota.calls["messages.insert"] == 3


def test_insert_that_never_left_is_not_unknown(double: GmailDouble, tmp_path: Path) -> None:
    gmail = connect(tmp_path / "token.json", url=f"http://127.0.0.1:{closed_port()}", sleep=lambda _: None)
    with pytest.raises(TryLater) as caught:
        gmail.insert(NOTE, None)
    assert not isinstance(caught.value, OutcomeUnknown)


def test_insert_with_an_expired_token_signs_in_and_inserts_once(double: GmailDouble, gmail: Gmail) -> None:
    double.clock.advance(4000)
    gmail.insert(NOTE, None)
    assert notes_in(double) == [NOTE]
    assert double.quota.calls["token"] == 1


def test_insert_into_a_thread_that_is_gone_is_refused(double: GmailDouble, gmail: Gmail) -> None:
    with pytest.raises(Refused) as caught:
        gmail.insert(NOTE, "1badc0de")
    assert caught.value.status == 404
    assert notes_in(double) == []


def test_requests_go_on_after_an_insert(double: GmailDouble, gmail: Gmail) -> None:
    gmail.insert(NOTE, None)
    double.fail("getProfile", connection="drop")
    assert gmail.profile_address() == double.address


LARGE = NOTE + b"x" * 6_000_000 + b"\r\n--not-the-end--\r\n"


def test_a_large_mail_is_uploaded_beside_what_is_said_of_it(double: GmailDouble, gmail: Gmail) -> None:
    bounce = double.messages[double.seed(BOUNCE)]
    label = gmail.label_id("Bounce")
    ref = gmail.insert(LARGE, bounce.thread_id, [label])
    assert double.messages[ref.id].raw == LARGE
    assert (ref.thread_id, double.labels_of(ref.id)) == (bounce.thread_id, {label})
    draft = gmail.create_draft(LARGE, bounce.thread_id)
    assert double.messages[draft.id].raw == LARGE
    assert double.labels_of(draft.id) == {"DRAFT"}


def test_over_a_slow_line_a_large_mail_has_the_time_it_takes(double: GmailDouble, tmp_path: Path) -> None:
    double.slow_down(6_000_000)
    with closing(connect(tmp_path / "token.json", url=double.url, timeout_seconds=0.3)) as gmail:
        gmail.insert(LARGE, None)
    assert notes_in(double) == [LARGE]


@pytest.mark.parametrize("given", [NOTE_ID, f"<{NOTE_ID}>", f" <{NOTE_ID}>\r\n"])
def test_finds_by_message_id_also_in_trash(double: GmailDouble, gmail: Gmail, given: str) -> None:
    there = double.seed(NOTE, labels=["TRASH"])
    assert [ref.id for ref in gmail.find_message_id(given)] == [there]
    assert gmail.quota.units_new == 5


@pytest.mark.parametrize(
    "given", ["", "<>", "a@b.example} OR {from:me", 'a"b@c.example', "a@b.example\nfrom:me", "(a@b.example)"]
)
def test_message_id_of_a_stranger_cannot_become_a_search(gmail: Gmail, given: str) -> None:
    assert gmail.find_message_id(given) == []
    assert gmail.quota.requests == 0
