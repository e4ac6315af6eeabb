"""What happened in a period, as one model: what is broken on our side, who was not reached, what the refusals mean.

Rows of the database in, a `Report` out, the same one for every format; `report_text.py` and its neighbours write it for
humans. Pure but for `read_report`, which fetches the rows. Judges nothing, and passes on no forged bounce as a trouble.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeGuard

from parsers.times import utc_text
from remediation import Cause, load_causes
from triage import store
from triage.display import found_out, local_day, local_time
from triage.fixes import fix_of
from triage.names import known_names
from triage.report.model import Bar, MailboxRead, Missed, Report, Trend, Trouble, Untied
from triage.report.outside import Outside, read_outside
from triage.rows import DayCount, FailureRow, MailRow, ReportRow, RunRow

if TYPE_CHECKING:
    from sqlite_utils import Database

    from triage.config import Settings

MAX_ROWS = 5000
"""Verdicts that are looked at one by one, the newest; the counts are exact however many there are."""
RUNS = 3
"""The newest runs that are told."""
MOST_BARS = 14
"""Days of a longer period share a bar."""

FILES_ONLY = MailboxRead(is_mailbox=False, read_at=None, stopped_why=None)

Steps = Mapping[int, tuple[tuple[str, ...], tuple[str, ...]]]
"""Verdict id -> its fix, its links."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many verdicts there were."""

    now: Sequence[DayCount]
    before: Sequence[DayCount] = ()
    """The same for the period of the same length before."""
    recorded_since: str | None = None


def read_report(db: Database, settings: Settings, *, since: datetime, now: datetime) -> Report:
    """Build the report of a period from the database; reads only, and no table of verdicts from end to end."""
    rows = store.report_rows(db, since, MAX_ROWS)
    runs = store.last_runs(db, RUNS)
    own = [row["id"] for row in rows if row["side"] == "own" and row["proof"] is not None]
    came = store.delivered_later(db, [row["id"] for row in rows if row["kind"] == "failed"])
    return build_report(
        rows,
        since=since,
        now=now,
        counts=Counts(
            store.day_counts(db, since, None, local_day),
            store.day_counts(db, since - (now - since), since, local_day),
            store.recorded_since(db),
        ),
        steps_of=lambda ids: _steps_of(db, settings, ids),
        first_seen=store.first_seen(db, {row["cause"] for row in rows if row["side"] == "own" and row["cause"]}),
        delivered=came,
        resent=store.resent(db),
        outside=read_outside(db, since, now),
        unreadable=store.unreadable_mails(db),
        runs=runs,
        reading=reading_of(*store.last_reads(db), has_read_files=bool(runs)),
        mailbox=account.mailbox if (account := store.names.read_account(db)) else settings.mailbox,
        findings={id_: said for id_, found in store.evidence_of(db, own).items() if (said := found_out(found))},
        causes=load_causes(),
    )


def build_report(
    rows: Iterable[ReportRow],
    *,
    since: datetime,
    now: datetime,
    counts: Counts,
    steps_of: Callable[[Collection[int]], Steps],
    first_seen: Mapping[str, str],
    causes: Mapping[str, Cause],
    delivered: Collection[int] = (),
    resent: Mapping[tuple[str, str], str] | None = None,
    outside: Outside | None = None,
    unreadable: Sequence[MailRow] = (),
    runs: Sequence[RunRow] = (),
    reading: MailboxRead = FILES_ONLY,
    mailbox: str | None = None,
    findings: Mapping[int, str] | None = None,
) -> Report:
    """Build the report from what the store says.

    `rows`: verdicts of the period, newest first; `first_seen`: by cause; `delivered`: ids of verdicts whose mail
    arrived after all; `resent`: as of `store.resent`; `unreadable`, `runs`: newest first; `findings`: what was found
    out about our own side, by verdict. `since`, `now` are aware.
    """
    seen, again, outside = list(rows), resent or {}, outside or Outside()
    claimed = [row for row in seen if _has_failed(row)]
    judged = [row for row in claimed if row["proof"] is not None]
    untied = _grouped([row for row in claimed if row["proof"] is None], lambda row: row["cause"])
    came = [row for row in seen if row["kind"] == "delivered" and row["proof"] is not None]
    reached = {_who(row) for row in (*came, *(row for row in seen if row["id"] in delivered))}
    failed = [row for row in judged if row["kind"] in ("failed", "feedback")]
    own = [row for row in failed if row["side"] == "own"]
    undecided = [row for row in failed if row["side"] != "own" and row["category"] == "unknown"]
    refusals = [row for row in failed if row["side"] != "own" and row["category"] != "unknown"]
    waiting = [row for row in judged if row["kind"] == "delayed" and row["superseded_by"] is None]
    missed = [row for row in failed if row["kind"] == "failed" and _who(row) not in reached]
    missed = [row for row in missed if "ses" not in _given_again(row, again)]
    groups = [
        _grouped(own, lambda row: (row["cause"], row["sender"], _place(row))),
        _grouped(refusals, lambda row: row["cause"]),
        _grouped(undecided, lambda row: row["cause"]),
    ]
    steps = steps_of([group[0]["id"] for found in groups for group in found])
    totals = _totals(counts.now)
    told = [[_trouble(group, causes, first_seen, steps, findings or {}) for group in found] for found in groups]
    return Report(
        since=utc_text(since),
        until=utc_text(now),
        mailbox=mailbox,
        reading=reading,
        own=tuple(sorted(_by_weight(told[0]), key=lambda trouble: trouble.over_at is not None)),
        incidents=outside.incidents,
        renewals=outside.renewals,
        missed=_missed(missed, causes, again),
        refusals=_by_weight(told[1]),
        delayed=_missed(waiting, causes, again),
        trend=_trend(totals, _totals(counts.before)),
        bars=_bars(counts.now, since, now),
        recorded_since=counts.recorded_since,
        rates=outside.rates,
        suppression=outside.suppression,
        drift=outside.drift,
        audited_at=outside.audited_at,
        held=outside.held,
        undecided=_by_weight(told[2]),
        untied=tuple(_untied(group, causes) for group in untied),
        unverified=totals["unverified"],
        unreadable=tuple({key: row[key] for key in ("source", "state", "tries", "error")} for row in unreadable),
        runs=tuple(dict(run) for run in runs),
        totals=dict(sorted(totals.items(), key=lambda item: (-item[1], item[0]))),
        rows_seen=len(seen),
        rows_all=totals.total(),
    )


def _steps_of(db: Database, settings: Settings, verdict_ids: Collection[int]) -> Steps:
    return {
        number: (tuple(fix_of(record, known_names(db, settings, record))), tuple(record["links"]))
        for number, record in store.verdicts_numbered(db, verdict_ids).items()
    }


def report_json(report: Report) -> str:
    """The report as JSON, names as in the model."""
    return json.dumps(asdict(report), ensure_ascii=False, indent=2) + "\n"


def _has_failed(row: ReportRow) -> TypeGuard[FailureRow]:
    """Whether it is a failure, and none that was shown to be forged."""
    return row["cause"] is not None and row["category"] != "unverified"


def _grouped(rows: Sequence[FailureRow], key: Callable[[FailureRow], Any]) -> list[list[FailureRow]]:
    groups: dict[Any, list[FailureRow]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return list(groups.values())


def _by_weight(troubles: Iterable[Trouble]) -> tuple[Trouble, ...]:
    return tuple(sorted(troubles, key=lambda t: (-len(t.people), -t.verdicts, t.cause, t.sender or "", t.place or "")))


def reading_of(newest: RunRow | None, good: RunRow | None, *, has_read_files: bool) -> MailboxRead:
    """Whether the mailbox is being read, from the newest run that tried and the newest that came to its end."""
    return MailboxRead(
        is_mailbox=newest is not None or not has_read_files,
        read_at=good["started_at"] if good else None,
        stopped_why=newest["error"] if newest else None,
    )


def _trouble(
    rows: Sequence[FailureRow],
    causes: Mapping[str, Cause],
    first_seen: Mapping[str, str],
    steps: Steps,
    findings: Mapping[int, str],
) -> Trouble:
    newest = rows[0]
    cause = causes.get(newest["cause"])
    people = tuple(dict.fromkeys(row["recipient"] for row in rows if row["recipient"]))
    first_at = min(row["received_at"] for row in rows)
    fix, links = steps.get(newest["id"], ((), ()))
    return Trouble(
        cause=newest["cause"],
        title=cause.title if cause else newest["cause"],
        meaning=cause.meaning if cause else "A cause this version does not know.",
        decide=cause.decide if cause else None,
        category=newest["category"],
        side=newest["side"],
        actor=newest["actor"],
        sender=_common(row["sender"] for row in rows),
        place=_common(map(_place, rows)),
        verdicts=len(rows),
        people=people,
        first_at=first_at,
        last_at=max(row["received_at"] for row in rows),
        first_ever_at=min(first_at, first_seen.get(newest["cause"], first_at)),
        is_proven=any(row["proof"] != "given" for row in rows),
        words=newest["diagnostic"],
        fix=fix,
        links=links,
        verdict_id=newest["id"],
        finding=next((findings[row["id"]] for row in rows if row["id"] in findings), None),
        over_at=_over_at(rows),
        over_by=newest["over_by"],
        over_why=newest["over_why"],
    )


def _over_at(rows: Sequence[FailureRow]) -> str | None:
    """When the last of them was over; None while one is not."""
    ends = [row["over_at"] for row in rows if row["over_at"]]
    return max(ends) if len(ends) == len(rows) else None


def _untied(rows: Sequence[FailureRow], causes: Mapping[str, Cause]) -> Untied:
    newest = rows[0]
    title = causes[newest["cause"]].title if newest["cause"] in causes else newest["cause"]
    why = newest["proof_why"] or "judged before proofs were kept"
    return Untied(title=title, why=why, verdicts=len(rows), verdict_id=newest["id"])


def _missed(
    rows: Sequence[FailureRow], causes: Mapping[str, Cause], again: Mapping[tuple[str, str], str]
) -> tuple[Missed, ...]:
    """One entry per person, the most valuable first.

    That is: whose mail our own side kept back, because a repair reaches them; then who is lost for good, because only
    another way will; among these a conversation before a mail nobody had answered, many mails before one, and the
    newest first.
    """
    people: dict[str, list[FailureRow]] = {}
    for row in rows:
        if row["recipient"]:
            people.setdefault(row["recipient"].lower(), []).append(row)
    missed = [
        Missed(
            recipient=str(newest["original_recipient"] or newest["recipient"]),
            mails=len({_who(row) for row in group}),
            subject=newest["subject"],
            sent_at=newest["sent_at"],
            sender=newest["sender"],
            cause=newest["cause"],
            title=causes[newest["cause"]].title if newest["cause"] in causes else newest["cause"],
            side=newest["side"],
            actor=newest["actor"],
            permanent=None if newest["permanent"] is None else bool(newest["permanent"]),
            verdict_id=newest["id"],
            thread_id=newest["thread_id"],
            has_draft="draft" in _given_again(newest, again),
        )
        for group in people.values()
        for newest in group[:1]
    ]
    return tuple(sorted(missed, key=lambda m: (m.side != "own", not m.permanent, not _is_answer(m), -m.mails)))


def _is_answer(one: Missed) -> bool:
    """Whether the mail belongs to a conversation, by its subject; the common forms of Europe and America."""
    return (one.subject or "").lower().startswith(("re:", "aw:", "sv:", "rv:", "ref:", "antw:"))


def _trend(now: Mapping[str, int], before: Mapping[str, int]) -> tuple[Trend, ...]:
    found = [Trend(sort, now.get(sort, 0), before.get(sort, 0)) for sort in dict.fromkeys([*now, *before])]
    return tuple(sorted(found, key=lambda one: (-max(one.now, one.before), one.sort)))


def _bars(counts: Sequence[DayCount], since: datetime, now: datetime) -> tuple[Bar, ...]:
    """One bar a day from the first day to the last, or for several days together; without delays and forgeries."""
    first, last = local_time(since).date().toordinal(), local_time(now).date().toordinal()
    each = -(-(last - first + 1) // MOST_BARS)
    sides: dict[int, Counter[str]] = {}
    for row in counts:
        if row["kind"] in ("failed", "feedback") and row["category"] != "unverified":
            day = min(max(datetime.fromisoformat(row["day"]).toordinal(), first), last)
            sides.setdefault((day - first) // each, Counter())[row["side"] or "unknown"] += row["verdicts"]
    return tuple(
        Bar(
            first_day=datetime.fromordinal(start).date().isoformat(),
            last_day=datetime.fromordinal(min(start + each - 1, last)).date().isoformat(),
            **{
                name: sides.get(number, Counter())[side]
                for name, side in (("own", "own"), ("remote", "remote"), ("unclear", "unknown"))
            },
        )
        for number, start in enumerate(range(first, last + 1, each))
    )


def _totals(counts: Iterable[DayCount]) -> Counter[str]:
    totals = Counter[str]()
    for count in counts:
        totals[count["category"] or count["kind"]] += count["verdicts"]
    return totals


def _given_again(row: FailureRow, again: Mapping[tuple[str, str], str]) -> set[str]:
    """In which ways `triage resend` gave this mail to this person once more."""
    if not again or not row["recipient"]:
        return set()
    ids = (row["gmail_message_id"], row["message_id"])
    return {way for id_ in ids if id_ and (way := again.get((row["recipient"].lower(), id_)))}


def _who(row: ReportRow | FailureRow) -> tuple[str | None, str]:
    """One mail to one person; bounces of the same mail are one."""
    mail = row["gmail_message_id"] or row["message_id"] or f"verdict {row['id']}"
    return (row["recipient"] or "").lower() or None, mail


def _place(row: FailureRow) -> str | None:
    region = row["ses_region"] if row["side"] == "own" else None
    return row["remote_host"] or region


def _common(values: Iterable[Any]) -> Any:
    """The value all of them have; None where they differ."""
    different = set(values)
    return different.pop() if len(different) == 1 else None
