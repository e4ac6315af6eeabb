"""Whatever happens in whatever order, and however often it is killed: a rotation never takes away what Gmail needs.

A state machine of hypothesis plays owner, time, crashes, refusals and strangers against the real `carry_on`; AWS is a
small stand-in in this process (tests/test_rotation.py runs the same code against moto), the database a variable.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from remediation.aws import NotLookedUp
from remediation.credentials import Login, LoginCheck, derive_smtp_password
from remediation.rotation import (
    Facts,
    Key,
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
    removable,
)
from remediation.rotation_aws import LIMIT_EXCEEDED, Held, NewKey
from remediation.rotation_next import Act, Advance, next_step
from remediation.rotation_steps import End, Failed, Surroundings, carry_on

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
    keys: dict[str, Key] = field(default_factory=dict)
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
    listed: tuple[Key, ...] = ()
    relay_is_away: bool = False
    fuse: int | None = None
    made: int = 0

    def tick(self) -> None:
        """A moment at which we may be killed."""
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                self.fuse = None
                raise Killed

    # AWS, as `rotation_aws.Account` shows it

    def observe(self) -> Facts | NotLookedUp:
        def version(stage: str) -> Version | None:
            found = self.stages.get(stage)
            return Version(found, self.versions[found].get("username")) if found else None

        if self.still_late:
            self.still_late -= 1
        else:
            self.listed = tuple(self.keys.values())
        return Facts(self.listed, version("AWSCURRENT"), version("AWSPENDING"))

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
            assert key_id != self.gmail_key or self.owner_was_wrong, "took away the key that Gmail uses"
            assert any(key.is_active for key in self.keys.values() if key.id != key_id), "no working key left"
        if key_id in self.keys:
            self.keys[key_id] = _with(self.keys[key_id], active)
        return self._done("set_key")

    def delete_key(self, key_id: str) -> NotLookedUp | None:
        if refusal := self._refused("delete_key"):
            return refusal
        self.tick()
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
        # AWS refuses other content under an id that was used.
        assert self.versions.setdefault(version_id, dict(values)) == dict(values)
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
        self.keys[key_id] = Key(key_id, True, self.now, None)
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
        return LoginCheck(None, "235", None, 235)

    def keep(self, rotation: Rotation) -> None:
        self.tick()
        self.stored = rotation
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

    # The commands, as triage/rotations.py has them

    def start(self) -> End | None:
        if self.stored is None or self.stored.is_over:
            serial = f"{self.made}-{self.now.isoformat()}"
            begun = begin(
                PLAN, cast(Facts, self.observe()), self.now, rotation_id=f"r{serial}", version_id=f"v{serial}"
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
            if not (self.gmail_key in self.keys and self.keys[self.gmail_key].is_active):
                self.failures.append(self.now)

    def enter_login(self) -> None:
        """What the hand-over asks for. Gmail logs in before it saves, so it takes no login that does not work."""
        assert self.stored is not None
        wanted = self.stored.kept_key_id
        if wanted and wanted in self.keys and self.keys[wanted].is_active:
            self.gmail_key = wanted


def _with(key: Key, is_active: bool) -> Key:
    return Key(key.id, is_active, key.created_at, key.used_at, key.is_use_known)


def a_world() -> World:
    """One key, in the secret and in Gmail."""
    world = World()
    world.gmail_key = world.add_key()
    world.versions["v0"] = {"username": world.gmail_key, "password": world.password(world.gmail_key)}
    world.stages["AWSCURRENT"] = "v0"
    world.now += timedelta(days=100)
    return world


fuses = st.none() | st.integers(0, 24)


class Owner(RuleBasedStateMachine):
    """An owner who tells the truth, in a world where nobody else touches the keys."""

    @initialize(
        refusals=st.integers(0, 12),
        played=st.sampled_from(["nothing", "start", "enter", "confirm", "abort-early", "abort-late"]),
        fuse=fuses,
    )
    def begin(self, refusals: int, played: str, fuse: int | None) -> None:
        """Begin at the start, or further on: by chance alone the end is seldom reached. The last step may be killed."""
        self.world = world = a_world()
        world.refusals = refusals
        steps: dict[str, list[Callable[[], Any]]] = {
            "nothing": [],
            "start": [world.start],
            "enter": [world.start, world.enter_login],
            "confirm": [world.start, world.enter_login, world.confirm],
            "abort-early": [world.start, lambda: world.abort(lambda: True)],
            "abort-late": [world.start, world.enter_login, lambda: world.abort(lambda: False)],
        }
        for number, step in enumerate(steps[played], start=1):
            if world.stored is None or world.stored.state == "waiting":
                world.command(step, fuse if number == len(steps[played]) else None)

    def under_way(self) -> bool:
        stored = self.world.stored
        return stored is not None and not stored.is_over

    def waits_for(self, keeps: str) -> bool:
        stored = self.world.stored
        return stored is not None and stored.state == "waiting" and stored.keeps == keeps

    @rule(fuse=fuses)
    def start(self, fuse: int | None) -> None:
        self.world.command(self.world.start, fuse)

    @precondition(lambda self: self.waits_for("new") or self.waits_for("old"))
    @rule()
    def enter_login(self) -> None:
        self.world.enter_login()

    @precondition(lambda self: self.waits_for("new") and self.world.gmail_key == self.world.stored.new_key_id)
    @rule(fuse=fuses)
    def confirm(self, fuse: int | None) -> None:
        self.world.command(self.world.confirm, fuse)

    @precondition(under_way)
    @rule(fuse=fuses)
    def abort(self, fuse: int | None) -> None:
        def gmail_has_old() -> bool:
            assert self.world.stored is not None
            return self.world.gmail_key == self.world.stored.old_key_id

        self.world.command(lambda: self.world.abort(gmail_has_old), fuse)

    @precondition(under_way)
    @rule(fuse=fuses)
    def finish(self, fuse: int | None) -> None:
        self.world.command(self.world.finish, fuse)

    @precondition(under_way)
    @rule(fuse=fuses)
    def reactivate(self, fuse: int | None) -> None:
        self.world.command(self.world.reactivate, fuse)

    @rule(hours=st.sampled_from([1, 30, 80]))
    def pass_time(self, hours: int) -> None:
        self.world.pass_time(timedelta(hours=hours))

    @rule(what=st.sampled_from(["create_key", "set_key", "delete_key", "put_pending", "move_current", "drop_pending"]))
    def deny_or_allow(self, what: str) -> None:
        self.world.denied ^= {what}

    @rule(what=st.sampled_from(["create_key", "set_key", "delete_key", "put_pending", "move_current", "drop_pending"]))
    def lose_or_give_answers(self, what: str) -> None:
        self.world.unanswered ^= {what}

    @rule(times=st.integers(0, 3))
    def iam_is_late(self, times: int) -> None:
        self.world.late = times

    @rule()
    def relay_goes_and_comes(self) -> None:
        self.world.relay_is_away = not self.world.relay_is_away

    @invariant()
    def gmail_can_send(self) -> None:
        world = getattr(self, "world", None)
        if world is not None:
            assert world.keys[world.gmail_key].is_active
            assert not world.failures

    @invariant()
    def the_current_login_works(self) -> None:
        world = getattr(self, "world", None)
        if world is not None:
            values = world.versions[world.stages["AWSCURRENT"]]
            assert world.keys[values["username"]].is_active
            assert values["password"] == world.password(values["username"])

    def teardown(self) -> None:
        """From wherever it is, it comes to its end once nothing is in the way any more: nobody gets stuck."""
        world = getattr(self, "world", None)
        if world is None:
            return
        world.denied.clear()
        world.unanswered.clear()
        world.late = world.still_late = 0
        world.relay_is_away = False
        for _ in range(8):
            if not self.under_way():
                break
            end = world.start()
            assert not isinstance(end, Failed), end
            if self.waits_for("new"):
                world.enter_login()
                world.confirm()
            elif self.waits_for("old"):
                world.enter_login()
                world.abort(lambda: True)
            world.pass_time(timedelta(days=4))
            if self.under_way():
                world.finish()
        assert not self.under_way(), world.stored
        self.gmail_can_send()
        self.the_current_login_works()
        assert len(world.keys) == 1
        assert "AWSPENDING" not in world.stages


class Strangers(Owner):
    """The same, but others delete keys, make them Inactive, add some, and the owner errs.

    Then Gmail may stop working, and not by our doing: the stand-in for AWS itself asserts what we may not do.
    """

    @rule(which=st.integers(0, 1))
    def somebody_deactivates_a_key(self, which: int) -> None:
        keys = list(self.world.keys.values())
        if which < len(keys):
            self.world.keys[keys[which].id] = _with(keys[which], False)

    @rule(which=st.integers(0, 1))
    def somebody_makes_a_key_active_again(self, which: int) -> None:
        keys = list(self.world.keys.values())
        if which < len(keys):
            self.world.keys[keys[which].id] = _with(keys[which], True)

    @rule(which=st.integers(0, 1))
    def somebody_deletes_a_key(self, which: int) -> None:
        keys = list(self.world.keys)
        if which < len(keys):
            del self.world.keys[keys[which]]

    @precondition(lambda self: "AWSPENDING" in self.world.stages)
    @rule()
    def somebody_drops_the_pending_version(self) -> None:
        del self.world.stages["AWSPENDING"]

    @precondition(lambda self: len(self.world.keys) < 2)
    @rule()
    def somebody_makes_a_key(self) -> None:
        self.world.pass_time(timedelta(minutes=10))
        self.world.add_key()

    @rule()
    def somebody_writes_the_secret(self) -> None:
        if self.world.keys:
            key_id = next(iter(self.world.keys))
            version_id = f"foreign-{len(self.world.versions)}"
            self.world.versions[version_id] = {"username": key_id, "password": self.world.password(key_id)}
            self.world.stages |= {"AWSPREVIOUS": self.world.stages["AWSCURRENT"], "AWSCURRENT": version_id}

    @precondition(lambda self: self.waits_for("new"))
    @rule(fuse=fuses)
    def owner_confirms_what_is_not_so(self, fuse: int | None) -> None:
        self.world.owner_was_wrong = True
        self.world.command(self.world.confirm, fuse)

    @invariant()
    def gmail_can_send(self) -> None:
        """Not promised here."""

    @invariant()
    def the_current_login_works(self) -> None:
        """Not promised here."""

    def teardown(self) -> None:
        """Nothing is promised but that no command raised and AWS was never told anything harmful."""


LONGER = int(os.environ.get("FUZZ_EXAMPLES", "0"))
Owner.TestCase.settings = settings(max_examples=LONGER or 120, stateful_step_count=30, deadline=None)
Strangers.TestCase.settings = settings(max_examples=LONGER or 80, stateful_step_count=30, deadline=None)
TestOwner = Owner.TestCase
TestStrangers = Strangers.TestCase


def test_every_crash_of_a_plain_rotation_is_survived() -> None:
    """The way through without detours, killed at each of its moments in turn; then the same without being killed."""
    moments = 0
    for fuse in range(1000):
        world = a_world()
        old = world.gmail_key
        world.command(world.start, fuse)
        was_killed = world.stored is None or world.stored.state != "waiting"
        world.start()
        assert world.stored is not None
        assert (world.stored.state, world.stored.keeps) == ("waiting", "new")
        assert {key.is_active for key in world.keys.values()} == {True}
        assert world.versions[world.stages["AWSCURRENT"]]["username"] == world.stored.new_key_id
        assert set(world.keys) == {old, world.stored.new_key_id}
        if not was_killed and fuse > moments + 1:
            break
        moments = fuse if was_killed else moments
    assert moments > 15, "the fuse killed next to nothing"


@pytest.mark.parametrize("state", ["creating", "staging", "verifying", "promoting", "waiting", "grace"])
def test_abort_at_each_state_restores_the_old_one(state: str) -> None:
    world = a_world()
    old = world.gmail_key
    _reach(world, state)
    world.abort(lambda: world.gmail_key == old)
    assert world.keys[old].is_active
    assert world.versions[world.stages["AWSCURRENT"]]["username"] == old
    assert world.stored is not None
    if state == "grace":
        assert world.stored.state == "waiting"
        assert {key.is_active for key in world.keys.values()} == {True}, "Gmail still has the new one"
        world.enter_login()
        world.abort(lambda: world.gmail_key == old)
    if state in ("promoting", "waiting", "grace"):
        assert len(world.keys) == 2, "Gmail may have been given the new key: not deleted at once"
        assert isinstance(world.finish(), Wait)
        world.pass_time(GRACE)
        world.finish()
    assert world.stored.is_over
    assert world.stored.keeps == "old"
    assert set(world.keys) == {old}


def test_a_key_from_a_later_try_is_still_known_as_ours() -> None:
    """The rotation began, was killed before it made a key, and again right after it made one the next day."""
    world = a_world()
    world.command(world.start, 4)
    assert world.stored is not None
    assert len(world.keys) == 1, "killed too late for this test"
    world.pass_time(timedelta(days=1))
    world.command(world.start, 3)
    assert len(world.keys) == 2
    assert world.stored is not None
    assert world.stored.new_key_id is None, "killed too late for this test"
    world.start()
    assert world.stored.state == "waiting"
    assert len(world.keys) == 2


def test_a_version_whose_label_was_taken_away_is_made_anew_under_another_id() -> None:
    world = a_world()
    world.relay_is_away = True
    assert isinstance(world.start(), Failed)
    assert world.stored is not None
    first = world.stored
    del world.stages["AWSPENDING"]
    world.relay_is_away = False
    world.start()
    assert (world.stored.state, world.stored.attempt) == ("waiting", 2)
    assert first.new_key_id not in world.keys
    assert first.version_id != world.stored.version_id


def test_the_old_key_stays_while_the_new_login_does_not_work() -> None:
    world = a_world()
    old = world.gmail_key
    world.start()
    assert world.stored is not None
    world.versions[world.stored.version_id]["password"] = "not the password"
    end = world.confirm()
    assert isinstance(end, Stop)
    assert "does not work" in end.why
    assert world.keys[old].is_active
    world.relay_is_away = True
    assert isinstance(world.confirm(), Failed)
    assert world.keys[old].is_active


def test_a_key_another_computer_has_put_into_the_secret_is_not_taken_for_a_lost_one() -> None:
    """Two computers, two databases, one login: both begin, and only one can make a key."""
    world = a_world()
    world.command(world.start, 1)
    ours, world.stored = world.stored, None
    world.now += timedelta(seconds=1)
    world.relay_is_away = True
    world.start()
    theirs = world.stored
    assert ours is not None
    assert theirs is not None
    for is_staged in (True, False):
        world.stored = ours
        end = world.start()
        assert isinstance(end, Stop)
        assert "did not make" in end.why
        assert world.stored.state == "creating"
        world.abort(lambda: False)
        assert theirs.new_key_id in world.keys
        assert world.stored.is_over
        if is_staged:
            world.stored, world.relay_is_away = theirs, False
            world.start()


def test_a_key_made_by_hand_because_we_may_not_is_not_taken_for_a_lost_one() -> None:
    world = a_world()
    world.denied = {"create_key"}
    assert isinstance(world.start(), Failed)
    assert world.stored is not None
    assert world.stored.is_over
    assert "not allowed" in str(world.stored.reason)
    world.now += timedelta(minutes=1)
    world.gmail_key = world.add_key()
    world.pass_time(timedelta(days=1))
    assert isinstance(world.start(), Stop)
    assert len(world.keys) == 2


def test_without_an_old_key_a_new_one_that_is_refused_is_neither_rolled_back_nor_tried_for_ever() -> None:
    world = a_world()
    del world.keys[world.gmail_key]
    world.refusals = 1000
    begun = begin(PLAN, cast(Facts, world.observe()), world.now, rotation_id="r", version_id="v", old_key_is_gone=True)
    assert isinstance(begun, Rotation)
    world.keep(begun)
    started = world.now
    end = world.start()
    assert isinstance(end, Failed)
    assert "does not take the new key" in end.why
    assert world.now - started < timedelta(minutes=4), "one round of patience"
    world.abort(lambda: False)
    assert world.stored is not None
    assert world.stored.is_over
    assert str(world.stored.new_key_id) in str(world.stored.reason), "what is left is named"


def test_without_an_old_key_a_new_one_that_cannot_be_stored_is_given_up_at_once() -> None:
    world = a_world()
    del world.keys[world.gmail_key]
    world.denied = {"put_pending"}
    begun = begin(PLAN, cast(Facts, world.observe()), world.now, rotation_id="r", version_id="v", old_key_is_gone=True)
    assert isinstance(begun, Rotation)
    world.keep(begun)
    end = world.start()
    assert isinstance(end, Failed)
    assert "not allowed" in end.why
    world.denied.clear()
    world.start()
    assert world.stored is not None
    assert (world.stored.state, world.stored.attempt, len(world.keys)) == ("waiting", 2, 1)


def test_what_iam_does_not_list_yet_is_not_done_again_nor_taken_back() -> None:
    world = a_world()
    world.late = 5
    told: list[tuple[str, bool]] = []
    set_key = world.set_key

    def counted(key_id: str, *, active: bool) -> NotLookedUp | None:
        told.append((key_id, active))
        return set_key(key_id, active=active)

    world.set_key = counted  # type: ignore[method-assign]
    old = world.gmail_key
    world.command(world.start)
    assert world.stored is not None
    assert (world.stored.state, world.stored.keeps) == ("waiting", "new")
    world.enter_login()
    assert isinstance(world.command(world.confirm), Wait)
    assert told == [(old, False)]
    assert world.stored.state == "grace"
    world.pass_time(GRACE)
    world.command(world.finish)
    assert world.stored.is_over


def test_what_was_said_about_gmail_counts_no_longer_once_mail_fails() -> None:
    rotation, _ = _stored("grace", confirmed_at=datetime(2026, 11, 24, tzinfo=UTC), evidence="a mail left")
    for turned in (needed_again(rotation, "mail failed"), aborted(rotation, "why")):
        assert isinstance(turned, Rotation)
        assert (turned.confirmed_at, turned.inactive_at, turned.evidence) == (None, None, None)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "deactivate"),
        ({"is_active": False, "since": timedelta(days=-4)}, "delete"),
        ({"is_active": False, "since": timedelta(days=-2)}, "wait 1"),
        # Since when it is Inactive nobody knows: from now on.
        ({"is_active": False}, "wait 3"),
        # Made Active again by somebody meanwhile, and used.
        ({"is_active": False, "since": timedelta(days=-9), "used_at": timedelta(days=-1)}, "wait 2"),
        ({"used_at": timedelta(days=-1)}, "stop something needs it"),
        ({"used_at": timedelta(days=-4)}, "deactivate"),
        ({"is_use_known": False}, "stop not known"),
        ({"is_active": False, "since": timedelta(days=-9), "is_use_known": False}, "stop not known"),
        # Nothing goes while nothing else works.
        ({"current_is_active": False}, "stop No other key is Active"),
        ({"is_active": False, "since": timedelta(days=-9), "current_is_active": False}, "stop No other key is Active"),
        ({"pending": True}, "stop in the secret"),
        ({"current": None}, "stop no secret"),
    ],
)
def test_which_key_may_be_removed(changes: dict[str, Any], expected: str) -> None:
    now = datetime(2026, 11, 24, 9, tzinfo=UTC)
    times = {name: now + changes[name] for name in ("used_at", "since") if name in changes}
    key = Key(
        "KEY",
        changes.get("is_active", True),
        now - timedelta(days=90),
        times.get("used_at"),
        changes.get("is_use_known", True),
    )
    current = Key("CURRENT", changes.get("current_is_active", True), now, None)
    facts = Facts(
        (current, key),
        changes.get("current", Version("v0", "CURRENT")),
        Version("v1", "KEY") if changes.get("pending") else None,
    )
    may = removable("KEY", facts, now, GRACE, times.get("since"))
    if isinstance(may, Wait):
        assert may.until is not None
        assert f"wait {(may.until - now).days}" == expected
    elif isinstance(may, Stop):
        assert expected.removeprefix("stop ") in may.why
        assert expected.startswith("stop ")
    else:
        assert may == expected
    assert isinstance(removable("CURRENT", facts, now, GRACE, None), Stop)
    assert isinstance(removable("NONE", facts, now, GRACE, None), Stop)


def _stored(state: str, **changes: Any) -> tuple[Rotation, Facts]:
    """A rotation after the hand-over and the facts that belong to it; `old` and `new` say what the keys are."""
    old, new = changes.pop("old", True), changes.pop("new", True)
    now = datetime(2026, 11, 24, 9, tzinfo=UTC)
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
        offered_at=changes.pop("offered_at", now),
        inactive_at=now,
        **changes,
    )
    keys = [Key(name, active, now, None) for name, active in (("OLD", old), ("NEW", new)) if active is not None]
    current = Version("v1", "NEW") if rotation.keeps == "new" else Version("v0", "OLD")
    return rotation, Facts(tuple(keys), current, None)


@pytest.mark.parametrize(
    ("state", "changes", "expected"),
    [
        # Nothing goes while what is to stay does not work.
        ("retiring", {"new": False}, "waiting new"),
        ("retiring", {"new": None}, "waiting new"),
        ("retiring", {"keeps": "old", "old": False}, "waiting old"),
        ("deleting", {"new": False, "old": False}, "waiting new"),
        ("deleting", {"keeps": "old", "old": False, "new": False}, "waiting old"),
        ("deleting", {"keeps": "old", "old": False, "offered_at": None}, "aborting old"),
        ("grace", {"new": False, "old": False}, "waiting new"),
        # Somebody needed the other key again.
        ("grace", {}, "waiting new"),
        ("deleting", {}, "waiting new"),
        ("aborting", {"keeps": "old"}, "waiting old"),
        ("aborting", {"keeps": "old", "offered_at": None}, "deleting old"),
        ("aborting", {"keeps": "old", "old": False}, "reactivate OLD"),
        # What is to stay was deleted by somebody else: the other one is all there is.
        ("waiting", {"new": None}, "aborting old"),
        ("waiting", {"keeps": "old", "old": None}, "promoting new"),
        ("aborting", {"keeps": "old", "old": None}, "promoting new"),
        ("waiting", {"new": None, "old": None}, "done new"),
        ("waiting", {"new": False}, "reactivate NEW"),
        ("waiting", {"old": False}, "reactivate OLD"),
        # And where all is well it goes on.
        ("retiring", {}, "deactivate OLD"),
        ("retiring", {"old": False}, "grace new"),
        ("deleting", {"old": False}, "delete OLD"),
        ("deleting", {"old": None}, "done new"),
        ("deleting", {"keeps": "old", "new": True, "offered_at": None}, "delete NEW"),
    ],
)
def test_each_guard(state: str, changes: dict[str, Any], expected: str) -> None:
    rotation, facts = _stored(state, **changes)
    step = next_step(rotation, facts, rotation.started_at + timedelta(hours=1), grace=GRACE)
    if isinstance(step, Advance):
        assert f"{step.rotation.state} {step.rotation.keeps}" == expected
    else:
        assert isinstance(step, Act)
        assert f"{step.action} {step.key_id}" == expected


@pytest.mark.parametrize("state", ["retiring", "deleting"])
def test_a_secret_that_names_another_key_stops_it(state: str) -> None:
    rotation, facts = _stored(state, old=state == "retiring")
    for current in (Version("v9", "OLD"), Version("v9", None), None):
        assert isinstance(next_step(rotation, replace(facts, current=current), rotation.started_at, grace=GRACE), Stop)


def test_the_key_in_the_secret_never_goes() -> None:
    """However it got there: here the secret still names the new key of an aborted rotation."""
    rotation, facts = _stored("deleting", keeps="old", offered_at=None)
    assert next_step(rotation, facts, rotation.started_at, grace=GRACE) == Act("delete", "NEW")
    step = next_step(rotation, replace(facts, current=Version("v9", "NEW")), rotation.started_at, grace=GRACE)
    assert isinstance(step, Stop)
    assert "NEW" in step.why


def _reach(world: World, state: str) -> None:
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
