"""Finds a phrase in a text, and tells beforehand which phrases have a chance. Knows words, and nothing of rules."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import pairwise

_WORD = re.compile(r"\w+")
# Japanese, Chinese and Korean put no space between words: there each character counts as one.
_UNSPACED = re.compile(r"[\u3040-\u9fff\uac00-\ud7a3]")
_BEGINNING = re.compile(r"(\w{1,4}+)\w*+")

# Where a word of German or its neighbours has one of these, many servers write two (replies are ASCII, RFC 5321).
_TWO_LETTERS = {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "å": "aa", "ø": "oe", "æ": "ae"}


def _without_marks(letter: str) -> str:
    base = {"ł": "l", "ø": "o", "đ": "d", "ı": "i"}.get(letter) or unicodedata.normalize("NFD", letter)[0]
    return base if base.isascii() else letter


_MARKED = {c: _without_marks(chr(c)) for c in (*range(0xDF, 0x250), *range(0x1E00, 0x1F00)) if chr(c).islower()}


def plain(lower: str) -> str:
    """A text, as long as before, without the marks on Latin letters: servers leave them out as often as not."""
    return lower if lower.isascii() else lower.translate(_MARKED)


def spellings(phrase: str) -> tuple[str, ...]:
    """The ways a phrase of a row is written: without marks, and with two letters for one ("Empfaenger")."""
    if phrase.isascii():
        return (phrase,)
    return tuple(dict.fromkeys((plain(phrase), plain("".join(_TWO_LETTERS.get(c, c) for c in phrase)))))


def beginnings(text: str) -> set[str]:
    """How the words of a text begin, four letters at most, alone and together with the next word.

    A phrase can stand in a text only if its words do. One look-up for each of the few words of a text takes the place
    of a search for each of the two thousand phrases of the table.
    """
    words = _BEGINNING.findall(_apart(text))
    return {*words, *map(" ".join, pairwise(words))}


@cache
def sure_beginnings(phrase: str) -> tuple[str, ...]:
    """The beginnings a text must have to hold a phrase, pairs where there are; its last word may end later there."""
    phrase = _apart(phrase)
    words = [m[0][:4] for m in _WORD.finditer(phrase) if m.end() < len(phrase) or m.end() - m.start() >= 4]
    return tuple([a + " " + b for a, b in pairwise(words)] or words)


def _apart(text: str) -> str:
    return text if text.isascii() else _UNSPACED.sub(r" \g<0> ", text)


def find_phrase(phrase: str, text: str, start: int = 0) -> int:
    """Where a phrase stands in a text from `start` on, beginning where a word begins; -1 where it does not."""
    at = text.find(phrase, start)
    while at > 0 and _is_inside_word(text, at):
        at = text.find(phrase, at + 1)
    return at


def _is_inside_word(text: str, at: int) -> bool:
    if text[at] >= "\u3040" or text[at - 1] >= "\u3040":
        return False  # no spaces between words there, see _UNSPACED
    return (text[at].isalnum() or text[at] == "_") and (text[at - 1].isalnum() or text[at - 1] == "_")
