"""The note that explains a bounce in its own Gmail thread: verdicts in, the bytes of a short plain-text mail out.

Pure. Inserts nothing (`writer`) and judges nothing. What comes out of a bounce was written by strangers: no value
brings a line or a link into the note.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from remediation import is_for_others, load_causes
from remediation.suggest import NO_NAMES, UNKNOWN_MAILBOX, Names
from triage.display import listed, retimed, shown, step_words, wrapped
from triage.fixes import end_of_alias, fix_of, tells_end
from triage.letters.letter import NOTE_DOMAIN, Place, letter_bytes
from triage.no_links import own_domain, told, unlinked_step
from triage.rows import StoredVerdict, VerdictRecord

NOTE_SENDER = f"note@{NOTE_DOMAIN}"
NOTE_FROM = f'"Bounce triage (a note, not a mail)" <{NOTE_SENDER}>'

MOST_LINES, COLUMNS = 12, 80
"""A note is read on a phone, between two other mails: so many lines of a small window it may fill."""
MAX_PEOPLE = 3
NEEDED_STEPS = 2
"""To make a login and not to enter it repairs nothing: people, and what was found out, are cut for the second step."""

_SIDES = {"own": " It was stopped on your side.", "remote": " The other side refused it."}


def note_key(record: VerdictRecord) -> str:
    """What one note explains: all failures of a thread with the same key. A delay is another story than a failure."""
    return f"{record['cause']}/delayed" if record["kind"] == "delayed" else str(record["cause"])


def compose_note(
    records: Sequence[StoredVerdict],
    place: Place,
    at: datetime,
    *,
    names: Names = NO_NAMES,
    found: str | None = None,
) -> bytes:
    """The note as a whole mail about verdict records of one key, the newest last; at least one.

    `names` make the fix concrete, `found` is what was found out about the own side, a sentence.
    """
    return letter_bytes(
        f"note; cause={records[-1]['cause']}", NOTE_FROM, place, at, note_text(records, at, names=names, found=found)
    )


def note_text(
    records: Sequence[StoredVerdict],
    at: datetime,
    *,
    names: Names = NO_NAMES,
    found: str | None = None,
) -> str:
    """What the note says, at most MOST_LINES lines of COLUMNS; a paragraph is one line: Gmail wraps it as needed.

    What happened, why, and as many steps as have room. The server's words stand in the bounce above it; rule, ids and
    the rest of the fix in `triage explain`.
    """
    record = records[-1]
    cause = load_causes().get(record["cause"] or "")
    title = f"{cause.title}." if cause else "A cause this version does not know."
    steps = fix_of(record, names)
    end = f" {told_end}" if (told_end := end_of_alias(steps)) else ""
    foot = (
        f"More: `triage explain {record.get('id', 'ID')}`.{end} By bounce-triage, seen only here."
        " End notes: `notes = false`. Undo: `triage undo notes`"
    )
    mine = _own_steps(steps, record, names)
    text: list[str] = []
    for most_people, why in (MAX_PEOPLE, found), (1, found), (1, None):
        head = [_what_happened(records, most_people), f"{title} {_long(retimed(why, at))}" if why else title]
        told_steps, room = _that_fit(mine, MOST_LINES - 1 - sum(map(_lines_of, (*head, foot))))
        text = [*head, "", *told_steps, *([""] if told_steps and room else []), foot]
        if len(told_steps) >= min(NEEDED_STEPS, len(mine)):
            break
    return "\n".join(text) + "\n"


def _own_steps(steps: Sequence[str], record: StoredVerdict, names: Names) -> list[str]:
    """What the owner does, numbered. The note lies in that very mailbox: which one is meant need not be said."""
    own, here = _own_names(record, names), f" ({names.mailbox or UNKNOWN_MAILBOX})"
    mine = [step.replace(here, "") for step in steps if not is_for_others(step) and not tells_end(step)]
    return [f"{number}. {unlinked_step(step_words(step, 1500), own)}" for number, step in enumerate(mine, 1)]


def _that_fit(steps: Sequence[str], room: int) -> tuple[list[str], int]:
    """As many of the first steps as so many lines hold, and how many lines are left."""
    fit: list[str] = []
    for step in steps:
        if _lines_of(step) > room:
            break
        room -= _lines_of(step)
        fit.append(step)
    return fit, room


def _lines_of(paragraph: str) -> int:
    return len(wrapped(paragraph, COLUMNS))


def _what_happened(records: Sequence[StoredVerdict], most_people: int) -> str:
    named = (told(record["recipient"]) for record in records if record["recipient"])
    people = list(dict.fromkeys(filter(None, named)))
    who = listed(people, most_people) if people else "somebody the report does not name"
    match records[-1]["kind"]:
        case "delayed":
            return f"Not delivered yet: the mail to {who}. It is still being tried."
        case "feedback":
            return f"Reported as spam: the mail to {who}."
        case _:
            return f"Not delivered: the mail to {who}.{_SIDES.get(records[-1]['side'] or '', '')}"


def _own_names(record: StoredVerdict, names: Names) -> list[str]:
    """Domains and hosts that are the owner's, and stand in a step as they are."""
    sender = record["original"]["from"] if record["original"] else None
    return [own_domain(sender), *filter(None, (names.domain, names.smtp_host))]


def _long(text: str) -> str:
    """A text of several sentences made harmless word by word, because `told` keeps only the beginning of one."""
    return shown(" ".join(told(word) for word in text.split()), 300)
