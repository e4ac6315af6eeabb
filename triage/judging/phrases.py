"""Finds a phrase in a text, and tells beforehand which phrases have a chance. Knows words, and nothing of rules."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise

_WORD = re.compile(r"\w+")
# Japanese, Chinese and Korean put no space between words: there each character counts as one.
_UNSPACED = re.compile(r"[\u3040-\u9fff\uac00-\ud7a3]")
_BEGINNING = re.compile(r"(\w{1,4}+)\w*+")


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
