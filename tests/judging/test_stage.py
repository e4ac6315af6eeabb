"""The command that was refused tells whom an answer is about: our host, our address, or the recipient (RFC 5321 3)."""

from __future__ import annotations

import pytest

from parsers import parse
from tests.parsers.relay_pairs import MX, PROGRAMS, SENDER, Program, Said, dragonfly, exim, postfix, qmail, sendmail
from triage.judging.verdict import Verdict, classify

TELLING = tuple(program for program in (postfix, exim, sendmail, dragonfly))
"""Programs whose reports name the command."""
NEVER = ("recipient-unknown", "recipient-access-denied", "domain-not-found", "recipient-disabled")


def _judge(program: Program, reply: str, command: str) -> Verdict:
    (verdict,) = classify(parse(program(MX, Said(reply, command))), "test")
    return verdict


@pytest.mark.parametrize("program", TELLING)
@pytest.mark.parametrize("command", ["CONNECT", "EHLO"])
@pytest.mark.parametrize("reply", ["554 5.7.1 Access denied", "550 Access denied", "550 access denied, no such user"])
def test_before_mail_it_is_our_host(program: Program, command: str, reply: str) -> None:
    verdict = _judge(program, reply, command)
    assert verdict.cause == "host-refused"
    assert verdict.cause not in NEVER


@pytest.mark.parametrize("program", TELLING)
@pytest.mark.parametrize(
    "reply",
    [
        *("550 5.1.7 No such domain", "550 No such domain", "553 5.1.8 Domain of sender does not resolve"),
        *("550 5.1.7 Invalid address", "553 5.1.7 sender address invalid", "550 User unknown", "550 Invalid domain"),
        *("501 5.1.7 Bad sender address syntax", "550 Mailbox unavailable", "550 host not found"),
    ],
)
def test_at_mail_it_is_our_address_or_its_domain(program: Program, reply: str) -> None:
    verdict = _judge(program, reply, "MAIL")
    assert verdict.cause == "sender-domain-unresolvable"
    assert verdict.actor == "dns-admin"


@pytest.mark.parametrize("program", TELLING)
def test_the_same_words_at_rcpt_are_about_the_recipient(program: Program) -> None:
    assert _judge(program, "550 5.1.1 User unknown", "RCPT").cause == "recipient-unknown"
    assert _judge(program, "550 5.1.2 No such domain", "RCPT").cause == "domain-not-found"
    assert _judge(program, "550 5.4.1 Recipient address rejected: Access denied", "RCPT").cause == (
        "recipient-access-denied"
    )


@pytest.mark.parametrize("program", [program for program in PROGRAMS if program is not qmail])
@pytest.mark.parametrize("words", ["Invalid address", "User unknown", "No such domain", "Access denied"])
def test_the_code_for_the_senders_address_names_no_recipient(program: Program, words: str) -> None:
    """RFC 3463 3.2: X.1.7 and X.1.8 are the sender's, whatever the command."""
    assert _judge(program, f"550 5.1.7 {words}", "RCPT").cause not in NEVER


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("line_end", [" ", "\n    "])
def test_a_sender_that_cannot_be_verified_in_a_long_reply(program: Program, line_end: str) -> None:
    reply = line_end.join(
        (
            f"550-Verification failed for <{SENDER}>",
            "550-No Such User Here",
            "550 Sender verify failed",
        )
    )
    assert _judge(program, reply, "RCPT").cause == "sender-domain-unresolvable"
