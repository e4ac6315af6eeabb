"""Emptying the queue of SES events: every shape, nothing lost, nothing twice, whatever order, and flat memory."""

from __future__ import annotations

import json
import os
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from parsers.facts import Bounce
from remediation.aws import queue as aws_queue
from remediation.aws.client import NotLookedUp
from remediation.aws.sns import Certificates
from tests.doubles.aws import AwsDouble
from tests.doubles.ses_api import new_message_id
from tests.doubles.ses_events import from_eventbridge, in_envelope, ses_event
from tests.doubles.sns import SnsDouble
from tests.ses.fake_queue import FakeQueue
from tests.ses.world import read_events
from tests.worlds.forked import Forked
from triage import store
from triage.ses import events
from triage.ses.believed import Trust
from triage.ses.events import Drained, NoEvent, drain, read_again
from triage.store import events as stored_events

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
AT = NOW - timedelta(hours=2)
ID = new_message_id("us-west-2", int(AT.timestamp() * 1000))
ROOT = Path(store.__file__).parents[2]

BOUNCE = ses_event("Bounce", ["Pat@client.example", "kim@client.example"], at=AT, message_id=ID, region="us-west-2")


def rows(db: Database, table: str = "events") -> list[dict[str, Any]]:
    return list(db.query(f"SELECT * FROM {table} ORDER BY id"))


# Reading


SHAPES = {
    "envelope": in_envelope,
    "raw": json.dumps,
    "eventbridge": from_eventbridge,
    "eventbridge in an envelope": lambda event: in_envelope(json.loads(from_eventbridge(event))),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("key", ["eventType", "notificationType"])
def test_every_shape_says_the_same(shape: str, key: str) -> None:
    event = ses_event("Bounce", ["Pat@client.example"], at=AT, message_id=ID, region="us-west-2", key=key)
    found = read_events(SHAPES[shape](event))
    assert isinstance(found, list)
    [one] = found
    assert (one.kind, one.recipient, one.ses_message_id, one.ses_region) == (
        "Bounce",
        "pat@client.example",
        ID,
        "us-west-2",
    )
    assert (one.at, one.sent_at, one.client_id) == (AT, AT, "CAF0alias@mail.gmail.com")
    assert one.words == "Permanent/General: 550 5.1.1 user unknown"
    assert (one.sender, one.caller, one.path) == ("admin@queenofsandiego.com", "ses-smtp-admin", None)


@pytest.mark.parametrize("kind", ["Send", "Delivery", "DeliveryDelay", "Bounce", "Complaint", "Reject"])
@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("Pat Smith <Pat@client.example>", "pat@client.example"),
        ('"Smith, Pat" <pat@client.example>', "pat@client.example"),
        ('"boss@other.example" <pat@client.example>', "pat@client.example"),
        ("<pat@client.example>", "pat@client.example"),
        ("pat@client.example (Pat Smith)", "pat@client.example"),
        ("no address <at all>", "no address <at all>"),
    ],
)
def test_a_display_name_is_no_part_of_the_address(kind: str, written: str, address: str) -> None:
    event = ses_event(kind, [written, "kim@client.example"], at=AT, message_id=ID, region="us-west-2")
    event["mail"]["source"] = "Jada <Admin@queenofsandiego.com>"
    found = read_events(json.dumps(event))
    assert isinstance(found, list)
    assert [one.recipient for one in found] == [address, "kim@client.example"]
    assert {one.sender for one in found} == {"admin@queenofsandiego.com"}
    for one in found:
        if one.notification:
            alone = read_again("ses-event:x", zlib.decompress(one.notification))
            assert isinstance(alone, Bounce)
            assert [(failure.recipient or "").lower() for failure in alone.failures] == [one.recipient]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("Send", None),
        ("Delivery", "250 2.6.0 Queued mail for delivery"),
        ("DeliveryDelay", "MailboxFull: 452 4.2.2 mailbox full"),
        ("Complaint", "abuse"),
        ("Reject", "Bad content"),
    ],
)
def test_every_kind_is_read(kind: str, words: str | None) -> None:
    found = read_events(in_envelope(ses_event(kind, ["pat@client.example"], at=AT, message_id=ID)))
    assert isinstance(found, list)
    [one] = found
    assert (one.kind, one.recipient, one.words, one.at) == (kind, "pat@client.example", words, AT)
    assert (one.notification is None) is (kind in ("Send", "Delivery"))


def test_several_recipients_are_several_events_each_alone(db: Database) -> None:
    found = read_events(in_envelope(BOUNCE))
    assert isinstance(found, list)
    assert [event.recipient for event in found] == ["pat@client.example", "kim@client.example"]
    store.store_events(db, found, [], NOW)
    for row, recipient in zip(store.untied_failures(db), ["Pat@client.example", "kim@client.example"], strict=True):
        raw = events.zlib.decompress(row["notification"])
        bounce = read_again(f"{events.SOURCE}{ID}", raw)
        assert isinstance(bounce, Bounce)
        assert [failure.recipient for failure in bounce.failures] == [recipient]
        assert bounce.genuine.result == "pass"
        assert read_again("gmail:1", raw).genuine.result == "unknown"  # the same as a mail from anybody


def test_an_out_of_office_reply_is_no_failure() -> None:
    """SES reports it as Transient/General, without a word of any server."""
    event = ses_event("Bounce", ["pat@client.example"], at=AT, type="Transient", subtype="General", diagnostic=None)
    assert [e.notification for e in read_events(json.dumps(event)) or ()] == [None]  # type: ignore[union-attr]
    event = ses_event("Bounce", ["pat@client.example"], at=AT, type="Transient", diagnostic="smtp; 452 full")
    assert [e.notification is None for e in read_events(json.dumps(event)) or ()] == [False]  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["Open", "Click", "Subscription", "Rendering Failure"])
def test_what_is_no_news_is_no_trouble(kind: str) -> None:
    assert read_events(json.dumps(ses_event("Send", ["pat@client.example"], at=AT) | {"eventType": kind})) == []


def test_the_greeting_of_a_new_topic_is_no_trouble() -> None:
    text = "Successfully validated SNS topic for Amazon SES event publishing."
    assert read_events(json.dumps({"Type": "Notification", "Message": text})) == []


POISON = {
    "no json": "hello",
    "half": in_envelope(BOUNCE)[:-40],
    "a list": "[1, 2]",
    "another message": json.dumps({"Type": "Notification", "Message": '{"detail": 7}'}),
    "unknown kind": json.dumps(BOUNCE | {"eventType": "Teleport"}),
    "no mail": json.dumps({"eventType": "Bounce", "mail": None}),
    "no id": json.dumps({**BOUNCE, "mail": {**BOUNCE["mail"], "messageId": None}}),
    "no recipients": json.dumps(BOUNCE | {"bounce": {}}),
    "recipients of the wrong kind": json.dumps(BOUNCE | {"bounce": {"bouncedRecipients": [1, {"emailAddress": 3}]}}),
    "fields of the wrong kind": json.dumps(BOUNCE | {"bounce": [1]}),
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("name", POISON)
def test_poison_is_told_with_a_reason(name: str) -> None:
    found = read_events(POISON[name])
    assert isinstance(found, NoEvent)
    assert found.why


def in_detail(event: Any) -> str:
    return json.dumps({"detail-type": "Email Bounce", "detail": event})


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*BOUNCE, *BOUNCE["mail"], "x"]), inner)
    ),
    max_leaves=8,
)


@given(
    st.sampled_from(["mail", "bounce", "eventType"]),
    JSON_VALUES,
    JSON_VALUES,
    st.sampled_from([json.dumps, in_envelope, in_detail]),
)
@settings(max_examples=80, deadline=None)
def test_no_message_ever_raises(field: str, value: Any, inner: Any, shape: Callable[[Any], str]) -> None:
    for broken in (
        BOUNCE | {field: value},
        {**BOUNCE, "mail": {**BOUNCE["mail"], "messageId": value, "timestamp": inner, "headers": value}},
        {**BOUNCE, "bounce": {**BOUNCE["bounce"], "bouncedRecipients": value, "timestamp": inner}},
    ):
        found = read_events(shape(broken))
        assert isinstance(found, NoEvent | list)
        for event in found if isinstance(found, list) else ():
            assert event.recipient
            assert event.ses_message_id
            assert event.at.tzinfo


# Storing


def every_event(number: int) -> list[str]:
    """Different events, in all shapes, some about several people."""
    made = []
    for n in range(number):
        at = AT + timedelta(seconds=n)
        kind = ("Bounce", "Send", "Delivery", "Complaint", "DeliveryDelay")[n % 5]
        people = [f"p{n}@client.example", f"q{n}@client.example"][: 1 + n % 2]
        made.append(list(SHAPES.values())[n % 3](ses_event(kind, people, at=at, client_id=f"mail-{n}@mail.gmail.com")))
    return made


def stored(db: Database) -> list[tuple[Any, ...]]:
    return sorted((row["kind"], row["recipient"], row["ses_message_id"], row["event_id"]) for row in rows(db))


@given(st.integers(0, 10**6), st.integers(0, 5), st.integers(0, 3))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_duplicates_and_disorder_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, seed: int, repeats: int, refused: int
) -> None:
    """Whatever order, however often, and with deletions that fail: the same rows."""
    bodies = [*EVENTS, "no event"]
    folder = tmp_path_factory.mktemp("queue")
    db = store.open_store(folder / "triage.db")
    queue = FakeQueue(iter(bodies), seed=seed, repeats=repeats)
    queue.refuse_deletes = refused
    queue.random.shuffle(bodies)
    with pytest.MonkeyPatch.context() as patch:
        queue.install(patch)
        drained = drain(db, "queue", "us-east-1", NOW)
        assert drained.away is None
        queue.bodies = iter(bodies)  # those that were not deleted come again
        again = drain(db, "queue", "us-east-1", NOW)
    assert stored(db) == STORED
    assert (drained.new, again.new) == (len(STORED), 0)
    assert [(mail["state"], mail["source"][:6]) for mail in rows(db, "mails")] == [("kept", "queue:")]
    db.close()


EVENTS = every_event(23)
STORED = sorted(
    (event.kind, event.recipient, event.ses_message_id, event.event_id)
    for body in EVENTS
    for event in read_events(body)
    if isinstance(event, events.Event)
)


def test_poison_is_kept_for_study_once_and_deleted(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = FakeQueue(iter(["rubbish", "rubbish", POISON["unknown kind"], EVENTS[0]]))
    queue.install(monkeypatch)
    assert drain(db, "queue", "us-east-1", NOW) == Drained(taken=4, new=1, unreadable=3)
    assert queue.deleted == 4
    kept = store.unreadable_mails(db)
    assert [row["state"] for row in kept] == ["kept", "kept"]
    assert "not JSON" in kept[-1]["error"] or "not JSON" in kept[0]["error"]
    assert store.failed_mails(db, NOW) == [], "it must not be asked for again"
    assert {store.read_raw(db, row["id"]) for row in kept} == {b"rubbish", POISON["unknown kind"].encode()}


def test_sends_through_the_alias_are_told_from_others(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """An incident ends by a mail that went through the alias, not by one sent around it."""
    through = ses_event("Send", ["pat@client.example"], at=AT, sender="Admin@queenofsandiego.com")
    through["mail"]["headers"].append({"name": "X-Google-Smtp-Source", "value": "AGHT+x"})
    around = ses_event("Delivery", ["pat@client.example"], at=NOW)
    around["mail"] |= {"tags": {}, "callerIdentity": "arn:aws:iam::123456789012:user/newsletter"}
    FakeQueue(map(json.dumps, [through, around, BOUNCE])).install(monkeypatch)
    drain(db, "queue", "us-east-1", NOW)
    columns = ("kind", "sender", "at", "path", "caller")
    sends = db.execute(f"SELECT {', '.join(columns)} FROM events WHERE kind != 'Bounce' ORDER BY at").fetchall()
    assert sends == [
        ("Send", "admin@queenofsandiego.com", f"{AT:%Y-%m-%dT%H:%M:%SZ}", "gmail-alias", "ses-smtp-admin"),
        ("Delivery", "admin@queenofsandiego.com", f"{NOW:%Y-%m-%dT%H:%M:%SZ}", None, "newsletter"),
    ]


def test_a_row_the_database_does_not_take_holds_up_no_other(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = every_event(10)
    bad = read_events(bodies[3])
    assert isinstance(bad, list)
    whole = stored_events._event_row

    def picky(event: events.Event, at: datetime) -> list[Any]:
        if event.ses_message_id == bad[0].ses_message_id:
            raise ValueError("no")
        return whole(event, at)

    monkeypatch.setattr(stored_events, "_event_row", picky)
    FakeQueue(iter(bodies)).install(monkeypatch)
    drained = drain(db, "queue", "us-east-1", NOW)
    assert drained.unreadable == 1
    assert "could not be stored (ValueError)" in store.unreadable_mails(db)[0]["error"]
    assert len({row["ses_message_id"] for row in rows(db)}) == 9


def test_an_empty_queue_costs_one_call(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = FakeQueue(iter(()))
    queue.install(monkeypatch)
    assert drain(db, "queue", "us-east-1", NOW) == Drained()
    assert (queue.receives, queue.deletes) == (1, 0)


def test_a_queue_that_is_away_loses_nothing(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    away = NotLookedUp("the event queue", "AWS did not answer", "timeout")
    queue = FakeQueue(iter(EVENTS))
    queue.install(monkeypatch)
    monkeypatch.setattr(aws_queue, "delete", lambda *_: away)
    assert drain(db, "queue", "us-east-1", NOW).away is away
    assert len({row["ses_message_id"] for row in rows(db)}) == 10
    monkeypatch.setattr(aws_queue, "receive", lambda *_: away)
    assert drain(db, "queue", "us-east-1", NOW) == Drained(away=away)


def test_many_events_take_little_memory(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue of any length: what is held at once is one batch of ten. The rate is measured in benchmarks/events.py."""

    def bodies(number: int) -> Iterator[str]:
        for n in range(number):
            yield in_envelope(ses_event("Delivery", [f"p{n}@client.example"], at=AT + timedelta(seconds=n)))

    FakeQueue(bodies(100)).install(monkeypatch)
    drain(db, "queue", "us-east-1", NOW)  # caches fill
    FakeQueue(bodies(1500)).install(monkeypatch)
    tracemalloc.start()
    drained = drain(db, "queue", "us-east-1", NOW)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert drained.taken == 1500
    assert peak < 500_000, "bytes; 1500 events are 2.5 MB"


# Against SQS as moto plays it


@pytest.mark.parametrize("raw", [False, True])
def test_from_topic_to_database(db: Database, aws: AwsDouble, monkeypatch: pytest.MonkeyPatch, raw: bool) -> None:
    monkeypatch.setattr(aws_queue, "WAIT_SECONDS", 0)
    queue, sns = aws.make_event_queue(raw=raw), SnsDouble()

    def publish(event: dict[str, Any]) -> None:
        if raw:
            aws.publish(event)
        else:
            aws.put_in_queue(sns.sign(in_envelope(event)))

    publish(BOUNCE)
    publish(BOUNCE)
    publish(ses_event("Send", ["pat@client.example"], at=AT, message_id=ID))
    aws.put_in_queue("rubbish", from_eventbridge(BOUNCE))
    trust = Trust(certificates=Certificates(sns.fetch))
    drained = drain(db, queue.url, queue.region, NOW, trust)
    assert (drained.taken, drained.new, drained.unreadable, drained.refused) == (5, 3, 1, 0)
    assert aws.waiting() == 0
    assert drain(db, queue.url, queue.region, NOW, trust) == Drained()


# A run of ours that kills itself after storing a batch and before deleting it, or before storing it.
DRAINER = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from remediation.aws import queue as aws_queue
from triage import store
from triage.ses import events
from triage.ses.believed import Trust

database, url, now, when = sys.argv[1:]
aws_queue.WAIT_SECONDS = 0
aws_queue.HIDDEN_SECONDS = 0  # at once visible again, as after the two minutes
batches = 0

def dying(place, function):
    def call(*arguments):
        global batches
        batches += place == when
        if place == when and batches == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments)
    return call

store.store_events = dying("before storing", store.store_events)
aws_queue.delete = dying("before deleting", aws_queue.delete)
with_db = store.open_store(Path(database))
print(events.drain(with_db, url, "us-east-1", datetime.fromisoformat(now)))
"""


@pytest.mark.parametrize("when", ["before storing", "before deleting"])
def test_killed_between_storing_and_deleting(
    when: str, aws: AwsDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws_queue, "WAIT_SECONDS", 0)
    queue = aws.make_event_queue()
    aws.put_in_queue(*EVENTS)
    arguments = (str(tmp_path / "triage.db"), queue.url, NOW.isoformat(), when)
    killed = Forked(DRAINER, *arguments, env=os.environ | aws.env).finish()
    assert (killed.returncode, killed.stderr) == (-9, "")
    left = aws.waiting()
    assert 0 < left < len(EVENTS)
    db = store.open_store(tmp_path / "triage.db")
    before = len(rows(db))
    assert 0 < before < len(STORED)
    drained = drain(db, queue.url, queue.region, NOW)
    assert drained.taken == left
    assert drained.new == len(STORED) - before
    assert stored(db) == STORED
    assert aws.waiting() == 0
    db.close()
