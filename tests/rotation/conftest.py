"""One SMTP user with a key, its secret and a relay that takes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from remediation.credentials import derive_smtp_password
from tests.doubles.aws import REGION, AwsDouble
from tests.doubles.relay import RelayDouble
from tests.rotation.stage import SECRET, Stage


@pytest.fixture
def stage(aws: AwsDouble, tmp_path: Path) -> Iterator[Stage]:
    with RelayDouble(tmp_path) as relay:
        user = aws.make_smtp_user()
        login = {"username": user.key_id, "password": derive_smtp_password(user.secret, REGION), "host": "localhost"}
        aws.make_secret(login, name=SECRET)
        made = Stage(aws, relay, tmp_path, user)
        made.settings()
        yield made
