"""Whatever happens in whatever order, and however often it is killed: a rotation never takes away what Gmail needs.

A state machine of hypothesis plays owner, time, crashes, refusals and strangers against the real `carry_on`; AWS is a
small stand-in in this process (test_rotation.py runs the same code against moto), the database a variable.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from remediation.rotation.steps import StepFailed
from tests.rotation.world import _with, a_world

fuses = st.none() | st.integers(0, 24)


class Owner(RuleBasedStateMachine):
    """An owner who tells the truth, in a world where nobody else touches the keys."""

    @initialize(
        refusals=st.integers(0, 12),
        counts_logins=st.booleans(),
        played=st.sampled_from(["nothing", "start", "enter", "confirm", "abort-early", "abort-late"]),
        fuse=fuses,
    )
    def begin(self, refusals: int, counts_logins: bool, played: str, fuse: int | None) -> None:
        """Begin at the start, or further on: by chance alone the end is seldom reached. The last step may be killed."""
        self.world = world = a_world()
        world.refusals = refusals
        world.counts_logins = counts_logins
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
            assert not isinstance(end, StepFailed), end
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
