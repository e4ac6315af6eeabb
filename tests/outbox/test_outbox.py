"""A labelled draft leaves once, as it was composed, and lies under Sent; what may not leave says why."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from remediation.aws.policies import actions
from tests.aws.recorder import record_actions
from tests.outbox.world import GMAIL, LABEL, REGION, World, opened
from tests.worlds.made_mails import OWNER
from tests.worlds.made_verdicts import proven
from triage import store
from triage.model import StoredMail
from triage.owner.doctor_aws import iam_policy


def answered(world: World) -> str:
    """A conversation with a labelled draft in it; the draft's id."""
    world.receive()
    draft_id = world.write()
    world.label(world.draft(draft_id))
    return draft_id


def test_it_asks_for_what_the_printed_policy_allows(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    called = record_actions(monkeypatch)
    world.receive()
    world.label(world.draft(world.write()))
    world.look()
    world.look()
    assert len(world.ses.sent) == 1
    assert sorted(called) == actions(iam_policy("outbox", world.settings))


def test_a_labelled_draft_leaves_and_lies_in_its_conversation_under_sent(world: World) -> None:
    draft = world.draft(answered(world))
    assert world.look() == []
    assert world.ses.sent == [], "it waits"
    (told,) = world.look()
    assert told == f"draft 1: sent from {OWNER} to pat@client.example"
    (mail,) = world.ses.sent
    left = opened(mail.raw)
    assert (mail.sender, mail.recipients) == (OWNER, ("pat@client.example",))
    assert left["From"] == f"Jada <{OWNER}>"
    assert left["In-Reply-To"] == "<asks@client.example>"
    assert left.get_content() == opened(draft.raw).get_content()
    (copy,) = world.sent_copies()
    assert copy.thread_id == draft.thread_id
    assert copy.message_id == f"{mail.id}@email.amazonses.com"
    assert "TRASH" in draft.labels
    assert LABEL not in world.double.label_names_of_thread(draft.thread_id)
    assert (world.marks(), world.notes()) == (set(), [])
    assert [row["state"] for row in world.rows()] == ["done"]
    assert world.rows()[0]["raw"] is None
    assert (world.look(), world.look(), len(world.ses.sent)) == ([], [], 1)


def test_the_label_may_lie_on_the_conversation_instead(world: World) -> None:
    thread_id = world.receive()
    world.write()
    world.label(world.double.account.thread(thread_id)[0])
    world.look()
    world.look()
    assert len(world.ses.sent) == 1


def test_without_a_label_nothing_ever_leaves(world: World) -> None:
    world.receive()
    world.write()
    for _ in range(4):
        assert world.look() == []
    assert world.ses.sent == []
    assert LABEL in world.double.label_names(), "it is made, so that it can be found"


def test_taking_the_label_off_in_time_undoes_it(world: World) -> None:
    draft_id = answered(world)
    world.look()
    world.unlabel(world.draft(draft_id))
    assert (world.look(), world.look(), world.ses.sent) == ([], [], [])
    assert world.draft(draft_id).labels == ["DRAFT"]


def test_each_change_of_the_draft_begins_the_time_anew(world: World) -> None:
    draft_id = answered(world)
    world.look()
    world.edit(draft_id)
    assert world.look(0.5) == []
    world.edit(draft_id)
    assert (world.look(0.9), world.ses.sent) == ([], [])
    assert world.look(0.5) == []
    world.look()
    (mail,) = world.ses.sent
    assert mail.raw.endswith(b"PS: and sunny.\r\n" * 2)


def test_of_several_drafts_in_a_conversation_none_leaves(world: World) -> None:
    draft_id = answered(world)
    world.write()
    world.look()
    (told,) = world.look()
    assert "several drafts" in told
    (note,) = world.notes()
    assert "several drafts in this conversation" in note.get_content()
    assert f"{LABEL}/Not sent: several drafts" in world.double.label_names_of_thread(world.draft(draft_id).thread_id)
    assert (world.look(), world.look(), world.ses.sent) == ([], [], [])


def test_a_blind_copy_is_in_the_envelope_and_in_the_owners_copy_and_nowhere_else(world: World) -> None:
    draft = world.write(
        answers=None, more="Cc: kim@client.example\r\nBcc: boss@example.org,\r\n sam@client.example\r\n"
    )
    world.label(world.draft(draft))
    world.look()
    world.look()
    (mail,) = world.ses.sent
    assert mail.recipients == ("pat@client.example", "kim@client.example", "boss@example.org", "sam@client.example")
    assert b"boss@" not in mail.raw
    assert b"sam@" not in mail.raw
    (copy,) = world.sent_copies()
    assert opened(copy.raw)["Bcc"] == "boss@example.org, sam@client.example"


def test_attachments_names_and_encodings_are_byte_for_byte_what_gmail_composed(world: World) -> None:
    body = (
        b'Content-Type: multipart/related; boundary="00b"\r\n\r\n--00b\r\nContent-Type: text/html; charset="UTF-8"\r\n'
        b'Content-Transfer-Encoding: quoted-printable\r\n\r\n<b>f=C3=BCr</b><img src=3D"cid:ii_1">=20\r\n--00b\r\n'
        b'Content-Type: image/png; name="=?UTF-8?B?w7wucG5n?="\r\nContent-ID: <ii_1>\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n--00b--\r\n"
    )
    head = (
        f"MIME-Version: 1.0\r\nMessage-ID: <d1@mail.gmail.com>\r\nSubject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe?=\r\n"
        f"From: =?UTF-8?Q?J=C3=A4da?= <{GMAIL}>\r\nReply-To: crew@queenofsandiego.com\r\n"
        "To: =?UTF-8?Q?J=C3=BCrgen?= <pat@client.example>\r\n"
    ).encode()
    world.label(world.draft(world.write(raw=head + body)))
    world.look()
    world.look()
    (mail,) = world.ses.sent
    kind, _, rest = body.partition(b"\r\n\r\n")
    assert mail.raw.endswith(b"\r\n\r\n" + rest)
    for line in (head + kind).split(b"\r\n"):
        if not line.startswith((b"From", b"Message-ID")):
            assert line in mail.raw
    assert b"From: =?UTF-8?Q?J=C3=A4da?= <admin@queenofsandiego.com>\r\n" in mail.raw


def test_it_is_from_the_address_the_conversation_was_written_to(world: World) -> None:
    listed = (OWNER, "crew@queenofsandiego.com")
    world.receive(to="Crew <crew@queenofsandiego.com>, other@client.example")
    world.label(world.draft(world.write()))
    world.look(outbox_from=listed)
    world.look(outbox_from=listed)
    assert [mail.sender for mail in world.ses.sent] == ["crew@queenofsandiego.com"]


def test_written_to_two_of_them_it_is_not_clear_and_does_not_leave(world: World) -> None:
    listed = (OWNER, "crew@queenofsandiego.com")
    world.receive(to=", ".join(listed))
    world.label(world.draft(world.write()))
    world.look(outbox_from=listed)
    (told,) = world.look(outbox_from=listed)
    assert "not clear which of your addresses" in told
    assert world.ses.sent == []


def test_an_address_ses_has_not_verified_or_does_not_sign_for_sends_nothing(world: World) -> None:
    unsigned = {"SigningEnabled": False, "Status": "FAILED", "Tokens": []}
    world.ses.add_identity("unsigned.example", DkimAttributes=unsigned)
    for address, words in (("a@elsewhere.example", "may not send as"), ("a@unsigned.example", "does not sign")):
        draft_id = world.write(answers=None)
        world.label(world.draft(draft_id))
        world.look(outbox_from=(address,))
        (told,) = world.look(outbox_from=(address,))
        assert words in told
    assert world.ses.sent == []


def test_what_would_not_arrive_is_said_before(world: World) -> None:
    world.ses.suppress("pat@client.example", REGION)
    draft_id = answered(world)
    world.look()
    (told,) = world.look()
    assert "SES keeps mail to pat@client.example back" in told
    (note,) = world.notes()
    assert note["Subject"] == "Re: Charter"
    thread_id = world.draft(draft_id).thread_id
    assert {"Send via SES/Not sent: recipient kept back", "INBOX"} <= world.double.label_names_of_thread(thread_id)
    assert LABEL not in world.double.label_names_of_thread(thread_id)
    assert (world.look(), world.ses.sent) == ([], [])
    world.ses.region(REGION).suppressed.clear()
    world.label(world.draft(draft_id))
    world.look()
    world.look()
    assert len(world.ses.sent) == 1, "labelled again, it goes"
    assert "Not sent" not in " ".join(world.double.label_names_of_thread(thread_id))


def test_a_used_up_quota_and_a_sandbox_are_said_before(world: World) -> None:
    region = world.ses.region(REGION)
    region.account["SendQuota"] = {"Max24HourSend": 100.0, "MaxSendRate": 14.0, "SentLast24Hours": 100.0}
    answered(world)
    world.look()
    assert "takes 0 more recipients today" in world.look()[0]
    region.account["ProductionAccessEnabled"] = False
    world.label(world.draft(world.write("Other", answers=None)))
    world.look()
    assert "in the sandbox" in world.look()[0]
    assert world.ses.sent == []


def refused_before(world: World, address: str) -> None:
    """This address refused a mail of ours for good, a month ago."""
    at = datetime(2026, 10, 20, tzinfo=UTC)
    record = {
        "source": "x", "kind": "failed", "recipient": address, "category": "remote-rejection", "permanent": True,
        "cause": "mailbox-not-found", "side": "remote", "actor": "sender", "genuine": "pass", "fix": [], "links": [],
        "original": {"gmail_message_id": "a@mail.gmail.com", "from": OWNER, "subject": "x", "sent_at": at.isoformat()},
    }  # fmt: skip
    mail = StoredMail("gmail:1", gmail_id="1", thread_id="1", received_at=at, raw=b"x")
    store.store_judged(world.db, mail, [record], [], at, proven(record))


def test_a_warning_holds_it_back_once_and_the_label_set_again_overrules_it(world: World) -> None:
    refused_before(world, "pat@client.example")
    draft_id = world.write("", answers=None)
    world.label(world.draft(draft_id))
    world.look()
    (told,) = world.look()
    assert "pat@client.example refused your mail on" in told
    assert "It has no subject." in told
    assert "To send it all the same" in world.notes()[0].get_content()
    world.label(world.draft(draft_id))
    world.look()
    assert "sent from" in world.look()[0]


def test_a_word_among_the_blind_copies_asks_too_where_it_is_configured(world: World) -> None:
    word = {"outbox_word": "gulls42harbour"}
    asks = f"Bcc: {GMAIL.replace('@', '+gulls42harbour@')}, sam@client.example\r\n"
    world.write(answers=None, more=asks)
    world.write("Guessed", answers=None, more=asks.replace("gulls42harbour", "wrong1word"))
    assert (world.look(), world.look(), world.ses.sent) == ([], [], []), "it is not configured"
    world.look(**word)
    world.look(**word)
    (mail,) = world.ses.sent
    assert mail.recipients == ("pat@client.example", "sam@client.example")
    (copy,) = world.sent_copies()
    assert opened(copy.raw)["Bcc"] == "sam@client.example"
    assert b"gulls42harbour" not in mail.raw + copy.raw
    assert (world.look(**word), world.look(**word), len(world.ses.sent)) == ([], [], 1)


def test_a_label_without_a_draft_comes_off_before_something_half_written_leaves(world: World) -> None:
    thread_id = world.receive()
    world.label(world.double.account.thread(thread_id)[0])
    assert world.look() == []
    (told,) = world.look(11)
    assert "no draft in it" in told
    world.write()
    assert (world.look(), world.look(), world.ses.sent) == ([], [], [])


def test_a_refusal_by_ses_brings_the_draft_back_with_its_words(world: World) -> None:
    draft_id = answered(world)
    world.ses.fail("SendEmail", status=400, code="MessageRejected", message="Email address is not verified.")
    world.look()
    (told,) = world.look()
    assert "refused it" in told
    assert "TRASH" not in world.draft(draft_id).labels
    assert len(world.notes()) == 1
    assert (world.look(), world.ses.sent, world.marks()) == ([], [], set())


def test_two_computers_send_it_once(world: World) -> None:
    other = store.open_store(world.folder / "other.db")
    answered(world)
    mine, theirs = world.db, other
    for _ in range(5):
        for world.db in (mine, theirs):
            world.look(0.6)
    world.db = mine
    other.close()
    assert (len(world.ses.sent), len(world.sent_copies()), world.marks()) == (1, 1, set())


def test_the_mark_of_another_computer_keeps_it_from_leaving(world: World) -> None:
    draft_id = answered(world)
    world.double.account.add_label(name=f"{LABEL}/sending {draft_id} 0badc0de")
    world.look()
    assert world.look() == ["draft 1: waits: another computer is at it"]
    assert (world.ses.sent, len(world.marks())) == ([], 1)


def test_a_quiet_look_costs_six_units(world: World) -> None:
    world.look()
    world.double.reset_counters()
    world.look()
    assert (world.double.quota.units_new, world.double.quota.requests) == (6, 2)


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(world: World) -> None:
    assert "no label" in world.would()[0]
    answered(world)
    before = [(one.id, tuple(one.labels)) for one in world.double.messages.values()]
    assert world.would() == [f"{OWNER} to pat@client.example, Re: Charter: would be sent"]
    assert before == [(one.id, tuple(one.labels)) for one in world.double.messages.values()]
    assert (world.rows(), world.ses.sent) == ([], [])
