"""Every benchmark runs and fills its rows; with sizes as small as these the figures themselves say nothing."""

from __future__ import annotations

import pytest

from benchmarks.__main__ import BENCHMARKS, main
from benchmarks.measure import Row, at_least, within

FIXED = {"quota", "hostile"}
"""What these count does not depend on how busy the machine is (three small mails, requests at a double)."""


@pytest.mark.parametrize("name", BENCHMARKS)
def test_it_measures_something(name: str) -> None:
    rows = list(BENCHMARKS[name](True, None))
    assert rows
    for row in rows:
        assert row.what
        assert any(digit in row.measured for digit in "123456789"), row
        assert (row.is_ok is None) or row.budget
    if name in FIXED:
        assert [row for row in rows if row.is_ok is not True] == []


def test_a_missed_budget_is_said_and_is_the_exit_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [within("slow", 3, 2, "s"), at_least("fast", 3, 2, "x"), Row("a figure", "1", "", None)]
    monkeypatch.setitem(BENCHMARKS, "made up", lambda quick, folder: iter(rows))
    assert main(["--only", "made up"]) == 1
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[-1] for line in lines] == ["ok?", "MISSED", "yes", "1", "missed"]
    del rows[0]
    assert main(["--only", "made up"]) == 0


@pytest.mark.parametrize("arguments", [["no-such-folder"], ["--only", "nonsense"], ["a", "b"]])
def test_wrong_arguments_measure_nothing(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "Nothing was measured" in capsys.readouterr().out
