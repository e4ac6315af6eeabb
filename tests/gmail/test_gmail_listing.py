"""The Gmail client lists: every page once, and by a query that finds bounces."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.doubles.gmail import GmailDouble
from tests.gmail.world import LONG_AGO, NOW, mail
from triage.gmail.client import Gmail
from triage.gmail.messages import Ref
from triage.gmail.query import bounce_query

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
