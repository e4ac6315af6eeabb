"""The table of docs/reliability.md says what becomes of each call and fault, because it is tried here."""

from __future__ import annotations

from functools import partial

import pytest

from tests.run import fault_table
from triage import run as worker
from triage.gmail.client import connect


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "connect", partial(connect, sleep=lambda _: None, timeout_seconds=2))


@pytest.mark.parametrize("name", fault_table.CALLS)
def test_a_call_that_goes_wrong_ends_as_the_document_says(name: str) -> None:
    healthy = fault_table.in_health()
    cells = fault_table.row(name, healthy)
    assert fault_table.line(name, cells) in fault_table.written(), "see what changed, then run `make docs`"
    lost = [cell for cell in cells if not cell.isdigit()]
    assert not lost, "nothing is lost or doubled, and the next run ends well"
    assert {int(cell) for cell in cells} <= {0, 1, 75, 77}
    if fault_table.CALLS[name].is_report:
        assert set(cells) == {"75"}, "it is due until it is done"


def test_the_document_has_a_row_for_each_call_and_no_other() -> None:
    assert len(fault_table.written()) == len(fault_table.CALLS) + 2
    assert fault_table.written()[:2] == fault_table.head().splitlines()
