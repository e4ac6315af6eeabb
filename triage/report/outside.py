"""What the report tells beside verdicts: incidents, renewals of a login, SES's events, audits. Each only where known.

Reads the tables other parts of the program fill; one that is empty leaves its part of the report out. Judges nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from parsers.times import utc_text
from remediation import load_causes
from triage import store
from triage.report.model import Drift, IncidentLine, Rate, Renewal, SuppressionList
from triage.rows import EventCount, IncidentRow
from triage.store import FigureRow

if TYPE_CHECKING:
    from sqlite_utils import Database


@dataclass(frozen=True, slots=True)
class Outside:
    """The parts of the report that do not come from verdicts."""

    incidents: tuple[IncidentLine, ...] = ()
    renewals: tuple[Renewal, ...] = ()
    rates: tuple[Rate, ...] = ()
    suppression: tuple[SuppressionList, ...] = ()
    drift: tuple[Drift, ...] = ()
    audited_at: str | None = None
    held: Mapping[str, int] = field(default_factory=dict)


def read_outside(db: Database, since: datetime, now: datetime) -> Outside:
    """All of it for a period."""
    audits = store.audits_since(db, None, 1)
    return Outside(
        incidents=tuple(map(_incident, store.incidents_of(db, since))),
        renewals=_renewals(db),
        rates=tuple(
            rates(store.event_counts(db, since, now), store.figures_of(db, "bounce-rate", now)),
        ),
        suppression=tuple(
            suppression_lists(
                store.figures_of(db, "suppression-list", now), store.figures_of(db, "suppression-list", since)
            )
        ),
        drift=tuple(Drift(**_drift(change.record())) for change in store.audit_changes(db, since, now)),
        audited_at=audits[0]["at"] if audits else None,
        held=store.held_back(db, since),
    )


def rates(events: Iterable[EventCount], measured: Iterable[FigureRow]) -> list[Rate]:
    """The rates of each region from the counts of events and the figures of the audits' `bounce-rate`."""
    published: dict[str | None, Any] = {row["subject"]: row["figures"].get("rate") for row in measured}
    regions: dict[str | None, dict[str, int]] = {}
    for row in events:
        found = regions.setdefault(row["ses_region"], {})
        name = "hard" if row["kind"] == "Bounce" and row["counts"] else row["kind"]
        found[name] = found.get(name, 0) + row["number"]
    told = []
    for region, found in regions.items():
        hard, complaints, sent = found.get("hard", 0), found.get("Complaint", 0), found.get("Send", 0)
        # A queue that is not told of sent mails still tells what became of them.
        came = found.get("Delivery", 0) + found.get("Bounce", 0) + hard
        if sent or found.get("Delivery", 0):  # bounces alone say nothing of a rate
            told.append(Rate(region, sent or came, bool(sent), hard, complaints, published.get(region)))
    known = {rate.region for rate in told}
    told += [Rate(region, 0, False, 0, 0, rate) for region, rate in published.items() if region not in known]
    return sorted(told, key=lambda rate: (-rate.mails, rate.region or ""))


def suppression_lists(now: Iterable[FigureRow], before: Iterable[FigureRow]) -> list[SuppressionList]:
    """The sizes of the lists from the figures of the audits up to now and up to the period."""
    earlier = {row["subject"]: row for row in before}
    return [
        SuppressionList(
            region=row["subject"],
            addresses=int(row["figures"]["total"]),
            at=row["at"],
            before=int(old["figures"]["total"]) if old else None,
            before_at=old["at"] if old else None,
        )
        for row in now
        for old in [earlier.get(row["subject"])]
    ]


def _incident(row: IncidentRow) -> IncidentLine:
    cause = load_causes().get(row["cause"])
    return IncidentLine(
        id=row["id"],
        title=cause.title if cause else row["cause"],
        place=" at ".join(filter(None, (row["sender"], row["place"]))) or None,
        opened_at=row["first_at"],
        closed_at=row["closed_at"] if row["state"] == "closed" else None,
        people=row["people"],
        side="remote" if row["kind"] == "remote" else "own",
        evidence=row["closed_why"],
    )


def _renewals(db: Database) -> tuple[Renewal, ...]:
    rotation = store.rotation_under_way(db)
    if rotation is None:
        return ()
    return (Renewal(rotation.alias, rotation.state, utc_text(rotation.started_at)),)


def _drift(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: record[name] for name in Drift.__dataclass_fields__}
