"""Opens a mail, however broken, into headers and flat parts, reading the bytes once.

Decodes nothing that nobody asks for and never raises on any input: what cannot be decoded is decoded as well as it can
be, what nests or repeats without end is cut off. Knows nothing of bounces. The standard library's parser is not used
because it builds a tree of objects for every part; a bounce needs three headers and two parts of it.
"""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, a2b_qp
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from parsers.charsets import decode
from parsers.html import html_to_text
from parsers.text import one_line
from parsers.times import MONTHS

MAX_DEPTH = 12
"""Multiparts inside multiparts that are followed; real bounces reach 4 (a report inside a forwarded mail)."""
MAX_PARTS = 200
"""Parts of one mail that are looked at; what comes after is only counted as body of the mail."""
MAX_BOUNDARIES = 1000
"""Lines of one multipart that look like its boundary."""
MAX_HEADER_BYTES = 128 * 1024
MAX_TEXTS_BYTES = 1024 * 1024
"""Bytes of all text parts of one mail that are decoded: a hundred pages of entities would take seconds."""
MAX_TEXT_BYTES = 256 * 1024
"""Bytes of one part that are decoded to text: the reason of a failure stands in the first screens, or nowhere."""

# RFC 5322 2.2: a field name is printable ASCII without colon; a value goes on while lines begin with white space.
_FIELD = re.compile(r"^([!-9;-~]{1,100}+)[ \t]*+:(.*+(?:\n[ \t].*+)*+)", re.MULTILINE)
_FOLD = re.compile(r"\n[ \t]+")
# QUIRK(mbox): the separator line, and blank lines that copy and paste leaves before the first header.
_BEFORE_HEADER = re.compile(rb"(?:\n++|>?From [^\n]*+\n){1,9}")
_BEFORE_HEADER_BEGINS = (b"\n", b"From ", b">From ")
_PARAMETER = re.compile(r';\s*([\w*-]+)\s*=\s*(?:"([^"\\\n]*(?:\\.[^"\\\n]*)*)"|([^\s;"]+))')
_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,40})\?([bBqQ])\?([^?\s]*)\?=")
_BETWEEN_WORDS = re.compile(r"(\?=)\s+(?==\?)")
# Each part bounded, so that a search stays linear whatever the text (RFC 5321 4.5.3.1: 64 and 255 octets).
_ADDRESS = re.compile(
    r"[^\s<>,;:\"'()\[\]@]{1,64}@[^\s<>,;:\"'()\[\]@]{1,255}|\"[^\"\n]{1,64}\"@[^\s<>,;:\"'()\[\]@]{1,255}"
)
_ANGLE = re.compile(r"<([^<>]+)>")
_DATE = re.compile(
    rf"(\d{{1,2}})[ \-]+({'|'.join(MONTHS)})[a-z]*[ \-]+(\d{{4}}|\d\d)[ ,]+"
    r"(\d{1,2}):(\d\d)(?::(\d\d))?(?:\s*([+-]\d{4}))?",
    re.IGNORECASE,
)
_MONTH_OF = {name.lower(): number for number, name in enumerate(MONTHS, 1)}


class Headers:
    """The header fields of a mail or a part, by lower-case name, in the order they stand."""

    __slots__ = ("_fields", "_first")

    def __init__(self, block: str) -> None:
        self._fields = _FIELD.findall(block)
        self._first = {name.lower(): value for name, value in reversed(self._fields)}

    def __contains__(self, name: str) -> bool:
        return name in self._first

    def __len__(self) -> int:
        return len(self._first)

    def has_any(self, names: frozenset[str]) -> bool:
        """Whether a field of one of these lower-case names is there."""
        return not names.isdisjoint(self._first)

    def raw(self, name: str) -> str | None:
        """The first field of that lower-case name, unfolded, otherwise as it stands."""
        value = self._first.get(name)
        if value is None:
            return None
        return _unfolded(value)

    def get(self, name: str) -> str | None:
        """The first field of that lower-case name, unfolded, RFC 2047 decoded, without control characters; or None."""
        value = self.raw(name)
        if not value:
            return None
        if "=?" in value:
            value = decode_words(value)
        return one_line(value) or None

    def all(self, name: str) -> list[str]:
        """Every field of that lower-case name, unfolded."""
        first = self.raw(name)
        if first is None:
            return []
        if len(self._first) == len(self._fields):  # no name stands there twice
            return [first]
        length = len(name)
        found = [value for other, value in self._fields if len(other) == length and other.lower() == name]
        return [_unfolded(value) for value in found]

    def all_above(self, name: str, below: str) -> list[str]:
        """Every field of that lower-case name that stands above the first one called `below`, unfolded."""
        found = []
        length, end = len(name), len(below)
        for other, value in self._fields:
            if len(other) == length and other.lower() == name:
                found.append(_unfolded(value))
            elif len(other) == end and other.lower() == below:
                break
        return found


def _unfolded(value: str) -> str:
    return (_FOLD.sub(" ", value) if "\n" in value else value).strip()


class Part:
    """One leaf of a mail: its headers and the span of its body in the mail's bytes."""

    __slots__ = ("_data", "_text", "end", "headers", "media_type", "parameters", "start", "text_limit")

    def __init__(self, data: bytes, start: int, end: int, headers: Headers, default: str = "text/plain") -> None:
        self._data, self.start, self.end = data, start, end
        self._text: str | None = None
        self.text_limit = MAX_TEXT_BYTES
        self.headers = headers
        media_type, self.parameters = _content_type((headers.raw("content-type") or "")[:4096])
        self.media_type = media_type or default

    @property
    def size(self) -> int:
        return self.end - self.start

    def body(self, limit: int | None = None) -> bytes:
        """The bytes of the part, transfer encoding undone; at most `limit` encoded bytes are read."""
        end = self.end if limit is None else min(self.end, self.start + limit)
        body = self._data[self.start : end]
        encoding = (self.headers.raw("content-transfer-encoding") or "").lower()
        if "base64" in encoding:
            return _base64(body)
        if "quoted-printable" in encoding:
            return a2b_qp(body)
        return body

    def text(self) -> str:
        """The part as text, at most MAX_TEXT_BYTES of it, line ends as "\\n"; HTML is reduced to its words."""
        if self._text is None:
            text = decode(self.body(self.text_limit), self.parameters.get("charset"))
            if "\r" in text:
                text = text.replace("\r\n", "\n").replace("\r", "\n")
            self._text = html_to_text(text) if self.media_type == "text/html" else text
        return self._text


class Mail:
    """A mail opened: its own headers, and its leaves as one flat list in the order they stand."""

    __slots__ = ("_parts", "_whole", "data", "headers", "media_type", "parameters", "sender", "subject")

    def __init__(self, data: bytes, whole: Part) -> None:
        self.data = data
        self._whole = whole
        self._parts: list[Part] | None = None
        self.headers = whole.headers
        self.media_type, self.parameters = whole.media_type, whole.parameters
        self.sender = address(self.headers.raw("from"))
        """The address in From; None for none."""
        self.subject = self.headers.get("subject")

    @property
    def parts(self) -> list[Part]:
        """The leaves, found when they are first asked for: the header of most mails tells that they do not matter."""
        if self._parts is None:
            self._parts = []
            _collect(self.data, self._whole, self._parts, 0)
            left = MAX_TEXTS_BYTES
            for part in self._parts:
                if part.media_type.startswith(("text/", "multipart/")):
                    part.text_limit = min(left, MAX_TEXT_BYTES)
                    left -= min(part.text_limit, part.size)
        return self._parts

    def texts(self) -> Iterator[Part]:
        """The parts a human would read, plain text before HTML."""
        for wanted in ("text/plain", "text/html"):
            for part in self.parts:
                if part.media_type == wanted:
                    yield part


def open_mail(data: bytes) -> Mail:
    """Open the bytes of one mail: LF, CRLF or CR line ends, with or without an mbox "From " line before it."""
    data, start = _begin(data)
    headers, body = _headers_at(data, start, len(data))
    return Mail(data, Part(data, body, len(data), headers))


def open_headers_of(data: bytes) -> Headers:
    """Only the header fields of the bytes of a mail; what it holds is not looked at."""
    data, start = _begin(data)
    return _headers_at(data, start, len(data))[0]


def _begin(data: bytes) -> tuple[bytes, int]:
    """The mail with LF line ends, and where its header begins."""
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    start = 0
    if data.startswith(_BEFORE_HEADER_BEGINS) and (before := _BEFORE_HEADER.match(data)) is not None:
        start = before.end()
    return data, start + 3 if data.startswith(b"\xef\xbb\xbf", start) else start


def open_headers(text: str) -> Headers:
    """Read a block of header fields that stands somewhere as text (text/rfc822-headers, a quotation)."""
    return Headers(text[:MAX_HEADER_BYTES])


def _headers_at(data: bytes, start: int, end: int) -> tuple[Headers, int]:
    """Read the header block at `start`; return it and where the body begins."""
    if data.startswith(b"\n", start):
        return Headers(""), start + 1
    stop = data.find(b"\n\n", start, end)
    body = stop + 2
    if stop < 0:
        stop = body = end
    block = data[start : min(stop, start + MAX_HEADER_BYTES)]
    return (_short_headers(block) if len(block) < 200 else Headers(decode(block, None))), body


# Most parts begin with one of a few blocks, which their programs never change.
@lru_cache(maxsize=256)
def _short_headers(block: bytes) -> Headers:
    return Headers(decode(block, None))


def _collect(data: bytes, part: Part, leaves: list[Part], depth: int) -> None:
    boundary = part.parameters.get("boundary") if part.media_type.startswith("multipart/") else None
    if not boundary or depth >= MAX_DEPTH:
        leaves.append(part)
        return
    before = len(leaves)
    # RFC 2046 5.1.5: the parts of a digest are mails unless they say otherwise.
    default = "message/rfc822" if part.media_type == "multipart/digest" else "text/plain"
    for start, end in _spans(data, part.start, part.end, boundary.encode("utf-8", "replace")):
        if len(leaves) >= MAX_PARTS:
            break
        headers, body = _headers_at(data, start, end)
        _collect(data, Part(data, min(body, end), end, headers, default), leaves, depth + 1)
    if len(leaves) == before:
        # QUIRK(broken multipart): the boundary never comes; what is there is still worth reading as text.
        leaves.append(Part(data, part.start, part.end, Headers("")))


def _spans(data: bytes, start: int, end: int, boundary: bytes) -> Iterator[tuple[int, int]]:
    """The spans between boundary lines (RFC 2046 5.1.1); a missing last boundary ends with the data."""
    delimiter = b"\n--" + boundary
    length = len(delimiter)
    opened: int | None = None
    # One byte before the body: the line end before its first line, which may be a boundary.
    at = data.find(delimiter, max(0, start - 1), end)
    for _ in range(MAX_BOUNDARIES):
        if at < 0:
            break
        line_end = data.find(b"\n", at + length, end)
        tail = data[at + length : line_end if line_end >= 0 else end]
        is_last = tail[:2] == b"--"
        if is_last or not tail or tail.isspace():
            if opened is not None:
                yield opened, max(opened, at)
            if is_last or line_end < 0:
                return
            opened = line_end + 1
        # else: the boundary is the beginning of a longer one: not ours.
        at = data.find(delimiter, at + length - 1, end)
    if opened is not None:
        yield opened, end


@lru_cache(maxsize=256)
def _content_type(value: str) -> tuple[str | None, Mapping[str, str]]:
    """The type in a Content-Type, lower case, and its parameters; None and nothing where there is no type."""
    media_type = value.partition(";")[0].strip().lower()
    if " " in media_type:
        # QUIRK(old mailers): `text/plain charset=us-ascii` without the semicolon.
        media_type = media_type.split(" ", 1)[0]
    if "/" not in media_type:
        return None, {}
    found = _PARAMETER.findall(value)
    return media_type, {name.lower(): quoted or bare for name, quoted, bare in reversed(found)}


def _base64(body: bytes) -> bytes:
    try:
        return a2b_base64(body)
    except Base64Error:
        # QUIRK(truncated mails): the last group is incomplete; the groups before it are fine.
        kept = re.sub(rb"[^A-Za-z0-9+/]", b"", body)
        return a2b_base64(kept[: len(kept) // 4 * 4])


def decode_words(value: str) -> str:
    """Decode RFC 2047 encoded words; a broken one stays as it stands."""
    return _ENCODED_WORD.sub(_decode_word, _BETWEEN_WORDS.sub(r"\1", value[:8192]))


def _decode_word(match: re.Match[str]) -> str:
    charset, encoding, text = match.groups()
    data = text.encode("ascii", "replace")
    data = _base64(data) if encoding in "bB" else a2b_qp(data, header=True)
    return decode(data, charset.partition("*")[0])  # RFC 2231 5: charset*language


def addresses(text: str) -> list[str]:
    """Every mail address in a text, in order, without repeats."""
    return list(dict.fromkeys(a.strip(".") for a in _ADDRESS.findall(text[:MAX_TEXT_BYTES])))


def address(text: str | None) -> str | None:
    """The address of a From, To or Return-Path value; None for an empty one (`<>`) or none at all."""
    if not text:
        return None
    text = text[:4096]
    at = text.rfind("<")
    last = text[at + 1 : text.find(">", at)].strip() if at >= 0 else ""
    if "@" in last and at < text.rfind(">"):
        return last
    for candidate in reversed(_ANGLE.findall(text)) if at >= 0 else ():
        if "@" in candidate:
            return str(candidate).strip()
    found = _ADDRESS.search(text)
    return found[0] if found else None


def bare_address(text: str) -> str:
    """The address alone, where a value may carry a display name or a comment; the text as it is where it holds none.

    `"Pat <pat@client.example>"` is what SES's events and people's lists really hold.
    """
    plain = text.strip()
    return (address(plain) if any(mark in plain for mark in "<( ") else None) or plain


def message_ids(text: str | None) -> list[str]:
    """The Message-IDs in a Message-ID, In-Reply-To or References value, without angle brackets."""
    if not text:
        return []
    if len(text) < 1000 and text[0] == "<" and text[-1] == ">" and text.count("<") == 1 == text.count(">"):
        only = text[1:-1].strip()  # as nearly all are
        return [only] if only else []
    found = [found for raw in _ANGLE.findall(text[:16384]) if (found := raw.strip())] if "<" in text else []
    return found or ([text.strip()] if "@" in text and " " not in text.strip() else [])


def moment(text: str | None) -> datetime | None:
    """A Date value (RFC 5322 3.3, forgiving) as aware UTC; None where there is no date in it."""
    found = _DATE.search(text[:256]) if text else None
    if found is None:
        return None
    day, month, year, hour, minute, second, zone = found.groups()
    number = int(year)
    if len(year) == 2:
        number += 2000 if number < 50 else 1900  # RFC 5322 4.3
    try:
        local = datetime(
            number,
            _MONTH_OF[month.lower()],
            int(day),
            int(hour),
            int(minute),
            min(int(second or 0), 59),
            tzinfo=UTC,
        )
        return local if zone is None else local - _offset(zone)
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=64)
def _offset(zone: str) -> timedelta:
    """How far `+0900` is ahead of UTC."""
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:]))
    return -offset if zone[0] == "-" else offset
