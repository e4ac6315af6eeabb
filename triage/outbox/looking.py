"""One look at the mailbox: which drafts ask to be sent, which have waited long enough, what became of each.

A quiet look costs 6 units of Gmail's 6,000 a minute (labels 1, labelled messages 5), 6 more with `outbox_word`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from parsers.times import moment_from
from remediation.aws import Allowance
from triage import store
from triage.gmail import DraftRef, RawMessage, Refused
from triage.letters import SEARCH_LAG
from triage.outbox.checks import hindrances, joined_words
from triage.outbox.desk import Desk, News
from triage.outbox.leave import drop_mark, go_further, turn_back
from triage.outbox.mail import Letter, blind_copies, is_asked_by, outbox_id, read_letter, to_leave
from triage.outbox.relay import Hindrance
from triage.outbox.sender import choose_sender
from triage.outbox_row import AskedBy, OutboxRow

SEVERAL = "There are several drafts in this conversation. Finish or discard the others first."


@dataclass(frozen=True, slots=True)
class Wish:
    """A draft that asks to be sent."""

    draft: DraftRef
    by: AskedBy
    is_alone: bool
    """Whether it is the only draft of its conversation: of several nobody knows which one a label means."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a look found."""

    asked: tuple[Wish, ...]
    empty: tuple[str, ...]
    """Conversations with the label and without a draft."""


def poll(desk: Desk) -> Iterator[News]:
    """Go on with what is under way, then send what asks for it and has waited long enough; tells of each.

    Raises what `Gmail` raises where Gmail cannot be asked; the next look goes on.
    """
    for row in store.marks_left(desk.db):
        drop_mark(desk, row)
    for row in store.drafts_under_way(desk.db):
        yield from _guarded(_went_on(desk, row), row["draft_id"])
    assert desk.label_id  # made where it is not there, so that the owner finds it
    found = _look(desk)
    _forget(desk, found)
    for one in found.asked:
        yield from _guarded(_consider(desk, one), one.draft.id)
    for thread_id in found.empty:
        yield from _guarded(_take_label_off(desk, thread_id), thread_id)


def would_send(desk: Desk) -> Iterator[News]:
    """What `poll` would do about the drafts that ask to be sent. Writes nothing anywhere."""
    if desk.gmail.find_label(desk.label) is None and desk.settings.outbox_word is None:
        yield News(f"Gmail has no label {desk.label} yet; `triage outbox` makes it.")
        return
    for one in _look(desk).asked:
        message = desk.message(one.draft.message.id)
        if not isinstance(message, RawMessage):
            continue
        letter, sender = _opened(desk, one, message)
        row = _imagined(one)
        why = [Hindrance("several drafts", SEVERAL)] if not one.is_alone else hindrances(desk, letter, sender, row)
        head = f"{sender or '?'} to {', '.join(letter.recipients) or 'nobody'}, {letter.subject or '(no subject)'}"
        yield News(f"{head}: {'not sent: ' + joined_words(why) if why else 'would be sent'}", is_trouble=bool(why))


def _look(desk: Desk) -> Look:
    label_id = desk.gmail.find_label(desk.label)
    labelled = desk.gmail.drafts.labelled(label_id) if label_id else []
    address = desk.word_address
    worded = {ref.id for ref in desk.gmail.list_refs(f"in:drafts bcc:{address}")} if address else set[str]()
    if not labelled and not worded:
        return Look((), ())
    drafts = desk.gmail.drafts.all()
    threads = {ref.thread_id for ref in labelled}
    number = Counter(draft.message.thread_id for draft in drafts)
    asked: list[Wish] = []
    threads_told: set[str] = set()
    for draft in drafts:
        thread_id = draft.message.thread_id
        if thread_id in threads:
            if thread_id not in threads_told:  # of several drafts one stands for all: none is sent
                asked.append(Wish(draft, "label", number[thread_id] == 1))
            threads_told.add(thread_id)
        elif draft.message.id in worded:
            asked.append(Wish(draft, "word", True))
    return Look(tuple(asked), tuple(sorted(threads - number.keys())))


def _forget(desk: Desk, found: Look) -> None:
    """End the waiting of what asks no longer: unlabelled, changed, deleted or sent."""
    still = {one.draft.message.id for one in found.asked} | set(map(_empty, found.empty))
    for row in store.waiting_drafts(desk.db):
        if row["gmail_id"] not in still:
            store.give_back(desk.db, row["id"], "withdrawn", None, "it asks no longer")
            store.gave_back(desk.db, row["id"], desk.now())


def _consider(desk: Desk, one: Wish) -> Iterator[News]:
    draft, at = one.draft, desk.now()
    before = store.drafts_of(desk.db, draft.id)
    if any(row["thread_id"] == draft.message.thread_id for row in store.drafts_under_way(desk.db)):
        return
    if one.by == "word" and any(_is_over(row, draft) for row in before):
        return
    row = store.see_draft(desk.db, draft.id, draft.message.id, draft.message.thread_id, one.by, at)
    if row is None or at - moment_from(row["seen_at"]) < timedelta(seconds=desk.settings.outbox_delay):
        return
    message = desk.message(draft.message.id)
    if not isinstance(message, RawMessage):
        return
    if one.by == "word" and not is_asked_by(message.raw, desk.word_address or ""):
        return
    letter, sender = _opened(desk, one, message)
    found = hindrances(desk, letter, sender, row) if one.is_alone else [Hindrance("several drafts", SEVERAL)]
    if lasting := [hindrance for hindrance in found if not hindrance.will_pass]:
        yield from _maybe(turn_back(desk, row, "refused", lasting[0].kind, joined_words(lasting)))
    elif found:
        yield News(f"draft {row['id']}: waits: {joined_words(found)}")
    elif sender and _taken(desk, row, letter, sender, message):
        room = desk.relay.room()
        yield from _went_on(desk, desk.row(row["id"]))
        desk.sleep(1 / room.per_second if isinstance(room, Allowance) else 1.0)


def _is_over(row: OutboxRow, draft: DraftRef) -> bool:
    """Whether a draft asked for by the word had its answer: the word stays in it, unlike a label."""
    return row["state"] in ("sent", "done") or (row["state"] == "refused" and row["gmail_id"] == draft.message.id)


def _opened(desk: Desk, one: Wish, message: RawMessage) -> tuple[Letter, str | None]:
    letter = read_letter(message.raw, word_address=desk.word_address)
    conversation = desk.gmail.drafts.conversation(one.draft.message.thread_id)
    return letter, choose_sender(letter.sender, conversation, desk.settings.outbox_from)


def _taken(desk: Desk, row: OutboxRow, letter: Letter, sender: str, message: RawMessage) -> bool:
    """Write down what is about to leave; False: another process is at it."""
    message_id = outbox_id(row["gmail_id"], letter.sha256, sender)
    return store.take_draft(
        desk.db,
        row["id"],
        sha256=letter.sha256,
        message_id=message_id,
        sender=sender,
        recipients=letter.recipients,
        bcc=blind_copies(letter, desk.word_address),
        raw=to_leave(letter, sender, message_id, desk.now()),
        relay=desk.relay.name,
        mark=desk.new_mark(row["draft_id"]),
        at=desk.now(),
    )


def _take_label_off(desk: Desk, thread_id: str) -> Iterator[News]:
    """A label with nothing to send comes off after a while: a draft begun there later must not leave half written."""
    if any(row["thread_id"] == thread_id for row in store.drafts_under_way(desk.db)):
        return
    row = store.see_draft(desk.db, "", _empty(thread_id), thread_id, "label", desk.now())
    if row is None or desk.now() - moment_from(row["seen_at"]) < SEARCH_LAG:
        return
    if desk.gmail.remove_thread_labels(thread_id, [desk.label_id]) is None:
        yield News(f"the label was taken off conversation {thread_id}: there is no draft in it")


def _empty(thread_id: str) -> str:
    return f"no draft in {thread_id}"


def _went_on(desk: Desk, row: OutboxRow) -> Iterator[News]:
    yield from _maybe(go_further(desk, row))


def _guarded(outcomes: Iterator[News], name: str) -> Iterator[News]:
    """What Gmail refuses about one draft stops no other."""
    try:
        yield from outcomes
    except Refused as refusal:
        yield News(f"draft {name}: not yet ({refusal.what})", is_trouble=True)


def _maybe(outcome: News | None) -> Sequence[News]:
    return () if outcome is None else (outcome,)


def _imagined(one: Wish) -> OutboxRow:
    """A row that is written nowhere."""
    empty: Mapping[str, None] = dict.fromkeys(OutboxRow.__annotations__)
    return OutboxRow(**{**empty, "draft_id": one.draft.id, "gmail_id": one.draft.message.id})  # type: ignore[typeddict-item]
