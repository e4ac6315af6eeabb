"""Whatever the order in which news comes in, the incidents are the same in the end."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from tests.incidents.made import NOW, ago, publish, put, record, refused, taken
from triage import store
from triage.judging.incident import openings

MOMENTS = st.integers(0, 40).map(lambda minutes: ago(minutes=minutes))
NEWS = st.lists(st.tuples(st.sampled_from(["failure", "send", "later", "hand"]), MOMENTS), min_size=1, max_size=14)
Step = tuple[str, datetime]


def learn(db: Database, number: int, step: Step) -> None:
    what, at = step
    if what == "failure":
        put(db, number, record(recipient=f"p{at.minute % 3}@client.example"), at=at, seen_at=NOW)
    elif what == "send":
        publish(db, taken(at))
    elif what == "later":
        sent = at.strftime("%Y-%m-%dT%H:%M:%SZ")
        through = refused(
            gmail_message_id=f"m{number}@mail.gmail.com", ses_message_id="01", path="gmail-alias", sent_at=sent
        )
        put(db, number, through | {"cause": "recipient-unknown"}, at=at + timedelta(days=1))
    elif store.read_incident(db, 1):
        store.close_by_hand(db, 1, "mended", at)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(news=NEWS, order=st.randoms(use_true_random=False), settle=st.booleans())
def test_any_order_of_news_gives_the_same_incident(news: list[Step], order: Any, settle: bool) -> None:
    """And the same as the pure reckoning over all that happened, whatever order it was learned in."""
    hands = [step for step in news if step[0] == "hand"]  # a hand needs an incident to close
    rest = [step for step in news if step[0] != "hand"]
    shuffled = order.sample(rest, len(rest))
    states = []
    for steps in (sorted(rest, key=lambda step: step[1]), shuffled):
        db = _fresh()
        for number, step in enumerate([*steps, *hands], 1):
            learn(db, number, step)
            if settle:
                store.settle_all(db, NOW)
        store.settle_all(db, NOW)
        found = store.read_incidents(db)
        states.append(
            [
                (i.key, i.state, i.cause, i.first_at, i.last_at, i.closed_at, i.closed_by, i.people, i.bounces)
                for i in found
            ]
        )
        failures = [at for what, at in rest if what == "failure"]
        signs = [at for what, at in rest if what != "failure"]
        # A hand closes what there is at that time, whatever the clock says.
        signs += [max(at, max(failures) + timedelta(seconds=1)) for _, at in hands if failures]
        expected = openings(failures, signs)
        assert [(i.first_at, i.last_at, i.closed_at) for i in found] == [
            (o.first_at, o.last_at, o.closed_at) for o in expected[-1:]
        ]
        for incident in found:
            assert store.openings_of(db, incident) == expected[::-1]
        db.close()
    assert states[0] == states[1]


def _fresh() -> Database:
    """An empty database in memory: a file for each example would take a second."""
    from triage.store.database import _migrate, connect_plain

    db = connect_plain(":memory:")
    _migrate(db, Path(":memory:"))
    return db


@given(news=NEWS)
def test_openings_follow_each_other_and_hold_every_bounce_once(news: list[Step]) -> None:
    failures = [at for what, at in news if what == "failure"]
    found = openings(failures, [at for what, at in news if what != "failure"])
    for one in found:
        assert one.first_at <= one.last_at
        assert one.closed_at is None or one.closed_at > one.last_at
    for earlier, later in pairwise(found):
        assert earlier.closed_at is not None
        assert earlier.closed_at <= later.first_at
    assert all(sum(one.first_at <= at <= one.last_at for one in found) == 1 for at in failures)
