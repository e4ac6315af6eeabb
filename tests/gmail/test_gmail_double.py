"""The Gmail double, proven against the real client: what holds here is what every other test stands on."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import google_auth_httplib2
import httplib2
import pytest
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build_from_document
from googleapiclient.discovery_cache import get_static_doc
from googleapiclient.errors import HttpError

from tests.doubles.gmail import GmailDouble
from tests.doubles.gmail.api import METHODS
from tests.doubles.gmail.oauth import CLIENT_ID, CLIENT_SECRET, OAuth
from tests.doubles.gmail.quota import UNITS
from tests.doubles.loopback import DoubleError

ME: dict[str, Any] = {"userId": "me"}
DOCUMENT = json.loads(get_static_doc("gmail", "v1"))


def client_of(gmail: GmailDouble, folder: Path, *scopes: str) -> Any:
    """The real client, moved to the double in the one place that moves calls and batches alike."""
    gmail.write_credentials(folder, **({"scopes": scopes} if scopes else {}))
    signed_in = Credentials.from_authorized_user_file(folder / "token.json")  # type: ignore[no-untyped-call]
    http = google_auth_httplib2.AuthorizedHttp(signed_in, http=httplib2.Http(timeout=5))
    document = {key: value for key, value in DOCUMENT.items() if key != "mtlsRootUrl"} | {"rootUrl": f"{gmail.url}/"}
    return build_from_document(document, http=http)


@pytest.fixture
def gmail() -> Iterator[GmailDouble]:
    with GmailDouble() as double:
        yield double


@pytest.fixture
def users(gmail: GmailDouble, tmp_path: Path) -> Iterator[Any]:
    with client_of(gmail, tmp_path) as client:
        yield client.users()


def mail(subject: str = "Undeliverable: hello", **headers: str) -> bytes:
    lines = {"From": "Mail Delivery Subsystem <mailer-daemon@example.org>", "To": "jadasailing@gmail.com"} | headers
    text = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())
    return f"{text}Subject: {subject}\r\n\r\n550 5.1.1 no such user\r\n".encode()


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode()


def refused(call: Any) -> tuple[int, str]:
    """Execute a call that must fail: status and message of Gmail's error body."""
    with pytest.raises(HttpError) as caught:
        call.execute()
    return caught.value.resp.status, json.loads(caught.value.content)["error"]["message"]


def found(users: Any, q: str, **more: Any) -> set[str]:
    answer = users.messages().list(userId="me", q=q, **more).execute()
    return {row["id"] for row in answer.get("messages", [])}


# -- what it was taught -----------------------------------------------------------------------------------------


def test_what_it_serves_is_described_by_google_and_has_a_price() -> None:
    known: dict[str, Any] = {}
    waiting = [DOCUMENT]
    while waiting:
        node = waiting.pop()
        waiting += node.get("resources", {}).values()
        for method in node.get("methods", {}).values():
            known[method["id"].removeprefix("gmail.users.").removeprefix("settings.")] = method
    assert set(METHODS) == set(UNITS) <= set(known)
    for name, method in METHODS.items():
        assert set(method.parameters.split()) <= set(known[name]["parameters"]), name
        if method.body:
            schema = DOCUMENT["schemas"][known[name]["request"]["$ref"]]
            assert set(method.body.split()) <= set(schema["properties"]), name


NOT_TAUGHT = {
    "messages.send": lambda users: users.messages().send(userId="me", body={"raw": encoded(mail())}),
    "drafts.send": lambda users: users.drafts().send(userId="me", body={"id": "r1"}),
    "messages.delete": lambda users: users.messages().delete(userId="me", id="1"),
    "color of labels.create": lambda users: users.labels().create(userId="me", body={"name": "a", "color": {}}),
}
QUERIES_NOT_TAUGHT = ("a:b", "is:read", "in:limbo", "from:undeliv*", "a", "(from:a)", "{from:a", "{}", "after:2026/1/2")


@pytest.mark.parametrize("what", [*NOT_TAUGHT, *QUERIES_NOT_TAUGHT])
def test_what_it_was_not_taught_fails_the_test(what: str, tmp_path: Path) -> None:
    ask = NOT_TAUGHT.get(what, lambda users: users.messages().list(userId="me", q=what))
    with (
        pytest.raises(DoubleError, match="was not taught"),
        GmailDouble() as gmail,
        client_of(gmail, tmp_path) as client,
    ):
        assert refused(ask(client.users()))[0] == 400


# -- messages and threads ---------------------------------------------------------------------------------------


def test_formats(gmail: GmailDouble, users: Any) -> None:
    raw = mail(Auto_Submitted="auto-replied") + bytes(range(256))
    message_id = gmail.seed(raw, received_at=datetime(2026, 11, 1, tzinfo=UTC))
    get = users.messages().get
    assert base64.urlsafe_b64decode(get(userId="me", id=message_id.upper(), format="raw").execute()["raw"]) == raw
    assert get(userId="me", id=message_id, format="minimal").execute() == {
        "id": message_id,
        "threadId": message_id,
        "labelIds": ["INBOX", "UNREAD"],
        "sizeEstimate": len(raw),
        "internalDate": "1793491200000",
    }
    metadata = get(userId="me", id=message_id, format="metadata", metadataHeaders=["auto-submitted", "To"]).execute()
    assert metadata["payload"]["headers"] == [
        {"name": "To", "value": "jadasailing@gmail.com"},
        {"name": "Auto-Submitted", "value": "auto-replied"},
    ]


@pytest.mark.parametrize(
    ("given", "status"), [("18c0000000000001", 404), ("ff", 404), ("8000000000000000", 400), ("0" * 17, 400)]
)
def test_ids_that_cannot_be_and_ids_that_are_not_there(users: Any, given: str, status: int) -> None:
    assert refused(users.messages().get(userId="me", id=given, format="raw"))[0] == status
    assert refused(users.threads().get(userId="me", id=given, format="minimal"))[0] == status


def test_pages_are_not_shifted_by_new_mail(gmail: GmailDouble, users: Any) -> None:
    assert "messages" not in users.messages().list(**ME).execute()
    seeded = [gmail.seed(mail()) for _ in range(5)]
    request = users.messages().list(userId="me", q="subject:undeliverable", maxResults=2)
    listed: list[str] = []
    while request is not None:
        answer = request.execute()
        listed += [row["id"] for row in answer["messages"]]
        gmail.seed(mail())
        request = users.messages().list_next(request, answer)
    assert listed == seeded[::-1]


def test_mails_are_threaded_by_reference_and_subject(gmail: GmailDouble, users: Any) -> None:
    first = gmail.seed(mail("Regatta", Message_ID="<one@example.com>"))

    def joins(raw: bytes, **body: str) -> bool:
        inserted = users.messages().insert(userId="me", body={"raw": encoded(raw), **body}).execute()
        return bool(gmail.messages[gmail.seed(raw)].thread_id == first == inserted["threadId"])

    assert joins(mail("Re: Regatta", References="<one@example.com>"))
    assert joins(mail("Fwd: Regatta", In_Reply_To="<one@example.com>"), threadId=first)
    assert not joins(mail("Other", References="<one@example.com>"), threadId=first)
    assert not joins(mail("Re: Regatta"), threadId=first)
    assert joins(mail("Failure", From="mailer-daemon@googlemail.com", References="<one@example.com>"))
    assert len(users.threads().get(userId="me", id=first, format="minimal").execute()["messages"]) == 7


def test_insert_marks_own_mails_as_sent_and_refuses_what_gmail_refuses(users: Any) -> None:
    def insert(**body: Any) -> Any:
        return users.messages().insert(userId="me", body=body)

    own = encoded(mail(From="Jada <jadasailing@gmail.com>"))
    assert insert(raw=own, labelIds=["INBOX"]).execute()["labelIds"] == ["INBOX", "SENT"]
    assert "RFC822 payload" in refused(insert())[1]
    assert refused(insert(raw=encoded(b"Subject: x\r\n\r\n")))[1] == "Invalid From header"
    assert refused(insert(raw=own, labelIds=["Label_404"]))[1] == "labelId not found"
    assert refused(insert(raw=own, threadId="18c0000000000001"))[0] == 404


def test_drafts(gmail: GmailDouble, users: Any) -> None:
    body = {"message": {"raw": encoded(mail())}}
    one, other = (users.drafts().create(userId="me", body=body).execute() for _ in range(2))
    assert one["message"]["labelIds"] == ["DRAFT"]
    shown = users.drafts().get(userId="me", id=one["id"], format="raw").execute()
    assert shown["message"]["raw"] == body["message"]["raw"]
    assert [row["id"] for row in users.drafts().list(**ME).execute()["drafts"]] == [other["id"], one["id"]]
    assert users.drafts().delete(userId="me", id=one["id"]).execute() == ""
    assert refused(users.drafts().get(userId="me", id=one["id"], format="raw"))[0] == 404
    assert list(gmail.messages) == [other["message"]["id"]]


def test_trash_hides(gmail: GmailDouble, users: Any) -> None:
    message_id = gmail.seed(mail())
    assert users.messages().trash(userId="me", id=message_id).execute()["labelIds"] == ["UNREAD", "TRASH"]
    assert found(users, "from:mailer-daemon") == set()
    assert found(users, "from:mailer-daemon", includeSpamTrash=True) == {message_id}


# -- search -----------------------------------------------------------------------------------------------------

QUERIES = {
    "": "abc",
    "from:mailer-daemon": "ab",
    "from:mailer": "ab",
    "from:mail": "b",
    "from:mailer-daem": "",
    'from:"mail delivery"': "b",
    "subject:undeliver": "",
    "subject:undeliverable": "a",
    'subject:"returned mail"': "b",
    'subject:"mail returned"': "",
    "{subject:undeliverable subject:returned} from:mailer": "ab",
    "-from:mailer-daemon": "c",
    "to:jadasailing@gmail.com": "ab",
    "rfc822msgid:a@example.org": "a",
    "rfc822msgid:<a@example.org>": "a",
    "rfc822msgid:A@example.org": "",
    "in:sent": "c",
    "in:sent to:x@example.com": "c",
    "-in:chats -in:sent": "ab",
    "after:1793491200 before:1793491201": "a",
    "after:1793491201": "bc",
    "larger:1k": "c",
    "larger:1M": "",
}


@pytest.mark.parametrize("q", QUERIES)
def test_query(gmail: GmailDouble, users: Any, q: str) -> None:
    daemon = "mailer-daemon@example.org"
    ids = {
        gmail.seed(mail(From=daemon, Message_ID="<a@example.org>"), received_at=datetime(2026, 11, 1, tzinfo=UTC)): "a",
        gmail.seed(mail("=?utf-8?q?Returned_mail?=", Message_ID="<b@example.org>")): "b",
        gmail.seed(mail("Plans", From="jadasailing@gmail.com", To="x@example.com") + b"x" * 1024, ["SENT"]): "c",
        gmail.seed(mail("Undeliverable"), labels=["SPAM"]): "s",
    }
    assert {ids[message_id] for message_id in found(users, q)} == set(QUERIES[q])


def test_a_search_lags_behind_and_may_be_long(gmail: GmailDouble, users: Any) -> None:
    gmail.account.search_lag = 30
    message_id = gmail.seed(mail())
    long = f"{{{' '.join(f'subject:{word}' for word in ['undeliverable', *map(str, range(300))])}}}"
    assert len(long) > 2048, "it travels as a form"
    assert found(users, long) == set()
    assert users.messages().get(userId="me", id=message_id, format="minimal").execute()["id"] == message_id
    gmail.clock.advance(31)
    assert found(users, long) == {message_id}


# -- who may, and at what price ---------------------------------------------------------------------------------


def test_scopes_accounts_and_labels_are_looked_at(gmail: GmailDouble, users: Any, tmp_path: Path) -> None:
    assert refused(users.getProfile(userId="pat@example.org")) == (403, "Delegation denied for pat@example.org")
    message_id = gmail.seed(mail())
    modify = users.threads().modify
    assert refused(modify(userId="me", id=message_id, body={}))[1] == "No label add or removes specified"
    assert refused(modify(userId="me", id=message_id, body={"addLabelIds": ["SENT"]}))[1] == "Invalid label: SENT"
    for name in ("Inbox", "Muted", "/lead", "a//b", "x" * 226):
        assert refused(users.labels().create(userId="me", body={"name": name})) == (400, "Invalid label name")
    users.labels().create(userId="me", body={"name": "Bounce"}).execute()
    assert refused(users.labels().create(userId="me", body={"name": "bOUNCE"}))[0] == 409
    with client_of(gmail, tmp_path, "https://www.googleapis.com/auth/gmail.readonly") as client:
        trash = client.users().messages().trash(userId="me", id=message_id)
        assert refused(trash) == (403, "Request had insufficient authentication scopes.")
    assert gmail.labels_of(message_id) == {"INBOX", "UNREAD"}


def test_a_batch_costs_as_much_as_its_parts(gmail: GmailDouble, tmp_path: Path) -> None:
    ids = [gmail.seed(mail()) for _ in range(3)]
    gmail.fail("messages.get", 2, status=429)
    answers: dict[str, Any] = {}
    with client_of(gmail, tmp_path) as client:
        batch = client.new_batch_http_request(lambda name, answer, error: answers.update({name: error or answer}))
        for message_id in ids:
            batch.add(client.users().messages().get(userId="me", id=message_id, format="raw"), request_id=message_id)
        batch.execute()
    assert [answers[ids[0]]["id"], answers[ids[1]].resp.status] == [ids[0], 429]
    quota = gmail.quota
    assert (quota.http_requests, quota.requests, quota.units_new, quota.units_old) == (1, 2, 40, 10)
    assert quota.calls == {"batch": 1, "messages.get": 3}


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({}, None),
        ({"code_verifier": "another"}, "invalid_grant"),
        ({"redirect_uri": "http://127.0.0.1:2/"}, "redirect_uri_mismatch"),
        ({"client_secret": "another"}, "invalid_client"),
    ],
)
def test_a_code_is_given_to_nobody_but_the_one_who_asked(wrong: dict[str, str], error: str | None) -> None:
    oauth = OAuth()
    challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # RFC 7636, appendix B
    asked = {"redirect_uri": "http://127.0.0.1:1/", "scope": "a", "state": "s", "code_challenge": challenge}
    code = oauth.authorize(asked).partition("code=")[2].partition("&")[0].replace("%2F", "/")
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        "redirect_uri": asked["redirect_uri"],
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
    }
    assert oauth.token(form | wrong, None, 0.0)[1].get("error") == error
