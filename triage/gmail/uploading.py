"""A mail handed to Gmail beside the JSON instead of in it, which Gmail refuses from about a megabyte on.

"Request payload size exceeds the limit: 1048576 bytes" (github.com/googleapis/google-api-dotnet-client/issues/856), 413
above some 6 MB (google-api-go-client/issues/374, google-api-nodejs-client/issues/1491); uploaded it may have 150 MB to
be inserted and 35 MB as a draft (`mediaUpload` of Google's discovery document). Google's word for this form:
developers.google.com/workspace/gmail/api/guides/uploads, "Multipart upload".
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

MOST_IN_JSON = 700_000
"""Bytes of a mail that fit into a request of a megabyte in base64."""


def with_mail(method: Callable[..., Any], message: dict[str, Any], raw: bytes, inside: str | None = None) -> Any:
    """The request of a method that takes a mail; `message` says where it belongs, `inside` the field that holds it."""
    if len(raw) <= MOST_IN_JSON:
        message = message | {"raw": base64.urlsafe_b64encode(raw).decode("ascii")}
    body = {inside: message} if inside else message
    request = method(userId="me", body=body)
    return request if "raw" in message else _uploading(request, body, raw)


def _uploading(request: Any, body: dict[str, Any], raw: bytes) -> Any:
    # Longer than a mail can hold by chance, and the same for the same mail.
    boundary = f"triage-{hashlib.sha256(raw).hexdigest()}"
    parts = (
        f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{json.dumps(body)}\r\n"
        f"--{boundary}\r\nContent-Type: message/rfc822\r\n\r\n"
    )
    request.body = parts.encode() + raw + f"\r\n--{boundary}--\r\n".encode()
    request.body_size = len(request.body)
    request.headers["content-type"] = f'multipart/related; boundary="{boundary}"'
    whole = urlsplit(request.uri)
    request.uri = urlunsplit(whole._replace(path=f"/upload{whole.path}", query=f"{whole.query}&uploadType=multipart"))
    return request
