"""Reads reply codes and enhanced status codes out of any text that quotes an SMTP server.

Works on text only and knows no vendor. Sources: RFC 5321 4.2 (replies), RFC 3463 and RFC 2034 (enhanced codes).
"""

from __future__ import annotations

import re
from functools import lru_cache, partial
from typing import NamedTuple

MAX_REPLY_TEXT = 8192
"""Characters of a diagnostic that are read; the longest real one in public collections has under 3,000."""

# What must not stand before a code is asked behind its first digit, `(?<![\w.].)`: a pattern that begins with a set of
# characters is searched three times as fast as one that begins with a look back.
# RFC 3463 2: class.subject.detail, no leading zero; there are the subjects 0 to 7 (IANA), so `4.16.50` is none. Not
# inside an IP address, a version or a host name.
_SUBJECT_AND_DETAIL = r"\.[0-7]\.(?:0|[1-9]\d{0,2})"
_STATUS = rf"[245]{_SUBJECT_AND_DETAIL}"
_ONLY_STATUS = re.compile(_STATUS)
_ENHANCED = re.compile(rf"([245](?<![\w.@-].){_SUBJECT_AND_DETAIL})(?![\d@-]|\.\d)")
# Three digits that could be a reply code; whether they are is told by what stands before, see `_introduced`.
_CODE = re.compile(
    rf"([2345](?<![\w.].)\d\d)(?:(?:[- ]|\s*-\s*)#?\(?({_STATUS})(?![\d.])\)?|(?=[-: ;,)>\]'\"]|\.(?!\d)|$))",
)
# A reply begins a text, or follows what introduces it; a bare number inside a sentence is no reply code.
_PORTS = ("465", "587", "588")
_OPENERS = ";:<>('\"[#=,|：（「『【“„«"
_QUOTED = (" '", "-'", ' "', '-"')  # QUIRK(ironport): "5.1.0 - Unknown address error 550-'no such user'"
_INTRODUCTIONS = ("->", "returned", "said", "code", "error", "with", "reply", "response")
# The command that was refused, written as such (chasquid: `MAIL+RCPT 550 ...`, `DATA closing 554 ...`).
_COMMAND_BEFORE = ("RCPT", "RCPT TO", "MAIL", "MAIL FROM", "DATA", "DATA closing", "EHLO", "HELO", "BDAT")
# RFC 5321 4.2.1: each line of a reply repeats the code, all but the last with a hyphen.
_CONTINUED = re.compile(rf"([245](?<![\w.].)\d\d)-(?:({_STATUS})[ \t]?)?")
_REPEATED = re.compile(rf"([245](?<![\w.].)\d\d)[- \t](?:({_STATUS})[ \t]?)?")
# QUIRK(chasquid, Go): every line of a reply keeps its enhanced code, but only the first one its reply code.
_CODE_AND_STATUS = re.compile(r"[45]\d\d ([45]\.\d{1,3}\.\d{1,3}) ")
_WORDS_BEHIND = re.compile(r"[^A-Za-z]{0,40}[A-Za-z]{2}")


class Reply(NamedTuple):
    """One SMTP reply found in a text."""

    code: str | None
    """Three digits, e.g. `550`."""
    status: str | None
    """The enhanced status code that stands right behind the code, or alone, e.g. `5.1.1`."""
    text: str
    """The text from the reply on."""


def join_lines(text: str) -> str:
    """Make one line of a multi-line reply: `550-5.1.1 No such\\n550 5.1.1 user` becomes `550 5.1.1 No such user`."""
    text = text[:MAX_REPLY_TEXT]
    found = _CONTINUED.search(text)
    if found is None:
        return " ".join(text.split())
    code, status = found.groups()
    head = f"{text[: found.start()]}{code} {status or ''} "
    return " ".join((head + _REPEATED.sub(partial(_unless_other, code, status), text[found.end() :])).split())


def _unless_other(code: str, status: str | None, found: re.Match[str]) -> str:
    """Drop a repeated prefix; one with another code is a reply of its own."""
    if found[1] != code:
        return found[0]
    return "" if found[2] in (None, status) else f"{found[2]} "


def _introduced(text: str, at: int) -> bool:
    """Whether what stands before position `at` announces an SMTP reply."""
    if at == 0 or text[at - 1] == "\n":
        return True
    if text[at - 1] == ":" and (text[at - 2 : at - 1] == "]" or text[at : at + 3] in _PORTS):
        return False  # the port of a host: `connect to smtp.example.org[192.0.2.1]:587: Connection refused`
    if text[at - 1] == "[" and text[at + 3 : at + 4] == "]":
        return False  # QUIRK(orange): "... OFR_416 [416]" is a number of the provider's own
    if text[at - 1] in _OPENERS:
        return True
    if text[at - 1] != " ":
        return False
    if text[at + 3 : at + 5] in _QUOTED:
        return True
    before = text[max(0, at - 14) : at].rstrip()
    if not before or before[-1] in _OPENERS or before.endswith(_COMMAND_BEFORE):
        return True
    return before.lower().endswith(_INTRODUCTIONS)


# The first reply and the innermost one are asked for one after the other, of the same few texts.
@lru_cache(maxsize=8)
def _replies(text: str) -> tuple[re.Match[str], ...]:
    """The replies in a text; one of success or of a dialogue only at the beginning: sizes look like those."""
    return tuple(
        found
        for found in _CODE.finditer(text)
        if _introduced(text, at := found.start())
        and (found[1][0] in "45" or at == 0 or text[:at].rstrip().endswith(";"))
    )


@lru_cache(maxsize=8)
def read_reply(text: str) -> Reply | None:
    """The first reply or enhanced status code in a text; None where there is neither."""
    text = text[:MAX_REPLY_TEXT]
    replies = _replies(text)
    if replies:
        found = replies[0]
        status = found[2]
        if status is None:
            later = _ENHANCED.search(text, found.end())
            if later is None:
                later = _ENHANCED.match(text, 0, found.start())  # QUIRK(ironport): its own code before the quoted reply
            status = later[1] if later is not None and later[1][0] == found[1][0] else None
        return Reply(found[1], status, text[found.start(1) :])
    alone = _ENHANCED.search(text)
    return None if alone is None else Reply(None, alone[1], text[alone.start() :])


def innermost_reply(text: str) -> Reply | None:
    """The reply wrapped deepest in others: `554 4.4.7 expired <421 4.4.2 timed out>` holds a 421.

    A server that passes on what the next one said puts that reply behind its own words; the last one is the cause.
    None where there are not at least two.
    """
    text = text[:MAX_REPLY_TEXT]
    replies = _replies(text)
    if len(replies) < 2:
        return None
    with_words = [found for found in replies if _WORDS_BEHIND.match(text, found.end()) is not None]
    if len(with_words) < 2:
        return None
    last = with_words[-1]
    status = last[2]
    if status is None:
        later = _ENHANCED.search(text, last.end())
        status = later[1] if later is not None else None
    return Reply(last[1], status, text[last.start(1) :].rstrip(">)'\" "))


# How programs say which command was refused, each with a word it cannot do without. Programs fold their sentences, so
# any white space may stand between the words.
_COMMAND = r"(mail|rcpt|data|ehlo|helo|bdat)"
_COMMANDS = (
    # Postfix and its kin: "(in reply to end of DATA command)", "in response to RCPT TO".
    ("reply", re.compile(r"\breply\s+to\s+(?:the\s+)?(?:end\s+of\s+)?(mail|rcpt|data|ehlo|helo|bdat|initial)\b")),
    ("response", re.compile(rf"\bresponse\s+to\s+(?:the\s+)?(?:end\s+of\s+)?{_COMMAND}\b")),
    # Exim: "after RCPT TO:<a@b>", "after end of data", "after pipelined MAIL FROM", "after initial connection".
    (
        "after",
        re.compile(r"\bafter\s+(?:pipelined\s+)?(?:end\s+of\s+)?(mail|rcpt|data|ehlo|helo|initial\s+connection)\b"),
    ),
    ("command", re.compile(rf"\b(?:for|to|on|during)\s+(?:the\s+)?{_COMMAND}(?:\s+(?:from|to))?\s+command\b")),
    # NetEase: "RCPT TO said 550 ..."; Openwave: "most progress was RCPT TO response".
    ("said", re.compile(rf"\b{_COMMAND}(?:\s+(?:from|to))?(?:\s+command)?\s+said:?\s+[45]\d\d")),
    ("progress was", re.compile(rf"progress\s+was\s+(?:the\s+)?{_COMMAND}\b")),
    ("while ", re.compile(rf"\bwhile\s+(?:sending|performing|issuing)\s+(?:the\s+)?{_COMMAND}\b")),
    ("nach ", re.compile(rf"\bnach\s+{_COMMAND}\b")),
    ("[", re.compile(r"\[(mail_from|rcpt_to|data|ehlo|connect)\]")),
    # QUIRK(chasquid): asks MAIL and RCPT as one step; what is refused there is as a rule the recipient.
    ("mail+rcpt ", re.compile(r"\bmail\+(rcpt) (?=[45]\d\d )")),
    ("data closing ", re.compile(r"\b(data) closing (?=[45]\d\d )")),
    (">>>", re.compile(rf">>>\s{_COMMAND}[^<>]{{0,300}}(?:<[^<>]{{0,300}}>[^<>]{{0,300}})?<<<\s[45]\d\d")),
    ("while talking to ", re.compile(r"(while) talking to [^\s<>]{1,300}\s{1,20}<<<\s[45]\d\d")),  # sendmail
    ("did not like our ", re.compile(r"did not like our (connect|ehlo|mail|rcpt|data)")),  # DragonFly
    ("rejected: ", re.compile(r"\b(banner|ehlo|helo) rejected: ")),  # OpenSMTPD
)
# The sentences of qmail-remote, which name no command.
_SENTENCES = (
    ("does not like recipient", "RCPT"),
    ("failed after i sent the message", "DATA"),
    ("but sender was rejected", "MAIL"),
    ("but my name was rejected", "EHLO"),
    ("but greeting failed", "CONNECT"),
    ("refused to talk to me", "CONNECT"),
)
_COMMAND_NAMES = {
    "bdat": "DATA",
    "helo": "EHLO",
    **dict.fromkeys(("initial", "connect", "banner", "while"), "CONNECT"),
}
# QUIRK(sendmail): with pipelining it has sent DATA before it reads the answers, and shows all of them behind that.
# A server that had refused the mail itself would not go on to say that it has no recipient, and sendmail would call it
# "Service unavailable".
_NO_RECIPIENT_LEFT = re.compile(
    r"<<<\s(?:50[0-9]|554)[^<]{0,80}(?:rcpt|recipient)|(?<!<<<\s)5\d\d\s5\.1\.1\s<[^<>]{1,300}>\.\.\.\suser\sunknown"
)


def refused_command(text: str) -> str | None:
    """The SMTP command that a text says was refused, as in `Failure.command`; None where it does not say.

    A mailbox "unknown" to DATA was known to RCPT: the same words mean something else there (RFC 5321 3.3).
    """
    lower = text[:MAX_REPLY_TEXT].lower()
    for needed, pattern in _COMMANDS:
        found = pattern.search(lower) if needed in lower else None
        if found is not None:
            word = found[1].split("_")[0].split()[0]
            name = _COMMAND_NAMES.get(word, word.upper())
            is_pipelined = name == "DATA" and needed == ">>>" and answers_to_rcpt(lower[found.start() :])
            return "RCPT" if is_pipelined else name
    return next((command for sentence, command in _SENTENCES if sentence in lower), None)


def answers_to_rcpt(lower: str) -> bool:
    """Whether what a transcript shows behind `>>> DATA`, in lower case, are the answers to RCPT that came late."""
    return _NO_RECIPIENT_LEFT.search(lower) is not None


def better_status(quoted: str | None, reported: str | None) -> str | None:
    """The code inside the server's own words, unless it says nothing and the reported one does."""
    if quoted is None or reported is None:
        return quoted or reported
    if quoted.endswith(".0.0") and not reported.endswith(".0.0"):
        return reported
    return quoted


def without_repeated_status(text: str) -> str:
    """Drop the enhanced code of a reply where it stands again, alone, at the beginning of each further line."""
    found = _CODE_AND_STATUS.search(text)
    if found is None or f" {found[1]} " not in text[found.end() :]:
        return text
    return text[: found.end()] + re.sub(rf"(?<![245]\d\d) {re.escape(found[1])} ", " ", text[found.end() :])


def statuses(text: str) -> list[str]:
    """Every enhanced status code in a text, in order."""
    return _ENHANCED.findall(text[:MAX_REPLY_TEXT])


def is_status(text: str) -> bool:
    """Whether the whole text is an enhanced status code (RFC 3463)."""
    return _ONLY_STATUS.fullmatch(text) is not None


# QUIRK(sendmail): closes the answer of a server with its own name for the exit code, as if somebody had said that: of
# every refusal at RCPT "User unknown", of every one at DATA "Service unavailable" (its sysexits.c).
_CLOSING = re.compile(
    r"^(<<< [245]\d\d[^\n]*\n)[245]\d\d [245]\.\d{1,3}\.\d{1,3} (?:<[^<>\n]{1,320}>\.\.\. )?"
    r"(?:User unknown|Service unavailable|Data format error|Remote protocol error|Internal error|System error"
    r"|Permission denied|Can't create output)[^\n]*",
    re.MULTILINE,
)


def as_said(prose: str) -> str:
    """The words around a reply, without the lines in which sendmail names its exit code behind a server's answer."""
    return _CLOSING.sub(r"\1", prose) if "<<< " in prose else prose
