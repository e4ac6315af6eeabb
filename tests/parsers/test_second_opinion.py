"""What flufl.bounce says beside us: asked harmlessly, compared fairly, deciding nothing."""

from __future__ import annotations

import time
from base64 import encodebytes
from pathlib import Path

import pytest

from parsers import Bounce, parse
from parsers.second_opinion import Opinion, differences, second_opinion

BOUNCES = sorted((Path(__file__).parents[1] / "bounces").glob("*.eml"))
YAHOO = (
    b"Return-Path: <>\nFrom: MAILER-DAEMON@yahoo.com\nTo: jadasailing@gmail.com\nSubject: failure notice\n\n"
    b"Message from  yahoo.com.\nUnable to deliver message to the following address(es).\n\n<Pat@client.example>:\nno\n"
)
NETSCAPE = (
    b'From: Postmaster@mail.example\nSubject: Mail System Error\nContent-Type: multipart/mixed; boundary="n"'
    b"\n\n--n\nContent-Type: text/plain\n"
)
UNDELIVERABLE = b"This Message was undeliverable due to the following reason:\n\n"


def test_it_finds_addresses_and_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert second_opinion(YAHOO) == Opinion(failed=("pat@client.example",))
    assert second_opinion(b"From: kim@client.example\nSubject: hello\n\nhi\n") == Opinion()
    assert second_opinion(b"") is None  # it stumbles, and says so in a log that nobody reads
    assert caplog.records == []


@pytest.mark.parametrize(
    "mail",
    [
        NETSCAPE + b"\n" + UNDELIVERABLE + b"<" * 998 + b"\n--n\n\nx\n--n--",
        NETSCAPE
        + b"Content-Transfer-Encoding: base64\n\n"
        + encodebytes(UNDELIVERABLE + b"<" * 5000)
        + b"\n--n\n\nx\n--n--",
        YAHOO + b"<" * 300_000,
        YAHOO + b"<pat@client.example>:\n" * 50_000,
    ],
    ids=["brackets in a line", "the same line, decoded", "brackets behind it", "a line per address"],
)
def test_a_line_its_detectors_are_slow_on_costs_little(mail: bytes) -> None:
    second_opinion(b"")  # importing it is not what is measured
    started = time.process_time()
    second_opinion(mail)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("opinion", "lines"),
    [
        (Opinion(failed=("pat@client.example",)), []),
        (Opinion(delayed=("pat@client.example",)), ["it takes pat@client.example for delayed, we for failed"]),
        (Opinion(), ["it does not find Pat@client.example, failed for us"]),
        (
            Opinion(failed=("pat@client.example", "us@example.org")),
            ["it takes us@example.org for failed, and we do not name that address"],
        ),
    ],
)
def test_differences_are_told_address_by_address(opinion: Opinion, lines: list[str]) -> None:
    found = parse(YAHOO)
    assert isinstance(found, Bounce)
    assert [failure.recipient for failure in found.failures] == ["Pat@client.example"]
    assert list(differences(found, opinion)) == lines


def test_a_mail_that_is_no_bounce_to_us_may_be_one_to_it() -> None:
    found = parse(b"From: friend@example.org\nSubject: hello\n\nhi\n")
    assert list(differences(found, Opinion())) == []
    assert list(differences(found, Opinion(failed=("a@b.example",)))) == [
        "it takes a@b.example for failed, and we do not name that address"
    ]


def test_it_agrees_on_most_of_our_samples_and_no_verdict_rests_on_it() -> None:
    """Where it differs it knows less: docs/architecture.md has the figures. A number far from them wants a look."""
    differing = 0
    for path in BOUNCES:
        mail = path.read_bytes()
        opinion = second_opinion(mail)
        differing += opinion is None or any(differences(parse(mail), opinion))
    assert 0 < differing < len(BOUNCES) / 5
