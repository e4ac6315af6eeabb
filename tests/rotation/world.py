"""AWS, relay and owner of a rotation as a small stand-in in this process, which may be killed at any call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from remediation.aws.client import NotLookedUp
from remediation.credentials import Login, LoginCheck, derive_smtp_password
from remediation.rotation.keys import LIMIT_EXCEEDED, Held, NewKey
from remediation.rotation.state import (
    AwsView,
    IamKey,
    Plan,
    Rotation,
    Stop,
    Version,
    Wait,
    aborted,
    begin,
    confirmed,
    finished,
    needed_again,
)
from remediation.rotation.steps import End, Surroundings, carry_on

GRACE = timedelta(days=3)
REGION = "us-east-1"
PLAN = Plan(
    "ses-smtp-admin", "ses-smtp", REGION, "email-smtp.us-east-1.amazonaws.com", alias="admin@queenofsandiego.com"
)


class Killed(BaseException):
    """kill -9, as far as one process can play it."""


@dataclass
class World:
    """AWS, the relay, Gmail, the database, and a fuse that kills us at any moment between two things we do."""

    now: datetime = datetime(2026, 11, 24, 9, tzinfo=UTC)
    keys: dict[str, IamKey] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    versions: dict[str, dict[str, Any]] = field(default_factory=dict)
    stages: dict[str, str] = field(default_factory=dict)
    stored: Rotation | None = None
    gmail_key: str = ""
    """The key Gmail logs in with."""
    owner_was_wrong: bool = False
    failures: list[datetime] = field(default_factory=list)
    """When a mail could not be sent."""
    refusals: int = 0
    """How often the relay still refuses a new key."""
    denied: set[str] = field(default_factory=set)
    unanswered: set[str] = field(default_factory=set)
    """What AWS does without our ever getting its answer."""
    late: int = 0
    """How often IAM still lists the keys as they were before a change."""
    still_late: int = 0
    listed: tuple[IamKey, ...] = ()
    relay_is_away: bool = False
    counts_logins: bool = False
    """Whether IAM notices that a key is used for SMTP."""
    fuse: int | None = None
    made: int = 0
    written: list[Rotation] = field(default_factory=list)
    """Everything the database ever held, in order."""

    def tick(self) -> None:
        """A moment at which we may be killed."""
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                self.fuse = None
                raise Killed

    # AWS, as `remediation.rotation.KeyRing` shows it

    def observe(self) -> AwsView | NotLookedUp:
        def version(stage: str) -> Version | None:
            found = self.stages.get(stage)
            return Version(found, self.versions[found].get("username")) if found else None

        if self.still_late:
            self.still_late -= 1
        else:
            self.listed = tuple(self.keys.values())
        return AwsView(self.listed, version("AWSCURRENT"), version("AWSPENDING"), version("AWSPREVIOUS"))

    def read(self, version_id: str, stage: str | None = None) -> Held | None:
        if version_id not in self.versions or (stage and self.stages.get(stage) != version_id):
            return None
        values = self.versions[version_id]
        return Held(version_id, values.get("username"), values.get("password"))

    def create_key(self) -> NewKey | NotLookedUp:
        if refusal := self._refused("create_key"):
            return refusal
        if len(self.keys) >= 2:
            return NotLookedUp("a new key", "too many", "refused", LIMIT_EXCEEDED)
        self.tick()
        key_id = self.add_key()
        return self._done("create_key") or NewKey(key_id, self.secrets[key_id])

    def set_key(self, key_id: str, *, active: bool) -> NotLookedUp | None:
        if refusal := self._refused("set_key"):
            return refusal
        self.tick()
        if not active:
            self._assert_may_go(key_id)
            assert key_id != self.gmail_key or self.owner_was_wrong, "took away the key that Gmail uses"
            assert any(key.is_active for key in self.keys.values() if key.id != key_id), "no working key left"
        if key_id in self.keys:
            self.keys[key_id] = _with(self.keys[key_id], active)
        return self._done("set_key")

    def delete_key(self, key_id: str) -> NotLookedUp | None:
        if refusal := self._refused("delete_key"):
            return refusal
        self.tick()
        self._assert_may_go(key_id)
        assert key_id != self.gmail_key, "deleted the key that Gmail uses"
        assert key_id != self.versions[self.stages["AWSCURRENT"]]["username"], "deleted the key in the secret"
        # Nobody can log in with a key whose password stands nowhere.
        is_known = any(self.versions[version]["username"] == key_id for version in self.stages.values())
        assert not is_known or any(key.is_active for key in self.keys.values() if key.id != key_id), "none is left"
        stored = self.stored
        assert stored is not None
        if key_id in self.keys and stored.offered_at and key_id in (stored.old_key_id, stored.new_key_id):
            assert stored.inactive_at is not None
            assert self.now >= stored.inactive_at + GRACE, "deleted before the grace period was over"
        self.keys.pop(key_id, None)
        return self._done("delete_key")

    def put_pending(self, version_id: str, values: Mapping[str, Any]) -> NotLookedUp | None:
        if refusal := self._refused("put_pending"):
            return refusal
        self.tick()
        if self.versions.setdefault(version_id, dict(values)) != dict(values):
            return NotLookedUp("put_pending", "other content", "refused", "ResourceExistsException")
        self.stages["AWSPENDING"] = version_id
        return self._done("put_pending")

    def move_current(self, *, to: str, away_from: str) -> NotLookedUp | None:
        if refusal := self._refused("move_current"):
            return refusal
        self.tick()
        if self.stages["AWSCURRENT"] != away_from:
            return NotLookedUp("move_current", "it is not there", "refused", "InvalidParameterException")
        self.stages |= {"AWSCURRENT": to, "AWSPREVIOUS": away_from}
        return self._done("move_current")

    def drop_pending(self, version_id: str) -> NotLookedUp | None:
        if refusal := self._refused("drop_pending"):
            return refusal
        self.tick()
        if self.stages.get("AWSPENDING") != version_id:
            return NotLookedUp("drop_pending", "it is not there", "refused", "InvalidParameterException")
        del self.stages["AWSPENDING"]
        return self._done("drop_pending")

    def _assert_may_go(self, key_id: str) -> None:
        """What holds whatever is stored; the one exception is the key the owner said Gmail does not use any more."""
        named = {stage: self.versions[version].get("username") for stage, version in self.stages.items()}
        assert key_id != named["AWSCURRENT"], "took away the key in the secret"
        key, stored = self.keys.get(key_id), self.stored
        assert stored is not None
        is_confirmed = stored.confirmed_at is not None and key_id == stored.retired_key_id
        if key is None or (is_confirmed and stored.state == "retiring"):
            return
        assert key.used_at is None or self.now >= key.used_at + GRACE, "took away a key that was used lately"
        assert is_confirmed or key_id != named.get("AWSPREVIOUS"), "took away the key the secret named before"

    def _refused(self, what: str) -> NotLookedUp | None:
        return NotLookedUp(what, "not allowed", "denied") if what in self.denied else None

    def _done(self, what: str) -> NotLookedUp | None:
        """What comes back of something AWS did: None, or that no answer came."""
        if what.endswith("_key"):
            self.still_late = self.late
        self.tick()
        return NotLookedUp(what, "no answer", "timeout") if what in self.unanswered else None

    # The rest of the world

    def add_key(self) -> str:
        self.made += 1
        key_id = f"AKIA{self.made:016d}"
        self.keys[key_id] = IamKey(key_id, True, self.now, None)
        self.secrets[key_id] = f"{self.made:040d}"
        return key_id

    def password(self, key_id: str) -> str:
        return derive_smtp_password(self.secrets[key_id], REGION)

    def log_in(self, login: Login) -> LoginCheck:
        self.tick()
        if self.relay_is_away:
            return LoginCheck("connection", "no answer", "wait", will_pass=True)
        key = self.keys.get(login.username)
        if not key or not key.is_active or self.password(key.id) != login.password:
            return LoginCheck("credential", "535", "look", 535)
        if self.stored and self.stored.new_key_id == key.id and self.refusals > 0:
            self.refusals -= 1
            return LoginCheck("credential", "535", "look", 535)
        self.use(key.id)
        return LoginCheck(None, "235", None, 235)

    def use(self, key_id: str) -> None:
        """Somebody logs in with a key."""
        if self.counts_logins:
            self.keys[key_id] = replace(self.keys[key_id], used_at=self.now)

    def keep(self, rotation: Rotation) -> None:
        self.tick()
        self.stored = rotation
        self.written.append(rotation)
        self.tick()

    def sleep(self, seconds: float) -> None:
        self.still_late = max(self.still_late - 1, 0)
        self.now += timedelta(seconds=seconds)

    def around(self) -> Surroundings:
        return Surroundings(
            aws=self, log_in=self.log_in, keep=self.keep, clock=lambda: self.now, sleep=self.sleep, grace=GRACE
        )

    def command(self, what: Callable[[], End | None], fuse: int | None = None) -> End | None:
        """Do something as a process of its own would, which dies when the fuse is burnt."""
        self.fuse = fuse
        self.still_late = 0  # by then IAM has caught up; a key we never heard of and that is not listed would stay
        try:
            return what()
        except Killed:
            return None
        finally:
            self.fuse = None

    def carry_on(self) -> End:
        assert self.stored is not None
        if self.stored.state == "deleting" and self._mail_failed():
            return Stop("mail failed", "abort")
        rotation, end = carry_on(self.stored, self.around())
        assert rotation == self.stored, "what was done is not what was stored"
        return end

    # The commands, as triage/rotation/turns.py has them

    def start(self) -> End | None:
        if self.stored is None or self.stored.is_over:
            serial = f"{self.made}-{self.now.isoformat()}"
            begun = begin(
                PLAN, cast(AwsView, self.observe()), self.now, rotation_id=f"r{serial}", version_id=f"v{serial}"
            )
            if isinstance(begun, Stop):
                return begun
            self.keep(begun)
        return self.carry_on()

    def confirm(self) -> End | None:
        end = self.carry_on()
        assert self.stored is not None
        if self.stored.state != "waiting" or self.stored.keeps == "old" or not isinstance(end, Wait):
            return end
        turned = confirmed(self.stored, self.now, "a mail left")
        assert isinstance(turned, Rotation)
        self.keep(turned)
        return self.carry_on()

    def abort(self, gmail_has_old: Callable[[], bool]) -> End | None:
        assert self.stored is not None
        turned = aborted(self.stored, "aborted")
        if isinstance(turned, Stop):
            return turned
        if turned is self.stored and not gmail_has_old():
            turned = needed_again(turned, "aborted again") or turned
        self.keep(turned)
        end: End | None = self.carry_on()
        is_back = self.stored.state == "waiting" and self.stored.keeps == "old" and isinstance(end, Wait)
        if is_back and gmail_has_old():
            back = confirmed(self.stored, self.now, "the owner says so")
            assert isinstance(back, Rotation)
            self.keep(back)
            end = self.carry_on()
        return end

    def finish(self) -> End | None:
        end = self.carry_on()
        assert self.stored is not None
        if self.stored.state != "grace" or not isinstance(end, Wait):
            return end
        if self._mail_failed():
            return Stop("mail failed", "abort")
        ending = finished(self.stored, self.now, GRACE)
        if not isinstance(ending, Rotation):
            return ending
        self.keep(ending)
        return self.carry_on()

    def _mail_failed(self) -> bool:
        since = self.stored.gone_since if self.stored else None
        return since is not None and any(at >= since for at in self.failures)

    def reactivate(self) -> End | None:
        assert self.stored is not None
        turned = needed_again(self.stored, "mail failed")
        if turned is None:
            return None
        self.keep(turned)
        return self.carry_on()

    def pass_time(self, span: timedelta) -> None:
        """The owner sends a mail at the end of it, and in the middle."""
        self.still_late = 0
        for _ in range(2):
            self.now += span / 2
            if self.gmail_key in self.keys and self.keys[self.gmail_key].is_active:
                self.use(self.gmail_key)
            else:
                self.failures.append(self.now)

    def enter_login(self) -> None:
        """What the hand-over asks for. Gmail logs in before it saves, so it takes no login that does not work."""
        assert self.stored is not None
        wanted = self.stored.kept_key_id
        if wanted and wanted in self.keys and self.keys[wanted].is_active:
            self.gmail_key = wanted
            self.use(wanted)


def _with(key: IamKey, is_active: bool) -> IamKey:
    return IamKey(key.id, is_active, key.created_at, key.used_at, key.is_use_known)


def a_world() -> World:
    """One key, in the secret and in Gmail."""
    world = World()
    world.gmail_key = world.add_key()
    world.versions["v0"] = {"username": world.gmail_key, "password": world.password(world.gmail_key)}
    world.stages["AWSCURRENT"] = "v0"
    world.now += timedelta(days=100)
    return world


def handed_over(state: str, **changes: Any) -> tuple[Rotation, AwsView]:
    """A rotation after the hand-over and the facts that belong to it; `old` and `new` say what the keys are."""
    old, new = changes.pop("old", True), changes.pop("new", True)
    now = datetime(2026, 11, 24, 9, tzinfo=UTC)
    offered_at = changes.pop("offered_at", now)
    has_word = offered_at is not None and state in ("retiring", "grace", "deleting")
    rotation = Rotation(
        id="r",
        state=cast(Any, state),
        iam_user=PLAN.iam_user,
        secret_id=PLAN.secret_id,
        region=REGION,
        host=PLAN.host,
        port=587,
        security="starttls",
        old_key_id="OLD",
        old_version_id="v0",
        new_key_id="NEW",
        version_id="v1",
        keys_before=("OLD",),
        started_at=now,
        asked_at=now,
        offered_at=offered_at,
        confirmed_at=changes.pop("confirmed_at", now if has_word else None),
        inactive_at=now - GRACE if state == "deleting" else now,
        **changes,
    )
    keys = [IamKey(name, active, now, None) for name, active in (("OLD", old), ("NEW", new)) if active is not None]
    current = Version("v1", "NEW") if rotation.keeps == "new" else Version("v0", "OLD")
    return rotation, AwsView(tuple(keys), current, None)


def reach(world: World, state: str) -> None:
    """Kill the start as soon as this state is stored, or play the owner up to it."""
    if state == "grace":
        world.start()
        world.enter_login()
        world.confirm()
    for fuse in range(200):
        if world.stored is not None and world.stored.state == state:
            return
        if state != "grace":
            world.__dict__.update(vars(a_world()))
            world.command(world.start, fuse)
    raise AssertionError(f"{state} was never reached")
