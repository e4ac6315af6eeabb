"""The one thing to do next in a rotation, from what is stored and what AWS shows.

Pure: asks nobody and changes nothing. Compares the stored state with the facts, so it gives the same answer however
often it is asked, and a step that was carried out already is never asked for again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from parsers.times import minute_text
from remediation.rotation.state import (
    AwsView,
    IamKey,
    Rotation,
    Stop,
    Wait,
    before_in_secret,
    both_active,
    used_lately,
)

ActKind = Literal[
    "create-key",
    "delete-orphan",  # a key an earlier try of ours made, whose id was never written down
    "discard-new",  # a key of ours whose secret is lost, and which nobody was ever given
    "stage",
    "log-in",
    "promote",
    "drop-pending",
    "restore",
    "reactivate",
    "deactivate",
    "delete",
]

_TAKING = frozenset({"delete-orphan", "discard-new", "deactivate", "delete"})
"""What takes a key away; `_untouchable` says which key never goes, whatever is stored."""

CLOCKS_APART = timedelta(minutes=2)
"""How far this computer's clock and AWS's may differ when a key is recognised by its age."""
CREATING_TAKES = timedelta(minutes=2)
"""Longer than one request for a key can be under way, all its retries included."""
WORD_COUNTS = timedelta(hours=1)
"""How long the owner's word, that Gmail uses the key to be kept, is good for making the other one Inactive. An older
one may stand in an old copy of the database, and Gmail may have got another login since."""
MOST_NEW_KEYS = 3
"""How many keys one rotation makes before it gives up; more than one only after a crash."""


@dataclass(frozen=True, slots=True)
class Act:
    """Do this now; the stored state already covers it."""

    action: ActKind
    key_id: str | None = None


@dataclass(frozen=True, slots=True)
class Advance:
    """What this state was for has been done: store the next one."""

    rotation: Rotation


Decision = Act | Advance | Wait | Stop

_ABORT = "Run `triage credentials rotate abort`; it restores the old state."


def next_step(
    rotation: Rotation, facts: AwsView, now: datetime, *, grace: timedelta, has_secret: bool = False
) -> Decision:
    """What to do next; the same answer as often as it is asked, until something has changed.

    `has_secret`: the secret of the new key is at hand, as it is only in the process that made the key.
    """
    step = _next(rotation, facts, now, grace, has_secret)
    if not (isinstance(step, Act) and step.action in _TAKING and step.key_id):
        return step
    stays = _untouchable(step.key_id, rotation, facts, now, grace)
    if stays and rotation.state == "deleting" and rotation.offered_at is None and _stands_in(facts, step.key_id):
        # An aborted rotation that may never delete its key has nothing left to do.
        left = f"{rotation.reason or 'aborted'}; key {step.key_id} was left, because the secret names it"
        return Advance(replace(rotation, state="done", ended_at=now, reason=left))
    return stays or step


def _untouchable(key_id: str, rotation: Rotation, facts: AwsView, now: datetime, grace: timedelta) -> Stop | None:
    """Why a key stays whatever the database says, which may be an old copy, put back beside a newer rotation."""
    if facts.current and facts.current.username == key_id:
        return Stop(
            f"The secret {rotation.secret_id} names key {key_id} as the one in use, which was to go. It stays.",
            "Find out who wrote the secret: see `triage credentials status`.",
        )
    # The owner said that Gmail uses the other one, and `_unsafe` saw that one Active and in the secret.
    is_confirmed = rotation.confirmed_at is not None and key_id == rotation.retired_key_id
    if is_confirmed and rotation.state == "retiring":
        return None
    key = facts.key(key_id)
    if key and key.used_at and used_lately(key, now, grace):
        return Stop(
            f"Key {key_id} was used at {minute_text(key.used_at)}: something needs it. It stays.",
            f"Find out what uses it; this goes on {grace.days} days after the last use.",
        )
    if is_confirmed:
        return None
    if facts.previous and facts.previous.username == key_id:
        return before_in_secret(key_id)
    if key_id == rotation.old_key_id:
        return Stop(f"Key {key_id} was in use when the rotation began, and nobody confirmed another. It stays.", _ABORT)
    if key and not key.is_use_known:
        return Stop(
            f"When key {key_id} was last used is not known. It stays.",
            "Allow iam:GetAccessKeyLastUsed (`triage doctor --iam-policy rotation`), then run the same command again.",
        )
    return None


def _next(rotation: Rotation, facts: AwsView, now: datetime, grace: timedelta, has_secret: bool) -> Decision:
    match rotation.state:
        case "creating":
            return _creating(rotation, facts)
        case "staging":
            return _staging(rotation, facts, now, has_secret)
        case "verifying":
            return _verifying(rotation, facts)
        case "promoting":
            return _promoting(rotation, facts)
        case "waiting":
            return _waiting(rotation, facts, now)
        case "retiring":
            return _retiring(rotation, facts, now)
        case "grace":
            return _grace(rotation, facts, now, grace)
        case "deleting":
            return _deleting(rotation, facts, now, grace)
        case "aborting":
            return _aborting(rotation, facts, now)
        case "done":
            return Wait("It is over.")


def _creating(rotation: Rotation, facts: AwsView) -> Decision:
    orphan = _orphan(rotation, facts)
    if orphan is not None:
        return orphan
    if len(facts.keys) > 1:
        return Stop(
            f"{rotation.iam_user} already has {len(facts.keys)} access keys, and IAM allows two.",
            "Look at `triage credentials status` and remove the one that is not in use.",
        )
    if rotation.attempt > MOST_NEW_KEYS:
        return Stop(f"A key was made {MOST_NEW_KEYS} times and never came to be used.", _ABORT)
    return Act("create-key")


def _orphan(rotation: Rotation, facts: AwsView) -> Decision | None:
    """What to do about keys that came up since the start; None: there are none."""
    unknown = [key for key in facts.keys if key.id not in rotation.keys_before]
    if not unknown:
        return None
    # Ours if it was made while we asked for one and never used: nobody has its secret, not even we. One that stands in
    # the secret is not: another computer rotates the same login.
    first, last = rotation.asked_at - CLOCKS_APART, rotation.asked_at + CREATING_TAKES + CLOCKS_APART
    in_secret = {version.username for version in (facts.current, facts.pending, facts.previous) if version}
    key = unknown[0]
    if len(unknown) == 1 and first <= key.created_at <= last and _is_unused(key) and key.id not in in_secret:
        return Act("delete-orphan", key.id)
    return Stop(
        f"{rotation.iam_user} has a key that this rotation did not make: {', '.join(key.id for key in unknown)}.",
        "Find out who made it; if nobody needs it, `triage credentials rotate start --remove-key` with its id.",
    )


def _staging(rotation: Rotation, facts: AwsView, now: datetime, has_secret: bool) -> Decision:
    if facts.pending and facts.pending.id == rotation.version_id and facts.pending.username == rotation.new_key_id:
        return Advance(replace(rotation, state="verifying"))
    if facts.current and facts.current.id == rotation.version_id:
        return Advance(replace(rotation, state="promoting", offered_at=now))  # somebody was faster
    if facts.previous and facts.previous.id == rotation.version_id:
        return Stop(
            f"The secret {rotation.secret_id} is further on than this database, which may be an old copy.",
            "Put the newer database back; or end this rotation, which takes nothing away: triage credentials rotate"
            " abort",
        )
    if has_secret:
        return Act("stage")
    if facts.key(rotation.new_key_id):
        return Act("discard-new", rotation.new_key_id)
    again = replace(rotation, state="creating", new_key_id=None, attempt=rotation.attempt + 1, asked_at=now)
    return Advance(again)


def _verifying(rotation: Rotation, facts: AwsView) -> Decision:
    if not (facts.pending and facts.pending.id == rotation.version_id):
        return Advance(replace(rotation, state="staging"))  # somebody took the label away; its password is lost
    return Act("log-in")


def _promoting(rotation: Rotation, facts: AwsView) -> Decision:
    if facts.current and facts.current.id == rotation.version_id:
        if facts.pending and facts.pending.id == rotation.version_id:
            return Act("drop-pending")
        return Advance(replace(rotation, state="waiting"))
    new = facts.key(rotation.new_key_id)
    if new is None:
        return Stop(
            f"The new key {rotation.new_key_id} is not there: deleted by somebody else, or not listed by IAM yet.",
            "Run `triage credentials rotate start` in a minute; if it stays so: triage credentials rotate abort",
        )
    if not new.is_active:
        return Act("reactivate", new.id)
    if not (facts.current and facts.current.id == rotation.old_version_id):
        return Stop("Somebody else wrote the secret while the rotation was under way.", _ABORT)
    return Act("promote")


def _waiting(rotation: Rotation, facts: AwsView, now: datetime) -> Decision:
    """Both keys must work as long as it is not certain which of them Gmail uses."""
    if facts.key(rotation.kept_key_id) is None:
        return _turn_round(rotation, facts, now)
    for key_id in (rotation.kept_key_id, rotation.retired_key_id):
        key = facts.key(key_id)
        if key and not key.is_active:
            return Act("reactivate", key.id)
    if rotation.keeps == "new":
        return Wait("The new login has to be entered in Gmail; then: triage credentials rotate confirm")
    return Wait(
        "Gmail must have the old login, again if the new one was entered; then: triage credentials rotate abort"
        " --gmail-has-old"
    )


def _turn_round(rotation: Rotation, facts: AwsView, now: datetime) -> Decision:
    """The key to be kept was deleted by somebody else: the other one is all there is."""
    if facts.key(rotation.retired_key_id) is None:
        neither = "both keys were deleted by somebody else; nothing of this rotation works any more"
        return Advance(replace(rotation, state="done", ended_at=now, reason=neither))
    gone = f"key {rotation.kept_key_id} was deleted by somebody else"
    turned = replace(both_active(rotation), reason=gone)
    if rotation.keeps == "new":
        return Advance(replace(turned, state="aborting", keeps="old"))
    return Advance(replace(turned, state="promoting", keeps="new"))


def _retiring(rotation: Rotation, facts: AwsView, now: datetime) -> Decision:
    retired = facts.key(rotation.retired_key_id)
    if retired is None:
        return Advance(replace(rotation, state="done", ended_at=now))
    if not retired.is_active:
        return Advance(replace(rotation, state="grace", inactive_at=now))
    confirmed_at = rotation.confirmed_at
    if confirmed_at is None or now > confirmed_at + WORD_COUNTS:
        return Advance(both_active(rotation))
    if retired.used_at is not None and retired.used_at > confirmed_at + CLOCKS_APART:
        used = f"key {retired.id} was used at {minute_text(retired.used_at)}, after it was to be out of use"
        return Advance(replace(both_active(rotation), reason=used))
    return _unsafe(rotation, facts) or Act("deactivate", retired.id)


def _grace(rotation: Rotation, facts: AwsView, now: datetime, grace: timedelta) -> Decision:
    retired = facts.key(rotation.retired_key_id)
    if retired is None:
        return Advance(replace(rotation, state="done", ended_at=now))
    if retired.is_active or not _is_active(facts, rotation.kept_key_id):  # somebody has needed it, or will
        return Advance(both_active(rotation))
    assert rotation.inactive_at is not None
    until = rotation.inactive_at + grace
    if now < until:
        return Wait("The other key is Inactive and will not be deleted before the grace period is over.", until)
    return Wait("The grace period is over; to delete the key: triage credentials rotate finish")


def _deleting(rotation: Rotation, facts: AwsView, now: datetime, grace: timedelta) -> Decision:
    retired = facts.key(rotation.retired_key_id)
    if retired is None:
        return Advance(replace(rotation, state="done", ended_at=now))
    if retired.is_active and rotation.offered_at is not None:  # somebody has needed it
        return Advance(both_active(rotation))
    if rotation.inactive_at is not None and now < rotation.inactive_at + grace:
        return Advance(replace(rotation, state="grace"))  # a clock was set back, or the setting was raised
    return _unsafe(rotation, facts) or Act("delete", retired.id)


def _aborting(rotation: Rotation, facts: AwsView, now: datetime) -> Decision:
    old = facts.key(rotation.old_key_id)
    if old is None:
        return _no_way_back(rotation, facts, now)
    if not old.is_active:
        return Act("reactivate", old.id)
    if rotation.offered_at is None and _was_current(rotation, facts):
        return Advance(
            replace(rotation, offered_at=now)
        )  # an old copy of the database does not know: Gmail may have it
    if facts.current and facts.current.id == rotation.version_id:
        return Act("restore")
    if facts.pending and facts.pending.id == rotation.version_id:
        return Act("drop-pending")
    if rotation.new_key_id is None:
        orphan = _orphan(rotation, facts)
        if isinstance(orphan, Act):
            return orphan
        return Advance(replace(rotation, state="deleting"))  # a foreign key is none of our business here
    return Advance(replace(rotation, state="deleting" if rotation.offered_at is None else "waiting"))


def _no_way_back(rotation: Rotation, facts: AwsView, now: datetime) -> Decision:
    """The old key does not exist: there is no old state to restore, and what was made must not go as well."""
    gone = f"the old key {rotation.old_key_id} does not exist any more"
    new = facts.key(rotation.new_key_id)
    has_moved_on = facts.current is None or facts.current.id not in (rotation.old_version_id, rotation.version_id)
    if new and rotation.offered_at is not None and not has_moved_on:
        return Advance(replace(rotation, state="promoting", keeps="new", reason=gone))
    # Going on until the new login works could take for ever, and the owner wants it to end.
    to_nobody = ", and was given to nobody" if rotation.offered_at is None else ""
    left = f"; the new key {new.id} stays{to_nobody}" if new else ""
    return Advance(replace(rotation, state="done", keeps="new", ended_at=now, reason=gone + left))


def _unsafe(rotation: Rotation, facts: AwsView) -> Decision | None:
    """Why the key that is to go must stay for now: without it nothing that is known to work would be left."""
    if not _is_active(facts, rotation.kept_key_id):
        if rotation.offered_at is None:
            return Advance(replace(rotation, state="aborting"))
        return Advance(both_active(rotation))
    if rotation.offered_at is None:
        return None
    if facts.current is None or facts.current.username != rotation.kept_key_id:
        return Stop(
            f"Somebody else wrote the secret {rotation.secret_id} meanwhile; key {rotation.retired_key_id} stays.",
            f"See `triage credentials status`; version {rotation.kept_version_id} of the secret should be AWSCURRENT.",
        )
    return None


def _stands_in(facts: AwsView, key_id: str) -> bool:
    return any(version and version.username == key_id for version in (facts.current, facts.previous))


def _was_current(rotation: Rotation, facts: AwsView) -> bool:
    """Whether the secret's new version was once the current one, so that Gmail may have been given its login."""
    return any(version and version.id == rotation.version_id for version in (facts.current, facts.previous))


def _is_active(facts: AwsView, key_id: str | None) -> bool:
    key = facts.key(key_id)
    return key is not None and key.is_active


def _is_unused(key: IamKey) -> bool:
    return key.is_use_known and key.used_at is None
