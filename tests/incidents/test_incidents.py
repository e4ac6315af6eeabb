"""Incidents: which bounces belong together, and what opens and ends one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlite_utils import Database

from remediation import load_causes
from tests.incidents.made import ALIAS, NOW, ago, publish, put, record, refused, ses_refused, taken
from triage import store
from triage.display import span_words
from triage.incidents.words import duration_words, what_fails
from triage.judging.incident import key_of
from triage.model import SIGNS, Incident, Opening, Proof
from triage.store import incidents, record_evidence, verdict_row


def only(db: Database) -> Incident:
    (incident,) = store.read_incidents(db)
    return incident


# What belongs together


@pytest.mark.parametrize(
    ("verdict", "key"),
    [
        (record(), "alias admin@queenofsandiego.com"),
        (record(cause="alias-tls-failed", remote_host="smtp.example.com"), "alias admin@queenofsandiego.com"),
        (record(**{"from": " Admin@QueenOfSanDiego.com"}), "alias admin@queenofsandiego.com"),
        (record(**{"from": None}), "alias unknown"),
        (record(cause="alias-recipient-suppressed"), None),
        (ses_refused(), "ses queenofsandiego.com us-west-2 ses-identity-not-verified"),
        (
            ses_refused(diagnostic=None, ses_region="eu-west-1"),
            "ses queenofsandiego.com eu-west-1 ses-identity-not-verified",
        ),
        (ses_refused(diagnostic=None), "ses queenofsandiego.com unknown ses-identity-not-verified"),
        (
            ses_refused(cause="ses-sandbox", diagnostic=None, remote_host="email-smtp.us-east-1.amazonaws.com"),
            "ses account us-east-1 ses-sandbox",
        ),
        (ses_refused(cause="ses-suppressed"), None),
        (ses_refused(cause="ses-content-rejected"), None),
        (record(category="gmail-refused", cause="sending-limit-reached"), "gmail sending-limit-reached"),
        (record(category="gmail-refused", cause="gmail-outbound-blocked"), None),
        (refused(), "remote client.example dmarc-rejected"),
        (
            refused(recipient="Pat@CLIENT.example", cause="transport-rule-rejected"),
            "remote client.example transport-rule-rejected",
        ),
        (refused(recipient=None), None),
        (refused(cause="recipient-unknown"), None),
        (refused(cause="mailbox-full"), None),
        (refused(cause="message-too-large"), None),
        (refused(cause="connection-failed"), None),
        (record(kind="delayed"), None),
        (record(kind="feedback", cause="complaint"), None),
        (record(kind="not-a-bounce", cause=None, category=None, original=None), None),
        (record(category="unverified", genuine="fail"), None),
    ],
)
def test_one_repair_is_one_key(verdict: dict[str, Any], key: str | None) -> None:
    found = key_of(verdict)
    assert (found.text if found else None) == key


def test_every_cause_named_here_is_in_the_catalogue() -> None:
    from triage.judging import incident

    named = (
        incident._ONE_ADDRESS
        | incident._SES_IDENTITY
        | incident._SES_ACCOUNT
        | incident._GMAIL_ACCOUNT
        | incident._POLICIES
    )
    assert named <= set(load_causes())
    # Own-side causes without an incident are about one recipient or one mail, or pass by themselves.
    own = {cause.id for cause in load_causes().values() if cause.side == "own" and cause.category != "smtp-credentials"}
    assert own - named == {
        *(
            "ses-suppressed",
            "ses-suppressed-for-tenant",
            "ses-validation-failed",
            "ses-unsubscribed",
            "ses-content-rejected",
            "ses-temporary-failure",
        ),
        "gmail-outbound-blocked",
    }


# Opening and growing


def test_forty_bounces_are_one_incident_with_everybody_it_hit(db: Database) -> None:
    for number in range(40):
        put(db, number, record(recipient=f"p{number % 30}@client.example"), at=ago(minutes=60 - number))
    incident = only(db)
    assert (incident.state, incident.openings, incident.bounces, len(incident.people)) == ("open", 1, 40, 30)
    assert (incident.first_at, incident.last_at, incident.detected_at) == (
        ago(minutes=60),
        ago(minutes=21),
        ago(minutes=60),
    )
    assert incident.people[0] == "p9@client.example"  # the newest first
    assert db.execute("SELECT count(*) FROM verdicts WHERE incident_id = 1").fetchone() == (40,)


def test_the_story_is_two_incidents(db: Database) -> None:
    put(db, 1, record(recipient="dana@client.example"), record(recipient="marcus@client.example"), at=ago(days=2))
    put(db, 2, refused(), at=ago(days=1))
    assert [i.key for i in store.read_incidents(db)] == [
        "alias admin@queenofsandiego.com",
        "remote client.example dmarc-rejected",
    ]


def test_a_bounce_that_proves_nothing_opens_nothing_and_joins_nothing(db: Database) -> None:
    put(db, 1, record(), proofs=[None])
    put(db, 2, record(genuine="fail", category="unverified"))
    put(db, 3, record(), proofs=[Proof("given", "it came from a file")])
    assert store.read_incidents(db) == []
    put(db, 4, record(genuine="unknown"), proofs=[Proof("alias", "made")])
    put(db, 5, record(genuine="pass"), proofs=[None])
    assert only(db).bounces == 1


def test_what_the_newest_bounce_says_is_what_the_incident_says(db: Database) -> None:
    put(db, 1, record(cause="alias-relay-unreachable", remote_host="SMTP.example.com"), at=ago(hours=1))
    put(db, 2, record(cause="alias-auth-not-offered"), at=ago(hours=2))
    incident = only(db)
    assert (incident.cause, incident.place, incident.sender) == ("alias-relay-unreachable", "smtp.example.com", ALIAS)
    assert (incident.title, incident.side) == ("The outgoing mail server does not answer", "own")


def test_time_to_detect_runs_from_the_first_bounce_to_the_run_that_saw_it(db: Database) -> None:
    put(db, 1, record(), at=ago(hours=3), seen_at=ago(hours=2))
    assert only(db).time_to_detect == timedelta(hours=1)
    put(db, 2, record(), at=ago(hours=1), seen_at=NOW)
    assert only(db).detected_at == ago(hours=2)


# Closing


Given = Callable[[Database], object]

ENDS: dict[str, tuple[dict[str, Any], Given, str]] = {
    "a mail through the alias": (record(), lambda db: publish(db, taken(ago(minutes=5))), "ses-event"),
    "its delivery": (record(), lambda db: publish(db, taken(ago(minutes=5), "Delivery")), "ses-event"),
    "a mail through the alias that came back later": (
        record(),
        lambda db: put(
            db,
            9,
            refused(
                gmail_message_id="later@mail.gmail.com",
                ses_message_id="0100",
                path="gmail-alias",
                cause="recipient-unknown",
                sent_at="2026-11-24T09:20:00.565Z",
            ),
        ),
        "left-later",
    ),
    "a hand": (record(), lambda db: store.close_by_hand(db, 1, "mended", NOW), "by-hand"),
    "a mail SES takes again": (
        ses_refused(path="ses-api", ses_region="us-east-1"),
        lambda db: publish(db, taken(ago(minutes=5), way="api")),
        "ses-event",
    ),
    "a mail to one who was hit, for the sandbox": (
        ses_refused(cause="ses-sandbox", path="ses-api", ses_region="us-east-1"),
        lambda db: publish(db, taken(ago(minutes=5), way="api", to="pat@client.example")),
        "ses-event",
    ),
    "a delivery to the domain": (
        refused(),
        lambda db: publish(db, taken(ago(minutes=5), "Delivery", way="api", to="kim@client.example")),
        "delivery",
    ),
    "a report of success from the domain": (
        refused(),
        lambda db: put(db, 9, refused(kind="delivered", cause=None, category=None, side=None, actor=None)),
        "delivery",
    ),
    "a mail Gmail sends again": (
        record(category="gmail-refused", cause="sending-limit-reached", path="gmail"),
        lambda db: put(db, 9, refused(path="gmail", cause="recipient-unknown", sent_at="2026-11-24T09:20:00Z")),
        "left-later",
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_an_incident_ends_with(name: str, db: Database) -> None:
    verdict, end, closed_by = ENDS[name]
    put(db, 1, verdict, at=ago(hours=2))
    assert store.settle_all(db, ago(minutes=90)) == (0, 0)
    end(db)
    store.settle_all(db, NOW)
    incident = next(i for i in store.read_incidents(db) if i.id == 1)
    assert (incident.state, incident.closed_by) == ("closed", closed_by)
    assert incident.closed_at is not None
    assert incident.noticed_at == NOW
    assert ago(minutes=11) < incident.closed_at <= NOW
    assert incident.time_to_repair == incident.closed_at - ago(hours=2)
    assert duration_words(incident).startswith(f"broken for {span_words(incident.time_to_repair)}, seen after")
    assert closed_by in SIGNS


NO_ENDS: dict[str, tuple[dict[str, Any], Given]] = {
    "a mail by the API": (record(), lambda db: publish(db, taken(ago(minutes=5), way="api"))),
    "a mail from another alias": (record(), lambda db: publish(db, taken(ago(minutes=5), sender="kim@example.org"))),
    "a mail SES took before": (record(), lambda db: publish(db, taken(ago(hours=3), "Delivery"))),
    "a mail SES refused": (record(), lambda db: publish(db, taken(ago(minutes=5), "Reject"))),
    "a forged bounce about a later mail": (
        record(),
        lambda db: put(
            db,
            9,
            refused(
                gmail_message_id="x@mail.gmail.com",
                ses_message_id="01",
                sent_at="2026-11-24T09:20:00Z",
                genuine="unknown",
            ),
        ),
    ),
    "a mail to a verified address, for the sandbox": (
        ses_refused(cause="ses-sandbox", path="ses-api", ses_region="us-east-1"),
        lambda db: publish(db, taken(ago(minutes=5), way="api", to="me@queenofsandiego.com")),
    ),
    "a mail in another region": (
        ses_refused(path="ses-api"),
        lambda db: publish(db, taken(ago(minutes=5), way="api")),
    ),
    "a mail by the API, for what went through the alias": (
        ses_refused(ses_region="us-east-1"),
        lambda db: publish(db, taken(ago(minutes=5), way="api")),
    ),
    "a mail SES took for the domain": (
        refused(),
        lambda db: publish(db, taken(ago(minutes=5), "Send", way="api", to="kim@client.example")),
    ),
    "a delivery to another domain": (
        refused(),
        lambda db: publish(db, taken(ago(minutes=5), "Delivery", way="api", to="kim@other.example")),
    ),
    "a delivery from another domain of ours": (
        refused(),
        lambda db: publish(db, taken(ago(minutes=5), "Delivery", way="api", sender="a@example.org")),
    ),
    "another bounce": (refused(), lambda db: put(db, 9, refused(cause="mailbox-full", kind="failed"))),
}


@pytest.mark.parametrize("name", NO_ENDS)
def test_an_incident_does_not_end_with(name: str, db: Database) -> None:
    verdict, event = NO_ENDS[name]
    put(db, 1, verdict, at=ago(hours=2))
    event(db)
    store.settle_all(db, NOW)
    incident = next(i for i in store.read_incidents(db) if i.id == 1)
    assert (incident.state, incident.closed_at) == ("open", None)


def test_it_opens_again_with_the_next_bounce_and_counts_from_there(db: Database) -> None:
    put(db, 1, record(), at=ago(days=3))
    publish(db, taken(ago(days=2)))
    assert store.settle_all(db, ago(days=2)) == (0, 1)
    put(db, 2, record(recipient="kim@client.example"), at=ago(hours=1), seen_at=NOW)
    incident = only(db)
    assert (incident.state, incident.openings, incident.first_at) == ("open", 2, ago(hours=1))
    assert (incident.people, incident.bounces, incident.detected_at) == (("kim@client.example",), 1, NOW)
    assert (incident.closed_at, incident.closed_by, incident.closed_why, incident.noticed_at) == (None,) * 4
    assert store.settle_all(db, NOW) == (1, 0)
    assert store.openings_of(db, incident) == [
        Opening(ago(hours=1), ago(hours=1), None),
        Opening(ago(days=3), ago(days=3), ago(days=2)),
    ]


def test_a_hand_does_not_hide_what_comes_after(db: Database) -> None:
    put(db, 1, record(), at=ago(hours=3))
    store.close_by_hand(db, 1, "mended", ago(hours=2))
    assert only(db).closed_why == "mended"
    put(db, 2, record(), at=ago(hours=1))
    assert (only(db).state, only(db).openings) == ("open", 2)
    assert store.close_by_hand(db, 77, "mended", NOW) is None


def test_a_bounce_that_arrives_late_opens_nothing_that_is_mended(db: Database) -> None:
    put(db, 1, record(), at=ago(hours=4))
    publish(db, taken(ago(hours=2)))
    store.settle_all(db, ago(hours=2))
    put(db, 2, record(recipient="late@client.example"), at=ago(hours=3), seen_at=NOW)
    incident = only(db)
    assert (incident.state, incident.openings, incident.last_at) == ("closed", 1, ago(hours=3))
    assert "late@client.example" in incident.people


def test_an_earlier_end_that_is_learned_late_is_the_end(db: Database) -> None:
    put(db, 1, record(), at=ago(hours=4))
    publish(db, taken(ago(hours=1)))
    store.settle_all(db, ago(minutes=50))
    publish(db, taken(ago(hours=3)))
    store.settle_all(db, NOW)
    assert (only(db).closed_at, only(db).noticed_at) == (ago(hours=3), ago(minutes=50))


def test_a_quiet_settling_writes_nothing(db: Database) -> None:
    put(db, 1, record(), at=ago(hours=4))
    before = db.conn.total_changes
    assert store.settle_all(db, NOW) == (0, 0)
    assert db.conn.total_changes == before


def test_a_verdict_that_was_two_stays_in_one_incident(db: Database) -> None:
    """A failure known from an event becomes the one the mail tells of; `store_events` joins the two."""
    event = taken(ago(minutes=30), "Bounce", way="api", to="pat@client.example")
    publish(db, event)
    row = next(iter(db.query("SELECT id, ses_message_id FROM events")))
    (alone,) = put(db, 1, refused(cause="policy-rejected"), at=ago(minutes=30))
    db.execute("UPDATE mails SET source = 'ses-event:1', gmail_id = NULL")
    db.execute("UPDATE events SET verdict_id = ?", [alone])
    db.conn.commit()
    (from_mail,) = put(db, 2, refused(), at=ago(minutes=29))
    assert len(store.read_incidents(db)) == 2
    assert record_evidence(db, from_mail, [], NOW, event_ids=[row["id"]]) == alone
    assert verdict_row(db, from_mail) is None
    store.settle_all(db, NOW)
    by_key = {i.key.rpartition(" ")[2]: i for i in store.read_incidents(db)}
    assert (by_key["dmarc-rejected"].state, by_key["dmarc-rejected"].bounces) == ("open", 1)
    assert (by_key["policy-rejected"].state, by_key["policy-rejected"].closed_by) == ("closed", "emptied")


def test_nothing_of_a_mail_is_stored_without_its_incident(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_: object) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr(incidents, "_settle", break_down)
    with pytest.raises(RuntimeError):
        put(db, 1, record())
    assert [db[table].count for table in ("mails", "verdicts", "incidents")] == [0, 0, 0]


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (record(), "mail from admin@queenofsandiego.com does not leave"),
        (ses_refused(), "Amazon SES in us-west-2 does not take mail from admin@queenofsandiego.com"),
        (record(category="gmail-refused", cause="sending-limit-reached"), "Gmail does not send your mail"),
        (refused(), "client.example does not take mail from admin@queenofsandiego.com"),
    ],
)
def test_the_headline_names_what_does_not_work(verdict: dict[str, Any], words: str, db: Database) -> None:
    put(db, 1, verdict)
    assert what_fails(only(db)) == words


@pytest.mark.parametrize("side", [">", "<="])
@pytest.mark.parametrize("kind", incidents._SOURCES)
def test_the_nearest_sign_is_found_without_reading_a_table(kind: str, side: str, db: Database) -> None:
    about = dict.fromkeys(("id", "cause", "sender", "place", "path", "way", "moment", "resource"), "x")
    for source in incidents._SOURCES[kind]:
        sql = f"EXPLAIN QUERY PLAN SELECT * FROM ({source}) WHERE at {side} :moment ORDER BY at LIMIT 1"
        steps = [row["detail"] for row in db.query(sql, about)]
        assert not [step for step in steps if step.startswith("SCAN") and step != "SCAN rotations"]  # there are few
        if not any(table in source for table in ("repairs", "rotations", "sending_states")):
            assert not [step for step in steps if "ORDER BY" in step], steps
