"""The double's mailbox, proven against the real client: what holds here is what every other test stands on."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.doubles.gmail import GmailDouble
from tests.doubles.gmail_errors import DoubleError
from tests.doubles.gmail_probe import ME, client_of, encoded, found, mail, refused
from tests.doubles.gmail_routes import label_palette


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


# -- messages and threads ---------------------------------------------------------------------------------------


def test_raw_comes_back_byte_for_byte(gmail: GmailDouble, users: Any) -> None:
    raw = mail() + bytes(range(256))
    message_id = gmail.seed(raw, received_at=datetime(2026, 11, 1, tzinfo=UTC))
    answer = users.messages().get(userId="me", id=message_id.upper(), format="raw").execute()
    assert base64.urlsafe_b64decode(answer["raw"]) == raw
    assert answer["internalDate"] == "1793491200000"
    assert (len(answer["id"]), answer["threadId"], answer["labelIds"]) == (16, message_id, ["INBOX", "UNREAD"])


def test_formats_of_a_report(gmail: GmailDouble, users: Any) -> None:
    head = mail().partition(b"Subject")[0]
    raw = head + (
        b'Subject: s\nAuto-Submitted: auto-replied\nContent-Type: multipart/report; boundary="b"\n\n'
        b"--b\nContent-Type: text/plain\n\nhello\n--b\nContent-Type: message/delivery-status\n\n"
        b"Reporting-MTA: dns; a\n\nAction: failed\n\n--b\nContent-Type: message/rfc822\n\n"
        b"Subject: inner\n\nword\n--b--\n"
    )
    message_id = gmail.seed(raw)
    full = users.messages().get(userId="me", id=message_id).execute()
    parts = full["payload"]["parts"]
    assert [part["mimeType"] for part in parts] == ["text/plain", "message/delivery-status", "message/rfc822"]
    assert [part["partId"] for part in parts] == ["0", "1", "2"]
    attachment = parts[1]["body"]["attachmentId"]
    report = users.messages().attachments().get(userId="me", messageId=message_id, id=attachment).execute()
    assert b"Action: failed" in base64.urlsafe_b64decode(report["data"])
    metadata = users.messages().get(userId="me", id=message_id, format="metadata", metadataHeaders=["auto-submitted"])
    assert metadata.execute()["payload"]["headers"] == [{"name": "Auto-Submitted", "value": "auto-replied"}]
    assert "payload" not in users.messages().get(userId="me", id=message_id, format="minimal").execute()
    assert found(users, "inner") == set()


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


def test_threads_by_reference_and_subject(gmail: GmailDouble, users: Any) -> None:
    first = gmail.seed(mail("Regatta", Message_ID="<one@example.com>"))
    reply = gmail.seed(mail("Re: Regatta", References="<one@example.com>"))
    other = gmail.seed(mail("Other", References="<one@example.com>"))
    notice = mail("Delivery Status Notification", From="mailer-daemon@googlemail.com", References="<one@example.com>")
    assert gmail.messages[reply].thread_id == first
    assert gmail.messages[other].thread_id == other
    assert gmail.messages[gmail.seed(notice)].thread_id == first
    assert len(users.threads().get(userId="me", id=first, format="minimal").execute()["messages"]) == 3
    assert [row["id"] for row in users.threads().list(**ME).execute()["threads"]] == [first, other]


def test_insert_joins_a_thread_only_by_the_rules(gmail: GmailDouble, users: Any) -> None:
    thread_id = gmail.seed(mail("Regatta", Message_ID="<one@example.com>"))

    def insert(raw: bytes, thread: str = thread_id) -> Any:
        return users.messages().insert(userId="me", body={"raw": encoded(raw), "threadId": thread})

    joined = insert(mail("Re: Regatta", References="<one@example.com>")).execute()
    assert set(joined) == {"id", "threadId"}
    assert joined["threadId"] == thread_id
    assert insert(mail("Re: Regatta")).execute()["threadId"] != thread_id
    assert insert(mail("Note", References="<one@example.com>")).execute()["threadId"] != thread_id
    assert refused(insert(mail(), "18c0000000000001"))[:2] == (404, "notFound")
    for _ in range(98):
        gmail.seed(mail("Regatta"), thread_id=thread_id)
    assert insert(mail("Re: Regatta", References="<one@example.com>")).execute()["threadId"] != thread_id


def test_insert_refuses_what_gmail_refuses(users: Any) -> None:
    def insert(**body: Any) -> Any:
        return users.messages().insert(userId="me", body=body)

    assert "RFC822 payload" in refused(insert())[2]
    assert "Base64" in refused(insert(raw="***"))[2]
    assert refused(insert(raw=encoded(b"Subject: x\r\n\r\n")))[2] == "Invalid From header"
    two = b"From: a@example.com\r\nFrom: b@example.com\r\n\r\n"
    assert refused(insert(raw=encoded(two)))[2] == "Expected a single 'From' header"
    assert refused(insert(raw=encoded(mail()), labelIds=["Label_404"]))[2] == "labelId not found"
    assert "Unknown name" in refused(insert(raw=encoded(mail()), labels=["INBOX"]))[2]


def test_insert_and_import_choose_date_and_labels(gmail: GmailDouble, users: Any) -> None:
    own = mail(From="Jada <jadasailing@gmail.com>", Date="Sun, 1 Nov 2026 00:00:00 +0000")
    inserted = users.messages().insert(userId="me", body={"raw": encoded(own), "labelIds": ["INBOX"]}).execute()
    assert inserted["labelIds"] == ["INBOX", "SENT"]
    body = {"raw": encoded(own)}
    imported = users.messages().import_(userId="me", body=body, neverMarkSpam=True).execute()
    assert gmail.messages[imported["id"]].internal_ms == 1793491200000
    assert gmail.messages[inserted["id"]].internal_ms != 1793491200000
    assert gmail.sent == []


def test_insert_may_deduplicate_or_not(gmail: GmailDouble, users: Any) -> None:
    body = {"raw": encoded(mail(Message_ID="<note@example.com>"))}
    first, second = (users.messages().insert(userId="me", body=body).execute()["id"] for _ in range(2))
    assert first != second
    gmail.account.insert_deduplicates = True
    assert users.messages().insert(userId="me", body=body).execute()["id"] == first


def test_drafts_and_sending(gmail: GmailDouble, users: Any) -> None:
    body = {"message": {"raw": encoded(mail(To="pat@client.example", From="jadasailing@gmail.com"))}}
    draft = users.drafts().create(userId="me", body=body).execute()
    assert draft["message"]["labelIds"] == ["DRAFT"]
    shown = users.drafts().get(userId="me", id=draft["id"], format="raw").execute()
    assert shown["message"]["raw"] == body["message"]["raw"]
    assert [row["id"] for row in users.drafts().list(**ME).execute()["drafts"]] == [draft["id"]]
    sent = users.drafts().send(userId="me", body={"id": draft["id"]}).execute()
    assert sent["labelIds"] == ["SENT"]
    again = users.messages().send(userId="me", body=body["message"]).execute()
    assert gmail.sent == [sent["id"], again["id"]]
    assert b"Message-ID: <" in gmail.messages[again["id"]].raw
    other = users.drafts().create(userId="me", body=body).execute()
    assert users.drafts().delete(userId="me", id=other["id"]).execute() == ""
    assert refused(users.drafts().get(userId="me", id=other["id"]))[0] == 404
    nobody = {"raw": encoded(mail(To=""))}
    assert refused(users.messages().send(userId="me", body=nobody))[2] == "Recipient address required"


def test_trash_and_delete(gmail: GmailDouble, users: Any) -> None:
    first, second = gmail.seed(mail()), gmail.seed(mail())
    assert users.messages().trash(userId="me", id=first).execute()["labelIds"] == ["UNREAD", "TRASH"]
    assert found(users, "") == {second}
    assert users.messages().untrash(userId="me", id=first).execute()["labelIds"] == ["UNREAD"]
    assert refused(users.messages().delete(userId="me", id=first))[:2] == (403, "insufficientPermissions")
    with client_of(gmail, "https://mail.google.com/") as service:
        service.users().messages().delete(userId="me", id=first).execute()
        service.users().messages().batchDelete(userId="me", body={"ids": [second]}).execute()
    assert gmail.messages == {}


@pytest.mark.parametrize(
    ("given", "status"),
    [("18c0000000000001", 404), ("ff", 404), ("8000000000000000", 400), ("0" * 17, 400), ("msg_1", 400)],
)
def test_ids_that_cannot_be_and_ids_that_are_not_there(users: Any, given: str, status: int) -> None:
    assert refused(users.messages().get(userId="me", id=given))[0] == status
    assert refused(users.threads().get(userId="me", id=given))[0] == status


# -- labels, settings, history ----------------------------------------------------------------------------------


def test_label_life(gmail: GmailDouble, users: Any) -> None:
    color = {"backgroundColor": "#fb4c2f", "textColor": "#ffffff"}
    label = users.labels().create(userId="me", body={"name": "Bounce/Exchange", "color": color}).execute()
    thread_id = gmail.seed(mail("a", Message_ID="<1@example.com>"))
    gmail.seed(mail("Re: a", References="<1@example.com>"))
    changed = users.threads().modify(userId="me", id=thread_id, body={"addLabelIds": [label["id"]]}).execute()
    assert all(label["id"] in message["labelIds"] for message in changed["messages"])
    assert len(changed["messages"]) == 2
    assert gmail.label_names_of_thread(thread_id) == {"INBOX", "UNREAD", "Bounce/Exchange"}
    assert users.labels().get(userId="me", id=label["id"]).execute()["messagesTotal"] == 2
    listed = users.labels().list(**ME).execute()["labels"]
    assert all("messagesTotal" not in row for row in listed)
    assert users.labels().patch(userId="me", id=label["id"], body={"name": "B"}).execute()["name"] == "B"
    users.labels().delete(userId="me", id=label["id"]).execute()
    assert gmail.labels_of(thread_id) == {"INBOX", "UNREAD"}
    assert refused(users.labels().get(userId="me", id=label["id"]))[0] == 404


def test_label_conflicts_and_rules(users: Any) -> None:
    def create(name: str, **more: Any) -> Any:
        return users.labels().create(userId="me", body={"name": name, **more})

    create("Bounce").execute()
    assert refused(create("bOUNCE")) == (409, "aborted", "Label name exists or conflicts")
    for name in ("Inbox", "/lead", "a//b", "x" * 226, "Muted"):
        assert refused(create(name))[2] == "Invalid label name"
    color = {"backgroundColor": "#FB4C2F", "textColor": "#ffffff"}
    assert "allowed color palette" in refused(create("c", color=color))[2]
    assert len(label_palette()) == 113


def test_modify_refuses_what_gmail_refuses(gmail: GmailDouble, users: Any) -> None:
    message_id = gmail.seed(mail())

    def modify(**body: Any) -> tuple[int, str, str]:
        return refused(users.messages().modify(userId="me", id=message_id, body=body))

    assert modify()[2] == "No label add or removes specified"
    assert modify(addLabelIds=["SENT"])[2] == "Invalid label: SENT"
    assert modify(addLabelIds=["Label_404"])[2] == "labelId not found"
    many = {"ids": [message_id] * 1001, "addLabelIds": ["STARRED"]}
    assert refused(users.messages().batchModify(userId="me", body=many))[2] == "Number of ids cannot exceed 1000"
    assert users.messages().batchModify(userId="me", body=many | {"ids": [message_id]}).execute() == ""
    assert gmail.labels_of(message_id) == {"INBOX", "UNREAD", "STARRED"}


def test_send_as_shows_the_relay_and_never_the_login(gmail: GmailDouble) -> None:
    gmail.add_send_as("admin@queenofsandiego.com", host="email-smtp.us-east-1.amazonaws.com")
    with client_of(gmail, "https://www.googleapis.com/auth/gmail.settings.basic") as service:
        alias = service.users().settings().sendAs()
        msa = {"host": "email-smtp.us-east-1.amazonaws.com", "port": 587, "securityMode": "starttls"}
        assert alias.list(**ME).execute()["sendAs"][1]["smtpMsa"] == msa
        body = {"smtpMsa": msa | {"username": "user", "password": "word"}}
        update = alias.update(userId="me", sendAsEmail="admin@queenofsandiego.com", body=body)
        assert refused(update)[1] == "forbidden"
        gmail.account.delegation = True
        assert update.execute()["smtpMsa"] == msa
        assert alias.get(userId="me", sendAsEmail="admin@queenofsandiego.com").execute()["smtpMsa"] == msa
        assert gmail.alias_login("admin@queenofsandiego.com") == ("user", "word")


def test_history(gmail: GmailDouble, users: Any) -> None:
    start = users.getProfile(**ME).execute()["historyId"]
    listing = users.history().list
    assert "history" not in listing(userId="me", startHistoryId=start).execute()
    first, gone = gmail.seed(mail()), gmail.seed(mail())
    users.messages().modify(userId="me", id=first, body={"removeLabelIds": ["UNREAD"]}).execute()
    gmail.account.mailbox.delete(gmail.messages[gone])
    records = listing(userId="me", startHistoryId=start).execute()["history"]
    kinds = [(set(record) - {"id", "messages"}).pop() for record in records]
    assert kinds == ["messagesAdded", "messagesAdded", "labelsRemoved", "messagesDeleted"]
    assert int(records[1]["id"]) - int(records[0]["id"]) > 1
    added = listing(userId="me", startHistoryId=start, historyTypes="messageAdded", maxResults=1).execute()
    assert (len(added["history"]), "nextPageToken" in added) == (1, True)
    for wrong, status in (("1", 404), ("99999999999", 404), ("soon", 400)):
        assert refused(listing(userId="me", startHistoryId=wrong))[0] == status
    gmail.account.phantom_history_page = True
    page = listing(userId="me", startHistoryId=start).execute()
    beyond = listing(userId="me", startHistoryId=start, pageToken=page["nextPageToken"]).execute()
    assert set(beyond) == {"historyId"}
    gmail.expire_history()
    assert refused(listing(userId="me", startHistoryId=page["historyId"]))[0] == 404
    fresh = users.getProfile(**ME).execute()["historyId"]
    assert listing(userId="me", startHistoryId=fresh).execute() == {"historyId": fresh}


# -- search -----------------------------------------------------------------------------------------------------

QUERIES = {
    "": "abc",
    "from:mailer-daemon": "ab",
    "from:mailer": "ab",
    "from:mail": "b",
    "from:mailer-daem": "",
    "from:me": "c",
    'from:"mail delivery"': "b",
    "subject:undeliver": "",
    "subject:undeliverable": "a",
    'subject:"returned mail"': "b",
    "subject:(mail returned)": "b",
    "subject:{undeliverable returned}": "ab",
    "subject:undeliverable OR subject:returned": "ab",
    "{from:postmaster subject:undeliverable} is:unread": "a",
    "from:mailer-daemon (undeliverable OR 421)": "a",
    '"550 5.1.1"': "abc",
    '-"550 5.1.1"': "",
    "-from:mailer-daemon": "c",
    "-{subject:undeliverable subject:returned}": "c",
    "to:jadasailing@gmail.com": "ab",
    "cc:pat": "c",
    "rfc822msgid:a@example.org": "a",
    "rfc822msgid:<a@example.org>": "a",
    "rfc822msgid:A@example.org OR rfc822msgid:b@example.org": "b",
    "in:inbox": "ab",
    "in:anywhere": "abcs",
    "in:spam": "s",
    "-in:spam": "abc",
    "-in:chats -in:sent": "ab",
    "label:bounce-hard-fail": "b",
    'label:"Bounce/Hard fail"': "b",
    "-label:bounce-hard-fail": "ac",
    "label:nothing": "",
    "has:userlabels": "b",
    "has:nouserlabels": "ac",
    "has:attachment": "",
    "is:read": "bc",
    "list:crew.example.com": "c",
    "deliveredto:admin@queenofsandiego.com": "c",
    "after:1793491200 before:1793491201": "a",
    "after:2026/10/31 before:2026/11/01": "a",
    "after:1793491201": "bc",
    "newer_than:1d": "bc",
    "older_than:3d": "a",
    "larger:1M": "",
    "smaller:1k": "abc",
}


@pytest.mark.parametrize("q", QUERIES)
def test_query(gmail: GmailDouble, users: Any, q: str) -> None:
    daemon = "mailer-daemon@example.org"
    long_ago = datetime(2026, 11, 1, tzinfo=UTC)
    own = {"From": "jadasailing@gmail.com", "To": "x@example.com", "Cc": "pat@client.example"}
    gmail.clock.advance(datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp() - gmail.clock.now())
    ids = {
        gmail.seed(mail(From=daemon, Message_ID="<a@example.org>"), received_at=long_ago): "a",
        gmail.seed(mail("Returned mail", Message_ID="<b@example.org>"), labels=["INBOX", "Bounce/Hard fail"]): "b",
        gmail.seed(
            mail("Plans", **own, List_Id="<crew.example.com>", Delivered_To="admin@queenofsandiego.com"),
            labels=["SENT"],
        ): "c",
        gmail.seed(mail("Undeliverable"), labels=["SPAM"]): "s",
    }
    assert {ids[message_id] for message_id in found(users, q)} == set(QUERIES[q])


@pytest.mark.parametrize("q", ["foo:bar", "is:snoozed", "undeliv*", "a AROUND b", "newer_than:10h", "(a", "has:drive"])
def test_an_unknown_query_is_a_failure_of_the_test(q: str) -> None:
    with pytest.raises(DoubleError, match="not taught"), GmailDouble() as gmail, client_of(gmail) as service:
        assert refused(service.users().messages().list(userId="me", q=q))[0] == 400


def test_an_unknown_method_is_a_failure_of_the_test(gmail: GmailDouble, users: Any) -> None:
    assert refused(users.settings().getImap(**ME))[0] == 400
    assert gmail.complaints == ["the Gmail double was not taught getImap"]
    gmail.complaints.clear()


def test_search_lags_and_get_does_not(gmail: GmailDouble, users: Any) -> None:
    gmail.account.search_lag = 30
    message_id = gmail.seed(mail())
    assert found(users, "subject:undeliverable") == set()
    assert users.messages().get(userId="me", id=message_id, format="minimal").execute()["id"] == message_id
    gmail.clock.advance(31)
    assert found(users, "subject:undeliverable") == {message_id}


def test_spam_on_request_long_queries_and_field_masks(gmail: GmailDouble, users: Any) -> None:
    message_id = gmail.seed(mail(Message_ID="<a@example.org>"), labels=["SPAM"])
    assert found(users, "from:mailer-daemon") == set()
    assert found(users, "from:mailer-daemon", includeSpamTrash=True) == {message_id}
    long = " OR ".join(f"rfc822msgid:{letter}@example.org" for letter in "abc" * 60)
    assert len(long) > 2048
    assert found(users, f"in:anywhere ({long})") == {message_id}
    masked = users.messages().list(userId="me", includeSpamTrash=True, fields="messages(id),nextPageToken").execute()
    assert masked == {"messages": [{"id": message_id}]}
