"""The record of a verdict: its keys, their order, and that no text of a bounce does harm where it is printed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parsers.facts import Failure, NotABounce, Original
from remediation import load_causes
from tests.judging.made import failure as _failure
from tests.judging.made import judge as _judge
from triage.judging.rules import load_rules
from triage.judging.verdict import classify

KEYS = [
    *("source", "kind", "recipient", "original_recipient", "category", "cause", "side", "actor", "permanent"),
    *("reason", "status", "reply_code", "diagnostic", "platform", "remote_host", "reported_by", "original"),
    *("genuine", "rule", "evidence", "fix", "links"),
]


@settings(max_examples=200, deadline=None)
@given(
    st.builds(
        Failure,
        st.sampled_from(["failed", "delayed", "delivered", "feedback"]),
        *[st.none() | st.text(max_size=40)] * 5,
        *[st.none() | st.text(max_size=200)] * 4,
        platform=st.none() | st.text(max_size=20),
        at_relay=st.booleans(),
    )
)
def test_any_facts_are_judged_and_any_record_is_json(failure: Failure) -> None:
    record = _judge(failure).as_dict()
    assert list(record) == KEYS
    text = json.dumps(record, ensure_ascii=False)
    assert json.loads(text) == record
    assert text.isprintable()


def test_the_record_of_a_failure() -> None:
    original = Original(
        message_id="0100019a-000000@email.amazonses.com",
        ses_message_id="0100019a-000000",
        ses_region="us-east-1",
        ses_id_source="returned Message-ID",
        sent_at=datetime(2026, 11, 24, 9, 5, 7, tzinfo=timezone(timedelta(hours=1))),
        sender="admin@queenofsandiego.com",
        subject="Your booking",
        path="ses-api",
    )
    failure = _failure(
        "550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found",
        original_recipient="office@client.example",
        platform="exchange-online",
        remote_host="client-example.mail.protection.outlook.com",
    )
    record = _judge(failure, original=original, reported_by="amazon-ses").as_dict()
    fix, links = record.pop("fix"), record.pop("links")
    assert record == {
        "source": "a.eml",
        "kind": "failed",
        "recipient": "pat@client.example",
        "original_recipient": "office@client.example",
        "category": "exchange-rejection",
        "cause": "recipient-unknown",
        "side": "remote",
        "actor": "sender",
        "permanent": True,
        "reason": "userunknown",
        "status": "5.1.10",
        "reply_code": "550",
        "diagnostic": "550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found",
        "platform": "exchange-online",
        "remote_host": "client-example.mail.protection.outlook.com",
        "reported_by": "amazon-ses",
        "original": {
            "message_id": "0100019a-000000@email.amazonses.com",
            "gmail_message_id": None,
            "ses_message_id": "0100019a-000000",
            "ses_region": "us-east-1",
            "ses_id_source": "returned Message-ID",
            "sent_at": "2026-11-24T08:05:07Z",
            "from": "admin@queenofsandiego.com",
            "subject": "Your booking",
            "path": "ses-api",
        },
        "genuine": "pass",
        "rule": record["rule"],
        "evidence": "RESOLVER.ADR.RecipientNotFound",
    }
    assert fix
    assert all(isinstance(step, str) for step in fix)
    assert links == list(load_causes()["recipient-unknown"].links)
    assert record["rule"] in {rule.id for rule in load_rules() if rule.cause == "recipient-unknown"}


def test_the_keys_of_a_record_and_their_order() -> None:
    assert list(_judge(_failure("550 5.1.1 User unknown")).as_dict()) == KEYS


def test_a_time_with_milliseconds_keeps_them() -> None:
    original = Original(sent_at=datetime(2026, 11, 24, 9, 5, 7, 89_000, tzinfo=UTC))
    assert _judge(_failure(), original=original).as_dict()["original"]["sent_at"] == "2026-11-24T09:05:07.089Z"


@pytest.mark.parametrize(
    ("mail", "reason"),
    [
        (NotABounce("auto-reply", "Auto-Submitted: auto-replied", sender="pat@client.example"), "vacation"),
        (NotABounce("not-a-bounce", "no sign of a report"), None),
    ],
)
def test_the_record_of_a_mail_that_is_no_bounce(mail: NotABounce, reason: str | None) -> None:
    verdicts = classify(mail, "a.eml")
    assert len(verdicts) == 1
    record = verdicts[0].as_dict()
    assert list(record) == [*KEYS, "why"]
    assert record.pop("source") == "a.eml"
    assert record.pop("kind") == mail.kind
    assert record.pop("why") == mail.why
    assert record.pop("reason") == reason
    assert record.pop("fix") == record.pop("links") == []
    assert set(record.values()) == {None}


def test_a_record_is_safe_to_print() -> None:
    """Escape codes, marks that turn the direction of writing, line ends, lone surrogates."""
    hostile = "a\x1b[31mb\u202ec\x00d\ne\ud800f\u2028g\x9bh\u2066i"
    failure = _failure(
        hostile,
        recipient=hostile,
        original_recipient=hostile,
        remote_host=hostile,
        status=hostile,
        reply_code=hostile,
        prose=f"user unknown {hostile}",
    )
    original = Original(message_id=hostile, gmail_message_id=hostile, sender=hostile, subject=hostile)
    record = _judge(failure, original=original).as_dict()
    safe = "a[31mbcd ef ghi"
    for key in ("recipient", "original_recipient", "remote_host", "status", "reply_code", "diagnostic"):
        assert record[key] == safe, key
    for key in ("message_id", "gmail_message_id", "from", "subject"):
        assert record["original"][key] == safe, key
    assert json.dumps(record, ensure_ascii=False).isprintable()
    why = classify(NotABounce("not-a-bounce", hostile), "a.eml")[0].as_dict()["why"]
    assert why == safe


def test_nothing_but_unprintable_is_unknown() -> None:
    assert _judge(_failure("\x00\x01", recipient="")).as_dict()["diagnostic"] is None
    assert _judge(_failure(recipient="")).as_dict()["recipient"] is None


def test_letters_of_all_languages_stay() -> None:
    text = "550 5.1.1 Δεν υπάρχει 宛先不明 пользователь не найден é"
    assert _judge(_failure(text)).as_dict()["diagnostic"] == text


def test_long_texts_are_cut() -> None:
    failure = _failure("550 " + "x" * 5000, recipient="r" * 5000)
    record = _judge(failure, original=Original(subject="s" * 5000, sender="f" * 5000)).as_dict()
    assert len(record["diagnostic"]) == 1000
    assert len(record["original"]["subject"]) == 300
    assert len(record["recipient"]) == len(record["original"]["from"]) == 1000
    assert all(len(step) < 3000 for step in record["fix"])


def test_fix_of_a_verdict_is_that_of_its_record() -> None:
    verdict = _judge(_failure("535 Authentication Credentials Invalid", at_relay=True))
    assert verdict.fix == verdict.as_dict()["fix"] != []
    assert verdict.links == verdict.as_dict()["links"]
