"""Bounces that are only words: every format's shape, the shapes of formats nobody has named yet, and hostile ones.

The mails are written for these tests; from real programs only the phrases are taken by which their bounces are known.
"""

from __future__ import annotations

import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from parsers.facts import Failure, Reading
from parsers.mime import open_mail
from parsers.not_bounces import why_no_bounce
from parsers.readers.prose import kind_of, read_prose
from parsers.second_opinion import second_opinion
from parsers.signs import looks_like_bounce
from parsers.words.failure_text import recipient_reason, told_failures
from parsers.words.prose_tables import BY_TEXT, DELAY_WORDS
from parsers.words.returned_text import split_original
from parsers.words.speaker import host_in

OWNER = "admin@queenofsandiego.com"
RETURNED = f"""Received: from mail.queenofsandiego.com ([192.0.2.7])
\tby out.example.net with ESMTP id 4QX1; Mon, 23 Nov 2026 10:00:00 +0000
From: Dana <{OWNER}>
To: someone-else@example.com
Subject: Saturday
Message-ID: <sail-1@queenofsandiego.com>
Date: Mon, 23 Nov 2026 10:00:00 +0000

See you there, write to crew@example.com if not.
"""


def mail(
    body: str, sender: str = "MAILER-DAEMON@out.example.net", subject: str = "failure notice", extra: str = ""
) -> bytes:
    head = (
        f"Return-Path: <>\nFrom: {sender}\nTo: {OWNER}\nSubject: {subject}\nMessage-ID: <b1@out.example.net>\n{extra}"
    )
    return (head + "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n" + body).encode()


def read(data: bytes) -> Reading:
    opened = open_mail(data)
    assert why_no_bounce(opened) is None
    assert looks_like_bounce(opened) is not None
    reading = read_prose(opened)
    assert reading is not None
    return reading


def by_recipient(reading: Reading) -> dict[str, Failure]:
    return {failure.recipient or "": failure for failure in reading.failures}


CASES: list[dict[str, Any]] = tomllib.loads((Path(__file__).parent / "prose_cases.toml").read_text("utf-8"))["case"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_reads_the_format(case: dict[str, Any], line_end: str) -> None:
    body = case["body"].replace("{returned}", RETURNED).replace("{owner}", OWNER)
    head = {name: case[name] for name in ("sender", "subject") if name in case}
    extra = case["header"] + "\n" if "header" in case else ""
    reading = read(mail(body, extra=extra, **head).replace(b"\n", line_end.encode()))
    found = by_recipient(reading)
    assert set(found) == set(case["expected"])
    assert reading.reported_by == case.get("reported_by")
    for recipient, (status, code, host, words) in case["expected"].items():
        failure = found[recipient]
        assert failure.kind == case.get("kind", "failed")
        assert failure.status == (status or None)
        assert failure.reply_code == (code or None)
        assert failure.remote_host == (host or None)
        assert words in (failure.diagnostic or "")
        assert "\n" not in (failure.diagnostic or "")


@pytest.mark.parametrize(
    "written", ["(generated from pat@client.example)\n    ", "(expanded from <pat@client.example>): "]
)
def test_the_address_that_was_written_to(written: str) -> None:
    (failure,) = read(
        mail(f"<real@inner.example> {written}host mx.inner.example[203.0.113.9] said: 550 5.1.1 no\n")
    ).failures
    assert (failure.recipient, failure.original_recipient) == ("real@inner.example", "pat@client.example")
    assert failure.diagnostic == "550 5.1.1 no"


def test_the_returned_mail_names_no_recipient() -> None:
    returned = f"{RETURNED}\n<crew@example.com>:\nlater\n"
    body = f"<pat@client.example>:\nno such user\n\n----- Original message -----\n\n{returned}"
    assert set(by_recipient(read(mail(body)))) == {"pat@client.example"}


def test_the_sender_is_no_recipient_unless_nobody_else_is() -> None:
    others = read(mail(f"<{OWNER}>:\nsender refused\n\n<pat@client.example>:\n550 no\n"))
    assert set(by_recipient(others)) == {"pat@client.example"}
    oneself = read(mail(f"<{OWNER}>:\n552 5.2.2 mailbox full\n"))
    assert by_recipient(oneself)[OWNER].status == "5.2.2"


def test_a_bounce_without_recipients_is_left_to_others() -> None:
    assert read_prose(open_mail(mail("Something went wrong.\n"))) is None


def test_an_attached_report_goes_first() -> None:
    inner = "From: MAILER-DAEMON@x.example\nTo: pat@client.example\nContent-Type: message/delivery-status\n\n"
    data = (
        f"From: MAILER-DAEMON@out.example.net\nTo: {OWNER}\nSubject: Returned mail\nMIME-Version: 1.0\n"
        'Content-Type: multipart/mixed; boundary="b"\n\n--b\nContent-Type: text/plain\n\nSee below.\n\n--b\n'
        f"Content-Type: message/rfc822\n\n{inner}\n--b--\n"
    )
    opened = open_mail(data.encode())
    assert read_prose(opened) is None


@pytest.mark.parametrize(
    ("subject", "words", "kind"),
    [
        ("Delivery Status Notification (Delay)", "", "delayed"),
        ("Warning: could not send message for past 4 hours", "", "delayed"),
        ("Nachricht", "ihre nachricht wurde verzögert", "delayed"),
        ("配信遅延のお知らせ", "", "delayed"),
        ("failure notice", "it will be retried for 2 more days", "delayed"),
        ("failure notice", "it was delayed, but this is a permanent error", "failed"),
        ("Returned mail", "message could not be delivered for 5 days, will be deleted from queue", "failed"),
        ("Report", "delivery failed; will not continue trying", "failed"),
        (None, "user unknown", "failed"),
    ],
)
def test_delayed_or_failed(subject: str | None, words: str, kind: str) -> None:
    assert kind_of(subject, words) == kind


def test_every_delay_phrase_has_a_root() -> None:
    assert [words for root, group in DELAY_WORDS for words in group if root not in words] == []


def test_every_mark_of_a_format_can_be_found() -> None:
    assert all(mark == mark.lower() for _, mark in BY_TEXT)
    for index, (name, mark) in enumerate(BY_TEXT):
        hidden = [earlier for earlier, other in BY_TEXT[:index] if other in mark and earlier != name]
        assert hidden == [], f"{mark!r} of {name} is never reached"


@pytest.mark.parametrize(
    ("words", "host"),
    [
        ("host mx.client.example [203.0.113.9]: 550 no", "mx.client.example"),
        ("This is the mail system at host out.example.net.", None),
        ("DNS lookup failure: host client.example not found", None),
        ("MX.Client.Example[203.0.113.9] responded with failure: 552", "mx.client.example"),
        ("... while talking to mx.client.example.:", "mx.client.example"),
        ("<mx.client.example #5.1.1 smtp;550 5.1.1 no>", "mx.client.example"),
        ("connect to 203.0.113.9: timed out", "203.0.113.9"),
        ("rejected by mx.client.example. [203.0.113.9].", "mx.client.example"),
        ("User unknown", None),
    ],
)
def test_host_in_words(words: str, host: str | None) -> None:
    assert host_in(words) == host


def test_recipient_reason_fills_a_report() -> None:
    text = "<pat@client.example>: 550 5.1.1 no\n\n<kim@other.example>: 552 5.2.2 full\n"
    assert recipient_reason(text, "Kim@other.example") == "552 5.2.2 full"
    assert recipient_reason(text, "nobody@example.org") is None
    assert (
        recipient_reason("kim... Deferred: Connection refused\n", "kim@other.example") == "Deferred: Connection refused"
    )


def test_split_original_quoted_and_indented() -> None:
    quoted = "Sorry.\n\n" + "".join(f"> {line}\n" for line in RETURNED.splitlines())
    words, headers = split_original(quoted)
    assert words.strip() == "Sorry."
    assert headers is not None
    assert headers.startswith("Received: from mail.queenofsandiego.com")
    assert "Message-ID: <sail-1@queenofsandiego.com>" in headers
    assert "See you there" not in headers
    indented = "Original mail as follows:\n\n" + "".join(f"   {line}\n" for line in RETURNED.splitlines())
    assert split_original(indented) == ("", headers)


def test_split_original_of_words_only() -> None:
    text = "To: pat\nSubject: Saturday\nSent: Monday\n\ndid not reach the following recipient(s):\n"
    assert split_original(text) == (text, None)
    assert split_original("") == ("", None)


HOSTILE = {
    "one long word": "a" * 300_000,
    "addresses without end": "pat@client.example " * 20_000,
    "a line per address": "<pat@client.example>:\n" * 20_000,
    "at signs": "@" * 200_000,
    "brackets": "<" * 100_000 + ">" * 100_000,
    "headers without end": "Received: x\n" * 30_000,
    "quotation marks": "> " * 100_000,
    "dashes": ("-" * 1999 + "x\n") * 100,
    "words before a colon": ("word " * 400 + ":\n") * 100,
    "hashes": "#" * 200_000,
    "hosts": "host a." * 30_000,
    "replies": "550-5.1.1 no\n" * 20_000,
    "transcript": "<<< 550 no\n>>> RCPT TO:<a@b.example>\n" * 10_000,
    "original original": "original " * 30_000,
    "dividers": "original message\n" * 20_000,
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_words_are_bounded(name: str) -> None:
    opened = open_mail(mail(HOSTILE[name]))
    started = time.perf_counter()
    why_no_bounce(opened)
    looks_like_bounce(opened)
    read_prose(opened)
    told_failures(HOSTILE[name][:32768])
    split_original(HOSTILE[name])
    second_opinion(opened.data)
    assert time.perf_counter() - started < 2
