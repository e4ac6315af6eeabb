"""Moments as text: as they are stored and told, and the names of months and days.

Pure, and shared by all three packages. The names are English whatever the locale: `strftime` would use the user's.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import overload

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@overload
def utc_text(at: datetime) -> str: ...
@overload
def utc_text(at: None) -> None: ...
def utc_text(at: datetime | None) -> str | None:
    """`2026-05-12T18:45:00Z`: how a moment is stored, to the second, so that texts compare as moments do."""
    return None if at is None else f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def exact_utc_text(at: datetime | None) -> str | None:
    """The same with milliseconds where there are any: what a mail or SES says of itself."""
    if at is None:
        return None
    utc = at if at.tzinfo is UTC else at.astimezone(UTC)
    return utc.isoformat(timespec="milliseconds" if utc.microsecond else "seconds").removesuffix("+00:00") + "Z"


def minute_text(at: datetime) -> str:
    """`2026-05-12 18:45 UTC`: how a moment is told in lists of facts."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


@overload
def moment_from(text: str) -> datetime: ...
@overload
def moment_from(text: None) -> None: ...
def moment_from(text: str | None) -> datetime | None:
    """The moment a stored text stands for."""
    return None if text is None else datetime.fromisoformat(text)
