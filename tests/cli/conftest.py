"""A home folder to run the real command line in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.home import ALIAS, EXCHANGE, Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def judged(home: Home) -> Home:
    home.copy(ALIAS, EXCHANGE)
    assert home.triage("run", "--database", "triage.db", "--mailbox", "mails").returncode == 0
    return home
