"""Families of refusals (families.txt): the same cause in the words of many servers, services and languages."""

from __future__ import annotations

from pathlib import Path

import pytest

from parsers.facts import Authenticity, Bounce, Failure, Original
from parsers.readers.delivery_status import with_words
from triage.judging import classify

LINES = (Path(__file__).parent / "families.txt").read_text(encoding="utf-8").splitlines()
FAMILIES = [line.split(" | ", 1) for line in LINES if " | " in line]


def _cause_of(reply: str) -> str:
    failure = with_words(Failure("failed", "pat@client.example"), reply, None)
    bounce = Bounce("delivery-status", "postfix", (failure,), Original(), Authenticity("unknown", "made"))
    return classify(bounce, "made")[0].cause


@pytest.mark.parametrize(("cause", "reply"), FAMILIES, ids=[reply for _, reply in FAMILIES])
def test_a_family_has_one_cause_in_every_language(cause: str, reply: str) -> None:
    assert _cause_of(reply) == cause


def test_there_are_many() -> None:
    assert len(FAMILIES) > 500


@pytest.mark.parametrize(
    ("cause", "reply"),
    [
        # What stands beside a family and is none of it.
        ("recipient-moved", "551 5.1.6 User not local; please try <sam@client.example>"),
        ("relay-denied", "550 5.7.1 Relaying denied, access denied to relay"),
        ("sender-domain-unresolvable", "450 4.1.7 <x@y.example>: Sender address rejected: unverified address"),
        ("domain-not-found", "550 5.1.2 Domain does not exist"),
        ("recipient-unknown", "550 5.1.1 Mailbox does not exist, contact support"),
        ("dmarc-rejected", "550 5.7.1 Header From: failed DMARC policy"),
        ("sender-blocklisted", "554 5.7.1 Sender IP 192.0.2.9 is on our blacklist"),
        ("sender-blocklisted", "550 Sender's host is blacklisted"),
        ("sender-blocklisted", "550 Your IP 192.0.2.9 is not allowed to connect"),
        ("connection-failed", "connect to mx.client.example[192.0.2.25]:25: Connection refused"),
        ("connection-failed", "Deferred: Connection refused by mx.client.example."),
        ("mailbox-full", "552 5.2.2 Mailbox full"),
        ("message-too-large", "552 5.3.4 Message size exceeds fixed limit"),
        ("sender-refused", "550 5.7.1 Your address is on our block list"),
        ("remote-storage-full", "452 4.3.1 There is no space on this server"),
        ("no-mail-service", "550 There is no mail service here"),
        ("sender-domain-unresolvable", "553 Sender domain has no MX and no A record"),
        ("delivery-expired", "message expired after 5 days"),
        ("connection-failed", "no answer from host"),
    ],
)
def test_neighbours_stay_what_they_are(cause: str, reply: str) -> None:
    assert _cause_of(reply) == cause
