"""Whoever can write to the event queue writes what he likes: none of it is believed that can be told from ours.

A forged delivery would end an incident, a forged bounce begin one, an event of 2099 would do either for good.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlite_utils import Database

from remediation.aws import sns as aws_sns
from remediation.aws.client import NotLookedUp
from remediation.aws.sns import Certificates, NotSigned, check_signature
from tests.doubles.ses_api import new_message_id
from tests.doubles.ses_events import from_eventbridge, in_envelope, ses_event
from tests.doubles.sns import CERTIFICATE_URL, SnsDouble
from tests.ses.fake_queue import FakeQueue
from tests.ses.test_notices import status
from triage import store
from triage.config import Settings
from triage.ses.believed import Trust, trust_of
from triage.ses.events import MOST_REFUSED, Drained, drain
from triage.ses.tie import correlate, take_events

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
AT = NOW - timedelta(hours=2)
TOPIC = "arn:aws:sns:us-east-1:123456789012:ses-events"
EVIL_TOPIC = "arn:aws:sns:us-east-1:666666666666:ses-events"
OURS = frozenset({"123456789012"})
BOUNCE = ses_event("Bounce", ["pat@client.example"], at=AT)
DELIVERY = ses_event("Delivery", ["pat@client.example"], at=AT)


@pytest.fixture
def sns() -> SnsDouble:
    return SnsDouble()


def drained_of(
    db: Database, monkeypatch: pytest.MonkeyPatch, *bodies: str, trust: Trust | None = None
) -> tuple[Drained, FakeQueue]:
    queue = FakeQueue(iter(bodies))
    queue.install(monkeypatch)
    return drain(db, "queue", "us-east-1", NOW, trust), queue


def whys(db: Database) -> list[str]:
    return [row["error"] for row in store.unreadable_mails(db)]


# -- whose topic, whose signature ------------------------------------------------------------------------------------


def changed(envelope: str, **changes: Any) -> str:
    return json.dumps({**json.loads(envelope), **changes})


FORGED: dict[str, tuple[Callable[[SnsDouble], str], str]] = {
    "another topic, signed by SNS": (lambda sns: sns.sign(in_envelope(DELIVERY, TopicArn=EVIL_TOPIC)), "another topic"),
    "the topic written over": (
        lambda sns: changed(sns.sign(in_envelope(DELIVERY, TopicArn=EVIL_TOPIC)), TopicArn=TOPIC),
        "signature is not SNS's",
    ),
    "another text": (
        lambda sns: changed(sns.sign(in_envelope(BOUNCE)), Message=json.dumps(DELIVERY)),
        "signature is not SNS's",
    ),
    "a subject put in": (lambda sns: changed(sns.sign(in_envelope(DELIVERY)), Subject="x"), "signature is not SNS's"),
    "signed with a key of his own": (lambda sns: SnsDouble(1).sign(in_envelope(DELIVERY)), "signature is not SNS's"),
    "the signature of the other version": (
        lambda sns: changed(sns.sign(in_envelope(DELIVERY), "1"), SignatureVersion="2"),
        "signature is not SNS's",
    ),
    "a version SNS has not": (
        lambda sns: changed(sns.sign(in_envelope(DELIVERY)), SignatureVersion="3"),
        "of a version",
    ),
    "no signature": (lambda sns: in_envelope(DELIVERY), "not at an address of SNS"),
    "no envelope": (lambda sns: json.dumps(DELIVERY), "no envelope"),
    "EventBridge": (lambda sns: from_eventbridge(DELIVERY), "no envelope"),
    "sent long ago, with today's certificate": (
        lambda sns: sns.sign(in_envelope(DELIVERY, Timestamp="2025-06-05T04:37:04.321Z")),
        "certificate was not good",
    ),
    "a question to subscribe": (
        lambda sns: changed(sns.sign(in_envelope(DELIVERY)), Type="SubscriptionConfirmation"),
        "cannot be read",
    ),
    "a kind SNS has not": (lambda sns: changed(sns.sign(in_envelope(DELIVERY)), Type="Order"), "no notification"),
    "a text that is none": (lambda sns: changed(sns.sign(in_envelope(DELIVERY)), Message=[1]), "cannot be read"),
    "a time that is none": (lambda sns: changed(sns.sign(in_envelope(DELIVERY)), Timestamp="now"), "cannot be read"),
    "rubbish for a signature": (lambda sns: changed(sns.sign(in_envelope(DELIVERY)), Signature="?"), "cannot be read"),
    "a certificate SNS has not": (
        lambda sns: changed(
            sns.sign(in_envelope(DELIVERY)), SigningCertURL="https://sns.us-east-1.amazonaws.com/mine.pem"
        ),
        "no certificate at the address",
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_with_topics_set_only_what_sns_signed_for_them_is_believed(
    db: Database, sns: SnsDouble, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    make, why = FORGED[name]
    trust = Trust(frozenset({TOPIC}), certificates=Certificates(sns.fetch))
    drained, queue = drained_of(db, monkeypatch, make(sns), sns.sign(in_envelope(BOUNCE)), trust=trust)
    assert (drained.taken, drained.new, drained.refused, drained.unreadable) == (2, 1, 1, 0)
    assert queue.deleted == 2, "it does not come back for ever"
    [kept] = whys(db)
    assert kept.startswith("a message of the event queue was not believed: ")
    assert why in kept
    assert [row["kind"] for row in db.query("SELECT kind FROM events")] == ["Bounce"]


@pytest.mark.parametrize("name", FORGED)
def test_without_topics_a_wrong_signature_counts_all_the_same(
    db: Database, sns: SnsDouble, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Raw delivery is believed then, because only the topic may send to the queue: `triage audit` looks at that."""
    make, why = FORGED[name]
    trust = Trust(accounts=OURS, certificates=Certificates(sns.fetch))
    drained, _ = drained_of(db, monkeypatch, make(sns), trust=trust)
    is_plain = name in ("no signature", "no envelope", "EventBridge")
    assert drained.refused == (not is_plain)
    assert is_plain or why.replace("another topic", "a topic of another AWS account") in whys(db)[0]


BESIDE: dict[str, dict[str, Any]] = {
    "a delivery": dict(DELIVERY),
    "a stop": json.loads(status("Disabled", AT)),
    "the end of a stop": json.loads(status("Enabled", AT)),
    "a delivery of EventBridge": {"source": "aws.ses", "detail": DELIVERY},
}


@pytest.mark.parametrize("name", BESIDE)
@pytest.mark.parametrize("topics", [frozenset({TOPIC}), frozenset[str]()])
def test_what_stands_beside_the_signed_fields_of_an_envelope_says_nothing(
    db: Database, sns: SnsDouble, monkeypatch: pytest.MonkeyPatch, name: str, topics: frozenset[str]
) -> None:
    """Who has seen one signed message could write any event of his own into it, and the signature would still fit."""
    signed = json.loads(sns.sign(in_envelope(BOUNCE)))
    trust = Trust(topics, OURS, Certificates(sns.fetch))
    drained, _ = drained_of(db, monkeypatch, json.dumps(BESIDE[name] | signed), trust=trust)
    assert (drained.taken, drained.new) == (1, 1)
    assert [row["kind"] for row in db.query("SELECT kind FROM events")] == ["Bounce"]
    assert store.read_incidents(db) == []
    assert list(db.query("SELECT * FROM sending_states")) == []


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", [None, "SES says: \u00fcber"])
def test_what_sns_signed_is_believed(
    db: Database, sns: SnsDouble, monkeypatch: pytest.MonkeyPatch, version: str, subject: str | None
) -> None:
    extra = {"Subject": subject} if subject else {}
    events = [ses_event("Send", [f"p{n}@client.example"], at=AT + timedelta(seconds=n)) for n in range(12)]
    bodies = [sns.sign(in_envelope(event, **extra), version) for event in events]
    trust = Trust(frozenset({TOPIC}), OURS, Certificates(sns.fetch))
    drained, _ = drained_of(db, monkeypatch, *bodies, trust=trust)
    assert (drained.new, drained.refused) == (12, 0)
    assert sns.asked == [CERTIFICATE_URL], "fetched once"


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.us-east-1.amazonaws.com/x.pem",
        "https://sns.us-east-1.amazonaws.com.evil.example/x.pem",
        "https://sns.us-east-1.amazonaws.com@evil.example/x.pem",
        "https://evil.example/sns.us-east-1.amazonaws.com/x.pem",
        "https://sns.evil.example/x.pem",
        "https://sns.us-east-1.amazonaws.com:8443/x.pem",
        "https://sns.us-east-1.amazonaws.com/../x.pem?y=.pem",
        "https://sns.us-east-1.amazonaws.com/x.pem#y",
        "https://sns.us-east-1.amazonaws.com/x.txt",
        "https://sns.us-east-1.amazonaws.com/x.pem\n",
        "https://evilsns.us-east-1.amazonaws.com/x.pem",
        "https://bucket.s3.amazonaws.com/x.pem",
        "file:///etc/x.pem",
        7,
        None,
    ],
)
def test_no_other_address_is_ever_asked_for_a_certificate(sns: SnsDouble, url: Any) -> None:
    envelope = {**json.loads(sns.sign(in_envelope(DELIVERY))), "SigningCertURL": url}
    found = check_signature(envelope, Certificates(sns.fetch))
    assert isinstance(found, NotSigned)
    assert sns.asked == []


@pytest.mark.parametrize(
    "url", [CERTIFICATE_URL, CERTIFICATE_URL.replace("us-east-1.amazonaws.com", "cn-north-1.amazonaws.com.cn")]
)
def test_the_addresses_of_sns_are_asked(sns: SnsDouble, url: str) -> None:
    check_signature({**json.loads(sns.sign(in_envelope(DELIVERY))), "SigningCertURL": url}, Certificates(sns.fetch))
    assert sns.asked == [url]


@pytest.mark.parametrize("content", [b"", b"<html>", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_certificate_that_is_none_proves_nothing(sns: SnsDouble, content: bytes) -> None:
    envelope = json.loads(sns.sign(in_envelope(DELIVERY)))
    assert isinstance(check_signature(envelope, Certificates(lambda url: content)), NotSigned)


# -- the certificate cannot be had -----------------------------------------------------------------------------------


def test_without_the_certificate_a_message_waits_and_is_neither_lost_nor_believed(
    db: Database, plain: Settings, sns: SnsDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed = sns.sign(in_envelope(DELIVERY))
    sns.away = True
    trust = Trust(certificates=Certificates(sns.fetch))
    drained, queue = drained_of(db, monkeypatch, signed, json.dumps(BOUNCE), "rubbish", trust=trust)
    assert (drained.taken, drained.new, drained.unreadable, drained.refused, drained.waiting) == (2, 1, 1, 0, 1)
    assert queue.deleted == 2
    assert drained.away is not None
    told = correlate(db, plain, None, NOW, drained).not_looked_up
    assert told == ("the certificate of SNS: SNS could not be reached (1 message in the queue until then)",)
    sns.away = False
    drained, _ = drained_of(db, monkeypatch, signed, trust=Trust(certificates=Certificates(sns.fetch)))
    assert (drained.new, drained.waiting, drained.away) == (1, 0, None)


def test_messages_that_wait_are_not_asked_for_without_end(
    db: Database, sns: SnsDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue gives them out again after a while; only a run that takes that long sees it."""
    sns.away = True
    signed = sns.sign(in_envelope(DELIVERY))

    class Again(FakeQueue):
        def receive(self, region: str, queue_url: str) -> Any:
            self.numbers = iter([1])
            self.bodies = iter([signed])
            return super().receive(region, queue_url)

    queue = Again(iter(()))
    queue.install(monkeypatch)
    drained = drain(db, "queue", "us-east-1", NOW, Trust(certificates=Certificates(sns.fetch)))
    assert (drained.waiting, queue.receives, len(sns.asked)) == (1, 2, 1)


def test_many_addresses_cost_a_few_requests_only(sns: SnsDouble) -> None:
    certificates = Certificates(sns.fetch)
    for number in range(50):
        url = f"https://sns.us-east-1.amazonaws.com/{number}.pem"
        found = check_signature({**json.loads(sns.sign(in_envelope(BOUNCE))), "SigningCertURL": url}, certificates)
        assert isinstance(found, NotSigned if number < aws_sns.MOST_CERTIFICATES else NotLookedUp)
    assert len(sns.asked) == aws_sns.MOST_CERTIFICATES


@pytest.mark.parametrize(
    ("problem", "expected"),
    [(403, None), (404, None), (302, None), (429, "failed"), (503, "failed"), (TimeoutError(), "unreachable")],
)
def test_what_the_address_answers(monkeypatch: pytest.MonkeyPatch, problem: Any, expected: str | None) -> None:
    """An address where SNS has nothing is a forgery; one that does not answer says nothing. Nobody is followed."""
    from email.message import Message
    from urllib.error import HTTPError
    from urllib.request import OpenerDirector

    def opened(self: OpenerDirector, url: str, timeout: float) -> Any:
        assert timeout <= 10
        if isinstance(problem, int):
            raise HTTPError(url, problem, "no", Message(), None)
        raise problem

    monkeypatch.setattr(OpenerDirector, "open", opened)
    found = aws_sns.fetch_certificate(CERTIFICATE_URL)
    assert found is None if expected is None else isinstance(found, NotLookedUp) and found.kind == expected


# -- about us? -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "is_believed"),
    [
        ({}, True),
        ({"sendingAccountId": None, "sourceArn": None}, True),
        ({"sendingAccountId": "666666666666"}, True),  # our identity, which lets another account send
        ({"sourceArn": "arn:aws:ses:us-east-1:666666666666:identity/queenofsandiego.com"}, True),
        (
            {
                "sendingAccountId": "666666666666",
                "sourceArn": "arn:aws:ses:us-east-1:666666666666:identity/queenofsandiego.com",
            },
            False,
        ),
        ({"sendingAccountId": "666666666666", "sourceArn": "rubbish"}, False),
    ],
)
def test_an_event_of_another_account_is_not_about_us(
    db: Database, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], is_believed: bool
) -> None:
    event = {**DELIVERY, "mail": {**DELIVERY["mail"], **changes}}
    for trust, expected in ((Trust(accounts=OURS), is_believed), (Trust(), True)):
        drained, _ = drained_of(db, monkeypatch, json.dumps(event), trust=trust)
        assert drained.refused == (not expected)
        db.execute("DELETE FROM events")


def test_the_accounts_come_from_the_settings(plain: Settings) -> None:
    queue = "https://sqs.us-east-1.amazonaws.com/111111111111/ses-events"
    secret = "arn:aws:secretsmanager:us-east-1:222222222222:secret:ses-smtp-AbCdEf"
    assert trust_of(plain).accounts == frozenset()
    assert trust_of(replace(plain, queue_url=queue)).accounts == {"111111111111"}
    made = replace(plain, queue_url=queue, smtp_secret=secret, topics=(TOPIC,))
    assert trust_of(made).accounts == {"111111111111", "222222222222", "123456789012"}
    assert trust_of(made).topics == {TOPIC}
    assert trust_of(replace(made, accounts=("333333333333",))).accounts == {"333333333333"}
    assert trust_of(replace(plain, queue_url="x", smtp_secret="ses-smtp")).accounts == frozenset()


def test_a_run_measures_by_its_settings(db: Database, plain: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeQueue(iter([json.dumps(DELIVERY)])).install(monkeypatch)
    settings = replace(plain, queue_url="https://sqs.us-east-1.amazonaws.com/666666666666/ses-events")
    drained = take_events(db, settings, NOW)
    assert drained.refused == 1
    told = correlate(db, settings, None, NOW, drained).not_looked_up
    assert told == ("messages of the event queue: 1 not believed; `triage report` says why",)


# -- when? -----------------------------------------------------------------------------------------------------------

FAR = datetime(2099, 1, 1, tzinfo=UTC)


def timed(kind: str, at: datetime, sent_at: datetime) -> str:
    """An event of a mail sent then; the SES id says the same time."""
    message_id = new_message_id("us-east-1", int(sent_at.timestamp() * 1000))
    event = ses_event(kind, ["pat@client.example"], at=at, message_id=message_id)
    event["mail"]["timestamp"] = sent_at.isoformat()
    return json.dumps(event)


@pytest.mark.parametrize("kind", ["Send", "Delivery", "Bounce", "Complaint", "DeliveryDelay", "Reject"])
def test_no_event_of_2099(db: Database, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Neither a sign nor a failure: the mail itself would be from the future."""
    drained, _ = drained_of(db, monkeypatch, timed(kind, FAR, FAR))
    assert (drained.new, drained.refused) == (0, 1)
    assert "after it was received" in whys(db)[0]


@pytest.mark.parametrize(
    ("at", "sent_at", "is_believed"),
    [
        (AT, AT, True),
        (NOW + timedelta(minutes=14), AT, True),
        (NOW + timedelta(minutes=16), AT, False),
        (FAR, AT, False),
        (AT, AT + timedelta(hours=1), False),
        (AT, AT + timedelta(seconds=30), True),
    ],
)
def test_a_delivery_counts_only_between_its_mail_and_its_receipt(
    db: Database, monkeypatch: pytest.MonkeyPatch, at: datetime, sent_at: datetime, is_believed: bool
) -> None:
    drained, _ = drained_of(db, monkeypatch, timed("Delivery", at, sent_at))
    assert (drained.new, drained.refused) == (is_believed, not is_believed)


@pytest.mark.parametrize(
    ("at", "stored_at"),
    [(AT + timedelta(minutes=3), AT + timedelta(minutes=3)), (FAR, NOW), (AT - timedelta(days=400), AT)],
)
def test_a_bounce_with_the_clock_of_a_strange_server_is_kept_within_bounds(
    db: Database, monkeypatch: pytest.MonkeyPatch, at: datetime, stored_at: datetime
) -> None:
    """SES passes on the time the receiver's server told; the failure is real, and must not stand open until 2099."""
    drained, _ = drained_of(db, monkeypatch, timed("Bounce", at, AT))
    assert (drained.new, drained.refused) == (1, 0)
    [row] = db.query("SELECT at FROM events")
    assert row["at"] == f"{stored_at:%Y-%m-%dT%H:%M:%SZ}"


def test_the_later_of_two_clocks_counts(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours may be behind: the queue says when it took the message."""
    later = NOW + timedelta(days=2)
    body = timed("Delivery", later, later)

    class Dated(FakeQueue):
        def receive(self, region: str, queue_url: str) -> Any:
            found = super().receive(region, queue_url)
            return [replace(message, sent_at=later) for message in found] if isinstance(found, list) else found

    Dated(iter([body])).install(monkeypatch)
    assert drain(db, "queue", "us-east-1", NOW).new == 1


# -- a flood ---------------------------------------------------------------------------------------------------------


def test_a_flood_of_forgeries_fills_no_disk(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def forged() -> Iterator[str]:
        for number in range(MOST_REFUSED * 3):
            yield timed("Delivery", FAR, FAR + timedelta(seconds=number))

    drained, queue = drained_of(db, monkeypatch, *forged(), json.dumps(BOUNCE))
    assert (drained.refused, drained.new) == (MOST_REFUSED * 3, 1)
    assert queue.deleted == MOST_REFUSED * 3 + 1
    assert db["mails"].count == MOST_REFUSED
