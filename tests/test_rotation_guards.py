"""Each state of a rotation and what it does next, and which key may be removed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from remediation.rotation import (
    Facts,
    Key,
    Stop,
    Version,
    Wait,
    removable,
)
from remediation.rotation_next import Act, Advance, next_step
from tests.rotation_world import GRACE, handed_over


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
    rotation, facts = handed_over(state, **changes)
    step = next_step(rotation, facts, rotation.started_at + timedelta(hours=1), grace=GRACE)
    if isinstance(step, Advance):
        assert f"{step.rotation.state} {step.rotation.keeps}" == expected
    else:
        assert isinstance(step, Act)
        assert f"{step.action} {step.key_id}" == expected


@pytest.mark.parametrize("state", ["retiring", "deleting"])
def test_a_secret_that_names_another_key_stops_it(state: str) -> None:
    rotation, facts = handed_over(state, old=state == "retiring")
    for current in (Version("v9", "OLD"), Version("v9", None), None):
        assert isinstance(next_step(rotation, replace(facts, current=current), rotation.started_at, grace=GRACE), Stop)


def test_the_key_in_the_secret_never_goes() -> None:
    """However it got there: here the secret still names the new key of an aborted rotation."""
    rotation, facts = handed_over("deleting", keeps="old", offered_at=None)
    assert next_step(rotation, facts, rotation.started_at, grace=GRACE) == Act("delete", "NEW")
    step = next_step(rotation, replace(facts, current=Version("v9", "NEW")), rotation.started_at, grace=GRACE)
    assert isinstance(step, Stop)
    assert "NEW" in step.why
