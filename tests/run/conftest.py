"""A run over a Gmail double, and what the database says after it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.gmail import GmailDouble
from tests.worlds.run_world import ask, clock, settings_over
from triage import run as worker
from triage.config import Settings
from triage.model import RunSummary


@pytest.fixture
def settings(gmail: GmailDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return settings_over(gmail, tmp_path, monkeypatch, "notes = false\n")  # see tests/letters/test_note_run.py


@pytest.fixture
def work(settings: Settings) -> Callable[..., RunSummary]:
    """Do one run, at the one moment these tests know."""
    return partial(worker.run, settings, clock)


@pytest.fixture
def query(settings: Settings) -> Callable[[str], list[dict[str, Any]]]:
    """Ask the database after a run."""
    return partial(ask, settings)
