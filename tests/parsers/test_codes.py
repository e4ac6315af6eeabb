"""Codes written oddly, and numbers that only look like codes."""

from __future__ import annotations

import pytest

from parsers.smtp_reply import innermost_reply, is_status, read_reply
from parsers.words.general_words import completed, is_beginning
from parsers.words.transcript import FOR_ALL, Told


@pytest.mark.parametrize(
    ("text", "code", "status"),
    [
        ("5.1.0 - Unknown address error 550-'no such user' (delivery attempts: 0)", "550", "5.1.0"),
        ("5.1.0 - Unknown address error 550 '5.1.1 no such user'", "550", "5.1.1"),
        ("5.3.0 - Other mail system problem 554-'refused'", "554", "5.3.0"),
        ("5.x.x - text 550-'5.7.1 spam'", "550", "5.7.1"),
        ("550 #5.7.1 Your access was refused", "550", "5.7.1"),
        ("ERROR CODE :550, no such user", "550", None),
        ("550 Adresse invalide. OFR_416 [416]", "550", None),
        # What is no code.
        ("Adresse destinataire invalide. OFR_416 [416]", None, None),
        ("temporarily deferred - 4.16.50", None, None),
        ("421 4.7.0 temporarily deferred - 4.16.55.1", "421", "4.7.0"),
        ("running version 5.9.1", None, None),
        # A bracket that introduces words holds a reply all the same.
        ("refused [554 no such user]", "554", None),
    ],
)
def test_codes_in_a_text(text: str, code: str | None, status: str | None) -> None:
    reply = innermost_reply(text) or read_reply(text)
    assert ((reply.code, reply.status) if reply else (None, None)) == (code, status)


@pytest.mark.parametrize(("text", "is_one"), [("5.1.1", True), ("4.7.700", True), ("4.16.50", False), ("5.8.0", False)])
def test_a_status_has_a_subject_from_0_to_7(text: str, is_one: bool) -> None:
    assert is_status(text) is is_one


LOCAL = [
    "   ----- Transcript of session follows -----",
    "procmail: Quota exceeded while writing",
    '"/var/mail/pat"',
    "554 5.3.0 unknown mailer error 73",
]


def test_the_line_of_a_local_mailer_stands_behind_the_general_words() -> None:
    words = "554 5.3.0 unknown mailer error 73"
    assert completed(words, LOCAL, {}) == f'{words}: procmail: Quota exceeded while writing "/var/mail/pat"'
    assert completed(words, LOCAL[:1] + LOCAL[3:], {}) == words, "nothing was said"
    assert completed(words, [">>> DATA", "<<< 250 ok", LOCAL[3]], {}) == words, "a session is no mailer"
    assert completed("554 5.1.1 no such user", LOCAL, {}) == "554 5.1.1 no such user"


def test_what_the_server_said_counts_beside_deferred() -> None:
    said = {FOR_ALL: Told(FOR_ALL, "421 4.7.0 Too many connections", "mx.harbour.example")}
    deferred = "Deferred: Connection timed out with mx.harbour.example."
    assert completed(deferred, [], said) == f"421 4.7.0 Too many connections {deferred}"
    other = "Deferred: Connection timed out with mx2.pier.example."
    assert completed(other, [], said) == other, "another host was asked then"
    assert completed("Deferred: 450 4.2.0 greylisted", [], said) == "Deferred: 450 4.2.0 greylisted"
    assert completed(None, [], said) is None


def test_a_first_line_is_known_by_what_follows_in_the_transcript() -> None:
    assert is_beginning("(reason: 550-Refused.)", "550 Refused. No reverse DNS.")
    assert not is_beginning("(reason: 550-Refused.)", "550 No such user")
    assert not is_beginning("550 Refused. No reverse DNS.", "550 Refused.")
    assert not is_beginning("550", None)
