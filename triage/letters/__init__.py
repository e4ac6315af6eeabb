"""All that we put into the mailbox, each exactly once, and how it is taken back.

In: what to say and where. Out: the message in the mailbox, or why not yet. Inserts, never sends.
May import: `triage.store`, `triage.gmail`, `triage.judging`.
"""

from __future__ import annotations

from triage.letters.labels import LABELS, set_labels
from triage.letters.letter import IN_INBOX, NOTE_DOMAIN, NOTE_HEADER, Place, letter_bytes, letter_id, note_place
from triage.letters.note import NOTE_FROM, NOTE_SENDER, note_key
from triage.letters.once import SEARCH_LAG, Inserted, NotYet, insert_once
from triage.letters.undo import Undoing, What, take_back_withdrawn
from triage.letters.writer import write_notes

__all__ = [
    "IN_INBOX",
    "LABELS",
    "NOTE_DOMAIN",
    "NOTE_FROM",
    "NOTE_HEADER",
    "NOTE_SENDER",
    "SEARCH_LAG",
    "Inserted",
    "NotYet",
    "Place",
    "Undoing",
    "What",
    "insert_once",
    "letter_bytes",
    "letter_id",
    "note_key",
    "note_place",
    "set_labels",
    "take_back_withdrawn",
    "undo",
    "write_notes",
]
