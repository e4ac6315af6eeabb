"""`from triage import judge`: what docs/python.md promises, and that the command line judges with nothing else."""

from __future__ import annotations

import ast
import json
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_type_hints

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import triage
from triage import RECORD_VERSION, Verdict, VerdictRecord, judge
from triage.errors import UsageError
from triage.judging import Speaker

ROOT = Path(__file__).parents[2]
BOUNCES = sorted((ROOT / "tests" / "bounces").glob("*.eml"))
NOTICE = ROOT / "tests" / "bounces" / "gmail-alias-ses-535.eml"

KEYS_OF_VERSION_1 = {
    *("source", "kind", "recipient", "original_recipient", "category", "cause", "side", "actor", "permanent", "reason"),
    *("status", "reply_code", "diagnostic", "platform", "remote_host", "reported_by", "original", "genuine", "rule"),
    *("evidence", "fix", "links", "why"),
}


def test_the_example_of_the_docs_runs_in_a_fresh_python() -> None:
    text = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len([line for line in example.splitlines() if line.strip()]) <= 10
    done = subprocess.run([sys.executable, "-W", "error", "-c", example], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert "alias-credentials-rejected own" in lines[0]
    assert lines[1].startswith("- ")
    assert lines[-1] == "recipient-unknown"


def test_a_mail_is_the_same_as_bytes_and_as_a_file() -> None:
    by_path, by_bytes = judge(NOTICE), judge(NOTICE.read_bytes(), source=str(NOTICE))
    assert by_path == by_bytes
    assert by_path[0].source == str(NOTICE)
    wanted = json.loads(NOTICE.with_suffix(".json").read_text(encoding="utf-8"))
    wanted = wanted if isinstance(wanted, list) else [wanted]
    assert [verdict.cause for verdict in by_path] == [one["cause"] for one in wanted]


def test_a_file_of_several_mails_gives_the_verdicts_of_all(tmp_path: Path) -> None:
    box = tmp_path / "two.mbox"
    other = b"\n\nFrom b Mon Nov 23 10:00:01 2026\nSubject: x\n\ny\n"
    box.write_bytes(b"From a Mon Nov 23 10:00:00 2026\n" + NOTICE.read_bytes() + other)
    assert [verdict.source for verdict in judge(box)] == [f"{box}#1", f"{box}#2"]


def test_a_file_that_is_not_there_is_told_and_another_type_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        judge(tmp_path / "none.eml")
    with pytest.raises(TypeError, match="bytes, a path, or a pasted text; not int"):
        judge(17)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", BOUNCES, ids=lambda path: path.stem)
def test_attributes_say_what_the_record_says(path: Path) -> None:
    """Also of hostile mails: whoever prints an attribute prints nothing that harms."""
    for verdict in judge(path.read_bytes()):
        record = verdict.as_dict()
        for key, value in record.items():
            if key != "original":
                assert getattr(verdict, key) == value, key
        if verdict.original is not None and record["original"] is not None:
            assert verdict.original.sender == record["original"]["from"]
            assert verdict.original.subject == record["original"]["subject"]


def test_the_keys_of_the_record_belong_to_its_version() -> None:
    """A key that goes away breaks somebody's program: then the version goes up, and this set is a new one."""
    assert RECORD_VERSION == 1
    assert set(get_type_hints(VerdictRecord)) >= KEYS_OF_VERSION_1
    assert set(judge(NOTICE)[0].as_dict()) <= KEYS_OF_VERSION_1
    assert f"version {RECORD_VERSION}" in (ROOT / "docs" / "python.md").read_text(encoding="utf-8")


def test_a_verdict_can_be_pickled_and_not_changed() -> None:
    [verdict] = judge(NOTICE.read_bytes())
    again = pickle.loads(pickle.dumps(verdict))
    assert isinstance(again, Verdict)
    assert again == verdict
    assert again.as_dict() == verdict.as_dict()
    with pytest.raises(AttributeError):
        verdict.cause = "unknown"  # type: ignore[misc]


COLD_THREADS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from triage import judge
mails = [path.read_bytes() for path in sorted(Path("tests/bounces").glob("*.eml"))[:60]] * 4
sys.setswitchinterval(1e-5)
with ThreadPoolExecutor(8) as pool:
    found = list(pool.map(judge, mails))
assert found == [judge(mail) for mail in mails]
print(sum(map(len, found)))
"""

PROCESSES = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from triage import judge
if __name__ == "__main__":
    mails = [path.read_bytes() for path in sorted(Path("tests/bounces").glob("*.eml"))[:40]]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = list(pool.map(judge, mails, chunksize=5))
    assert found == [judge(mail) for mail in mails]
    print(sum(map(len, found)))
"""


@pytest.mark.parametrize("code", [COLD_THREADS, PROCESSES], ids=["threads", "processes"])
def test_threads_and_processes_say_the_same_as_one(code: str, tmp_path: Path) -> None:
    """In a Python of its own, where nothing is loaded yet: threads then load rules and code at the same time."""
    script = tmp_path / "many.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, str(script)], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.stderr == ""
    assert int(done.stdout) >= 40


def test_nothing_is_kept_from_one_mail_for_the_next() -> None:
    mails = [path.read_bytes() for path in BOUNCES]
    forwards = [judge(mail) for mail in mails]
    with ThreadPoolExecutor(2) as pool:
        backwards = list(pool.map(judge, reversed(mails)))
    assert forwards == backwards[::-1]


LINES = st.text(max_size=300) | st.from_regex(r"[2-5]\d\d[- ]([245]\.\d{1,3}\.\d{1,3})?.{0,80}")
SPEAKERS = st.sampled_from([None, "recipient", "relay"])


@settings(max_examples=150, deadline=None)
@given(LINES, SPEAKERS)
@example(">", None)  # a mark of quotation with nothing behind it
def test_any_text_gets_an_answer(text: str, said_by: Speaker | None) -> None:
    for verdict in judge(text, said_by=said_by):
        assert verdict.source == "pasted text"
        assert verdict.genuine in (None, "unknown")
        assert json.dumps(verdict.as_dict())


def test_the_public_names_are_there_and_no_others() -> None:
    assert set(triage.__all__) == {"RECORD_VERSION", "Verdict", "VerdictRecord", "judge"}
    assert set(triage.__all__) <= set(dir(triage))
    with pytest.raises(AttributeError, match="no attribute 'classify'"):
        _ = triage.classify


def _asks_for(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize(
    "name", ["judging/files.py", "owner/explain_lookup.py", "owner/explain_copy.py", "cli/program.py", "cli/files.py"]
)
def test_the_command_line_judges_files_with_nothing_else(name: str) -> None:
    assert "classify" not in set(_asks_for(ROOT / "triage" / name))


@pytest.mark.parametrize("package", ["triage", "parsers", "remediation"])
def test_the_types_are_offered_to_checkers(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
    assert '"py.typed"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
