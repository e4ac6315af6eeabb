"""Finds the host that refused, in the words of a bounce: after "host", before "said", in front of its own address.

Works on any text, knows no vendor, and never guesses from the domain of an address.
"""

from __future__ import annotations

import re

HOST_NAME = r"[A-Za-z0-9_](?:[\w-]*\.)+[A-Za-z][\w-]*[A-Za-z0-9]"
IP_ADDRESS = r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}"
_PEER = rf"({HOST_NAME}|{IP_ADDRESS})"
# How a text names the host that spoke, most telling first: words the pattern cannot do without, and the pattern, over
# lower-case text. A plain search for the words says no in a tenth of the time; one alternation of all patterns would
# take a hundred times as long.
_SPEAKERS = (
    ("while talking to ", re.compile(rf"while talking to \[?{_PEER}")),
    (
        "host",
        re.compile(rf"host:? {_PEER}\.?(?=[\s\[(:,]|$)(?! (?:not |un|could|does|was not|is not))"),
    ),
    ("connect", re.compile(rf"connect(?:ed|ion|ing)? (?:to|with) {_PEER}")),
    ("timed out with ", re.compile(rf"timed out with {_PEER}")),
    ("giving up on ", re.compile(rf"giving up on ({IP_ADDRESS})")),
    (" #", re.compile(rf"<({HOST_NAME}) #\d")),
    # Gmail: `[mx.example.com. (10): refused]`, `[mx.example.com 192.0.2.1: timed out]`, `[(0) mx.example.com.`
    ("[", re.compile(rf"\[(?:\(\d+\) )?({HOST_NAME})\.?[ :]")),
    (
        "remote",
        re.compile(rf"remote[- ](?:mta|host|server|system)(?: is)?:? (?:dns; ?)?[<\[(\"']?{_PEER}(?=[\s\])>:,;\"']|$)"),
    ),
    ("ed by", re.compile(rf"ed by:? [<\[(\"']?{_PEER}(?=[\s\])>:,;\"']|\.\s|\.?$)")),
    ("server", re.compile(rf"(?<!name )server(?: is)?:? [<\[(\"']?{_PEER}(?=[\s\])>:,;\"']|$)")),
)
# A host right before these words, or before its own address in brackets.
_SPEECH = (
    " [",
    "[",
    " said",
    " says",
    " gave this error",
    " rejected your message",
    " responded",
    " returned",
    " replied",
    " does not like",
    " did not like",
    " failed after",
)
_WORD_BEFORE = re.compile(rf"{_PEER}[.:]?\Z")


def host_in(words: str) -> str | None:
    """The host that is named as the speaker in the words about a failure, lower case."""
    lower = words.lower()
    for needed, speaker in _SPEAKERS:
        for found in speaker.finditer(lower) if needed in lower else ():
            # "This is the mail system at host ..." names who reports, not who refused.
            if not lower.endswith("at ", 0, found.start()):
                return found[1].rstrip(".")
    for speech in _SPEECH:
        at = lower.find(speech)
        if at > 0:
            words_before = lower[max(0, at - 100) : at].replace("<", " ").replace("(", " ").rsplit(maxsplit=1)
            if words_before and (before := _WORD_BEFORE.match(words_before[-1])) is not None:
                return before[1].rstrip(".")
    return None
