"""What a run and a report know of a rotation: failures that belong to it, reminders, and a key that is needed again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from remediation.credentials import derive_smtp_password
from remediation.rotation.state import Rotation, Stop
from remediation.rotation.words import age_warnings, hand_over, reminder_due, rotation_note, where_it_stands
from tests.doubles.aws import REGION, AwsDouble
from tests.worlds.made_mails import NOW
from tests.worlds.made_verdicts import gmail_mail, proven, record
from triage import store
from triage.config import Settings, load_settings
from triage.model import Event
from triage.rotation import under_way as rotation_watch
from triage.rotation.evidence import HandOverSigns, Sign, read_signs, weigh

ALIAS = "admin@queenofsandiego.com"
GRACE = timedelta(days=3)
ROTATION = Rotation(
    id="r1",
    state="waiting",
    iam_user="ses-smtp-admin",
    secret_id="ses-smtp/queenofsandiego.com",
    region=REGION,
    host="email-smtp.us-east-1.amazonaws.com",
    port=587,
    security="starttls",
    alias=ALIAS,
    old_key_id="AKIAOLD",
    old_version_id="v0",
    new_key_id="AKIANEW",
    version_id="v1",
    keys_before=("AKIAOLD",),
    started_at=NOW,
    asked_at=NOW,
    offered_at=NOW,
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(None, {"TRIAGE_DATABASE": str(tmp_path / "triage.db")})


def fails(db: Database, at: datetime, number: int = 1, **changes: Any) -> None:
    values = {"category": "smtp-credentials", "cause": "alias-credentials-rejected", "from": ALIAS} | changes
    store.store_judged(db, gmail_mail(number, received_at=at), [record(**values)], [], at, proven(record(**values)))


def at(hours: float) -> datetime:
    return NOW + timedelta(hours=hours)


def test_what_is_stored_comes_back(db: Database) -> None:
    assert store.last_rotation(db) is None
    full = replace(
        ROTATION, state="grace", confirmed_at=at(1), inactive_at=at(2), reminded_at=at(3), evidence="e", reason="r"
    )
    for rotation in (ROTATION, full):
        store.keep_rotation(db, rotation)
        assert store.rotation_under_way(db) == rotation
    over = replace(full, state="done", ended_at=at(9))
    store.keep_rotation(db, over)
    assert store.rotation_under_way(db) is None
    assert store.last_rotation(db) == over
    assert [key for key, _ in store.retired_keys(db, "ses-smtp-admin")] == ["AKIAOLD"]


def test_a_second_rotation_never_replaces_one_under_way(db: Database) -> None:
    import sqlite3

    store.keep_rotation(db, ROTATION)
    with pytest.raises(sqlite3.IntegrityError):
        store.keep_rotation(db, replace(ROTATION, id="r2"))
    assert store.rotation_under_way(db) == ROTATION


def test_a_failure_during_a_rotation_belongs_to_it(db: Database) -> None:
    fails(db, at(-1))
    fails(db, at(1), 2)
    fails(db, at(2), 3, **{"from": "pat@example.org"})
    fails(db, at(2), 4, genuine="fail")
    fails(db, at(2), 5, category="exchange-rejection", cause="recipient-unknown")
    assert rotation_watch.look(db, at(3)) == rotation_watch.Watch()
    store.keep_rotation(db, ROTATION)
    found = rotation_watch.look(db, at(3))
    assert [row["received_at"] for row in found.failures] == ["2026-11-24T10:30:00Z"]
    assert found.note is not None
    assert "1 alias failure since then may come from it" in found.note


def test_the_owner_is_reminded_daily(db: Database, settings: Settings) -> None:
    store.keep_rotation(db, ROTATION)
    said = [rotation_watch.watch(db, settings, lambda h=h: at(h)).alerts for h in (1, 23, 25, 30, 50)]  # type: ignore[misc]
    assert [bool(alerts) for alerts in said] == [False, False, True, False, True]
    assert "has to be entered in Gmail" in said[2][0]
    assert reminder_due(replace(ROTATION, state="staging", offered_at=None), at(25)), "broken off, and forgotten"
    assert not reminder_due(None, at(99))
    assert not reminder_due(replace(ROTATION, state="done"), at(99))


def test_mail_that_fails_while_the_old_key_is_inactive_is_told(db: Database, settings: Settings) -> None:
    store.keep_rotation(db, replace(ROTATION, state="grace", confirmed_at=at(2), inactive_at=at(2)))
    fails(db, at(1))
    assert rotation_watch.watch(db, settings, lambda: at(3)).alerts == (), "before it was Inactive"
    fails(db, at(3), 2, cause="alias-relay-throttled")
    assert rotation_watch.watch(db, settings, lambda: at(4)).alerts == (), "no key would help against that"
    fails(db, at(4), 3)
    (alert,) = rotation_watch.watch(db, settings, lambda: at(5)).alerts
    assert "AKIAOLD is Inactive" in alert
    assert "rotate abort" in alert


@pytest.mark.parametrize("state", ["retiring", "deleting"])
def test_a_rotation_broken_off_while_the_old_key_went_is_watched_too(
    db: Database, settings: Settings, state: Any
) -> None:
    store.keep_rotation(db, replace(ROTATION, state=state, confirmed_at=at(2)))
    fails(db, at(3))
    (alert,) = rotation_watch.watch(db, settings, lambda: at(5)).alerts
    assert "AKIAOLD may be Inactive" in alert


def test_and_heals_itself_where_the_owner_wants_that(aws: AwsDouble, db: Database, settings: Settings) -> None:
    old = aws.make_smtp_user()
    new = aws.add_key(old.name)
    aws.make_secret({"username": new.key_id, "password": derive_smtp_password(new.secret, REGION)})
    aws.deactivate_key(old)
    grace = replace(ROTATION, state="grace", inactive_at=at(2), old_key_id=old.key_id, new_key_id=new.key_id)
    store.keep_rotation(db, grace)
    fails(db, at(3))
    willing = replace(settings, rotation_reactivate=True)
    found = rotation_watch.watch(db, willing, lambda: at(4))
    assert "was made Active again" in found.alerts[0]
    assert found.rotation is not None
    assert (found.rotation.state, found.rotation.inactive_at) == ("waiting", None)
    rows = aws.client("iam").list_access_keys(UserName=old.name)["AccessKeyMetadata"]
    assert {row["Status"] for row in rows} == {"Active"}
    assert rotation_watch.watch(db, willing, lambda: at(5)).alerts == ()


# Evidence


def event(kind: str, sent_at: datetime, client_id: str | None, sender: str = ALIAS) -> Event:
    return Event(
        kind=kind,
        recipient="pat@client.example",
        ses_message_id=f"0100{int(sent_at.timestamp()):012x}-00000000-0000-0000-0000-000000000000-000000",
        event_id=sent_at.isoformat(),
        at=sent_at,
        ses_region=REGION,
        sent_at=sent_at,
        client_id=client_id,
        sender=sender,
        subject="x",
        words=None,
    )


def test_only_mail_that_gmail_sent_after_the_hand_over_counts(db: Database) -> None:
    missing = read_signs(db, ROTATION, None).missing
    assert len(missing) == 2
    gmail_id = "CAF1@mail.gmail.com"
    events = [
        event("Send", at(-1), gmail_id),
        event("Send", at(1), None),
        event("Send", at(2), "x@app.example.org"),
        event("Delivery", at(3), gmail_id, "pat@example.org"),
        event("Bounce", at(4), gmail_id),
    ]
    store.store_events(db, events, [], NOW)
    assert read_signs(db, ROTATION, None).sent == ()
    store.store_events(db, [event("Delivery", at(5), gmail_id)], [], NOW)
    (sign,) = read_signs(db, ROTATION, None).sent
    assert sign.at == at(5)


def test_the_mailbox_is_left_after_it_was_looked_at(db: Database) -> None:
    class Mailbox:
        closed = 0

        def list_refs(self, query: str) -> Iterator[Any]:
            yield from ()

        def get_raw(self, ids: list[str]) -> Iterator[Any]:
            yield from ()

        def close(self) -> None:
            self.closed += 1

    mailbox: Any = Mailbox()
    assert read_signs(db, ROTATION, lambda: mailbox).sent == ()
    assert mailbox.closed == 1


def test_how_evidence_is_weighed() -> None:
    sent, failed = Sign(at(2), "a mail left"), Sign(at(3), "an alias failure came")
    assert weigh(HandOverSigns((sent,)), owner_tested=False) == "a mail left"
    assert isinstance(weigh(HandOverSigns(), owner_tested=False), Stop)
    assert isinstance(weigh(HandOverSigns((sent,), (failed,)), owner_tested=False), Stop)
    assert weigh(HandOverSigns((Sign(at(4), "a mail left"),), (failed,)), owner_tested=False) == "a mail left"
    assert "the owner tested it" in str(weigh(HandOverSigns((), (failed,)), owner_tested=True))
    stop = weigh(HandOverSigns(missing=("SES events, because none are collected",)), owner_tested=False)
    assert isinstance(stop, Stop)
    assert "none are collected" in stop.why
    assert "--yes-i-tested" in stop.todo


# Words


@pytest.mark.parametrize("keeps", ["new", "old"])
def test_the_hand_over_has_every_value_and_the_password_only_when_given(keeps: Any) -> None:
    rotation = replace(ROTATION, keeps=keeps)
    text = "\n".join(hand_over(rotation, NOW))
    for word in (ALIAS, rotation.host, "Port: 587", f"Username: AKIA{keeps.upper()}", "using TLS", "January 2027"):
        assert word in text
    assert "--show" in text
    assert "Password: pass-word" in "\n".join(hand_over(rotation, NOW, password="pass-word"))
    assert "using SSL" in "\n".join(hand_over(replace(rotation, security="ssl", port=465), NOW))
    assert "has ended" in "\n".join(hand_over(rotation, datetime(2027, 2, 1, tzinfo=UTC)))


@pytest.mark.parametrize("keeps", ["new", "old"])
@pytest.mark.parametrize(
    "state",
    ["creating", "staging", "verifying", "promoting", "waiting", "retiring", "grace", "deleting", "aborting", "done"],
)
def test_every_state_has_its_words(state: Any, keeps: Any) -> None:
    rotation = replace(ROTATION, state=state, keeps=keeps, inactive_at=NOW, ended_at=NOW, reason="why", evidence="how")
    text = "\n".join(where_it_stands(rotation, GRACE))
    assert "AKIAOLD" in text
    assert "{" not in text
    assert "Not confirmed yet: how" in text, "what Gmail's API said stands there before"
    assert "not known" not in text
    assert ("Next:" in text) == (state != "done")
    assert (rotation_note(rotation, NOW) is None) == (state == "done")
    if state == "grace":
        assert "2026-11-27" in text


def test_a_key_is_announced_before_it_is_due() -> None:
    ages = [("A", timedelta(days=10)), ("B", timedelta(days=80)), ("C", timedelta(days=90))]
    soon, due = age_warnings(ages)
    assert soon.startswith("Key B will be 90 days old in 10 days")
    assert due.startswith("Key C is 90 days old")
