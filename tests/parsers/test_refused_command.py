"""Which SMTP command was refused, read from the words of programs: `filtered` is said only where DATA is shown."""

from __future__ import annotations

import pytest

from parsers.facts import COMMANDS
from parsers.smtp_reply import as_said, refused_command
from parsers.words.transcript import read_transcript


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("host mx.harbour.example[192.0.2.25] said: 550 no such user (in reply to RCPT TO command)", "RCPT"),
        (
            "host mx.harbour.example[192.0.2.25] said: 550 no such user (in\n    reply to end of\n    DATA command)",
            "DATA",
        ),
        ("550 no such user (in response to RCPT TO)", "RCPT"),
        ("SMTP error, RCPT TO: Host harbour.example(192.0.2.25) RCPT TO said 550 No such user", "RCPT"),
        ("no such user; most progress was RCPT TO response", "RCPT"),
        ("most progress was the DATA response; 550 no", "DATA"),
        ("SMTP error from remote mail server after RCPT TO:<pat@harbour.example>: 550 no", "RCPT"),
        ("SMTP error from remote mail server after pipelined end of data: 550 no", "DATA"),
        ("SMTP error from remote mail server after initial connection: 554 no", "CONNECT"),
        ("lost connection while sending RCPT TO", "RCPT"),
        ("192.0.2.25 does not like recipient. Remote host said: 550 no", "RCPT"),
        ("192.0.2.25 failed after I sent the message. Remote host said: 550 no", "DATA"),
        ("Connected to 192.0.2.25 but greeting failed. Remote host said: 554 no", "CONNECT"),
        ("host mx.harbour.example[192.0.2.25] refused to talk to me: 554 no", "CONNECT"),
        (">>> RCPT TO:<pat@harbour.example>\n<<< 550 no", "RCPT"),
        (">>> DATA\n<<< 550 no\n554 5.0.0 Service unavailable", "DATA"),
        # Pipelined: what stands behind DATA are the answers to RCPT.
        (
            ">>> DATA\n<<< 550 no\n550 5.1.1 <pat@harbour.example>... User unknown\n<<< 503 Need RCPT (recipient)",
            "RCPT",
        ),
        (">>> DATA\n<<< 550 no\n<<< 554 5.5.1 Error: no valid recipients", "RCPT"),
        (">>> DATA\n<<< 550 no\n<<< 503-5.5.1 RCPT first.", "RCPT"),
        (">>> DATA\n<<< 550 no\n550 5.1.1 <pat@harbour.example>... User unknown", "RCPT"),
        # The same words of the server itself, in answer to the mail.
        (">>> DATA\n<<< 550 5.1.1 <pat@harbour.example>... User unknown\n554 5.0.0 Service unavailable", "DATA"),
        # No stage is told.
        ("550 no such user", None),
        ("Your data was not delivered to our data center. 550 no", None),
        ("The mail said no. 550 no such user", None),
        ("", None),
    ],
)
def test_the_command_that_was_refused(text: str, command: str | None) -> None:
    assert refused_command(text) == command
    assert command is None or command in COMMANDS


def test_each_recipient_of_a_transcript_has_the_command_of_its_own_session() -> None:
    lines = """... while talking to mx.harbour.example.:
>>> RCPT To:<pat@harbour.example>
<<< 550 no such user
550 5.1.1 <pat@harbour.example>... User unknown
... while talking to mx.marina.example.:
>>> DATA
<<< 550 no such user
554 5.0.0 <kim@marina.example>... Service unavailable
... while talking to mx.pier.example.:
>>> DATA
<<< 550 no such user
550 5.1.1 <sam@pier.example>... User unknown
<<< 554 5.5.1 Error: no valid recipients""".splitlines()
    told = read_transcript(lines)
    assert {address: one.command for address, one in told.items() if address} == {
        "pat@harbour.example": "RCPT",
        "kim@marina.example": "DATA",
        "sam@pier.example": "RCPT",
    }


@pytest.mark.parametrize(
    ("prose", "left"),
    [
        (">>> RCPT TO:<a@b.example>\n<<< 550 5.7.1 Oh no\n550 5.1.1 <a@b.example>... User unknown", "550 5.7.1 Oh no"),
        (">>> DATA\n<<< 554 5.7.1 Oh no\n554 5.0.0 Service unavailable", "554 5.7.1 Oh no"),
        (">>> DATA\n<<< 554 Oh no\n554 5.0.0 <a@b.example>... Service unavailable\n", "554 Oh no"),
        # Nobody else has said anything; or the server said more behind it.
        ("550 5.1.1 <a@b.example>... User unknown", "User unknown"),
        ("<<< 550 5.7.1 Oh no\n<<< 550 5.1.1 <a@b.example>... User unknown", "User unknown"),
        ("<<< 550 5.7.1 Oh no\n550 5.1.1 <a@b.example>... Mailbox is full", "Mailbox is full"),
    ],
)
def test_sendmails_name_for_its_exit_code_is_no_word_of_the_server(prose: str, left: str) -> None:
    assert as_said(prose).strip().endswith(left)
