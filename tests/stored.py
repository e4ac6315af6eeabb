"""An empty database with settings beside it, and all that is in a database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from triage import store
from triage.config import Settings, load_settings


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    opened = store.open_store(tmp_path / "triage.db")
    yield opened
    opened.close()


@pytest.fixture
def plain(tmp_path: Path) -> Settings:
    """Nothing is set."""
    (tmp_path / "triage.toml").write_text("")
    return load_settings(tmp_path / "triage.toml", {})


def every_verdict(db: Database) -> list[dict[str, Any]]:
    """The verdicts on all mails, in the order in which the mails came in."""
    mails = [row["id"] for row in db.query("SELECT id FROM mails ORDER BY id")]
    return [verdict for mail_id in mails for verdict in store.verdicts_of(db, mail_id)]
