"""A mailbox, SES, and a database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.doubles.gmail import GmailDouble
from tests.doubles.ses import SesDouble
from tests.outbox.world import REGION, World, a_setting
from tests.resend.world import aws_env
from triage import store
from triage.gmail.client import connect
from triage.outbox.relay import ses_relay


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with GmailDouble() as double, SesDouble() as ses:
        double.write_credentials(tmp_path)
        for name, value in aws_env(ses).items():
            monkeypatch.setenv(name, value)
        ses.add_identity("queenofsandiego.com", REGION)
        with (
            closing(store.open_store(tmp_path / "triage.db")) as db,
            closing(connect(tmp_path / "token.json", url=double.url, sleep=lambda _: None)) as gmail,
        ):
            yield World(tmp_path, double, gmail, ses, db, a_setting(tmp_path), ses_relay(REGION))
