"""Rotation commands killed for real at each step: what is current works, and the next command ends well."""

from __future__ import annotations

import pytest

from tests.rotation.stage import Stage


@pytest.mark.parametrize(
    ("name", "nth", "when"),
    [
        ("keep_rotation", 1, "after"),  # creating
        ("create_key", 1, "after"),  # the key exists, its id is nowhere
        ("keep_rotation", 3, "after"),  # the id is stored, the secret lost
        ("put_pending", 1, "after"),
        ("keep_rotation", 4, "after"),  # verifying
        ("keep_rotation", 5, "after"),  # promoting
        ("move_current", 1, "after"),
        ("drop_pending", 1, "after"),
    ],
)
def test_start_survives_being_killed(stage: Stage, name: str, nth: int, when: str) -> None:
    stage.killed(name, nth, when, "start")
    assert stage.key_states()[stage.user.key_id] == "Active"
    assert stage.works(), "whatever is current works at any moment"
    stage.rotate("start")
    new = stage.held()["username"]
    assert stage.key_states() == {stage.user.key_id: "Active", new: "Active"}, "no orphan is left"
    assert stage.works("AWSCURRENT")
    assert stage.works("AWSPREVIOUS")
    assert (stage.row()["state"], stage.row()["new_key_id"]) == ("waiting", new)


@pytest.mark.parametrize("name", ["set_key", "delete_key"])
def test_the_end_survives_being_killed(stage: Stage, name: str) -> None:
    stage.rotate("start")
    new = stage.held()["username"]
    confirm = ("confirm", "--yes-i-tested")
    if name == "set_key":
        stage.killed(name, 1, "after", *confirm)
        assert stage.row()["state"] == "retiring"
        assert "grace" not in stage.rotate("start")
    else:
        stage.rotate(*confirm)
        stage.days_pass(4)
        stage.killed(name, 1, "after", "finish")
        assert stage.row()["state"] == "deleting"
        stage.rotate("finish")
    assert stage.row()["state"] == ("grace" if name == "set_key" else "done")
    assert stage.key_states()[new] == "Active"
    assert stage.works()


@pytest.mark.parametrize(
    ("name", "nth", "state"),
    [("create_key", 1, "creating"), ("keep_rotation", 3, "staging"), ("put_pending", 1, "staging")],
)
def test_abort_before_the_hand_over_leaves_no_trace(stage: Stage, name: str, nth: int, state: str) -> None:
    stage.killed(name, nth, "after", "start")
    assert stage.row()["state"] == state
    assert "the old state is restored" in stage.rotate("abort")
    assert stage.key_states() == {stage.user.key_id: "Active"}
    assert stage.held()["username"] == stage.user.key_id
    assert "AWSPENDING" not in stage.stages()
    assert stage.works()
