"""Writes the planned notes into their Gmail threads: looked up first, inserted once, recorded.

The order is what makes it safe to be killed: the note was written down with its Message-ID before (`store_judged`), is
looked for in the mailbox, handed to Gmail once, and recorded. Where it is not known whether Gmail took it, the next run
looks before it tries again. Inserts, never sends; marks nothing as read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from triage import store, store_actions, store_events
from triage.config import Settings
from triage.gmail import Gmail, OutcomeUnknown, Ref, Refused, SendAs
from triage.judge import is_acted_on
from triage.note import Conclusion, Place, compose_note, note_key

if TYPE_CHECKING:
    from sqlite_utils import Database

Row = dict[str, Any]


def write_notes(
    gmail: Gmail, db: Database, settings: Settings, clock: Callable[[], datetime], left_over: Collection[int]
) -> int:
    """Write every planned note; returns how many are in the mailbox now that were not recorded before.

    `left_over` are the ids of actions an earlier run left behind: it may have been killed between handing a note to
    Gmail and recording it, so these are looked for in the thread itself, which unlike the search never lags.
    """
    account = cache(lambda: (gmail.profile_address(), gmail.send_as()))
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
        try:
            ref = _find(gmail, thread_id, place.message_id, is_left_over=action["id"] in left_over)
            if ref is None:
                conclusion = _conclusion(db, records[-1]["id"])
                facts = _facts(account, settings, records[-1])
                note = compose_note(records, place, clock(), facts=facts, conclusion=conclusion)
                ref = gmail.insert(note, thread_id, _labels(settings))
        except Refused as refusal:
            store.fail_actions(db, [action["id"]], refusal.what, for_good=refusal.status == 404)
            continue
        except OutcomeUnknown as unknown:
            store.fail_actions(db, [action["id"]], unknown.what, for_good=False)
            continue
        remark = None if ref.thread_id == thread_id else f"Gmail put it into another conversation, {ref.thread_id}"
        store_actions.finish_note(db, action["id"], ref.id, remark, clock())
        written += 1
    return written


def _records(db: Database, action: Row, about: str) -> list[Row]:
    """The verdicts of a thread that a note explains, oldest first: those since the trouble began."""
    began = store_actions.trouble_began(db, action["mail_id"], about.partition("/")[0]) or ""
    return [
        record
        for mail_id, in_sent in store_actions.mails_of_thread(db, action["target"]).items()
        for record in store.verdicts_of(db, mail_id)
        if is_acted_on(record, in_sent)
        and note_key(record) == about
        and record["superseded_by"] is None
        and record["received_at"] >= began
    ]


def _place(payload: Mapping[str, Any]) -> Place:
    return Place(payload["message_id"], payload["subject"], tuple(payload["references"]))


def _find(gmail: Gmail, thread_id: str, message_id: str, *, is_left_over: bool) -> Ref | None:
    """The note, where it is there already: in the thread, elsewhere, or thrown away by the user."""
    found = gmail.find_in_thread(thread_id, message_id) if is_left_over else None
    return found or next(iter(gmail.find_message_id(message_id)), None)


def _labels(settings: Settings) -> list[str]:
    wanted = {"INBOX": settings.note_inbox, "UNREAD": settings.note_unread}
    return [label for label, is_wanted in wanted.items() if is_wanted]


def _conclusion(db: Database, verdict_id: int) -> Conclusion | None:
    """What was found out about the own side, where it was more than a guess."""
    rows = store_events.evidence_of(db, [verdict_id]).get(verdict_id, ())
    return next(
        (Conclusion(row["detail"], row["result"]) for row in rows if row["result"] in ("proven", "likely")), None
    )


def _facts(
    account: Callable[[], tuple[str, Sequence[SendAs]]], settings: Settings, record: Mapping[str, Any]
) -> dict[str, Any] | None:
    """What makes the fix of an alias concrete: which account, which server. None for every other cause.

    `account` gives the address of the account and those it sends from (2 units, once a run).
    """
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
