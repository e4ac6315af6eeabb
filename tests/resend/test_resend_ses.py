"""Sending mails once more through SES: once for each person, within what SES allows, in doubt never again."""

from __future__ import annotations

from typing import Any

import pytest

from remediation.aws import Allowance, Halted, allowance
from remediation.aws.policies import actions
from tests.aws.recorder import record_actions
from tests.outbox.world import a_setting
from tests.resend.world import DAY, REGION, World, reasons
from tests.worlds.made_mails import NOW, OWNER, opened
from triage import store
from triage.owner.doctor_aws import iam_policy
from triage.resend import again as resend


def test_a_mail_goes_out_through_ses_past_the_alias_and_a_copy_lies_in_the_conversation(world: World) -> None:
    sent = world.write("Charter", "pat@client.example", "fine@client.example")
    (original,) = world.double.messages.values()
    world.bounce(sent, "pat@client.example")
    (outcome,) = world.send()
    (mail,) = world.ses.sent
    assert outcome == f"pat@client.example: sent through SES ({mail.id})"
    assert (mail.sender, mail.recipients, mail.region) == (OWNER, ("pat@client.example",), REGION)
    read = opened(mail.raw)
    assert read["Message-ID"].endswith("@queenofsandiego.com>")
    assert read["References"] == f"<{sent}>"
    (copy,) = world.copies()
    assert copy["Message-ID"] == read["Message-ID"]
    assert {message.thread_id for message in world.double.messages.values()} == {original.thread_id}


def test_each_person_gets_it_once_however_often_it_is_asked_for(world: World) -> None:
    sent = world.write("Charter", "pat@client.example", "dana@client.example")
    for who in ("pat@client.example", "dana@client.example"):
        world.bounce(sent, who)
    for _ in range(3):
        world.send()
    world.bounce(sent, "pat@client.example", days=0.1)  # the alias's notice comes once more
    world.send()
    assert sorted(mail.recipients for mail in world.ses.sent) == [("dana@client.example",), ("pat@client.example",)]
    assert len(world.copies()) == 2
    assert all("sent again through SES" in str(why) for why in reasons(world, "ses"))


def test_it_asks_for_what_the_printed_policy_allows(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    called = record_actions(monkeypatch)
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example")
    allowed = allowance(REGION)
    assert isinstance(allowed, Allowance)
    world.send(allowed)
    assert len(world.ses.sent) == 1
    settings = a_setting(world.folder)
    assert sorted(called) == actions(iam_policy("resend", settings))


def test_it_goes_no_faster_and_no_further_than_ses_allows(world: World) -> None:
    for number in range(4):
        who = f"p{number}@client.example"
        world.bounce(world.write(f"Charter {number}", who), who)
    naps: list[float] = []
    words = world.send(Allowance(3, 2.0), naps)
    assert naps == [0.5, 0.5]
    assert len(world.ses.sent) == 3
    assert words[3].endswith("not sent: the sending quota of SES is used up: ask again tomorrow")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Allowance(49880, 14.0)),
        (
            {"SendQuota": {"Max24HourSend": -1.0, "MaxSendRate": 1.0, "SentLast24Hours": 9.0}},
            Allowance(None, 1.0),
        ),
        ({"SendingEnabled": False}, Halted("SES is paused", f"SES sends nothing in {REGION}: sending is paused")),
        (
            {"ProductionAccessEnabled": False},
            Halted("SES sandbox", f"SES sends only to verified addresses in {REGION}: the account is in the sandbox"),
        ),
    ],
)
def test_what_ses_allows(world: World, changes: dict[str, Any], expected: Any) -> None:
    world.ses.region(REGION).account |= changes
    assert allowance(REGION) == expected


def test_a_suppressed_address_is_skipped(world: World) -> None:
    for who in ("pat@client.example", "dana@client.example"):
        world.bounce(world.write(f"Charter {who}", who), who)
    world.ses.suppress("Pat@client.example", REGION, at=NOW - 9 * DAY)
    words = " ".join(world.send())
    assert "pat@client.example: not sent: SES keeps mail to this address back (BOUNCE since Sun 15 Nov 2026" in words
    assert [mail.recipients for mail in world.ses.sent] == [("dana@client.example",)]


def test_where_the_list_cannot_be_asked_nothing_is_sent(world: World) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example")
    world.ses.fail("GetSuppressedDestination", status=403, code="AccessDeniedException", times=None)
    assert "whether SES would deliver it is not known" in world.send()[0]
    assert world.ses.sent == []


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "MessageRejected"), (403, "AccessDeniedException"), (429, "TooManyRequestsException")],
)
def test_a_refusal_for_all_ends_it_and_may_be_tried_again(world: World, status: int, code: str) -> None:
    for number in range(3):
        who = f"p{number}@client.example"
        world.bounce(world.write(f"Charter {number}", who), who)
    world.ses.fail("SendEmail", status=status, code=code, times=1)
    words = world.send()
    assert world.ses.calls["SendEmail"] == 1
    assert all("not sent:" in word for word in words)
    assert world.ses.sent == []
    world.send()
    assert len(world.ses.sent) == 3


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("fault", [{"connection": "drop"}, {"status": 500}])
def test_an_answer_that_never_came_is_shown_and_not_repeated(world: World, when: Any, fault: dict[str, Any]) -> None:
    for number in range(2):
        who = f"p{number}@client.example"
        world.bounce(world.write(f"Charter {number}", who), who)
    world.ses.fail("SendEmail", when=when, **fault)
    words = world.send()
    assert "perhaps sent:" in words[0]
    assert "not sent:" in words[1]  # it would be in doubt as well
    assert world.ses.calls["SendEmail"] == 1
    first, second = world.plan("ses")
    assert (first.is_in_doubt, second.is_ready) == (True, True)
    assert "ask the recipient, then `triage resend --was-sent 1` or `--was-not-sent 1`" in str(first.why_not)
    world.send()
    assert world.ses.calls["SendEmail"] == 2
    assert len({mail.recipients for mail in world.ses.sent}) == len(world.ses.sent)


def test_a_mail_in_doubt_is_settled_by_hand(world: World) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example")
    world.ses.fail("SendEmail", connection="drop", when="before")
    world.send()
    assert not store.settle_resend(world.db, 99, was_sent=True, at=NOW)
    assert store.settle_resend(world.db, 1, was_sent=False, at=NOW)
    world.send()
    assert len(world.ses.sent) == 1
    assert not store.settle_resend(world.db, 1, was_sent=False, at=NOW)  # it is in doubt no more


def test_a_mail_in_doubt_is_settled_by_the_events_of_ses(world: World) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example")
    world.ses.fail("SendEmail", connection="drop", when="after")
    world.send()
    (row,) = store.resends_in_doubt(world.db)
    world.db.execute(
        "INSERT INTO events (kind, recipient, ses_message_id, event_id, at, client_id, seen_at)"
        " VALUES ('Send', 'pat@client.example', 's7', 'e', '2026-11-24T09:31:00Z', ?, '')",
        [row["message_id"]],
    )
    assert store.settle_resends_by_events(world.db, NOW) == 1
    assert store.resends_in_doubt(world.db) == []
    assert resend.file_copies(world.db, world.gmail, NOW) == []
    assert len(world.copies()) == 1
    assert len(world.ses.sent) == 1


def test_a_copy_that_could_not_be_filed_is_filed_later_and_once(world: World) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example")
    world.double.fail("messages.insert", connection="drop", when="after")
    (words,) = world.send()
    assert "is not filed" in words
    for _ in range(2):
        assert resend.file_copies(world.db, world.gmail, NOW) == []
    assert len(world.copies()) == 1


def test_a_draft_in_the_way_is_said_and_nothing_goes_out(world: World) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example")
    world.put_back()
    assert world.send() == []
    assert reasons(world, "ses") == ["a draft of it lies in the conversation: send that, or delete it first"]
