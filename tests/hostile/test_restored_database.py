"""An old copy of the database, put back beside a newer rotation, must not cost the alias its login.

The database then says of a key that nobody has it, and AWS knows better: whatever is stored, a key that the secret
names (AWSCURRENT, AWSPREVIOUS) or that was used within the days of grace is neither deleted nor made Inactive, save the
one of which the owner said that Gmail does not use it any more. The stand-in for AWS asserts that at every call.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from remediation.rotation import Rotation, Stop
from tests.rotation import conftest as rotation_fixtures
from tests.rotation.stage import ALIAS, SECRET, Stage
from tests.rotation.test_rotation_states import LONGER, Owner, fuses
from tests.rotation.world import World, a_world
from triage import store

stage = rotation_fixtures.stage


def turn(world: World) -> None:
    """A rotation up to the hand-over."""
    world.start()
    world.enter_login()


def to_its_end(world: World) -> None:
    world.confirm()
    world.pass_time(timedelta(days=4))
    world.finish()
    assert world.stored is not None
    assert world.stored.is_over


def taken_back(world: World) -> None:
    """Aborted after the hand-over, Gmail has the old login again, the new key is deleted."""
    world.abort(lambda: False)
    world.enter_login()
    world.abort(lambda: True)
    world.pass_time(timedelta(days=4))
    world.finish()
    assert world.stored is not None
    assert world.stored.is_over


def turn_and_wait(world: World) -> None:
    """Another rotation whose new login is not entered in Gmail yet: it still uses the one before."""
    world.pass_time(timedelta(days=90))
    world.start()


def later(*steps: Callable[[World], None]) -> Callable[[World], None]:
    def play(world: World) -> None:
        for step in steps:
            step(world)

    return play


SINCE: dict[str, Callable[[World], None]] = {
    "nothing": later(),
    "handed over": later(turn),
    "in its days of grace": later(turn, World.confirm),
    "ended": later(turn, to_its_end),
    "ended, and another waits": later(turn, to_its_end, turn_and_wait),
    "ended, and another is in its days of grace": later(
        turn, to_its_end, turn_and_wait, World.enter_login, World.confirm
    ),
    "ended, and another ended": later(turn, to_its_end, turn_and_wait, World.enter_login, to_its_end),
    "aborted": later(turn, taken_back),
    "aborted, and another waits": later(turn, taken_back, turn_and_wait),
}
"""What AWS says: how the rotation of the old copy really went on."""


def copies() -> dict[str, Rotation]:
    """A rotation as it is stored in each state; `aborting` before and after Gmail may have had the new login."""
    world = a_world()
    later(turn, to_its_end)(world)
    found = {rotation.state: rotation for rotation in reversed(world.written)}
    world = a_world()
    later(turn, taken_back)(world)
    found |= {f"{one.state}, taking back": one for one in reversed(world.written) if one.keeps == "old"}
    for early in ("creating", "staging", "verifying"):
        turned = replace(found[early], state="aborting", keeps="old", reason="aborted")
        found |= {f"aborting, {early}": turned, f"deleting, {early}": replace(turned, state="deleting")}
    return found


COPIES = copies()
COMMANDS: dict[str, Callable[[World], object]] = {
    "start": World.start,
    "abort": lambda world: world.abort(lambda: _gmail_has_old(world)),
    "finish": World.finish,
    "reactivate": World.reactivate,
}


def _gmail_has_old(world: World) -> bool:
    return world.stored is not None and world.gmail_key == world.stored.old_key_id


def test_the_copies_cover_every_state() -> None:
    assert {copied.state for copied in COPIES.values()} == {
        *("creating", "staging", "verifying", "promoting", "waiting", "retiring", "grace", "deleting", "aborting"),
        "done",
    }


@pytest.mark.parametrize("counts_logins", [True, False], ids=["uses-known", "uses-not-counted"])
@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("since", SINCE)
def test_every_state_beside_whatever_aws_says(since: str, copied: str, counts_logins: bool) -> None:
    """Every command, alone and after a wait, and then once more."""
    world = a_world()
    world.counts_logins = counts_logins
    SINCE[since](world)
    world.stored = COPIES[copied]
    assert world.gmail_key in world.keys
    for name in COMMANDS:
        for wait in (timedelta(0), timedelta(days=4)):
            tried = copy.deepcopy(world)
            for command in (COMMANDS[name], COMMANDS["start"], COMMANDS["abort"], COMMANDS["finish"]):
                command(tried)
                tried.pass_time(wait)
                assert tried.keys[tried.gmail_key].is_active, name
            assert not tried.failures


class Restored(Owner):
    """The owner of test_rotation_states, whose database is put back to any older copy at any time."""

    @rule(back=st.integers(1, 12))
    def put_an_old_copy_back(self, back: int) -> None:
        written = self.world.written
        self.world.pass_time(timedelta(hours=2))  # nobody makes a copy and puts it back within the hour
        if written:
            self.world.stored = written[-min(back, len(written))]

    @precondition(lambda self: self.world.stored is not None)
    @rule(fuse=fuses)
    def a_rotation_runs_to_its_end(self, fuse: int | None) -> None:
        """Else another rotation is seldom reached."""
        world = self.world
        world.denied.clear()
        world.unanswered.clear()
        world.relay_is_away = False
        world.start()
        world.enter_login()
        if self.waits_for("new") and world.gmail_key == world.stored.new_key_id:
            world.confirm()
            world.pass_time(timedelta(days=4))
            world.command(world.finish, fuse)

    def teardown(self) -> None:
        """Nothing is promised of its end: a database that is wrong may need a human."""


Restored.TestCase.settings = settings(max_examples=LONGER or 100, stateful_step_count=30, deadline=None)
TestRestored = Restored.TestCase


def test_an_old_copy_can_be_ended_and_says_what_is_wrong() -> None:
    """The way out of the words it stops with, for one who has no newer database."""
    world = a_world()
    SINCE["ended, and another waits"](world)
    world.stored = COPIES["staging"]
    before = dict(world.keys)
    stop = world.start()
    assert isinstance(stop, Stop)
    assert "may be an old copy" in stop.why
    assert "rotate abort" in stop.todo
    world.abort(lambda: False)
    assert world.stored.is_over
    assert "stays" in str(world.stored.reason)
    assert world.keys == before


def test_the_key_the_last_rotation_gave_to_gmail_is_not_removed(stage: Stage) -> None:
    """`--remove-key` of a key the secret does not name any more, but the database does."""
    stage.rotate("start")
    stage.rotate("confirm", "--yes-i-tested")
    stage.days_pass(4)
    stage.rotate("finish")
    [given] = stage.key_states()
    other = stage.aws.add_key(stage.user.name)
    values = {"username": other.key_id, "password": "x"}
    secrets = stage.aws.client("secretsmanager")
    for _ in range(2):  # so that the first one is not AWSPREVIOUS either
        secrets.put_secret_value(SecretId=SECRET, SecretString=json.dumps(values))
    said = stage.rotate("start", "--remove-key", given, code=78)
    assert "the last rotation" in said
    assert stage.key_states()[given] == "Active"
    db = store.open_store(stage.folder / "triage.db")
    last = store.last_rotation(db)
    db.close()
    assert last is not None
    assert (last.alias, last.kept_key_id) == (ALIAS, given)
