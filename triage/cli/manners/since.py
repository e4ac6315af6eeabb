"""`--since`: a length of time, a date, a weekday or `yesterday`, the same for every command, in the owner's zone.

Must import next to nothing: `triage --help` pays for it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import click

from triage.errors import UsageError

SINCE_FORMS = "12h, 7d, 4w, today, yesterday, monday, 2026-11-20"
_LONGEST = timedelta(days=366 * 20)
_WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Since:
    """A beginning as somebody wrote it; which moment it means depends on the zone of the settings and on the clock."""

    def __init__(self, text: str) -> None:
        self.text = text.strip().lower()

    def moment(self, now: datetime) -> datetime:
        """The moment meant, in UTC. Raises UsageError for what is none, lies ahead, or more than 20 years back."""
        from triage.display import day_begins, local_time, parse_span, shown

        shows = repr(shown(self.text, 40))
        day = _day(self.text, local_time(now).date())
        try:
            moment = now - parse_span(self.text) if day is None else day_begins(day)
        except (UsageError, OverflowError, ValueError):  # a day of the year 1 or 9999 has no other day beside it
            raise UsageError(
                f"--since {shows} is neither a length of time nor a day.", f"Write it like one of these: {SINCE_FORMS}"
            ) from None
        if moment > now:
            raise UsageError(f"--since {shows} lies ahead.", f"Name a day that has begun: {SINCE_FORMS}")
        if now - moment > _LONGEST:
            raise UsageError(f"--since {shows} is more than 20 years ago.", f"Name a later one: {SINCE_FORMS}")
        return moment


def _day(text: str, today: date) -> date | None:
    """The day meant; None: it is no day."""
    if text in ("today", "yesterday"):
        return today - timedelta(days=text == "yesterday")
    for number, name in enumerate(_WEEK):
        if text in (name, name[:3]):
            # On a Monday `monday` is the one a week ago: of the day itself one says `today`.
            return today - timedelta(days=(today.weekday() - number - 1) % 7 + 1)
    try:
        return date.fromisoformat(text) if text.count("-") == 2 else None
    except ValueError:
        return None


class _SinceType(click.ParamType[Since]):
    name = "when"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Since:
        """What was written, refused at once where it means nothing in any zone."""
        asked = value if isinstance(value, Since) else Since(str(value))
        asked.moment(datetime.now(UTC) + timedelta(days=1))
        return asked


def since_option(says: str, default: str | None = None) -> Callable[[Any], Any]:
    """The option `--since`, the same everywhere."""
    return click.option(
        "--since",
        type=_SinceType(),
        metavar="WHEN",
        default=default,
        show_default=default is not None,
        help=f"{says}: {SINCE_FORMS}.",
    )
