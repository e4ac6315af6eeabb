"""The part of the store that keeps what proves a verdict, where that is learnt after the bounce was judged.

And what is known of ourselves: whose mailbox this database is about, what Gmail last said of the account, what SES
events tell. Says SQL, judges nothing. Which proof is accepted for what is in `triage.judge.proof`. Nothing of ourselves
comes out of a mail; a mail only says which row is meant.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from parsers.times import utc_text
from triage.fixes import OwnAccount, OwnAddress, ToldBySes
from triage.model import Action, Proof
from triage.store import incidents as store_incidents
from triage.store import mails as store_mails
from triage.store.database import Row, first_row, transaction

if TYPE_CHECKING:
    from sqlite_utils import Database

_NAMES = "sender, ses_region, caller, ses_message_id"

MOST_OPEN = 50
"""Verdicts whose proof is asked for again in one run, the newest first, our own side before all others."""
OFTEN = 4
"""Tries in the runs right after; later ones are made every SELDOM_HOURS."""
SELDOM_HOURS = 6


# What only Gmail can tell of is not proven by an event; of what SES refused, the event must say that it did.
_TOLD = (
    "e.recipient IN (lower(v.recipient), lower(v.original_recipient))"
    " AND (e.ses_message_id = v.ses_message_id OR e.client_id IN (v.gmail_message_id, v.message_id))"
    " AND v.category NOT IN ('smtp-credentials', 'gmail-refused', 'unverified') AND v.genuine IS NOT 'fail'"
    " AND (v.side IS NOT 'own' OR e.kind IN ('Bounce', 'Reject'))"
)


def mails_without_proof(db: Database, since: datetime, at: datetime) -> list[int]:
    """The mails from Gmail that may be proven now: SES has told of them, or Gmail could not be asked and may be now."""
    rows = db.execute(
        "SELECT DISTINCT mail_id FROM (SELECT v.mail_id, v.side, v.received_at FROM verdicts v"  # noqa: S608
        " JOIN mails m ON m.id = v.mail_id"
        " WHERE v.proof IS NULL AND m.raw IS NOT NULL AND m.gmail_id IS NOT NULL AND v.received_at >= :since"
        " AND (v.proof_open = 1 AND (v.proof_tries < :often"
        " OR (strftime('%s', :at) - strftime('%s', v.received_at)) % :seldom < 900)"
        f" OR EXISTS (SELECT 1 FROM events e WHERE {_TOLD}))"
        " ORDER BY v.side IS NOT 'own', v.received_at DESC) LIMIT :most",
        {
            "since": utc_text(since),
            "at": utc_text(at),
            "often": OFTEN,
            "seldom": SELDOM_HOURS * 3600,
            "most": MOST_OPEN,
        },
    )
    return [mail_id for (mail_id,) in rows]


def told_by_ses(db: Database, verdict_id: int) -> bool:
    """Whether an event of our own SES names this message and this recipient."""
    sql = f"SELECT EXISTS (SELECT 1 FROM verdicts v JOIN events e ON {_TOLD} WHERE v.id = ?)"  # noqa: S608
    (found,) = db.execute(sql, [verdict_id]).fetchone()
    return bool(found)


def settle_proofs(
    db: Database,
    mail_id: int,
    proofs: Mapping[int, Proof],
    actions: Sequence[Action],
    at: datetime,
    *,
    most_incidents: int | None = None,
) -> bool:
    """Write what now proves the verdicts of a mail (by their ids), and what follows; returns whether one is new.

    All or nothing. A verdict that is proven stays so.
    """
    is_new = False
    incidents = []
    with transaction(db):
        for verdict in store_mails.verdicts_of(db, mail_id):
            proof = proofs.get(verdict["id"])
            if proof is None or verdict["proof"] is not None:
                continue
            db.execute(
                "UPDATE verdicts SET proof = ?, proof_why = ?, proof_open = ?, proof_tries = proof_tries + 1"
                " WHERE id = ?",
                [proof.kind, proof.why, int(proof.is_open), verdict["id"]],
            )
            if proof.kind is not None:
                is_new = True
                flat = store_mails.flat_record(verdict, proof)
                known = {"id": verdict["id"], "thread_id": verdict["thread_id"]}
                store_mails.note_superseded(db, {**flat, **known})
                incidents.append(
                    store_incidents.attach(db, verdict["id"], verdict, proof.kind, at=at, most=most_incidents)
                )
        store_incidents.settle_each(db, incidents, at)
        if is_new:
            store_mails.plan_actions(db, mail_id, actions, at)
    return is_new


def keep_account(db: Database, account: OwnAccount) -> None:
    """Remember what Gmail says of the account, for commands that do not sign in."""
    value = json.dumps({"mailbox": account.mailbox, "send_as": account.send_as})
    with transaction(db):
        db.execute("INSERT OR REPLACE INTO state (key, value) VALUES ('account', ?)", [value])


def read_account(db: Database) -> OwnAccount | None:
    """What Gmail last said of the account; None: it was never asked."""
    row = first_row(db, "SELECT value FROM state WHERE key = 'account'")
    if row is None:
        return None
    known = json.loads(row["value"])
    return OwnAccount(known["mailbox"], tuple(OwnAddress(*one) for one in known["send_as"]))


def told_by_events(db: Database, record: Mapping[str, Any]) -> ToldBySes:
    """What events of our own SES, and confirmed renewals of the login, tell about a stored verdict."""
    said = (record["original"] or {}).get("from")
    sender = said.strip().lower() if said else None
    about: Row = _of_the_mail(db, record["id"]) or {}
    newest: Row = about or _of_the_sender(db, sender) or {}
    return ToldBySes(
        sender=newest.get("sender"),
        region=newest.get("ses_region"),
        iam_user=newest.get("caller"),
        ses_message_id=about.get("ses_message_id"),
        access_key_id=_key_in_use(db, sender),
    )


def _of_the_mail(db: Database, verdict_id: int) -> Row | None:
    """The events name the message and the recipient (see `proofs`), whatever the bounce says beside that."""
    sql = (
        f"SELECT {', '.join(f'e.{column}' for column in _NAMES.split(', '))} FROM verdicts v"  # noqa: S608
        " JOIN events e ON e.recipient IN (lower(v.recipient), lower(v.original_recipient))"
        " AND (e.ses_message_id = v.ses_message_id OR e.client_id IN (v.gmail_message_id, v.message_id))"
        " WHERE v.id = ? ORDER BY e.caller IS NULL, e.id LIMIT 1"
    )
    return first_row(db, sql, [verdict_id])


def _of_the_sender(db: Database, sender: str | None) -> Row | None:
    sql = (
        f"SELECT {_NAMES} FROM events WHERE kind IN ('Send', 'Delivery') AND sender = ?"  # noqa: S608
        " ORDER BY at DESC LIMIT 1"
    )
    return first_row(db, sql, [sender]) if sender else None


def _key_in_use(db: Database, alias: str | None) -> str | None:
    """The access key the last confirmed renewal left in use."""
    row = first_row(
        db,
        "SELECT iif(reason IS NULL, new_key_id, old_key_id) AS id FROM rotations"
        " WHERE lower(alias) = ? AND confirmed_at IS NOT NULL ORDER BY confirmed_at DESC LIMIT 1",
        [alias],
    )
    return row["id"] if row else None


def read_owner(db: Database) -> tuple[str | None, str | None]:
    """(address of the mailbox this database is about, mark of the sign-in that was last found to be its own)."""
    known = dict(db.execute("SELECT key, value FROM state WHERE key IN ('mailbox', 'sign_in')").fetchall())
    return known.get("mailbox"), known.get("sign_in")


def keep_owner(db: Database, address: str, mark: str) -> None:
    """Remember whose mailbox this is, and by which sign-in it was last asked."""
    with transaction(db):
        for key, value in (("mailbox", address), ("sign_in", mark)):
            db.execute("INSERT OR REPLACE INTO state (key, value) VALUES (?, ?)", [key, value])


def newest_gmail_ids(db: Database, most: int) -> list[str]:
    """Gmail's ids of the newest mails on record."""
    sql = "SELECT gmail_id FROM mails WHERE gmail_id IS NOT NULL AND state = 'judged' ORDER BY id DESC LIMIT ?"
    return [gmail_id for (gmail_id,) in db.execute(sql, [most])]
