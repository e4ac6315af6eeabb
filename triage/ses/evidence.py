"""What is known of a verdict beyond its bounce: where it was looked for, what was found, what could not be asked.

Pure data and words; asks nobody. `correlate.py` collects evidence, `store_events.py` keeps it, `explain.py` shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from parsers.times import MONTHS
from triage.display import shown, when_words
from triage.rows import EvidenceRow

# In the order they are shown: first what ties the bounce to a message, the most trusted first, then what broke.
EVIDENCE_TITLES: Mapping[str, str] = {
    "ses-id": "SES id",
    "ses-event": "SES events",
    "suppression-list": "Suppression list",
    "message-insights": "Message insights",
    "alias-settings": "Alias in Gmail",
    "smtp-keys": "Access keys",
    "key-changes": "Changes of keys",
    "secret": "Stored secret",
    "live-login": "Login tried",
    "own-side": "Conclusion",
}


def evidence_lines(rows: Iterable[EvidenceRow]) -> list[tuple[str, str]]:
    """(title, words) of each row of the table `evidence`, in the order of trust, the conclusion last.

    The words are as found, some of them a stranger's: show them through `display`.
    """
    order = list(EVIDENCE_TITLES)
    ordered = sorted(rows, key=lambda row: (order.index(row["kind"]), row["place"] or ""))
    return [(EVIDENCE_TITLES[row["kind"]], _words(row)) for row in ordered]


def _words(row: EvidenceRow) -> str:
    place = f"{row['place']}: " if row["place"] else ""
    if row["not_looked_up_why"]:
        tried = when_words(row["looked_up_at"])
        return f"{place}not looked up: {row['not_looked_up_why']} (tried {tried}, the next run tries again)"
    result = f"{row['result']}: " if row["kind"] == "own-side" and row["result"] else ""
    return f"{place}{result}{shown(row['detail'] or '', 900)}"


def moment_words(at: datetime | None, beside: datetime | None = None) -> str:
    """A moment as `12 May 14:02 UTC`, with its year where that is not the year of the moment told beside it."""
    if at is None:
        return "an unknown time"
    at = at.astimezone(UTC)
    year = "" if beside is not None and beside.astimezone(UTC).year == at.year else f" {at.year}"
    return f"{at.day} {MONTHS[at.month - 1]}{year} {at:%H:%M} UTC"
