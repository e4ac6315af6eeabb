"""Any bytes, and any mutilation of any sample, give a verdict or a reason: never an exception, never a long wait."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parsers import parse
from triage.classify import classify

SAMPLES = [path.read_bytes() for path in sorted((Path(__file__).parent / "bounces").glob("*.eml"))]
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))
MOST_SECONDS = 2.0

often = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


def _judge(data: bytes) -> None:
    started = time.process_time()
    verdicts = classify(parse(data), "fuzz")
    assert verdicts
    for verdict in verdicts:
        json.dumps(verdict.record())
        assert verdict.cause or verdict.kind in ("auto-reply", "not-a-bounce", "delivered")
    assert time.process_time() - started < MOST_SECONDS


@often
@given(st.binary(max_size=2000))
def test_any_bytes(data: bytes) -> None:
    _judge(data)


@often
@given(st.data())
def test_any_mutilation_of_a_sample(data: st.DataObject) -> None:
    mail = data.draw(st.sampled_from(SAMPLES))
    for mutilate in data.draw(st.lists(st.sampled_from(MUTILATIONS), min_size=1, max_size=3)):
        mail = mutilate(data, mail)
    _judge(mail.replace(b"\n", data.draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))))


def _span(data: st.DataObject, mail: bytes) -> tuple[int, int]:
    start, stop = sorted(data.draw(st.integers(0, len(mail))) for _ in range(2))
    return start, stop


def _cut(data: st.DataObject, mail: bytes) -> bytes:
    """Lose a piece, which may be all of the end; or get other bytes in its place."""
    start, stop = _span(data, mail)
    return mail[:start] + data.draw(st.binary(max_size=20)) + mail[stop:]


def _repeat(data: st.DataObject, mail: bytes) -> bytes:
    start, stop = _span(data, mail)
    return mail[:stop] + mail[start:]


def _flip(data: st.DataObject, mail: bytes) -> bytes:
    flipped = bytearray(mail)
    for at in data.draw(st.lists(st.integers(0, max(0, len(mail) - 1)), max_size=20)) if mail else ():
        flipped[at] ^= 1 << data.draw(st.integers(0, 7))
    return bytes(flipped)


def _splice(data: st.DataObject, mail: bytes) -> bytes:
    """The beginning of one mail and the end of another."""
    other = data.draw(st.sampled_from(SAMPLES))
    return mail[: data.draw(st.integers(0, len(mail)))] + other[data.draw(st.integers(0, len(other))) :]


def _drop_lines(data: st.DataObject, mail: bytes) -> bytes:
    """Lose some of the first lines, which are mostly header fields."""
    lines = mail.split(b"\n")
    lost = data.draw(st.sets(st.integers(0, min(60, len(lines)) - 1), max_size=20))
    return b"\n".join(line for number, line in enumerate(lines) if number not in lost)


def _nest(data: st.DataObject, mail: bytes) -> bytes:
    """Attach it to another mail, as people forward things."""
    kind = data.draw(
        st.sampled_from([b"message/rfc822", b"text/rfc822-headers", b"message/delivery-status", b"text/html"])
    )
    head = b'From: pat@client.example\nSubject: Fwd: this\nContent-Type: multipart/mixed; boundary="n"\n\n--n\n'
    return head + b"Content-Type: " + kind + b"\n\n" + mail + b"\n--n--\n"


MUTILATIONS = (_cut, _repeat, _flip, _splice, _drop_lines, _nest)
