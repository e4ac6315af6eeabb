"""Takes back what we did in Gmail, and nothing else: the notes go to Trash, the labels come off their threads.

A person asks for all of it; a run takes back what a verdict led to that has changed. Works on what is on record as done
by us. Deletes nothing for good, keeps the labels themselves, and may be repeated:
each thing is recorded as taken back once Gmail has said so. Prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from triage import store
from triage.config import Settings
from triage.errors import TryLater
from triage.gmail import Gmail, Refused, Unavailable, connect, is_everywhere
from triage.job import limited
from triage.lock import locked

if TYPE_CHECKING:
    from sqlite_utils import Database

What = Literal["notes", "labels"]


@dataclass(frozen=True, slots=True)
class Undoing:
    """One thing to take back: a note, or a label on a thread."""

    action_ids: tuple[int, ...]
    """The actions that did it; a label was set once for each bounce of the thread."""
    thread_id: str
    what: str
    """In words: what the note is about, or the name of the label."""
    gmail_id: str | None = None
    """The note in Gmail; None for a label, and for a note nobody knows whether it arrived."""
    message_id: str | None = None
    """The Message-ID we gave the note; None for a label."""
    label_id: str | None = None
    """The label in Gmail, whatever it is called by now; None for a note, and where only the name is on record."""


@dataclass(frozen=True, slots=True)
class Undone:
    """What came of one `Undoing`. `problem`: why it could not be taken back; None: it is, or was not there."""

    undoing: Undoing
    problem: str | None = None
    was_there: bool = True
    """Whether there was something to take back."""


def to_undo(settings: Settings, what: What) -> list[Undoing]:
    """What is on record as done in Gmail and not taken back, oldest first. Writes nothing."""
    db = store.open_readonly(settings.database)
    if db is None:
        return []
    with closing(db):
        return _to_undo(db, what)


def take_back(
    settings: Settings,
    what: What,
    clock: Callable[[], datetime],
    *,
    progress: Callable[[int, int | None], None] | None = None,
) -> list[Undone]:
    """Take everything back that `to_undo` names.

    Raises TryLater (a run is at work, Gmail is away), CredentialsDead, ConfigError; what was taken back by then is on
    record. Costs 20 units for a note, 10 for a thread with labels.
    """
    if not settings.database.exists():
        return []
    with (
        locked(settings.database),
        limited(settings.run_minutes, "Taking back"),
        closing(store.open_store(settings.database)) as db,
        closing(connect(settings.token, url=settings.gmail_url)) as gmail,
    ):
        found = _to_undo(db, what)
        done = []
        for one in (_trash_notes if what == "notes" else _take_labels_off)(gmail, found):
            if one.problem is None:
                store.record_undone(db, one.undoing.action_ids, clock())
            done.append(one)
            if progress:
                progress(len(done), len(found))
        return done


def take_back_withdrawn(gmail: Gmail, db: Database, clock: Callable[[], datetime]) -> None:
    """Take off the labels and notes of verdicts that changed since, each once; what cannot be done now is tried again.

    Raises what concerns all of Gmail. Costs 5 units for a label, 5 or 10 for a note.
    """
    for row in store.withdrawn_actions(db):
        try:
            if row["kind"] == "label":
                label_id = row["label_id"] or gmail.find_label(row["payload"]["label"])
                problem, _ = _outcome([gmail.remove_labels(row["mail"], [label_id])] if label_id else ())
            else:
                note = row["gmail_id"], row["payload"]["message_id"]
                problem, _ = _outcome(gmail.trash(gmail_id) for gmail_id in _note_ids(gmail, *note))
        except (Refused, TryLater) as error:
            if isinstance(error, TryLater) and is_everywhere(error):
                raise
            continue
        if problem is None:
            store.record_undone(db, [row["id"]], clock())


def _note_ids(gmail: Gmail, gmail_id: str | None, message_id: str | None) -> list[str]:
    """The note as it lies in the mailbox; none where it never came there."""
    if gmail_id:
        return [gmail_id]
    return [ref.id for ref in gmail.find_message_id(message_id)] if message_id else []


def _to_undo(db: Database, what: What) -> list[Undoing]:
    if what == "notes":
        return [
            Undoing((row["id"],), row["target"], row["payload"]["about"], row["gmail_id"], row["payload"]["message_id"])
            for row in store.actions_to_undo(db, "note")
        ]
    by_label: dict[tuple[str, str, str | None], list[int]] = {}
    for row in store.actions_to_undo(db, "label"):
        by_label.setdefault((row["target"], row["payload"]["label"], row["label_id"]), []).append(row["id"])
    return [Undoing(tuple(ids), thread, name, label_id=known) for (thread, name, known), ids in by_label.items()]


def _trash_notes(gmail: Gmail, found: Sequence[Undoing]) -> Iterator[Undone]:
    for undoing in found:
        gmail_ids = _note_ids(gmail, undoing.gmail_id, undoing.message_id)
        yield Undone(undoing, *_outcome(gmail.trash(gmail_id) for gmail_id in gmail_ids))


def _take_labels_off(gmail: Gmail, found: Sequence[Undoing]) -> Iterator[Undone]:
    """One request for each thread, whatever the number of labels."""
    there = gmail.label_names() if found else {}
    for thread_id, group in groupby(sorted(found, key=lambda one: one.thread_id), lambda one: one.thread_id):
        undoings = list(group)
        found_ids = [one.label_id or gmail.find_label(one.what) for one in undoings]
        label_ids = list(dict.fromkeys(one for one in found_ids if one in there))
        problem, was_there = _outcome([gmail.remove_thread_labels(thread_id, label_ids)] if label_ids else ())
        for one, label_id in zip(undoings, found_ids, strict=True):
            yield Undone(one, problem, was_there and label_id in there)


def _outcome(answers: Iterable[Unavailable | None]) -> tuple[str | None, bool]:
    """(why one of these could not be done, whether any was there); what is not there any more needs no undoing."""
    found = list(answers)
    failed = [answer for answer in found if answer is not None and not answer.gone]
    return failed[0].why if failed else None, any(answer is None or not answer.gone for answer in found)
