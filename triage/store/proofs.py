"""The part of the store that keeps what proves a verdict, where that is learnt after the bounce was judged.

Says SQL, judges nothing. Which proof is accepted for what is in `triage.judging.proof`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from parsers.times import utc_text
from triage.model import Action, Proof
from triage.store import incidents as store_incidents
from triage.store import mails as store_mails
from triage.store.database import transaction

if TYPE_CHECKING:
    from sqlite_utils import Database

MOST_OPEN = 50
"""Verdicts whose proof is asked for again in one run: those that were asked for least, our own side, the newest."""
OFTEN = 4
"""Tries in the runs right after; later ones are made every SELDOM_HOURS."""
SELDOM_HOURS = 6


# What only Gmail can tell of is not proven by an event; of what SES refused, the event must say that it did.
_TOLD = (
    "e.recipient IN (lower(v.recipient), lower(v.original_recipient))"
    " AND (e.ses_message_id = v.ses_message_id OR e.client_id IN (v.gmail_message_id, v.message_id))"
    " AND v.category NOT IN ('smtp-credentials', 'gmail-refused', 'unverified') AND v.genuine IS NOT 'fail'"
    " AND (v.side IS NOT 'own' OR (e.kind IN ('Bounce', 'Reject') AND (EXISTS (SELECT 1 FROM readings r"
    "  WHERE r.verdict_id = v.id AND r.source = 'ses-event' AND r.cause = v.cause)"
    "  OR NOT EXISTS (SELECT 1 FROM readings r WHERE r.verdict_id = v.id AND r.source = 'ses-event'))))"
)


def mails_without_proof(db: Database, since: datetime, at: datetime) -> list[int]:
    """The mails from Gmail that may be proven now: SES has told of them, or Gmail could not be asked and may be now."""
    rows = db.execute(
        "SELECT DISTINCT mail_id FROM (SELECT v.mail_id FROM verdicts v"  # noqa: S608
        " JOIN mails m ON m.id = v.mail_id"
        " WHERE v.proof IS NULL AND m.raw IS NOT NULL AND m.gmail_id IS NOT NULL AND v.received_at >= :since"
        " AND (v.proof_open = 1 AND (v.proof_tries < :often"
        " OR (strftime('%s', :at) - strftime('%s', v.received_at)) % :seldom < 900)"
        f" OR EXISTS (SELECT 1 FROM events e WHERE {_TOLD}))"
        " ORDER BY v.proof_tries, v.side IS NOT 'own', v.received_at DESC) LIMIT :most",
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


def keep_proof(db: Database, verdict_id: int, kind: str, why: str | None) -> None:
    """Write what proves a verdict; part of the caller's transaction."""
    db.execute("UPDATE verdicts SET proof = ?, proof_why = ?, proof_open = 0 WHERE id = ?", [kind, why, verdict_id])


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
