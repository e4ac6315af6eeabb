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

from parsers.times import moment_from, utc_text
from triage.model import Action, Proof, StoredMail
from triage.rows import ActionRow, MailRow, RunRow, StoredVerdict, VerdictRecord
from triage.store import actions as store_actions
from triage.store import incidents as store_incidents
from triage.store.database import Row, all_rows, first_row, storable, transaction, with_json
from triage.store.later import IS_DUE, MAX_TRIES, SECOND_LOOK, due, is_gone, next_try

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
        mail_id = _write_mail(db, mail, known, "judged", mail.remark, at)
        received_at = utc_text(mail.received_at or at)
        incidents = []
        for position, record in enumerate(records):
            flat = flat_record(record, proofs[position] if proofs else None)
            verdict_id = db.execute(
                f"INSERT INTO verdicts ({_VERDICT_COLUMNS}) VALUES (?, ?, ?{', ?' * len(VERDICT_COLUMNS)})",  # noqa: S608
                [mail_id, position, received_at, *(flat[column] for column in VERDICT_COLUMNS)],
            ).lastrowid
            note_superseded(db, {**flat, "id": verdict_id, "thread_id": mail.thread_id})
            number = int(verdict_id or 0)
            incidents.append(store_incidents.attach(db, number, record, flat["proof"], at=at, most=most_incidents))
        store_incidents.settle_each(db, incidents, at)
        plan_actions(db, mail_id, actions, at)
        return mail_id


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


def start_run(db: Database, source: str, at: datetime) -> int:
    """Record that a run began; returns its id."""
    with transaction(db):
        row = [storable(source), utc_text(at)]
        return int(db.execute("INSERT INTO runs (source, started_at) VALUES (?, ?)", row).lastrowid or 0)


def finish_run(
    db: Database,
    run_id: int,
    at: datetime,
    totals: Mapping[str, int],
    *,
    error: str | None = None,
    not_looked_up: Iterable[str] = (),
    not_told: Iterable[str] = (),
    seconds: Mapping[str, float] | None = None,
) -> None:
    """Record how a run ended; the keys of `totals` are the count columns of `runs`, `seconds` of its parts."""
    values = {"finished_at": utc_text(at), "error": storable(error), **totals}
    values["seconds"] = json.dumps(dict(seconds)) if seconds else None
    for column, reasons in (("not_looked_up", not_looked_up), ("not_told", not_told)):
        if told := storable("; ".join(reasons)):
            values[column] = told
    with transaction(db):
        db.execute(
            f"UPDATE runs SET {', '.join(f'{column} = :{column}' for column in values)} WHERE id = :id",  # noqa: S608
            {**values, "id": run_id},
        )


def known_gmail_ids(db: Database, gmail_ids: Iterable[str]) -> set[str]:
    """Those of the given Gmail ids that have a row; what seemed gone and is found again is not known."""
    sql = "SELECT gmail_id FROM mails WHERE gmail_id IN (SELECT value FROM json_each(?)) AND state != 'gone'"
    return {gmail_id for (gmail_id,) in db.execute(sql, [json.dumps(list(gmail_ids))])}


def has_judged_file(db: Database, raw: bytes) -> bool:
    """Whether these very bytes came from a file before and were judged then."""
    row = first_row(db, "SELECT state FROM mails WHERE gmail_id IS NULL AND raw_sha256 = ?", [_hash(raw)])
    return row is not None and row["state"] == "judged"


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


def last_runs(db: Database, limit: int = 1) -> list[RunRow]:
    """The newest runs first."""
    return all_rows(db, "SELECT * FROM runs ORDER BY id DESC LIMIT ?", [limit])


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
