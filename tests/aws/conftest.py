"""An endpoint in trouble that this process is pointed at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.aws.troubled import Troubled, point_at


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[float, Troubled]]:
    """One server for each time-out, because clients are kept by address and making one takes a tenth of a second."""
    with Troubled() as patient, Troubled() as impatient:
        yield {10.0: patient, 0.05: impatient}


@pytest.fixture
def troubled(servers: dict[float, Troubled], monkeypatch: pytest.MonkeyPatch) -> Troubled:
    return point_at(servers[10.0], 10.0, monkeypatch)
