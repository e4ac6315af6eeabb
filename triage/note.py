"""The note that explains a bounce in its own Gmail thread: verdicts in, the bytes of a short plain-text mail out.

Pure. Inserts nothing (`note_writer`) and judges nothing. What comes out of a bounce was written by strangers: no value
brings a header, a line or a link into the note. The sender lies in a domain that cannot receive (RFC 2606: `.invalid`),
so that the note is neither taken for a mail of the account's own nor answered by a machine (RFC 3834).
"""

from __future__ import annotations

import hashlib
import quopri
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime
from typing import Any, Literal, NamedTuple

from remediation import load_causes
from remediation.suggest import clean, suggest
from triage.display import ACTOR_WORDS, listed, shown

Record = Mapping[str, Any]

NOTE_DOMAIN = "bounce-triage.invalid"
NOTE_SENDER = f"note@{NOTE_DOMAIN}"
NOTE_HEADER = "X-Triage"
"""Marks what we wrote, for other programs and for people who look at the source of a mail."""

MAX_STEPS = 4
"""A note is read on a phone: where the fix is longer, it says where the rest of it is."""
MAX_PEOPLE = 10
MAX_SUBJECT = 900
MAX_REFERENCES = 10
ALIAS_END = "January 2027"
"""A step that names this month is told in every note: no repair of an alias outlives it."""

_MESSAGE_ID = re.compile(r"[!-;=?-~]{3,250}")  # RFC 5322 3.6.4, what others make of it included; no angle brackets

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_SIDE = {
    "own": "It never left your side: the recipient's server was not asked, and one repair heals every such mail.",
    "remote": "It left your side; the other side refused it.",
}


class Conclusion(NamedTuple):
    """What was found out about the own side."""

    words: str
    result: Literal["proven", "likely"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a note goes: what makes it one message, and what makes Gmail put it into the thread of the bounce."""

    message_id: str
    subject: str
    """That of the bounce: Gmail joins a thread only by the same subject and a reference into it."""
    references: tuple[str, ...]
    """Message-IDs of mails in the thread, the bounce last; never empty."""


def note_key(record: Record) -> str:
    """What one note explains: all failures of a thread with the same key. A delay is another story than a failure."""
    return f"{record['cause']}/delayed" if record["kind"] == "delayed" else str(record["cause"])


def note_place(
    key: str, thread_id: str, gmail_id: str, *, subject: str | None, message_id: str | None, references: Sequence[str]
) -> Place | None:
    """The place of the note about a bounce; None where the bounce names no mail of the thread, so no note could join.

    `gmail_id`, `subject`, `message_id` and `references` are the bounce's own. The note's Message-ID depends on nothing
    else, so that a note written before a crash, or before a database was lost, is found again.
    """
    ids = [found for found in (*references, message_id) if found and _MESSAGE_ID.fullmatch(found)]
    if not ids:
        return None
    digest = hashlib.sha256(f"{thread_id} {gmail_id} {key}".encode()).hexdigest()[:32]
    own_id = f"triage.{digest}@{NOTE_DOMAIN}"
    return Place(own_id, shown(subject or "", MAX_SUBJECT), tuple(dict.fromkeys(ids))[-MAX_REFERENCES:])


def compose_note(
    records: Sequence[Record],
    place: Place,
    at: datetime,
    *,
    facts: Mapping[str, Any] | None = None,
    conclusion: Conclusion | None = None,
) -> bytes:
    """The note as a whole mail, CRLF line ends, about verdict records of one key, the newest last; at least one.

    `facts` make the fix concrete (see `suggest`), `conclusion` is what was found out about the own side.
    """
    headers = [
        ("From", f'"Bounce triage (a note, not a mail)" <{NOTE_SENDER}>'),
        ("Subject", _header_text(place.subject)),
        ("Date", format_datetime(at)),
        ("Message-ID", f"<{place.message_id}>"),
        ("In-Reply-To", f"<{place.references[-1]}>"),
        ("References", "\r\n ".join(f"<{reference}>" for reference in place.references)),
        ("Auto-Submitted", "auto-generated"),
        (NOTE_HEADER, f"note; cause={records[-1]['cause']}"),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Transfer-Encoding", "quoted-printable"),
    ]
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    text = note_text(records, facts=facts, conclusion=conclusion)
    body = quopri.encodestring(text.encode("utf-8", "replace")).replace(b"\n", b"\r\n")
    return head.encode("ascii") + b"\r\n" + body


def note_text(
    records: Sequence[Record], *, facts: Mapping[str, Any] | None = None, conclusion: Conclusion | None = None
) -> str:
    """What the note says. A paragraph is one line: Gmail wraps it as the screen needs."""
    record = records[-1]
    cause = load_causes().get(record["cause"])
    why = "a cause this version does not know" if cause is None else _SENTENCE_END.split(cause.meaning)[0].rstrip(".")
    proven = conclusion is not None and conclusion.result == "proven"
    uncertain = cause is not None and cause.decide is not None and not proven
    paragraphs = [
        _what_happened(records),
        " ".join(
            filter(
                None,
                (f"Why: {why} [{clean(record['cause'])}].", record["kind"] == "failed" and _SIDE.get(record["side"])),
            )
        ),
        uncertain and f"This is not certain; `triage explain {record.get('id', 'ID')}` says what would decide it.",
        f"Whose move: {ACTOR_WORDS.get(record['actor'], 'not known')}.",
        "\n".join(_steps(record, facts)),
        "\n".join(_evidence(record, conclusion)),
        "This note was written by bounce-triage. It was put here, not sent: only this mailbox has it.\n"
        "No more notes: `notes = false` in triage.toml. Take those there are away: triage undo notes",
    ]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"


def _what_happened(records: Sequence[Record]) -> str:
    named = (clean(record["recipient"]) for record in records if record["recipient"])
    people = list(dict.fromkeys(filter(None, named)))
    who = listed(people, MAX_PEOPLE) if people else "somebody the report does not name"
    match records[-1]["kind"]:
        case "delayed":
            return f"Not delivered yet: the mail to {who}. It is still being tried."
        case "feedback":
            return f"Reported as spam: the mail to {who}."
        case _:
            return f"Not delivered: the mail to {who}."


def _steps(record: Record, facts: Mapping[str, Any] | None) -> Iterable[str]:
    """The fix, numbered as in `triage explain`; of a long one its beginning, and what must never be left out."""
    steps = suggest(record, facts) if facts else record["fix"]
    if not steps:
        return
    yield "What to do:"
    told = [(number, step) for number, step in enumerate(steps, 1) if number < MAX_STEPS or ALIAS_END in step]
    if len(steps) == MAX_STEPS:
        told = list(enumerate(steps, 1))
    for number, step in told:
        yield f"{number}. {shown(step, 1500)}"
    if left := len(steps) - len(told):
        yield f"All {len(steps)} steps ({left} more): triage explain {record.get('id', 'ID')}"


def _evidence(record: Record, conclusion: Conclusion | None) -> Iterable[str]:
    """What the judgement rests on: the refuser's words, quoted as theirs, and the ids to find the mail by elsewhere."""
    words = record["diagnostic"] or record["evidence"]
    said = f'"{_quotable(words)}"' if words else "nothing was passed on"
    host = f", {clean(record['remote_host'])}" if record["remote_host"] else ""
    yield f"Evidence, in the words of the server that refused it{host}: {said}"
    ids = [f"rule {record['rule']}"] if record["rule"] else ["no rule decided"]
    original = record.get("original") or {}
    if original.get("ses_message_id"):
        ids.append(f"SES id {clean(original['ses_message_id'])} in {clean(original['ses_region'] or 'unknown region')}")
    if record.get("id"):
        ids.append(f"everything about it: triage explain {record['id']}")
    yield f"({'; '.join(ids)})"
    if conclusion:
        yield f"Found out: {_long(f'{conclusion.words} ({conclusion.result})')}"


def _long(text: str) -> str:
    """A text of several sentences made harmless word by word, because `clean` keeps only the beginning of one."""
    return shown(" ".join(clean(word) for word in text.split()), 900)


def _quotable(text: str) -> str:
    return _long(text)[:300].replace('"', "'")


def _header_text(text: str) -> str:
    """A header value as ASCII (RFC 2047 where it is not), folded; the decoded value is the text, letter by letter."""
    text = text.encode("utf-8", "replace").decode()
    if text.isascii() and "=?" not in text:
        return text
    return Header(text, "utf-8", maxlinelen=75, header_name="Subject").encode(linesep="\r\n")
