"""Which of the owner's addresses a draft leaves from. Pure; a stranger's mail only chooses among *these*."""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import getaddresses

from triage.gmail import InThread

_NOT_READ = frozenset({"DRAFT", "TRASH", "SPAM"})


def choose_sender(composed: str | None, conversation: Sequence[InThread], listed: Sequence[str]) -> str | None:
    """The address to send from, one of `listed`, whose first is the account's default; None: it is not clear which.

    `composed`: the address the draft names itself. Where it is listed, the owner chose it. Else the newest mail of the
    conversation that was written to a listed address, or from one, tells; it must be one and not several.
    """
    own = {address.lower(): address for address in listed}
    if composed and composed.lower() in own:
        return own[composed.lower()]
    for message in reversed(conversation):
        if message.label_ids & _NOT_READ:
            continue
        names = ("from",) if "SENT" in message.label_ids else ("to", "cc", "delivered-to")
        values = [value for name in names for value in message.headers.get(name, ())]
        found = {address.lower() for _, address in getaddresses(values)} & own.keys()
        if len(found) > 1:
            return None
        if found:
            return own[found.pop()]
    return listed[0] if listed else None
