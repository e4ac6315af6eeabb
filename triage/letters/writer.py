"""Writes the planned notes into their Gmail threads, each exactly once (`once`), and records them.

What a note says is decided when it is written. Inserts, never sends; marks nothing as read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Literal

from triage import store
from triage.config import Settings
from triage.display import found_out
from triage.errors import TryLater
from triage.fixes import OwnAccount
from triage.gmail import Gmail, Refused, Streak, is_put_off
from triage.judging import is_acted_on
from triage.letters.letter import Place
from triage.letters.note import compose_note, note_key
from triage.letters.once import NotYet, insert_once
from triage.model import Clock
from triage.names import account_now, known_names
from triage.rows import ActionRow, StoredVerdict

if TYPE_CHECKING:
    from sqlite_utils import Database

AskAccount = Callable[[], OwnAccount]
"""Gives what Gmail says of the account (2 units, once a run)."""


def write_notes(gmail: Gmail, db: Database, settings: Settings, clock: Clock) -> Iterator[Literal["written", "held"]]:
    """Write every planned note, as far as `notes_per_day` goes, and give what became of each while doing it.

    `written`: it is in the mailbox now, and was not recorded before. `held`: held back, because so many were written in
    the last day; those about our own side never are. What goes wrong with one stops no other. Raises TryLater where
    Gmail did none of several in a row, or did not answer in time; CredentialsDead, ConfigError.
    """
    trouble = Streak()
    account = cache(lambda: account_now(db, gmail))
    labels = [name for name, is_set in (("INBOX", settings.note_inbox), ("UNREAD", settings.note_unread)) if is_set]
    left = settings.notes_per_day - store.notes_since(db, clock() - timedelta(days=1))
    for action in store.pending_actions(db, clock()):
        if action["kind"] != "note":
            continue
        about, thread_id = action["payload"]["about"], action["target"]
        records = _records(db, action, about)
        if not settings.notes or not records:
            why = "it was delivered, or failed for good, meanwhile" if settings.notes else "notes are switched off"
            store.fail_actions(db, [action["id"]], why, clock(), for_good=True)
            continue
        if left <= 0 and records[-1]["side"] != "own":
            why = f"held back: more than {settings.notes_per_day} a day"
            store.fail_actions(db, [action["id"]], why, clock(), for_good=True)
            yield "held"
            continue
        place = _place(action["payload"])
        own_id, at = place.message_id, clock()
        note = partial(_note, db, settings, account, records, place, at)
        try:
            done = insert_once(gmail, db, f"note {own_id}", own_id, note, thread_id=thread_id, label_ids=labels, now=at)
        except (Refused, TryLater) as error:
            not_done(db, [action["id"]], error, trouble, at)
            continue
        if isinstance(done, NotYet):
            store.put_off_actions(db, [action["id"]], done.why, at)
            if done.trouble:
                trouble.met(done.trouble)
            continue
        trouble.over()
        remark = f"Gmail put it into another conversation, {done.elsewhere}" if done.elsewhere else None
        store.finish_note(db, action["id"], done.gmail_id, remark, clock())
        left -= 1
        yield "written"


def not_done(db: Database, action_ids: Sequence[int], error: Refused | TryLater, trouble: Streak, at: datetime) -> None:
    """Record why actions could not be carried out. Raises the error where it is no matter of single items."""
    if is_put_off(error):
        store.put_off_actions(db, action_ids, error.what, at)
    elif isinstance(error, Refused) and error.is_missing:
        store.miss_actions(db, action_ids, error.what, at)
    else:
        store.fail_actions(db, action_ids, error.what, at)
    if isinstance(error, TryLater):
        trouble.met(error)
    else:
        trouble.over()


def _note(
    db: Database, settings: Settings, account: AskAccount, records: Sequence[StoredVerdict], place: Place, at: datetime
) -> bytes:
    record = records[-1]
    found = found_out(store.evidence_of(db, [record["id"]]).get(record["id"], ()))
    # Where anything was ever asked, only the fix of an alias is worth asking again: its server may have changed.
    known = None if record["category"] == "smtp-credentials" else store.names.read_account(db)
    names = known_names(db, settings, record, known or account())
    return compose_note(records, place, at, names=names, found=found)


def _records(db: Database, action: ActionRow, about: str) -> list[StoredVerdict]:
    """The verdicts of a thread that a note explains, oldest first: those since the trouble began."""
    began = store.trouble_began(db, action["mail_id"], about.partition("/")[0]) or ""
    return [
        record
        for mail_id in store.mails_of_thread(db, action["target"])
        for record in store.verdicts_of(db, mail_id)
        if is_acted_on(record, record["proof"])
        and note_key(record) == about
        and record["superseded_by"] is None
        and record["received_at"] >= began
    ]


def _place(payload: Mapping[str, Any]) -> Place:
    return Place(payload["message_id"], payload["subject"], tuple(payload["references"]))
