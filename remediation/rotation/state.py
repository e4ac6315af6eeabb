r"""A rotation of SES SMTP credentials: what is stored of it, when it may begin, and what the owner may say to it.

Pure: asks nobody, changes nothing, knows no clock and no secret. `rotation_next` decides each step, `rotation_steps`
carries it out.

    creating -> staging -> verifying -> promoting -> waiting -> retiring -> grace -> deleting -> done
        \__________\__________\___________\__________\__________\_________\________/
                                        aborting -> waiting or deleting

A state says what may already have been done, never what has been done: it is stored before AWS is told anything, so a
process killed at any moment leaves a state from which the same decision follows again. From `promoting` on Gmail may
have been given the new key; from then on a key is only ever made Inactive after the owner said which one Gmail uses,
and deleted a grace period later. Two directions: a rotation keeps the `new` key, an aborted one the `old`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from parsers.times import minute_text

RotationState = Literal[
    "creating",  # IAM may have been asked for a new key
    "staging",  # the new key's id is known; its password may stand in the secret as AWSPENDING
    "verifying",  # the password is in the secret; the relay is being asked whether it takes it
    "promoting",  # it does; AWSCURRENT may have been moved to it
    "waiting",  # both keys are Active; the owner has to say that Gmail uses the one to be kept
    "retiring",  # the owner did; the other key may have been made Inactive
    "grace",  # it is Inactive, and can be made Active again at once
    "deleting",  # it may have been deleted
    "aborting",  # the old state is being restored
    "done",
]

Keeps = Literal["new", "old"]

_WHERE = "See `triage credentials rotate status`."
_STATUS = "See `triage credentials status`."


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """One rotation as it is stored. Holds no secret."""

    id: str
    state: RotationState
    keeps: Keeps = "new"
    iam_user: str
    secret_id: str
    region: str
    host: str
    port: int
    security: str
    alias: str | None = None
    """The address Gmail sends from through this relay; None: not named."""
    old_key_id: str
    old_version_id: str
    """The secret's version that was AWSCURRENT at the start."""
    new_key_id: str | None = None
    """None: not made yet, or its id was lost in a crash."""
    version_id: str
    """The id that the secret's new version gets; another one for each attempt."""
    keys_before: tuple[str, ...]
    """The ids of all keys the user had at the start."""
    attempt: int = 1
    started_at: datetime
    asked_at: datetime
    """When IAM was last about to be asked for a key."""
    offered_at: datetime | None = None
    """From when on Gmail may have been given the new key; None: it certainly was not."""
    confirmed_at: datetime | None = None
    inactive_at: datetime | None = None
    """Since when the key to be deleted is Inactive."""
    ended_at: datetime | None = None
    reminded_at: datetime | None = None
    evidence: str | None = None
    """What the owner's confirmation rested on."""
    reason: str | None = None
    """Why it was aborted or rolled back; None: it was not."""

    @property
    def kept_key_id(self) -> str | None:
        """The key that stays in the end."""
        return self.new_key_id if self.keeps == "new" else self.old_key_id

    @property
    def retired_key_id(self) -> str | None:
        """The key that goes in the end; None: there is none (yet)."""
        return self.old_key_id if self.keeps == "new" else self.new_key_id

    @property
    def kept_version_id(self) -> str:
        """The secret's version that is AWSCURRENT in the end."""
        return self.version_id if self.keeps == "new" else self.old_version_id

    @property
    def may_be_shown(self) -> bool:
        """Whether a human may see the login to be kept: one seen before it is offered is soon deleted under Gmail."""
        return self.keeps == "old" or self.offered_at is not None

    @property
    def gone_since(self) -> datetime | None:
        """From when on the key that goes may have been Inactive; None: both are Active, or nobody was given it.

        Not `inactive_at`, which a crash can put off: mail may have failed in between.
        """
        return (self.confirmed_at or self.inactive_at) if self.state in ("retiring", "grace", "deleting") else None

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do."""
        return self.state == "done"


@dataclass(frozen=True, slots=True)
class IamKey:
    """An access key as IAM lists it."""

    id: str
    is_active: bool
    created_at: datetime
    used_at: datetime | None
    """Its last use as far as IAM noticed, which may not count SMTP logins; None: never, or not known."""
    is_use_known: bool = True
    """False: its last use could not be looked up."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the secret."""

    id: str
    username: str | None
    """The key it is about; None: it does not say, or could not be read."""


@dataclass(frozen=True, slots=True)
class AwsView:
    """What AWS shows now."""

    keys: tuple[IamKey, ...]
    current: Version | None
    pending: Version | None
    previous: Version | None = None
    """What was current before: the login Gmail has, as long as the new one is not entered."""

    def key(self, key_id: str | None) -> IamKey | None:
        """The key with this id, if the user has it."""
        return next((key for key in self.keys if key.id == key_id), None)


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before somebody or something else moves."""

    why: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """Something is not as it should be, and going on could do harm. Nothing was changed because of it."""

    why: str
    todo: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a rotation is to be about: one user, one secret, one relay."""

    iam_user: str
    secret_id: str
    region: str
    host: str
    port: int = 587
    security: str = "starttls"
    alias: str | None = None


def begin(
    plan: Plan,
    facts: AwsView | None,
    now: datetime,
    *,
    rotation_id: str,
    version_id: str,
    old_key_is_gone: bool = False,
) -> Rotation | Stop:
    """A rotation to start with, or why it must not start. `facts` None: there is no such secret.

    `old_key_is_gone`: the owner knows that the key in the secret does not exist any more.
    """
    if facts is None or facts.current is None:
        where = "" if plan.secret_id.startswith("arn:") else f" in {plan.region}"  # an ARN says it itself
        return Stop(
            f"There is no secret {plan.secret_id}{where}, or nothing is in it.",
            "Check the name and the region; or let this make it: triage credentials rotate start --create-secret",
        )
    user, named = plan.iam_user, facts.current.username
    if named is None:
        return Stop(
            f"The secret {plan.secret_id} does not say which access key it is about.",
            'It must be JSON with "username" (the access key id) and "password" (the SMTP password).',
        )
    current = facts.key(named)
    others = [key for key in facts.keys if key.id != named]
    if current is None and not old_key_is_gone:
        return Stop(
            f"The secret {plan.secret_id} names key {named}, which {user} does not have: nothing can log in with it.",
            "Is it the right secret? If that key was deleted: triage credentials rotate start --old-key-is-gone",
        )
    if current is not None and not current.is_active:
        return Stop(
            f"Key {named}, which the secret names, is Inactive, so Gmail cannot be using it.",
            f"Make it Active (aws iam update-access-key --user-name {user} --access-key-id {named} --status Active),"
            " then start again.",
        )
    if others and (current is not None or len(others) > 1):
        return Stop(
            f"{user} has a second key, and IAM allows two: {_described(others[0], facts)}.",
            'See which of them Gmail has (the user name under "edit info"); if nobody needs this one:'
            f" triage credentials rotate start --remove-key {others[0].id}",
        )
    return Rotation(
        id=rotation_id,
        state="creating",
        iam_user=user,
        secret_id=plan.secret_id,
        region=plan.region,
        host=plan.host,
        port=plan.port,
        security=plan.security,
        alias=plan.alias,
        old_key_id=named,
        old_version_id=facts.current.id,
        version_id=version_id,
        keys_before=tuple(key.id for key in facts.keys),
        started_at=now,
        asked_at=now,
    )


def removable(
    key_id: str, facts: AwsView, now: datetime, grace: timedelta, inactive_since: datetime | None
) -> Literal["deactivate", "delete"] | Wait | Stop:
    """What may be done with a key that is in the way of a rotation: an Active one is never deleted.

    `inactive_since` is from when on this program knows it to be Inactive; None: it does not, and the days of grace
    begin now. A key that was used in as many days, or whose last use is not known, stays: Gmail may be who uses it.
    """
    key = facts.key(key_id)
    if key is None:
        return Stop(f"There is no key {key_id}.", _STATUS)
    if facts.current is None:
        return Stop("There is no secret, so which key Gmail uses is not known.", "Look at `smtp_secret`; or see IAM.")
    if key_id in (facts.current.username, facts.pending and facts.pending.username):
        return Stop(f"Key {key_id} is the one in the secret; it stays.", _STATUS)
    if facts.previous and key_id == facts.previous.username:
        return before_in_secret(key_id)
    if not any(other.is_active for other in facts.keys if other.id != key_id):
        return Stop(f"No other key is Active; {key_id} may be the one Gmail uses. It stays.", _STATUS)
    if not key.is_use_known:
        return Stop(
            f"When key {key_id} was last used is not known.", "Allow iam:GetAccessKeyLastUsed, or remove it by hand."
        )
    if key.is_active:
        if key.used_at and used_lately(key, now, grace):
            return Stop(
                f"Key {key_id} was used at {minute_text(key.used_at)}: something needs it, perhaps Gmail.",
                f"Give that the login in the secret; this works {grace.days} days after the last use.",
            )
        return "deactivate"
    # Used after it was made Inactive: somebody has made it Active again meanwhile.
    quiet_since = max(filter(None, (inactive_since or now, key.used_at)))
    return "delete" if now >= quiet_since + grace else Wait("It has to be Inactive for a while.", quiet_since + grace)


def before_in_secret(key_id: str) -> Stop:
    """Why the key of AWSPREVIOUS stays: it may be the one Gmail still logs in with."""
    return Stop(
        f"Key {key_id} is the one the secret named before (AWSPREVIOUS), so Gmail may still use it. It stays.",
        'See which key Gmail has (the user name under "edit info"). If it is another one, make this one Inactive by'
        " hand, days before it is deleted (docs/rotation.md).",
    )


def used_lately(key: IamKey, now: datetime, grace: timedelta) -> bool:
    """Whether somebody logged in with a key so short a time ago that it has to be taken for the one in use."""
    return key.used_at is not None and now < key.used_at + grace


def _described(key: IamKey, facts: AwsView) -> str:
    words = ["Active" if key.is_active else "Inactive", f"made {key.created_at:%Y-%m-%d}"]
    if not key.is_use_known:
        words.append("last use not known")
    else:
        words.append(f"last used {key.used_at:%Y-%m-%d}" if key.used_at else "never used")
    if facts.pending and facts.pending.username == key.id:
        words.append("staged in the secret")
    return f"{key.id} ({', '.join(words)})"


def confirmed(rotation: Rotation, now: datetime, evidence: str) -> Rotation | Stop:
    """The owner says that Gmail uses the login to be kept: from here on the other key goes."""
    if rotation.state != "waiting":
        return Stop(f"There is nothing to confirm: the rotation is {rotation.state}.", _WHERE)
    return replace(rotation, state="retiring", confirmed_at=now, evidence=evidence)


def aborted(rotation: Rotation, reason: str) -> Rotation | Stop:
    """Turn back. Possible until the old key is deleted, which `next_step` finds out."""
    if rotation.is_over:
        return Stop("There is no rotation under way.", "Nothing: there is nothing to abort.")
    if rotation.keeps == "old":
        return rotation
    return replace(both_active(rotation), state="aborting", keeps="old", reason=reason)


def both_active(rotation: Rotation) -> Rotation:
    """Which key Gmail uses is open (again): both have to be Active, and what was said about it counts no longer."""
    return replace(rotation, state="waiting", confirmed_at=None, inactive_at=None, evidence=None)


def finished(rotation: Rotation, now: datetime, grace: timedelta) -> Rotation | Wait | Stop:
    """Delete the Inactive key, once it has been Inactive for the grace period."""
    if rotation.state == "deleting":
        return rotation
    if rotation.state != "grace" or rotation.inactive_at is None:
        return Stop(f"There is nothing to finish yet: the rotation is {rotation.state}.", _WHERE)
    if now < rotation.inactive_at + grace:
        return Wait("The grace period is not over.", rotation.inactive_at + grace)
    return replace(rotation, state="deleting")


def needed_again(rotation: Rotation, reason: str) -> Rotation | None:
    """Mail failed while a key may have been Inactive: both have to be Active. None where that would change nothing."""
    return replace(both_active(rotation), reason=reason) if rotation.gone_since else None
