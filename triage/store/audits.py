"""Audits in the database: kept whole, compared with each other; and what is on record about one recipient.

Part of the store: says SQL in words of audits. Judges nothing: tells what moved between two audits, not what it means.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from parsers.times import moment_from, utc_text
from triage.store.database import all_rows, storable, transaction

if TYPE_CHECKING:
    from sqlite_utils import Database

    from remediation.audit import Audit

RESTLESS = frozenset(
    {"quota", "bounce-rate", "complaint-rate", "suppression-list", "key-age", "smtp-user", "alias-end", "key-strays"}
)
"""Checks whose answer moves by itself: only a new state of theirs is a change."""

_COLUMNS = (
    *('"check"', "subject", "state", "severity", "asked", "answered", "meaning", "fix", "by_hand", "leaves_open"),
    "figures",
)


@dataclass(frozen=True, slots=True)
class AuditChange:
    """What one audit saw otherwise than the last one before it that could tell."""

    at: datetime
    """Of the audit that saw it first."""
    since: datetime | None
    """Of the audit that still saw the old; None: there was nothing of it before."""
    check: str
    subject: str
    before: str | None
    """State; None: new."""
    after: str
    answered_before: str | None
    answered: str

    def record(self) -> dict[str, Any]:
        """As it is written in JSON."""
        return {
            "at": utc_text(self.at),
            "since": None if self.since is None else utc_text(self.since),
            "check": self.check,
            "subject": self.subject,
            "before": self.before,
            "after": self.after,
            "answered_before": self.answered_before,
            "answered": self.answered,
        }


def keep_audit(db: Database, audit: Audit) -> int:
    """Write an audit with its findings in one transaction; returns its id."""
    record = audit.record()
    with transaction(db):
        audit_id = int(
            db.execute(
                "INSERT INTO audits (at, domains, regions, calls, seconds, not_asked) VALUES (?, ?, ?, ?, ?, ?)",
                [
                    *(record["at"], json.dumps(record["domains"]), json.dumps(record["regions"])),
                    *(json.dumps(record["calls"]), record["seconds"], json.dumps(record["not_asked"])),
                ],
            ).lastrowid
            or 0
        )
        for finding in audit.findings:
            row = finding.record()
            db.execute(
                f"INSERT INTO findings (audit_id, {', '.join(_COLUMNS)})"  # noqa: S608
                f" VALUES (?{', ?' * len(_COLUMNS)})",
                [
                    *(audit_id, row["check"], row["subject"], row["state"], row["severity"]),
                    *(storable(row["evidence"]["asked"]), storable(row["evidence"]["answered"]), row["meaning"]),
                    *(storable(json.dumps(row["fix"])), row["by_hand"], json.dumps(row["leaves_open"])),
                    json.dumps(row["figures"]),
                ],
            )
        return audit_id


def last_figures(db: Database) -> dict[str, dict[str, float]]:
    """The newest figures of every check and subject: `check subject` -> numbers."""
    rows = db.query(
        "SELECT \"check\" || ' ' || subject AS key, figures FROM findings WHERE id IN"
        " (SELECT max(id) FROM findings WHERE figures != '{}' GROUP BY \"check\", subject)"
    )
    return {row["key"]: json.loads(row["figures"]) for row in rows}


def audits_since(db: Database, since: datetime | None, limit: int = -1) -> list[dict[str, Any]]:
    """Audits from `since` on, the newest first: id, at, domains, regions, calls, seconds, not_asked."""
    rows = db.query(
        "SELECT * FROM audits WHERE at >= ? ORDER BY id DESC LIMIT ?", [utc_text(since) if since else "", limit]
    )
    return [
        {**row, **{name: json.loads(row[name]) for name in ("domains", "regions", "calls", "not_asked")}}
        for row in rows
    ]


def changes_of(db: Database, audit_id: int) -> list[AuditChange] | None:
    """What moved in one audit against those before it; None: it is the first on record."""
    if not list(db.query("SELECT 1 FROM audits WHERE id < ? LIMIT 1", [audit_id])):
        return None
    return _changes(db, audit_id, audit_id)


def audit_changes(db: Database, since: datetime, until: datetime | None = None) -> list[AuditChange]:
    """What moved in the audits from `since` to `until`, the oldest first.

    Compared is with the last audit before that could tell: an `unknown` in between neither is a change nor hides one.
    Something new counts only when it is not ok, and when an earlier audit looked at the same domains.
    """
    row = next(
        db.query(
            "SELECT min(id) AS first, max(id) AS last FROM audits WHERE at >= ? AND at <= ?",
            [utc_text(since), utc_text(until) if until else "9999"],
        )
    )
    return [] if row["first"] is None else _changes(db, row["first"], row["last"])


def _changes(db: Database, first: int, last: int) -> list[AuditChange]:
    rows = db.query(
        'SELECT f."check", f.subject, f.state, f.answered, f.audit_id, a.at, a.domains FROM findings f'
        " JOIN audits a ON a.id = f.audit_id"
        " WHERE f.state != 'unknown' AND f.audit_id <= :last AND (f.audit_id >= :first OR f.id IN"
        " (SELECT max(id) FROM findings WHERE state != 'unknown' AND audit_id < :first GROUP BY \"check\", subject))"
        " ORDER BY f.id",
        {"first": first, "last": last},
    )
    earlier = db.query("SELECT DISTINCT domains FROM audits WHERE id < ?", [first])
    return list(_compared(rows, first, {domain for row in earlier for domain in json.loads(row["domains"])}))


def _compared(rows: Iterable[Mapping[str, Any]], first: int, seen: set[str]) -> Iterator[AuditChange]:
    """`seen` are the domains that were looked at before the audit `first`; it grows with the rows."""
    latest: dict[tuple[str, str], Mapping[str, Any]] = {}
    audit_id, domains = 0, set[str]()
    for row in rows:
        if row["audit_id"] != audit_id:  # what one audit looked at counts as seen from the next one on
            seen = seen | domains if audit_id >= first else seen
            audit_id, domains = row["audit_id"], set(json.loads(row["domains"]))
        before = latest.get((row["check"], row["subject"]))
        latest[row["check"], row["subject"]] = row
        if audit_id >= first and _has_moved(before, row, is_seen=bool(domains) and domains <= seen):
            yield AuditChange(
                at=datetime.fromisoformat(row["at"]),
                since=None if before is None else moment_from(before["at"]),
                check=row["check"],
                subject=row["subject"],
                before=None if before is None else before["state"],
                after=row["state"],
                answered_before=None if before is None else before["answered"],
                answered=row["answered"],
            )


def _has_moved(before: Mapping[str, Any] | None, row: Mapping[str, Any], *, is_seen: bool) -> bool:
    if before is None:
        return is_seen and row["state"] != "ok"
    is_restless = row["check"] in RESTLESS
    return bool(before["state"] != row["state"] or (before["answered"] != row["answered"] and not is_restless))


def bounces_of(db: Database, address: str, limit: int = 20) -> list[dict[str, Any]]:
    """The failures on record of mail to an address, the newest first; reports shown to be forged are left out.

    Keys: id, received_at, kind, cause, side, permanent, reply_code, status, diagnostic.
    """
    return all_rows(
        db,
        "SELECT id, received_at, kind, cause, side, permanent, reply_code, status, diagnostic FROM verdicts"
        " WHERE lower(recipient) = ? AND kind = 'failed' AND genuine IS NOT 'fail'"
        " ORDER BY received_at DESC, id DESC LIMIT ?",
        [address.lower(), limit],
    )


def last_delivery(db: Database, address: str) -> datetime | None:
    """When SES last reported that a mail to this address was taken by its server; None: never, as far as is known."""
    row = next(
        db.query("SELECT max(at) AS at FROM events WHERE recipient = ? AND kind = 'Delivery'", [address.lower()]), None
    )
    return moment_from(row["at"]) if row else None
