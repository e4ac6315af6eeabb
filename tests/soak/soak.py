"""Lives one seed: many runs with trouble, some calm days, and the promises after each run."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

from tests.doubles.gmail import GmailDouble
from tests.soak.life import Life
from tests.soak.promises import ALWAYS, IN_THE_END, broken

CALM_RUNS = 6
"""One each half day: what waits for its turn waits a day at most, and what Gmail did not find is looked for twice."""
KILLS = 0.15


class Lived(NamedTuple):
    """What came of one seed."""

    life: Life
    problems: list[str]
    descriptors: tuple[int, int]
    """Open files after the first calm run and after the last."""


def lived(seed: int, runs: int, folder: Path) -> Lived:
    """Live the weeks of a seed in an empty folder; stops at the first broken promise."""
    with GmailDouble() as gmail:
        life = Life(gmail, folder, seed)
        before = time.tzname, os.environ.get("TZ")
        os.environ["TZ"] = "America/Los_Angeles"
        time.tzset()
        try:
            return _lived(life, runs)
        finally:
            os.environ["TZ"] = before[1] or "UTC"
            time.tzset()


def _lived(life: Life, runs: int) -> Lived:
    for number in range(runs):
        life.pass_time()
        life.let_mail_arrive()
        life.let_owner_act()
        life.let_things_break()
        if life.random.random() < KILLS:
            life.run_and_kill()
        else:
            life.run()
        life.gmail.clear_faults()
        if problems := broken(life, ALWAYS):
            return Lived(life, [f"run {number}: {one}" for one in problems], (0, 0))
    life.mend()
    life.cost.clear()
    open_files = []
    for _ in range(CALM_RUNS):
        life.world.advance(12 * 3600 + 60)
        assert life.run(), "nothing is broken any more"
        open_files.append(_descriptors())
    return Lived(life, broken(life, ALWAYS + IN_THE_END), (open_files[0], open_files[-1]))


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
