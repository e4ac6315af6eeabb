"""Takes up again what was given up: labels, notes and mails go back to where the next run finds them.

Asks nobody; Gmail is asked by the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from triage import store
from triage.config import Settings
from triage.job import limited
from triage.lock import locked
from triage.model import GivenUp


def take_up(settings: Settings, *, apply: bool) -> Sequence[GivenUp]:
    """What was given up; with `apply` it is planned again. Raises TryLater (a run is at work), ConfigError."""
    if not apply:
        db = store.open_readonly(settings.database)
        if db is None:
            return ()
        with closing(db):
            return store.given_up(db)
    if not settings.database.exists():
        return ()
    in_time = limited(settings.run_minutes, "Taking up again")
    with locked(settings.database), in_time, closing(store.open_store(settings.database)) as db:
        return store.take_up_again(db)
