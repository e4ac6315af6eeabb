"""The part of the store that rewrites the verdicts of a mail that was judged again.

Like `store.py` it says SQL and judges nothing. One transaction for each mail: verdicts keep their numbers, and what
hangs on a verdict that goes (evidence, events, an incident) is let go of with it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from parsers.times import moment_from
from triage.model import Action, MailAgain, Proof
from triage.rows import Pair, StoredVerdict, VerdictRecord
from triage.store import incidents as store_incidents
from triage.store import mails as store
from triage.store.database import transaction
from triage.store.mails import VERDICT_COLUMNS

if TYPE_CHECKING:
    from sqlite_utils import Database


def mails_with_bytes(db: Database) -> list[int]:
    """The mails that can be judged again, oldest first: judged ones, and those of Gmail that were kept for study."""
    sql = (
        "SELECT id FROM mails WHERE raw IS NOT NULL"
        " AND (state = 'judged' OR (state = 'kept' AND gmail_id IS NOT NULL)) ORDER BY id"
    )
    return [mail_id for (mail_id,) in db.execute(sql)]


def mail_again(db: Database, mail_id: int) -> MailAgain:
    """One of these mails."""
    row = next(db.query("SELECT * FROM mails WHERE id = ?", [mail_id]))
    received_at = row["received_at"] or row["seen_at"]
    raw = zlib.decompress(row["raw"])
    return MailAgain(mail_id, row["source"], row["gmail_id"], row["thread_id"], received_at, raw)


def rewrite(
    db: Database,
    mail: MailAgain,
    pairs: Sequence[Pair],
    proofs: Sequence[Proof | None],
    actions: Iterable[Action],
    at: datetime,
) -> None:
    """Write the verdicts of a mail as they are to be, and plan what follows; all or nothing.

    `proofs`: what proves the new verdict of each pair.
    """
    with transaction(db):
        db.execute("UPDATE mails SET state = 'judged', error = NULL WHERE id = ? AND state = 'kept'", [mail.id])
        open_delays: list[int] = []
        incidents: list[int | None] = []
        for position, ((old, new), proof) in enumerate(zip(pairs, proofs, strict=True)):
            if old is None and new is not None:
                incidents.append(_insert(db, mail, position, new, proof, at))
            elif old is not None:
                open_delays += _let_go(db, old["id"])
                if new is None:
                    _delete(db, old["id"])
                else:
                    incidents.append(_update(db, mail, old, new, proof, at))
        store_incidents.settle_each(db, incidents, at)
        for verdict_id in open_delays:
            _end_again(db, verdict_id)
        store.plan_actions(db, mail.id, actions, at)


def _insert(
    db: Database, mail: MailAgain, position: int, new: VerdictRecord, proof: Proof | None, at: datetime
) -> int | None:
    flat = store.flat_record(new, proof)
    names = ", ".join(f'"{name}"' for name in VERDICT_COLUMNS)
    verdict_id = db.execute(
        f"INSERT INTO verdicts (mail_id, position, received_at, {names})"  # noqa: S608
        f" VALUES (?, ?, ?{', ?' * len(VERDICT_COLUMNS)})",
        [mail.id, position, mail.received_at, *(flat[name] for name in VERDICT_COLUMNS)],
    ).lastrowid
    store.note_superseded(db, {**flat, "id": verdict_id, "thread_id": mail.thread_id})
    return store_incidents.attach(db, int(verdict_id or 0), new, proof and proof.kind, at=at)


def _update(
    db: Database, mail: MailAgain, old: StoredVerdict, new: VerdictRecord, proof: Proof | None, at: datetime
) -> int | None:
    flat = store.flat_record(new, proof)
    assignments = ", ".join(f'"{name}" = :{name}' for name in VERDICT_COLUMNS)
    db.execute(
        f"UPDATE verdicts SET {assignments}, superseded_by = NULL, incident_id = NULL WHERE id = :id",  # noqa: S608
        {**flat, "id": old["id"]},
    )
    if (old["cause"], old["category"]) != (new["cause"], new["category"]):
        # It answers another question now; the next run looks up what belongs to this one.
        db.execute("DELETE FROM evidence WHERE verdict_id = ?", [old["id"]])
    store.note_superseded(db, {**flat, "id": old["id"], "thread_id": mail.thread_id})
    return store_incidents.attach(db, old["id"], new, proof and proof.kind, at=at)


def _let_go(db: Database, verdict_id: int) -> list[int]:
    """Forget that this verdict ended delays; returns their numbers."""
    ids = [row_id for (row_id,) in db.execute("SELECT id FROM verdicts WHERE superseded_by = ?", [verdict_id])]
    db.execute("UPDATE verdicts SET superseded_by = NULL WHERE superseded_by = ?", [verdict_id])
    return ids


def _end_again(db: Database, verdict_id: int) -> None:
    """Look anew how a delay ended."""
    sql = "SELECT v.*, m.thread_id FROM verdicts v JOIN mails m ON m.id = v.mail_id WHERE v.id = ?"
    row = next(db.query(sql, [verdict_id]), None)
    if row and row["superseded_by"] is None:
        store.note_superseded(db, row)


def _delete(db: Database, verdict_id: int) -> None:
    db.execute("UPDATE events SET verdict_id = NULL WHERE verdict_id = ?", [verdict_id])
    db.execute("DELETE FROM evidence WHERE verdict_id = ?", [verdict_id])
    db.execute("DELETE FROM verdicts WHERE id = ?", [verdict_id])


def received_times(db: Database) -> dict[int, datetime]:
    """When each mail was received, by its row's id; where that is not known, when it was first seen."""
    return {
        mail_id: moment_from(at) for mail_id, at in db.execute("SELECT id, ifnull(received_at, seen_at) FROM mails")
    }
