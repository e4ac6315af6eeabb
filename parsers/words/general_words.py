"""Completes the general words of sendmail by what its transcript shows beside them: that is the reason."""

from __future__ import annotations

import re

from parsers.smtp_reply import read_reply
from parsers.words.transcript import FOR_ALL, MAX_WORDS, Told

_REASON_MARK = re.compile(r"^\(reason: ?")
_NO_REASON_OF_MAILER = re.compile(r"\(expanded from: [^()]{1,300}\)")
_REPLY = re.compile(r"[45](?:\d\d|\.\d)")


def is_beginning(words: str, spoken: str | None) -> bool:
    """Whether words are only the first line of what a transcript shows: sendmail's "(reason: 550-First line)"."""
    first = _REASON_MARK.sub("", words).strip("() ")[4:60].rstrip()
    return bool(first) and spoken is not None and len(spoken) > len(words) and spoken[4:].startswith(first)


def completed(words: str | None, lines: list[str], transcript: dict[str, Told]) -> str | None:
    """Sendmail's own general words, and what stands above them in the transcript: that is the reason."""
    if words is None:
        return None
    for_all = transcript.get(FOR_ALL)
    if (
        for_all is not None
        and "Deferred" in words[:200]
        and read_reply(words) is None
        and _is_same_host(words, for_all)
    ):
        return f"{for_all.words} {words}"[:MAX_WORDS]
    if for_all is not None and is_beginning(words, for_all.words):
        return for_all.words
    if "mailer error" in words or _NO_REASON_OF_MAILER.fullmatch(words) is not None:
        local = _said_by_mailer(lines)
        return f"{words}: {local}"[:MAX_WORDS] if local else words
    return words


def _is_same_host(words: str, said: Told) -> bool:
    """Whether "Deferred: Connection timed out with mx.example." names the host that answered before, or none."""
    return said.host is None or said.host in words.lower() or (" with " not in words and " by " not in words)


def _said_by_mailer(lines: list[str]) -> str | None:
    """What a local mailer wrote right above sendmail's "554 unknown mailer error 73"; None where it wrote nothing."""
    at = next((n for n, line in enumerate(lines) if "mailer error" in line and _REPLY.match(line)), None)
    if at is None:
        return None
    start = at
    while start > 0 and at - start < 6 and _of_mailer(lines[start - 1]):
        start -= 1
    return " ".join(" ".join(lines[start:at]).split()) or None


def _of_mailer(line: str) -> bool:
    is_of_session = line.startswith(("...", "<<<", ">>>")) or _REPLY.match(line) is not None
    return bool(line.strip()) and not is_of_session and "-----" not in line
