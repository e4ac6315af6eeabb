"""Asking AWS: every way of not getting an answer is a value with a true reason, without a secret in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.retries.standard import ExponentialBackoff

from remediation.aws import client as asking
from remediation.aws import iam as aws_iam
from remediation.aws import queue as aws_queue
from remediation.aws import secrets as aws_secrets
from remediation.aws import ses as aws_ses
from remediation.aws import ses_setup as aws_ses_setup
from remediation.aws.client import NotLookedUp, masked
from tests.aws.troubled import AT, ID, REGION, Troubled, point_at, says
from tests.doubles.aws import AwsDouble
from tests.doubles.loopback import BrokenConnectionError, Reply, Request

QUEUE = "http://127.0.0.1/123456789012/ses-events"

CALLS: dict[str, tuple[str, Callable[[], Any]]] = {
    "caller identity": ("sts", asking.caller_identity),
    "suppressed": ("sesv2", lambda: aws_ses.suppressed_destination(REGION, "pat@client.example")),
    "suppression list": ("sesv2", lambda: next(aws_ses.suppressed_destinations(REGION))),
    "insights": ("sesv2", lambda: aws_ses.message_insights(REGION, ID)),
    "send": ("sesv2", lambda: aws_ses.send_raw(REGION, b"From: a@b.example\n\n", "a@b.example", ["c@d.example"])),
    "account": ("sesv2", lambda: aws_ses_setup.ses_account(REGION)),
    "identity": ("sesv2", lambda: aws_ses_setup.identity(REGION, "queenofsandiego.com")),
    "identities": ("sesv2", lambda: aws_ses_setup.identity_names(REGION)),
    "configuration set": ("sesv2", lambda: aws_ses_setup.configuration_set(REGION, "events")),
    "destinations": ("sesv2", lambda: aws_ses_setup.event_destinations(REGION, "events")),
    "recommendations": ("sesv2", lambda: aws_ses_setup.recommendations(REGION)),
    "keys": ("iam", lambda: aws_iam.access_keys("ses-smtp-admin")),
    "key changes": ("cloudtrail", lambda: aws_iam.key_changes("ses-smtp-admin", AT)),
    "last use": ("iam", lambda: aws_iam.key_last_use("AKIAIOSFODNN7EXAMPLE")),
    "versions": ("secretsmanager", lambda: aws_secrets.secret_versions(REGION, "ses-smtp")),
    "login": ("secretsmanager", lambda: aws_secrets.secret_login(REGION, "ses-smtp")),
    "receive": ("sqs", lambda: aws_queue.receive(REGION, QUEUE)),
    "delete": ("sqs", lambda: aws_queue.delete(REGION, QUEUE, [aws_queue.QueueMessage("a", "b", "c", 1)])),
}


@pytest.fixture
def silent(servers: dict[float, Troubled], monkeypatch: pytest.MonkeyPatch) -> Troubled:
    """As `troubled`, asked by clients that wait 0.05 seconds."""
    return point_at(servers[0.05], 0.05, monkeypatch)


@pytest.mark.parametrize("name", CALLS)
def test_a_denied_call_is_a_reason(troubled: Troubled, name: str) -> None:
    service, call = CALLS[name]
    troubled.give = says(service, 403, "AccessDenied" if service in ("iam", "sts") else "AccessDeniedException")
    answer = call()
    assert isinstance(answer, NotLookedUp)
    assert answer.kind == "denied"
    assert not answer.will_pass
    assert not answer.concerns_all
    assert answer.why.startswith("this AWS identity may not call ")
    assert "sesv2" not in answer.why, "an IAM policy calls it ses"


@pytest.mark.parametrize("name", CALLS)
def test_a_throttled_call_is_tried_again_and_then_a_reason(troubled: Troubled, name: str) -> None:
    service, call = CALLS[name]
    troubled.give = (
        says(service, 400, "Throttling")
        if service in ("iam", "sts")
        else says(service, 429, "TooManyRequestsException")
    )
    answer = call()
    assert isinstance(answer, NotLookedUp)
    assert answer.kind == "throttled"
    assert answer.will_pass
    tries = {
        "send": 1,
        "suppressed": aws_ses.MOST_TURNS * asking.AWS_TRIES,
        "insights": aws_ses.MOST_TURNS * asking.AWS_TRIES,
    }
    assert troubled.requests == tries.get(name, asking.AWS_TRIES)


@pytest.mark.parametrize("name", CALLS)
def test_a_call_without_an_answer_is_a_reason(silent: Troubled, name: str) -> None:
    def give(request: Request) -> Reply:
        raise BrokenConnectionError("hang")

    silent.give = give
    answer = CALLS[name][1]()
    assert isinstance(answer, NotLookedUp)
    assert (answer.kind, answer.will_pass, answer.concerns_all) == ("timeout", True, True)


@pytest.mark.parametrize("name", ["suppressed", "keys", "receive"])
def test_a_call_whose_answer_comes_too_late_is_a_reason(silent: Troubled, name: str) -> None:
    silent.give = lambda request: Reply(200, b"{}", delay=0.2)
    answer = CALLS[name][1]()
    assert isinstance(answer, NotLookedUp)
    assert answer.kind == "timeout"


GARBAGE = {
    "a web page": (200, b"<html><body>Sign in to the hotel's network</body></html>", "text/html"),
    "half an answer": (200, b'{"SuppressedDestination": {"Ema', "application/json"),
    "no object": (200, b"[1, 2]", "application/json"),
    "null": (200, b"null", "application/json"),
    "nothing": (200, b"", "application/json"),
    "other fields": (200, b'{"a": 1}', "application/json"),
    "bytes": (200, b"\xff\xfe\x00\x01", "application/octet-stream"),
    "empty lists": (
        200,
        b'{"Insights": 7, "Messages": 7, "Versions": 7, "EventDestinations": 7, "Failed": 7}',
        "application/json",
    ),
}

# What botocore makes of an answer that is not JSON is an empty one. For these calls that says "nothing came" and
# "nothing was deleted", which is where asking again next time leads to as well.
EMPTY_IS_AN_ANSWER = {"receive": [], "delete": ["a"]}


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("name", CALLS)
def test_a_garbled_answer_is_a_reason_and_never_an_exception(troubled: Troubled, name: str, garbage: str) -> None:
    status, body, media_type = GARBAGE[garbage]
    troubled.give = lambda request: Reply(status, body, {"Content-Type": media_type})
    answer = CALLS[name][1]()
    if isinstance(answer, NotLookedUp):
        assert answer.kind in ("garbled", "failed")
    else:
        assert answer == EMPTY_IS_AN_ANSWER[name]


@pytest.mark.parametrize("name", ["suppressed", "insights", "identity", "keys", "versions"])
def test_a_page_that_is_not_there_is_no_proof_of_absence(troubled: Troubled, name: str) -> None:
    """The trap of aws.md, fact 2: an endpoint that lacks the call answers 404 as well."""
    troubled.give = lambda request: Reply(
        404, b"<!doctype html><title>404 Not Found</title>", {"Content-Type": "text/html"}
    )
    answer = CALLS[name][1]()
    assert isinstance(answer, NotLookedUp)
    assert answer.kind in ("unsupported", "garbled")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("suppressed", "NotFoundException"),
        ("insights", "NotFoundException"),
        ("identity", "NotFoundException"),
        ("configuration set", "NotFoundException"),
        ("destinations", "NotFoundException"),
        ("keys", "NoSuchEntity"),
        ("versions", "ResourceNotFoundException"),
        ("login", "ResourceNotFoundException"),
    ],
)
def test_aws_saying_there_is_no_such_thing_is_an_answer(troubled: Troubled, name: str, code: str) -> None:
    service, call = CALLS[name]
    troubled.give = says(service, 404, code)
    assert call() is None


@pytest.mark.parametrize("code", ["InvalidClientTokenId", "SignatureDoesNotMatch", "ExpiredToken"])
def test_bad_credentials_are_told_from_missing_permission(troubled: Troubled, code: str) -> None:
    troubled.give = says("sts", 403, code)
    answer = asking.caller_identity()
    assert isinstance(answer, NotLookedUp)
    assert (answer.kind, answer.concerns_all) == ("bad-credentials", True)


def test_no_credentials_and_no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    answer = asking.caller_identity()
    assert isinstance(answer, NotLookedUp)
    assert answer.kind == "no-credentials"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0.0)
    answer = asking.caller_identity()
    assert isinstance(answer, NotLookedUp)
    assert answer.kind == "unreachable"
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    answer = asking.caller_identity()
    assert isinstance(answer, NotLookedUp)
    assert answer.kind == "no-credentials"


def test_a_region_that_is_none(aws: AwsDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = aws_ses_setup.ses_account("nowhere at all")
    assert isinstance(answer, NotLookedUp)
    assert answer.kind in ("unsupported", "refused")


def test_no_secret_gets_into_a_reason(troubled: Troubled) -> None:
    secret, password = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "BLBM/9hSUELfq8Gw+rU1YcBjkOxGbhT2XG763xVLGWL9"
    troubled.give = says(
        "secretsmanager", 400, "InvalidRequestException", f"{secret} and {password} of AKIAIOSFODNN7EXAMPLE"
    )
    answer = aws_secrets.secret_login(REGION, "ses-smtp")
    assert isinstance(answer, NotLookedUp)
    assert secret not in repr(answer)
    assert password not in repr(answer)
    assert "[hidden] and [hidden] of AKIA…LE" in answer.why
    held = json.dumps({"SecretString": f'{{"password": "{password}", ', "VersionId": "v"})
    troubled.give = lambda request: Reply(200, held.encode(), {"Content-Type": "application/json"})
    answer = aws_secrets.secret_login(REGION, "ses-smtp")
    assert isinstance(answer, NotLookedUp)
    assert password not in repr(answer)
    answer = asking.ask("x", "secretsmanager", REGION, "PutSecretValue", dict, SecretId="s", SecretString=[password])
    assert isinstance(answer, NotLookedUp)
    assert password not in repr(answer)


def test_masked_keeps_what_people_read() -> None:
    text = "User: arn:aws:iam::123456789012:user/ses-smtp-admin is not authorized on identity/queenofsandiego.com"
    assert masked(text) == text
    assert len(masked("many words " * 100)) == 240
