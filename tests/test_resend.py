"""Giving mails once more, against the Gmail and the SES double: whom, what, and never twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.gmail import GmailDouble
from tests.doubles.ses import SesDouble
from tests.made_mails import NOW, OWNER
from triage import resend, store, store_resend
from triage.gmail import Gmail, connect
from triage.resend import Allowance
from triage.resend_plan import Item, plan
from triage.store import Mail

ROOT = Path(__file__).parents[1]
REGION = "us-east-1"
DAY = timedelta(days=1)


@dataclass
class World:
    """A mailbox, SES, and a database in which some mails of ours did not arrive."""

    folder: Path
    double: GmailDouble
    gmail: Gmail
    ses: SesDouble
    db: Any

    def write(
        self, subject: str, *people: str, days: float = 2, message_id: str | None = None, thread_id: str | None = None,
        more: str = "",
    ) -> str:  # fmt: skip
        """A mail of ours in Sent; returns its Message-ID."""
        message_id = message_id or f"{subject.replace(' ', '.').replace(':', '')}@mail.gmail.com"
        raw = (
            f"From: {OWNER}\r\nTo: {', '.join(people)}\r\nSubject: {subject}\r\nMessage-ID: <{message_id}>\r\n{more}"
            "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nSee you on board.\r\n"
        )
        self.double.seed(raw.encode(), ["SENT"], thread_id=thread_id, received_at=NOW - days * DAY)
        return message_id

    def bounce(self, message_id: str | None, recipient: str, *, days: float = 1, **changes: Any) -> int:
        """A verdict that this mail did not reach this person; returns its id."""
        record = {
            "source": "x",
            "kind": "failed",
            "recipient": recipient,
            "category": "smtp-credentials",
            "cause": "alias-credentials-rejected",
            "side": "own",
            "actor": "mailbox-owner",
            "permanent": True,
            "genuine": "pass",
            "fix": [],
            "links": [],
        } | changes
        original = {
            "gmail_message_id": message_id,
            "from": OWNER,
            "subject": changes.get("subject", "Charter"),
            "sent_at": (NOW - (days + 1) * DAY).isoformat(),
        }
        number = sum(1 for _ in self.db.query("SELECT 1 FROM mails"))
        at = NOW - days * DAY
        bounced = Mail(f"gmail:{number}", gmail_id=f"{number:016x}", thread_id="19a0", received_at=at, raw=b"x")
        mail_id = store.store_judged(self.db, bounced, [record | {"original": original}], [], at)
        return int(store.verdicts_of(self.db, mail_id)[0]["id"])

    def plan(self, way: Any = "draft", now: datetime = NOW) -> list[Item]:
        return plan(self.db, self.gmail, store_resend.hit_by_us(self.db, now - 30 * DAY), now, way=way)

    def put_back(self, now: datetime = NOW) -> list[str]:
        return [
            f"{one.item.recipient}: {one.words}"
            for one in resend.put_back(self.db, self.gmail, self.plan(now=now), lambda: now)
        ]

    def send(self, allowed: Allowance | None = None, naps: list[float] | None = None, now: datetime = NOW) -> list[str]:
        naps = [] if naps is None else naps
        allowed = allowed or Allowance(REGION, None, 1000.0)
        outcomes = resend.send(self.db, self.gmail, self.plan("ses", now), allowed, lambda: now, naps.append)
        return [f"{one.item.recipient}: {one.words}" for one in outcomes]

    def drafts(self) -> list[EmailMessage]:
        mailbox = self.double.account.mailbox
        return [self._read(mailbox.messages[message_id].raw) for message_id in mailbox.drafts.values()]

    def copies(self) -> list[EmailMessage]:
        return [
            self._read(one.raw)
            for one in self.double.messages.values()
            if "SENT" in one.labels and b"X-Triage: sent again" in one.raw
        ]

    @staticmethod
    def _read(raw: bytes) -> EmailMessage:
        read = message_from_bytes(raw, policy=policy.default)
        assert isinstance(read, EmailMessage)
        return read


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with GmailDouble() as double, SesDouble() as ses:
        double.write_credentials(tmp_path)
        env = aws_env(ses)
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        ses.add_identity("queenofsandiego.com", REGION)
        with (
            closing(store.open_store(tmp_path / "triage.db")) as db,
            closing(connect(tmp_path / "token.json", url=double.url, sleep=lambda _: None)) as gmail,
        ):
            yield World(tmp_path, double, gmail, ses, db)
        assert double.sent == []  # whatever happens, nothing is ever sent through Gmail


def aws_env(ses: SesDouble) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL_SESV2": ses.url,
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }


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
    full = store_resend.hit_by_cause(world.db, "mailbox-full", NOW - 7 * DAY)
    assert [row["recipient"] for row in full] == ["pat@client.example"]


@pytest.mark.parametrize(
    "changes", [{"genuine": "fail"}, {"category": "unverified"}, {"kind": "delayed"}, {"kind": "delivered"}]
)
def test_nothing_is_given_again_because_of(world: World, changes: dict[str, Any]) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example", **changes)
    assert world.plan() == []


def test_the_incident_says_who_was_hit(world: World) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example")
    world.bounce(
        world.write("Quote", "dana@client.example"), "dana@client.example", cause="ses-sandbox", category="ses-refused"
    )
    (incident_id,) = {row["id"] for row in world.db.query("SELECT id FROM incidents WHERE kind = 'alias'")}
    found = store_resend.hit_by_incident(world.db, incident_id, NOW - 7 * DAY)
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


# -- already reached ------------------------------------------------------------------------------------------------


def reasons(world: World, way: Any = "draft") -> list[str | None]:
    return [item.why_not for item in world.plan(way)]


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
    mailbox = world.double.account.mailbox
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
    assert store_resend.drafts_in_doubt(world.db) == [] or when == "before"


# -- through SES ----------------------------------------------------------------------------------------------------


def test_a_mail_goes_out_through_ses_past_the_alias_and_a_copy_lies_in_the_conversation(world: World) -> None:
    sent = world.write("Charter", "pat@client.example", "fine@client.example")
    (original,) = world.double.messages.values()
    world.bounce(sent, "pat@client.example")
    (outcome,) = world.send()
    (mail,) = world.ses.sent
    assert outcome == f"pat@client.example: sent through SES ({mail.id})"
    assert (mail.sender, mail.recipients, mail.region) == (OWNER, ("pat@client.example",), REGION)
    read = World._read(mail.raw)
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


def test_it_goes_no_faster_and_no_further_than_ses_allows(world: World) -> None:
    for number in range(4):
        who = f"p{number}@client.example"
        world.bounce(world.write(f"Charter {number}", who), who)
    naps: list[float] = []
    words = world.send(Allowance(REGION, 3, 2.0), naps)
    assert naps == [0.5, 0.5]
    assert len(world.ses.sent) == 3
    assert words[3].endswith("not sent: the sending quota of SES is used up: ask again tomorrow")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Allowance(REGION, 49880, 14.0)),
        (
            {"SendQuota": {"Max24HourSend": -1.0, "MaxSendRate": 1.0, "SentLast24Hours": 9.0}},
            Allowance(REGION, None, 1.0),
        ),
        ({"SendingEnabled": False}, f"SES sends nothing in {REGION}: sending is paused"),
        (
            {"ProductionAccessEnabled": False},
            f"SES sends only to verified addresses in {REGION}: the account is in the sandbox",
        ),
    ],
)
def test_what_ses_allows(world: World, changes: dict[str, Any], expected: Any) -> None:
    world.ses.region(REGION).account |= changes
    assert resend.allowance(REGION) == expected


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
    assert not store_resend.settle(world.db, 99, was_sent=True, at=NOW)
    assert store_resend.settle(world.db, 1, was_sent=False, at=NOW)
    world.send()
    assert len(world.ses.sent) == 1
    assert not store_resend.settle(world.db, 1, was_sent=False, at=NOW)  # it is in doubt no more


def test_a_mail_in_doubt_is_settled_by_the_events_of_ses(world: World) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example")
    world.ses.fail("SendEmail", connection="drop", when="after")
    world.send()
    (row,) = store_resend.in_doubt(world.db)
    world.db.execute(
        "INSERT INTO events (kind, recipient, ses_message_id, event_id, at, client_id, seen_at)"
        " VALUES ('Send', 'pat@client.example', 's7', 'e', '2026-11-24T09:31:00Z', ?, '')",
        [row["message_id"]],
    )
    assert store_resend.settle_by_events(world.db, NOW) == 1
    assert store_resend.in_doubt(world.db) == []
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


# -- kill -9 --------------------------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from triage import resend, store_resend
from triage.gmail import connect
from triage.resend import Allowance
from triage.resend_plan import plan
from triage.store import open_store
folder, url, now, way = Path(sys.argv[1]), sys.argv[2], datetime.fromisoformat(sys.argv[3]), sys.argv[4]
if way == "between":
    finish = store_resend.finish
    store_resend.finish = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
with closing(open_store(folder / "triage.db")) as db, closing(connect(folder / "token.json", url=url)) as gmail:
    found = store_resend.hit_by_us(db, now - timedelta(days=30))
    items = plan(db, gmail, found, now, way="draft" if way == "draft" else "ses")
    if way == "draft":
        list(resend.put_back(db, gmail, items, lambda: now))
    else:
        list(resend.send(db, gmail, items, Allowance("us-east-1", None, 1000.0), lambda: now, lambda _: None))
"""


def killed(world: World, way: str, arm: Any = None) -> None:
    running: list[subprocess.Popen[bytes]] = []
    if arm:
        arm(lambda: running[0].pid)
    command = [sys.executable, "-c", KILLED, str(world.folder), world.double.url, NOW.isoformat(), way]
    running.append(subprocess.Popen(command, cwd=ROOT, env=os.environ | aws_env(world.ses)))
    assert running[0].wait(60) == -9


@pytest.mark.parametrize("moment", ["SendEmail before", "SendEmail after", "between"])
def test_killed_around_the_sending_it_is_sent_once_at_most_and_shown(world: World, moment: str) -> None:
    for number in range(2):
        who = f"p{number}@client.example"
        world.bounce(world.write(f"Charter {number}", who), who)
    operation, _, when = moment.partition(" ")
    if when:
        killed(world, "ses", lambda pid: world.ses.kill_at(pid, operation, when=when))
    else:
        killed(world, "between")
    for _ in range(2):
        world.send()
    assert sorted(mail.recipients for mail in world.ses.sent) in (
        [("p1@client.example",)],
        [("p0@client.example",), ("p1@client.example",)],
        [("p0@client.example",)],
    )
    (doubtful,) = [item for item in world.plan("ses") if item.is_in_doubt]
    assert doubtful.why_not is not None
    assert "perhaps sent at" in doubtful.why_not


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("method", ["messages.insert", "drafts.create"])
def test_killed_around_gmail_there_is_one_draft_and_one_copy(world: World, method: str, when: str) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example")
    way = "draft" if method == "drafts.create" else "ses"
    killed(world, way, lambda pid: world.double.kill_at(pid, method, when=when))  # type: ignore[arg-type]
    later = NOW + timedelta(hours=1)
    if way == "draft":
        world.put_back(later)
        assert len(world.drafts()) == 1
    else:
        assert resend.file_copies(world.db, world.gmail, later) == []
        assert (len(world.copies()), len(world.ses.sent)) == (1, 1)


# -- the command ----------------------------------------------------------------------------------------------------


def triage(world: World, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    (world.folder / "triage.toml").write_text(f'gmail_url = "{world.double.url}"\nsmtp_region = "{REGION}"\n')
    return subprocess.run(
        [sys.executable, "-m", "triage.cli", "resend", "--config", str(world.folder / "triage.toml"), *arguments],
        cwd=ROOT,
        env=os.environ | aws_env(world.ses),
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def since() -> str:
    """A span that reaches back to the story's days, whatever the day of this run."""
    return f"{max((datetime.now(NOW.tzinfo) - NOW).days + 30, 30)}d"


def test_the_command_shows_puts_back_and_says_so(world: World) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example")
    shown = triage(world, "--dry-run", "--since", since())
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "pat@client.example (#1)" in shown.stdout
    assert "-> would be put back as a draft in its conversation" in " ".join(shown.stdout.split())
    assert world.drafts() == []
    done = triage(world, "--since", since())
    assert (done.returncode, done.stderr) == (0, "")
    assert "-> a draft lies in its conversation" in done.stdout
    assert len(world.drafts()) == 1


def test_an_incident_by_its_number(world: World) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example")
    world.bounce(
        world.write("Quote", "eve@client.example"), "eve@client.example", cause="ses-sandbox", category="ses-refused"
    )
    (number,) = {row["id"] for row in world.db.query("SELECT id FROM incidents WHERE kind = 'ses'")}
    done = triage(world, str(number), "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    assert [row["recipient"] for row in json.loads(done.stdout)] == ["eve@client.example"]


@pytest.mark.parametrize("typed", ["", "yes\n", "send\n", "send 2\n", "SEND 1\n"])
def test_without_the_very_sentence_nothing_is_sent(world: World, typed: str) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example")
    done = triage(world, "--send", "--since", since(), typed=typed)
    assert done.returncode in (2, 130)
    assert world.ses.sent == []
    assert store_resend.in_doubt(world.db) == []


def test_the_sentence_sends(world: World) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example")
    done = triage(world, "--send", "--since", since(), "--json", typed="send 1\n")
    assert done.returncode == 0, done.stderr
    assert "Type `send 1` to send 1 mail from admin@queenofsandiego.com through Amazon SES in us-east-1" in done.stderr
    (row,) = json.loads(done.stdout)
    assert row["outcome"].startswith("sent through SES (0100")
    assert len(world.ses.sent) == 1
    again = triage(world, "--send", "--since", since())
    assert again.returncode == 0
    assert "sent again through SES" in " ".join(again.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["1", "--cause", "mailbox-full"], 2, "two ways"),
        (["7"], 2, "no incident 7"),
        (["--cause", "nonsense"], 2, "no cause"),
        (["--region", "us-east-1"], 2, "--region is for --send"),
        (["--was-sent", "3"], 2, "no mail 3 in doubt"),
        (["--was-sent", "3", "--was-not-sent", "4"], 2, "cannot both"),
    ],
)
def test_a_question_that_makes_no_sense(world: World, arguments: list[str], code: int, words: str) -> None:
    done = triage(world, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr


def test_a_mail_in_doubt_is_told_also_where_it_was_not_asked_about(world: World) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example")
    world.ses.fail("SendEmail", connection="drop", when="after")
    world.send()
    done = triage(world, "--cause", "mailbox-full")
    assert "pat@client.example: perhaps sent at Tue 24 Nov 2026 09:30 UTC" in done.stderr
    assert "--was-not-sent 1" in done.stderr
    assert triage(world, "--was-sent", "1").stdout == "Mail 1: taken as sent.\n"


def test_nobody_hit_is_said(world: World) -> None:
    assert triage(world).stdout == "Nobody was hit, or nobody is left who was not reached since.\n"


def test_a_sandbox_is_said_before_anything_is_asked(world: World) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example")
    world.ses.region(REGION).account["ProductionAccessEnabled"] = False
    done = triage(world, "--send", "--since", since(), typed="send 1\n")
    assert done.returncode == 78
    assert "the account is in the sandbox" in done.stderr
