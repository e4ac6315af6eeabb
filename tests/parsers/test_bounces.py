"""Every mail of tests/bounces is judged exactly as the .json beside it says.

NAME.json holds the records `triage classify --jsonl` prints for NAME.eml. On a mismatch NAME.got.json is written for
reading (`make golden` accepts it). A mail without .json fails: nobody has said what is right.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from parsers import parse
from tests.golden import as_text, differences
from triage.judging.verdict import classify

FOLDER = Path(__file__).parents[1] / "bounces"
MAILS = sorted(FOLDER.glob("*.eml"))
NAMES = [mail.stem for mail in MAILS]


def test_there_are_pairs() -> None:
    """A glob that finds nothing, or a half of a pair, is a broken test and not a passed one."""
    expected = {path.stem for path in FOLDER.glob("*.json") if not path.name.endswith(".got.json")}
    assert NAMES, f"no mail in {FOLDER}"
    assert set(NAMES) - expected == set(), "mails without the .json that says what is right"
    assert expected - set(NAMES) == set(), "expectations without their mail"


@pytest.mark.parametrize("name", NAMES)
def test_judged_as_written(name: str) -> None:
    """With LF as stored, and the same with the CRLF of the wire."""
    data = (FOLDER / f"{name}.eml").read_bytes()
    wanted = _expected(name)
    got = _judge(data, name)
    got_file = FOLDER / f"{name}.got.json"
    if got != wanted:
        got_file.write_text(as_text(got), encoding="utf-8")
        pytest.fail("\n".join([f"{got_file.name} differs from {name}.json:", *differences(wanted, got)]))
    got_file.unlink(missing_ok=True)
    assert differences(wanted, _judge(_with_line_ends(data, b"\r\n"), name)) == [], "with CRLF"


@pytest.mark.parametrize("name", NAMES)
def test_judged_alike_with_carriage_returns(name: str) -> None:
    """Bare CR as line end (old Macs, broken exports) is no standard; the records are the same nevertheless."""
    data = (FOLDER / f"{name}.eml").read_bytes()
    assert differences(_judge(data, name), _judge(_with_line_ends(data, b"\r"), name)) == []


def _expected(name: str) -> list[dict[str, Any]]:
    path = FOLDER / f"{name}.json"
    assert path.exists(), f"{path.name} is missing: write what is right, or run, read and accept (make golden)"
    records: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    assert records, f"{path.name} expects nothing"
    return records


def _judge(data: bytes, name: str) -> list[dict[str, Any]]:
    records = [verdict.as_dict() for verdict in classify(parse(data), f"bounces/{name}.eml")]
    # As it is printed: a record that JSON cannot carry unchanged is no record.
    return json.loads(json.dumps(records, ensure_ascii=False))  # type: ignore[no-any-return]


def _with_line_ends(data: bytes, line_end: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", line_end)
