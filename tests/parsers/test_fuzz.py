"""Any bytes, and any mutilation of any sample, give a verdict or a reason: never an exception, never a long wait.

What is said is plain text that a terminal, a database and JSON take. `make fuzz` looks longer, each time elsewhere.
"""

from __future__ import annotations

import io
import json
import os
import re
import time
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from benchmarks.hostile_mails import PIECES
from parsers import parse
from tests.parsers.mutilations import MUTILATIONS, SAMPLES, STRANGERS, Mutilation, mutilate
from triage.judging.files import json_line, judge_mails
from triage.judging.verdict import MAX_DIAGNOSTIC, MAX_FIELD, MAX_SUBJECT, classify
from triage.mailbox import LocalMail, split_mbox

WANTED = os.environ.get("FUZZ_EXAMPLES")
EXAMPLES = int(WANTED or 1000)
"""Of mails broken in several ways; the other tests have a share of as many."""
MOST_SECONDS = 2.0
MAX_STEP = 3000
"""Characters of a step of a fix: our own words with a few values of at most 200 in them."""

a_sample = st.sampled_from(sorted(SAMPLES))
chance = st.randoms(use_true_random=False)
"""Chance that hypothesis remembers and makes smaller."""

# Lines of real mails and what is made to trouble readers: more likely to mean something than bytes are.
LINES = sorted({line + b"\n" for mail in SAMPLES.values() for line in mail.split(b"\n") if len(line) < 120})
tokens = st.sampled_from([*LINES, *PIECES, *(stranger.encode() for stranger in STRANGERS)])


def often(share: float) -> settings:
    """The same examples at each run, so that a change is never blamed by chance; other ones in `make fuzz`."""
    return settings(
        max_examples=max(1, round(EXAMPLES * share)),
        derandomize=WANTED is None,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def _judge(data: bytes) -> None:
    started = time.process_time()
    found = parse(data)
    verdicts = classify(found, "fuzz")
    records = [verdict.as_dict() for verdict in verdicts]
    seconds = time.process_time() - started
    assert verdicts
    for _, text in _texts([found, records]):
        text.encode()  # no lone surrogates
    for verdict, record in zip(verdicts, records, strict=True):
        assert verdict.cause or verdict.kind in ("auto-reply", "not-a-bounce", "delivered")
        assert verdict.cause or verdict.kind == "delivered" or record["why"]
        assert json.loads(json.dumps(record)) == record
        for name, text in _texts(record):
            assert text.isprintable(), name
            assert 0 < len(text) <= _cap(name), name
    assert seconds < MOST_SECONDS


def _texts(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a record, with the name of its field."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, key)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner, name)


def _cap(name: str) -> int:
    return {"diagnostic": MAX_DIAGNOSTIC, "subject": MAX_SUBJECT, "fix": MAX_STEP}.get(name, MAX_FIELD)


# What was found once, made small -> a mail with it.
HEAD = (
    b"From: mailer-daemon@example.org\nSubject: Undelivered Mail Returned to Sender\nContent-Type: text/plain; charset="
)
FOUND = {
    "a NUL in the name of a charset": HEAD + b"iso-2022-jp\0\n\n<a@b.example>: unknown",
    "a charset that is none and warns": HEAD + b"unicode_escape\n\n<a@b.example>: unknown \\q",
    "a charset of quadratic time": HEAD + b"punycode\n\n" + b"ab" * 100 + b"-" + b"a" * 200_000,
    "blanks in angle brackets that never close": b"From: mailer-daemon@example.org\nSubject: Undelivered\n"
    + b"".join(name + b": <a" + b" " * 16_300 + b"x\n" for name in (b"Message-ID", b"References", b"In-Reply-To"))
    + b"\n<a@b.example>: unknown",
    "a title of blanks": b"From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>\n"
    b"Subject: Delivery Status Notification\nX-Failed-Recipients: a@b.example\n\n****" + b" " * 100_000 + b"x",
    "a character of 5,000 digits": b"From: mailer-daemon@example.org\nContent-Type: text/html\n\n&#"
    + b"1" * 5000
    + b";",
    "half a character in a charset": HEAD + b"utf-7\n\n<a+2AA-@b.example>: unknown+2AA-",
    "half a character in a word": b"From: mailer-daemon@a.example\nSubject: Undelivered =?utf-7?q?+2AA-?=\n\n"
    b"<a@b.example>: unknown",
    "half a character in JSON": b'x-amz-sns-message-id: 1\n\n{"notificationType": "Bounce", "mail": '
    b'{"messageId": "\\ud800"}, "bounce": {"bouncedRecipients": [{"emailAddress": "a\\ud800@b.example"}]}}',
    "half a character in an address": b"From: mailer-daemon@a.example\nContent-Type: message/delivery-status\n\n"
    b"Reporting-MTA: dns; a.example\n\nFinal-Recipient: utf-8; a\\x{D800}@b.example\nAction: failed\nStatus: 5.1.1\n",
    "a time that is in the year 0 in UTC": b'x-amz-sns-message-id: 1\n\n{"notificationType": "Bounce", "mail": '
    b'{"timestamp": "0001-01-01T00:00:00+14:00"}, "bounce": {"bouncedRecipients": [{"emailAddress": "a@b.example"}]}}',
}


@pytest.mark.parametrize("mail", FOUND.values(), ids=FOUND)
def test_what_was_found_once(mail: bytes) -> None:
    _judge(mail)


@often(0.4)
@given(st.binary(max_size=2000))
def test_any_bytes(data: bytes) -> None:
    _judge(data)


@often(0.4)
@given(st.lists(tokens, max_size=60))
def test_anything_that_looks_like_a_mail(pieces: list[bytes]) -> None:
    _judge(b"".join(pieces))


@pytest.mark.parametrize("change", MUTILATIONS, ids=lambda change: change.__name__)
def test_one_mutilation(change: Mutilation) -> None:
    changed = 0

    @often(0.02)
    @given(a_sample, chance)
    def judge_changed(name: str, random: Random) -> None:
        nonlocal changed
        mail = change(SAMPLES[name], random)
        changed += mail != SAMPLES[name]
        _judge(mail)

    judge_changed()
    assert changed, "it changes nothing"


@often(1)
@given(a_sample, chance)
def test_several_mutilations(name: str, random: Random) -> None:
    mail, done = mutilate(SAMPLES[name], random)
    note(f"{', '.join(done)}: {mail!r}")
    _judge(mail)


@often(0.05)
@given(st.lists(a_sample, min_size=1, max_size=8), chance)
def test_no_mail_is_lost(names: list[str], random: Random) -> None:
    """As many come out as went in, each judged, given one by one or in an mbox."""
    mails = [mutilate(SAMPLES[name], random)[0] for name in names]
    box = b"".join(b"From x Tue Nov 24 09:00:00 2026\n" + _quoted(mail) + b"\n\n" for mail in mails)
    unpacked = list(split_mbox(io.BytesIO(box), "box"))
    assert [mail.data for mail in unpacked] == [mail + b"\n" for mail in mails]
    for given_mails in ([LocalMail(f"{number}.eml", mail) for number, mail in enumerate(mails)], unpacked):
        (block,) = judge_mails(given_mails, json_line)
        assert block.unreadable == []
        assert block.mails == len(mails)
        sources = [json.loads(line)["source"] for line in block.text.split("\n")[:-1]]
        assert list(dict.fromkeys(sources)) == [mail.source for mail in given_mails]


def _quoted(mail: bytes) -> bytes:
    """As mboxrd quotes what would look like a separator."""
    return re.sub(rb"^(>*From )", rb">\1", mail, flags=re.MULTILINE)
