"""A mailbox, SES, and bounced mails to send once more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.doubles.gmail import GmailDouble
from tests.doubles.ses import SesDouble
from tests.resend.world import REGION, World, aws_env
from triage import store
from triage.gmail.client import connect


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with GmailDouble() as double, SesDouble() as ses:
        double.write_credentials(tmp_path)
        env = aws_env(ses)
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        ses.add_identity("queenofsandiego.com", REGION)
        with (
            closing(store.open_store(tmp_path / "triage.db")) as db,
            closing(connect(tmp_path / "token.json", url=double.url, sleep=lambda _: None)) as gmail,
        ):
            yield World(tmp_path, double, gmail, ses, db)
