"""Whether anybody would be told: the doctor's look at each way for alerts, and at who watches the job.

Each way by Apprise is really tried, by a test message, unless it took something in the last day. The watcher gets a
line for its log. The inbox is as well as the sign-in is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from datetime import datetime
from typing import TYPE_CHECKING

from triage import store
from triage.config import Settings
from triage.display import counted, span_words
from triage.errors import TriageError
from triage.incidents import channels_of, trial

if TYPE_CHECKING:
    from sqlite_utils import Database

    from triage.incidents import Channel
    from triage.owner.doctor_aws import HealthState

TRY_IT = "triage alerts test"


def check_alerts(settings: Settings, now: datetime) -> Iterator[tuple[str, HealthState, str, str | None]]:
    """(name, state, words, what to do) of each way that is set up, and whether there is one. Never raises."""
    channels = channels_of(settings)
    if not channels:
        words = "nobody would be told: `alerts` is empty, and `alert_inbox` is false"
        yield "alerts", "warn", words, f"Set one of them in triage.toml, then: {TRY_IT}"
    pushed = [channel for channel in channels if channel.address is not None]
    if len(pushed) < len(channels):
        rest = "" if pushed else "; of a dead sign-in it cannot tell, `alerts` names ways that can"
        yield "alerts", "ok", f"the inbox, as long as the sign-in works{rest}", None
    with ExitStack() as stack:
        db: Database | None = None
        with suppress(TriageError):  # a database that cannot be used has a line of its own
            if pushed and settings.database.exists():
                db = stack.enter_context(closing(store.open_store(settings.database)))
        for number, channel in enumerate(pushed, start=1):
            yield "alerts", *_of_channel(channel, number, now, db)
    if settings.ping_url is not None:
        why = trial.try_watcher(settings.ping_url)
        if why is None:
            yield "ping URL", "ok", "it took a line for its log just now", None
        else:
            todo = f"Mend `ping_url` in triage.toml: the address as the watcher shows it. Then: {TRY_IT}"
            yield "ping URL", "fail", f"the watcher is not reached: {why}", todo


def _of_channel(
    channel: Channel, number: int, now: datetime, db: Database | None
) -> tuple[HealthState, str, str | None]:
    waiting = [row for row in store.planned_alerts(db) if row["channel"] == channel.name] if db is not None else []
    failed = next((row["error"] for row in reversed(waiting) if row["error"]), None)
    told_at = trial.told_lately(db, channel, now) if db is not None and failed is None else None
    if told_at is not None:
        return "ok", f"{channel.name}: it took a message {span_words(now - told_at)} ago", None
    why = trial.try_push(channel, now, db)
    wait = f"; {counted(len(waiting), 'alert waits', 'alerts wait')} for it" if waiting else ""
    if why is None:
        return "ok", f"{channel.name}: it took a test message just now{wait}", None
    todo = f"Mend address {number} of `alerts` in triage.toml, then: {TRY_IT}"
    return "fail", f"nothing gets through by {channel.name}: {why}{wait}", todo
