"""Finds who failed and why in words that were written for a human, whatever program wrote them.

Knows shapes, not vendors: an address at the beginning of a line, a label before it, a transcript of SMTP, a sentence
with a word of failure. The returned mail must be cut off before (see returned_text.py). Works line by line and never
looks at a line without an address or a reply twice.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from parsers.smtp_reply import join_lines, read_reply
from parsers.text import lower_case
from parsers.words.addresses import _HELP_ADDRESS, _alone_in_line, _bare, _labelled, _only_one, find_addresses
from parsers.words.failure_words import ADVICE, FAILURE_WORDS, HELP_BEFORE, REASON_LABELS, YOUR_MAIL_TO
from parsers.words.general_words import completed, is_beginning
from parsers.words.speaker import host_in
from parsers.words.transcript import ADDRESS, FOR_ALL, MAX_WORDS, Told, is_transcript, read_transcript

__all__ = ["Told", "find_addresses", "host_in", "recipient_reason", "says", "spoken_to", "told_failures"]

MAX_LINES = 2000
"""Lines of one text that are read; a notice with a hundred recipients has about five hundred."""
MAX_LINE = 2000
MAX_RECIPIENTS = 500

# An address that begins a line: perhaps indented, after a bullet, between quotes or angle brackets.
_ENTRY = re.compile(
    rf"([ \t\u3000]*)(?:(?:[*•·–—>・●■-]{{1,4}}|\d{{1,3}}[.)])[ \t]+|[\w.-]{{1,40}}:\d{{1,12}}:)?"
    rf"[<\"'(\[]{{0,2}}(?:mailto:|smtp[: ]<?|rfc822; ?)?({ADDRESS})[>\"')\]]{{0,2}}",
    re.IGNORECASE,
)
# What may stand behind such an address for it to be a heading; any other text makes it part of a sentence.
_AFTER_ENTRY = re.compile(
    r"[ \t]*(?:[.,;]?[ \t]*$|:|\.\.|[\[(<]|-{1,2}>?[ \t]|[–—|=]|\t|[ ]{2,}|,?[ ]on [A-Z0-9]|;[ ])"
    r"|[ \t]+(?:delivery|invalid|unknown|fail|reject|user|mailbox|do(?:es)? not|not |isn't|could|can(?:not|'t)|was"
    r"|error|no such|unrecover|undeliver|bounced|returned|has |over |quota|\d{3}[ -]|le \d|am \d|el \d|op \d)",
    re.IGNORECASE,
)
_URL = re.compile(r"https?://[^\s<>\"']{1,500}", re.IGNORECASE)
_DIVIDING_LINE = re.compile(r"[ \t]*(?:[-=_*#+~]{3,}|\|-{3,}|[^\n]{0,120}-{5,}$)")
_QUEUE_WORDS = ("Message could not be delivered for", "Message will be deleted from queue")  # sendmail, of itself
_NO_REASON = re.compile(r"(?:\(reason: ?\))?")  # sendmail, where the connection broke before any answer
_MAYBE_REPLY = re.compile(r"[45](?:\d\d|\.\d)")
_MAYBE_CONTINUED = re.compile(r"[45]\d\d-")


def told_failures(text: str, own: frozenset[str] = frozenset(), named: tuple[str, ...] = ()) -> list[Told]:
    """Find the failed recipients in the words of a bounce, each with what is said about it.

    `own` are lower-case addresses that did not fail, as a rule: whoever wrote the returned mail, and the bounce itself;
    they are taken only where nobody else is found. `named` are recipients known from elsewhere (X-Failed-Recipients):
    then only these are looked for.
    """
    shape = _shape_of(text)
    wanted = list(named or _choose(shape.lines, shape.entries, shape.transcript, own))[:MAX_RECIPIENTS]
    told = []
    for recipient in wanted:
        words, spoken = _words_about(shape, recipient)
        host = host_in(words) if words else None
        if host is None and spoken is not None:
            host = spoken.host
        if host is None and len(wanted) == 1:
            host = host_in(text[:4000])
        told.append(Told(recipient, words, host, spoken.command if spoken is not None else None))
    return told


def recipient_reason(text: str, recipient: str) -> str | None:
    """The words about one recipient out of a text for humans, as one line; None where it says nothing of it."""
    shape = _shape_of(text)
    if recipient.lower() not in shape.lower:
        return _reply_for_anybody(shape.lines, recipient)
    return _words_about(shape, recipient)[0]


def spoken_to(text: str, recipient: str) -> Told | None:
    """What the transcript in a text says a server answered about one recipient; None without a transcript of it."""
    transcript = _shape_of(text).transcript
    return transcript.get(recipient.lower()) or transcript.get(FOR_ALL)


class _Shape(NamedTuple):
    """A text taken apart once, whoever is looked for in it."""

    text: str
    lower: str
    lines: list[str]
    entries: list[tuple[int, str, str]]
    starts: list[int]
    """Lines that begin with an address, in order."""
    by_address: dict[str, list[tuple[int, str]]]
    """Lower-case address -> the lines it begins, and what stands behind it there."""
    transcript: dict[str, Told]


# A report with a thousand recipients asks for each of them in the same words.
@lru_cache(maxsize=2)
def _shape_of(text: str) -> _Shape:
    lines = _lines(text)
    entries = _entries(lines)
    by_address: dict[str, list[tuple[int, str]]] = {}
    for index, recipient, rest in entries:
        by_address.setdefault(recipient.lower(), []).append((index, rest))
    transcript = read_transcript(lines) if is_transcript(lines) else {}
    starts = sorted(index for index, _, _ in entries)
    return _Shape(text, lower_case(text), lines, entries, starts, by_address, transcript)


@lru_cache(maxsize=2)
def _words_for_all(text: str) -> str | None:
    shape = _shape_of(text)
    return _common_words(shape.lines, shape.starts)


def _words_about(shape: _Shape, recipient: str) -> tuple[str | None, Told | None]:
    """What a text says about one recipient, as one line, and what its transcript tells of it."""
    key = recipient.lower()
    entries = shape.by_address.get(key, [])
    words = None
    for index, rest in entries[:3]:
        words = _words_behind(shape.lines, index, rest, shape.starts)
        if words is not None:
            break
    spoken = shape.transcript.get(key)
    if spoken is not None and (words is None or read_reply(words) is None or is_beginning(words, spoken.words)):
        words = spoken.words
    if words is None and not entries:
        words = _words_around(shape.lines, recipient)
    if words is None:
        words = _words_for_all(shape.text) or _words_above(shape.lines, entries)
    return completed(words, shape.lines, shape.transcript), spoken


def _reply_for_anybody(lines: list[str], recipient: str) -> str | None:
    """A quoted reply in a text that does not name the recipient: sendmail calls local users by their bare names."""
    local = recipient.partition("@")[0].lower() + "..."
    for index, line in enumerate(lines):
        if line.lower().startswith(local):
            return _words_behind(lines, index, line[len(local) :], [])
    for line in lines:
        said = line.removeprefix("<<< ")
        if said[:1] in ("4", "5") and _refusal(said):
            return " ".join(said.split())[:MAX_WORDS]
    return None


def says(text: str, words: tuple[str, ...]) -> bool:
    """Whether any of the words stands in a text."""
    for word in words:  # noqa: SIM110 (any() with a generator takes twice as long, and this is asked often)
        if word in text:
            return True
    return False


def _lines(text: str) -> list[str]:
    return [line[:MAX_LINE] for line in text.split("\n", MAX_LINES)[:MAX_LINES]]


def _entries(lines: list[str]) -> list[tuple[int, str, str]]:
    """Lines that begin with an address: line number, address, rest of the line."""
    entries: list[tuple[int, str, str]] = []
    indent = -1
    open_since = -1
    for index, line in enumerate(lines):
        if "@" not in line:
            continue
        found = _ENTRY.match(line)
        if found is None:
            continue
        recipient, rest = found[2], line[found.end() :]
        if not recipient.isascii():
            recipient = _bare(recipient)
            rest = line[found.start(2) + found[2].find(recipient) + len(recipient) :]
        if _AFTER_ENTRY.match(rest) is None:
            continue
        here = len(found[1].expandtabs())
        if open_since >= 0 and here > indent and all(line.strip() for line in lines[open_since:index]):
            continue  # the reason of the recipient above, folded so that an address begins its line
        before = _line_before(lines, index)
        if before.rstrip(" :").endswith(HELP_BEFORE):
            continue
        is_signature = here == 0 and not rest.strip() and "<" not in found[0] and index - 1 != open_since
        if is_signature and not before.endswith((":", "：")) and _HELP_ADDRESS.match(recipient) is not None:
            continue
        entries.append((index, recipient.rstrip("."), rest))
        if rest.lstrip(" ").startswith(",") and "@" in rest:
            entries.extend((index, other, "") for other in find_addresses(rest))
        indent, open_since = here, index
    return entries


def _line_before(lines: list[str], index: int) -> str:
    for line in reversed(lines[max(0, index - 2) : index]):
        if line.strip():
            return line[-80:].lower().rstrip(" \t<(\"'-")
    return ""


def _choose(
    lines: list[str],
    entries: list[tuple[int, str, str]],
    transcript: dict[str, Told],
    own: frozenset[str],
) -> list[str]:
    """The recipients, from the most telling place that names any."""
    bare = [_URL.sub("", line) if "://" in line else line for line in lines]
    places: tuple[Callable[[], list[str]], ...] = (
        lambda: [recipient for _, recipient, _ in entries],
        lambda: [spoken.recipient for key, spoken in transcript.items() if key != FOR_ALL],
        lambda: _labelled(bare),
        lambda: _in_sentences(bare),
        lambda: _only_one(bare, own),
        lambda: _alone_in_line(lines),
    )
    spare: list[str] = []
    for place in places:
        found = list({recipient.lower(): recipient for recipient in reversed(place())}.values())[::-1]
        others = [recipient for recipient in found if recipient.lower() not in own]
        if len(others) > 1:
            others = [recipient for recipient in others if _HELP_ADDRESS.match(recipient) is None] or others
        if others:
            return others
        spare = spare or found
    return spare


def _in_sentences(lines: list[str]) -> list[str]:
    """Addresses in sentences that speak of a failure, the words before the address first."""
    found = []
    for index, line in enumerate(lines):
        if "@" not in line:
            continue
        before = lines[index - 1] if index else ""
        for recipient in find_addresses(line):
            at = line.find(recipient)
            lead = (before[-120:] + " " + line[:at])[-160:].lower().rstrip(" \t:<(\"'-")
            if lead.endswith(HELP_BEFORE) and not lead.endswith(YOUR_MAIL_TO):
                continue
            sentence = lead + line[at + len(recipient) :].lower()
            if _HELP_ADDRESS.match(recipient) is None and says(sentence, FAILURE_WORDS):
                found.append(recipient)
    return found


def _words_behind(lines: list[str], index: int, rest: str, starts: list[int]) -> str | None:
    """What stands behind an address that begins a line, up to a blank line or the next such address."""
    words = [rest.lstrip(" \t:;>,.-")]
    after = bisect_right(starts, index)
    for line in lines[index + 1 : starts[after] if after < len(starts) else len(lines)]:
        if not line.strip() or _DIVIDING_LINE.match(line) is not None or line.startswith(_QUEUE_WORDS):
            break
        words.append(line)
    text = _one_line(words)
    if text.startswith("mailto:"):
        text = text.partition(">")[2].strip()
    # "The following recipients did not get it:" stands above the next one and is no reason of this one.
    return None if _NO_REASON.fullmatch(text) or text.endswith(":") else text


def _words_around(lines: list[str], recipient: str) -> str | None:
    """The reason near a recipient that is named inside a sentence or behind a label."""
    key = recipient.lower()
    at = next((index for index, line in enumerate(lines) if key in lower_case(line)), None)
    if at is None:
        return None
    start, stop = at, at + 1
    while start > 0 and lines[start - 1].strip() and at - start < 10:
        start -= 1
    while stop < len(lines) and lines[stop].strip() and stop - at < 20:
        stop += 1
    paragraph = _one_line(lines[start:stop])
    if _refusal(paragraph):
        return paragraph
    common = _common_words(lines, [stop - 1])
    if common is not None and _MAYBE_REPLY.search(common) is not None and read_reply(common) is not None:
        return common
    labelled = _labelled_reason(lines, at)
    if labelled is not None:
        return labelled
    behind = _one_line(lines[at:stop])
    behind = behind[lower_case(behind).find(key) + len(key) :].strip(" >\"')].:;,-")
    if len(behind) > 8 and not behind.lower().startswith(ADVICE):
        return paragraph if behind[0] == "(" else behind
    following = next((text for p in _paragraphs(lines, stop)[:2] if not _is_advice(text := _one_line(p))), None)
    return following or common or _one_line([lines[at]])


def _labelled_reason(lines: list[str], at: int) -> str | None:
    """The nearest line from `at` on that calls itself the reason ("Motif : inconnu"), and what goes on below it."""
    for index in range(at, min(at + 12, len(lines))):
        label, colon, reason = lines[index].replace("：", ":", 1).partition(":")
        if not colon or len(label) >= 40 or len(reason.strip()) < 3 or reason.strip().startswith(("//", "http")):
            continue
        if says(label.lower(), REASON_LABELS) and not _is_advice(label):
            end = next((i for i in range(index + 1, len(lines)) if not lines[i].strip()), len(lines))
            return _one_line(lines[index : min(end, index + 6)])
    return None


def _words_above(lines: list[str], entries: list[tuple[int, str]]) -> str | None:
    """Lines right above a recipient that say something: some notices name the reason first."""
    if not entries:
        return None
    start = stop = entries[0][0]
    while (
        start > 0 and lines[start - 1].strip() and _DIVIDING_LINE.match(lines[start - 1]) is None and stop - start < 6
    ):
        start -= 1
    text = _one_line(lines[start:stop])
    return text if text and not text.endswith((":", "：")) and "@" not in text else None


def _is_advice(text: str) -> bool:
    return text.lower().startswith(ADVICE)


def _refusal(text: str) -> bool:
    """Whether a text quotes the refusal of a server."""
    if _MAYBE_REPLY.search(text) is None:
        return False
    reply = read_reply(text)
    if reply is None or reply.code is None:
        return reply is not None and reply.status is not None and text.startswith(reply.status)
    return reply.code[0] in "45"


def _common_words(lines: list[str], starts: list[int]) -> str | None:
    """The reason that stands for all recipients at once: quoted reply, or what follows a word like "reason"."""
    first = starts[0] if starts else 0
    last = starts[-1] if starts else -1
    behind = _paragraphs(lines, last + 1)
    labelled: str | None = None
    for paragraph in [*behind, *_paragraphs(lines[:first], 0)]:
        expected = labelled == ""
        is_label = paragraph[0].rstrip().endswith((":", "：")) and says(paragraph[0].lower(), REASON_LABELS)
        text = _one_line(paragraph[1:] if is_label and len(paragraph) > 1 else paragraph).lstrip("- ")
        if _refusal(text):
            return text
        if is_label and len(paragraph) == 1:
            labelled = labelled or ""
        elif expected or (labelled is None and is_label):
            labelled = text
    if labelled:
        return labelled
    texts = [_one_line(paragraph) for paragraph in behind]
    with_status = next((text for text in texts if _MAYBE_REPLY.search(text) and read_reply(text) is not None), None)
    return with_status or next((text for text in texts if len(text) > 5 and not _is_advice(text)), None)


def _paragraphs(lines: list[str], start: int) -> list[list[str]]:
    paragraphs: list[list[str]] = []
    current: list[str] = []
    for line in lines[start : start + 200]:
        if line.strip() and _DIVIDING_LINE.match(line) is None:
            current.append(line)
        elif current:
            paragraphs.append(current)
            current = []
    if current:
        paragraphs.append(current)
    return paragraphs


def _one_line(lines: list[str]) -> str:
    text = "\n".join(line.strip() for line in lines)[: MAX_WORDS * 2]
    text = join_lines(text) if _MAYBE_CONTINUED.search(text) is not None else " ".join(text.split())
    return text[:MAX_WORDS].strip()
