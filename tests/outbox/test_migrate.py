"""Over from the alias, step by step: what is not so is told, and the first open step is the next one."""

from __future__ import annotations

from tests.outbox.test_outbox_crash import command
from tests.outbox.world import GMAIL, REGION, World
from tests.worlds.made_mails import OWNER


def steps(world: World) -> list[str]:
    done = command(world, "migrate").finish()
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_each_step_is_looked_at_and_the_first_open_one_is_next(world: World) -> None:
    world.double.add_send_as(OWNER, host="email-smtp.us-east-1.amazonaws.com")
    found = steps(world)
    assert [line for line in found if line.startswith("NEXT")] == [
        "NEXT  The label: `triage outbox` makes it with its first look"
    ]
    assert any(line.startswith("open  A test mail to yourself") and GMAIL in line for line in found)
    assert any("never delete it before" in line and OWNER in line for line in found)
    assert world.ses.sent == []


def test_an_address_ses_does_not_know_and_a_sandbox_are_told(world: World) -> None:
    world.ses.region(REGION).identities.clear()
    world.ses.region(REGION).account["ProductionAccessEnabled"] = False
    found = steps(world)
    assert any(line.startswith("NEXT") and "may not send as" in line for line in found)
    assert any(line.startswith("open") and "sandbox" in line for line in found)
