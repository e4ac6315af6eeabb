"""Asking AWS: what comes back, and that every way of not getting an answer is a value with a true reason."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.retries.standard import ExponentialBackoff

from remediation import aws as asking
from remediation import aws_iam, aws_queue, aws_secrets, aws_ses, aws_ses_setup
from remediation.aws import NotLookedUp, masked
from tests.doubles.aws import ACCOUNT, AwsDouble
from tests.doubles.gmail_faults import BrokenConnectionError, Reply
from tests.doubles.gmail_front import Request
from tests.doubles.gmail_http import LoopbackServer
from tests.doubles.trail import BY

REGION = "us-west-2"
ID = "0101019e1c2d3e4f-00000001-aaaa-4bbb-8ccc-0123456789ab-000000"
AT = datetime(2026, 5, 12, 14, 2, tzinfo=UTC)
QUEUE = "http://127.0.0.1/123456789012/ses-events"

CALLS: dict[str, tuple[str, Callable[[], Any]]] = {
    "caller identity": ("sts", asking.caller_identity),
    "suppressed": ("sesv2", lambda: aws_ses.suppressed_destination(REGION, "pat@client.example")),
    "suppression list": ("sesv2", lambda: next(aws_ses.suppressed_destinations(REGION))),
    "unsuppress": ("sesv2", lambda: aws_ses.delete_suppressed_destination(REGION, "pat@client.example")),
    "insights": ("sesv2", lambda: aws_ses.message_insights(REGION, ID)),
    "send": ("sesv2", lambda: aws_ses.send_raw(REGION, b"From: a@b.example\n\n", "a@b.example", ["c@d.example"])),
    "account": ("sesv2", lambda: aws_ses_setup.account(REGION)),
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


class Troubled:
    """An endpoint for every AWS service that gives one sort of answer to all."""

    def __init__(self) -> None:
        self.give: Callable[[Request], Reply] = lambda request: Reply(500)
        self.requests = 0
        self.failures: list[str] = []
        self.server = LoopbackServer(0, self._answer, self.failures.append)
        self.server.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def _answer(self, request: Request) -> Reply:
        self.requests += 1
        return self.give(request)


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[float, Troubled]]:
    """One server for each time-out, because clients are kept by address and making one takes a tenth of a second."""
    servers = {10.0: Troubled(), 0.05: Troubled()}
    yield servers
    for server in servers.values():
        server.server.stop()
        assert not server.failures


@pytest.fixture
def troubled(servers: dict[float, Troubled], monkeypatch: pytest.MonkeyPatch) -> Troubled:
    return point_at(servers[10.0], 10.0, monkeypatch)


@pytest.fixture
def silent(servers: dict[float, Troubled], monkeypatch: pytest.MonkeyPatch) -> Troubled:
    """As `troubled`, asked by clients that wait 0.05 seconds."""
    return point_at(servers[0.05], 0.05, monkeypatch)


def point_at(server: Troubled, read_seconds: float, monkeypatch: pytest.MonkeyPatch) -> Troubled:
    server.requests = 0
    for name, value in {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0.0)
    monkeypatch.setattr(asking, "READ_SECONDS", read_seconds)
    return server


def says(service: str, status: int, code: str, message: str = "no") -> Callable[[Request], Reply]:
    """An error in the protocol of a service."""
    if service in ("iam", "sts"):
        text = f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
        return lambda request: Reply(status, text.encode(), {"Content-Type": "text/xml"})
    body = json.dumps({"__type": code, "message": message}).encode()
    return lambda request: Reply(status, body, {"Content-Type": "application/json", "x-amzn-ErrorType": code})


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
    assert troubled.requests == (1 if name == "send" else asking.MAX_ATTEMPTS)


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
# What botocore makes of an answer that is not JSON is an empty one. For these calls that says "nothing came", "nothing
# was deleted" and "done", which is where asking again next time leads to as well.
EMPTY_IS_AN_ANSWER = {"receive": [], "delete": ["a"], "unsuppress": True}


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
    answer = aws_ses_setup.account("nowhere at all")
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


# -- against moto and the SES double: what the answers mean -----------------------------------------------------------


def test_caller_identity(aws: AwsDouble) -> None:
    answer = asking.caller_identity()
    assert isinstance(answer, asking.Identity)
    assert answer.account == ACCOUNT


def test_the_suppression_list_is_one_for_each_region(aws: AwsDouble) -> None:
    aws.ses.suppress("Pat+sail@client.example", "us-west-2", message_id=ID, at=AT)
    found = aws_ses.suppressed_destination("us-west-2", "Pat+sail@client.example")
    assert found == aws_ses.Suppressed("Pat+sail@client.example", "BOUNCE", AT, ID, ID[:-1] + "1")
    assert aws_ses.suppressed_destination("us-east-1", "Pat+sail@client.example") is None
    assert aws_ses.delete_suppressed_destination("us-west-2", "pat+sail@client.example") is True
    assert aws_ses.delete_suppressed_destination("us-west-2", "pat+sail@client.example") is False


def test_a_long_list_comes_whole_or_says_where_it_broke_off(aws: AwsDouble) -> None:
    aws.ses.region(REGION).page_size = 7
    for number in range(20):
        aws.ses.suppress(f"pat{number}@client.example", REGION, at=AT)
    found = list(aws_ses.suppressed_destinations(REGION))
    assert [entry.address for entry in found if isinstance(entry, aws_ses.Suppressed)] == [
        f"pat{number}@client.example" for number in range(20)
    ]
    aws.ses.fail("ListSuppressedDestinations", 2, status=403, code="AccessDeniedException")
    found = list(aws_ses.suppressed_destinations(REGION))
    assert len(found) == 8
    assert isinstance(found[-1], NotLookedUp)


def test_throttling_that_passes_is_not_noticed(aws: AwsDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0.0)
    aws.ses.fail("GetSuppressedDestination", times=2, status=429, code="TooManyRequestsException")
    assert aws_ses.suppressed_destination(REGION, "pat@client.example") is None
    assert aws.ses.calls["GetSuppressedDestination"] == 3


def test_the_set_up_of_ses(aws: AwsDouble) -> None:
    aws.ses.add_identity("queenofsandiego.com", REGION, ConfigurationSetName="events")
    aws.ses.add_configuration_set("events", REGION, topic_arn="arn:aws:sns:us-west-2:123456789012:ses-events")
    aws.ses.region(REGION).recommendations.append(
        {"ResourceArn": "arn:x", "Type": "DMARC", "Description": "no record", "Status": "OPEN", "Impact": "HIGH"}
    )
    account = aws_ses_setup.account(REGION)
    assert isinstance(account, aws_ses_setup.Account)
    assert (account.sending_enabled, account.production_access, account.vdm_enabled) == (True, True, False)
    identity = aws_ses_setup.identity(REGION, "queenofsandiego.com")
    assert isinstance(identity, aws_ses_setup.SesIdentity)
    assert (identity.verified, identity.configuration_set, len(identity.dkim_tokens)) == (True, "events", 3)
    assert aws_ses_setup.identity("eu-west-1", "queenofsandiego.com") is None
    assert aws_ses_setup.identity_names(REGION) == ["queenofsandiego.com"]
    destinations = aws_ses_setup.event_destinations(REGION, "events")
    assert isinstance(destinations, list)
    assert (destinations[0].enabled, "BOUNCE" in destinations[0].events) == (True, True)
    assert aws_ses_setup.event_destinations(REGION, "gone") is None
    assert aws_ses_setup.configuration_set(REGION, "gone") is None
    found = aws_ses_setup.recommendations(REGION)
    assert isinstance(found, list)
    assert found[0].type == "DMARC"


def test_insights(aws: AwsDouble) -> None:
    answer = aws_ses.message_insights(REGION, ID)
    assert isinstance(answer, NotLookedUp)  # VDM is off, which SES says by refusing
    aws.ses.region(REGION).account["VdmAttributes"] = {"VdmEnabled": "ENABLED"}
    assert aws_ses.message_insights(REGION, ID) is None
    bounce = {"Bounce": {"BounceType": "PERMANENT", "BounceSubType": "General", "DiagnosticCode": "550 5.1.1"}}
    aws.ses.add_insights(
        ID,
        REGION,
        sender="admin@queenofsandiego.com",
        subject="Sail",
        events=[("pat@client.example", "BOUNCE", AT, bounce)],
    )
    answer = aws_ses.message_insights(REGION, ID)
    assert isinstance(answer, aws_ses.MessageInsights)
    assert answer.events == (
        aws_ses.MessageEvent("pat@client.example", "BOUNCE", AT, "PERMANENT", "General", "550 5.1.1"),
    )


def test_sending_is_tried_once_and_refused_in_words(aws: AwsDouble) -> None:
    raw = b"From: admin@queenofsandiego.com\nTo: pat@client.example\nSubject: Sail\n\nAhoy\n"
    refused = aws_ses.send_raw(REGION, raw, "admin@queenofsandiego.com", ["pat@client.example"])
    assert isinstance(refused, NotLookedUp)
    assert refused.code == "MessageRejected"
    assert "US-WEST-2: admin@queenofsandiego.com" in refused.why
    aws.ses.add_identity("queenofsandiego.com", REGION)
    message_id = aws_ses.send_raw(REGION, raw, "admin@queenofsandiego.com", ["pat@client.example"])
    [sent] = aws.ses.sent
    assert (sent.id, sent.raw, sent.recipients, sent.region) == (message_id, raw, ("pat@client.example",), REGION)
    aws.ses.fail("SendEmail", when="after", connection="drop")
    lost = aws_ses.send_raw(REGION, raw, "admin@queenofsandiego.com", ["pat@client.example"])
    assert isinstance(lost, NotLookedUp)
    assert len(aws.ses.sent) == 2, "a mail whose answer was lost must not be sent again by itself"


def test_keys_and_their_use(aws: AwsDouble) -> None:
    assert aws_iam.access_keys("ses-smtp-admin") is None
    old = aws.make_smtp_user()
    aws.deactivate_key(old)
    new = aws.add_key(old.name)
    keys = aws_iam.access_keys(old.name)
    assert isinstance(keys, list)
    assert {key.id: key.active for key in keys} == {old.key_id: False, new.key_id: True}
    assert {key.last_use for key in keys} == {aws_iam.LastUse(None)}
    assert keys[0].short_id == f"{keys[0].id[:4]}…{keys[0].id[-2:]}"


def test_what_was_done_to_keys(aws: AwsDouble) -> None:
    hours = [AT + timedelta(hours=number) for number in range(6)]
    aws.trail.note("created", "ses-smtp-admin", "AKIAIOSFODNN7NEWKEY1", hours[1])
    aws.trail.note("made inactive", "ses-smtp-admin", "AKIAIOSFODNN7OLDKEY7", hours[2])
    aws.trail.note("made inactive", "someone-else", "AKIAIOSFODNN7OTHERS3", hours[2])
    aws.trail.note("deleted", "ses-smtp-admin", "AKIAIOSFODNN7OLDKEY7", hours[3], error="AccessDenied")
    aws.trail.note("deleted", "ses-smtp-admin", "AKIAIOSFODNN7OLDKEY7", hours[4])
    aws.trail.page_size = 1
    changes = aws_iam.key_changes("ses-smtp-admin", hours[0])
    assert isinstance(changes, list)
    assert [(change.short_id, change.change, change.at) for change in changes] == [
        ("AKIA…Y1", "created", hours[1]),
        ("AKIA…Y7", "made inactive", hours[2]),
        ("AKIA…Y7", "deleted", hours[4]),
    ]
    assert changes[0].by == BY
    assert aws_iam.key_changes("ses-smtp-admin", hours[5]) == []


def test_keys_are_known_even_where_their_use_is_not(troubled: Troubled) -> None:
    row = "<UserName>u</UserName><AccessKeyId>AKIAIOSFODNN7EXAMPLE</AccessKeyId><Status>Active</Status>"
    row += "<CreateDate>2026-05-12T14:02:00Z</CreateDate>"
    rows = f"<AccessKeyMetadata><member>{row}</member></AccessKeyMetadata>"
    keys = f"<R><ListAccessKeysResult>{rows}</ListAccessKeysResult></R>"
    denied = says("iam", 403, "AccessDenied")
    troubled.give = lambda request: (
        Reply(200, keys.encode(), {"Content-Type": "text/xml"})
        if b"ListAccessKeys" in request.body
        else denied(request)
    )
    found = aws_iam.access_keys("ses-smtp-admin")
    assert isinstance(found, list)
    assert (found[0].active, found[0].created_at) == (True, AT)
    assert isinstance(found[0].last_use, NotLookedUp)


def test_secrets(aws: AwsDouble) -> None:
    arn = aws.make_secret({"username": "AKIAIOSFODNN7EXAMPLE", "password": "B" * 44, "port": "587", "iam_user": "u"})
    versions = aws_secrets.secret_versions("us-east-1", arn)
    assert isinstance(versions, list)
    assert versions[0].stages == ("AWSCURRENT",)
    login = aws_secrets.secret_login("us-east-1", arn)
    assert isinstance(login, aws_secrets.SecretLogin)
    assert (login.username, login.password, login.port, login.user) == ("AKIAIOSFODNN7EXAMPLE", "B" * 44, 587, "u")
    assert "BBBB" not in repr(login)
    assert aws_secrets.secret_login("us-east-1", arn, "AWSPENDING") is None


def test_a_queue_gives_and_deletes(aws: AwsDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_queue, "WAIT_SECONDS", 0)
    queue = aws.make_event_queue()
    aws.put_in_queue(*(f"message {number}" for number in range(12)))
    first = aws_queue.receive(queue.region, queue.url)
    assert isinstance(first, list)
    assert len(first) == aws_queue.MAX_MESSAGES
    assert first[0].received == 1
    assert aws_queue.delete(queue.region, queue.url, first) == []
    second = aws_queue.receive(queue.region, queue.url)
    assert isinstance(second, list)
    assert {message.body for message in (*first, *second)} == {f"message {number}" for number in range(12)}
    broken = aws_queue.QueueMessage(second[0].id, "", "no handle", 1)
    assert aws_queue.delete(queue.region, queue.url, [broken, second[1]]) == [second[0].id]
    assert aws_queue.receive(queue.region, queue.url) == []
    gone = aws_queue.receive(queue.region, queue.url + "-gone")
    assert isinstance(gone, NotLookedUp)
    assert gone.kind == "refused"


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sqs.us-east-1.amazonaws.com/123456789012/ses-events", "us-east-1"),
        ("https://eu-west-1.queue.amazonaws.com/123456789012/ses-events", "eu-west-1"),
        ("http://127.0.0.1:5000/123456789012/ses-events", None),
    ],
)
def test_the_region_of_a_queue(url: str, region: str | None) -> None:
    assert aws_queue.queue_region(url) == region


def test_importing_costs_no_boto3() -> None:
    names = ["aws", "aws_ses", "aws_ses_setup", "aws_iam", "aws_queue", "aws_secrets", "policies"]
    code = f"import sys, {', '.join(f'remediation.{name}' for name in names)}; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "remediation.aws_queue" in modules
    assert not {"boto3", "botocore", "urllib3"} & set(modules)
