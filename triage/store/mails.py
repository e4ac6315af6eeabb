"""The database: every mail seen, every verdict, every planned and done action; the only module that says SQL.

A mail, its verdicts and its planned actions are written in one transaction or not at all. Times go in and come out as
aware datetimes or as text `2026-11-24T09:00:00Z`, always UTC. Judges nothing and knows nothing of Gmail; the schema
is in `migrations.py`, how a database is opened in `database.py`. Imports SQLite only when one is opened.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, cast

from parsers.text import content_digest
from parsers.times import moment_from, utc_text
from triage.model import Action, Proof, StoredMail
from triage.rows import ActionRow, MailRow, StoredVerdict, VerdictRecord
from triage.store import actions as store_actions
from triage.store import incidents as store_incidents
from triage.store.database import Row, all_rows, first_row, storable, transaction, with_json
from triage.store.later import IS_DUE, MAX_TRIES, SECOND_LOOK, WHOLE, due, is_gone, next_try

if TYPE_CHECKING:
    from sqlite_utils import Database

RECORD_KEYS = (
    *("source", "kind", "recipient", "original_recipient", "category", "cause", "side", "actor", "permanent"),
    *("reason", "status", "reply_code", "diagnostic", "platform", "remote_host", "reported_by", "original"),
    *("genuine", "rule", "evidence", "fix", "links"),
)
"""The keys of a verdict record in the order of `triage classify --jsonl`; each but `original` is a column."""

ORIGINAL_KEYS = (
    *("message_id", "gmail_message_id", "ses_message_id", "ses_region", "ses_id_source"),
    *("sent_at", "from", "subject", "path"),
)
"""The keys inside `original`, which are columns of the same name."""

PROOF_COLUMNS = ("proof", "proof_why", "proof_open")
VERDICT_COLUMNS = (*(key for key in RECORD_KEYS if key != "original"), *ORIGINAL_KEYS, "why", *PROOF_COLUMNS)
_VERDICT_COLUMNS = ", ".join(f'"{column}"' for column in ("mail_id", "position", "received_at", *VERDICT_COLUMNS))
_MAIL_COLUMNS = (
    "id, gmail_id, thread_id, source, message_id, received_at, seen_at, state, tries, error, original_in_sent"
)
_SAME_MAIL = (
    "recipient = :recipient AND (message_id = :message_id OR gmail_message_id = :gmail_message_id"
    " OR ((message_id IS NULL OR :message_id IS NULL)"
    " AND mail_id IN (SELECT id FROM mails WHERE thread_id = :thread_id)))"
)


def store_judged(
    db: Database,
    mail: StoredMail,
    records: Sequence[VerdictRecord],
    actions: Sequence[Action],
    at: datetime,
    proofs: Sequence[Proof] = (),
    *,
    most_incidents: int | None = None,
) -> int:
    """Write mail, verdicts and planned actions in one transaction; returns the mail's row id.

    `records` are verdict records (see RECORD_KEYS), `proofs` what proves each of them; empty: nothing does.
    `most_incidents`: see `incidents.attach`. A mail that has been judged before is left exactly as it is.
    """
    with transaction(db):
        known = _row_of(db, mail)
        if known and known["state"] == "judged":
            return int(known["id"])
        known = known or _file_of(db, mail)
        mail_id = _write_mail(db, mail, known, "judged", mail.remark, at)
        received_at = utc_text(mail.received_at or at)
        incidents = []
        for position, record in enumerate(records):
            flat = flat_record(record, proofs[position] if proofs else None)
            verdict_id = _write_verdict(db, mail_id, position, received_at, flat, is_new=known is None)
            note_superseded(db, {**flat, "id": verdict_id, "thread_id": mail.thread_id})
            incidents.append(store_incidents.attach(db, verdict_id, record, flat["proof"], at=at, most=most_incidents))
        store_incidents.settle_each(db, incidents, at)
        plan_actions(db, mail_id, actions, at)
        return mail_id


def _write_verdict(db: Database, mail_id: int, position: int, received_at: str, flat: Row, *, is_new: bool) -> int:
    """Returns the verdict's number, which it keeps where the mail was read from a file before."""
    values = [received_at, *(flat[column] for column in VERDICT_COLUMNS)]
    sql = "SELECT id FROM verdicts WHERE mail_id = ? AND position = ?"
    row = None if is_new else first_row(db, sql, [mail_id, position])
    if row is not None:
        columns = ", ".join(f'"{column}" = ?' for column in ("received_at", *VERDICT_COLUMNS))
        db.execute(f"UPDATE verdicts SET {columns} WHERE id = ?", [*values, row["id"]])  # noqa: S608
        return int(row["id"])
    marks = ", ?" * len(values)
    sql = f"INSERT INTO verdicts ({_VERDICT_COLUMNS}) VALUES (?, ?{marks})"  # noqa: S608
    return int(db.execute(sql, [mail_id, position, *values]).lastrowid or 0)


def proof_columns(proof: Proof | None) -> Row:
    """A proof as columns of the verdict it belongs to."""
    kind, why, is_open = proof or (None, None, False)
    return {"proof": kind, "proof_why": why, "proof_open": int(is_open)}


def flat_record(record: VerdictRecord, proof: Proof | None = None) -> Row:
    """A verdict record, and what proves it, as the columns of its row."""
    flat: Row = {**record, **(record["original"] or {}), **proof_columns(proof)}
    flat |= {column: json.dumps([*map(storable, flat.get(column) or ())]) for column in ("fix", "links")}
    return dict.fromkeys(VERDICT_COLUMNS) | _kept(flat)


def plan_actions(db: Database, mail_id: int, actions: Iterable[Action], at: datetime) -> None:
    """Write down what is to be done about a mail, each thing once; part of the caller's transaction.

    A note is one for each thread and incident, however many bounces there are.
    """
    for action in actions:
        if action.kind == "note" and store_actions.is_explained(db, action.target, action.payload["about"], mail_id):
            continue
        db.execute(
            "INSERT OR IGNORE INTO actions (mail_id, kind, target, payload, state, planned_at)"
            " VALUES (?, ?, ?, ?, 'planned', ?)",
            [mail_id, action.kind, action.target, json.dumps(action.payload, sort_keys=True), utc_text(at)],
        )


def record_failed(db: Database, mail: StoredMail, error: str, at: datetime, *, for_good: bool = False) -> str:
    """Keep a mail that could not be fetched or judged; returns `failed`, or `kept` once it is not asked for again."""
    with transaction(db):
        known = _row_of(db, mail)
        if known and known["state"] not in ("failed", "gone"):
            return str(known["state"])
        state = "kept" if for_good or (known and known["tries"] + 1 >= MAX_TRIES) else "failed"
        _write_mail(db, mail, known, state, error, at)
        return state


def record_put_off(db: Database, mail: StoredMail, error: str, at: datetime) -> None:
    """Remember a mail that Gmail did not give for a reason of its own, which does not count against it."""
    with transaction(db):
        known = _row_of(db, mail)
        if known and known["state"] not in ("failed", "gone"):
            return
        mail_id = _write_mail(db, mail, known, "failed", error, at, counts=False)
        put_off = 1 + (known["put_off"] if known else 0)
        db.execute(
            "UPDATE mails SET put_off = ?, try_after = ? WHERE id = ?", [put_off, next_try(at, put_off), mail_id]
        )


def record_missing(db: Database, mail: StoredMail, error: str, at: datetime) -> None:
    """Gmail says it has no such mail: it is asked again later, and only the second such answer counts."""
    with transaction(db):
        known = _row_of(db, mail)
        if known and known["state"] not in ("failed", "gone"):
            return
        if known and known["state"] == "failed" and is_gone(known["missing_at"], at):
            _write_mail(db, mail, known, "gone", error, at)
            return
        before = known["missing_at"] if known and known["state"] == "failed" else None
        mail_id = _write_mail(db, mail, known, "failed", error, at, counts=False)
        db.execute(
            "UPDATE mails SET missing_at = ?, try_after = ? WHERE id = ?",
            [before or utc_text(at), utc_text(at + SECOND_LOOK), mail_id],
        )


def _row_of(db: Database, mail: StoredMail) -> Row | None:
    """The row that is this mail: the same Gmail id, or for files the same bytes."""
    columns = "id, state, tries, put_off, missing_at"
    if mail.gmail_id is not None:
        return first_row(db, f"SELECT {columns} FROM mails WHERE gmail_id = ?", [mail.gmail_id])  # noqa: S608
    return first_row(
        db,
        f"SELECT {columns} FROM mails WHERE gmail_id IS NULL AND raw_sha256 = ?",  # noqa: S608
        [_hash(mail.raw)],
    )


def _file_of(db: Database, mail: StoredMail) -> Row | None:
    """The row of a file that holds this mail of Gmail's: one mail is one mail, wherever it was read first."""
    if mail.gmail_id is None or mail.message_id is None or mail.raw is None:
        return None
    return first_row(
        db,
        "SELECT id, state, tries, put_off, missing_at FROM mails"
        " WHERE gmail_id IS NULL AND content = ? AND message_id = ? ORDER BY id LIMIT 1",
        [content_digest(mail.raw), storable(mail.message_id)],
    )


def _write_mail(
    db: Database,
    mail: StoredMail,
    known: Row | None,
    state: str,
    error: str | None,
    at: datetime,
    *,
    counts: bool = True,
) -> int:
    """`counts`: it was a try of the mail, and not of a Gmail that is away."""
    if mail.gmail_id is not None:
        db.execute("DELETE FROM fetches WHERE gmail_id = ?", [mail.gmail_id])
        if state != "failed":
            db.execute("DELETE FROM state WHERE key = ?", [f"{WHOLE}{mail.gmail_id}"])
    values: Row = {
        "gmail_id": mail.gmail_id,
        "thread_id": mail.thread_id,
        "source": mail.source,
        "message_id": mail.message_id,
        "received_at": utc_text(mail.received_at),
        "state": state,
        "error": error,
        "raw": zlib.compress(mail.raw) if mail.raw is not None and mail.keep_raw else None,
        "raw_sha256": _hash(mail.raw),
        "content": None if mail.raw is None else content_digest(mail.raw),
    }
    values = _kept(values)
    if known:  # what an earlier try found stays where this one found nothing
        assignments = ", ".join(f"{column} = :{column}" for column in values if values[column] is not None)
        assignments += "" if error else ", error = NULL"
        assignments += ", tries = tries + 1" if counts else ""
        assignments += ", try_after = NULL, missing_at = NULL"
        db.execute(f"UPDATE mails SET {assignments} WHERE id = :id", {**values, "id": known["id"]})  # noqa: S608
        return int(known["id"])
    values |= {"seen_at": utc_text(at), "tries": int(counts)}
    columns, marks = ", ".join(values), ", ".join(f":{column}" for column in values)
    return int(db.execute(f"INSERT INTO mails ({columns}) VALUES ({marks})", values).lastrowid or 0)  # noqa: S608


def note_superseded(db: Database, verdict: Row) -> None:
    """Tie a delayed verdict to the one that says how it ended, whichever of the two arrives first.

    The same mail is meant when recipient and Message-ID agree, or the thread where one of them has no Message-ID. A
    report that nothing proves ends nothing.
    """
    if verdict["recipient"] is None:
        return
    if verdict["kind"] in ("failed", "delivered") and verdict["proof"] is not None:
        db.execute(
            f"UPDATE verdicts SET superseded_by = :id"  # noqa: S608
            f" WHERE kind = 'delayed' AND superseded_by IS NULL AND {_SAME_MAIL}",
            verdict,
        )
    elif verdict["kind"] == "delayed":
        db.execute(
            "UPDATE verdicts SET superseded_by = (SELECT id FROM verdicts"  # noqa: S608
            f" WHERE kind IN ('failed', 'delivered') AND proof IS NOT NULL AND {_SAME_MAIL} ORDER BY id LIMIT 1)"
            " WHERE id = :id",
            verdict,
        )


def pending_actions(db: Database, at: datetime) -> list[ActionRow]:
    """Actions planned and not yet done that may be tried now: those that never failed first, then the oldest."""
    sql = (
        "SELECT a.id, a.mail_id, m.gmail_id, a.kind, a.target, a.payload, a.tries, a.put_off"  # noqa: S608
        " FROM (SELECT * FROM actions"
        f" WHERE state = 'planned' AND {IS_DUE}) a JOIN mails m ON m.id = a.mail_id ORDER BY a.id"
    )
    rows = with_json(all_rows(db, sql, due(at)), "payload")
    return sorted(rows, key=lambda row: int(row["put_off"] + row["tries"]))


def finish_labels(db: Database, label_ids: Mapping[int, str], at: datetime) -> None:
    """Record that labels were set: by the action that planned it the id that Gmail knows the label by."""
    with transaction(db):
        for action_id, label_id in label_ids.items():
            db.execute(
                "UPDATE actions SET state = 'done', tries = tries + 1, error = NULL, done_at = ?, label_id = ?"
                " WHERE id = ?",
                [utc_text(at), label_id, action_id],
            )


def known_gmail_ids(db: Database, gmail_ids: Iterable[str]) -> set[str]:
    """Those of the given Gmail ids that have a row; what seemed gone and is found again is not known."""
    sql = "SELECT gmail_id FROM mails WHERE gmail_id IN (SELECT value FROM json_each(?)) AND state != 'gone'"
    return {gmail_id for (gmail_id,) in db.execute(sql, [json.dumps(list(gmail_ids))])}


def has_judged_file(db: Database, raw: bytes, message_id: str | None = None) -> bool:
    """Whether a mail from a file was judged before: these very bytes or, once its id is known, another copy of it."""
    row = first_row(db, "SELECT state FROM mails WHERE gmail_id IS NULL AND raw_sha256 = ?", [_hash(raw)])
    if message_id is None or (row is not None and row["state"] == "judged"):
        return row is not None and row["state"] == "judged"
    sql = "SELECT 1 FROM mails WHERE content = ? AND message_id = ? AND state = 'judged'"
    return first_row(db, sql, [content_digest(raw), storable(message_id)]) is not None


def failed_mails(db: Database, at: datetime) -> list[StoredMail]:
    """The mails to ask for again now; `raw` is there when only our own code failed."""
    # The term that looks needless is the condition of the index, word for word; SQLite does not conclude it.
    rows = db.query(
        f"SELECT * FROM mails WHERE state != 'judged' AND state = 'failed' AND {IS_DUE} ORDER BY id",  # noqa: S608
        due(at),
    )
    return [
        StoredMail(
            row["source"],
            row["gmail_id"],
            row["thread_id"],
            row["message_id"],
            moment_from(row["received_at"]),
            _unpacked(row["raw"]),
            put_off=row["put_off"],
        )
        for row in rows
    ]


def unreadable_mails(db: Database) -> list[MailRow]:
    """Mails without a verdict because of a failure (states failed and kept), newest first, without their bytes."""
    return all_rows(
        db,
        f"SELECT {_MAIL_COLUMNS} FROM mails"  # noqa: S608
        " WHERE state != 'judged' AND state IN ('failed', 'kept') ORDER BY id DESC",
    )


def find_mails(db: Database, ident: str) -> list[MailRow]:
    """Mails by Gmail id, verdict id, or Message-ID (of the bounce or of the returned mail), newest first."""
    message_id = ident.strip().removeprefix("<").removesuffix(">")
    return all_rows(
        db,
        f"SELECT {_MAIL_COLUMNS} FROM mails WHERE gmail_id = :id OR message_id = :id OR id IN"  # noqa: S608
        " (SELECT mail_id FROM verdicts WHERE message_id = :id OR gmail_message_id = :id OR id = :number)"
        " ORDER BY id DESC",
        {"id": message_id, "number": int(message_id) if message_id.isdecimal() and len(message_id) < 15 else None},
    )


def read_raw(db: Database, mail_id: int) -> bytes | None:
    """The bytes of a mail; None when they were never had, or are still only in the user's file."""
    row = first_row(db, "SELECT raw FROM mails WHERE id = ?", [mail_id])
    return _unpacked(row["raw"]) if row else None


def verdicts_of(db: Database, mail_id: int) -> list[StoredVerdict]:
    """The verdicts on one mail, in the order of its recipients."""
    rows = db.query(
        "SELECT v.*, m.gmail_id, m.thread_id FROM verdicts v JOIN mails m ON m.id = v.mail_id"
        " WHERE v.mail_id = ? ORDER BY v.position",
        [mail_id],
    )
    return [_record(row) for row in rows]


def verdicts_numbered(db: Database, verdict_ids: Iterable[int]) -> dict[int, StoredVerdict]:
    """These verdicts by their numbers."""
    rows = db.query(
        "SELECT v.*, m.gmail_id, m.thread_id FROM verdicts v JOIN mails m ON m.id = v.mail_id"
        " WHERE v.id IN (SELECT value FROM json_each(?))",
        [json.dumps(list(verdict_ids))],
    )
    return {row["id"]: _record(row) for row in rows}


def _record(row: Row) -> StoredVerdict:
    """A row in the shape of a verdict record, with our own columns after it."""
    permanent = None if row["permanent"] is None else bool(row["permanent"])
    original = {key: row[key] for key in ORIGINAL_KEYS}
    flat = {**row, "permanent": permanent, "fix": json.loads(row["fix"]), "links": json.loads(row["links"])}
    flat["original"] = original if any(original.values()) else None
    record = {key: flat[key] for key in RECORD_KEYS} | ({} if row["why"] is None else {"why": row["why"]})
    ours = {
        key: row[key]
        for key in (*PROOF_COLUMNS, "id", "mail_id", "received_at", "superseded_by", "gmail_id", "thread_id")
    }
    return cast(StoredVerdict, record | ours)


def _unpacked(raw: bytes | None) -> bytes | None:
    return None if raw is None else zlib.decompress(raw)


def _kept(values: Row) -> Row:
    return {key: storable(value) if isinstance(value, str) else value for key, value in values.items()}


def _hash(raw: bytes | None) -> str | None:
    return None if raw is None else hashlib.sha256(raw).hexdigest()
