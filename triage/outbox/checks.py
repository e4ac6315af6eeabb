"""Whether a draft may leave as it stands, asked before it does. Reads; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from remediation import load_causes
from remediation.aws import Allowance
from triage import store
from triage.display import when_words
from triage.outbox.desk import Desk
from triage.outbox.mail import Letter
from triage.outbox.relay import LARGEST_MAIL, MOST_ENVELOPE, Hindrance
from triage.outbox_row import OutboxRow


def hindrances(desk: Desk, letter: Letter, sender: str | None, row: OutboxRow) -> list[Hindrance]:
    """Why this draft is not sent now; empty: nothing is in its way. The relay is asked where the draft is in order.

    A warning the owner has read is none any more: she labelled the same draft again.
    """
    before = store.drafts_of(desk.db, row["draft_id"])
    found = [*_sent_before(before, row), *_of_the_draft(desk, letter, sender)]
    if not found and sender is not None:
        found = list(_of_the_relay(desk, letter, sender))
    if found:
        return found
    warned = {one["why"] for one in before if one["state"] == "refused"}
    return [one for one in _warnings(desk, letter) if joined_words([one]) not in warned]


def joined_words(found: list[Hindrance]) -> str:
    """All of them in one text."""
    return " ".join(dict.fromkeys(one.why for one in found))


def _sent_before(before: Sequence[OutboxRow], row: OutboxRow) -> Iterator[Hindrance]:
    """A draft that left lies in Trash, and may be taken out again."""
    for one in before:
        if one["gmail_id"] == row["gmail_id"] and one["state"] == "done":
            told = (
                f"This very draft was sent on {when_words(one['done_at'])}. To send it again, copy it into a new one."
            )
            yield Hindrance("sent before", told)
            return


def _of_the_draft(desk: Desk, letter: Letter, sender: str | None) -> Iterator[Hindrance]:
    for fault in letter.faults:
        yield Hindrance("draft", f"The draft cannot be sent as it is: {fault}.")
    if sender is None:
        several = ", ".join(desk.settings.outbox_from)
        yield Hindrance("which address", f"It is not clear which of your addresses this is from ({several}).")
    if len(letter.recipients) > MOST_ENVELOPE:
        yield Hindrance("too many recipients", f"A mail may have {MOST_ENVELOPE} recipients, this one has more.")
    size = sum(len(raw) for _, raw in letter.mail.fields) + len(letter.mail.body)
    if size > LARGEST_MAIL:
        yield Hindrance(
            "too large", f"A mail may have {LARGEST_MAIL // 1_000_000} MB, this one has {size // 1_000_000}."
        )


def _of_the_relay(desk: Desk, letter: Letter, sender: str) -> Iterator[Hindrance]:
    if hindrance := desk.relay.may_send_as(sender):
        yield hindrance
        return
    room = desk.relay.room()
    if not isinstance(room, Allowance):
        yield room
        return
    if room.left is not None and room.left < len(letter.recipients):
        why = f"{desk.relay.name} takes {room.left} more recipients today, this mail has {len(letter.recipients)}."
        yield Hindrance("quota used up", why)
        return
    for recipient in letter.recipients:
        if hindrance := desk.relay.keeps_back(recipient):
            yield hindrance
            if hindrance.will_pass:
                return


def _warnings(desk: Desk, letter: Letter) -> Iterator[Hindrance]:
    found = []
    for address, (cause, at) in store.failed_before(desk.db, letter.recipients).items():
        known = load_causes().get(cause)
        found.append(f"{address} refused your mail on {when_words(at)} ({known.title if known else cause}).")
    if not letter.subject.strip():
        found.append("It has no subject.")
    if found:
        yield Hindrance("please check", " ".join(found), may_be_overruled=True)
