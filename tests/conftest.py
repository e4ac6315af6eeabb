"""Fixtures that more than one test file needs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlite_utils import Database

from remediation.aws import Turns, ses
from tests import browser
from tests.doubles.gmail import GmailDouble
from tests.worlds import forked, template
from triage import store
from triage.config import Settings, load_settings

if TYPE_CHECKING:
    from tests.doubles.aws import AwsDouble

os.environ["TZ"] = "UTC"  # what a command prints must not depend on where the tests run
time.tzset()
os.umask(0o022)  # what others could write is not followed, and some systems let the group write by default
template.use()  # nobody waits for the same steps in each test
ses.TURNS = Turns(0)  # nobody waits a second between two look-ups


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


@pytest.fixture
def gmail() -> Iterator[GmailDouble]:
    with GmailDouble() as double:
        yield double


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    opened = store.open_store(tmp_path / "triage.db")
    yield opened
    opened.close()


@pytest.fixture
def plain(tmp_path: Path) -> Settings:
    """Nothing is set, and nobody is told."""
    (tmp_path / "triage.toml").write_text("alert_inbox = false\n")
    return load_settings(tmp_path / "triage.toml", {})


@pytest.fixture(scope="module")
def page() -> Iterator[browser.Browser]:
    """A browser without a window; only for tests that are marked `browser`."""
    program = browser.find()
    assert program is not None
    with browser.Browser(program) as opened:
        yield opened
