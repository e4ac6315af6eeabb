"""What happened in a period, as one model: what is broken on our side, who was not reached, what the refusals mean.

Rows of the database in, a `Report` out, the same one for every format; `report_text.py` writes it for humans. Pure but
for `read_report`, which fetches the rows. Judges nothing, and passes on no forged bounce as a trouble.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from remediation import Cause, load_causes
from triage import store

if TYPE_CHECKING:
    from sqlite_utils import Database

MAX_ROWS = 5000
"""Verdicts that are looked at one by one, the newest; the counts are exact however many there are."""
RUNS = 3
"""The newest runs that are told."""
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Verdicts with one remedy: for our own side one cause at one sender and relay, else one cause."""

    cause: str
    title: str
    meaning: str
    decide: str | None
    """What would decide it, for an ambiguous cause."""
    category: str
    side: str
    actor: str
    sender: str | None
    """Our address whose mails are hit; None where it differs or is not known."""
    place: str | None
    """The host that refused, for our own side else the SES region; None where it differs or is not known."""
    verdicts: int
    people: tuple[str, ...]
    first_at: str
    last_at: str
    first_ever_at: str
    """The first bounce of this cause in the database, which may lie before the period."""
    is_proven: bool
    """Whether at least one of the bounces was shown to be genuine."""
    words: str | None
    """The refuser's own words in the newest of them."""
    fix: tuple[str, ...]
    """The steps for the newest of them, with its names."""
    links: tuple[str, ...]
    verdict_id: int
    """The newest of them, for `triage explain`."""


@dataclass(frozen=True, slots=True)
class Missed:
    """A person one or more mails did not reach."""

    recipient: str
    mails: int
    subject: str | None
    """Subject, time and the rest are those of the newest of the mails."""
    sent_at: str | None
    sender: str | None
    cause: str
    title: str
    side: str
    actor: str
    permanent: bool | None
    verdict_id: int


@dataclass(frozen=True, slots=True)
class Report:
    """Everything the report says, in the order it says it. Times are ISO 8601, UTC."""

    since: str
    until: str
    own: tuple[Trouble, ...]
    missed: tuple[Missed, ...]
    refusals: tuple[Trouble, ...]
    delayed: tuple[Missed, ...]
    undecided: tuple[Trouble, ...]
    unverified: int
    """Bounces shown to be forged, or not about our mail."""
    unreadable: tuple[Mapping[str, Any], ...]
    runs: tuple[Mapping[str, Any], ...]
    totals: Mapping[str, int]
    """Category, or kind where there is no category -> how many verdicts."""
    rows_seen: int
    rows_all: int


def read_report(db: Database, *, since: datetime, now: datetime) -> Report:
    """Build the report of a period from the database; reads only, and at most one of its indexes from end to end."""
    rows = list(store.verdicts_since(db, since, MAX_ROWS))
    counts = store.verdict_counts(db, since) if len(rows) == MAX_ROWS else None
    counts_ever = counts
    if counts is None and any(row["side"] == "own" for row in rows):
        counts_ever = store.verdict_counts(db, None)
    return build_report(
        rows,
        since=since,
        now=now,
        counts=counts,
        counts_ever=counts_ever or (),
        unreadable=store.unreadable_mails(db),
        runs=store.last_runs(db, RUNS),
        causes=load_causes(),
    )


def build_report(
    rows: Iterable[Row],
    *,
    since: datetime,
    now: datetime,
    counts: Sequence[Row] | None,
    counts_ever: Sequence[Row],
    unreadable: Sequence[Row],
    runs: Sequence[Row],
    causes: Mapping[str, Cause],
) -> Report:
    """Build the report from what the store says.

    `rows`: verdicts of the period, newest first; `counts`: `verdict_counts` of the period, None where `rows` are all of
    it; `counts_ever`: those of all time, or of as much of it as is known; `unreadable`, `runs`: newest first. `since`
    and `now` are aware.
    """
    seen = list(rows)
    judged = [row for row in seen if row["cause"] and row["category"] != "unverified"]
    reached = {_who(row) for row in seen if row["kind"] == "delivered"}
    failed = [row for row in judged if row["kind"] in ("failed", "feedback")]
    own = [row for row in failed if row["side"] == "own"]
    undecided = [row for row in failed if row["side"] != "own" and row["category"] == "unknown"]
    refusals = [row for row in failed if row["side"] != "own" and row["category"] != "unknown"]
    waiting = [row for row in judged if row["kind"] == "delayed" and row["superseded_by"] is None]
    missed = [row for row in failed if row["kind"] == "failed" and _who(row) not in reached]
    first_ever = _first_ever(counts_ever)
    totals = Counter[str]()
    for count in seen if counts is None else counts:
        totals[count["category"] or count["kind"]] += count.get("verdicts", 1)
    return Report(
        since=_iso(since),
        until=_iso(now),
        own=_troubles(own, lambda row: (row["cause"], _sender(row), _place(row)), causes, first_ever),
        missed=_missed(missed, causes),
        refusals=_troubles(refusals, lambda row: row["cause"], causes, first_ever),
        delayed=_missed(waiting, causes),
        undecided=_troubles(undecided, lambda row: row["cause"], causes, first_ever),
        unverified=totals["unverified"],
        unreadable=tuple({key: row[key] for key in ("source", "state", "tries", "error")} for row in unreadable),
        runs=tuple(dict(run) for run in runs),
        totals=dict(sorted(totals.items(), key=lambda item: (-item[1], item[0]))),
        rows_seen=len(seen),
        rows_all=totals.total(),
    )


def report_json(report: Report) -> str:
    """The report as JSON, names as in the model."""
    return json.dumps(asdict(report), ensure_ascii=False, indent=2) + "\n"


def _troubles(
    rows: Sequence[Row], key: Any, causes: Mapping[str, Cause], first_ever: Mapping[str, str]
) -> tuple[Trouble, ...]:
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    troubles = [_trouble(group, causes, first_ever) for group in groups.values()]
    return tuple(sorted(troubles, key=lambda t: (-len(t.people), -t.verdicts, t.cause, t.sender or "", t.place or "")))


def _trouble(rows: Sequence[Row], causes: Mapping[str, Cause], first_ever: Mapping[str, str]) -> Trouble:
    newest = rows[0]
    cause = causes.get(newest["cause"])
    people = tuple(dict.fromkeys(row["recipient"] for row in rows if row["recipient"]))
    first_at = min(row["received_at"] for row in rows)
    return Trouble(
        cause=newest["cause"],
        title=cause.title if cause else newest["cause"],
        meaning=cause.meaning if cause else "A cause this version does not know.",
        decide=cause.decide if cause else None,
        category=newest["category"],
        side=newest["side"],
        actor=newest["actor"],
        sender=_common(map(_sender, rows)),
        place=_common(map(_place, rows)),
        verdicts=len(rows),
        people=people,
        first_at=first_at,
        last_at=max(row["received_at"] for row in rows),
        first_ever_at=min(first_at, first_ever.get(newest["cause"], first_at)),
        is_proven=any(row["genuine"] == "pass" for row in rows),
        words=newest["diagnostic"],
        fix=tuple(newest["fix"]),
        links=tuple(newest["links"]),
        verdict_id=newest["id"],
    )


def _missed(rows: Sequence[Row], causes: Mapping[str, Cause]) -> tuple[Missed, ...]:
    """One entry per person: first those whose mail our own side kept back, then the refused for good; newest first."""
    people: dict[str, list[Row]] = {}
    for row in rows:
        if row["recipient"]:
            people.setdefault(row["recipient"].lower(), []).append(row)
    missed = [
        Missed(
            recipient=newest["original_recipient"] or newest["recipient"],
            mails=len({_who(row) for row in group}),
            subject=(newest["original"] or {}).get("subject"),
            sent_at=(newest["original"] or {}).get("sent_at"),
            sender=_sender(newest),
            cause=newest["cause"],
            title=causes[newest["cause"]].title if newest["cause"] in causes else newest["cause"],
            side=newest["side"],
            actor=newest["actor"],
            permanent=newest["permanent"],
            verdict_id=newest["id"],
        )
        for group in people.values()
        for newest in group[:1]
    ]
    return tuple(sorted(missed, key=lambda m: (m.side != "own", not m.permanent)))


def _first_ever(counts: Sequence[Row]) -> dict[str, str]:
    first: dict[str, str] = {}
    for count in counts:
        if count["cause"] and count["category"] != "unverified":
            first[count["cause"]] = min(first.get(count["cause"], count["first_at"]), count["first_at"])
    return first


def _who(row: Row) -> tuple[str | None, str]:
    """One mail to one person; bounces of the same mail are one."""
    original = row["original"] or {}
    mail = original.get("gmail_message_id") or original.get("message_id") or f"verdict {row['id']}"
    return (row["recipient"] or "").lower() or None, mail


def _sender(row: Row) -> str | None:
    return (row["original"] or {}).get("from")


def _place(row: Row) -> str | None:
    region = (row["original"] or {}).get("ses_region") if row["side"] == "own" else None
    return row["remote_host"] or region


def _common(values: Iterable[Any]) -> Any:
    """The value all of them have; None where they differ."""
    different = set(values)
    return different.pop() if len(different) == 1 else None


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
