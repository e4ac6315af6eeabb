"""SES answers one look-up of a kind a second: whoever asks waits, and so one run is enough."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from botocore.retries.standard import ExponentialBackoff
from sqlite_utils import Database

from remediation.aws import ses as aws_ses
from remediation.aws.turns import SLOWEST_SECONDS, Turns
from tests.doubles.aws import AwsDouble
from tests.ses.world import BOUNCED, evidence, put, record, settle
from triage.config import Settings


@dataclass
class SimulatedClock:
    """Time that passes only while somebody waits."""

    at: float = 100.0

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


@pytest.fixture
def clock(aws: AwsDouble, monkeypatch: pytest.MonkeyPatch) -> SimulatedClock:
    made = SimulatedClock()
    monkeypatch.setattr(aws_ses, "TURNS", Turns(sleep=made.sleep, clock=made.now))
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0)
    aws.ses.clock = made.now
    return made


def test_forty_bounces_are_looked_up_in_one_run(
    db: Database, plain: Settings, aws: AwsDouble, clock: SimulatedClock
) -> None:
    aws.ses.suppress("p7@client.example", "us-west-2", at=BOUNCED)
    numbers = {n: put(db, record(recipient=f"p{n}@client.example"), number=n) for n in range(1, 41)}
    told = settle(db, replace(plain, regions=("us-west-2", "eu-west-1")))
    assert told.not_looked_up == ()
    found = {n: evidence(db, number)["suppression-list", "us-west-2"]["found"] for n, number in numbers.items()}
    assert found == {n: n == 7 for n in range(1, 41)}
    assert aws.ses.calls["GetSuppressedDestination"] == 80
    assert clock.at - 100 <= 40, "two regions are asked in the time of one"


def test_where_the_account_is_asked_by_others_too_the_turns_lie_farther_apart(
    aws: AwsDouble, clock: SimulatedClock
) -> None:
    aws.ses.fail("GetSuppressedDestination", times=3, status=429, code="TooManyRequestsException")
    assert aws_ses.suppressed_destination("us-west-2", "pat@client.example") is None
    assert clock.at == 102.0
    aws.ses.fail("GetSuppressedDestination", times=None, status=429, code="TooManyRequestsException")
    given_up = aws_ses.suppressed_destination("us-west-2", "pat@client.example")
    assert isinstance(given_up, aws_ses.NotLookedUp)
    assert given_up.kind == "throttled"
    assert clock.at <= 102 + 2 + 4 + SLOWEST_SECONDS, "nobody waits for ever"
