"""The part of the store that rewrites verdicts: of a mail that was judged again, and where more is known of a failure.

Like `store.py` it says SQL and judges nothing. One transaction for each mail: verdicts keep their numbers, and what
hangs on a verdict that goes (evidence, events, an incident) is let go of with it. What a verdict was before is kept.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from parsers.times import moment_from, utc_text
from triage.judging import SAID, HowItStands, ReadingRow
from triage.model import Action, MailAgain, Proof
from triage.rows import Pair, StoredVerdict, VerdictRecord
from triage.store import actions as store_actions
from triage.store import incidents as store_incidents
from triage.store import mails as store
from triage.store.database import all_rows, storable, transaction, with_json
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
    readings: Mapping[int, Iterable[tuple[ReadingRow, HowItStands]]] = {},
) -> None:
    """Write the verdicts of a mail as they are to be, and plan what follows; all or nothing.

    `proofs`: what proves the new verdict of each pair; `readings`: what the sources say of a verdict, by its number.
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
        for verdict_id, said in readings.items():
            keep_readings(db, verdict_id, said)
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
        _note_change(db, old, new, "the rules of today read it otherwise", at, is_corrected=True)
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
    for table in ("evidence", "readings", "verdict_changes"):
        db.execute(f"DELETE FROM {table} WHERE verdict_id = ?", [verdict_id])  # noqa: S608
    db.execute("DELETE FROM verdicts WHERE id = ?", [verdict_id])


def received_times(db: Database) -> dict[int, datetime]:
    """When each mail was received, by its row's id; where that is not known, when it was first seen."""
    return {
        mail_id: moment_from(at) for mail_id, at in db.execute("SELECT id, ifnull(received_at, seen_at) FROM mails")
    }


def readings_of(db: Database, verdict_id: int) -> list[ReadingRow]:
    """What each source said of a failure so far."""
    rows = all_rows(
        db, "SELECT source, place, cause, at, words, said, denies FROM readings WHERE verdict_id = ?", [verdict_id]
    )
    return with_json(rows, "said")


def keep_readings(db: Database, verdict_id: int, readings: Iterable[tuple[ReadingRow, HowItStands]]) -> None:
    """Write what the sources say of a failure, each with how it stands; part of the caller's transaction."""
    for row, standing in readings:
        values = {**row, "words": storable(row["words"]), "place": storable(row["place"])}
        db.execute(
            "INSERT INTO readings (verdict_id, source, place, cause, at, words, said, denies, standing)"
            " VALUES (:verdict_id, :source, :place, :cause, :at, :words, :said, :denies, :standing)"
            " ON CONFLICT (verdict_id, source, ifnull(place, '')) DO UPDATE SET cause = excluded.cause,"
            " at = excluded.at, words = excluded.words, said = excluded.said, denies = excluded.denies,"
            " standing = excluded.standing",
            {**values, "said": _json(row["said"]), "verdict_id": verdict_id, "standing": standing},
        )


def change_verdict(
    db: Database, verdict: StoredVerdict, before: Mapping[str, object], new: VerdictRecord, why: str, at: datetime
) -> None:
    """Let a verdict say what is believed now, note what it said `before`, and let its incident follow.

    Part of the caller's transaction. Label and note are planned anew later (`mails_to_correct`).
    """
    flat = store.flat_record(new)
    assignments = ", ".join(f'"{name}" = :{name}' for name in SAID)
    db.execute(f"UPDATE verdicts SET {assignments} WHERE id = :id", {**flat, "id": verdict["id"]})  # noqa: S608
    if (before["category"], before["cause"]) != (new["category"], new["cause"]):
        _note_change(db, before, new, why, at, verdict_id=verdict["id"])
    settle_incident(db, verdict["id"], new, verdict["proof"], at)


def settle_incident(db: Database, verdict_id: int, record: VerdictRecord, proof: str | None, at: datetime) -> None:
    """Put a verdict into the incident it belongs to by now, and bring that and the one it leaves up to date."""
    (left,) = db.execute("SELECT incident_id FROM verdicts WHERE id = ?", [verdict_id]).fetchone()
    db.execute("UPDATE verdicts SET incident_id = NULL WHERE id = ?", [verdict_id])
    joined = store_incidents.attach(db, verdict_id, record, proof, at=at)
    store_incidents.settle_each(db, (left, joined), at)


def mails_to_correct(db: Database) -> list[int]:
    """The mails with a verdict that changed after label and note were planned for it, oldest first."""
    rows = db.execute(
        "SELECT DISTINCT v.mail_id FROM verdict_changes c JOIN verdicts v ON v.id = c.verdict_id"
        " WHERE c.corrected_at IS NULL ORDER BY v.mail_id"
    )
    return [mail_id for (mail_id,) in rows]


def correct_actions(db: Database, mail_id: int, wanted: Sequence[Action], at: datetime) -> None:
    """Plan what is wanted for a mail now, withdraw what is not any more, and note that this was done."""
    with transaction(db):
        store_actions.withdraw_others(db, mail_id, wanted, at)
        store.plan_actions(db, mail_id, wanted, at)
        db.execute(
            "UPDATE verdict_changes SET corrected_at = ? WHERE corrected_at IS NULL"
            " AND verdict_id IN (SELECT id FROM verdicts WHERE mail_id = ?)",
            [utc_text(at), mail_id],
        )


def _note_change(
    db: Database,
    old: Mapping[str, object],
    new: VerdictRecord,
    why: str,
    at: datetime,
    *,
    verdict_id: int | None = None,
    is_corrected: bool = False,
) -> None:
    db.execute(
        "INSERT INTO verdict_changes (verdict_id, at, old_category, old_cause, new_category, new_cause, why,"
        " corrected_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            *(verdict_id or old["id"], utc_text(at), old["category"], old["cause"], new["category"], new["cause"]),
            *(storable(why), utc_text(at) if is_corrected else None),
        ],
    )


def _json(said: Mapping[str, object]) -> str:
    return json.dumps({key: storable(value) if isinstance(value, str) else value for key, value in said.items()})
