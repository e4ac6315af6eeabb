"""Mail that fails and a relay that refuses during a rotation: the key that works is kept."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.rotation.stage import Stage


def test_mail_that_fails_in_the_days_of_grace_stops_the_end_and_abort_heals_it(stage: Stage) -> None:
    stage.rotate("start")
    new = stage.held()["username"]
    stage.rotate("confirm", "--yes-i-tested")
    stage.alias_fails(datetime.now(UTC))
    stage.days_pass(4)
    assert "It is not deleted" in stage.rotate("finish", code=78)
    assert stage.user.key_id in stage.key_states()
    stage.rotate("abort")
    assert stage.key_states() == {stage.user.key_id: "Active", new: "Active"}
    assert stage.held()["username"] == stage.user.key_id
    assert stage.works()


def test_a_deletion_that_was_broken_off_is_not_taken_up_once_mail_has_failed(stage: Stage) -> None:
    stage.rotate("start")
    new = stage.held()["username"]
    stage.rotate("confirm", "--yes-i-tested")
    stage.days_pass(4)
    stage.killed("delete_key", 1, "before", "finish")
    assert stage.row()["state"] == "deleting"
    stage.alias_fails(datetime.now(UTC))
    for command in ("start", "finish"):
        assert "It is not deleted" in stage.rotate(command, code=78)
        assert stage.key_states() == {stage.user.key_id: "Inactive", new: "Active"}
    stage.rotate("abort")
    assert stage.key_states() == {stage.user.key_id: "Active", new: "Active"}


def test_mail_that_failed_before_a_killed_confirm_was_taken_up_counts_too(stage: Stage) -> None:
    """The key was Inactive from the kill on, and only the next command writes down since when."""
    stage.rotate("start")
    stage.killed("set_key", 1, "after", "confirm", "--yes-i-tested")
    stage.alias_fails(datetime.now(UTC) + timedelta(seconds=1))
    with sqlite3.connect(stage.folder / "triage.db") as db:  # as if it had failed a day ago, and a day after the kill
        db.execute("UPDATE rotations SET confirmed_at = '2026-11-01T00:00:00Z'")
        db.execute("UPDATE verdicts SET received_at = '2026-11-02T00:00:00Z'")
    db.close()
    stage.rotate("start")
    assert stage.row()["state"] == "grace"
    stage.days_pass(4)
    assert "It is not deleted" in stage.rotate("finish", code=78)


def test_once_more_aborted_gives_the_new_key_back(stage: Stage) -> None:
    """The owner was wrong to say that Gmail has the old login: the new key is what mail needs."""
    stage.rotate("start")
    new = stage.held()["username"]
    stage.rotate("abort", "--gmail-has-old")
    assert stage.key_states() == {stage.user.key_id: "Active", new: "Inactive"}
    stage.rotate("abort", "--gmail-has-old")
    assert stage.key_states()[new] == "Inactive", "said twice, the same"
    stage.alias_fails(datetime.now(UTC) + timedelta(seconds=1))
    stage.days_pass(4)
    assert "rotate abort" in stage.rotate("finish", code=78)
    assert "Both logins work" in stage.rotate("abort")
    assert stage.key_states() == {stage.user.key_id: "Active", new: "Active"}


def test_a_login_that_may_still_be_taken_back_is_shown_to_nobody(stage: Stage) -> None:
    """Entered in Gmail it would work, until the next abort deletes its key at once."""
    stage.relay.mode = "blocked"
    stage.rotate("start", code=78)
    assert stage.row()["state"] == "verifying"
    password = stage.held("AWSPENDING")["password"]
    said = stage.rotate("status", "--show", code=78)
    assert "not tested yet" in said
    assert password not in said
    stage.relay.mode = "normal"
    stage.rotate("start")
    assert password in stage.rotate("status", "--show")
    stage.rotate("confirm", "--yes-i-tested")
    said = stage.rotate("status", "--show")
    assert password in said
    assert "edit info" not in said, "there is nothing to do in Gmail"


def test_a_failure_after_the_hand_over_speaks_against_the_owner(stage: Stage) -> None:
    stage.rotate("start")
    stage.alias_fails(datetime.now(UTC) + timedelta(minutes=1))
    assert "An alias failure came" in stage.rotate("confirm", code=78)
    assert set(stage.key_states().values()) == {"Active"}
    assert "Alias failures since it began: 1" in stage.rotate("status")


def test_a_key_the_relay_never_takes_is_rolled_back(stage: Stage) -> None:
    stage.settings(smtp_patience_seconds=0)
    stage.relay.lag = 99
    said = stage.rotate("start", code=78)
    assert "the relay does not take the new key" in said
    assert stage.key_states() == {stage.user.key_id: "Active"}
    assert stage.held()["username"] == stage.user.key_id
    assert stage.works()


@pytest.mark.parametrize("mode", ["blocked", "no-auth", "put-off"])
def test_a_relay_that_takes_nobody_does_not_cost_the_new_key(stage: Stage, mode: Any) -> None:
    stage.relay.mode = mode
    said = stage.rotate("start", code=75 if mode == "put-off" else 78)
    assert "cannot be tested" in said
    assert ("keeps the server it began with" in said) == (mode != "put-off")
    assert len(stage.key_states()) == 2
    assert stage.held()["username"] == stage.user.key_id
    stage.relay.mode = "normal"
    stage.rotate("start")
    assert stage.works()
    assert stage.row()["attempt"] == 1, "the same key goes on"
