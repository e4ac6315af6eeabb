"""The real client pointed at the double, and the few shapes every test of the double needs."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import google_auth_httplib2
import httplib2
import pytest
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build_from_document
from googleapiclient.discovery_cache import get_static_doc
from googleapiclient.errors import HttpError

from tests.doubles.gmail import GmailDouble

ME: dict[str, Any] = {"userId": "me"}


def mail(subject: str = "Undeliverable: hello", **headers: str) -> bytes:
    lines = {"From": "Mail Delivery Subsystem <mailer-daemon@example.org>", "To": "jadasailing@gmail.com"} | headers
    text = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())
    return f"{text}Subject: {subject}\r\n\r\n550 5.1.1 no such user\r\n".encode()


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode()


def credentials_of(info: dict[str, Any], scopes: Sequence[str] | None = None) -> Any:
    """Real credentials; `from_authorized_user_info` would overwrite the token_uri with Google's own."""
    known = dict(info, scopes=scopes or info["scopes"], expiry=datetime.fromisoformat(info["expiry"][:-1]))
    return Credentials(**known)  # type: ignore[no-untyped-call]


def client_of(gmail: GmailDouble, *scopes: str, timeout: float = 5.0) -> Any:
    """The real client, moved to the double in the one place that moves calls and batches alike."""
    document = json.loads(get_static_doc("gmail", "v1"))
    document["rootUrl"] = f"{gmail.url}/"
    document.pop("mtlsRootUrl")
    credentials = credentials_of(gmail.token_info(scopes) if scopes else gmail.token_info())
    http = google_auth_httplib2.AuthorizedHttp(credentials, http=httplib2.Http(timeout=timeout))
    return build_from_document(document, http=http)


def refused(call: Any) -> tuple[int, str, str]:
    """Execute a call that must fail: status, reason and message of Gmail's error body."""
    with pytest.raises(HttpError) as caught:
        call.execute()
    error = json.loads(caught.value.content)["error"]
    return caught.value.resp.status, error["errors"][0]["reason"], error["message"]


def found(users: Any, q: str, **more: Any) -> set[str]:
    answer = users.messages().list(userId="me", q=q, **more).execute()
    return {row["id"] for row in answer.get("messages", [])}
