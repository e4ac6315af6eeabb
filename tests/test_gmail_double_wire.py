"""The double's wire, proven against the real client: tokens, batches, quota, faults, killed clients."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request
from google.oauth2.credentials import Credentials
from google_auth_oauthlib.flow import InstalledAppFlow
from googleapiclient.errors import BatchError, HttpError
from googleapiclient.http import BatchHttpRequest

from tests.doubles import gmail_errors
from tests.doubles.gmail import GmailDouble
from tests.doubles.gmail_probe import ME, client_of, credentials_of, encoded, found, mail, refused

ROOT = Path(__file__).parent.parent
MODIFY = "https://www.googleapis.com/auth/gmail.modify"
READONLY = "https://www.googleapis.com/auth/gmail.readonly"


@pytest.fixture
def gmail() -> Iterator[GmailDouble]:
    with GmailDouble() as double:
        yield double


@pytest.fixture
def service(gmail: GmailDouble) -> Iterator[Any]:
    with client_of(gmail) as client:
        yield client


@pytest.fixture
def users(service: Any) -> Any:
    return service.users()


def run_batch(service: Any, ids: list[str]) -> dict[str, Any]:
    """Get all ids in one batch: the answer or the error by message id."""
    results: dict[str, Any] = {}
    batch = service.new_batch_http_request(lambda name, answer, error: results.update({name: error or answer}))
    messages = service.users().messages()
    for message_id in ids:
        batch.add(messages.get(userId="me", id=message_id, format="minimal"), request_id=message_id)
    batch.execute()
    return results


# -- tokens -----------------------------------------------------------------------------------------------------


def test_an_expired_token_is_refreshed_by_the_client(gmail: GmailDouble, users: Any) -> None:
    gmail.clock.advance(3600)
    assert users.getProfile(**ME).execute()["emailAddress"] == "jadasailing@gmail.com"
    assert gmail.quota.calls == {"getProfile": 2, "token": 1}


def test_a_dead_refresh_token_is_invalid_grant(gmail: GmailDouble, users: Any) -> None:
    gmail.oauth.kill_refresh_tokens()
    users.getProfile(**ME).execute()
    gmail.clock.advance(3600)
    with pytest.raises(RefreshError, match="invalid_grant: Token has been expired or revoked"):
        users.getProfile(**ME).execute()


def test_revoking_kills_the_access_token_too(gmail: GmailDouble) -> None:
    info = gmail.token_info()
    form = urllib.parse.urlencode({"token": info["token"]}).encode()
    with urllib.request.urlopen(f"{gmail.url}/revoke", form) as answer:
        assert answer.status == 200
    credentials = credentials_of(info)
    with pytest.raises(RefreshError, match="invalid_grant"):
        refresh(credentials)
    assert gmail.oauth.access_tokens == {}


def refresh(credentials: Any) -> None:
    with requests.Session() as session:
        credentials.refresh(Request(session))


def test_asking_for_more_than_granted_is_invalid_scope(gmail: GmailDouble) -> None:
    info = gmail.token_info([READONLY])
    with pytest.raises(RefreshError, match="invalid_scope"):
        refresh(credentials_of(info, [READONLY, MODIFY]))


def test_the_token_endpoint_can_be_away(gmail: GmailDouble) -> None:
    gmail.fail("token", status=503)
    refresh(credentials_of(gmail.token_info()))  # google-auth tries again by itself
    assert gmail.quota.calls == {"token": 2}


def test_a_missing_scope_and_a_missing_token(gmail: GmailDouble) -> None:
    message_id = gmail.seed(mail())
    with client_of(gmail, READONLY) as service:
        delete = service.users().messages().trash(userId="me", id=message_id)
        with pytest.raises(HttpError) as caught:
            delete.execute()
    error = json.loads(caught.value.content)["error"]
    assert (error["code"], error["errors"][0]["reason"]) == (403, "insufficientPermissions")
    assert error["details"][0]["reason"] == "ACCESS_TOKEN_SCOPE_INSUFFICIENT"
    with pytest.raises(urllib.error.HTTPError) as denied:
        urllib.request.urlopen(f"{gmail.url}/gmail/v1/users/me/profile")
    with denied.value:
        assert json.load(denied.value)["error"]["errors"][0]["reason"] == "required"


def test_the_stock_desktop_flow_on_any_loopback_port(
    gmail: GmailDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    gmail.write_credentials(tmp_path)
    flow = InstalledAppFlow.from_client_secrets_file(
        tmp_path / "credentials.json", [MODIFY], autogenerate_code_verifier=True
    )
    flow.redirect_uri = "http://localhost:54321/"
    address, _ = flow.authorization_url(access_type="offline", prompt="consent")
    assert "code_challenge=" in address
    opener = urllib.request.build_opener(_NoRedirect)
    with pytest.raises(urllib.error.HTTPError) as sent_back:
        opener.open(address)
    with sent_back.value:
        back = sent_back.value.headers["Location"]
    verifier = flow.code_verifier
    flow.code_verifier = "x" * 50
    with pytest.raises(Exception, match="invalid_grant"):
        flow.fetch_token(authorization_response=back)
    with pytest.raises(urllib.error.HTTPError) as sent_back:
        opener.open(address)
    with sent_back.value:
        back = sent_back.value.headers["Location"]
    flow.code_verifier = verifier
    flow.fetch_token(authorization_response=back)  # names the client by HTTP Basic
    flow.oauth2session.close()
    assert flow.credentials.refresh_token in gmail.oauth.refresh_tokens
    gmail.oauth.deny_consent = True
    with pytest.raises(urllib.error.HTTPError) as sent_back:
        opener.open(address)
    with sent_back.value:
        assert "error=access_denied" in sent_back.value.headers["Location"]


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def test_written_credentials_have_googles_shape(gmail: GmailDouble, tmp_path: Path) -> None:
    gmail.write_credentials(tmp_path)
    for name in ("credentials.json", "token.json"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    credentials = Credentials.from_authorized_user_file(tmp_path / "token.json")  # type: ignore[no-untyped-call]
    assert credentials.valid
    assert set(json.loads(credentials.to_json())) == set(json.loads((tmp_path / "token.json").read_text()))


# -- batches and quota ------------------------------------------------------------------------------------------


def test_a_batch_mixes_answers_and_errors(gmail: GmailDouble, service: Any) -> None:
    ids = [gmail.seed(mail()) for _ in range(4)]
    gmail.fail("messages.get", 2, status=429)
    gmail.reset_counters()
    results = run_batch(service, [*ids, "18c0000000000001"])
    assert results[ids[0]]["id"] == ids[0]
    assert [results[key].resp.status for key in (ids[1], "18c0000000000001")] == [429, 404]
    quota = gmail.quota
    assert (quota.http_requests, quota.requests, quota.units_new, quota.units_old) == (1, 4, 80, 20)
    assert quota.calls == {"batch": 1, "messages.get": 5}


# The client refreshes a batch on a connection of its own and leaves it open (googleapiclient/_auth.py).
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_batch_refreshes_an_expired_token(gmail: GmailDouble, service: Any) -> None:
    ids = [gmail.seed(mail()) for _ in range(3)]
    gmail.clock.advance(3600)
    assert set(run_batch(service, ids)) == set(ids)
    assert gmail.quota.calls["token"] == 1


def test_batches_have_limits(gmail: GmailDouble, service: Any) -> None:
    ids = [gmail.seed(mail()) for _ in range(5)]
    batch = service.new_batch_http_request()
    for number in range(101):
        batch.add(service.users().getProfile(**ME), request_id=str(number))
    with pytest.raises(HttpError, match="Received: 101, Limit: 100"):
        batch.execute()
    gmail.account.parts_at_once = 3
    errors = [result for result in run_batch(service, ids).values() if isinstance(result, HttpError)]
    assert [error.reason for error in errors] == ["Too many concurrent requests for user."] * 2
    assert (gmail.quota.calls["messages.get"], gmail.quota.requests) == (3, 3)
    gmail.fail("batch", status=503)
    with pytest.raises(HttpError, match="currently unavailable"):
        run_batch(service, ids)
    gmail.fail("messages.get", connection="omit")
    with pytest.raises((KeyError, BatchError)):
        run_batch(service, ids[:2])


def test_both_batch_addresses_are_served(gmail: GmailDouble, service: Any) -> None:
    batch = BatchHttpRequest(batch_uri=f"{gmail.url}/batch/gmail/v1")
    answers: list[Any] = []
    batch.add(service.users().getProfile(**ME), callback=lambda _, answer, error: answers.append(error or answer))
    batch.execute(http=service._http)
    assert answers[0]["emailAddress"] == gmail.address


@pytest.mark.parametrize(("table", "gets"), [("new", 300), ("old", 3000)])
def test_the_minute_can_be_enforced(gmail: GmailDouble, users: Any, table: Any, gets: int) -> None:
    gmail.quota.enforced = table
    for _ in range(gets):
        gmail.quota.charge("messages.get", gmail.clock.now())
    status, reason, message = refused(users.getProfile(**ME))
    assert (status, reason) == (403, "rateLimitExceeded")
    assert "Queries per minute per user" in message
    gmail.clock.advance(61)
    users.getProfile(**ME).execute()


def test_a_quiet_run_is_counted_to_the_unit(gmail: GmailDouble, users: Any) -> None:
    found(users, "from:mailer-daemon")
    users.labels().list(**ME).execute()
    assert gmail.quota.counters() == {
        "units_new": 6,
        "units_old": 6,
        "requests": 2,
        "http_requests": 2,
        "calls": {"messages.list": 1, "labels.list": 1},
    }


# -- faults -----------------------------------------------------------------------------------------------------


def test_the_nth_call_fails_with_the_chosen_body(gmail: GmailDouble, users: Any) -> None:
    gmail.fail("getProfile", 2, times=2, error=gmail_errors.user_rate_limit("2026-11-24T10:00:00.000Z"))
    profile = users.getProfile(**ME)
    profile.execute()
    assert "Retry after 2026-11-24" in refused(profile)[2]
    assert refused(profile)[0] == 429
    profile.execute()
    gmail.fail("*", status=502, body=b"<html>Bad Gateway</html>", headers={"Content-Type": "text/html"})
    with pytest.raises(HttpError) as caught:
        profile.execute()
    assert caught.value.content == b"<html>Bad Gateway</html>"


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (gmail_errors.resource_exhausted(), 429, "rateLimitExceeded"),
        (gmail_errors.not_configured(), 403, "accessNotConfigured"),
        (gmail_errors.by_status(500), 500, "backendError"),
        (gmail_errors.by_status(401), 401, "authError"),
    ],
)
def test_error_bodies(gmail: GmailDouble, users: Any, error: Any, status: int, reason: str) -> None:
    gmail.fail("getProfile", times=None, error=error)
    assert refused(users.getProfile(**ME))[:2] == (status, reason)


@pytest.mark.parametrize(
    ("connection", "when", "stored"),
    # httplib2 itself repeats a POST whose connection was closed without an answer: two notes where one was meant
    [("drop", "before", 1), ("drop", "after", 2), ("reset", "before", 0), ("reset", "after", 1)],
)
def test_a_broken_connection(gmail: GmailDouble, users: Any, connection: Any, when: Any, stored: int) -> None:
    gmail.fail("messages.insert", connection=connection, when=when)
    insert = users.messages().insert(userId="me", body={"raw": encoded(mail())})
    if connection == "drop":
        insert.execute(num_retries=0)
    else:
        with pytest.raises(ConnectionResetError):
            insert.execute(num_retries=0)
    assert len(gmail.messages) == stored


def test_a_truncated_answer(gmail: GmailDouble, users: Any) -> None:
    gmail.fail("getProfile", connection="truncate")
    with pytest.raises(Exception, match="IncompleteRead"):
        users.getProfile(**ME).execute()
    users.getProfile(**ME).execute()


def test_a_hang_and_a_slow_answer(gmail: GmailDouble) -> None:
    with client_of(gmail, timeout=0.3) as service:
        gmail.fail("getProfile", connection="hang")
        with pytest.raises(TimeoutError):
            service.users().getProfile(**ME).execute()
        gmail.fail("getProfile", latency=0.1, jitter=0.05)
        started = time.monotonic()
        service.users().getProfile(**ME).execute()
        assert time.monotonic() - started >= 0.1


def test_keep_alive_is_not_slowed_by_nagle(gmail: GmailDouble, users: Any) -> None:
    """Two packets an answer would cost 44 ms each; 50 requests then take more than two seconds."""
    profile = users.getProfile(**ME)
    started = time.monotonic()
    for _ in range(50):
        profile.execute()
    assert time.monotonic() - started < 1.5


# -- killed clients, resumed doubles ----------------------------------------------------------------------------

WORKER = """
import base64, json, sys, urllib.request
url, token, raw = sys.argv[1:]
for number in range(3):
    request = urllib.request.Request(f"{url}/gmail/v1/users/me/messages", json.dumps({"raw": raw}).encode())
    request.add_header("Authorization", f"Bearer {token}")
    urllib.request.urlopen(request).read()
"""


@pytest.mark.parametrize(("when", "stored"), [("before", 1), ("after", 2)])
def test_a_worker_is_killed_at_the_nth_call(gmail: GmailDouble, when: Any, stored: int) -> None:
    worker: list[subprocess.Popen[bytes]] = []
    started = threading.Event()

    def pid() -> int:
        assert started.wait(10)
        return worker[0].pid

    gmail.kill_at(pid, "messages.insert", 2, when)
    token = gmail.token_info()["token"]
    worker.append(subprocess.Popen([sys.executable, "-c", WORKER, gmail.url, token, encoded(mail())]))
    started.set()
    assert worker[0].wait(20) == -signal.SIGKILL
    assert len(gmail.messages) == stored


def test_everything_outlives_the_double(tmp_path: Path) -> None:
    state = tmp_path / "gmail.json"
    with GmailDouble(state=state) as gmail:
        info = gmail.token_info()
        gmail.add_send_as("admin@queenofsandiego.com", host="email-smtp.us-east-1.amazonaws.com")
        thread_id = gmail.seed(mail("a", Message_ID="<1@example.com>"), labels=["INBOX", "Bounce"])
        before = gmail.account.mailbox.snapshot()
        port = int(gmail.url.rpartition(":")[2])
    with GmailDouble(state=state, port=port) as gmail:
        assert gmail.account.mailbox.snapshot() == before
        assert gmail.label_names_of_thread(thread_id) == {"INBOX", "Bounce"}
        refresh(credentials_of(info))
        reply = gmail.seed(mail("Re: a", References="<1@example.com>"))
        assert gmail.messages[reply].thread_id == thread_id


def test_as_a_process_of_its_own(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.doubles.gmail",
        "--state",
        str(tmp_path / "s"),
        "--credentials",
        str(tmp_path),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ) as process:
        assert process.stdout
        url = process.stdout.readline().strip()
        seeded = control(f"{url}/_double/seed?labels=INBOX,Bounce&received_at=2026-11-01T00:00:00Z", mail())
        state = control(f"{url}/_double/state")
        assert state["messages"][0] | {"size": 0} == {
            "id": seeded["id"],
            "thread_id": seeded["id"],
            "labels": ["INBOX", "Bounce"],
            "size": 0,
        }
        assert control(f"{url}/_double/counters")["requests"] == 0
        assert json.loads((tmp_path / "token.json").read_text())["token_uri"] == f"{url}/token"
        process.terminate()
        assert process.wait(10) == 0
    with GmailDouble(state=tmp_path / "s") as gmail:
        assert list(gmail.messages) == [seeded["id"]]


def control(address: str, body: bytes | None = None) -> Any:
    with urllib.request.urlopen(address, body) as answer:
        return json.load(answer)
