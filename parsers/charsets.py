"""Makes text of bytes, whatever charset they declare, lie about or keep to themselves. Never raises."""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

# Codecs of Python that no mail is written in: they take quadratic time, warn, or give half characters.
_NO_CHARSETS = frozenset({"utf-8", "ascii", "idna", "punycode", "unicode-escape", "raw-unicode-escape"})
# Names that mails use and Python does not know; and charsets that are used as if they were a larger one.
_OTHER_NAMES = {
    "windows-31j": "cp932",
    "x-sjis": "cp932",
    "x-euc-jp": "euc_jp",
    "cp50220": "iso2022_jp",
    "cp50221": "iso2022_jp",
    "iso-2022-jp-ms": "iso2022_jp",
    "x-gbk": "gbk",
    "x-windows-949": "cp949",
    "iso-8859-8-i": "iso8859-8",
    "unicode-1-1-utf-7": "utf-7",
}
_WIDER = {"shift_jis": "cp932", "euc_kr": "cp949", "iso8859-1": "cp1252", "iso8859-9": "cp1254"}
_WIDE = ("utf-16", "utf-32")  # a text without a zero byte only claims to be in one
_SEVERAL_BYTES = ("cp932", "cp949", "cp950", "shift", "euc_", "gb", "big5", "johab", "hz", "iso2022", "utf")
_HIGH = bytes(range(0x80, 0x100))
_HIGH_ROW = re.compile(rb"[\xc0-\xff]{4,40}")


def decode(data: bytes, charset: str | None) -> str:
    """Decode by the declared charset if it fits, else UTF-8, else ISO-2022-JP where it shows, else Windows-1252.

    A declared charset of one byte for each character fits anything, so UTF-8 is tried before it: text that is UTF-8 by
    chance is rarer by far than a mail that says ISO-8859-1 and is not.
    """
    codec = _codec(charset) if charset else None
    if codec is None or (codec.startswith(_WIDE) and b"\0" not in data):
        return _guessed(data, None)
    if not codec.startswith(_SEVERAL_BYTES):
        return _guessed(data, codec)
    try:
        text = data.decode(codec)
    except (UnicodeError, LookupError):  # LookupError: Python has codecs that are none of texts ("hex")
        return _guessed(data, "gb18030" if codec.startswith("gb") else codec)
    # The only one that can write half a character (a lone surrogate), which no database and no terminal takes.
    return text.encode("utf-8", "replace").decode() if codec == "utf-7" else text


def _guessed(data: bytes, codec: str | None) -> str:
    """UTF-8 where it is that, ISO-2022-JP where it shows, else the codec; what fits none of them is passed over."""
    if b"\x1b" in data and (b"\x1b$" in data or b"\x1b(" in data):
        return data.decode(codec if codec and codec.startswith("iso2022") else "iso-2022-jp", "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        try:
            return data.decode(codec or _eight_bits(data), "replace")
        except (UnicodeError, LookupError):
            return data.decode("cp1252", "replace")


def _eight_bits(data: bytes) -> str:
    """Windows-1252 for text that declares nothing, or one of the two charsets of Russian mail, where it looks so.

    Latin letters beyond ASCII stand alone in a word, Cyrillic ones in rows: small ones at C0-DF in KOI8-R, at E0-FF in
    Windows-1251.
    """
    data = data[:8192]
    rows = _HIGH_ROW.findall(data)
    letters = b"".join([row[1:] for row in rows])
    if len(rows) < 3 or 2 * sum(map(len, rows)) < len(data) - len(data.translate(None, _HIGH)):
        return "cp1252"
    return "koi8-r" if 2 * len(letters.translate(None, _HIGH[0x60:])) > len(letters) else "cp1251"


@lru_cache(maxsize=64)
def _codec(charset: str) -> str | None:
    """Python's codec for a charset; None for those it does not have or no mail is written in, and for what is UTF-8."""
    try:
        name = codecs.lookup(_OTHER_NAMES.get(charset.lower(), charset)).name
    except (LookupError, ValueError):  # ValueError: a NUL in the name
        return None
    return None if name in _NO_CHARSETS else _WIDER.get(name, name)
