"""Turns a rotation may take, told one by one: crashes, strange keys, refusals, and lists that lag."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from remediation.aws.client import NotLookedUp
from remediation.rotation.state import AwsView, Rotation, Stop, Wait, aborted, begin, needed_again
from remediation.rotation.steps import StepFailed
from tests.rotation.world import GRACE, PLAN, a_world, handed_over, reach


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
    reach(world, state)
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
    assert isinstance(world.start(), StepFailed)
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
    assert isinstance(world.confirm(), StepFailed)
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
    assert isinstance(world.start(), StepFailed)
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
    begun = begin(
        PLAN, cast(AwsView, world.observe()), world.now, rotation_id="r", version_id="v", old_key_is_gone=True
    )
    assert isinstance(begun, Rotation)
    world.keep(begun)
    started = world.now
    end = world.start()
    assert isinstance(end, StepFailed)
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
    begun = begin(
        PLAN, cast(AwsView, world.observe()), world.now, rotation_id="r", version_id="v", old_key_is_gone=True
    )
    assert isinstance(begun, Rotation)
    world.keep(begun)
    end = world.start()
    assert isinstance(end, StepFailed)
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
    rotation, _ = handed_over("grace", confirmed_at=datetime(2026, 11, 24, tzinfo=UTC), evidence="a mail left")
    for turned in (needed_again(rotation, "mail failed"), aborted(rotation, "why")):
        assert isinstance(turned, Rotation)
        assert (turned.confirmed_at, turned.inactive_at, turned.evidence) == (None, None, None)
