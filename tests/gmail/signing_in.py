"""Signing in at the double's OAuth endpoints, without a browser."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.gmail import GmailDouble
from triage.gmail.client import Gmail, connect
from triage.gmail.sign_in import authorize


@pytest.fixture
def double(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GmailDouble]:
    """A Gmail with a client file, and nobody signed in yet."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    monkeypatch.delenv("OAUTHLIB_RELAX_TOKEN_SCOPE", raising=False)
    with GmailDouble() as double:
        double.write_credentials(tmp_path)
        (tmp_path / "token.json").unlink()
        yield double


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def redirected(url: str) -> str:
    """Where a browser ends up that consents at this address."""
    try:
        with urllib.request.build_opener(NoRedirect).open(url, timeout=5):
            raise AssertionError("no redirect")
    except urllib.error.HTTPError as answer:
        with answer:
            return str(answer.headers["Location"])


def sign_in(folder: Path, change: Callable[[str], str] = lambda address: address) -> list[str]:
    """A headless sign-in in which the user pastes the address the browser ended on, changed by `change`."""
    shown: list[str] = []

    def paste(_: str) -> str:
        return change(redirected(next(line for line in shown if line.startswith("http"))))

    authorize(folder / "credentials.json", folder / "token.json", headless=True, paste=paste, show=shown.append)
    return shown


def connect_to(double: GmailDouble, token: Path) -> closing[Gmail]:
    """A client of the double that never waits, closed at the end."""
    return closing(connect(token, url=double.url, sleep=lambda _: None))
