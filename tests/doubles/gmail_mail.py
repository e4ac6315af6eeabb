"""What Gmail sees in the bytes of a mail: words to search, headers, the MIME tree, a snippet.

Never raises on any bytes. Knows nothing of labels, threads or requests.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Any, TypeAlias

JSON = dict[str, Any]
Mime: TypeAlias = "Message[str, str]"

_FIELDS = {
    "from": "From",
    "to": "To",
    "cc": "Cc",
    "bcc": "Bcc",
    "subject": "Subject",
    "deliveredto": "Delivered-To",
    "list": "List-Id",
}


@dataclass(frozen=True, slots=True)
class SearchView:
    """A mail as the search sees it; every text is lower-case words between single spaces, padded (see `words`)."""

    words: dict[str, str]
    message_id: str | None
    size: int
    has_attachment: bool


def read_headers(raw: bytes) -> Mime:
    """The mail without its body parsed: enough for threading, and cheap for large mails."""
    return BytesHeaderParser().parsebytes(raw)


def words(text: str) -> str:
    """Whole words, split at every symbol, as one padded string: `needle in haystack` is then a phrase match."""
    return " " + " ".join(re.findall(r"[^\W_]+", text.lower())) + " "


def search_view(raw: bytes) -> SearchView:
    """Index one mail. Returned mails and delivery reports inside are not text of the mail itself."""
    mail = message_from_bytes(raw)
    leaves = [part for _, part in _own_parts(mail)]
    names = [name for part in leaves if (name := filename(part))]
    indexed = {field: words(" ".join(headers_of(mail, header))) for field, header in _FIELDS.items()}
    indexed["filename"] = words(" ".join(names))
    indexed["text"] = words(
        " ".join([*(indexed[key] for key in ("subject", "from", "to", "cc")), *map(_text, leaves), *names])
    )
    return SearchView(indexed, message_id(mail), len(raw), bool(names))


def message_id(mail: Mime) -> str | None:
    """The mail's own Message-ID without angle brackets."""
    ids = ids_in(mail, "Message-ID")
    return ids[0] if ids else None


def ids_in(mail: Mime, *headers: str) -> list[str]:
    """All message ids in these headers, without angle brackets, as written."""
    text = " ".join(value for header in headers for value in headers_of(mail, header))
    return re.findall(r"<([^<>\s]+)>", text) or text.split()


def headers_of(mail: Mime, name: str) -> list[str]:
    """Every value of a header, decoded (RFC 2047) and unfolded."""
    return [_decoded(str(value)) for value in mail.get_all(name, [])]


def base_subject(mail: Mime) -> str:
    """The subject without reply and forward marks, as threading compares it."""
    subject = " ".join(" ".join(headers_of(mail, "Subject")).split()).casefold()
    return re.sub(r"^((re|fwd?|aw|wg)(\[\d+\])?:\s*)+", "", subject)


def addresses_in(mail: Mime, header: str) -> list[str]:
    return re.findall(r"[^\s<>\",;:()]+@[^\s<>\",;:()]+", " ".join(headers_of(mail, header)).lower())


def snippet(raw: bytes) -> str:
    """The first words of the text, HTML-escaped as Gmail does."""
    text = " ".join(_text(part) for _, part in _own_parts(message_from_bytes(raw)))
    return html.escape(" ".join(text.split())[:200])


def payload(raw: bytes, owner: str) -> JSON:
    """The MIME tree of `format=full`; `owner` is the message id the attachment ids are made from."""
    return _part(message_from_bytes(raw), "", owner)


def headers_only(raw: bytes, wanted: list[str]) -> JSON:
    """The payload of `format=metadata`: headers untouched and in order, all or only the wanted ones (any case)."""
    mail = message_from_bytes(raw)
    names = {name.lower() for name in wanted}
    headers = [header for header in _headers(mail) if not names or header["name"].lower() in names]
    return {"mimeType": mail.get_content_type(), "headers": headers}


def attachment(raw: bytes, owner: str, attachment_id: str) -> bytes | None:
    """The decoded bytes of one part, or None where that id names no part of this message."""
    for part_id, part in _all_parts(message_from_bytes(raw)):
        if _attachment_id(owner, part_id) == attachment_id:
            return _content(part)
    return None


def filename(part: Mime) -> str | None:
    name = part.get_filename()
    return _decoded(name) if name else None


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


def _part(part: Mime, part_id: str, owner: str) -> JSON:
    children = _children(part, part_id)
    tree: JSON = {
        "partId": part_id,
        "mimeType": part.get_content_type(),
        "filename": filename(part) or "",
        "headers": _headers(part),
    }
    if children:
        return tree | {"body": {"size": 0}, "parts": [_part(child, child_id, owner) for child_id, child in children]}
    data = _content(part)
    if part.get_content_maintype() == "text" and not tree["filename"]:
        return tree | {"body": {"size": len(data), "data": base64url(data)}}
    return tree | {"body": {"size": len(data), "attachmentId": _attachment_id(owner, part_id)}}


def _headers(part: Mime) -> list[dict[str, str]]:
    return [{"name": name, "value": re.sub(r"\r?\n", "", str(value))} for name, value in part.items()]


def _children(part: Mime, part_id: str) -> list[tuple[str, Mime]]:
    inner = part.get_payload()
    # delivery-status is a list of header blocks for Python, one leaf for Gmail.
    if not isinstance(inner, list) or part.get_content_type() == "message/delivery-status":
        return []
    prefix = f"{part_id}." if part_id else ""
    return [(f"{prefix}{number}", child) for number, child in enumerate(inner) if isinstance(child, Message)]


def _all_parts(part: Mime, part_id: str = "") -> Iterator[tuple[str, Mime]]:
    yield part_id, part
    for child_id, child in _children(part, part_id):
        yield from _all_parts(child, child_id)


def _own_parts(part: Mime, part_id: str = "") -> Iterator[tuple[str, Mime]]:
    """The leaves of this mail, without looking into mails it carries."""
    children = [] if part.get_content_maintype() == "message" else _children(part, part_id)
    if not children:
        yield part_id, part
    for child_id, child in children:
        yield from _own_parts(child, child_id)


def _content(part: Mime) -> bytes:
    if isinstance(part.get_payload(), list):
        return "\n".join(str(block) for block in part.get_payload()).encode("utf-8", "surrogateescape")
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _text(part: Mime) -> str:
    if part.get_content_maintype() != "text" or filename(part):
        return ""
    try:
        text = _content(part).decode(part.get_content_charset("utf-8"), "replace")
    except LookupError:
        text = _content(part).decode("latin-1")
    return html.unescape(re.sub(r"<[^>]*>", " ", text)) if part.get_content_subtype() == "html" else text


def _decoded(value: str) -> str:
    try:
        return str(make_header(decode_header(value)))
    except (ValueError, LookupError):
        return value


def _attachment_id(owner: str, part_id: str) -> str:
    return "ANGjdJ" + base64url(f"{owner}/{part_id}".encode()).rstrip("=")
