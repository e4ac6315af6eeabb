"""Some weeks of trouble keep every promise. More of them: `make soak`, or SOAK_SEEDS and SOAK_RUNS here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.soak import soak
from tests.soak.soak import lived

SEEDS = range(1, 1 + int(os.environ.get("SOAK_SEEDS", "4")))
RUNS = int(os.environ.get("SOAK_RUNS", "12"))


@pytest.mark.parametrize("seed", SEEDS)
def test_weeks_of_trouble_keep_every_promise(seed: int, tmp_path: Path) -> None:
    done = lived(seed, RUNS, tmp_path)
    assert done.problems == []
    assert done.descriptors[0] == done.descriptors[1], "files stay open"
    assert set(done.life.cost) <= {1, 2}, "a run that finds nothing asks once, and renews its sign-in"


def test_these_weeks_put_the_promises_to_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A life in which nothing happens would keep them all."""
    monkeypatch.setattr(soak, "KILLS", 0.5)
    done = soak.lived(8, 12, tmp_path)
    happened = done.life.happened()
    assert done.problems == []
    assert min(happened["verdicts"], happened["labels"], happened["notes"], happened["alerts"]) > 0
    assert done.life.codes[-9] > 0


def test_a_broken_promise_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search leaves a sender out: nobody complains but the promise."""
    from triage.gmail import query

    monkeypatch.setattr(query, "BOUNCE_SENDERS", ("postmaster",))
    monkeypatch.setattr(query, "SEARCHED_SUBJECTS", ())
    assert any("every_recipient_is_judged" in one or "the_cursor" in one for one in lived(3, 4, tmp_path).problems)
