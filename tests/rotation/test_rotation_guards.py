"""Each state of a rotation and what it does next, and which key may be removed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from remediation.rotation.next import Act, Advance, next_step
from remediation.rotation.state import AwsView, IamKey, Rotation, Stop, Version, Wait, removable
from tests.rotation.world import GRACE, handed_over


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
        ({"previous": True}, "stop AWSPREVIOUS"),
        ({"previous": True, "is_active": False, "since": timedelta(days=-9)}, "stop AWSPREVIOUS"),
        ({"current": None}, "stop no secret"),
    ],
)
def test_which_key_may_be_removed(changes: dict[str, Any], expected: str) -> None:
    now = datetime(2026, 11, 24, 9, tzinfo=UTC)
    times = {name: now + changes[name] for name in ("used_at", "since") if name in changes}
    key = IamKey(
        "KEY",
        changes.get("is_active", True),
        now - timedelta(days=90),
        times.get("used_at"),
        changes.get("is_use_known", True),
    )
    current = IamKey("CURRENT", changes.get("current_is_active", True), now, None)
    facts = AwsView(
        (current, key),
        changes.get("current", Version("v0", "CURRENT")),
        Version("v1", "KEY") if changes.get("pending") else None,
        Version("v2", "KEY") if changes.get("previous") else None,
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
        # The owner's word is missing, or too old to be about the login Gmail has now.
        ("retiring", {"confirmed_at": None}, "waiting new"),
        ("retiring", {"confirmed_at": datetime(2026, 11, 24, 8, 50, tzinfo=UTC)}, "waiting new"),
        # And where all is well it goes on.
        ("retiring", {}, "deactivate OLD"),
        ("retiring", {"old": False}, "grace new"),
        ("deleting", {"old": False}, "delete OLD"),
        ("deleting", {"old": None}, "done new"),
        ("deleting", {"keeps": "old", "new": True, "offered_at": None}, "delete NEW"),
    ],
)
def test_each_guard(state: str, changes: dict[str, Any], expected: str) -> None:
    rotation, facts = handed_over(state, **changes)
    step = next_step(rotation, facts, rotation.started_at + timedelta(hours=1), grace=GRACE)
    if isinstance(step, Advance):
        assert f"{step.rotation.state} {step.rotation.keeps}" == expected
    else:
        assert isinstance(step, Act)
        assert f"{step.action} {step.key_id}" == expected


def test_a_key_used_after_it_was_to_be_out_of_use_stays() -> None:
    rotation, facts = handed_over("retiring")
    now = rotation.started_at + timedelta(minutes=30)
    for minutes, expected in ((-600, "retiring"), (1, "retiring"), (20, "waiting")):
        keys = tuple(replace(key, used_at=rotation.started_at + timedelta(minutes=minutes)) for key in facts.keys)
        step = next_step(rotation, replace(facts, keys=keys), now, grace=GRACE)
        if expected == "retiring":
            assert step == Act("deactivate", "OLD")
        else:
            assert isinstance(step, Advance)
            assert step.rotation.state == expected
            assert "key OLD was used at 2026-11-24 09:20 UTC" in str(step.rotation.reason)


@pytest.mark.parametrize("state", ["retiring", "deleting"])
def test_a_secret_that_names_another_key_stops_it(state: str) -> None:
    rotation, facts = handed_over(state, old=state == "retiring")
    for current in (Version("v9", "OLD"), Version("v9", None), None):
        assert isinstance(next_step(rotation, replace(facts, current=current), rotation.started_at, grace=GRACE), Stop)


def test_the_key_in_the_secret_never_goes() -> None:
    """However it got there: here the secret still names the new key of an aborted rotation, which ends without it."""
    rotation, facts = handed_over("deleting", keeps="old", offered_at=None)
    assert next_step(rotation, facts, rotation.started_at, grace=GRACE) == Act("delete", "NEW")
    for place in ("current", "previous"):
        step = next_step(rotation, replace(facts, **{place: Version("v9", "NEW")}), rotation.started_at, grace=GRACE)
        assert isinstance(step, Advance)
        assert step.rotation.is_over
        assert "key NEW was left" in str(step.rotation.reason)


@pytest.mark.parametrize(
    ("state", "changes", "key", "expected"),
    [
        # Without the owner's word the key that was in use at the start stays, whatever else is stored.
        ("deleting", {"confirmed_at": None, "old": False}, {}, "nobody confirmed"),
        ("deleting", {"old": False}, {"used_at": -2}, "was used at"),
        ("deleting", {"keeps": "old", "offered_at": None}, {"used_at": -2}, "was used at"),
        ("deleting", {"keeps": "old", "offered_at": None}, {"is_use_known": False}, "is not known"),
        ("staging", {"offered_at": None}, {"used_at": -2}, "was used at"),
        ("staging", {"offered_at": None}, {"is_use_known": False}, "is not known"),
    ],
)
def test_what_stays_whatever_is_stored(state: str, changes: dict[str, Any], key: dict[str, Any], expected: str) -> None:
    rotation, facts = handed_over(state, **changes)
    if "used_at" in key:
        key = {"used_at": rotation.started_at + timedelta(days=key["used_at"])}
    facts = replace(facts, keys=tuple(replace(one, **key) for one in facts.keys), current=_kept(rotation, state))
    step = next_step(rotation, facts, rotation.started_at, grace=GRACE)
    assert isinstance(step, Stop), step
    assert expected in step.why
    assert "It stays." in step.why


def _kept(rotation: Rotation, state: str) -> Version:
    return Version("v0", "OLD") if state == "staging" or rotation.keeps == "old" else Version("v1", "NEW")
