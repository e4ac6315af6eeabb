"""What is known of a verdict beyond its bounce: where it was looked for, what was found, what could not be asked.

Pure data and words; asks nobody. `correlate.py` collects evidence, `store_events.py` keeps it, `explain.py` shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from parsers.times import MONTHS
from triage.display import shown, when_words
from triage.model import Evidence
from triage.rows import EvidenceKind, EvidenceRow

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
    "judgement": "Contradiction",
}

LOOK_BACK = timedelta(days=14)
"""How old a bounce may be to be looked up still: SES and Gmail have told all they will by then."""

DENIED_FOR = timedelta(days=1)
"""How long AWS is not asked again what it did not allow: it is asked once, for all verdicts."""

_LAST_NEWS: Mapping[EvidenceKind, timedelta] = {
    "ses-event": timedelta(days=1),
    "message-insights": timedelta(days=1),
    "key-changes": timedelta(hours=6),
    "smtp-keys": timedelta(days=1),
}
"""How long after the bounce an answer may still change: SES tells of a mail within a day, CloudTrail of a change a
quarter of an hour later and more, IAM of the last use of a key some hours later. Any other answer stands at once."""
_FIRST_AGAIN = timedelta(minutes=15)


def scheduled(
    piece: Evidence, received_at: datetime, at: datetime, *, denied_at: datetime | None = None, is_final: bool = False
) -> Evidence:
    """The piece with the last useful moment of its question, and when that has its turn again.

    What was answered is asked again at growing distances, the last time when the answer cannot change any more;
    `is_final`: it cannot already. What was not looked up is tried again by the next run; what is denied (first at
    `denied_at`) a day later.
    """
    if piece.not_looked_up_why is not None:
        again = (denied_at or at) + DENIED_FOR if piece.is_denied else at
        return replace(piece, ask_until=received_at + LOOK_BACK, ask_again_at=again)
    until = received_at + _LAST_NEWS.get(piece.kind, timedelta(0))
    if is_final or piece.kind not in _LAST_NEWS or at >= until:
        return piece
    return replace(piece, ask_until=until, ask_again_at=min(until, at + max(at - received_at, _FIRST_AGAIN)))


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
        until = f", tried again until {when_words(row['ask_until'])}" if row["ask_until"] else ""
        return f"{place}not looked up: {row['not_looked_up_why']} (tried {when_words(row['looked_up_at'])}{until})"
    result = f"{row['result']}: " if row["kind"] == "own-side" and row["result"] else ""
    return f"{place}{result}{shown(row['detail'] or '', 900)}"


def moment_words(at: datetime | None, beside: datetime | None = None) -> str:
    """A moment as `12 May 14:02 UTC`, with its year where that is not the year of the moment told beside it."""
    if at is None:
        return "an unknown time"
    at = at.astimezone(UTC)
    year = "" if beside is not None and beside.astimezone(UTC).year == at.year else f" {at.year}"
    return f"{at.day} {MONTHS[at.month - 1]}{year} {at:%H:%M} UTC"
