"""`doctor` says before the first mail whether the outbox could send it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.outbox.world import REGION, World
from tests.worlds.made_mails import OWNER
from triage.owner.doctor_outbox import check_outbox


def found(world: World, **changes: Any) -> list[tuple[str, str]]:
    return [(state, words) for state, words, _ in check_outbox(replace(world.settings, **changes))]


def test_each_address_the_quota_and_the_rights_are_looked_at_and_nothing_is_sent(world: World) -> None:
    assert found(world) == [
        ("ok", f"SES in {REGION} may send as {OWNER}, signed by its own domain (DKIM)"),
        ("ok", "to everybody: 49,880 more recipients in these 24 hours"),
        ("ok", "whom SES keeps back may be asked"),
    ]
    assert world.ses.sent == []


def test_off_it_is_not_looked_at(world: World) -> None:
    assert found(world, outbox=False) == []
    assert not world.ses.calls


def test_what_is_missing_in_the_settings_is_one_line(world: World) -> None:
    assert found(world, outbox_from=()) == [("fail", "No address to send as.")]
    assert found(world, outbox_host="smtp.example.org") == [("fail", "No login for `outbox_host`.")]


@pytest.mark.parametrize(
    ("address", "words"), [("a@elsewhere.example", "may not send as"), ("a@unsigned.example", "does not sign")]
)
def test_an_address_that_is_not_verified_or_not_signed_for_fails(world: World, address: str, words: str) -> None:
    unsigned = {"SigningEnabled": False, "Status": "FAILED", "Tokens": []}
    world.ses.add_identity("unsigned.example", DkimAttributes=unsigned)
    state, told = found(world, outbox_from=(address,))[0]
    assert (state, words in told) == ("fail", True)


def test_a_missing_right_names_the_policy(world: World) -> None:
    world.ses.fail("GetSuppressedDestination", status=403, code="AccessDeniedException")
    *_, (state, _, todo) = check_outbox(world.settings)
    assert state == "fail"
    assert "--iam-policy outbox" in (todo or "")
