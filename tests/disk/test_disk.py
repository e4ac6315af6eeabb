"""A run meets a disk that is full or broken at a write here and there: nothing is lost, nothing comes twice.

At every write: `make disk-faults`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from tests.disk import sweep

undisturbed = cache(sweep.undisturbed)

pytestmark = pytest.mark.skipif(
    sweep.compiler() is None, reason="NOT RUN: a failing disk needs Linux and a C compiler (`cc`)"
)


@pytest.fixture(scope="module", autouse=True)
def _faulty_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with sweep.faulty_disk(tmp_path_factory.mktemp("faulty")):
        yield


@pytest.mark.parametrize("is_old", [False, True], ids=["first run", "later run"])
@pytest.mark.parametrize("number", range(len(sweep.FAULTS)), ids=[fault.name for fault in sweep.FAULTS])
def test_a_disk_that_fails_loses_nothing_and_is_told(number: int, is_old: bool) -> None:
    wanted, writes = undisturbed(is_old)
    assert writes > 200
    met = sweep.meet(sweep.FAULTS[number], int(writes * (0.3 + 0.17 * number)), wanted, is_old=is_old)
    assert met.failed > 0
    assert met.problems == []


def test_what_is_lost_is_seen() -> None:
    wanted, writes = undisturbed(True)
    lost: dict[str, Any] = wanted | {"verdicts": wanted["verdicts"][1:]}
    met = sweep.meet(sweep.FAULTS[3], writes // 2, lost, is_old=True)
    assert met.code == 78
    assert [problem.split(":")[0] for problem in met.problems] == ["verdicts"]
