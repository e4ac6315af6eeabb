"""A Gmail double with a signed-in client of it, which never really waits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.gmail import GmailDouble
from tests.gmail.world import NOW
from triage.gmail.client import Gmail, connect


@pytest.fixture
def double(tmp_path: Path) -> Iterator[GmailDouble]:
    with GmailDouble() as double:
        double.write_credentials(tmp_path)
        yield double


@pytest.fixture
def sleeps() -> list[float]:
    """The waits the client wanted; it never really sleeps in these tests."""
    return []


@pytest.fixture
def gmail(double: GmailDouble, sleeps: list[float], tmp_path: Path) -> Iterator[Gmail]:
    gmail = connect(
        tmp_path / "token.json",
        url=double.url,
        timeout_seconds=2.0,
        sleep=sleeps.append,
        now=lambda: NOW,
        rand=lambda: 0.5,
    )
    yield gmail
    gmail.close()
