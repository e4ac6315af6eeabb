"""An empty database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlite_utils import Database

from triage import store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data/triage.db"


@pytest.fixture
def db(path: Path) -> Iterator[Database]:
    db = store.open_store(path)
    yield db
    db.close()
