"""Writes the planned notes into their Gmail threads, each exactly once (`once`), and records them.

What a note says is decided when it is written. Inserts, never sends; marks nothing as read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from triage import store
from triage.config import Settings
from triage.display import found_out
from triage.gmail import Gmail, Refused, SendAs
from triage.judge import is_acted_on
from triage.letters.letter import Place
from triage.letters.note import compose_note, note_key
from triage.letters.once import NotYet, insert_once
from triage.model import Clock
from triage.rows import ActionRow, StoredVerdict

if TYPE_CHECKING:
    from sqlite_utils import Database

AskAccount = Callable[[], tuple[str, Sequence[SendAs]]]
"""Gives the address of the account and those it sends from (2 units, once a run)."""


def write_notes(gmail: Gmail, db: Database, settings: Settings, clock: Clock) -> int:
    """Write every planned note; returns how many are in the mailbox now that were not recorded before."""
    account = cache(lambda: (gmail.profile_address(), gmail.send_as()))
    labels = [name for name, is_set in (("INBOX", settings.note_inbox), ("UNREAD", settings.note_unread)) if is_set]
    written = 0
    for action in store.pending_actions(db):
        if action["kind"] != "note":
            continue
        about, thread_id = action["payload"]["about"], action["target"]
        records = _records(db, action, about)
        if not settings.notes or not records:
            why = "it was delivered, or failed for good, meanwhile" if settings.notes else "notes are switched off"
            store.fail_actions(db, [action["id"]], why, for_good=True)
            continue
        place = _place(action["payload"])
        own_id, at = place.message_id, clock()
        note = partial(_note, db, settings, account, records, place, at)
        try:
            done = insert_once(gmail, db, f"note {own_id}", own_id, note, thread_id=thread_id, label_ids=labels, now=at)
        except Refused as refusal:
            store.fail_actions(db, [action["id"]], refusal.what, for_good=refusal.status == 404)
            continue
        if isinstance(done, NotYet):
            store.fail_actions(db, [action["id"]], done.why, for_good=False)
            continue
        remark = f"Gmail put it into another conversation, {done.elsewhere}" if done.elsewhere else None
        store.finish_note(db, action["id"], done.gmail_id, remark, clock())
        written += 1
    return written


def _note(
    db: Database, settings: Settings, account: AskAccount, records: Sequence[StoredVerdict], place: Place, at: datetime
) -> bytes:
    newest = records[-1]["id"]
    found = found_out(store.evidence_of(db, [newest]).get(newest, ()))
    return compose_note(records, place, at, facts=_facts(account, settings, records[-1]), found=found)


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


def _facts(account: AskAccount, settings: Settings, record: Mapping[str, Any]) -> dict[str, Any] | None:
    """What makes the fix of an alias concrete: which account, which server. None for every other cause."""
    if record["category"] != "smtp-credentials":
        return None
    address, send_as = account()
    facts: dict[str, Any] = {"mailbox": address}
    sender = ((record.get("original") or {}).get("from") or "").lower()
    alias = next((one for one in send_as if one.address.lower() == sender and one.host), None)
    if alias:
        facts |= {"alias": alias.address, "smtp_host": alias.host, "smtp_port": alias.port}
    if settings.smtp_user and (settings.smtp_alias is None or settings.smtp_alias.lower() == sender):
        facts["iam_user"] = settings.smtp_user
    return facts
