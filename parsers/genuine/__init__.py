"""Whom a bounce comes from, by what the receiving Gmail stamped on it: the grammar of that stamp, and the judgement.

In: the headers of a mail, and which reader understood it. Out: `Authenticity`. Does not tell whether the mail was ours.
May import: the modules of `parsers`.
"""

from __future__ import annotations

from parsers.genuine.judge import authenticity, second_hand

__all__ = ["authenticity", "second_hand"]
