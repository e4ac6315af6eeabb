"""Which rotation broke which alias: keys, logins and the sendAs host, without a mail at SES."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlite_utils import Database

from remediation import credentials
from remediation.aws import client as asking
from remediation.aws import queue as aws_queue
from remediation.aws.client import NotLookedUp
from remediation.aws.policies import actions, triage_policy
from remediation.credentials import LoginCheck
from tests.aws.recorder import record_actions
from tests.doubles.aws import AwsDouble
from tests.doubles.ses_events import ses_event
from tests.ses.world import (
    ALIAS,
    BOUNCE,
    FAILED,
    NOW,
    RELAY,
    SEND,
    SENT,
    THROUGH_SES,
    Gmail,
    alias_record,
    evidence,
    publish,
    put,
    record,
    settle,
    story,
)
from triage.config import Settings
from triage.owner.doctor_aws import check_aws, iam_policy
from triage.ses import tie as module
from triage.ses.tie import take_events


def test_the_rotation_that_broke_the_alias_is_named(db: Database, plain: Settings, aws: AwsDouble) -> None:
    settings, old_key = story(aws, plain)
    publish(db, ses_event("Delivery", ["kim@client.example"], at=SENT, client_id="another@app.example"))
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


def test_a_run_and_doctor_ask_for_what_the_printed_policy_allows(
    db: Database, plain: Settings, aws: AwsDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, _ = story(aws, plain)
    queue = aws.make_event_queue()
    aws.publish(BOUNCE)
    settings = replace(settings, regions=("us-east-1",), queue_url=queue.url, vdm=True, probe=True)
    put(db, record())
    put(db, alias_record(), number=2, received_at=FAILED)
    monkeypatch.setattr(credentials, "check_login", lambda *_, **__: LoginCheck(None, "the login is accepted"))
    monkeypatch.setattr(aws_queue, "WAIT_SECONDS", 0)
    called = record_actions(monkeypatch)
    drained = take_events(db, settings, NOW)
    assert drained.away is None
    settle(db, settings, Gmail(THROUGH_SES), drained=drained)
    list(check_aws(settings))
    printed = iam_policy("triage", settings)
    assert sorted(called) == actions(printed)
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
        (LoginCheck("credential", "535 Authentication Credentials Invalid"), "refused", "likely"),
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
    from remediation.aws import iam as aws_iam

    monkeypatch.setattr(aws_iam, "ask", ask)
    verdict_id = put(db, alias_record(), received_at=FAILED)
    told = settle(db, settings, Gmail(THROUGH_SES))
    kind = {"iam": "smtp-keys", "cloudtrail": "key-changes", "secretsmanager": "secret"}[service]
    place = settings.smtp_secret if service == "secretsmanager" else settings.smtp_user
    assert evidence(db, verdict_id)[kind, place]["not_looked_up_why"] == "this AWS identity may not"
    assert len(told.not_looked_up) == 1
    # Without IAM nobody knows whether the lost key was in use.
    expected = {"iam": "likely", "cloudtrail": "unknown", "secretsmanager": "proven"}[service]
    assert evidence(db, verdict_id)["own-side", None]["result"] == expected
    monkeypatch.undo()
    for name, value in aws.env.items():
        monkeypatch.setenv(name, value)
    later = NOW + timedelta(days=1, minutes=1)
    assert settle(db, settings, Gmail(THROUGH_SES), at=later).not_looked_up == ()
    assert evidence(db, verdict_id)["own-side", None]["result"] == "proven"


def test_an_alias_that_is_gone_from_gmail(db: Database, plain: Settings) -> None:
    verdict_id = put(db, alias_record(), received_at=FAILED)
    settle(db, plain, Gmail())
    assert evidence(db, verdict_id)["alias-settings", ALIAS]["detail"] == "Gmail has no such alias any more"
    assert ("own-side", None) not in evidence(db, verdict_id), "nothing is set that could tell"
