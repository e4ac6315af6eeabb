"""Which words of a refusal count: the clause behind a general prefix, the cause before the attempt, facts only."""

from __future__ import annotations

import pytest

from tests.judging.made import failure, judge
from triage.judging.clauses import end_of_general, is_general, without_names, without_possibilities

PREFIX = "<pat@client.example>: Recipient address rejected: "


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (f"554 5.7.1 {PREFIX}Relay access denied", "relay-denied"),
        (f"550 5.7.1 {PREFIX}Blocked by SPF", "spf-rejected"),
        (f"450 4.7.1 {PREFIX}Greylisted for 5 minutes", "greylisted"),
        (f"552 5.2.2 {PREFIX}Mailbox full", "mailbox-full"),
        (f"550 5.7.26 {PREFIX}Authentication failure", "sender-unauthenticated"),
        # RFC 5321's own text for 550 is such a prefix, too, where more is said.
        ("550 Requested action not taken: mailbox unavailable Reject due to policy restrictions.", "policy-rejected"),
        ("550 Requested action not taken: mailbox unavailable. Mailbox is full", "mailbox-full"),
        ("550 Requested action not taken: mailbox unavailable invalid DNS MX or A/AAAA record", "domain-not-found"),
        ("550 Requested action not taken: mailbox unavailable", "recipient-unknown"),
        ("550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302).", "recipient-unknown"),
        ("550 Requested action not taken: mailbox unavailable For explanation visit us", "recipient-unknown"),
        # Words nobody knows behind it: the code says more than the prefix.
        (f"550 5.7.0 {PREFIX}Oh no", "policy-rejected"),
        (f"550 5.6.0 {PREFIX}Oh no", "content-rejected"),
        (f"550 5.3.2 {PREFIX}Oh no", "no-mail-service"),
        (f"450 4.3.2 {PREFIX}Oh no", "remote-system-error"),
        ("550 5.7.1 All recipient addresses rejected : oh no", "policy-rejected"),
        # The prefix alone, or with a code that says no more, is about the address.
        (f"550 5.0.0 {PREFIX}Oh no", "recipient-unknown"),
        (f"550 {PREFIX}Oh no", "recipient-unknown"),
        ("550 5.7.1 <pat@client.example>: Recipient address rejected.", "recipient-unknown"),
        ("550 5.4.1 Recipient address rejected: Access denied.", "recipient-access-denied"),
        ("550 5.4.1 All recipient addresses rejected : Access denied", "recipient-access-denied"),
        (
            f"550 5.1.1 {PREFIX}undeliverable address: host mx2.client.example said: 550 no",
            "recipient-unknown",
        ),
    ],
)
def test_the_clause_behind_a_general_prefix_wins(reply: str, cause: str) -> None:
    assert judge(failure(reply)).cause == cause


@pytest.mark.parametrize(
    ("reply", "prose", "cause"),
    [
        ("The message expired after 5 days", "The recipient's mailbox is full.", "mailbox-full"),
        ("message expired", "<<< 550 5.1.1 no such user", "recipient-unknown"),
        ("retry timeout exceeded", "all hosts: Connection refused", "connection-failed"),
        # Nothing but general words beside the attempt: it stays what it is.
        (
            "The message expired after 5 days",
            "A temporary problem. Please try again later.",
            "delivery-expired",
        ),
        ("The message expired after 5 days", "Refused by our policy.", "delivery-expired"),
        ("The message expired after 5 days", None, "delivery-expired"),
        # A refusal is never put aside for the prose around it.
        ("550 5.1.1 no such user", "The mailbox is full.", "recipient-unknown"),
    ],
)
def test_the_cause_counts_before_the_attempt(reply: str, prose: str | None, cause: str) -> None:
    assert judge(failure(reply, prose=prose)).cause == cause


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        ("454 4.7.0 TLS not available due to a local problem", "tls-required"),
        ("552 Mailbox has reached its space limit", "mailbox-full"),
        ("There was a temporary problem. connect to mx.client.example: Connection timed out", "connection-failed"),
        ("Delivery failed after numerous attempts: the recipient has a full mailbox", "mailbox-full"),
        ("451 4.3.0 local problem", "remote-system-error"),
        # A telling code knows better than words that only resemble others.
        ("550 5.2.2 too much mail, the limit is reached", "mailbox-full"),
        ("550 too much mail, the limit is reached", "rate-limited"),
    ],
)
def test_the_words_about_the_cause_win_within_a_text(reply: str, cause: str) -> None:
    assert judge(failure(reply)).cause == cause


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        ("550 No. Your server may be blacklisted, the mailbox may not exist, or the mail may be too large", "unknown"),
        ("550 5.1.1 No. The mailbox might be full, or the domain might be blocked.", "recipient-unknown"),
        ("550 No such user. The address may be misspelt, or it may have been blocked.", "recipient-unknown"),
        # One possibility is what the server thinks; a row that quotes the list has read it.
        ("550 5.7.1 Your IP address may be blacklisted", "sender-blocklisted"),
        ("550 The account or domain may not exist, it may be blacklisted", "domain-not-found"),
    ],
)
def test_a_list_of_possibilities_is_no_evidence(reply: str, cause: str) -> None:
    assert judge(failure(reply)).cause == cause


@pytest.mark.parametrize("name", ["spam", "full.mailbox", "quota-exceeded", "blocked", "virus", "user-unknown"])
def test_the_name_in_an_address_says_nothing(name: str) -> None:
    address = f"{name}@client.example"
    assert judge(failure(f"550 <{address}> sorry")).cause == "unknown"
    assert judge(failure(f"550 {address} sorry", recipient=address)).cause == "unknown"
    assert judge(failure(f"550 5.1.1 <{address}> no such user")).cause == "recipient-unknown"
    assert (
        judge(failure(f"550 sorry {name.replace('-', ' ').replace('.', ' ')}")).cause != "unknown"
        or name == "full.mailbox"
    )


def test_texts_keep_their_length_so_that_evidence_can_be_cut_out() -> None:
    text = "550 <spam@a.example>: pat@b.example may be full. it might be blocked. no such user"
    assert len(without_names(text, "pat@b.example")) == len(without_possibilities(text)) == len(text)
    assert without_names(text, "pat@b.example").count("xxxx@") == 1
    assert without_possibilities(text).split() == ["no", "such", "user"]
    assert without_names("no address", None) == "no address"


def test_what_is_a_general_prefix() -> None:
    assert end_of_general("recipient address rejected: mailbox full") == len("recipient address rejected: ")
    assert end_of_general("recipient address rejected: ") == 0
    assert end_of_general("sender address rejected: no") == 0
    assert is_general("550 Recipient address rejected: full") is True
    assert is_general("550 full") is False
