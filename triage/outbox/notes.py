"""Tells the owner, in the draft's own conversation, why a draft was not sent: a note only she sees, and a label."""

from __future__ import annotations

from contextlib import suppress

from triage.display import listed, shown
from triage.gmail import Refused
from triage.letters import IN_INBOX, NOTE_FROM, Place, letter_bytes, letter_id
from triage.outbox.desk import Desk
from triage.outbox.mail import Letter, read_letter
from triage.outbox_row import OutboxRow


def say_why_not(desk: Desk, row: OutboxRow, raw: bytes | None, *, may_be_overruled: bool) -> str | None:
    """Note and label about a draft that was not sent; what could not be done, in words, None: all is."""
    again = f"put the label “{desk.label}” on it again" if row["asked_by"] == "label" else "change it once"
    mend = f"To send it all the same, {again}." if may_be_overruled else f"Mend the draft, then {again}."
    problem = put_note(desk, row, raw, "not sent", f"Not sent: {row['why']}\n\n{mend}")
    with suppress(Refused):  # Google's guide allows drafts no label of ours; where that holds, the note alone says it
        desk.gmail.add_labels(row["gmail_id"], [desk.gmail.label_id(desk.not_sent(row["kind"] or "draft"))])
    return problem


def put_note(desk: Desk, row: OutboxRow, raw: bytes | None, what: str, text: str) -> str | None:
    """Put a note about a draft into its conversation, once for each `what`; why it is not there, None: it is."""
    letter = read_letter(raw) if raw else None
    note_id = letter_id(f"outbox {what} {row['gmail_id']} {row['id']}")
    key, place = f"outbox {what} {row['id']}", _place(note_id, letter)
    body = f"{text}\n\n{_about(letter)}By bounce-triage, seen only here. Number {row['id']} of `triage outbox`.\n"
    compose = lambda: letter_bytes(f"outbox; {what}", NOTE_FROM, place, desk.now(), body)  # noqa: E731
    return desk.put_in(key, note_id, compose, row["thread_id"] if place.references else None, IN_INBOX)


def doubt_words(row: OutboxRow) -> str:
    """What is said of a mail of which nobody knows whether it left."""
    return (
        f"Perhaps sent, perhaps not: {row['why']} It is not sent again by itself. Ask"
        f" {listed(row['recipients'], 3)}, then `triage outbox --was-sent {row['id']}` or"
        f" `triage outbox --was-not-sent {row['id']}`. The draft lies in Trash."
    )


def _place(note_id: str, letter: Letter | None) -> Place:
    if letter is None:
        return Place(note_id, "A draft")
    own = letter.mail.message_id
    return Place(note_id, shown(letter.subject, 900) or "(no subject)", (*letter.ids, *([own] if own else []))[-10:])


def _about(letter: Letter | None) -> str:
    if letter is None:
        return ""
    return f"The draft: to {listed(letter.recipients, 3) or 'nobody'}, “{shown(letter.subject, 100)}”.\n"
