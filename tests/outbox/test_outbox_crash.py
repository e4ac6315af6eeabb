"""The command itself, killed with kill -9 before and after each call it makes: the next looks end the matter."""

from __future__ import annotations

from typing import Any

import pytest

from tests.outbox.world import REGION, World, env_of
from tests.resend.world import aws_env
from tests.worlds.forked import COMMAND, Forked
from triage import store

CALLS = (
    *("labels.list", "messages.list", "drafts.list", "messages.get", "threads.get", "labels.create", "messages.trash"),
    *("messages.insert", "threads.modify", "labels.delete", "SendEmail"),
)


def command(world: World, *arguments: str, is_on: bool = True) -> Forked:
    config = world.folder / "triage.toml"
    text = f'outbox_from = ["admin@queenofsandiego.com"]\nsmtp_region = "{REGION}"\noutbox_delay = 10\n'
    config.write_text(f'{text}database = "killed.db"\ntoken = "token.json"\n{"outbox = true" if is_on else ""}\n')
    config.chmod(0o600)
    env = env_of(world.double, aws_env(world.ses))
    return Forked(COMMAND, "--config", str(config), "outbox", *arguments, cwd=world.folder, env=env)


def waited(world: World) -> None:
    """Every draft was seen a while ago."""
    db = store.open_store(world.folder / "killed.db")
    with db.conn:
        db.execute("UPDATE outbox SET seen_at = '2026-01-01T00:00:00Z'")
    db.close()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("method", CALLS)
def test_killed_at_any_call_it_leaves_once_at_most_and_is_never_lost(world: World, method: str, when: Any) -> None:
    world.receive()
    draft_id = world.write()
    draft = world.draft(draft_id)
    world.label(draft)
    assert command(world).finish().returncode == 0
    waited(world)
    process = command(world)
    (world.ses if method == "SendEmail" else world.double).kill_at(lambda: process.pid, method, when=when)
    assert process.finish().returncode == -9
    for _ in range(4):
        waited(world)
        command(world).finish()
    left = [mail for mail in world.ses.sent if mail.recipients == ("pat@client.example",)]
    if method != "SendEmail":
        assert (len(left), len(world.sent_copies()), world.marks()) == (1, 1, set())
        assert "TRASH" in draft.labels
        return
    assert len(left) == (when == "after")
    (note,) = world.notes()
    assert "Perhaps sent, perhaps not" in note.get_content()
    settled = command(world, "--was-sent" if when == "after" else "--was-not-sent", "1").finish()
    assert settled.returncode == 0, settled.stderr
    for _ in range(3):
        waited(world)
        command(world).finish()
    assert (len(world.ses.sent), len(world.sent_copies()), world.marks()) == (1, 1, set())


def test_off_as_it_is_it_sends_nothing_and_says_how_to_switch_it_on(world: World) -> None:
    world.label(world.draft(world.write(answers=None)))
    told = command(world, is_on=False).finish()
    assert told.returncode == 78
    assert told.stderr.splitlines() == [
        "triage: The outbox is off.",
        "Read docs/outbox.md, then set `outbox = true` in triage.toml.",
    ]
    assert not world.double.quota.calls


def test_it_needs_no_other_permission_of_google_than_before(world: World) -> None:
    world.double.write_credentials(world.folder, ["https://www.googleapis.com/auth/gmail.modify"])
    world.label(world.draft(world.write(answers=None)))
    assert command(world).finish().returncode == 0
    waited(world)
    done = command(world).finish()
    assert (done.returncode, len(world.ses.sent)) == (0, 1), done.stderr
