"""What a run of the worker has to know and to do while a rotation is under way.

Costs one look into the database when there is none, and asks AWS only to make a key Active again, where the owner
allowed that. Sends nothing: whoever calls tells the lines to a human.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from remediation import CREDENTIAL_CAUSES
from remediation.rotation import Rotation, reminder_due, rotation_note
from triage import store
from triage.config import Settings
from triage.model import Clock
from triage.rows import AliasFailureRow

if TYPE_CHECKING:
    from sqlite_utils import Database


@dataclass(frozen=True, slots=True)
class Watch:
    """What there is to say about a rotation now. `rotation` None: none is under way."""

    rotation: Rotation | None = None
    note: str | None = None
    """Where it stands, in one line, for the log and the report."""
    failures: tuple[AliasFailureRow, ...] = ()
    """Alias failures since it began, which belong to it."""
    alerts: tuple[str, ...] = ()
    """What a human has to be told now."""


def look(db: Database, now: datetime) -> Watch:
    """Where a rotation stands; changes nothing, tells no alerts. For the report."""
    rotation = store.rotation_under_way(db)
    if rotation is None:
        return Watch()
    failures = tuple(store.failures_of_alias(db, rotation.alias, rotation.started_at))
    return Watch(rotation, rotation_note(rotation, now, len(failures)), failures)


def watch(db: Database, settings: Settings, clock: Clock) -> Watch:
    """The same for a run, with what has to be told: daily reminders, and mail that fails while a key is Inactive.

    Makes that key Active again where `rotation_reactivate` is set. Call it after the new bounces are stored. May raise
    TryLater (a rotation command is at work).
    """
    now = clock().replace(microsecond=0)
    found = look(db, now)
    if found.rotation is None:
        return found
    alerts = [*_unexpected(settings, clock, found)]
    if not alerts and reminder_due(found.rotation, now):
        from triage.rotation.turns import change

        change(settings, found.rotation, reminded_at=now)
        alerts.append(found.note or "")
    after = look(db, now)
    return Watch(after.rotation, after.note, after.failures, tuple(alerts))


def _unexpected(settings: Settings, clock: Clock, found: Watch) -> list[str]:
    """Failures that came while a key was Inactive: Gmail seems to need it."""
    rotation = found.rotation
    if rotation is None or rotation.gone_since is None:
        return []
    since = rotation.gone_since
    struck = [
        row
        for row in found.failures
        if row["cause"] in CREDENTIAL_CAUSES and datetime.fromisoformat(row["received_at"]) >= since
    ]
    if not struck:
        return []
    key_id = rotation.retired_key_id
    # The first, so that the words stay the same while more of them come.
    inactive = "is Inactive" if rotation.state == "grace" else "may be Inactive"  # broken off in the middle
    what = f"Mail from the alias failed at {struck[0]['received_at']} while key {key_id} {inactive}"
    if not settings.rotation_reactivate:
        return [f"{what}: Gmail seems to use that key still. To make it Active again: triage credentials rotate abort"]
    from remediation.rotation import Wait
    from triage.rotation.turns import make_active_again

    why = f"mail failed at {struck[-1]['received_at']}"
    outcome = make_active_again(settings, lambda: clock().replace(microsecond=0), rotation, why)
    if isinstance(outcome.end, Wait):
        return [
            f"{what}. It was made Active again (rotation_reactivate); for what to do in Gmail see"
            " `triage credentials rotate status`."
        ]
    return [f"{what}, and it could not be made Active again: {outcome.end.why} {outcome.end.todo}"]
