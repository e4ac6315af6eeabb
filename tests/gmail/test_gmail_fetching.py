"""The Gmail client fetches: in batches, byte by byte, and no mail stops the others."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.doubles.gmail import GmailDouble
from tests.doubles.gmail import errors as gmail_errors
from tests.gmail.world import NOW, mail
from triage.errors import CredentialsDead, TryLater
from triage.gmail.answers import ATTEMPTS_AWAY, ATTEMPTS_LIMITED
from triage.gmail.client import Gmail
from triage.gmail.messages import RawMessage, Unavailable


def test_hundred_messages_take_ten_requests(double: GmailDouble, gmail: Gmail) -> None:
    ids = [double.seed(mail(n), received_at=NOW + timedelta(milliseconds=n)) for n in range(100)]
    messages = list(gmail.get_raw(ids))
    assert [message.id for message in messages] == ids
    assert (gmail.quota.requests, gmail.quota.units_new, gmail.quota.units_old) == (10, 2000, 500)
    assert (double.quota.http_requests, double.quota.units_new, double.quota.units_old) == (10, 2000, 500)
    message = messages[7]
    assert isinstance(message, RawMessage)
    assert message.raw == mail(7)
    assert message.internal_at == NOW + timedelta(milliseconds=7)
    assert message.thread_id == double.messages[ids[7]].thread_id
    assert set(message.label_ids) == {"INBOX", "UNREAD"}
    assert "body 7" not in repr(message)


@pytest.mark.parametrize(
    "raw", [b"From: <a@b.example>\n\n\xff\xfe\x00", b"From: <a@b.example>\r\n\r\n" + "ÿ".encode() * 9]
)
def test_raw_is_byte_exact_whatever_the_padding(double: GmailDouble, gmail: Gmail, raw: bytes) -> None:
    variants = [raw + b"x" * n for n in range(3)]
    got = list(gmail.get_raw(double.seed(variant) for variant in variants))
    assert [message.raw for message in got if isinstance(message, RawMessage)] == variants


def test_parts_put_off_are_asked_for_again_and_no_others(
    double: GmailDouble, gmail: Gmail, sleeps: list[float]
) -> None:
    ids = [double.seed(mail(n)) for n in range(10)]
    double.account.parts_at_once = 4
    assert all(isinstance(message, RawMessage) for message in gmail.get_raw(ids))
    assert double.quota.calls["messages.get"] == 10  # as many as were served: none twice
    assert double.quota.http_requests == 3
    assert gmail.quota.units_new == 20 * (10 + 6 + 2)  # the careful guess: a part that is put off costs as well
    assert sleeps == [0.75, 1.5]


def test_gone_and_impossible_ids_are_values(double: GmailDouble, gmail: Gmail, sleeps: list[float]) -> None:
    there = double.seed(mail(1))
    gone, got, impossible = gmail.get_raw(["1badc0de", there, "no-such-id"])
    assert isinstance(gone, Unavailable)
    assert gone.gone
    assert isinstance(got, RawMessage)
    assert isinstance(impossible, Unavailable)
    assert not impossible.gone
    assert "Invalid id value" in impossible.why
    assert sleeps == []


def test_same_id_twice_is_fetched_once(double: GmailDouble, gmail: Gmail) -> None:
    there = double.seed(mail(1))
    assert [message.id for message in gmail.get_raw([there, there])] == [there]


def test_mail_that_gmail_cannot_give_does_not_stop_the_others(double: GmailDouble, gmail: Gmail) -> None:
    ids = [double.seed(mail(n)) for n in range(3)]
    double.fail("messages.get", nth=3, times=None, status=500)
    answers = list(gmail.get_raw(ids))
    assert [type(answer) for answer in answers] == [RawMessage, RawMessage, Unavailable]
    assert isinstance(answers[2], Unavailable)
    assert not answers[2].gone
    assert "Internal error encountered" in answers[2].why
    assert double.quota.calls["messages.get"] == 2 + ATTEMPTS_AWAY


def test_part_that_is_always_put_off_does_not_stop_the_others(double: GmailDouble, gmail: Gmail) -> None:
    ids = [double.seed(mail(n)) for n in range(2)]
    double.fail("messages.get", nth=2, times=None, status=429)
    got, put_off = gmail.get_raw(ids)
    assert isinstance(got, RawMessage)
    assert isinstance(put_off, Unavailable)
    assert not put_off.gone
    assert "Too many concurrent requests" in put_off.why


def test_nothing_but_slower_for_a_whole_batch_ends_the_run(double: GmailDouble, gmail: Gmail) -> None:
    ids = [double.seed(mail(n)) for n in range(3)]
    double.fail("messages.get", times=None, status=429)
    with pytest.raises(TryLater, match="Too many concurrent requests"):
        list(gmail.get_raw(ids))
    assert double.quota.calls["batch"] == ATTEMPTS_LIMITED


def test_missing_scope_inside_a_batch_ends_the_run(double: GmailDouble, gmail: Gmail) -> None:
    double.fail("messages.get", times=None, error=gmail_errors.scope_insufficient())
    with pytest.raises(CredentialsDead):
        list(gmail.get_raw([double.seed(mail(1))]))


@pytest.mark.parametrize(
    ("method", "trouble"),
    [
        ("batch", {"status": 429}),
        ("batch", {"status": 503}),
        ("batch", {"connection": "truncate"}),
        ("batch", {"connection": "reset"}),
        ("batch", {"connection": "hang"}),
        ("batch", {"body": b"<html>no batch</html>", "status": 200}),
        ("messages.get", {"connection": "omit"}),
        ("messages.get", {"body": b'{"id": "1", "raw', "status": 200}),
        ("messages.get", {"status": 500}),
    ],
)
def test_broken_batch_is_asked_for_again(
    double: GmailDouble, gmail: Gmail, sleeps: list[float], method: str, trouble: dict[str, str]
) -> None:
    ids = [double.seed(mail(n)) for n in range(3)]
    double.fail(method, **trouble)  # type: ignore[arg-type]
    assert [message.raw for message in gmail.get_raw(ids) if isinstance(message, RawMessage)] == [
        mail(n) for n in range(3)
    ]
    assert len(sleeps) == 1


def test_answer_without_what_was_asked_for_is_a_value(double: GmailDouble, gmail: Gmail) -> None:
    there = double.seed(mail(1))
    double.fail("messages.get", status=200, body=b'{"id": "1"}')
    assert list(gmail.get_raw([there])) == [Unavailable(there, "Gmail's answer cannot be read (KeyError)", gone=False)]
