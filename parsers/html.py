"""HTML as the words a reader sees. Understands what mail programs write, and is quick about what a stranger writes."""

from __future__ import annotations

import re
from html import unescape

from parsers.text import lower_case

MAX_HTML = 256 * 1024
"""Characters that are read."""

_LONG_NUMBER = re.compile(r"&#[0-9]{9,}+;?")
_TAG = re.compile(r"<[^<>]*>")
_CELL_END = re.compile(r"</t[dh]\s*>", re.IGNORECASE)
_BREAKING_TAG = re.compile(r"<(?:br|/?p|/?div|/?tr|/?li|/?h[1-6]|/?table|hr|/?blockquote)\b[^<>]*>", re.IGNORECASE)


def html_to_text(html: str) -> str:
    """The words of an HTML text, a line per block; scripts, styles and comments left out."""
    html = html[:MAX_HTML]
    for opening, closing in (("<style", "</style"), ("<script", "</script"), ("<!--", "-->")):
        html = _without(html, opening, closing)
    text = _TAG.sub("", _CELL_END.sub(" ", _BREAKING_TAG.sub("\n", html.replace("\n", " "))))
    return "\n".join(" ".join(line.split()) for line in _unescaped(text).split("\n"))


def _unescaped(text: str) -> str:
    try:
        return unescape(text)
    except ValueError:  # Python reads no number of more than 4300 digits
        return unescape(_LONG_NUMBER.sub("\ufffd", text))


def _without(text: str, opening: str, closing: str) -> str:
    lower = lower_case(text)
    kept, at = [], 0
    while (found := lower.find(opening, at)) >= 0:
        kept.append(text[at:found])
        at = lower.find(closing, found)
        if at < 0:
            return "".join(kept)
        at += len(closing)
    return "".join([*kept, text[at:]]) if kept else text
