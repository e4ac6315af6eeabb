"""`probe = true` offers the login to the server of the settings only, whatever a mail names, and not at every run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlite_utils import Database

from remediation import credentials
from remediation.aws import iam as aws_iam
from remediation.aws.client import NotLookedUp
from remediation.credentials import LoginCheck
from tests.doubles.aws import AwsDouble
from tests.ses.world import (
    ALIAS,
    FAILED,
    NOW,
    RELAY,
    THROUGH_SES,
    Gmail,
    alias_record,
    evidence,
    put,
    settle,
    story,
)
from triage.config import Settings
from triage.gmail.messages import SendAs

EVIL = "smtp.evil.example"
OTHER = "me@example.org"
WEST = "email-smtp.us-west-2.amazonaws.com"
REFUSED = LoginCheck("credential", "535 Authentication Credentials Invalid", None, 535)


@dataclass
class Logins:
    """The logins that were tried: (host, port)."""

    tried: list[tuple[str, int]] = field(default_factory=list)
    answer: LoginCheck = REFUSED

    def check(self, login: credentials.Login, relay: credentials.Relay, **_: Any) -> LoginCheck:
        self.tried.append((relay.host, relay.port))
        return self.answer


@pytest.fixture
def logins(monkeypatch: pytest.MonkeyPatch) -> Logins:
    made = Logins()
    monkeypatch.setattr(credentials, "check_login", made.check)
    return made


@pytest.fixture
def probing(plain: Settings, aws: AwsDouble) -> Settings:
    """The settings of the story, with the secret named by its ARN in us-east-1."""
    settings, _ = story(aws, plain)
    return replace(settings, probe=True)


def alias_at(host: str | None, address: str = ALIAS) -> SendAs:
    return replace(THROUGH_SES, address=address, host=host)


@pytest.mark.parametrize(
    ("host", "changes", "tried"),
    [
        (RELAY, {}, [(RELAY, 587)]),
        (RELAY, {"smtp_alias": ALIAS.upper()}, [(RELAY, 587)]),
        (
            "email-smtp.us-west-2.amazonaws.com",
            {"regions": ("us-west-2",)},
            [("email-smtp.us-west-2.amazonaws.com", 587)],
        ),
        ("relay.example.org", {"smtp_host": "relay.example.org"}, [("relay.example.org", 587)]),
        # Another server than the one the login is for.
        (EVIL, {}, []),
        (WEST, {}, []),
        (f"{RELAY}.evil.example", {}, []),
        (f"{RELAY}\n", {}, []),
        (f"x.{RELAY}", {}, []),
        (RELAY, {"smtp_host": "relay.example.org"}, []),
        (None, {}, []),
        # Another alias than the one the login is for.
        (RELAY, {"smtp_alias": OTHER}, []),
    ],
)
def test_the_login_goes_to_the_server_of_the_settings_only(
    db: Database, probing: Settings, logins: Logins, host: str | None, changes: dict[str, Any], tried: list[Any]
) -> None:
    verdict_id = put(db, alias_record(), received_at=FAILED)
    settle(db, replace(probing, **changes), Gmail(alias_at(host)))
    assert logins.tried == tried
    piece = evidence(db, verdict_id)["live-login", None]
    assert (piece["result"] == "refused") == bool(tried)
    if not tried:
        assert piece["detail"].startswith("no login was tried: ")


def test_a_mail_that_names_another_alias_of_ours_sends_the_login_nowhere(
    db: Database, probing: Settings, logins: Logins
) -> None:
    """What a stranger can choose is the alias: here one whose server is not SES at all."""
    put(db, alias_record(**{"from": OTHER}), received_at=FAILED)
    settle(db, probing, Gmail(THROUGH_SES, alias_at(EVIL, OTHER)))
    assert logins.tried == []


@pytest.mark.parametrize(("alias", "tried"), [(None, []), (ALIAS, [(RELAY, 587)]), (OTHER, [])])
def test_without_gmail_only_the_alias_of_the_settings_counts(
    db: Database, probing: Settings, logins: Logins, alias: str | None, tried: list[Any]
) -> None:
    put(db, alias_record(), received_at=FAILED)
    settle(db, replace(probing, smtp_alias=alias), None)
    assert logins.tried == tried


@pytest.mark.parametrize("genuine", ["unknown", "fail"])
def test_a_bounce_nobody_vouches_for_causes_no_login(
    db: Database, probing: Settings, logins: Logins, genuine: str
) -> None:
    put(db, alias_record(genuine=genuine), received_at=FAILED)
    settle(db, probing, Gmail(THROUGH_SES))
    assert logins.tried == []


@pytest.mark.parametrize(
    ("answer", "at_most"),
    [
        (REFUSED, 1),
        (LoginCheck(None, "235 accepted", None, 235), 1),
        (LoginCheck("relay", "454 Temporary authentication failure", None, 454), 1),
        # Nobody answered, so there was no login: the next run asks again.
        (LoginCheck("connection", "it did not answer in time"), 6),
    ],
)
def test_one_login_for_an_incident_while_another_question_is_denied(
    db: Database,
    probing: Settings,
    logins: Logins,
    monkeypatch: pytest.MonkeyPatch,
    answer: LoginCheck,
    at_most: int,
) -> None:
    """Where IAM denies a question every run asks again, and every run logged in again."""
    logins.answer = answer
    monkeypatch.setattr(aws_iam, "ask", lambda what, *_, **__: NotLookedUp(what, "may not", "denied"))
    first = put(db, alias_record(), received_at=FAILED)
    for quarter in range(3):
        settle(db, probing, Gmail(THROUGH_SES), at=NOW + timedelta(minutes=15 * quarter))
    second = put(db, alias_record(), number=2, received_at=NOW + timedelta(minutes=40))
    for quarter in range(3, 6):
        settle(db, probing, Gmail(THROUGH_SES), at=NOW + timedelta(minutes=15 * quarter))
    assert 1 <= len(logins.tried) <= at_most
    if at_most == 1:
        assert evidence(db, first)["live-login", None]["looked_up_at"] == f"{NOW:%Y-%m-%dT%H:%M:%SZ}"
        other = evidence(db, second)["live-login", None]
        assert other["result"] is None, "it must not count as a login after the second failure"
        assert "tried for an earlier mail" in other["detail"]


def _again(db: Database, probing: Settings, at: datetime, number: int) -> None:
    put(db, alias_record(), number=number, received_at=at - timedelta(minutes=5))
    settle(db, probing, Gmail(THROUGH_SES), at=at)


def test_a_failure_days_later_is_tried_once_more_and_a_new_incident_at_once(
    db: Database, probing: Settings, logins: Logins
) -> None:
    _again(db, probing, NOW, 1)
    _again(db, probing, NOW + timedelta(hours=20), 2)
    assert len(logins.tried) == 1
    _again(db, probing, NOW + timedelta(days=2), 3)
    assert len(logins.tried) == 2
    again = NOW + timedelta(days=2, hours=1)
    db.execute("UPDATE incidents SET detected_at = ?, openings = 2", [f"{again:%Y-%m-%dT%H:%M:%SZ}"])
    db.conn.commit()
    _again(db, probing, again, 4)
    assert len(logins.tried) == 3
