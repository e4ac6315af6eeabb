"""Everything that is known of a failure, in every order in which it can become known: one right verdict in the end.

The truth of each scenario is written down by hand. No order makes a verdict vaguer on the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlite_utils import Database

from remediation.aws import NotLookedUp
from remediation.aws import iam as aws_iam
from remediation.aws import ses as aws_ses
from remediation.aws.iam import AccessKey, KeyChange, LastUse
from remediation.aws.ses import MessageEvent, MessageInsights, Suppressed
from tests.doubles.ses_api import new_message_id
from tests.doubles.ses_events import in_envelope, ses_event
from tests.ses.world import (
    ALIAS,
    BOUNCED,
    FAILED,
    ID,
    ROTATED,
    SENT,
    alias_record,
    evidence,
    read_events,
    record,
    settle,
    verdicts,
)
from tests.worlds.made_verdicts import proven
from triage import store
from triage.config import Settings
from triage.judging.judgement import specificity
from triage.model import StoredMail

REGION = "us-west-2"
USER = "ses-smtp-admin"
OLD, NEW = "AKIAIOSFODNN7EXAM17Q", "AKIAIOSFODNN7EXAMNEW"

# What a mail may say


def mail(cause: str, diagnostic: str | None, category: str = "remote-rejection", side: str = "remote") -> Step:
    return Step("mail", record(cause=cause, diagnostic=diagnostic, category=category, side=side))


def event(kind: str = "Bounce", **details: Any) -> Step:
    return Step("event", ses_event(kind, ["pat@client.example"], at=BOUNCED, message_id=ID, region=REGION, **details))


@dataclass(frozen=True)
class Step:
    """Something that becomes known."""

    what: str
    value: Any
    at: datetime = BOUNCED


MAILS = {
    "nothing": mail("unknown", "554 no", "unknown", "unknown"),
    "protocol": mail("smtp-protocol-error", "503 bad sequence", side="unknown"),
    "expired": mail("delivery-expired", "tried for five days"),
    "policy": mail("policy-rejected", "550 5.7.1 against our policy"),
    "full": mail("mailbox-full", "552 5.2.2 mailbox full"),
    "no user": mail("recipient-unknown", "550 5.1.1 no such user", "exchange-rejection"),
    "suppressed": mail("ses-suppressed", "on the suppression list for your account", "ses-refused", "own"),
}
EVENTS = {
    "nothing": event(type="Undetermined", subtype="Undetermined", diagnostic=None, status=None),
    "expired": event(
        type="Transient",
        diagnostic="smtp; 554 4.4.7 Message expired: unable to deliver in 840 minutes.",
        status="4.4.7",
    ),
    "policy": event(diagnostic="smtp; 550 5.7.1 rejected by policy", status="5.7.1"),
    "no user": event(),
    "full": event(type="Transient", subtype="MailboxFull", diagnostic="smtp; 552 5.2.2 mailbox full", status="5.2.2"),
    "suppressed": event(
        subtype="OnAccountSuppressionList",
        status="5.1.1",
        diagnostic="Amazon SES did not send the message to this address because it is on the suppression list for"
        " your account.",
    ),
    "rejected": event("Reject"),
    "unsubscribed": event(subtype="UnsubscribedRecipient", diagnostic=None, status=None),
}
UNKNOWN, FULL, EXPIRED, POLICY, NO_USER = (
    *("unknown", "mailbox-full", "delivery-expired", "policy-rejected"),
    "recipient-unknown",
)
SUPPRESSED, REJECTED, UNSUBSCRIBED = "ses-suppressed", "ses-content-rejected", "ses-unsubscribed"
PROTOCOL = "smtp-protocol-error"

# The mail says -> in the order of EVENTS: the truth, with "!" where the two contradict each other.
TRUTHS = {
    "nothing": [UNKNOWN, EXPIRED, POLICY, NO_USER, FULL, SUPPRESSED, REJECTED, UNSUBSCRIBED],
    "protocol": [PROTOCOL, EXPIRED, POLICY, NO_USER, FULL, SUPPRESSED, REJECTED, UNSUBSCRIBED],
    "expired": [EXPIRED, EXPIRED, POLICY, NO_USER, FULL, SUPPRESSED, REJECTED, UNSUBSCRIBED],
    "policy": [POLICY, POLICY, POLICY, NO_USER, FULL, f"{SUPPRESSED}!", f"{REJECTED}!", f"{UNSUBSCRIBED}!"],
    "full": [FULL, FULL, FULL, f"{NO_USER}!", FULL, f"{SUPPRESSED}!", f"{REJECTED}!", f"{UNSUBSCRIBED}!"],
    "no user": [NO_USER, NO_USER, NO_USER, NO_USER, f"{FULL}!", f"{SUPPRESSED}!", f"{REJECTED}!", f"{UNSUBSCRIBED}!"],
    "suppressed": [
        *(SUPPRESSED, SUPPRESSED, f"{SUPPRESSED}!", f"{NO_USER}!", f"{FULL}!"),
        *(SUPPRESSED, f"{REJECTED}!", f"{UNSUBSCRIBED}!"),
    ],
}


@dataclass(frozen=True)
class Scenario:
    """What there is to know, and what is true."""

    name: str
    steps: tuple[Step, ...]
    cause: str
    contradicts: bool = False
    category: str | None = None
    result: str | None = None
    """Of the conclusion about the own side."""
    words: str = ""
    """Of the conclusion, or of the contradiction."""
    settings: dict[str, Any] = field(default_factory=dict)


def pairs() -> Iterator[Scenario]:
    for said, truths in TRUTHS.items():
        for told, truth in zip(EVENTS, truths, strict=True):
            steps = (MAILS[said], EVENTS[told])
            yield Scenario(
                f"mail: {said}, event: {told}",
                steps,
                truth.rstrip("!"),
                truth.endswith("!"),
                settings={"queue_url": "x"},
            )


def insights(kind: str, subtype: str, diagnostic: str | None, event_type: str = "BOUNCE") -> Step:
    happened = MessageEvent("Pat <pat@client.example>", event_type, BOUNCED, kind, subtype, diagnostic)
    return Step("insights", MessageInsights(ID, ALIAS, "Friday sail", (happened,)))


def entry(since: datetime, message_id: str | None) -> Step:
    return Step("entry", Suppressed("pat@client.example", "BOUNCE", since, message_id))


VDM = {"vdm": True, "regions": (REGION,), "queue_url": "x"}
LISTED = {"regions": (REGION,)}
EARLIER = new_message_id(REGION, int((SENT - timedelta(days=9)).timestamp() * 1000))
TOLD_OTHERWISE = insights("PERMANENT", "General", "smtp; 550 5.1.1 user unknown")
OF_SES = [
    Scenario("insights alone know", (MAILS["nothing"], TOLD_OTHERWISE), NO_USER, settings=VDM),
    Scenario(
        "insights: suppressed",
        (MAILS["no user"], insights("PERMANENT", "OnAccountSuppressionList", None)),
        SUPPRESSED,
        True,
        "ses-refused",
        settings=VDM,
    ),
    Scenario(
        "insights: rejected",
        (MAILS["full"], insights("", "", "Bad content", "REJECT")),
        REJECTED,
        True,
        settings=VDM,
    ),
    Scenario("insights say less", (MAILS["full"], insights("UNDETERMINED", "Undetermined", None)), FULL, settings=VDM),
    Scenario(
        "three agree", (MAILS["no user"], EVENTS["no user"], TOLD_OTHERWISE), NO_USER, False, "exchange-rejection"
    ),
    Scenario(
        "the event is nearer than insights",
        (MAILS["nothing"], EVENTS["full"], TOLD_OTHERWISE),
        FULL,
        True,
        settings=VDM,
    ),
    Scenario(
        "SES's act before all others",
        (MAILS["no user"], EVENTS["suppressed"], TOLD_OTHERWISE),
        SUPPRESSED,
        True,
        "ses-refused",
        settings=VDM,
    ),
    Scenario("insights beside a vague event", (EVENTS["nothing"], TOLD_OTHERWISE), NO_USER, settings=VDM),
    Scenario(
        "on the list before, and nothing else is known",
        (MAILS["nothing"], entry(SENT - timedelta(days=9), None)),
        SUPPRESSED,
        False,
        "ses-refused",
        settings=LISTED,
    ),
    Scenario(
        "on the list because of an earlier mail, renewed since",
        (MAILS["expired"], entry(BOUNCED, EARLIER)),
        SUPPRESSED,
        settings=LISTED,
    ),
    Scenario("on the list because of this mail", (MAILS["nothing"], entry(BOUNCED, ID)), UNKNOWN, settings=LISTED),
    Scenario(
        "on the list since after it",
        (MAILS["nothing"], entry(BOUNCED + timedelta(hours=1), None)),
        UNKNOWN,
        settings=LISTED,
    ),
    Scenario(
        "on the list before, but the server answered",
        (MAILS["no user"], entry(SENT - timedelta(days=9), None)),
        NO_USER,
        True,
        words="the suppression list says ses-suppressed",
        settings=LISTED,
    ),
    Scenario(
        "on the list before, and SES says that it was refused elsewhere",
        (MAILS["nothing"], EVENTS["policy"], entry(SENT - timedelta(days=9), None)),
        POLICY,
        True,
        settings=LISTED | {"queue_url": "x"},
    ),
    Scenario(
        "on the list before, and the event says so",
        (MAILS["no user"], EVENTS["suppressed"], entry(SENT - timedelta(days=9), None)),
        SUPPRESSED,
        True,
        settings=LISTED | {"queue_url": "x"},
    ),
    Scenario("only an event", (EVENTS["full"],), FULL),
    Scenario("only a mail", (MAILS["full"],), FULL),
    Scenario(
        "delivered after it failed",
        (
            MAILS["full"],
            Step(
                "event",
                ses_event("Delivery", ["pat@client.example"], at=BOUNCED + timedelta(hours=3), message_id=ID),
            ),
        ),
        FULL,
        True,
        words="that SES delivered this very mail on 12 May 21:46 UTC",
        settings={"queue_url": "x"},
    ),
    Scenario(
        "two bounces of one mail, the later one counts",
        (
            MAILS["nothing"],
            EVENTS["full"],
            Step(
                "event",
                ses_event(
                    "Bounce",
                    ["pat@client.example"],
                    at=BOUNCED + timedelta(hours=2),
                    message_id=ID,
                    region=REGION,
                )
                | {},
            ),
        ),
        NO_USER,
        True,
        settings={"queue_url": "x"},
    ),
]
for scenario in OF_SES:
    if scenario.name.startswith("two bounces"):
        scenario.steps[2].value["bounce"]["feedbackId"] = "another"
        scenario.steps[2].value["mail"]["timestamp"] = EVENTS["full"].value["mail"]["timestamp"]
    if scenario.name.startswith("delivered after"):
        scenario.steps[1].value["mail"]["timestamp"] = EVENTS["full"].value["mail"]["timestamp"]

# The own side


def alias_mail(at: datetime = FAILED, number: int = 1, cause: str = "alias-credentials-rejected") -> Step:
    return Step("mail", alias_record(cause=cause, recipient=f"p{number}@client.example", message_id=f"m{number}@x"), at)


def taken(at: datetime, client_id: str = "later@mail.gmail.com") -> Step:
    return Step("event", ses_event("Send", ["kim@client.example"], at=at, client_id=client_id), at)


def keys(*found: AccessKey) -> Step:
    return Step("keys", list(found))


LOST = Step("changes", [KeyChange(OLD, "made inactive", ROTATED, None)])
DELETED = Step("changes", [KeyChange(OLD, "deleted", ROTATED, None)])
USED = AccessKey(OLD, False, ROTATED - timedelta(days=400), LastUse(ROTATED - timedelta(hours=1), "ses"))
NEVER = replace(USED, last_use=LastUse(None))
ACTIVE = AccessKey(NEW, True, ROTATED - timedelta(days=90), LastUse(ROTATED - timedelta(hours=1), "ses"))
FRESH = AccessKey(NEW, True, ROTATED, LastUse(None))
OWN = {"smtp_user": USER, "queue_url": "x"}
RENEWED = Step("rotation", OLD)


def own(name: str, result: str, words: str, *steps: Step, contradicts: bool = False) -> Scenario:
    cause = "alias-credentials-rejected"
    return Scenario(name, steps, cause, contradicts, "smtp-credentials", result, words, OWN)


OF_KEYS = [
    own("the key in use was lost", "proven", "made inactive", alias_mail(), LOST, keys(USED, FRESH)),
    own("a key never used was lost", "likely", "never used", alias_mail(), LOST, keys(NEVER, ACTIVE)),
    own("no more is known than the loss", "likely", "cannot be seen", alias_mail(), LOST, keys(FRESH)),
    own("a deleted key on record", "proven", "deleted", alias_mail(), DELETED, keys(FRESH), RENEWED),
    own("another key is on record", "likely", "another key", alias_mail(), LOST, keys(USED), Step("rotation", NEW)),
    own(
        "taken between the loss and the failure",
        "unknown",
        "refuted",
        *(alias_mail(), LOST, keys(USED, FRESH), taken(ROTATED + timedelta(hours=1))),
    ),
    own(
        "taken after the failure",
        "likely",
        "repaired by then, or this was not the cause",
        *(alias_mail(), LOST, keys(USED, FRESH), taken(FAILED + timedelta(hours=1))),
    ),
    own(
        "taken between two failures",
        "unknown",
        "refuted",
        *(alias_mail(), alias_mail(FAILED + timedelta(hours=2), 2), LOST, keys(USED, FRESH)),
        taken(FAILED + timedelta(hours=1)),
    ),
    own(
        "mail by the API says nothing of the login",
        "proven",
        "made inactive",
        *(alias_mail(), LOST, keys(USED, FRESH), taken(FAILED + timedelta(hours=1), "x@app.example")),
    ),
    own(
        "taken before the loss",
        "proven",
        "made inactive",
        *(alias_mail(), LOST, keys(USED, FRESH), taken(ROTATED - timedelta(hours=2))),
    ),
    own(
        "it failed before the loss already",
        "likely",
        "failed already",
        *(alias_mail(), alias_mail(ROTATED - timedelta(hours=3), 2), LOST, keys(USED, FRESH)),
    ),
    own("nothing was lost", "unknown", "no change shortly before", alias_mail(), keys(replace(USED, active=True))),
    own("only the keys tell", "likely", "IAM does not say since when", alias_mail(), keys(USED, ACTIVE)),
    own(
        "SES took this very mail",
        "unknown",
        "SES did take this mail",
        alias_mail(),
        LOST,
        keys(USED, FRESH),
        Step(
            "event",
            ses_event("Send", ["p1@client.example"], at=FAILED, client_id="m1@x"),
        ),
        contradicts=True,
    ),
]

SCENARIOS = [*pairs(), *OF_SES, *OF_KEYS]


class Aws:
    """What AWS would answer by now."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.known: dict[str, Any] = {}
        away = NotLookedUp("the suppression list", "too many questions", "throttled")
        monkeypatch.setattr(aws_ses, "suppressed_destination", lambda region, address: self.known.get("entry", away))
        monkeypatch.setattr(aws_ses, "message_insights", lambda region, message_id: self.known.get("insights"))
        monkeypatch.setattr(aws_iam, "access_keys", lambda user: self.known.get("keys", []))
        monkeypatch.setattr(aws_iam, "key_changes", lambda user, since: self.known.get("changes", []))


def fresh() -> Database:
    from triage.store.database import connect_plain
    from triage.store.steps.migrations import migrations

    db = connect_plain(":memory:")
    migrations.apply(db)
    return db


def learn(db: Database, aws: Aws, step: Step, number: int, now: datetime) -> None:
    if step.what == "mail":
        stored = StoredMail(
            f"gmail:{number}", f"{number:x}", f"t{number}", f"b{number}@x.example", step.at, b"x%d" % number
        )
        store.store_judged(db, stored, [step.value], (), now, proven(step.value))
    elif step.what == "event":
        found = read_events(in_envelope(step.value))
        assert isinstance(found, list)
        store.store_events(db, found, [], now)
    elif step.what == "rotation":
        columns = dict.fromkeys(("id", "secret_id", "region", "host", "old_version_id", "version_id"), "x")
        fixed = {"state": "done", "keeps": "new", "iam_user": USER, "alias": ALIAS, "port": 587, "security": "starttls"}
        times = {"confirmed_at": "2026-04-01T00:00:00Z", "started_at": "x", "asked_at": "x", "attempt": 1}
        ids = {"old_key_id": "x", "new_key_id": step.value, "keys_before": "[]"}
        db["rotations"].insert({**columns, **fixed, **times, **ids})
    else:
        aws.known[step.what] = step.value


def levels(db: Database) -> dict[str, int]:
    return {verdict["recipient"]: specificity(verdict["cause"]) for verdict in verdicts(db)}


def in_order(scenario: Scenario, steps: list[Step], runs: list[bool], plain: Settings, aws: Aws) -> None:
    """Let it all become known in this order, with runs in between where `runs` says so, and look at the end."""
    aws.known.clear()
    settings = replace(plain, **scenario.settings)
    with closing(fresh()) as db:
        at, seen = BOUNCED + timedelta(minutes=20), dict[str, int]()
        for step, is_run in zip(steps, runs, strict=True):
            learn(db, aws, step, 1 + scenario.steps.index(step), at)
            if is_run:
                settle(db, settings, at=at)
                now = levels(db)
                assert {name: level for name, level in now.items() if level < seen.get(name, 0)} == {}, "vaguer"
                seen = now
            at += timedelta(minutes=20)
        for later in (timedelta(0), timedelta(hours=2), timedelta(days=1), timedelta(days=2)):
            settle(db, settings, at=at + later)
        assert {name: level for name, level in levels(db).items() if level < seen.get(name, 0)} == {}, "vaguer"
        found = verdicts(db)
        assert len(found) == sum(step.what == "mail" for step in steps) or not any(s.what == "mail" for s in steps)
        verdict = next(v for v in found if v["recipient"] in ("pat@client.example", "p1@client.example"))
        pieces = evidence(db, verdict["id"])
        assert verdict["cause"] == scenario.cause
        assert scenario.category in (None, verdict["category"])
        against = pieces.get(("judgement", None))
        assert (against is not None) is scenario.contradicts, against and against["detail"]
        if scenario.result:
            conclusion = pieces["own-side", None]
            assert conclusion["result"] == scenario.result, conclusion["detail"]
            assert scenario.words in conclusion["detail"]
        elif scenario.words:
            assert against is not None
            assert scenario.words in against["detail"]
        sql = "SELECT new_cause FROM verdict_changes WHERE verdict_id = ? ORDER BY id"
        history = list(db.query(sql, [verdict["id"]]))
        assert not history or history[-1]["new_cause"] == verdict["cause"]
        assert list(db.query("PRAGMA foreign_key_check")) == []


def test_there_are_many() -> None:
    assert len(SCENARIOS) >= 60
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_order_ends_in_the_same_right_verdict(
    scenario: Scenario, plain: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = Aws(monkeypatch)
    number = len(scenario.steps)

    @hypothesis_settings(max_examples=12 if number > 2 else 4, deadline=None, database=None, derandomize=True)
    @given(st.permutations(scenario.steps), st.lists(st.booleans(), min_size=number, max_size=number))
    def check(steps: list[Step], runs: list[bool]) -> None:
        in_order(scenario, steps, runs, plain, aws)

    check()
    for steps in (list(scenario.steps), list(reversed(scenario.steps))):
        in_order(scenario, steps, [True] * number, plain, aws)
