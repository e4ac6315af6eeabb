"""Fixtures that more than one test file needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests import forked

if TYPE_CHECKING:
    from tests.doubles.aws import AwsDouble


@pytest.fixture(scope="session")
def _aws_of_process() -> Iterator[AwsDouble]:
    from tests.doubles.aws import AwsDouble

    double = AwsDouble()
    yield double
    double.stop()


@pytest.fixture(scope="session", autouse=True)
def _end_of_forked() -> Iterator[None]:
    yield
    forked.stop()


@pytest.fixture
def aws(_aws_of_process: AwsDouble, monkeypatch: pytest.MonkeyPatch) -> AwsDouble:
    """An empty AWS on loopback that this process is pointed at; `aws.env` points a subprocess there."""
    _aws_of_process.reset()
    for name, value in _aws_of_process.env.items():
        monkeypatch.setenv(name, value)
    return _aws_of_process
