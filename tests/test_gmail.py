"""The Gmail client against the Gmail double: what it sends, what it makes of answers, and what that costs."""

from __future__ import annotations

import email.utils
import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.doubles import gmail_errors
from tests.doubles.gmail import GmailDouble
from tests.doubles.gmail_errors import ApiError
from triage.errors import ConfigError, CredentialsDead, TriageError, TryLater
from triage.gmail import (
    Gmail,
    OutcomeUnknown,
    RawMessage,
    Ref,
    Refused,
    SendAs,
    Unavailable,
    bounce_query,
    connect,
)
from triage.gmail_answers import ATTEMPTS_AWAY, ATTEMPTS_LIMITED, LONGEST_WAIT_SECONDS

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
LONG_AGO = 1_600_000_000
CONSOLE = "https://console.developers.google.com/apis/api/gmail.googleapis.com/overview?project=123456789012"


def mail(
    number: int = 0, *, sender: str = "mailer-daemon@googlemail.com", subject: str = "Returned", more: str = ""
) -> bytes:
    return (
        f"From: <{sender}>\r\nTo: admin@queenofsandiego.com\r\nSubject: {subject}\r\n"
        f"Message-ID: <mail-{number}@mail.example>\r\n{more}\r\nbody {number}\r\n"
    ).encode()


@pytest.fixture
def double(tmp_path: Path) -> Iterator[GmailDouble]:
    with GmailDouble() as double:
        double.write_credentials(tmp_path)
        yield double


@pytest.fixture
def sleeps() -> list[float]:
    """The waits the client wanted; it never really sleeps in these tests."""
    return []


@pytest.fixture
def gmail(double: GmailDouble, sleeps: list[float], tmp_path: Path) -> Iterator[Gmail]:
    gmail = connect(
        tmp_path / "token.json",
        url=double.url,
        timeout_seconds=2.0,
        sleep=sleeps.append,
        now=lambda: NOW,
        rand=lambda: 0.5,
    )
    yield gmail
    gmail.close()


# -- listing ------------------------------------------------------------------------------------------------------


def test_lists_every_page_once(double: GmailDouble, gmail: Gmail) -> None:
    ids = [double.seed(mail(n)) for n in range(1100)]
    refs = list(gmail.list_refs("from:mailer-daemon"))
    assert sorted(ref.id for ref in refs) == sorted(ids)
    assert refs[0] == Ref(refs[0].id, double.messages[refs[0].id].thread_id)
    assert (gmail.quota.requests, gmail.quota.units_new) == (3, 15)


def test_pages_that_overlap_or_are_empty(double: GmailDouble, gmail: Gmail) -> None:
    pages = [
        b'{"messages": [{"id": "a", "threadId": "t"}, {"id": "b", "threadId": "b"}], "nextPageToken": "2"}',
        b'{"nextPageToken": "3"}',  # more is announced and does not come
        b'{"messages": [{"id": "b", "threadId": "b"}, {"id": "c", "threadId": "c"}]}',
    ]
    for number, page in enumerate(pages):
        double.fail(
            "messages.list", nth=number + 1, status=200, body=page, headers={"Content-Type": "application/json"}
        )
    assert list(gmail.list_refs("from:mailer-daemon")) == [Ref("a", "t"), Ref("b", "b"), Ref("c", "c")]


def test_lists_spam_and_trash(double: GmailDouble, gmail: Gmail) -> None:
    ids = {double.seed(mail(1), labels=["SPAM"]), double.seed(mail(2), labels=["TRASH"])}
    assert {ref.id for ref in gmail.list_refs("from:mailer-daemon")} == ids


def test_quiet_poll_costs_one_request_and_five_units(double: GmailDouble, gmail: Gmail) -> None:
    double.seed(mail(sender="news@shop.example", subject="Sails on sale"))
    assert list(gmail.list_refs(bounce_query(LONG_AGO))) == []
    assert (gmail.quota.requests, gmail.quota.units_new, gmail.quota.units_old) == (1, 5, 5)
    assert (double.quota.http_requests, double.quota.units_new, double.quota.units_old) == (1, 5, 5)


# -- the query ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sender", "subject"),
    [
        ("mailer-daemon@googlemail.com", "Something new"),
        ("MAILER-DAEMON@eu-west-1.amazonses.com", "Something new"),
        ("complaints@email-abuse.amazonses.com", "Something new"),
        ("no-reply@sns.amazonaws.com", "AWS Notification Message"),
        ("postmaster@client.example", "Something new"),
        ("robot@client.example", "Undeliverable: Your booking"),
        ("robot@client.example", "Undelivered Mail Returned to Sender"),
        ("robot@client.example", "Delivery Status Notification (Failure)"),
        ("robot@client.example", "Returned mail: see transcript for details"),
        ("robot@client.example", "failure notice"),
        ("robot@client.example", "Mail delivery failed: returning message to sender"),
        ("robot@client.example", "Unzustellbar: Ihre Buchung"),
        ("robot@client.example", "Message non remis : réservation"),
    ],
)
def test_query_finds_bounces_by_sender_or_subject(double: GmailDouble, gmail: Gmail, sender: str, subject: str) -> None:
    wanted = double.seed(mail(1, sender=sender, subject=subject), received_at=NOW)
    query = bounce_query(int(NOW.timestamp()) - 60, ["Unzustellbar", "Message non remis"])
    assert [ref.id for ref in gmail.list_refs(query)] == [wanted]


@pytest.mark.parametrize(
    ("sender", "subject", "labels"),
    [
        ("pat@client.example", "Re: the mail was returned", ["INBOX"]),
        ("triage@notes.invalid", "Undeliverable: Your booking", ["INBOX"]),
        ("mailer-daemon@client.example", "Undeliverable", ["CHAT"]),
    ],
)
def test_query_leaves_out(double: GmailDouble, gmail: Gmail, sender: str, subject: str, labels: list[str]) -> None:
    double.seed(mail(1, sender=sender, subject=subject), labels=labels, received_at=NOW)
    assert list(gmail.list_refs(bounce_query(LONG_AGO, not_from="triage@notes.invalid"))) == []


def test_query_leaves_out_what_is_older(double: GmailDouble, gmail: Gmail) -> None:
    double.seed(mail(1), received_at=NOW - timedelta(hours=1))
    assert list(gmail.list_refs(bounce_query(int(NOW.timestamp()) - 60))) == []


def test_subject_from_the_configuration_cannot_change_the_query() -> None:
    query = bounce_query(0, ['x"} -subject:undeliverable {', "", '"{}()"'])
    assert query.count("{") == query.count("}") == 1
    assert 'subject:"x -subject:undeliverable"}' in query
    assert "subject: " not in query
    assert len(query) < 500  # long searches have been seen to find nothing without a word


# -- fetching -----------------------------------------------------------------------------------------------------


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


# -- refusals -----------------------------------------------------------------------------------------------------

NO_MAILBOX = ApiError(400, "Mail service not enabled", "failedPrecondition")
DAILY = ApiError(403, "Daily Limit Exceeded", "dailyLimitExceeded", domain="usageLimits")
POLICY = ApiError(403, "The domain administrators have disabled Gmail apps.", "domainPolicy")


@pytest.mark.parametrize(
    ("error", "expected", "words", "sends"),
    [
        (gmail_errors.too_many_concurrent(), TryLater, "Too many concurrent", ATTEMPTS_LIMITED),
        (gmail_errors.resource_exhausted(), TryLater, "exhausted", ATTEMPTS_LIMITED),
        (gmail_errors.quota_exceeded(), TryLater, "Queries per minute per user", ATTEMPTS_LIMITED),
        (ApiError(403, "Rate Limit Exceeded", "userRateLimitExceeded"), TryLater, "Rate Limit", ATTEMPTS_LIMITED),
        (gmail_errors.by_status(500), TryLater, "Internal error", ATTEMPTS_AWAY),
        (gmail_errors.by_status(501), TryLater, "Internal error", ATTEMPTS_AWAY),
        (gmail_errors.by_status(503), TryLater, "unavailable", ATTEMPTS_AWAY),
        (DAILY, TryLater, "Daily Limit", 1),
        (gmail_errors.not_configured(), ConfigError, "not switched on", 1),
        (NO_MAILBOX, ConfigError, "no Gmail mailbox", 1),
        (gmail_errors.scope_insufficient(), CredentialsDead, "gmail.modify", 1),
        (POLICY, CredentialsDead, "Workspace", 1),
        (gmail_errors.delegation_denied("x@y.example"), Refused, "Delegation denied", 1),
        (gmail_errors.not_found(), Refused, "not found", 1),
        (gmail_errors.invalid("Invalid label: SENT"), Refused, "Invalid label: SENT", 1),
        (gmail_errors.label_conflict(), Refused, "exists or conflicts", 1),
    ],
    ids=lambda value: value.message[:40] if isinstance(value, ApiError) else None,
)
def test_each_error_body(
    double: GmailDouble, gmail: Gmail, error: ApiError, expected: type[TriageError], words: str, sends: int
) -> None:
    double.fail("getProfile", times=None, error=error)
    with pytest.raises(expected) as caught:
        gmail.profile_address()
    assert words in caught.value.what
    assert caught.value.todo
    assert double.quota.calls["getProfile"] == sends
    assert gmail.quota.requests == sends


def test_api_not_enabled_names_googles_own_link(double: GmailDouble, gmail: Gmail) -> None:
    double.fail("getProfile", error=gmail_errors.not_configured())
    with pytest.raises(ConfigError) as caught:
        gmail.profile_address()
    assert f"Open {CONSOLE} ," in caught.value.todo


def test_link_of_a_stranger_is_not_passed_on(double: GmailDouble, gmail: Gmail) -> None:
    double.fail("getProfile", error=ApiError(403, "Enable it by visiting https://evil.example/", "accessNotConfigured"))
    with pytest.raises(ConfigError) as caught:
        gmail.profile_address()
    assert "https://console.cloud.google.com/apis/library/gmail.googleapis.com" in caught.value.todo


@pytest.mark.parametrize(
    "body", [b"<html>\n<h1>Server Error", b"", b'{"error": {"errors": 3}}', b'{"error": {"details": [4]}}']
)
def test_error_in_no_known_shape_is_read_by_its_number(double: GmailDouble, gmail: Gmail, body: bytes) -> None:
    double.fail("getProfile", times=None, status=502, body=body)
    with pytest.raises(TryLater, match="HTTP 502"):
        gmail.profile_address()
    double.clear_faults()
    double.fail("getProfile", status=403, body=body)
    with pytest.raises(Refused, match="HTTP 403"):
        gmail.profile_address()


def test_error_text_is_one_short_printable_line(double: GmailDouble, gmail: Gmail) -> None:
    double.fail("getProfile", error=gmail_errors.invalid("a\r\nb\x1b[31m" + "c" * 9000))
    with pytest.raises(Refused) as caught:
        gmail.profile_address()
    assert "\x1b" not in caught.value.what
    assert "a b [31mccc" in caught.value.what
    assert len(caught.value.what) < 400


# -- waiting ------------------------------------------------------------------------------------------------------


def test_waits_grow_and_add_up_to_the_quota_minute(double: GmailDouble, gmail: Gmail, sleeps: list[float]) -> None:
    double.fail("getProfile", times=ATTEMPTS_LIMITED - 1, status=429)
    assert gmail.profile_address() == double.address
    assert sleeps == [0.75 * 2 ** min(n, 5) for n in range(ATTEMPTS_LIMITED - 1)]
    shortest = sum(sleeps) / 0.75 * 0.5
    assert shortest > 60


@pytest.mark.parametrize(
    ("error", "headers", "wait"),
    [
        (gmail_errors.too_many_concurrent(), {"Retry-After": "7"}, 7.0),
        (gmail_errors.by_status(503), {"Retry-After": "7"}, 7.0),
        (
            gmail_errors.by_status(503),
            {"Retry-After": email.utils.format_datetime(NOW + timedelta(seconds=9), True)},
            9.0,
        ),
        (
            gmail_errors.by_status(503),
            {"Retry-After": email.utils.format_datetime(NOW - timedelta(seconds=9), True)},
            0.0,
        ),
        (gmail_errors.user_rate_limit("2026-11-24T09:30:12.500Z"), {}, 12.5),
    ],
)
def test_waits_as_long_as_asked(
    double: GmailDouble, gmail: Gmail, sleeps: list[float], error: ApiError, headers: dict[str, str], wait: float
) -> None:
    told = {"Content-Type": "application/json"} | headers
    double.fail("getProfile", status=error.status, body=error.body(), headers=told)
    assert gmail.profile_address() == double.address
    assert sleeps == [wait + 0.5]


@pytest.mark.parametrize("value", ["soon", "-3", "99999999999999", "Tue, 99 Nov 2026 09:30:00 GMT"])
def test_senseless_retry_after_is_ignored(double: GmailDouble, gmail: Gmail, sleeps: list[float], value: str) -> None:
    error = gmail_errors.by_status(503)
    double.fail("getProfile", status=503, body=error.body(), headers={"Retry-After": value})
    assert gmail.profile_address() == double.address
    assert sleeps == [0.75]


def test_long_wait_is_left_to_the_next_run(double: GmailDouble, gmail: Gmail, sleeps: list[float]) -> None:
    until = (NOW + timedelta(seconds=LONGEST_WAIT_SECONDS + 2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    double.fail("getProfile", error=gmail_errors.user_rate_limit(until))
    with pytest.raises(TryLater, match=until):
        gmail.profile_address()
    assert sleeps == []


def test_real_quota_wall_is_waited_out(double: GmailDouble, tmp_path: Path) -> None:
    double.quota.enforced = "new"
    ids = [double.seed(mail(n)) for n in range(320)]  # 6,400 units, and a minute allows 6,000
    gmail = connect(tmp_path / "token.json", url=double.url, sleep=double.clock.advance, rand=lambda: 0.5)
    assert sum(isinstance(message, RawMessage) for message in gmail.get_raw(ids)) == 320


@pytest.mark.parametrize("connection", ["reset", "truncate", "hang"])
def test_broken_connection_is_tried_again(
    double: GmailDouble, gmail: Gmail, sleeps: list[float], connection: str
) -> None:
    double.fail("getProfile", connection=connection)  # type: ignore[arg-type]
    assert gmail.profile_address() == double.address
    assert sleeps == [0.75]


def test_broken_json_is_tried_again(double: GmailDouble, gmail: Gmail, sleeps: list[float]) -> None:
    double.fail("getProfile", status=200, body=b'{"emailAddress": "jada')
    assert gmail.profile_address() == double.address
    assert sleeps == [0.75]


def test_gmail_away_is_try_later(double: GmailDouble, tmp_path: Path) -> None:
    sleeps: list[float] = []
    gmail = connect(tmp_path / "token.json", url=f"http://127.0.0.1:{closed_port()}", sleep=sleeps.append)
    with pytest.raises(TryLater, match="cannot be reached"):
        gmail.profile_address()
    assert len(sleeps) == ATTEMPTS_AWAY - 1


@pytest.mark.parametrize("url", ["http://gmail.example/", "ftp://127.0.0.1/", "gmail.example"])
def test_token_never_travels_over_plain_http(double: GmailDouble, tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="gmail_url"):
        connect(tmp_path / "token.json", url=url)


# -- inserting ----------------------------------------------------------------------------------------------------

NOTE_ID = "triage.0123456789abcdef@notes.invalid"
BOUNCE = mail(1, subject="Undeliverable")
NOTE = (
    "From: <triage@notes.invalid>\r\nTo: <jadasailing@gmail.com>\r\n"
    f"Subject: Undeliverable\r\nMessage-ID: <{NOTE_ID}>\r\n"
    "In-Reply-To: <mail-1@mail.example>\r\nReferences: <mail-1@mail.example>\r\n\r\nWhose move it is.\r\n"
).encode()


def notes_in(double: GmailDouble) -> list[bytes]:
    return [message.raw for message in double.messages.values() if NOTE_ID.encode() in message.raw]


def test_insert_joins_the_thread(double: GmailDouble, gmail: Gmail) -> None:
    bounce = double.messages[double.seed(BOUNCE)]
    label = gmail.label_id("Bounce")
    ref = gmail.insert(NOTE, bounce.thread_id, [label])
    assert ref.thread_id == bounce.thread_id
    assert double.messages[ref.id].raw == NOTE
    assert double.labels_of(ref.id) == {label}
    assert double.sent == []
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


# -- labels -------------------------------------------------------------------------------------------------------


def test_label_is_made_with_its_parents_and_kept(double: GmailDouble, gmail: Gmail) -> None:
    label_id = gmail.label_id("Bounce/Ours/Credentials")
    assert double.label_names() == {"Bounce", "Bounce/Ours", "Bounce/Ours/Credentials"}
    assert gmail.label_id("Bounce/Ours/Credentials") == label_id
    assert gmail.label_names()[label_id] == "Bounce/Ours/Credentials"
    assert double.quota.calls == {"labels.list": 2, "labels.create": 3}


def test_label_is_found_without_regard_to_case(double: GmailDouble, gmail: Gmail) -> None:
    seeded = double.seed(mail(1), labels=["bounce", "BOUNCE/exchange"])
    assert gmail.label_id("Bounce/Exchange") in double.labels_of(seeded)
    gmail.label_id("Bounce/Unknown")
    assert double.label_names() == {"bounce", "BOUNCE/exchange", "bounce/Unknown"}


def test_label_made_by_somebody_else_meanwhile(double: GmailDouble, gmail: Gmail) -> None:
    gmail.label_id("Bounce")
    seeded = double.seed(mail(1), labels=["bounce/exchange"])
    assert gmail.label_id("Bounce/Exchange") in double.labels_of(seeded)
    assert double.label_names() == {"Bounce", "bounce/exchange"}


@pytest.mark.parametrize("trouble", [{"connection": "reset"}, {"connection": "drop"}, {"status": 503}])
def test_label_whose_making_was_not_answered_is_not_made_twice(
    double: GmailDouble, gmail: Gmail, trouble: dict[str, str]
) -> None:
    double.fail("labels.create", when="after", **trouble)  # type: ignore[arg-type]
    label_id = gmail.label_id("Bounce")
    assert gmail.label_names()[label_id] == "Bounce"
    assert double.label_names() == {"Bounce"}


@pytest.mark.parametrize(
    ("name", "made"), [("Muted", {"triage-Muted"}), ("Sent/Bounce", {"triage-Sent", "triage-Sent/Bounce"})]
)
def test_reserved_name_gets_a_prefix(double: GmailDouble, tmp_path: Path, name: str, made: set[str]) -> None:
    ids = [connect(tmp_path / "token.json", url=double.url).label_id(name) for _ in range(2)]
    assert ids[0] == ids[1]
    assert double.label_names() == made


@pytest.mark.parametrize("name", ["", " / "])
def test_label_without_a_name_is_a_configuration_error(gmail: Gmail, name: str) -> None:
    with pytest.raises(ConfigError):
        gmail.label_id(name)


def test_thread_labels_are_added_read_and_taken_off(double: GmailDouble, gmail: Gmail) -> None:
    first = double.messages[double.seed(BOUNCE)]
    second = double.seed(NOTE, thread_id=first.thread_id)
    ours, other = gmail.label_id("Bounce/Ours"), gmail.label_id("Bounce/Other")
    before = gmail.quota.units_new
    assert gmail.add_thread_labels(first.thread_id, [ours, other, ours]) is None
    assert gmail.quota.units_new - before == 10
    assert {ours, other} <= double.labels_of(first.id) & double.labels_of(second)
    assert gmail.thread_labels(first.thread_id) == {"INBOX", "UNREAD", ours, other}
    assert gmail.remove_thread_labels(first.thread_id, [other]) is None
    assert double.label_names_of_thread(first.thread_id) == {"INBOX", "UNREAD", "Bounce/Ours"}


def test_label_change_may_be_repeated(double: GmailDouble, gmail: Gmail) -> None:
    thread_id = double.messages[double.seed(BOUNCE)].thread_id
    label_id = gmail.label_id("Bounce")
    double.fail("threads.modify", when="after", connection="reset")
    assert gmail.add_thread_labels(thread_id, [label_id]) is None
    assert "Bounce" in double.label_names_of_thread(thread_id)


def test_no_labels_are_no_request(gmail: Gmail) -> None:
    assert gmail.add_thread_labels("1badc0de", []) is None
    assert gmail.quota.requests == 0


def test_label_renamed_by_the_user_is_still_the_one(double: GmailDouble, gmail: Gmail) -> None:
    thread_id = double.messages[double.seed(BOUNCE)].thread_id
    label_id = gmail.label_id("Bounce")
    double.account.mailbox.labels[label_id]["name"] = "Problems"
    assert gmail.add_thread_labels(thread_id, [label_id]) is None
    assert "Problems" in double.label_names_of_thread(thread_id)


def test_label_deleted_by_the_user_is_made_again(double: GmailDouble, gmail: Gmail) -> None:
    thread_id = double.messages[double.seed(BOUNCE)].thread_id
    kept, deleted = gmail.label_id("Bounce/Kept"), gmail.label_id("Bounce/Exchange")
    double.account.mailbox.delete_label(deleted)
    assert gmail.add_thread_labels(thread_id, [kept, deleted]) is None
    assert {"Bounce/Kept", "Bounce/Exchange"} <= double.label_names_of_thread(thread_id)
    assert gmail.label_id("Bounce/Exchange") != deleted


def test_label_deleted_by_the_user_needs_no_taking_off(double: GmailDouble, gmail: Gmail) -> None:
    thread_id = double.messages[double.seed(BOUNCE)].thread_id
    label_id = gmail.label_id("Bounce")
    double.account.mailbox.delete_label(label_id)
    assert gmail.remove_thread_labels(thread_id, [label_id]) is None
    assert double.label_names() == set()


def test_label_id_nobody_knows_is_a_value(double: GmailDouble, gmail: Gmail) -> None:
    thread_id = double.messages[double.seed(BOUNCE)].thread_id
    answer = gmail.add_thread_labels(thread_id, ["Label_77"])
    assert answer == Unavailable(thread_id, "there is no label Label_77 any more", gone=False)


def test_label_gmail_does_not_let_us_touch_is_a_value(double: GmailDouble, gmail: Gmail) -> None:
    thread_id = double.messages[double.seed(BOUNCE)].thread_id
    answer = gmail.add_thread_labels(thread_id, ["SENT"])
    assert isinstance(answer, Unavailable)
    assert not answer.gone
    assert "SENT" in answer.why


def test_thread_that_is_gone_is_a_value(gmail: Gmail) -> None:
    label_id = gmail.label_id("Bounce")
    for change in (gmail.add_thread_labels, gmail.remove_thread_labels):
        answer = change("1badc0de", [label_id])
        assert isinstance(answer, Unavailable)
        assert answer.gone
    assert gmail.thread_labels("1badc0de") == set()


# -- aliases, profile, and what must not happen -------------------------------------------------------------------


def test_send_as(double: GmailDouble, gmail: Gmail) -> None:
    double.add_send_as(
        "admin@queenofsandiego.com",
        display_name="Queen",
        host="email-smtp.us-east-1.amazonaws.com",
        verification="pending",
    )
    primary, alias = sorted(gmail.send_as(), key=lambda entry: not entry.is_primary)
    assert (primary.address, primary.is_primary, primary.host, primary.port) == (double.address, True, None, None)
    assert alias == SendAs(
        address="admin@queenofsandiego.com",
        display_name="Queen",
        is_primary=False,
        host="email-smtp.us-east-1.amazonaws.com",
        port=587,
        security="starttls",
        verification="pending",
    )
    assert gmail.quota.units_new == 1


def test_meter_agrees_with_the_double(double: GmailDouble, gmail: Gmail) -> None:
    thread_id = double.messages[double.seed(BOUNCE)].thread_id
    list(gmail.get_raw([ref.id for ref in gmail.list_refs(bounce_query(LONG_AGO))]))
    gmail.add_thread_labels(thread_id, [gmail.label_id("Bounce/Ours")])
    gmail.thread_labels(thread_id)
    gmail.insert(NOTE, thread_id)
    gmail.send_as()
    gmail.profile_address()
    assert gmail.quota.units_new == double.quota.units_new > 0
    assert gmail.quota.units_old == double.quota.units_old > 0
    assert gmail.quota.requests == double.quota.http_requests > 0


def test_no_token_in_any_log_or_repr(double: GmailDouble, gmail: Gmail, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    thread_id = double.messages[double.seed(BOUNCE)].thread_id
    double.clock.advance(4000)
    list(gmail.get_raw([ref.id for ref in gmail.list_refs("from:mailer-daemon")]))
    gmail.insert(NOTE, thread_id)
    double.fail("getProfile", error=gmail_errors.scope_insufficient())
    with pytest.raises(CredentialsDead):
        gmail.profile_address()
    told = caplog.text + repr(gmail) + repr(vars(gmail))
    for secret in (*double.oauth.access_tokens, *double.oauth.refresh_tokens):
        assert secret not in told
    assert "Encountered 403 Forbidden" not in caplog.text


def test_importing_the_client_imports_no_google_library() -> None:
    heavy = {"google", "googleapiclient", "google_auth_oauthlib", "google_auth_httplib2", "httplib2", "requests"}
    code = f"import sys, triage.gmail, triage.gmail_auth; print({heavy} & set(sys.modules) or 'none')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "none"


def closed_port() -> int:
    """A port of this machine where nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
