"""A correspondent who knows everything but the account's secrets never makes a run act, but on the mail he got himself.

He knows the aliases, their hosts, every Message-ID, the words of Gmail, SES and Exchange, and how this program judges.
He chooses envelope, HELO, From and all that stands below what Gmail writes on top; he signs with his own domains, he
may be another customer of SES. The oracle knows nothing of proofs: what may be acted on is a refusal by the
recipient's side, of a mail in Sent, for somebody whom that mail was addressed to.

FUZZ_EXAMPLES=2000 pytest tests/hostile/test_no_action_without_proof.py looks longer.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as fuzzed
from hypothesis import strategies as st

from tests.doubles.gmail import GmailDouble
from tests.parsers.hostile_stamps import HOSTILE
from tests.parsers.stamps import Stamp, dmarc, signed
from tests.worlds.made_mails import EVERYBODY, OWNER, minutes_ago, sent
from tests.worlds.run_world import ask, clock, settings_over, user_labels
from triage import run as worker
from triage.config import Settings

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "25"))
HIMSELF = "x@evil.example"
SENT_TO = {"mail-1@example.org": EVERYBODY, "mail-evil@example.org": HIMSELF}
"""What lies in Sent, by Message-ID; he got the second, and was told the id of the first."""

HIS_OWN = Stamp("his own domain, all in order", "pass", signed("evil.example", dmarc("evil.example")), HIMSELF)

ALIAS_WORDS = """** Message not delivered **

You're sending this from a different address or alias using the
'Send mail as' feature. The settings for your 'Send mail as' account are misconfigured or out of date.

The response was:

535 Authentication Credentials Invalid
"""
REPLIES = (
    ("failed", "5.1.1", "550 5.1.1 User unknown", "mx.client.example"),
    ("failed", "5.7.8", "535 5.7.8 Authentication Credentials Invalid", "email-smtp.us-east-1.amazonaws.com"),
    ("failed", "5.7.0", "454 Sending suspended for this account", "email-smtp.us-east-1.amazonaws.com"),
    ("failed", "5.4.5", "550 5.4.5 Daily user sending limit exceeded", "smtp.gmail.com"),
    ("failed", "5.7.1", "554 Message rejected: Email address is not verified", "smtp-relay.evil.example"),
    ("delivered", "2.0.0", "250 2.0.0 OK", "mx.client.example"),
    ("relayed", "2.0.0", "250 Ok 010001a1d86d3ff5-fe93a12a", "email-smtp.us-east-1.amazonaws.com"),
    ("delayed", "4.4.1", "451 4.4.1 Connection timed out", "mx.client.example"),
)


class Lie(NamedTuple):
    stamp: Stamp
    words: str
    reply: tuple[str, str, str, str]
    recipient: str
    original_id: str
    original_from: str
    original_date: str
    is_attached: bool
    in_spam: bool

    def mail(self) -> bytes:
        action, status, diagnostic, remote = self.reply
        returned = (
            f"Message-ID: <{self.original_id}>\nX-Gmail-Original-Message-ID: <{self.original_id}>\n"
            f"From: {self.original_from}\nTo: {self.recipient}\nSubject: Your booking\n"
            f"Date: {self.original_date}\n\nHello\n"
        )
        report = (
            f"X-Failed-Recipients: {self.recipient}\nMIME-Version: 1.0\n"
            'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n'
            f"--b\nContent-Type: text/plain; charset=utf-8\n\n{self.words}\n"
            "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; googlemail.com\n\n"
            f"Final-Recipient: rfc822; {self.recipient}\nAction: {action}\nStatus: {status}\n"
            f"Remote-MTA: dns; {remote}\nDiagnostic-Code: smtp; {diagnostic}\n"
            f"--b\nContent-Type: message/rfc822\n\n{returned}--b--\n"
        )
        if self.is_attached:
            inner = f"From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>\nSubject: Failure\n{report}"
            report = (
                'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="o"\n\n'
                "--o\nContent-Type: text/plain\n\nSee.\n"
                f"--o\nContent-Type: message/rfc822\n\n{inner}\n--o--\n"
            )
        return f"{self.stamp.block()}\nDate: Tue, 24 Nov 2026 09:00:00 +0000\n{report}".replace("\n", "\r\n").encode()

    @property
    def may_be_acted_on(self) -> bool:
        return self.recipient in SENT_TO.get(self.original_id, "") and self.original_from == OWNER


LIES = st.builds(
    Lie,
    stamp=st.sampled_from([*HOSTILE, HIS_OWN]),
    words=st.sampled_from([ALIAS_WORDS, "It failed.", ""]),
    reply=st.sampled_from(REPLIES),
    recipient=st.sampled_from(["pat@client.example", HIMSELF, "kim@client.example", OWNER]),
    original_id=st.sampled_from([*SENT_TO, "010001a1d86d3ff5-fe93@us-east-1.amazonses.com", "nobody@example.org"]),
    original_from=st.sampled_from([OWNER, "jadasailing@gmail.com", HIMSELF]),
    original_date=st.sampled_from(["Tue, 24 Nov 2026 08:30:00 +0000", "Tue, 24 Nov 2099 08:30:00 +0000", "never"]),
    is_attached=st.booleans(),
    in_spam=st.booleans(),
)


@contextmanager
def world(*lies: Lie) -> Iterator[tuple[GmailDouble, Settings, dict[str, Lie]]]:
    """A mailbox with what he wrote, after two runs."""
    with GmailDouble() as gmail, tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        wanted = settings_over(gmail, Path(folder), patch, "alert_inbox = true\n")
        gmail.seed(sent("mail-evil@example.org", HIMSELF), labels=["SENT"], received_at=minutes_ago(60))
        written = {
            gmail.seed(lie.mail(), labels=["SPAM" if lie.in_spam else "INBOX"], received_at=minutes_ago(10)): lie
            for lie in lies
        }
        for _ in range(2):
            worker.run(wanted, clock)
        yield gmail, wanted, written


@fuzzed(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(LIES, min_size=1, max_size=8))
def test_nothing_he_writes_is_acted_on_but_about_mails_in_sent(lies: list[Lie]) -> None:
    with world(*lies) as (gmail, wanted, written):
        for message_id, lie in written.items():
            assert not user_labels(gmail, message_id) or lie.may_be_acted_on, lie
        own = ask(wanted, "SELECT id FROM verdicts WHERE proof IS NOT NULL AND side = 'own'")
        assert own == []
        assert ask(wanted, "SELECT key FROM incidents WHERE kind != 'remote'") == []
        about_us = [message for message in gmail.messages.values() if b"X-Triage" in message.raw]
        assert not about_us or any(lie.may_be_acted_on for lie in lies)


def test_about_a_mail_in_sent_he_is_heard() -> None:
    """So that the test above cannot pass by nobody being heard."""
    told = Lie(
        HIS_OWN, "It failed.", REPLIES[0], HIMSELF, "mail-evil@example.org", OWNER, "", is_attached=False, in_spam=False
    )
    with world(told) as (gmail, _, written):
        assert user_labels(gmail, next(iter(written))) == {"Bounce/Remote rejection"}
