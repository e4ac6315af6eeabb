"""Rotations as commands: the lock, the settings, the database and AWS brought together for one step of the owner's.

What to do is decided in `remediation.rotation.next`, done in `remediation.rotation.steps`; here the world around that
is set up. Prints nothing: what came of it comes back as a value. No secret is stored or logged.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from remediation.aws import NotLookedUp
from remediation.credentials import Login, LoginCheck, Relay, check_login
from remediation.rotation import (
    AwsView,
    End,
    Held,
    Plan,
    Rotation,
    StepFailed,
    Stop,
    Surroundings,
    Wait,
    aborted,
    begin,
    carry_on,
    confirmed,
    could_not,
    finished,
    needed_again,
    removable,
)
from triage import store
from triage.config import Settings
from triage.errors import TryLater
from triage.lock import locked
from triage.model import Clock
from triage.rotation.evidence import read_signs, weigh
from triage.rotation.plans import key_ring_of, plan_of
from triage.rows import AliasFailureRow
from triage.store import open_readonly

if TYPE_CHECKING:
    from sqlite_utils import Database

    from triage.gmail import Gmail


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a rotation stands after a command, and why it went no further. `rotation` None: there is none."""

    rotation: Rotation | None
    end: End


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the owner says to `rotate start`."""

    create_secret: bool = False
    """There is no secret yet: make one that names the key in use."""
    old_key_is_gone: bool = False
    older_than: timedelta | None = None
    """Do nothing where the key is younger."""


def start(settings: Settings, clock: Clock, wishes: Wishes, tell: Callable[[str], None]) -> Standing:
    """Begin a rotation, or take up the one under way, and go as far as it goes without the owner."""
    with _at_work(settings) as db:
        rotation = store.rotation_under_way(db)
        if rotation is None:
            begun = _begun(settings, clock, wishes)
            if not isinstance(begun, Rotation):
                return Standing(None, begun)
            rotation = begun
            store.keep_rotation(db, rotation)
        outcome = _carried_on(db, rotation, settings, clock, tell)
        after = outcome.rotation
        if after and after.is_over and isinstance(outcome.end, StepFailed):
            return Standing(None, outcome.end)  # it was never begun, so there is nothing more to say
        if rotation.keeps == "new" and after and after.is_over and after.keeps == "old":
            undone = Stop(f"The rotation was {after.reason}", "The old state is restored. Mend that, then start again.")
            return Standing(after, undone)
        return outcome


def confirm(
    settings: Settings,
    clock: Clock,
    tell: Callable[[str], None],
    *,
    owner_tested: bool,
    connect: Callable[[], Gmail] | None,
) -> Standing:
    """The owner says that Gmail uses the new login; where the evidence agrees, the old key becomes Inactive."""
    with _at_work(settings) as db:
        rotation = store.rotation_under_way(db)
        if rotation is None:
            return _nothing_under_way(db)
        if rotation.keeps == "old":
            return Standing(rotation, _ABORTING)
        outcome = _carried_on(db, rotation, settings, clock, tell)
        assert outcome.rotation is not None
        if outcome.rotation.state != "waiting" or not isinstance(outcome.end, Wait):
            return outcome
        rests_on = weigh(read_signs(db, outcome.rotation, connect), owner_tested=owner_tested)
        if isinstance(rests_on, Stop):
            return Standing(outcome.rotation, rests_on)
        return _told(db, confirmed(outcome.rotation, clock(), rests_on), outcome.rotation, settings, clock, tell)


def abort(settings: Settings, clock: Clock, tell: Callable[[str], None], *, gmail_has_old: bool) -> Standing:
    """Turn back: the old login is restored at once. `gmail_has_old`: the owner says Gmail uses it; the new key goes."""
    with _at_work(settings) as db:
        rotation = store.rotation_under_way(db)
        if rotation is None:
            return _nothing_under_way(db)
        wish = aborted(rotation, "the owner aborted it")
        if wish is rotation and not gmail_has_old:  # once more: mail fails, now that the new key is Inactive
            wish = needed_again(rotation, "the owner aborted it again") or rotation
        outcome = _told(db, wish, rotation, settings, clock, tell)
        turned = outcome.rotation
        if not gmail_has_old or turned is None or turned.keeps != "old" or turned.state != "waiting":
            return outcome
        if not isinstance(outcome.end, Wait):
            return outcome
        back = confirmed(turned, clock(), "the owner says that Gmail has the old login (--gmail-has-old)")
        return _told(db, back, turned, settings, clock, tell)


def finish(settings: Settings, clock: Clock, tell: Callable[[str], None]) -> Standing:
    """Delete the key that was made Inactive, once the grace period is over and no mail failed in it."""
    with _at_work(settings) as db:
        rotation = store.rotation_under_way(db)
        if rotation is None:
            return _nothing_under_way(db)
        outcome = _carried_on(db, rotation, settings, clock, tell)
        rotation = outcome.rotation
        if rotation is None or rotation.state not in ("grace", "waiting") or not isinstance(outcome.end, Wait):
            return outcome
        ending = finished(rotation, clock(), _grace(settings))
        if isinstance(ending, Wait):
            return Standing(rotation, ending)
        if isinstance(ending, Rotation) and (
            stop := _missed(db, rotation.retired_key_id, rotation.alias, rotation.gone_since, _ABORT)
        ):
            return Standing(rotation, stop)
        return _told(db, ending, rotation, settings, clock, tell)


def remove_key(settings: Settings, clock: Clock, key_id: str) -> End:
    """Make room for a rotation: an Active key becomes Inactive, an Inactive one is deleted a grace period later."""
    with _at_work(settings) as db:
        rotation = store.rotation_under_way(db)
        if rotation and key_id in (rotation.old_key_id, rotation.new_key_id):
            return Stop(f"Key {key_id} belongs to the rotation under way.", "See `triage credentials rotate status`.")
        about = rotation or plan_of(settings)
        account = key_ring_of(about)
        facts = account.observe()
        if isinstance(facts, NotLookedUp):
            return could_not(facts)
        if facts is None:
            return _no_user(about)
        last = store.last_rotation(db)
        if last and key_id == last.kept_key_id and (last.keeps == "old" or last.offered_at):
            return Stop(
                f"Key {key_id} is the one Gmail has since the last rotation ({last.started_at:%Y-%m-%d}). It stays.",
                'If Gmail has another one (the user name under "edit info"), make this one Inactive by hand, days'
                " before it is deleted (docs/rotation.md).",
            )
        since = store.inactive_since(db, key_id)
        may = removable(key_id, facts, clock(), _grace(settings), since)
        if isinstance(may, Wait) and since is None:
            store.note_inactive(db, key_id, clock())
        if isinstance(may, Wait | Stop):
            return may
        by_hand = f"Make it Active: aws iam update-access-key --user-name {about.iam_user} --access-key-id {key_id}"
        if may == "delete" and (stop := _missed(db, key_id, None, since, f"{by_hand} --status Active")):
            return stop
        if may == "deactivate":
            store.note_inactive(db, key_id, clock())
            problem = account.set_key(key_id, active=False)
            done = f"Key {key_id} is Inactive now. If nothing fails, the same command deletes it later."
        else:
            problem = account.delete_key(key_id)
            done = f"Key {key_id} is deleted."
        if problem is not None:
            return could_not(problem)
        if may == "delete":
            store.forget_key(db, key_id)
        return Wait(done, clock() + _grace(settings) if may == "deactivate" else None)


def kept_login(rotation: Rotation) -> Login | StepFailed | None:
    """The login to be kept, for the eyes of the owner; None: no one has its password but Gmail, or not even that."""
    held = key_ring_of(rotation).read(rotation.kept_version_id)
    if isinstance(held, NotLookedUp):
        return could_not(held)
    return held.login if isinstance(held, Held) else None


def make_active_again(settings: Settings, clock: Clock, rotation: Rotation, why: str) -> Standing:
    """Make both keys Active, because mail failed while one was not. For the worker, where the owner opted in."""
    with _at_work(settings) as db:
        stored = store.rotation_under_way(db)
        if stored is None or stored.id != rotation.id:
            return _nothing_under_way(db)
        turned = needed_again(stored, why)
        if turned is None:
            return Standing(stored, Wait("Both keys are Active."))
        return _told(db, turned, stored, settings, clock, lambda line: None)


_ABORT = "Run `triage credentials rotate abort`, which makes it Active again; then see what Gmail has."
_ABORTING = Stop(
    "The rotation was aborted; there is no new login to confirm.",
    "When Gmail has the old login: triage credentials rotate abort --gmail-has-old",
)


def _begun(settings: Settings, clock: Clock, wishes: Wishes) -> Rotation | End:
    plan = plan_of(settings)
    account = key_ring_of(plan)
    facts = account.observe()
    if isinstance(facts, AwsView) and facts.current is None and wishes.create_secret:
        active = [key.id for key in facts.keys if key.is_active]
        if len(active) != 1:
            return Stop(
                f"{plan.iam_user} has {len(active)} Active keys, so which one Gmail uses is not known.",
                "Make the secret by hand, as docs/rotation.md says.",
            )
        # Its password is known to Gmail alone: IAM shows a secret once. The version says so by not having one.
        values = {"username": active[0], "iam_user": plan.iam_user, "region": plan.region, "host": plan.host}
        problem = account.create_secret(str(uuid4()), values)
        if problem is not None:
            return could_not(problem)
        facts = account.observe()
    if isinstance(facts, NotLookedUp):
        return could_not(facts)
    if facts is None:
        return _no_user(plan)
    if facts.current is None and wishes.create_secret:
        return Stop(
            f"There is a secret {plan.secret_id} in {account.region} already, with nothing in it.",
            "Put the login into it by hand, as docs/rotation.md says.",
        )
    if wishes.older_than and facts.current and (key := facts.key(facts.current.username)):
        age = max(clock() - key.created_at, timedelta())
        if age < wishes.older_than:
            return Wait(f"Key {key.id} is {age.days} days old; it is not due yet.", key.created_at + wishes.older_than)
    return begin(
        plan,
        facts,
        clock(),
        rotation_id=str(uuid4()),
        version_id=str(uuid4()),
        old_key_is_gone=wishes.old_key_is_gone,
    )


def _told(
    db: Database,
    wish: Rotation | Wait | Stop,
    before: Rotation,
    settings: Settings,
    clock: Clock,
    tell: Callable[[str], None],
) -> Standing:
    """Store what the owner's word makes of a rotation, then do what follows from it."""
    if not isinstance(wish, Rotation):
        return Standing(before, wish)
    store.keep_rotation(db, wish)
    return _carried_on(db, wish, settings, clock, tell)


def _carried_on(
    db: Database, rotation: Rotation, settings: Settings, clock: Clock, tell: Callable[[str], None]
) -> Standing:
    if rotation.state == "deleting" and (
        stop := _missed(db, rotation.retired_key_id, rotation.alias, rotation.gone_since, _ABORT)
    ):
        return Standing(rotation, stop)  # it was broken off before, and mail failed since then
    relay = Relay(
        rotation.host, rotation.port, "ssl" if rotation.security == "ssl" else "starttls", settings.smtp_ca_file
    )

    def log_in(login: Login) -> LoginCheck:
        return check_login(login, relay)

    around = Surroundings(
        aws=key_ring_of(rotation),
        log_in=log_in,
        keep=lambda changed: store.keep_rotation(db, changed),
        clock=clock,
        sleep=time.sleep,
        grace=_grace(settings),
        patience=timedelta(seconds=settings.smtp_patience_seconds),
        tell=tell,
    )
    return Standing(*carry_on(rotation, around))


def _missed(db: Database, key_id: str | None, alias: str | None, since: datetime | None, todo: str) -> Stop | None:
    """Why an Inactive key must not be deleted: mail from the alias failed since it went."""
    failures = store.failures_of_alias(db, alias, since) if since else []
    if not failures:
        return None
    count = f"{len(failures)} alias failures" if len(failures) > 1 else "An alias failure"
    last = failures[-1]["received_at"]
    return Stop(
        f"{count} came since key {key_id} was to be Inactive, the last at {last}: Gmail may still be using it. It is"
        " not deleted.",
        todo,
    )


def stored(settings: Settings) -> tuple[Rotation | None, list[AliasFailureRow]]:
    """The newest rotation and the alias failures that came since it began, for showing; changes nothing."""
    db = open_readonly(settings.database)
    if db is None:
        return None, []
    try:
        rotation = store.last_rotation(db)
        return rotation, store.failures_of_alias(db, rotation.alias, rotation.started_at) if rotation else []
    finally:
        db.close()


def record(rotation: Rotation | None, failures: list[AliasFailureRow]) -> dict[str, Any] | None:
    """A rotation as JSON takes it, with the failures that came since it began."""
    if rotation is None:
        return None
    values = {name: at.isoformat() if isinstance(at, datetime) else at for name, at in asdict(rotation).items()}
    return values | {"alias_failures": [row["id"] for row in failures]}


def change(settings: Settings, rotation: Rotation, **values: Any) -> None:
    """Note something about a rotation that does not move it: a reminder, what Gmail said."""
    with _at_work(settings) as db:
        kept = store.rotation_under_way(db)
        if kept and kept.id == rotation.id and kept.state == rotation.state:
            store.keep_rotation(db, replace(kept, **values))


def _no_user(about: Plan | Rotation) -> Stop:
    return Stop(f"There is no IAM user {about.iam_user}.", "Check `smtp_user`; this program makes no users.")


def _nothing_under_way(db: Database) -> Standing:
    nothing = Stop("No rotation is under way.", "Begin one: triage credentials rotate start")
    return Standing(store.last_rotation(db), nothing)


def _grace(settings: Settings) -> timedelta:
    return timedelta(days=settings.rotation_grace_days)


@contextmanager
def _at_work(settings: Settings) -> Iterator[Database]:
    """The database, and the only rotation command at work on it. The lock goes with the process, however it ends."""
    with ExitStack() as held:
        try:
            held.enter_context(locked(settings.database.with_name(f"{settings.database.name}.rotation")))
        except TryLater:
            raise TryLater("Another rotation command is at work.", "Wait until it is done.") from None
        yield held.enter_context(closing(store.open_durable(settings.database)))
