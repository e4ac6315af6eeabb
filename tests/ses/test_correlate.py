"""Verdicts and the events of SES: one failure is one verdict, in whatever order they come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlite_utils import Database

from remediation.aws import queue as aws_queue
from remediation.aws.client import NotLookedUp
from tests.doubles.aws import AwsDouble
from tests.doubles.ses_api import new_message_id
from tests.doubles.ses_events import in_envelope, ses_event
from tests.ses.fake_queue import FakeQueue
from tests.ses.world import (
    BOUNCE,
    BOUNCED,
    FAILED,
    GMAIL_ID,
    ID,
    NOW,
    SEND,
    SENT,
    THROUGH_SES,
    UNKNOWN_ID,
    Gmail,
    alias_record,
    evidence,
    publish,
    put,
    record,
    settle,
    story,
    verdicts,
)
from triage import store
from triage.config import Settings
from triage.model import Event
from triage.owner.explain import explain_mail
from triage.ses import tie as module
from triage.ses.events import Drained
from triage.ses.tie import Correlated, take_events

# Mail and event


def test_an_id_in_the_mail_is_recorded_with_its_place(db: Database, plain: Settings) -> None:
    verdict_id = put(db, record())
    assert settle(db, plain) == Correlated()
    assert evidence(db, verdict_id)["ses-id", None]["detail"] == f"{ID} in us-west-2; found in: returned Message-ID"
    assert settle(db, plain) == Correlated()
    assert len(evidence(db, verdict_id)) == 1, "nothing of AWS is set, so nothing of AWS is missing"


@pytest.mark.parametrize("order", ["mail first", "event first", "event a run before", "mail a run before"])
def test_mail_and_event_of_one_failure_are_one_verdict(db: Database, plain: Settings, order: str) -> None:
    settings = replace(plain, queue_url="x")
    steps: list[Callable[[], Any]] = [lambda: put(db, record()), lambda: publish(db, SEND, BOUNCE)]
    if order.startswith("event"):
        steps.reverse()
    steps[0]()
    if order.endswith("before"):
        settle(db, settings)
    steps[1]()
    settle(db, settings, at=NOW + timedelta(minutes=20))
    [verdict] = verdicts(db)
    assert (verdict["source"], verdict["category"]) == ("gmail:1", "exchange-rejection")
    assert verdict["original"]["ses_id_source"] == "returned Message-ID"
    assert verdict["original"]["gmail_message_id"] == GMAIL_ID, "only the event knows it"
    pieces = evidence(db, verdict["id"])
    assert pieces["ses-id", None]["found"] is True
    assert pieces["ses-event", None]["detail"] == (
        "Send 12 May 18:45 UTC; Bounce 12 May 18:46 UTC, Permanent/General: 550 5.1.1 user unknown"
    )
    assert [row["verdict_id"] for row in db.query("SELECT verdict_id FROM events ORDER BY at")] == [verdict["id"]] * 2


def test_a_failure_known_only_from_an_event_is_a_verdict_after_a_while(db: Database, plain: Settings) -> None:
    publish(db, SEND, BOUNCE)
    assert settle(db, plain, at=BOUNCED + timedelta(minutes=5)).from_events == 0, "the mail may be on its way"
    assert settle(db, plain, at=BOUNCED + timedelta(minutes=20)).from_events == 1
    assert settle(db, plain, at=BOUNCED + timedelta(minutes=40)).from_events == 0
    [verdict] = verdicts(db)
    assert (verdict["source"], verdict["recipient"], verdict["genuine"]) == (
        f"ses-event:{ID}",
        "pat@client.example",
        "pass",
    )
    assert (verdict["cause"], verdict["kind"]) == ("recipient-unknown", "failed")
    assert verdict["original"]["ses_id_source"] == "SES notification"
    assert verdict["received_at"] == "2026-05-12T18:46:07Z"
    assert evidence(db, verdict["id"])["ses-event", None]["found"] is True


def test_a_mail_that_comes_after_all_takes_the_verdict_over(db: Database, plain: Settings) -> None:
    """The verdict keeps its id, because an incident may name it by then."""
    publish(db, BOUNCE)
    settle(db, plain, at=BOUNCED + timedelta(minutes=20))
    [alone] = verdicts(db)
    mail_verdict = put(db, record(), received_at=BOUNCED + timedelta(hours=3))
    assert mail_verdict != alone["id"]
    settle(db, plain, at=BOUNCED + timedelta(hours=4))
    [verdict] = verdicts(db)
    assert (verdict["id"], verdict["source"], verdict["gmail_id"]) == (alone["id"], "gmail:1", f"{1:016x}")
    assert verdict["original"]["ses_id_source"] == "returned Message-ID"
    assert {kind for kind, _ in evidence(db, verdict["id"])} == {"ses-id", "ses-event"}
    assert [row["source"] for row in db.query("SELECT source FROM mails")] == ["gmail:1"]
    assert list(db.query("PRAGMA foreign_key_check")) == []
    before = [dict(row) for row in db.query("SELECT * FROM evidence")]
    settle(db, plain, at=BOUNCED + timedelta(hours=4, minutes=15))
    assert [dict(row) for row in db.query("SELECT * FROM evidence")] == before


def test_one_event_about_two_people_is_two_verdicts(db: Database, plain: Settings) -> None:
    publish(db, ses_event("Bounce", ["pat@client.example", "kim@client.example"], at=BOUNCED, message_id=ID))
    put(db, record())
    settle(db, plain)
    found = {verdict["recipient"]: verdict["source"] for verdict in verdicts(db)}
    assert found == {"pat@client.example": "gmail:1", "kim@client.example": f"ses-event:{ID}"}


def test_the_id_of_the_mail_itself_ties_where_no_ses_id_came_back(db: Database, plain: Settings) -> None:
    publish(db, SEND, BOUNCE)
    verdict_id = put(db, record(**UNKNOWN_ID | {"gmail_message_id": GMAIL_ID}))
    settle(db, plain)
    [verdict] = verdicts(db)
    assert verdict["original"]["ses_message_id"] == ID
    assert verdict["original"]["ses_id_source"] == "SES event"
    assert verdict["original"]["ses_region"] == "us-west-2"
    assert evidence(db, verdict_id)["ses-id", None]["detail"].endswith("found in: SES event")


@pytest.mark.parametrize("order", ["mail first", "event first"])
def test_time_recipient_and_subject_tie_as_probable(db: Database, plain: Settings, order: str) -> None:
    if order == "event first":
        publish(db, BOUNCE)
    put(db, record(**UNKNOWN_ID))
    if order == "mail first":
        settle(db, plain)
        publish(db, BOUNCE)
    settle(db, plain)
    [verdict] = verdicts(db)
    assert verdict["original"]["ses_message_id"] == ID
    assert verdict["original"]["ses_id_source"] == module.PROBABLE


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "Another sail"},
        {"recipient": "kim@client.example"},
        {"sent_at": "2026-05-12T17:00:00Z"},
        {"subject": None},
    ],
)
def test_what_differs_in_one_of_the_three_is_not_tied(db: Database, plain: Settings, changes: dict[str, Any]) -> None:
    publish(db, BOUNCE)
    put(db, record(**UNKNOWN_ID | changes))
    settle(db, plain)
    by_source = {verdict["source"]: verdict["original"] for verdict in verdicts(db)}
    assert by_source["gmail:1"]["ses_message_id"] is None
    assert by_source[f"ses-event:{ID}"]["ses_message_id"] == ID


def test_two_mails_that_fit_alike_are_not_guessed_between(db: Database, plain: Settings) -> None:
    other = new_message_id("us-west-2", int(SENT.timestamp() * 1000) + 60_000)
    publish(
        db, BOUNCE, ses_event("Bounce", ["pat@client.example"], at=BOUNCED, message_id=other, client_id="x@y.example")
    )
    put(db, record(**UNKNOWN_ID))
    settle(db, plain)
    assert {v["original"]["ses_message_id"] for v in verdicts(db) if v["source"] == "gmail:1"} == {None}
    assert len(verdicts(db)) == 3


def test_an_address_in_any_case_is_one_address(db: Database, plain: Settings) -> None:
    publish(db, BOUNCE)
    put(db, record(recipient="Someone.Else@client.example", original_recipient="Pat@Client.Example"))
    settle(db, plain)
    assert len(verdicts(db)) == 1


def test_delay_complaint_and_bounce_of_one_mail_are_three_verdicts(db: Database, plain: Settings) -> None:
    kinds = ("DeliveryDelay", "Bounce", "Complaint")
    publish(db, *(ses_event(kind, ["pat@client.example"], at=BOUNCED, message_id=ID) for kind in kinds))
    put(db, record())
    settle(db, plain)
    assert sorted((v["kind"], v["source"][:9]) for v in verdicts(db)) == [
        ("delayed", "ses-event"),
        ("failed", "gmail:1"),
        ("feedback", "ses-event"),
    ]


def test_a_delay_that_ended_well_is_no_verdict(db: Database, plain: Settings) -> None:
    publish(db, ses_event("DeliveryDelay", ["pat@client.example"], at=BOUNCED, message_id=ID))
    publish(db, ses_event("Delivery", ["pat@client.example"], at=BOUNCED + timedelta(minutes=9), message_id=ID))
    settle(db, plain)
    assert verdicts(db) == []


def test_forged_and_old_bounces_are_left_alone(db: Database, plain: Settings) -> None:
    forged = put(db, record(genuine="fail", category="unverified"))
    old = put(db, record(), number=2, received_at=NOW - timedelta(days=20))
    settle(db, plain)
    assert evidence(db, forged) == evidence(db, old) == {}


STORY = [
    ("mail", record()),
    ("mail", record(recipient="kim@client.example", **UNKNOWN_ID | {"gmail_message_id": GMAIL_ID})),
    ("event", BOUNCE),
    ("event", SEND),
    ("event", ses_event("Bounce", ["kim@client.example", "lee@client.example"], at=BOUNCED, client_id=GMAIL_ID)),
    ("run", None),
    ("run", None),
]


@given(st.permutations(STORY), st.integers(0, 3))
@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_of_mails_events_and_runs_ends_alike(
    tmp_path_factory: pytest.TempPathFactory, plain: Settings, order: list[Any], repeats: int
) -> None:
    db = store.open_store(tmp_path_factory.mktemp("order") / "triage.db")
    at = NOW
    for number, (what, value) in enumerate([*order, ("run", None)]):
        at += timedelta(minutes=20)
        if what == "mail":
            put(db, value, number=1 + STORY.index((what, value)))
        elif what == "event":
            for _ in range(1 + repeats):
                publish(db, value)
        else:
            settle(db, plain, at=at)
        assert number < 9
    assert sorted((v["recipient"], v["source"][:6], v["original"]["gmail_message_id"]) for v in verdicts(db)) == [
        ("kim@client.example", "gmail:", GMAIL_ID),
        ("lee@client.example", "ses-ev", GMAIL_ID),
        ("pat@client.example", "gmail:", GMAIL_ID),
    ]
    assert all(verdict["original"]["ses_message_id"] for verdict in verdicts(db))
    assert list(db.query("SELECT * FROM events WHERE notification IS NOT NULL AND verdict_id IS NULL")) == []
    assert list(db.query("PRAGMA foreign_key_check")) == []
    db.close()


# The queue


def test_the_queue_is_emptied_and_its_absence_is_evidence_for_nothing(
    db: Database, plain: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(plain, queue_url="https://sqs.eu-west-1.amazonaws.com/123456789012/ses-events")
    away = NotLookedUp("the event queue", "this AWS identity may not call sqs:ReceiveMessage", "denied")
    asked_regions: list[str] = []

    def receive(region: str, url: str) -> Any:
        asked_regions.append(region)
        return away

    monkeypatch.setattr(aws_queue, "receive", receive)
    monkeypatch.setattr(module.aws_ses, "suppressed_destination", lambda region, address: None)
    verdict_id = put(db, record())
    drained = take_events(db, settings, NOW)
    told = settle(db, settings, drained=drained)
    assert asked_regions == ["eu-west-1"]
    assert told.not_looked_up == ("the event queue: this AWS identity may not call sqs:ReceiveMessage",)
    assert evidence(db, verdict_id)["ses-event", None]["not_looked_up_why"] == away.why
    FakeQueue(iter([in_envelope(BOUNCE)])).install(monkeypatch)
    drained = take_events(db, settings, NOW)
    assert settle(db, settings, drained=drained).events == 1
    assert evidence(db, verdict_id)["ses-event", None]["found"] is True
    assert take_events(db, plain, NOW) == Drained()


# What is shown


def test_explain_shows_the_chain(db: Database, plain: Settings, aws: AwsDouble) -> None:
    settings, _ = story(aws, plain)
    publish(db, SEND, BOUNCE)
    aws.ses.suppress("pat@client.example", "us-west-2", message_id=ID, at=BOUNCED)
    aws.ses.fail("GetSuppressedDestination", 2, status=403, code="AccessDeniedException")
    remote = put(db, record())
    own = put(db, alias_record(gmail_message_id="other@mail.gmail.com", message_id=None), number=2, received_at=FAILED)
    settle(db, replace(settings, regions=("us-west-2", "eu-west-1")), Gmail(THROUGH_SES))
    text = "\n".join(explain_mail(None, verdicts(db), [], {}, evidence=store.evidence_of(db, [remote, own]), width=200))
    lines = [line for line in text.splitlines() if line.strip()]
    start = lines.index("What SES and AWS know")
    assert [line[2:20].strip() for line in lines[start + 1 : start + 5]] == [
        "SES id",
        "SES events",
        "Suppression list",
        "",
    ]
    assert "eu-west-1: not looked up: this AWS identity may not call ses:GetSuppressedDestination" in text
    assert "Conclusion        likely: key AKIA…" in text


def test_an_event_is_a_value() -> None:
    assert Event("Send", "a@b.example", ID, "x", NOW) == Event("Send", "a@b.example", ID, "x", NOW)
