"""What is asked again, and until when: until the answer cannot change any more; what is denied once a day for all."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlite_utils import Database

from remediation.aws import NotLookedUp
from remediation.aws import iam as aws_iam
from remediation.aws import ses as aws_ses
from remediation.aws.iam import AccessKey, KeyChange, LastUse
from tests.ses.world import (
    BOUNCED,
    FAILED,
    ID,
    NOW,
    ROTATED,
    SEND,
    THROUGH_SES,
    Gmail,
    alias_record,
    evidence,
    publish,
    put,
    record,
    settle,
)
from triage.config import Settings
from triage.model import Evidence, not_looked_up
from triage.ses import tie
from triage.ses.evidence import DENIED_FOR, LOOK_BACK, scheduled

AT = datetime(2026, 5, 12, 12, tzinfo=UTC)
KEY_CHANGES = Evidence("key-changes", "x", found=True, detail="x")
DENIED = NotLookedUp("the suppression list in us-west-2", "this AWS identity may not", "denied")
KEY = AccessKey("AKIAIOSFODNN7EXAM17Q", False, ROTATED - timedelta(days=90), LastUse(ROTATED - timedelta(hours=1)))
LOST = KeyChange(KEY.id, "made inactive", ROTATED, None)


@pytest.mark.parametrize(
    ("piece", "age", "again", "until"),
    [
        (Evidence("suppression-list", "x", found=False, detail="x"), timedelta(minutes=1), None, None),
        (
            KEY_CHANGES,
            timedelta(0),
            timedelta(minutes=15),
            timedelta(hours=6),
        ),
        (
            KEY_CHANGES,
            timedelta(hours=2),
            timedelta(hours=4),
            timedelta(hours=6),
        ),
        (
            KEY_CHANGES,
            timedelta(hours=4),
            timedelta(hours=6),
            timedelta(hours=6),
        ),
        (KEY_CHANGES, timedelta(hours=6), None, None),
        (Evidence("ses-event", found=False, detail="x"), timedelta(hours=10), timedelta(hours=20), timedelta(days=1)),
        (not_looked_up("secret", "x", "away"), timedelta(hours=3), timedelta(hours=3), LOOK_BACK),
        (not_looked_up("secret", "x", "no", is_denied=True), timedelta(hours=3), timedelta(hours=27), LOOK_BACK),
    ],
)
def test_each_question_has_its_last_useful_moment(
    piece: Evidence, age: timedelta, again: timedelta | None, until: timedelta | None
) -> None:
    found = scheduled(piece, AT, AT + age)
    assert found.ask_again_at == (None if again is None else AT + again)
    assert found.ask_until == (None if until is None else AT + until)


def test_cloudtrail_may_be_late(db: Database, plain: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    changes: list[KeyChange] = []
    asked: list[str] = []
    monkeypatch.setattr(aws_iam, "access_keys", lambda user: [KEY])
    monkeypatch.setattr(aws_iam, "key_changes", lambda user, since: asked.append(user) or list(changes))
    settings = replace(plain, smtp_user="ses-smtp-admin")
    verdict_id = put(db, alias_record(), received_at=FAILED)
    settle(db, settings, Gmail(THROUGH_SES), at=FAILED + timedelta(minutes=2))
    assert evidence(db, verdict_id)["own-side", None]["result"] == "likely"
    settle(db, settings, Gmail(THROUGH_SES), at=FAILED + timedelta(minutes=3))
    assert len(asked) == 1, "not at every run"
    changes.append(LOST)
    settle(db, settings, Gmail(THROUGH_SES), at=FAILED + timedelta(minutes=20))
    assert evidence(db, verdict_id)["own-side", None]["result"] == "proven"
    runs = [FAILED + timedelta(minutes=15 * number) for number in range(2, 96 * 4)]
    for at in runs:
        settle(db, settings, Gmail(THROUGH_SES), at=at)
    assert len(asked) < 14, "at growing distances, and never after the answer stands"
    assert evidence(db, verdict_id)["key-changes", "ses-smtp-admin"]["ask_again_at"] is None


def test_an_acceptance_refutes_whenever_it_becomes_known(
    db: Database, plain: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws_iam, "access_keys", lambda user: [KEY])
    monkeypatch.setattr(aws_iam, "key_changes", lambda user, since: [LOST])
    settings = replace(plain, smtp_user="ses-smtp-admin")
    verdict_id = put(db, alias_record(gmail_message_id=None, message_id="another@mail.gmail.com"), received_at=FAILED)
    settle(db, settings, Gmail(THROUGH_SES), at=NOW)
    assert evidence(db, verdict_id)["own-side", None]["result"] == "proven"
    publish(db, SEND)
    db.execute("UPDATE events SET seen_at = '2026-05-16T00:00:00Z'")
    db.conn.commit()
    settle(db, settings, Gmail(THROUGH_SES), at=NOW + timedelta(days=4))
    conclusion = evidence(db, verdict_id)["own-side", None]
    assert conclusion["result"] == "likely"
    assert "the relay took mail of the alias again on 12 May 18:45 UTC" in conclusion["detail"]


@pytest.fixture
def denied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses asked for, each in vain."""
    asked: list[str] = []
    monkeypatch.setattr(aws_ses, "suppressed_destination", lambda region, address: asked.append(address) or DENIED)
    return asked


def many(db: Database, number: int, received_at: datetime) -> list[int]:
    return [
        put(db, record(recipient=f"p{n}@client.example"), number=n, received_at=received_at)
        for n in range(number, number + 9)
    ]


def test_what_is_denied_is_asked_once_a_day_for_all(db: Database, plain: Settings, denied: list[str]) -> None:
    settings = replace(plain, regions=("us-west-2",))
    for day in range(3):
        for hour in range(0, 24, 4):
            at = NOW + timedelta(days=day, hours=hour)
            many(db, 1 + 100 * day + 10 * hour, at - timedelta(minutes=5))
            told = settle(db, settings, at=at)
            assert told.not_looked_up == ("the suppression list in us-west-2: this AWS identity may not",)
    assert len(denied) == 3
    assert [row["at"] for row in db.query("SELECT at FROM denials")] == ["2026-05-14T19:30:00Z"]


def test_a_denied_question_starves_no_newer_bounce(
    db: Database, plain: Settings, denied: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tie, "MOST_ASKED", 4)
    settings = replace(plain, regions=("us-west-2",))
    old = many(db, 1, BOUNCED)
    settle(db, settings, at=NOW)
    newer = put(db, record(recipient="kim@client.example"), number=50, received_at=NOW + timedelta(minutes=10))
    own = put(db, alias_record(), number=51, received_at=BOUNCED - timedelta(hours=1))
    settle(db, settings, at=NOW + timedelta(minutes=15))
    assert evidence(db, newer), "the newest first"
    assert evidence(db, own), "our own side before all others"
    for run in range(2, 6):
        settle(db, settings, at=NOW + timedelta(minutes=15 * run))
    assert all(evidence(db, verdict_id) for verdict_id in old), "in the end all have their turn"


def test_a_permission_that_is_granted_is_used_a_day_later(
    db: Database, plain: Settings, denied: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(plain, regions=("us-west-2",))
    verdict_id = put(db, record())
    settle(db, settings)
    piece = evidence(db, verdict_id)["suppression-list", "us-west-2"]
    assert piece["not_looked_up_why"] == "this AWS identity may not"
    assert piece["ask_again_at"] == "2026-05-13T19:30:00Z"
    monkeypatch.setattr(aws_ses, "suppressed_destination", lambda region, address: None)
    settle(db, settings, at=NOW + DENIED_FOR - timedelta(minutes=1))
    assert evidence(db, verdict_id)["suppression-list", "us-west-2"]["found"] is None
    settle(db, settings, at=NOW + DENIED_FOR)
    assert evidence(db, verdict_id)["suppression-list", "us-west-2"]["found"] is False


def test_what_was_found_stays_while_it_cannot_be_looked_up(
    db: Database, plain: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[Any] = [[KEY], NotLookedUp("the access keys", "it did not answer in time", "timeout")]
    monkeypatch.setattr(aws_iam, "access_keys", lambda user: answers.pop(0))
    monkeypatch.setattr(aws_iam, "key_changes", lambda user, since: [LOST])
    settings = replace(plain, smtp_user="ses-smtp-admin")
    verdict_id = put(db, alias_record(), received_at=FAILED)
    settle(db, settings, Gmail(THROUGH_SES), at=FAILED + timedelta(minutes=2))
    settle(db, settings, Gmail(THROUGH_SES), at=FAILED + timedelta(minutes=30))
    piece = evidence(db, verdict_id)["smtp-keys", "ses-smtp-admin"]
    assert piece["found"] is True
    assert piece["ask_again_at"] == "2026-05-12T17:10:00Z", "it has its turn in the next run"
    assert ID not in str(piece["detail"])
