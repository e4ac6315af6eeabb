"""Whether the outbox could send its first mail: each address it may send as, the quota, the rights. Sends nothing."""

from __future__ import annotations

from collections.abc import Iterator

from triage.config import Settings
from triage.errors import ConfigError
from triage.outbox import Hindrance, way_out
from triage.owner.doctor_aws import NOBODY, Found

_RIGHTS = "Give the login of the outbox the policy that `triage doctor --iam-policy outbox` prints."
_WALK = "`triage outbox migrate` walks you through it."


def check_outbox(settings: Settings) -> Iterator[Found]:
    """(state, words, what to do) of each thing; nothing at all where the outbox is off."""
    if not settings.outbox:
        return
    try:
        way = way_out(settings)
    except ConfigError as error:
        yield "fail", error.what, error.todo
        return
    if settings.outbox_host:
        words = f"through {way.name}, which says beforehand neither as whom it sends nor how much"
        yield "warn", words, f"Before the first mail to others send one to yourself: {_WALK}"
        return
    for address in settings.outbox_from:
        yield _told(way.may_send_as(address), f"{way.name} may send as {address}, signed by its own domain (DKIM)")
    room = way.room()
    left = None if isinstance(room, Hindrance) else room.left
    much = "no limit is known" if left is None else f"{left:,} more recipients in these 24 hours"
    yield _told(room if isinstance(room, Hindrance) else None, f"to everybody: {much}")
    yield _told(way.keeps_back(NOBODY), "whom SES keeps back may be asked")


def _told(hindrance: Hindrance | None, words: str) -> Found:
    if hindrance is None:
        return "ok", words, None
    if hindrance.will_pass:
        return "warn", hindrance.why, "Nothing, if it passes: a draft waits so long. If it lasts, check the network."
    return "fail", hindrance.why, _RIGHTS if hindrance.kind == "SES cannot be asked" else _WALK
