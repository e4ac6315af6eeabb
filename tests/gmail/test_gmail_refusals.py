"""What the Gmail client makes of refusals, and how long it waits."""

from __future__ import annotations

import email.utils
from datetime import timedelta
from pathlib import Path

import pytest

from tests.doubles.gmail import GmailDouble
from tests.doubles.gmail import errors as gmail_errors
from tests.doubles.gmail.errors import ApiError
from tests.gmail.world import NOW, closed_port, mail
from triage.errors import ConfigError, CredentialsDead, TriageError, TryLater
from triage.gmail.answers import ATTEMPTS_AWAY, ATTEMPTS_LIMITED, LONGEST_WAIT_SECONDS, Refused
from triage.gmail.client import Gmail, connect
from triage.gmail.messages import RawMessage

CONSOLE = "https://console.developers.google.com/apis/api/gmail.googleapis.com/overview?project=123456789012"


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
    double.quota.is_enforced = True
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
