"""Reads transcripts of SMTP sessions in the words of a bounce: what was said to whom, and by which host.

Sendmail and Courier write them: `>>> RCPT TO:<a@b>` is what the client said, `<<< 550 ...` the server, and
`550 <a@b>...` repeats a refusal under the name of the recipient. MDaemon writes `-->` and `<--` behind a time.
"""

from __future__ import annotations

import re
from itertools import takewhile
from typing import NamedTuple

from parsers.smtp_reply import answers_to_rcpt, join_lines
from parsers.words.speaker import HOST_NAME, IP_ADDRESS

MAX_WORDS = 1500
"""Characters kept of what is said about one recipient."""

# A mail address in running text, each part bounded, so that a search over any text stays linear.
# A local part may stand in quotation marks (RFC 5321 4.1.2).
_LOCAL_PART = r"(?:\"[^\"\\\n<>@]{1,62}\"|[^\s<>,;:\"'()\[\]@|]{1,64})"
ADDRESS = _LOCAL_PART + r"@[A-Za-z0-9\u0080-\uffff_-][A-Za-z0-9\u0080-\uffff._-]{0,250}"
_RCPT = re.compile(rf"RCPT(?: TO)?:?[ \t]*<?({ADDRESS})>?", re.IGNORECASE)
_CODED = re.compile(rf"[ \t>]*(?:<<<[ \t]*)?([245]\d\d)[ -](?:#?[245]\.\d{{1,3}}\.\d{{1,3}} )?[<\"'(]?({ADDRESS})>?")
_SAID = re.compile(r"[^<\n]{0,80}<(?:<<|--)[ \t]*([2345]\d\d)")
_TALKING = re.compile(rf"while talking to \[?(?:({HOST_NAME}|{IP_ADDRESS})|([\w.-]+))", re.IGNORECASE)


class Told(NamedTuple):
    """What a text tells of one recipient."""

    recipient: str
    words: str | None = None
    """Why, as one line; a server's reply is somewhere in it, if the text quotes one."""
    host: str | None = None
    """Who refused, lower case: a name, or an IP address."""
    command: str | None = None
    """The command that was refused, as in `Failure.command`, where a transcript shows it."""


_COMMANDS = ("RCPT", "DATA", "MAIL", "EHLO", "HELO", "BDAT")
FOR_ALL = ""
"""The recipient of what a server said to the whole mail (after MAIL or DATA) and nobody repeats by name."""


def is_transcript(lines: list[str]) -> bool:
    """Whether a text quotes a session, or replies under the names of recipients."""
    for line in lines:
        if "<<<" in line or ">>>" in line or "<--" in line or ("@" in line and _CODED.match(line) is not None):
            return True
    return False


def read_transcript(lines: list[str]) -> dict[str, Told]:
    """What servers said to each RCPT of a transcript, by lower-case recipient."""
    said: dict[str, Told] = {}
    host: str | None = None
    asked: str | None = None
    unclaimed: str | None = None
    command: str | None = None
    is_for_all = False  # the last command was none about a recipient: an address in the answer is the sender's
    index = 0
    while index < len(lines):
        line = lines[index]
        index += 1
        if "talking to" in line and (talking := _TALKING.search(line)) is not None:
            host, asked, unclaimed = next(g for g in talking.groups() if g).lower().rstrip("."), None, None
            command = None
        elif (at := max(line.find(">>>"), line.find("-->"))) >= 0:
            rcpt = _RCPT.search(line, at)
            is_for_all = rcpt is None
            command = _command(line[at:], lines[index : index + 12])
            if rcpt is not None or "DATA" not in line[at:].upper():
                asked = rcpt[1] if rcpt is not None else None
        elif (reply := _SAID.match(line)) is not None:
            first = index - 1
            while index < len(lines) and _SAID.match(lines[index]) is not None:
                index += 1
            if reply[1][0] not in "45":
                asked = None if reply[1][0] == "2" else asked
                continue
            words = join_lines("\n".join(_SAID.sub(r"\1", text, count=1).strip() for text in lines[first:index]))
            coded = _CODED.match(line)
            about = asked or (coded[2] if coded is not None and not is_for_all else None)
            if about is None:
                unclaimed = words
            else:
                said.setdefault(about.lower(), Told(about, words[:MAX_WORDS], host, command))
        elif "@" in line and (coded := _CODED.match(line)) is not None and coded[1][0] in "45":
            words, about = " ".join(line.split()), coded[2].rstrip(".")
            if about.lower() not in said:
                # Sendmail repeats a refusal of MAIL or DATA under the name of the recipient.
                whole = f"{unclaimed} {words}" if unclaimed and unclaimed != words else words
                said[about.lower()] = Told(about, whole[:MAX_WORDS], host if unclaimed else None, command)
                unclaimed = None
    if unclaimed is not None:
        said[FOR_ALL] = Told(FOR_ALL, unclaimed[:MAX_WORDS], host, command)
    return said


def _command(said: str, answers: list[str]) -> str | None:
    """The command a line of a transcript shows, as in `Failure.command`; `answers` are the next lines."""
    words = said.lstrip(">- \t")[:4].upper()
    if words not in _COMMANDS:
        return None
    if words in ("DATA", "BDAT"):
        own = list(takewhile(lambda line: ">>>" not in line and "talking to" not in line, answers))
        return "RCPT" if answers_to_rcpt("\n".join(own).lower()) else "DATA"
    return "EHLO" if words == "HELO" else words
