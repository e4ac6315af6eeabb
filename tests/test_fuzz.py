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
    start, stop = sorted(data.draw(st.integers(0, len(mail))) for _ in range(2))
    put = data.draw(st.one_of(st.just(b""), st.binary(max_size=20), st.just(mail[:start]), st.just(mail[stop:])))
    mutilated = mail[:start] + put + mail[stop:]
    _judge(mutilated.replace(b"\n", data.draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))))
