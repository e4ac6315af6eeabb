"""What AWS says of itself in the queue: that SES stopped sending opens an incident before the first mail comes back."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlite_utils import Database

from remediation.aws.sns import Certificates
from tests.doubles.ses_events import in_envelope, ses_event
from tests.doubles.sns import SnsDouble
from tests.ses.fake_queue import FakeQueue
from tests.ses.world import ALIAS, put, record
from triage import store
from triage.config import Settings
from triage.incidents import facts_of, incident_lines
from triage.incidents.words import alert_body, alert_title
from triage.model import Incident, SendingState
from triage.ses.believed import Trust
from triage.ses.events import Drained, drain
from triage.ses.tie import correlate

NOW = datetime(2026, 5, 12, 19, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
TOPIC = "arn:aws:sns:us-east-1:123456789012:ses-events"
TENANT = "arn:aws:ses:us-east-1:123456789012:tenant/boats/tn-0123"
OURS = Trust(accounts=frozenset({"123456789012"}))


def status(state: str, at: datetime, *, resource: str | None = None, **changes: Any) -> str:
    """An event as EventBridge puts it into a queue, by the example of the SES guide on tenants."""
    event = {
        "version": "0",
        "id": "12345678-1234-1234-1234-123456789012",
        "detail-type": f"Sending Status {state}",
        "source": "aws.ses",
        "account": "123456789012",
        "time": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": "us-east-1",
        "resources": [resource] if resource else [],
        "detail": {
            "version": "1.0.0",
            "data": {"origin": "AWS_MANAGED", "record": {"status": state.upper(), "cause": "High bounce rate."}},
        },
    }
    return json.dumps(event | changes)


def take(
    db: Database, monkeypatch: pytest.MonkeyPatch, *bodies: str, trust: Trust = OURS, at: datetime = NOW
) -> Drained:
    FakeQueue(iter(bodies)).install(monkeypatch)
    drained = drain(db, "queue", "us-east-1", at, trust)
    store.settle_all(db, at)
    return drained


def the_incident(db: Database) -> Incident:
    [incident] = store.read_incidents(db)
    return incident


def test_a_stop_opens_an_incident_of_our_own_side_before_the_first_bounce(
    db: Database, plain: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    drained = take(db, monkeypatch, status("Disabled", NOW - HOUR))
    assert (drained.taken, drained.new, drained.unreadable, drained.refused) == (1, 0, 0, 0)
    incident = the_incident(db)
    assert (incident.state, incident.side, incident.cause, incident.place) == (
        *("open", "own", "ses-sending-paused"),
        "us-east-1",
    )
    assert (incident.first_at, incident.bounces, incident.openings) == (NOW - HOUR, 0, 1)
    facts = facts_of(db, plain, incident)
    assert facts.found == "SES said by itself that it stopped sending in us-east-1 (AWS_MANAGED: High bounce rate.)"
    assert facts.steps
    told = alert_body(incident, "opened", facts, NOW)
    assert "Nobody yet" in told
    assert "SES said by itself" in told
    assert alert_title(incident, "opened", NOW).startswith("Broken: Amazon SES in us-east-1")
    whole = "\n".join(incident_lines(incident, facts, NOW))
    assert "no mail came back yet" in whole
    assert "Who is hit: nobody yet." in whole


def test_the_bounces_that_follow_belong_to_it_and_its_end_is_what_ses_says(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(db, monkeypatch, status("Disabled", NOW - 3 * HOUR))
    paused = {"cause": "ses-sending-paused", "category": "ses-refused", "side": "own", "ses_region": "us-east-1"}
    put(db, record(**paused), received_at=NOW - 2 * HOUR)
    incident = the_incident(db)
    assert (incident.openings, incident.bounces, incident.first_at) == (1, 1, NOW - 3 * HOUR)
    take(db, monkeypatch, status("Enabled", NOW - HOUR))
    ended = the_incident(db)
    assert (ended.state, ended.closed_by, ended.closed_at) == ("closed", "sending-enabled", NOW - HOUR)
    take(db, monkeypatch, status("Disabled", NOW - HOUR / 2))
    assert (the_incident(db).state, the_incident(db).openings) == ("open", 2)


def test_in_whatever_order_they_come_it_ends_the_same(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    take(db, monkeypatch, status("Enabled", NOW - HOUR), status("Disabled", NOW - 2 * HOUR))
    take(db, monkeypatch, status("Disabled", NOW - 2 * HOUR))
    assert (the_incident(db).state, the_incident(db).openings) == ("closed", 1)
    assert len(list(db.query("SELECT * FROM sending_states"))) == 2, "told twice, written once"


def test_one_tenant_that_sends_again_ends_nothing_for_another(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    other = TENANT.replace("boats", "cars")
    take(db, monkeypatch, status("Disabled", NOW - 3 * HOUR, resource=TENANT))
    take(db, monkeypatch, status("Disabled", NOW - 2 * HOUR, resource=other))
    take(db, monkeypatch, status("Enabled", NOW - HOUR, resource=other))
    assert the_incident(db).state == "open"
    take(db, monkeypatch, json.dumps(ses_event("Send", ["pat@client.example"], at=NOW - HOUR / 2, sender=ALIAS)))
    assert the_incident(db).state == "open", "another tenant may have sent it"
    take(db, monkeypatch, status("Enabled", NOW - HOUR / 4, resource=TENANT))
    assert the_incident(db).state == "closed"


def test_where_no_word_of_the_end_comes_a_mail_that_ses_took_is_one(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(db, monkeypatch, status("Disabled", NOW - 3 * HOUR))
    take(db, monkeypatch, json.dumps(ses_event("Send", ["pat@client.example"], at=NOW - HOUR, sender=ALIAS)))
    assert (the_incident(db).state, the_incident(db).closed_by) == ("closed", "ses-event")


STRANGE: dict[str, tuple[str, Trust, str]] = {
    "another account": (status("Disabled", NOW - HOUR, account="666666666666"), OURS, "not known to be ours"),
    "no account": (status("Disabled", NOW - HOUR, account=None), OURS, "not known to be ours"),
    "nobody knows which account is ours": (status("Disabled", NOW - HOUR), Trust(), "not known to be ours"),
    "no envelope where topics are set": (
        status("Disabled", NOW - HOUR),
        Trust(frozenset({TOPIC}), OURS.accounts),
        "no envelope",
    ),
    "another topic": (
        in_envelope(json.loads(status("Disabled", NOW - HOUR)), TopicArn=TOPIC.replace("1234", "6666", 1)),
        OURS,
        "another AWS account",
    ),
    "tomorrow": (status("Disabled", NOW + 24 * HOUR), OURS, "after it was received"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_stranger_opens_none(db: Database, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    body, trust, why = STRANGE[name]
    drained = take(db, monkeypatch, body, trust=trust)
    assert (drained.refused, store.read_incidents(db)) == (1, [])
    assert list(db.query("SELECT * FROM sending_states")) == []
    [kept] = [row["error"] for row in store.unreadable_mails(db)]
    assert why in kept


def test_a_mail_opens_none(db: Database) -> None:
    """Only the queue is believed: the same words in a mail are words in a mail."""
    from triage.ses.events import as_mail, read_again

    raw = as_mail(json.loads(status("Disabled", NOW - HOUR)))
    assert read_again("gmail:1", raw).__class__.__name__ == "NotABounce"
    assert store.read_incidents(db) == []


@pytest.mark.parametrize(
    "changes",
    [{"region": "../../evil"}, {"region": 7}, {"time": "soon"}, {"time": None}, {"detail": [1]}, {"resources": {}}],
)
def test_fields_that_are_none_are_no_trouble(
    db: Database, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    drained = take(db, monkeypatch, status("Disabled", NOW - HOUR, **changes))
    can_be_read = "detail" in changes or "resources" in changes
    assert drained.unreadable == (not can_be_read)
    assert len(store.read_incidents(db)) == can_be_read


@pytest.mark.parametrize("word", ["Open", "Resolved", "Closed"])
def test_advice_is_known_and_no_trouble(db: Database, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    event = status("Enabled", NOW, **{"detail-type": f"Advisor Recommendation Status {word}"})
    for body in (event, in_envelope(json.loads(event))):
        drained = take(db, monkeypatch, body)
        assert (drained.taken, drained.unreadable, drained.refused, drained.notices) == (1, 0, 0, ())


def of_sns(kind: str, **changes: Any) -> str:
    about = {
        "Type": kind,
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "Token": "2336412f37",
        "TopicArn": TOPIC,
    }
    about |= {"Message": "You have chosen ...", "SubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=Confirm"}
    return json.dumps(about | {"Timestamp": "2026-05-12T19:00:00.000Z"} | changes)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("SubscriptionConfirmation", "waits for somebody to confirm"),
        ("UnsubscribeConfirmation", "somebody ended the subscription"),
    ],
)
@pytest.mark.parametrize("is_signed", [True, False])
def test_what_sns_says_of_a_subscription_is_told(
    db: Database, plain: Settings, monkeypatch: pytest.MonkeyPatch, kind: str, words: str, is_signed: bool
) -> None:
    sns = SnsDouble()
    topics = frozenset({TOPIC}) if is_signed else frozenset[str]()
    trust = Trust(topics, OURS.accounts, Certificates(sns.fetch))
    drained = take(db, monkeypatch, sns.sign(of_sns(kind)) if is_signed else of_sns(kind), trust=trust)
    assert (drained.unreadable, drained.refused) == (0, 0)
    [told] = correlate(db, plain, None, NOW, drained).not_looked_up
    assert told.startswith(f"the topic {TOPIC}: ")
    assert words in told


FORGED: dict[str, Callable[[SnsDouble], str]] = {
    "another topic": lambda sns: sns.sign(of_sns("SubscriptionConfirmation", TopicArn=TOPIC + "-mine")),
    "another key": lambda sns: SnsDouble(1).sign(of_sns("SubscriptionConfirmation")),
    "another address put in": lambda sns: json.dumps(
        json.loads(sns.sign(of_sns("SubscriptionConfirmation"))) | {"SubscribeURL": "https://evil.example/"}
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_question_to_subscribe_is_not_told(db: Database, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    sns = SnsDouble()
    trust = Trust(frozenset({TOPIC}), OURS.accounts, Certificates(sns.fetch))
    drained = take(db, monkeypatch, FORGED[name](sns), trust=trust)
    assert (drained.refused, drained.notices) == (1, ())


def test_a_flood_of_states_is_stored_in_time(db: Database, monkeypatch: pytest.MonkeyPatch, plain: Settings) -> None:
    """Who may write to the queue may stop a thousand tenants: each state costs no look at all the others."""
    looks = []
    settled = store.incidents._settled
    monkeypatch.setattr(store.incidents, "_settled", lambda *args: looks.append(1) or settled(*args))
    store.note_sending(
        db,
        [SendingState("us-east-1", f"{TENANT}{number}", False, NOW - HOUR, None) for number in range(300)],
        NOW,
    )
    assert len(looks) == 1
    assert the_incident(db).state == "open"
