"""The note that explains a bounce in its own Gmail thread: verdicts in, the bytes of a short plain-text mail out.

Pure. Inserts nothing (`writer`) and judges nothing. What comes out of a bounce was written by strangers: no value
brings a line or a link into the note.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from remediation import load_causes
from remediation.suggest import NO_NAMES, Names
from triage.display import ACTOR_WORDS, listed, shown
from triage.fixes import fix_of
from triage.letters.letter import NOTE_DOMAIN, Place, letter_bytes
from triage.no_links import own_domain, told, unlinked_step
from triage.rows import StoredVerdict, VerdictRecord

NOTE_SENDER = f"note@{NOTE_DOMAIN}"

MAX_STEPS = 4
"""A note is read on a phone: where the fix is longer, it says where the rest of it is."""
MAX_PEOPLE = 10
ALIAS_END = "January 2027"
"""A step that names this month is told in every note: no repair of an alias outlives it."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_SIDE = {
    "own": "It never left your side: the recipient's server was not asked, and one repair heals every such mail.",
    "remote": "It left your side; the other side refused it.",
}


class Conclusion(NamedTuple):
    """What was found out about the own side."""

    words: str
    result: Literal["proven", "likely"]


def note_key(record: VerdictRecord) -> str:
    """What one note explains: all failures of a thread with the same key. A delay is another story than a failure."""
    return f"{record['cause']}/delayed" if record["kind"] == "delayed" else str(record["cause"])


def compose_note(
    records: Sequence[StoredVerdict],
    place: Place,
    at: datetime,
    *,
    names: Names = NO_NAMES,
    conclusion: Conclusion | None = None,
) -> bytes:
    """The note as a whole mail about verdict records of one key, the newest last; at least one.

    `names` make the fix concrete, `conclusion` is what was found out about the own side.
    """
    what, sender = f"note; cause={records[-1]['cause']}", f'"Bounce triage (a note, not a mail)" <{NOTE_SENDER}>'
    return letter_bytes(what, sender, place, at, note_text(records, names=names, conclusion=conclusion))


def note_text(
    records: Sequence[StoredVerdict], *, names: Names = NO_NAMES, conclusion: Conclusion | None = None
) -> str:
    """What the note says. A paragraph is one line: Gmail wraps it as the screen needs."""
    record = records[-1]
    cause = load_causes().get(record["cause"] or "")
    why = "a cause this version does not know" if cause is None else _SENTENCE_END.split(cause.meaning)[0].rstrip(".")
    proven = conclusion is not None and conclusion.result == "proven"
    side = _SIDE.get(record["side"] or "")
    uncertain = cause is not None and cause.decide is not None and not proven
    paragraphs = [
        _what_happened(records),
        f"Why: {why} [{told(record['cause'])}]." + (f" {side}" if side and record["kind"] == "failed" else ""),
        uncertain and f"This is not certain; `triage explain {record.get('id', 'ID')}` says what would decide it.",
        f"Whose move: {ACTOR_WORDS.get(record['actor'] or '', 'not known')}.",
        "\n".join(_steps(record, names)),
        "\n".join(_evidence(record, conclusion)),
        "This note was written by bounce-triage. It was put here, not sent: only this mailbox has it.\n"
        "No more notes: `notes = false` in triage.toml. Take those there are away: triage undo notes",
    ]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"


def _what_happened(records: Sequence[StoredVerdict]) -> str:
    named = (told(record["recipient"]) for record in records if record["recipient"])
    people = list(dict.fromkeys(filter(None, named)))
    who = listed(people, MAX_PEOPLE) if people else "somebody the report does not name"
    match records[-1]["kind"]:
        case "delayed":
            return f"Not delivered yet: the mail to {who}. It is still being tried."
        case "feedback":
            return f"Reported as spam: the mail to {who}."
        case _:
            return f"Not delivered: the mail to {who}."


def _steps(record: StoredVerdict, names: Names) -> Iterable[str]:
    """The fix, numbered as in `triage explain`; of a long one its beginning, and what must never be left out."""
    steps = fix_of(record, names)
    if not steps:
        return
    sender = record["original"]["from"] if record["original"] else None
    own = [own_domain(sender), *filter(None, (names.domain, names.smtp_host))]
    yield "What to do:"
    told = [(number, step) for number, step in enumerate(steps, 1) if number < MAX_STEPS or ALIAS_END in step]
    if len(steps) == MAX_STEPS:
        told = list(enumerate(steps, 1))
    for number, step in told:
        yield f"{number}. {unlinked_step(shown(step, 1500), own)}"
    if left := len(steps) - len(told):
        yield f"All {len(steps)} steps ({left} more): triage explain {record.get('id', 'ID')}"


def _evidence(record: StoredVerdict, conclusion: Conclusion | None) -> Iterable[str]:
    """What the judgement rests on: the refuser's words, quoted as theirs, and the ids to find the mail by elsewhere."""
    words = record["diagnostic"] or record["evidence"]
    said = f'"{_quotable(words)}"' if words else "nothing was passed on"
    host = f", {told(record['remote_host'])}" if record["remote_host"] else ""
    yield f"Evidence, in the words of the server that refused it{host}: {said}"
    ids = [f"rule {record['rule']}"] if record["rule"] else ["no rule decided"]
    original = record["original"]
    if original and original["ses_message_id"]:
        ids.append(f"SES id {told(original['ses_message_id'])} in {told(original['ses_region'] or 'unknown region')}")
    if record.get("id"):
        ids.append(f"everything about it: triage explain {record['id']}")
    yield f"({'; '.join(ids)})"
    if conclusion:
        yield f"Found out: {_long(f'{conclusion.words} ({conclusion.result})')}"


def _long(text: str) -> str:
    """A text of several sentences made harmless word by word, because `told` keeps only the beginning of one."""
    return shown(" ".join(told(word) for word in text.split()), 900)


def _quotable(text: str) -> str:
    return _long(text)[:300].replace('"', "'")
