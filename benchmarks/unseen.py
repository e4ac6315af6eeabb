"""Scores our judgement on mails written by people who had not read the rules: benchmarks/unseen_mails/ and below.

    python -m benchmarks.unseen [--verbose] [first | second | third]

Refusals (`replies.txt`) are put into the notices of mail systems (`forms.txt`); bounces of no form (`odd.txt`) and
mails that tell of no failure (`letters.txt`) are whole. What came out is kept in `scores.toml` beside them: the first
score, taken before anything was repaired, is the honest estimate of what a user will see; later ones know the mails.
"""

from __future__ import annotations

import base64
import quopri
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from parsers import parse
from remediation.reasons import REASONS
from triage.judging.verdict import Verdict, classify

FOLDER = Path(__file__).parent / "unseen_mails"
SETS = {"first": FOLDER, "second": FOLDER / "second", "third": FOLDER / "third"}
ORIGINAL = """From: Jada <admin@queenofsandiego.com>
To: kim@client.example
Subject: Saturday
Date: Mon, 1 Dec 2025 10:00:00 +0000
Message-ID: <a1@queenofsandiego.com>

See you on Saturday at the dock.
"""
HEADERS = "Date: Mon, 1 Dec 2025 10:00:05 +0000\nMessage-ID: <made@host.example>\n"
TO = "kim@client.example"
FIELDS = (
    "found",
    "no false alarm",
    "auto-reply named",
    "success named",
    "kind",
    "recipient",
    "reason",
    "reason, merged",
    "side",
    "status",
)
_STATUS = re.compile(r"(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?![\d.])")
_CODE = re.compile(r"[245]\d\d(?=[ -])")
_COMMANDS = {"rcpt": "RCPT TO", "data": "DATA", "mail": "MAIL FROM", "conn": "initial connection"}
_BOUNCES = frozenset({"failed", "delayed", "feedback"})
_RECIPIENT = re.compile(r'(?:"[^"]*"|\S)+')
_ENCODED = re.compile(r"\{\{(base64|quoted|raw|word) ([\w-]+)\|(.*?)\}\}", re.S)


class Case(NamedTuple):
    """One mail and the truth about it. No recipients: it tells of no failure."""

    name: str
    mail: bytes
    recipients: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    sides: tuple[str, ...] = ("remote",)
    kinds: tuple[str, ...] = ()
    """Which are right; none: not asked."""
    statuses: tuple[str, ...] = ()
    """Which are right; none: not asked."""


def cases(folder: Path = FOLDER) -> Iterator[Case]:
    """Every mail of a folder, in the order of the files."""
    forms = dict(pieces(folder / "forms.txt"))
    lines = (folder / "replies.txt").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        if line and not line.startswith("#"):
            form, reasons, reply = line.split(" | ", 2)
            name, _, command = form.partition(" ")
            side, _, words = reasons.rpartition(":")
            notice = filled(forms[name], reply, command or "rcpt")
            kinds = ("delayed" if "delay" in name else "failed",)
            case = f"replies.txt:{number} {line}"
            yield Case(case, notice, (TO,), tuple(words.split("/")), either(side, "remote"), kinds, stated(reply))
    for heading, mail in pieces(folder / "odd.txt"):
        name, recipients, reasons, *more = heading.split(" | ")
        side, status, kind = [*more, "", "", ""][:3]
        named = tuple(_RECIPIENT.findall(recipients))
        sides, statuses = either(side, "remote"), either(status.strip("-"))
        yield Case(f"odd.txt {name}", whole(mail), named, either(reasons), sides, either(kind), statuses)
    for heading, mail in pieces(folder / "letters.txt"):
        name, kind = heading.split(" | ")
        yield Case(f"letters.txt {name}", whole(mail), kinds=either(kind))


def either(words: str, otherwise: str = "") -> tuple[str, ...]:
    """The words that are right, of "one/another"."""
    return tuple(word for word in (words or otherwise).split("/") if word)


def stated(reply: str) -> tuple[str, ...]:
    """The enhanced codes a reply states; of several either may be reported."""
    return tuple(dict.fromkeys(_STATUS.findall(reply)))


def pieces(file: Path) -> list[tuple[str, str]]:
    """(heading, text) of each piece of a file."""
    _, *found = file.read_text(encoding="utf-8").split("\n=== ")
    return [(heading, text.strip("\n") + "\n") for heading, _, text in (piece.partition("\n") for piece in found)]


def filled(form: str, reply: str, command: str) -> bytes:
    """The notice of a form about one reply."""
    local, _, domain = TO.partition("@")
    reply = reply.replace("{to}", TO).replace("{local}", local).replace("{domain}", domain)
    first, *more = reply.split("//") if not re.search(r"https?://", reply) else re.split(r"(?<!:)//", reply)
    status = _STATUS.search(reply)
    code = _CODE.match(reply)
    holes = {
        "{reply}": "\n    ".join([first, *more]),
        "{status}": status.group() if status else f"{code.group()[0] if code else 5}.0.0",
        "{command}": said(form, command),
        "{to}": TO,
        "{local}": local,
        "{domain}": domain,
        "{original}": ORIGINAL,
    }
    for hole, text in holes.items():
        form = form.replace(hole, text)
    return whole(form)


def said(form: str, command: str) -> str:
    """The command in the words of a form: Postfix, Exim, and those that write what was sent."""
    name = _COMMANDS.get(command, command)
    if "reply to" in form:
        return "end of DATA" if command in ("data", "end of data") else name
    if "SMTP error" in form:
        longer = {"rcpt": f"RCPT TO:<{TO}>", "mail": "MAIL FROM:<admin@queenofsandiego.com>", "data": "end of data"}
        return longer.get(command, name)
    return f"RCPT TO:<{TO}>" if command == "rcpt" else name


def whole(mail: str) -> bytes:
    """A mail with the headers that every mail has."""
    head, _, body = mail.partition("\n\n")
    to = "" if re.search(r"^To:", head, re.M) else "To: admin@queenofsandiego.com\n"
    return encoded(f"{head}\n{to}{HEADERS}\n{body}")


def encoded(mail: str) -> bytes:
    """A mail with what is to be in another charset, encoded in lines or as a word of a header (RFC 2047)."""
    written, end = [], 0
    for found in _ENCODED.finditer(mail):
        how, charset, text = found.groups()
        written += [mail[end : found.start()].encode(), _written(how, charset, text.encode(charset))]
        end = found.end()
    return b"".join([*written, mail[end:].encode()])


def _written(how: str, charset: str, text: bytes) -> bytes:
    match how:
        case "base64":
            return base64.encodebytes(text)
        case "quoted":
            return quopri.encodestring(text)
        case "word":
            return b"=?" + charset.encode() + b"?B?" + base64.b64encode(text) + b"?="
        case _:
            return text


def scored(case: Case) -> Iterator[tuple[str, bool, str]]:
    """(field, right, what was said) for each field this mail can show."""
    got = list(classify(parse(case.mail), case.name))
    kinds = {verdict.kind for verdict in got}
    if not case.recipients:
        yield "no false alarm", not kinds & _BOUNCES, f"{kinds}"
        if case.kinds == ("auto-reply",):
            yield "auto-reply named", kinds == {"auto-reply"}, f"{kinds}"
        if case.kinds == ("delivered",):
            yield "success named", kinds == {"delivered"}, f"{kinds}"
        return
    yield "found", bool(kinds & _BOUNCES), f"{kinds} {got[0].why}"
    if kinds & _BOUNCES:
        yield "recipient", sorted(v.recipient or "" for v in got) == sorted(case.recipients), f"{got}"
        yield from judged(case, got[0])
        if case.kinds:
            yield "kind", got[0].kind in case.kinds, f"{got[0].kind}"
        if case.statuses:
            yield "status", got[0].status in case.statuses, f"{got[0].status}"


def judged(case: Case, verdict: Verdict) -> Iterator[tuple[str, bool, str]]:
    """The fields of the first recipient's verdict."""
    told = f"{verdict.reason} by {verdict.rule} ({verdict.evidence}): {verdict.diagnostic}"
    yield "reason", verdict.reason in case.reasons, told
    yield "reason, merged", merged(verdict.reason) in {merged(reason) for reason in case.reasons}, told
    yield "side", verdict.side in case.sides, f"{verdict.side} by {verdict.rule}"


def merged(reason: str | None) -> str | None:
    """The word of Sisimai 5.6 and later, which tells less: one word for all that went too fast, one for too big."""
    return (REASONS[reason].since_5_6 or reason) if reason in REASONS else reason


def main(arguments: list[str]) -> int:
    """Print the score of each field; with --verbose each disagreement too."""
    for name, folder in SETS.items():
        if name in arguments or not SETS.keys() & set(arguments):
            print(f"{name} set")
            score(folder, verbose="--verbose" in arguments)
    return 0


def score(folder: Path, *, verbose: bool) -> None:
    """Print the score of one set."""
    right: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for case in cases(folder):
        for field, is_right, said_instead in scored(case):
            asked[field] += 1
            right[field] += is_right
            if not is_right and verbose and field != "reason, merged":
                print(f"{field}: {case.name}\n    {said_instead[:400]}")
    for field in FIELDS:
        if asked[field]:
            print(f"{field:18} {right[field]:4} of {asked[field]:4}  {100 * right[field] / asked[field]:5.1f} %")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
