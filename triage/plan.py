"""What is to be done in Gmail about a judged mail: the label of each category, the note of each cause.

Only where the verdict is proven to be about a mail of ours (`triage.judging.proof`), for which it asks Gmail what Sent
holds. Writes nothing, neither to the database nor to Gmail: both the run and the dry run use it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from parsers import parse
from parsers.facts import Bounce
from triage import store
from triage.config import Settings
from triage.errors import ConfigError, CredentialsDead, TryLater, why_failed
from triage.gmail import Claim, Sent
from triage.judging import BY_SES, GIVEN, Notice, is_acted_on, may_be_proven, proof_of
from triage.letters import LABELS, note_key, note_place
from triage.model import Action, Failed, Judged, Proof, StoredMail
from triage.rows import VerdictRecord

if TYPE_CHECKING:
    from sqlite_utils import Database

NEWS = timedelta(days=14)
"""How old a bounce may be to be proven still: an event of SES comes within a day, Gmail is away for hours."""


def planned(judged: Judged, settings: Settings, sent: Sent | None) -> Judged | Failed:
    """The judged mail with its proofs and what follows from them; `sent` is None for a mail from a file.

    Raises what concerns every mail (Gmail away, credentials dead); anything else is a `Failed`.
    """
    if judged.bounce is None:
        return judged
    if sent is None:
        return replace(judged, proofs=(GIVEN,) * len(judged.records))
    try:
        proofs = proofs_of(judged.bounce, judged.records, sent)
        return replace(judged, proofs=proofs, actions=actions_of(judged, proofs, settings))
    except (TryLater, CredentialsDead, ConfigError):
        raise
    except Exception as error:
        return Failed(judged.mail, why_failed(error))


def proofs_of(bounce: Bounce, records: Sequence[VerdictRecord], sent: Sent) -> tuple[Proof, ...]:
    """What proves each verdict on a bounce from the mailbox; Gmail is asked only where something hangs on that."""
    notice = notice_of(bounce)
    people = dict.fromkeys(
        address for record in records if may_be_proven(record, notice) for address in _addresses(record)
    )
    held = sent.holds(_claim(bounce), people) if people else {}
    is_alias = (
        sent.is_alias(bounce.original.sender)
        if notice.by_gmail and any(record["category"] == "smtp-credentials" for record in records)
        else None
    )
    return tuple(
        proof_of(
            record,
            notice,
            in_sent=_any_known(held.get(address) for address in _addresses(record)),
            is_alias=is_alias,
        )
        for record in records
    )


def prove_again(db: Database, settings: Settings, sent: Sent, at: datetime) -> None:
    """Look again for what proves verdicts that had no proof: Gmail answers now, or SES has told of the mail since.

    Plans what follows as if it had been known at once.
    """
    for mail_id in store.mails_without_proof(db, at - NEWS, at):
        raw = store.read_raw(db, mail_id)
        records = store.verdicts_of(db, mail_id)
        bounce = parse(raw) if raw is not None else None
        if not records or not isinstance(bounce, Bounce):
            continue
        open_ones = any(record["proof_open"] for record in records)
        asked = proofs_of(bounce, records, sent) if open_ones else (None,) * len(records)
        proofs = [
            BY_SES if store.told_by_ses(db, record["id"]) else proof
            for record, proof in zip(records, asked, strict=True)
        ]
        mail = StoredMail(records[0]["source"], records[0]["gmail_id"], records[0]["thread_id"])
        known = [proof or Proof(record["proof"], "") for record, proof in zip(records, proofs, strict=True)]
        actions = actions_of(Judged(mail, bounce, tuple(records)), known, settings)
        found = {record["id"]: proof for record, proof in zip(records, proofs, strict=True) if proof is not None}
        store.settle_proofs(db, mail_id, found, actions, at, most_incidents=settings.incidents_per_day)


def correct(db: Database, settings: Settings, at: datetime) -> None:
    """Plan labels and notes anew for mails with a verdict that changed, once; what is wrong by now is withdrawn.

    Asks nobody. A verdict that nothing proves leads to nothing, as everywhere.
    """
    for mail_id in store.mails_to_correct(db):
        raw = store.read_raw(db, mail_id)
        records = store.verdicts_of(db, mail_id)
        bounce = parse(raw) if raw is not None and records[0]["gmail_id"] else None
        actions: tuple[Action, ...] = ()
        if isinstance(bounce, Bounce):
            mail = StoredMail(records[0]["source"], records[0]["gmail_id"], records[0]["thread_id"])
            proofs = [Proof(record["proof"], "") for record in records]
            actions = actions_of(Judged(mail, bounce, tuple(records)), proofs, settings)
        store.correct_actions(db, mail_id, actions, at)


def notice_of(bounce: Bounce) -> Notice:
    """Who wrote the bounce, as far as signatures tell."""
    signer = bounce.genuine.signer or ""
    by_ses = signer == "amazonses.com" or signer.endswith(".amazonses.com")
    return Notice(
        by_gmail=bounce.is_direct and bounce.genuine.by_gmail,
        by_ses=bounce.is_direct and by_ses,
        is_direct=bounce.is_direct,
    )


def actions_of(judged: Judged, proofs: Sequence[Proof], settings: Settings) -> tuple[Action, ...]:
    """What to do about a judged bounce: one label for each category, and a note for each cause, where it is proven.

    Nothing about a mail that lies in no thread. What a note says is decided when it is written, from all that is known
    of the thread by then.
    """
    mail, bounce = judged.mail, judged.bounce
    if mail.thread_id is None or mail.gmail_id is None or bounce is None:
        return ()
    pairs = zip(judged.records, proofs, strict=True)
    acted_on = [record for record, proof in pairs if is_acted_on(record, proof.kind)]
    labels = dict.fromkeys(f"{settings.label_prefix}/{LABELS[record['category'] or 'unknown']}" for record in acted_on)
    actions = [Action("label", mail.thread_id, {"label": label}) for label in labels]
    for key in dict.fromkeys(map(note_key, acted_on)) if settings.notes else ():
        place = note_place(
            key,
            mail.thread_id,
            mail.gmail_id,
            subject=bounce.subject,
            message_id=bounce.message_id,
            references=bounce.references,
        )
        if place is not None:
            actions.append(Action("note", mail.thread_id, {"about": key, **asdict(place)}))
    return tuple(actions)


def _claim(bounce: Bounce) -> Claim:
    """What the bounce says of the mail it returns. Behind SES the id in Sent is the one that Gmail first gave it."""
    original = bounce.original
    ids = dict.fromkeys(filter(None, (original.gmail_message_id, original.message_id, *bounce.references)))
    return Claim(tuple(ids), (original.sender or "").lower() or None, original.subject, original.sent_at)


def _addresses(record: VerdictRecord) -> list[str]:
    """The address that failed and the one we wrote to, in lower case."""
    return [address.lower() for address in (record["recipient"], record["original_recipient"]) if address]


def _any_known(answers: Iterable[bool | None]) -> bool | None:
    """True where one answer is, None where none is and one is not known."""
    found = list(answers)
    return True if True in found else None if None in found else False
