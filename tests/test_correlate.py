"""Verdicts and what SES and AWS know of them: one failure is one verdict, and AWS being away is never a wrong one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.retries.standard import ExponentialBackoff
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlite_utils import Database

from remediation import aws as asking
from remediation import aws_queue, credentials
from remediation.aws import NotLookedUp
from remediation.credentials import LoginCheck
from remediation.policies import actions, triage_policy
from tests.doubles.aws import AwsDouble
from tests.doubles.ses_api import new_message_id
from tests.doubles.ses_events import in_envelope, ses_event
from tests.fake_queue import FakeQueue
from triage import correlate as module
from triage import store, store_events
from triage.config import Settings, load_settings
from triage.correlate import Correlated, correlate, take_events
from triage.events import Drained, Event, read_events
from triage.explain import explain
from triage.gmail import SendAs
from triage.store import Mail

NOW = datetime(2026, 5, 12, 19, 30, tzinfo=UTC)
SENT = datetime(2026, 5, 12, 18, 45, 7, 130000, tzinfo=UTC)
BOUNCED = SENT + timedelta(minutes=1)
ROTATED = datetime(2026, 5, 12, 14, 2, tzinfo=UTC)
FAILED = datetime(2026, 5, 12, 16, 40, tzinfo=UTC)
ID = new_message_id("us-west-2", int(SENT.timestamp() * 1000))
GMAIL_ID = "CAF0alias@mail.gmail.com"
ALIAS = "admin@queenofsandiego.com"
RELAY = "email-smtp.us-east-1.amazonaws.com"

BOUNCE = ses_event("Bounce", ["pat@client.example"], at=BOUNCED, message_id=ID, region="us-west-2", client_id=GMAIL_ID)
BOUNCE["mail"]["timestamp"] = "2026-05-12T18:45:07.130Z"
SEND = ses_event("Send", ["pat@client.example"], at=SENT, message_id=ID, region="us-west-2", client_id=GMAIL_ID)


class Gmail:
    """As much of Gmail as correlation asks."""

    def __init__(self, *aliases: SendAs) -> None:
        self.aliases = list(aliases)
        self.asked = 0

    def send_as(self) -> list[SendAs]:
        self.asked += 1
        return self.aliases


THROUGH_SES = SendAs(ALIAS, None, False, RELAY, 587, "starttls", "accepted")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    opened = store.open_store(tmp_path / "triage.db")
    yield opened
    opened.close()


@pytest.fixture
def plain(tmp_path: Path) -> Settings:
    """Nothing of AWS is set."""
    (tmp_path / "triage.toml").write_text("")
    return load_settings(tmp_path / "triage.toml", {})


def record(**changes: Any) -> dict[str, Any]:
    """The verdict on the third mail of the story, as `classify` gives it; keys of `original` may be given as well."""
    original: dict[str, Any] = dict.fromkeys(store.ORIGINAL_KEYS) | {
        "message_id": f"{ID}@us-west-2.amazonses.com",
        "ses_message_id": ID,
        "ses_region": "us-west-2",
        "ses_id_source": "returned Message-ID",
        "sent_at": "2026-05-12T18:45:07.130Z",
        "from": ALIAS,
        "subject": "Friday sail",
        "path": "ses-api",
    }
    full: dict[str, Any] = dict.fromkeys(store.RECORD_KEYS) | {
        "source": "gmail:1",
        "kind": "failed",
        "recipient": "pat@client.example",
        "category": "exchange-rejection",
        "cause": "recipient-unknown",
        "side": "remote",
        "permanent": True,
        "genuine": "pass",
        "original": original,
        "fix": [],
        "links": [],
    }
    for key, value in changes.items():
        (original if key in original else full)[key] = value
    return full


UNKNOWN_ID: dict[str, Any] = {"message_id": None, "ses_message_id": None, "ses_region": None, "ses_id_source": None}


def alias_record(**changes: Any) -> dict[str, Any]:
    own = {"category": "smtp-credentials", "cause": "alias-credentials-rejected", "side": "own", "path": "gmail-alias"}
    own |= UNKNOWN_ID | {"gmail_message_id": GMAIL_ID, "message_id": GMAIL_ID, "sent_at": None}
    return record(**(own | changes))


def put(db: Database, *records: dict[str, Any], number: int = 1, received_at: datetime = BOUNCED) -> int:
    """Store a mail with these verdicts; returns the id of the first verdict."""
    mail = Mail(
        f"gmail:{number}", f"{number:016x}", "thread", f"bounce-{number}@x.example", received_at, b"raw %d" % number
    )
    mail_id = store.store_judged(db, mail, records, (), NOW)
    return int(store.verdicts_of(db, mail_id)[0]["id"])


def publish(db: Database, *published: dict[str, Any]) -> None:
    for event in published:
        found = read_events(in_envelope(event))
        assert isinstance(found, list)
        store_events.store_events(db, found, [], NOW)


def evidence(db: Database, verdict_id: int) -> dict[tuple[str, str | None], dict[str, Any]]:
    return {(row["kind"], row["place"]): row for row in store_events.evidence_of(db, [verdict_id]).get(verdict_id, [])}


def verdicts(db: Database) -> list[dict[str, Any]]:
    return sorted(store.verdicts_since(db, None), key=lambda row: row["id"])


def settle(
    db: Database, settings: Settings, gmail: Gmail | None = None, at: datetime = NOW, drained: Drained | None = None
) -> Correlated:
    return correlate(db, settings, gmail, at, drained or Drained())  # type: ignore[arg-type]


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
    settle(db, plain, at=BOUNCED + timedelta(hours=5))
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


# The suppression list and insights


def test_the_suppression_list_of_each_region_is_asked(db: Database, plain: Settings, aws: AwsDouble) -> None:
    aws.ses.suppress("pat@client.example", "us-west-2", message_id=ID, at=BOUNCED)
    verdict_id = put(db, record())
    settle(db, replace(plain, regions=("us-east-1",)))
    pieces = evidence(db, verdict_id)
    assert pieces["suppression-list", "us-west-2"]["detail"] == (
        "pat@client.example is on it since 12 May 18:46 UTC (BOUNCE), because of this very mail"
    )
    assert pieces["suppression-list", "us-east-1"]["found"] is False
    assert aws.ses.calls == {"GetSuppressedDestination": 2}
    settle(db, replace(plain, regions=("us-east-1",)))
    assert aws.ses.calls == {"GetSuppressedDestination": 2}, "what was answered is not asked again"


@pytest.mark.parametrize(
    ("message_id", "words"), [(None, "put there by hand"), (ID[:-1] + "5", f"because of another mail, {ID[:-1]}5")]
)
def test_what_put_an_address_on_the_list_is_told(
    db: Database, plain: Settings, aws: AwsDouble, message_id: str | None, words: str
) -> None:
    aws.ses.suppress("pat@client.example", "us-west-2", message_id=message_id, at=BOUNCED)
    verdict_id = put(db, record())
    settle(db, replace(plain, regions=("us-west-2",)))
    assert evidence(db, verdict_id)["suppression-list", "us-west-2"]["detail"].endswith(words)


@pytest.mark.parametrize(("minutes", "is_it"), [(3, True), (30, False)])
def test_an_entry_gives_the_id_where_nothing_better_does(
    db: Database, plain: Settings, aws: AwsDouble, minutes: int, is_it: bool
) -> None:
    aws.ses.suppress("pat@client.example", "us-west-2", message_id=ID, at=BOUNCED)
    sent_at = (SENT - timedelta(minutes=minutes)).isoformat()
    put(db, record(**UNKNOWN_ID | {"sent_at": sent_at}))
    settle(db, replace(plain, regions=("us-west-2",)))
    [verdict] = verdicts(db)
    assert (verdict["original"]["ses_message_id"] == ID) is is_it
    assert (verdict["original"]["ses_id_source"] == "suppression list entry") is is_it


def test_mail_that_left_through_gmail_itself_is_not_looked_for_at_ses(
    db: Database, plain: Settings, aws: AwsDouble
) -> None:
    verdict_id = put(db, record(**UNKNOWN_ID | {"path": "gmail"}))
    settle(db, replace(plain, regions=("us-west-2",)))
    assert aws.ses.calls == {}
    assert evidence(db, verdict_id)["ses-id", None]["detail"] == "none: it left through Gmail's own servers"


def test_insights_are_asked_where_they_are_paid_for(db: Database, plain: Settings, aws: AwsDouble) -> None:
    aws.ses.region("us-west-2").account["VdmAttributes"] = {"VdmEnabled": "ENABLED"}
    bounce = {"Bounce": {"BounceType": "PERMANENT", "BounceSubType": "General", "DiagnosticCode": "550 5.1.10"}}
    events = [("Pat@client.example", "SEND", SENT, None), ("Pat@client.example", "BOUNCE", BOUNCED, bounce)]
    aws.ses.add_insights(ID, "us-west-2", sender=ALIAS, subject="Friday sail", events=events)
    verdict_id = put(db, record())
    settle(db, replace(plain, regions=("us-west-2",), vdm=True))
    assert evidence(db, verdict_id)["message-insights", "us-west-2"]["detail"] == (
        "SEND 12 May 18:45 UTC; BOUNCE 12 May 18:46 UTC, PERMANENT, General, 550 5.1.10"
    )


@pytest.mark.parametrize("operation", ["GetSuppressedDestination", "GetMessageInsights"])
@pytest.mark.parametrize(
    "fault",
    [
        {"status": 403, "code": "AccessDeniedException"},
        {"status": 429, "code": "TooManyRequestsException"},
        {"status": 500, "code": "InternalServiceErrorException"},
        {"connection": "drop"},
        {"body": b"<html>Sign in to the network</html>"},
        {"body": b"{", "status": 404},
        {"latency": 0.3},
    ],
    ids=["denied", "throttled", "failed", "dropped", "garbage", "another 404", "slow"],
)
def test_ses_being_away_is_not_looked_up_and_asked_again(
    db: Database,
    plain: Settings,
    aws: AwsDouble,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    fault: dict[str, Any],
) -> None:
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0.0)
    if "latency" in fault:
        monkeypatch.setattr(asking, "READ_SECONDS", 0.1)
        monkeypatch.setenv("AWS_SDK_UA_APP_ID", "slow")  # another surrounding: a client with the short time-out
    settings = replace(plain, regions=("us-west-2",), vdm=True)
    aws.ses.region("us-west-2").account["VdmAttributes"] = {"VdmEnabled": "ENABLED"}
    aws.ses.suppress("pat@client.example", "us-west-2", message_id=ID, at=BOUNCED)
    aws.ses.add_insights(
        ID, "us-west-2", sender=ALIAS, subject="x", events=[("pat@client.example", "SEND", SENT, None)]
    )
    aws.ses.fail(operation, times=None, **fault)
    first, second = put(db, record()), put(db, record(), number=2)
    before = [{**verdict} for verdict in verdicts(db)]
    told = settle(db, settings)
    kind = "suppression-list" if operation == "GetSuppressedDestination" else "message-insights"
    for verdict_id in (first, second):
        piece = evidence(db, verdict_id)[kind, "us-west-2"]
        assert (piece["found"], piece["detail"], piece["tries"]) == (None, None, 1)
        assert piece["not_looked_up_why"]
    assert len(told.not_looked_up) == 1
    assert aws.ses.calls[operation] <= asking.MAX_ATTEMPTS, "the second bounce asks no region that does not answer"
    assert [{**verdict} for verdict in verdicts(db)] == before, "the verdict stands as it was"
    aws.ses.faults.clear()
    monkeypatch.setattr(asking, "READ_SECONDS", 10)
    monkeypatch.setenv("AWS_SDK_UA_APP_ID", "patient")
    assert settle(db, settings).not_looked_up == ()
    for verdict_id in (first, second):
        piece = evidence(db, verdict_id)[kind, "us-west-2"]
        assert (piece["found"], piece["not_looked_up_why"], piece["tries"]) == (True, None, 2)


def test_no_credentials_at_all(db: Database, plain: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    verdict_id = put(db, record())
    told = settle(db, replace(plain, regions=("us-west-2",)))
    assert "no AWS credentials" in told.not_looked_up[0]
    assert "no AWS credentials" in evidence(db, verdict_id)["suppression-list", "us-west-2"]["not_looked_up_why"]


def test_what_was_found_once_is_not_lost(db: Database, plain: Settings, aws: AwsDouble) -> None:
    settings = replace(plain, regions=("us-west-2", "eu-west-1"))
    aws.ses.suppress("pat@client.example", "us-west-2", message_id=ID, at=BOUNCED)
    aws.ses.fail("GetSuppressedDestination", 2, status=403, code="AccessDeniedException")
    verdict_id = put(db, record())
    settle(db, settings)
    aws.ses.fail("GetSuppressedDestination", status=403, code="AccessDeniedException")
    settle(db, settings)
    pieces = evidence(db, verdict_id)
    assert pieces["suppression-list", "us-west-2"]["found"] is True
    assert pieces["suppression-list", "eu-west-1"]["found"] is False


def test_what_our_code_trips_over_stops_nothing(db: Database, plain: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = put(db, record()), put(db, record(), number=2)
    whole = module._tied

    def trip(database: Database, row: dict[str, Any]) -> Any:
        if row["id"] == first:
            raise KeyError("no")
        return whole(database, row)

    monkeypatch.setattr(module, "_tied", trip)
    assert settle(db, plain).not_looked_up == (f"verdict {first}: our own code failed: KeyError: 'no'",)
    assert evidence(db, second)["ses-id", None]["found"] is True
    monkeypatch.undo()
    assert settle(db, plain).not_looked_up == ()
    assert evidence(db, first)["ses-id", None]["found"] is True


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


# Our own side


def story(aws: AwsDouble, plain: Settings) -> tuple[Settings, str]:
    """The user whose key was turned, the secret, and no event for the mails that never left."""
    old = aws.make_smtp_user()
    aws.deactivate_key(old)
    new = aws.add_key(old.name)
    aws.trail.note("created", old.name, new.key_id, ROTATED - timedelta(minutes=4))
    aws.trail.note("made inactive", old.name, old.key_id, ROTATED)
    arn = aws.make_secret({"username": new.key_id, "password": "B" * 44})
    return replace(plain, smtp_user=old.name, smtp_secret=arn, queue_url="x"), old.key_id


def test_the_rotation_that_broke_the_alias_is_named(db: Database, plain: Settings, aws: AwsDouble) -> None:
    settings, old_key = story(aws, plain)
    publish(db, ses_event("Delivery", ["kim@client.example"], at=SENT, client_id="another@mail.gmail.com"))
    first = put(db, alias_record(), received_at=FAILED)
    second = put(db, alias_record(recipient="kim@client.example"), number=2, received_at=FAILED + timedelta(hours=1))
    gmail = Gmail(THROUGH_SES)
    settle(db, settings, gmail)
    short = f"AKIA…{old_key[-2:]}"
    for verdict_id in (first, second):
        pieces = evidence(db, verdict_id)
        conclusion = pieces["own-side", None]
        assert conclusion["result"] == "proven"
        assert conclusion["detail"] == (
            f"key {short} was made inactive on 12 May 14:02 UTC; first failure 12 May 16:40 UTC"
        )
        assert pieces["ses-id", None]["detail"] == "none: it was stopped before SES took it"
        assert pieces["ses-event", None]["found"] is False
        assert "and 1 event about other mails" in pieces["ses-event", None]["detail"]
        assert f"{RELAY}:587 (starttls), Amazon SES in us-east-1" in pieces["alias-settings", ALIAS]["detail"]
        assert f"{short} inactive" in pieces["smtp-keys", settings.smtp_user]["detail"]
        assert f"{short} made inactive 12 May 14:02 UTC by" in pieces["key-changes", settings.smtp_user]["detail"]
        assert "AWSCURRENT since" in pieces["secret", settings.smtp_secret]["detail"]
        assert not any(old_key in str(piece["detail"]) for piece in pieces.values())
    assert gmail.asked == 1, "asked once a run, however many bounces"
    assert aws.trail.calls == 3
    assert aws.ses.calls == {}, "a mail that never reached SES is not on its lists"


def test_a_run_asks_for_no_more_than_its_policy_allows(
    db: Database, plain: Settings, aws: AwsDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: set[str] = set()
    whole = BaseClient._make_api_call

    def noted(client: Any, operation: str, parameters: Any) -> Any:
        service = {"sesv2": "ses"}.get(client.meta.service_model.service_name, client.meta.service_model.service_name)
        called.add(f"{service}:{operation}")
        return whole(client, operation, parameters)

    settings, _ = story(aws, plain)
    queue = aws.make_event_queue()
    aws.publish(BOUNCE)
    settings = replace(settings, regions=("us-east-1",), queue_url=queue.url, vdm=True, probe=True)
    put(db, record())
    put(db, alias_record(), number=2, received_at=FAILED)
    monkeypatch.setattr(credentials, "check_login", lambda *_, **__: LoginCheck(None, "the login is accepted"))
    monkeypatch.setattr(aws_queue, "WAIT_SECONDS", 0)
    monkeypatch.setattr(BaseClient, "_make_api_call", noted)
    drained = take_events(db, settings, NOW)
    assert drained.away is None
    settle(db, settings, Gmail(THROUGH_SES), drained=drained)
    # sqs:DeleteMessage covers the batch (Service Authorization Reference).
    called = {name.removesuffix("Batch") for name in called}
    policy = triage_policy(queue="ses-events", smtp_user=settings.smtp_user, secret="ses-smtp", probe=True)
    assert called <= set(actions(policy))
    unused = {"ses:ListSuppressedDestinations", "sqs:GetQueueAttributes", "secretsmanager:DescribeSecret"}
    assert set(actions(policy)) - called == unused, "the report and doctor ask for these"
    assert "secretsmanager:GetSecretValue" not in actions(triage_policy(secret="ses-smtp"))


def test_our_own_rotations_are_known_without_cloudtrail(db: Database, plain: Settings, aws: AwsDouble) -> None:
    settings, old_key = story(aws, plain)
    aws.trail.events.clear()
    columns = {
        **dict.fromkeys(("id", "secret_id", "region", "host", "old_version_id", "version_id"), "x"),
        "state": "grace",
        "keeps": "new",
        "iam_user": settings.smtp_user,
        "port": 587,
        "security": "starttls",
        "old_key_id": old_key,
        "keys_before": "[]",
        "attempt": 1,
        "started_at": "x",
        "asked_at": "x",
        "inactive_at": "2026-05-12T14:02:00Z",
    }
    db["rotations"].insert(columns)
    verdict_id = put(db, alias_record(), received_at=FAILED)
    settle(db, settings, Gmail(THROUGH_SES))
    assert evidence(db, verdict_id)["own-side", None]["result"] == "proven"


def test_an_alias_mail_that_ses_did_take_is_no_proof(db: Database, plain: Settings, aws: AwsDouble) -> None:
    settings, _ = story(aws, plain)
    publish(db, SEND)
    verdict_id = put(db, alias_record(), received_at=FAILED)
    settle(db, settings, Gmail(THROUGH_SES))
    pieces = evidence(db, verdict_id)
    assert pieces["own-side", None]["result"] == "unknown"
    assert "SES did take this mail (Send 12 May 18:45 UTC)" in pieces["own-side", None]["detail"]


@pytest.mark.parametrize(
    ("check", "result", "conclusion"),
    [
        (LoginCheck(None, "the login is accepted"), "accepted", "likely"),
        (LoginCheck("credential", "535 Authentication Credentials Invalid"), "refused", "proven"),
        # moto makes its keys today, after the failure of the story: they alone say nothing.
        (LoginCheck("connection", "it did not answer in time"), None, "unknown"),
    ],
)
def test_a_live_login_is_tried_only_when_asked_for(
    db: Database,
    plain: Settings,
    aws: AwsDouble,
    monkeypatch: pytest.MonkeyPatch,
    check: LoginCheck,
    result: str | None,
    conclusion: str,
) -> None:
    tried: list[tuple[str, str, int]] = []

    def check_login(login: credentials.Login, relay: credentials.Relay, **_: Any) -> LoginCheck:
        tried.append((login.username, relay.host, relay.port))
        return check

    monkeypatch.setattr(credentials, "check_login", check_login)
    settings, _ = story(aws, plain)
    aws.trail.events.clear()
    verdict_id = put(db, alias_record(), received_at=FAILED)
    settle(db, settings, Gmail(THROUGH_SES))
    assert tried == []
    db.execute("DELETE FROM evidence")
    db.conn.commit()
    put(db, alias_record(), number=2, received_at=FAILED + timedelta(minutes=1))
    settle(db, replace(settings, probe=True), Gmail(THROUGH_SES))
    assert [(host, port) for _, host, port in tried] == [(RELAY, 587)], "one login for both bounces"
    pieces = evidence(db, verdict_id)
    assert pieces["live-login", None]["result"] == result
    assert pieces["own-side", None]["result"] == conclusion
    assert "BBBB" not in json.dumps([*db.query("SELECT * FROM evidence")])


@pytest.mark.parametrize("service", ["iam", "cloudtrail", "secretsmanager"])
def test_a_service_that_denies_is_not_looked_up(
    db: Database, plain: Settings, aws: AwsDouble, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    settings, _ = story(aws, plain)
    whole = asking.ask

    def ask(what: str, asked: str, *rest: Any, **parameters: Any) -> Any:
        if asked == service:
            return NotLookedUp(what, "this AWS identity may not", "denied")
        return whole(what, asked, *rest, **parameters)

    for used in (asking, module.aws_ses):
        monkeypatch.setattr(used, "ask", ask)
    from remediation import aws_iam

    monkeypatch.setattr(aws_iam, "ask", ask)
    verdict_id = put(db, alias_record(), received_at=FAILED)
    told = settle(db, settings, Gmail(THROUGH_SES))
    kind = {"iam": "smtp-keys", "cloudtrail": "key-changes", "secretsmanager": "secret"}[service]
    place = settings.smtp_secret if service == "secretsmanager" else settings.smtp_user
    assert evidence(db, verdict_id)[kind, place]["not_looked_up_why"] == "this AWS identity may not"
    assert len(told.not_looked_up) == 1
    expected = {"iam": "proven", "cloudtrail": "unknown", "secretsmanager": "proven"}[service]
    assert evidence(db, verdict_id)["own-side", None]["result"] == expected
    monkeypatch.undo()
    for name, value in aws.env.items():
        monkeypatch.setenv(name, value)
    assert settle(db, settings, Gmail(THROUGH_SES)).not_looked_up == ()
    assert evidence(db, verdict_id)["own-side", None]["result"] == "proven"


def test_an_alias_that_is_gone_from_gmail(db: Database, plain: Settings) -> None:
    verdict_id = put(db, alias_record(), received_at=FAILED)
    settle(db, plain, Gmail())
    assert evidence(db, verdict_id)["alias-settings", ALIAS]["detail"] == "Gmail has no such alias any more"
    assert ("own-side", None) not in evidence(db, verdict_id), "nothing is set that could tell"


# What is shown


def test_explain_shows_the_chain(db: Database, plain: Settings, aws: AwsDouble) -> None:
    settings, _ = story(aws, plain)
    publish(db, SEND, BOUNCE)
    aws.ses.suppress("pat@client.example", "us-west-2", message_id=ID, at=BOUNCED)
    aws.ses.fail("GetSuppressedDestination", 2, status=403, code="AccessDeniedException")
    remote = put(db, record())
    own = put(db, alias_record(gmail_message_id="other@mail.gmail.com", message_id=None), number=2, received_at=FAILED)
    settle(db, replace(settings, regions=("us-west-2", "eu-west-1")), Gmail(THROUGH_SES))
    text = "\n".join(
        explain(None, verdicts(db), [], {}, evidence=store_events.evidence_of(db, [remote, own]), width=200)
    )
    lines = [line for line in text.splitlines() if line.strip()]
    start = lines.index("What SES and AWS know")
    assert [line[2:20].strip() for line in lines[start + 1 : start + 5]] == [
        "SES id",
        "SES events",
        "Suppression list",
        "",
    ]
    assert "eu-west-1: not looked up: this AWS identity may not call ses:GetSuppressedDestination" in text
    assert "Conclusion        proven: key AKIA…" in text


def test_an_event_is_a_value() -> None:
    assert Event("Send", "a@b.example", ID, "x", NOW) == Event("Send", "a@b.example", ID, "x", NOW)
