"""What correlation looks up at SES, and that AWS being away is never a wrong verdict."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.retries.standard import ExponentialBackoff
from sqlite_utils import Database

from remediation.aws import client as asking
from remediation.aws import ses as aws_ses
from tests.doubles.aws import AwsDouble
from tests.doubles.ses_events import ses_event
from tests.ses.world import ALIAS, BOUNCED, ID, NOW, SENT, UNKNOWN_ID, evidence, publish, put, record, settle, verdicts
from triage.config import Settings
from triage.ses import tie as module


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
    turns = aws_ses.MOST_TURNS if fault.get("status") == 429 else 1
    assert aws.ses.calls[operation] <= turns * asking.AWS_TRIES, "the second bounce asks no region that does not answer"
    assert [{**verdict} for verdict in verdicts(db)] == before, "the verdict stands as it was"
    aws.ses.clear_faults()
    monkeypatch.setattr(asking, "READ_SECONDS", 10)
    monkeypatch.setenv("AWS_SDK_UA_APP_ID", "patient")
    # What AWS does not allow is asked once a day for all, anything else by the next run.
    later = NOW + timedelta(days=1) if fault.get("status") == 403 else NOW
    assert settle(db, settings, at=later).not_looked_up == ()
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
    settle(db, settings, at=NOW + timedelta(days=1))
    assert aws.ses.calls == {"GetSuppressedDestination": 3}, "what was answered is not asked again"
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


def test_a_display_name_hinders_no_question(db: Database, plain: Settings, aws: AwsDouble) -> None:
    aws.ses.suppress("pat@client.example", "us-west-2", message_id=ID, at=BOUNCED)
    aws.ses.region("us-west-2").account["VdmAttributes"] = {"VdmEnabled": "ENABLED"}
    named = "Pat Smith <Pat@client.example>"
    aws.ses.add_insights(ID, "us-west-2", sender=ALIAS, subject="x", events=[(named, "SEND", SENT, None)])
    publish(db, ses_event("Bounce", [named], at=BOUNCED, message_id=ID, region="us-west-2"))
    verdict_id = put(db, record(recipient="Pat <pat@client.example>"))
    settle(db, replace(plain, regions=("us-west-2",), vdm=True, queue_url="x"))
    pieces = evidence(db, verdict_id)
    assert pieces["suppression-list", "us-west-2"]["found"] is True
    assert pieces["message-insights", "us-west-2"]["found"] is True
    assert pieces["ses-event", None]["found"] is True
