"""The way of one draft out of the mailbox, step by step; each is written down before it is done.

taken -> sending -> sent -> done, or returning -> refused, withdrawn, waiting. Killed anywhere, the next look goes on
from what is written: before `sending` nothing has left, from `sent` on it has, in between it is never repeated.

Three may be at the same draft. Another computer: whoever finds the mark of another beside its own steps back, and both
marks were set before either looked. The owner: moving one version of a draft to Trash takes it out of her reach, and
Gmail does that for this version or not at all; then its bytes and her label are looked at once more.
"""

from __future__ import annotations

from parsers.ses_ids import ses_id_domain
from parsers.times import moment_from
from triage import store
from triage.gmail import RawMessage, Refused, Unavailable
from triage.letters import SEARCH_LAG
from triage.outbox.desk import Desk, News
from triage.outbox.mail import as_copy, is_asked_by, read_letter
from triage.outbox.notes import doubt_words, put_note, say_why_not
from triage.outbox.relay import SendAnswer
from triage.outbox_row import EndsAs, OutboxRow

CHANGED = "it was changed, deleted or sent meanwhile"
TAKEN_OUT = "it was taken out of Trash"
TAKEN_OFF = "its label was taken off"
KILLED = "the program was ended while it was being sent."


def go_further(desk: Desk, row: OutboxRow) -> News | None:
    """Take a draft as far as it goes now; what to tell of it, None: nothing new."""
    match row["state"]:
        case "taken":
            return _leave(desk, row)
        case "sending":
            return _settle(desk, row)
        case "sent":
            return _file(desk, row)
        case "returning":
            return _return(desk, row)
    return None


def turn_back(desk: Desk, row: OutboxRow, ends_as: EndsAs, kind: str | None, why: str) -> News | None:
    """Let a draft that certainly did not leave lie among the drafts again."""
    if not store.give_back(desk.db, row["id"], ends_as, kind, why):
        return None
    return _return(desk, desk.row(row["id"]))


def _leave(desk: Desk, row: OutboxRow) -> News | None:
    if not _is_ours_alone(desk, row):
        return turn_back(desk, row, "waiting", None, "another computer is at it")
    found = desk.message(row["gmail_id"])
    if why := _why_not(row, found, was_trashed=bool(row["is_trashed"])):
        return _held_up(desk, row, found, why)
    if not store.trash_draft(desk.db, row["id"]):
        return None
    if missing := desk.gmail.trash(row["gmail_id"]):
        return _held_up(desk, desk.row(row["id"]), missing, CHANGED)
    row = desk.row(row["id"])
    found = desk.message(row["gmail_id"])
    why = _why_not(row, found, was_trashed=True)
    if why is None and isinstance(found, RawMessage) and "TRASH" not in found.label_ids:
        why = TAKEN_OUT
    if why is None and isinstance(found, RawMessage) and not _is_asked(desk, row, found):
        why = TAKEN_OFF
    if why:
        return _held_up(desk, row, found, why)
    if not store.begin_sending(desk.db, row["id"]):
        return None
    assert row["raw"] is not None
    assert row["sender"] is not None
    return _answered(desk, row, desk.relay.send(row["raw"], row["sender"], row["recipients"]))


def _is_ours_alone(desk: Desk, row: OutboxRow) -> bool:
    """Whether no other computer has marked the draft. Of two that mark it, one at least sees it."""
    mark = row["mark"] or ""
    desk.gmail.drafts.set_mark(mark)
    prefix = desk.mark_prefix(row["draft_id"]).casefold()
    marks = {name.casefold() for name in desk.gmail.label_names().values() if name.casefold().startswith(prefix)}
    return marks == {mark.casefold()}


def _why_not(row: OutboxRow, found: RawMessage | Unavailable, *, was_trashed: bool) -> str | None:
    """Why the message is not the draft that was taken; None: it is."""
    if isinstance(found, Unavailable):
        return found.why
    labels = frozenset(found.label_ids)
    if read_letter(found.raw).sha256 != row["sha256"] or "DRAFT" not in labels:
        return CHANGED
    return CHANGED if "TRASH" in labels and not was_trashed else None


def _held_up(desk: Desk, row: OutboxRow, found: RawMessage | Unavailable, why: str) -> News | None:
    if isinstance(found, Unavailable) and not _is_gone(desk, row, found):
        return News(f"draft {row['id']}: not yet ({found.why})")  # the next look goes on
    return turn_back(desk, row, "withdrawn", None, CHANGED if isinstance(found, Unavailable) else why)


def _is_gone(desk: Desk, row: OutboxRow, found: Unavailable) -> bool:
    """Whether a message is gone for good. Gmail says 404 for minutes of what was just changed: so long we look for what
    we moved to Trash, that it is not left there.
    """
    if not found.gone or not row["is_trashed"]:
        return found.gone
    return row["started_at"] is None or desk.now() - moment_from(row["started_at"]) > SEARCH_LAG


def _is_asked(desk: Desk, row: OutboxRow, found: RawMessage) -> bool:
    """Whether the owner's mark still stands on the draft or on its conversation."""
    if row["asked_by"] == "word":
        address = desk.word_address
        return address is not None and is_asked_by(found.raw, address)
    if desk.label_id in found.label_ids:
        return True
    return any(desk.label_id in message.label_ids for message in desk.gmail.drafts.conversation(row["thread_id"]))


def _answered(desk: Desk, row: OutboxRow, answer: SendAnswer) -> News | None:
    match answer.state:
        case "sent":
            store.sent_draft(desk.db, row["id"], seen_id=answer.message_id, relay_id=answer.relay_id)
            return _file(desk, desk.row(row["id"]))
        case "refused":
            return turn_back(desk, row, "refused", "refused", f"{desk.relay.name} refused it: {answer.words}")
        case "later":
            return turn_back(desk, row, "waiting", None, answer.words)
        case "unknown":
            store.doubt_draft(desk.db, row["id"], f"{answer.words}.")
            return _ask(desk, desk.row(row["id"]))


def _settle(desk: Desk, row: OutboxRow) -> News | None:
    """What became of a mail whose sending was not seen to its end: SES's events may know; else the owner is asked."""
    if known := store.events_about(desk.db, row["message_id"] or ""):
        ses_id, region = known
        store.sent_draft(desk.db, row["id"], seen_id=f"{ses_id}@{ses_id_domain(region)}", relay_id=ses_id)
        return _file(desk, desk.row(row["id"]))
    is_new = row["why"] is None
    if is_new:
        store.doubt_draft(desk.db, row["id"], KILLED)
    told = _ask(desk, desk.row(row["id"]))
    return told if is_new else None


def _ask(desk: Desk, row: OutboxRow) -> News:
    words = doubt_words(row)
    problem = put_note(desk, row, row["raw"], "in doubt", words)
    return News(f"draft {row['id']}: {words}{f' ({problem})' if problem else ''}", is_trouble=True)


def _file(desk: Desk, row: OutboxRow) -> News | None:
    """Put the copy into Sent, take the labels off, and see whether the owner went on writing meanwhile."""
    assert row["raw"] is not None
    assert row["seen_id"] is not None
    problem = _insert_copy(desk, row)
    if problem:
        return News(f"draft {row['id']}: sent; its copy is not in Sent yet ({problem})", is_trouble=True)
    spoken = f"{desk.label}/not sent".casefold()
    labels = [key for key, name in desk.gmail.label_names().items() if name.casefold().startswith(spoken)]
    left_on = desk.gmail.remove_thread_labels(row["thread_id"], [desk.label_id, *labels])
    if left_on and not left_on.gone:
        return News(f"draft {row['id']}: sent; its label is not off yet ({left_on.why})")
    if any(one.id == row["draft_id"] and one.message.id != row["gmail_id"] for one in desk.gmail.drafts.all()):
        text = (
            "Your mail has been sent as it was when you labelled it. What you wrote since is in your drafts, not sent."
        )
        put_note(desk, row, row["raw"], "written on", text)
    store.finish_draft(desk.db, row["id"], desk.now())
    drop_mark(desk, row)
    return News(f"draft {row['id']}: sent from {row['sender']} to {', '.join(row['recipients'])}")


def _insert_copy(desk: Desk, row: OutboxRow) -> str | None:
    raw = as_copy(row["raw"] or b"", row["seen_id"] or "", row["bcc"])
    # Without a reference into it no message joins a conversation; the draft itself lies in Trash.
    thread_id = row["thread_id"] if read_letter(raw).ids else None
    try:
        return desk.put_in(f"outbox copy {row['id']}", row["seen_id"] or "", lambda: raw, thread_id, ("SENT",))
    except Refused as refusal:
        return refusal.what


def _return(desk: Desk, row: OutboxRow) -> News | None:
    """Bring a draft back from Trash, and tell the owner where she must know."""
    raw = row["raw"]
    if row["is_trashed"]:
        missing = desk.gmail.drafts.untrash(row["gmail_id"])
        if missing and not _is_gone(desk, row, missing):
            return News(f"draft {row['id']}: still in Trash ({missing.why})")
    if row["ends_as"] == "refused":
        if raw is None:
            found = desk.message(row["gmail_id"])
            raw = found.raw if isinstance(found, RawMessage) else None
        if problem := say_why_not(desk, row, raw, may_be_overruled=row["kind"] == "please check"):
            return News(f"draft {row['id']}: not sent: {row['why']} The note is not written yet ({problem})")
        left_on = desk.gmail.remove_thread_labels(row["thread_id"], [desk.label_id])
        if left_on and not left_on.gone:
            return News(f"draft {row['id']}: not sent; its label is not off yet ({left_on.why})")
    # Only now may another computer take it: one that is still bringing it back would take it out of Trash once more.
    store.gave_back(desk.db, row["id"], desk.now())
    drop_mark(desk, row)
    words = {"refused": "not sent", "withdrawn": "left alone", "waiting": "waits"}[row["ends_as"] or "withdrawn"]
    return News(f"draft {row['id']}: {words}: {row['why']}", is_trouble=row["ends_as"] == "refused")


def drop_mark(desk: Desk, row: OutboxRow) -> None:
    """Take our mark off a draft that is at an end, or waits."""
    wanted = (row["mark"] or "").casefold()
    for key, name in desk.gmail.label_names().items() if wanted else ():
        if name.casefold() == wanted:
            desk.gmail.drafts.drop_mark(key)
    store.forget_mark(desk.db, row["id"])
