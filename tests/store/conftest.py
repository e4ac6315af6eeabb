"""An empty database, made step by step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlite_utils import Database

from tests.worlds import template
from triage import store


@pytest.fixture(autouse=True)
def _step_by_step() -> Iterator[None]:
    """Here databases are made as the program makes them."""
    template.leave()
    yield
    template.use()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data/triage.db"


@pytest.fixture
def db(path: Path) -> Iterator[Database]:
    db = store.open_store(path)
    yield db
    db.close()
