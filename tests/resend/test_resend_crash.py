"""kill -9 while mails are given once more: sent once at most, one draft, one copy."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pytest

from tests.resend.world import World, aws_env
from tests.worlds.forked import Forked
from tests.worlds.made_mails import NOW
from triage.resend import again as resend

KILLED = """
import os, signal, sys
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from remediation.aws import Allowance
from triage import store
from triage.gmail import connect
from triage.resend import again as resend, plan_items
from triage.store import open_store
folder, url, now, way = Path(sys.argv[1]), sys.argv[2], datetime.fromisoformat(sys.argv[3]), sys.argv[4]
if way == "between":
    store.finish_resend = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
with closing(open_store(folder / "triage.db")) as db, closing(connect(folder / "token.json", url=url)) as gmail:
    found = store.hit_by_us(db, now - timedelta(days=30))
    items = plan_items(db, gmail, found, now, way="draft" if way == "draft" else "ses")
    if way == "draft":
        list(resend.put_back(db, gmail, items, lambda: now))
    else:
        list(resend.send(db, gmail, items, "us-east-1", Allowance(None, 1000.0), lambda: now, lambda _: None))
"""


def killed(world: World, way: str, arm: Any = None) -> None:
    arguments = (str(world.folder), world.double.url, NOW.isoformat(), way)
    process = Forked(KILLED, *arguments, env=os.environ | aws_env(world.ses))
    if arm:
        arm(lambda: process.pid)
    assert process.finish().returncode == -9


@pytest.mark.parametrize("moment", ["SendEmail before", "SendEmail after", "between"])
def test_killed_around_the_sending_it_is_sent_once_at_most_and_shown(world: World, moment: str) -> None:
    for number in range(2):
        who = f"p{number}@client.example"
        world.bounce(world.write(f"Charter {number}", who), who)
    operation, _, when = moment.partition(" ")
    if when:
        killed(world, "ses", lambda pid: world.ses.kill_at(pid, operation, when=when))
    else:
        killed(world, "between")
    for _ in range(2):
        world.send()
    assert sorted(mail.recipients for mail in world.ses.sent) in (
        [("p1@client.example",)],
        [("p0@client.example",), ("p1@client.example",)],
        [("p0@client.example",)],
    )
    (doubtful,) = [item for item in world.plan("ses") if item.is_in_doubt]
    assert doubtful.why_not is not None
    assert "perhaps sent at" in doubtful.why_not


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("method", ["messages.insert", "drafts.create"])
def test_killed_around_gmail_there_is_one_draft_and_one_copy(world: World, method: str, when: str) -> None:
    world.bounce(world.write("Charter", "pat@client.example"), "pat@client.example")
    way = "draft" if method == "drafts.create" else "ses"
    killed(world, way, lambda pid: world.double.kill_at(pid, method, when=when))  # type: ignore[arg-type]
    later = NOW + timedelta(hours=1)
    if way == "draft":
        world.put_back(later)
        assert len(world.drafts()) == 1
    else:
        assert resend.file_copies(world.db, world.gmail, later) == []
        assert (len(world.copies()), len(world.ses.sent)) == (1, 1)
