"""Giving mails once more as drafts: to whom, what, and never twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.resend.world import DAY, World, reasons
from tests.worlds.made_mails import NOW, OWNER
from triage import store

# -- who ------------------------------------------------------------------------------------------------------------


def test_the_most_recent_conversation_comes_first(world: World) -> None:
    for days, who in ((5, "old"), (1, "new"), (3, "between")):
        world.bounce(world.write(who, f"{who}@client.example", days=days + 1), f"{who}@client.example", days=days)
    assert [item.recipient.partition("@")[0] for item in world.plan()] == ["new", "between", "old"]


def test_one_mail_to_one_person_is_one_item_however_often_it_bounced(world: World) -> None:
    sent = world.write("Charter", "pat@client.example")
    for days in (1.5, 1.2, 1):
        world.bounce(sent, "Pat@client.example", days=days)
    assert [item.verdict_id for item in world.plan()] == [3]


def test_only_what_our_own_side_kept_back_unless_asked_otherwise(world: World) -> None:
    sent = world.write("Charter", "pat@client.example", "dana@client.example")
    world.bounce(sent, "pat@client.example", side="remote", cause="mailbox-full", category="remote-rejection")
    world.bounce(sent, "dana@client.example")
    assert [item.recipient for item in world.plan()] == ["dana@client.example"]
    full = store.hit_by_cause(world.db, "mailbox-full", NOW - 7 * DAY)
    assert [row["recipient"] for row in full] == ["pat@client.example"]


@pytest.mark.parametrize("changes", [{"genuine": "fail"}, {"kind": "delayed"}, {"kind": "delivered"}])
def test_nothing_is_given_again_because_of(world: World, changes: dict[str, Any]) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example", **changes)
    assert world.plan() == []


def test_the_incident_says_who_was_hit(world: World) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example")
    world.bounce(
        world.write("Quote", "dana@client.example"), "dana@client.example", cause="ses-sandbox", category="ses-refused"
    )
    (incident_id,) = {row["id"] for row in world.db.query("SELECT id FROM incidents WHERE kind = 'alias'")}
    found = store.hit_by_incident(world.db, incident_id, NOW - 7 * DAY)
    assert [row["recipient"] for row in found] == ["pat@client.example"]


def test_who_has_written_an_alias_is_written_to_at_that_address(world: World) -> None:
    sent = world.write("Charter", "office@client.example")
    world.bounce(sent, "pat@inner.example", original_recipient="office@client.example")
    world.put_back()
    assert world.drafts()[0]["To"] == "office@client.example"


def test_a_mail_that_is_not_in_sent_is_told_and_left(world: World) -> None:
    world.bounce("gone@mail.gmail.com", "pat@client.example")
    world.bounce(None, "dana@client.example")
    world.bounce('x" in:inbox (', "eve@client.example")
    assert {item.why_not for item in world.plan()} == {"the mail is not in Sent: write it again"}
    assert world.put_back() == []


def test_behind_ses_the_event_knows_the_message_id_gmail_gave(world: World) -> None:
    sent = world.write("Charter", "pat@client.example")
    verdict_id = world.bounce(None, "pat@client.example")
    world.db.execute("UPDATE verdicts SET ses_message_id = 's1' WHERE id = ?", [verdict_id])
    world.db.execute(
        "INSERT INTO events (kind, recipient, ses_message_id, event_id, at, client_id, seen_at)"
        " VALUES ('Send', 'pat@client.example', 's1', 'e', '2026-11-23T00:00:00Z', ?, '')",
        [sent],
    )
    assert [item.original_id for item in world.plan()] == [sent]


def test_a_mail_that_arrived_after_all_is_left_out(world: World) -> None:
    sent = world.write("Charter", "pat@client.example")
    world.bounce(sent, "pat@client.example")
    world.bounce(sent, "pat@client.example", days=0.5, kind="delivered", category=None, cause=None, side=None)
    assert reasons(world) == ["it got there after all (Mon 23 Nov 2026 21:30 UTC)"]


def test_a_delivery_by_ses_counts_also_of_another_copy_with_the_same_subject(world: World) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example")
    world.db.execute(
        "INSERT INTO events (kind, recipient, ses_message_id, event_id, at, subject, seen_at)"
        " VALUES ('Delivery', 'pat@client.example', 's', 'e', ?, 'Charter', '')",
        [(NOW - 0.2 * DAY).strftime("%Y-%m-%dT%H:%M:%SZ")],
    )
    assert reasons(world) == ["it got there after all (Tue 24 Nov 2026 04:42 UTC)"]


@pytest.mark.parametrize(
    ("subject", "people", "days", "is_left_out"),
    [
        ("Charter", "pat@client.example", 0.5, True),
        ("Re: charter", "pat@client.example", 0.5, True),
        ("Something else", "pat@client.example", 0.5, False),
        ("Charter", "dana@client.example", 0.5, False),
        ("Charter", "pat@client.example", 1.5, False),  # before the bounce
    ],
)
def test_whom_the_owner_wrote_to_again_is_left_out(
    world: World, subject: str, people: str, days: float, is_left_out: bool
) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example")
    world.write(subject, people, days=days, message_id="later@mail.gmail.com")
    why = reasons(world)[0]
    assert (why is not None and why.startswith("you wrote again")) == is_left_out


def test_a_second_mail_that_failed_as_well_reaches_nobody(world: World) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example")
    later = world.write("Charter", "pat@client.example", days=0.5, message_id="later@mail.gmail.com")
    world.bounce(later, "pat@client.example", days=0.4)
    assert reasons(world) == [None, None]


# -- drafts ---------------------------------------------------------------------------------------------------------


def test_a_draft_lies_in_the_conversation_and_nothing_is_sent(world: World) -> None:
    sent = world.write("Charter", "pat@client.example")
    (original,) = world.double.messages.values()
    world.bounce(sent, "pat@client.example")
    assert world.put_back() == ["pat@client.example: a draft lies in its conversation"]
    (draft,) = world.drafts()
    assert (draft["Subject"], draft["To"], draft["From"]) == ("Charter", "pat@client.example", OWNER)
    assert draft["References"] == f"<{sent}>"
    assert draft.get_content().strip() == "See you on board."
    assert {message.thread_id for message in world.double.messages.values()} == {original.thread_id}
    assert world.ses.sent == []


def test_a_mail_to_several_becomes_one_draft_to_those_it_missed(world: World) -> None:
    sent = world.write("Charter", "pat@client.example", "dana@client.example", "fine@client.example")
    for who in ("pat@client.example", "dana@client.example"):
        world.bounce(sent, who)
    assert len(world.put_back()) == 2
    (draft,) = world.drafts()
    assert [one.addr_spec for one in draft["To"].addresses] == ["pat@client.example", "dana@client.example"]


def test_a_second_time_makes_no_second_draft(world: World) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example")
    world.put_back()
    assert world.put_back(NOW + DAY) == []
    assert reasons(world) == ["a draft of it lies in the conversation (Tue 24 Nov 2026 09:30 UTC)"]
    assert len(world.drafts()) == 1


def test_a_draft_that_was_sent_or_deleted_does_not_come_back(world: World) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example")
    world.put_back()
    mailbox = world.double.account
    (message_id,) = mailbox.drafts.values()
    mailbox.delete(mailbox.messages[message_id])
    assert world.put_back() == []
    assert "you sent or deleted the draft" in str(reasons(world)[0])


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_makes_one_draft_in_the_end(world: World, when: Any) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example")
    world.double.fail("drafts.create", connection="drop", when=when)
    assert world.put_back() == ["pat@client.example: perhaps put back: look into the conversation"]
    assert world.put_back(NOW + timedelta(minutes=1)) == []
    world.put_back(NOW + timedelta(hours=1))
    assert len(world.drafts()) == 1
    assert store.drafts_in_doubt(world.db) == [] or when == "before"


def test_one_mail_to_two_hundred_costs_a_few_searches(world: World) -> None:
    """Not ten units for each of them: who wrote it again is asked for many people at once."""
    people = [f"person-{number}@client.example" for number in range(200)]
    mail = world.write("Open day", *people)
    for person in people:
        world.bounce(mail, person, subject="Open day")
    world.double.reset_counters()
    items = world.plan()
    assert len(items) == len([item for item in items if item.is_ready]) == 200
    assert world.double.quota.units_new <= 60
    world.write("Re: Open day", people[7], days=0.5)
    world.write("About something else", people[8], days=0.5)
    left_out = [item.recipient for item in world.plan() if not item.is_ready]
    assert left_out == [people[7]]
