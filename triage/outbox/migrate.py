"""The way from a "Send mail as" alias to the outbox, step by step, each looked at. Reads only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from remediation.aws import Allowance
from triage import store
from triage.outbox.desk import Desk


@dataclass(frozen=True, slots=True)
class MoveStep:
    """One step: whether it is done, and in words what was found, or what to do."""

    title: str
    is_done: bool | None
    """None: not looked at here; the words say where."""
    words: str


def migration(desk: Desk) -> Iterator[MoveStep]:
    """Every step, in order; the first that is not done is the next one to take."""
    settings = desk.settings
    listed = ", ".join(settings.outbox_from)
    yield MoveStep("The addresses it may send as", True, listed)
    for address in settings.outbox_from:
        hindrance = desk.relay.may_send_as(address)
        words = (
            hindrance.why
            if hindrance
            else f"{desk.relay.name} may send as {address}, and mail is signed where it says so"
        )
        yield MoveStep(f"{address} at {desk.relay.name}", hindrance is None, words)
    room = desk.relay.room()
    if isinstance(room, Allowance):
        left = "no limit is known" if room.left is None else f"{room.left} more recipients in these 24 hours"
        yield MoveStep("May it send to everybody", True, left)
    else:
        yield MoveStep("May it send to everybody", False, room.why)
    yield MoveStep(
        "SPF, DKIM and DMARC of the domain", None, "`triage audit` checks them; do not go on while it says fail"
    )
    has_label = desk.gmail.find_label(desk.label) is not None
    words = f"Gmail has the label {desk.label}" if has_label else "`triage outbox` makes it with its first look"
    yield MoveStep("The label", has_label, words)
    yield MoveStep(
        "Switched on", settings.outbox, "outbox = true" if settings.outbox else "Set `outbox = true` in triage.toml"
    )
    yield _test_mail(desk)
    yield _alias(desk)


def _test_mail(desk: Desk) -> MoveStep:
    own = desk.gmail.profile_address().lower()
    if at := store.sent_through_outbox(desk.db, own):
        return MoveStep("A test mail to yourself", True, f"it left at {at}; look at it: who is it from, is it signed")
    todo = f"Write a draft to {own}, label it {desk.label}, wait two minutes, look at what arrives"
    return MoveStep("A test mail to yourself", False, todo)


def _alias(desk: Desk) -> MoveStep:
    named = [one.address for one in desk.gmail.send_as() if one.host]
    if not named:
        return MoveStep("The old alias", True, "this account sends through no outside server")
    words = (
        f"{', '.join(named)}: keep it until January 2027 and never delete it before, Google may refuse to add it anew;"
        " write new mails by the label"
    )
    return MoveStep("The old alias", True, words)
