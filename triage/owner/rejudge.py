"""Judges the stored bounces again by the parsers and rules of today, and says which verdicts come out differently.

Shows first, writes only when told to, one transaction for each mail. Fetches nothing; what SES and AWS added to a
verdict stays. Labels for new categories are planned, and set by the next run; labels that no longer fit stay, for
`undo` or the owner to take off. Prints nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, cast

from parsers.facts import Bounce, NotABounce
from triage import store
from triage.config import Settings
from triage.errors import TriageError, why_failed
from triage.judging import classify, proof_of
from triage.lock import locked
from triage.model import Action, Judged, MailAgain, Progress, Proof, StoredMail
from triage.plan import actions_of, notice_of
from triage.rows import Pair, StoredVerdict, VerdictRecord
from triage.ses import judged_again, read_again

if TYPE_CHECKING:
    from sqlite_utils import Database

MoveKind = Literal["moved", "added", "gone"]

JUDGED = (
    *("kind", "recipient", "original_recipient", "category", "cause", "side", "actor", "permanent", "reason"),
    *("status", "reply_code", "platform", "remote_host", "reported_by", "genuine", "rule"),
)
"""What a verdict says; a difference here is a move."""
WORDED = ("diagnostic", "evidence", "fix", "links", "why")
"""How it says it; a difference here alone is written too, and only counted."""
LEARNED = ("gmail_message_id", "ses_message_id", "ses_region", "ses_id_source")
"""What SES events may have added to the original: never taken away again."""


@dataclass(frozen=True, slots=True)
class Move:
    """A verdict that comes out differently."""

    change: MoveKind
    mail_id: int
    source: str
    verdict_id: int | None
    """None: it would be a new one."""
    recipient: str | None
    fields: Mapping[str, tuple[Any, Any]]
    """Field -> (old, new)."""


@dataclass(frozen=True, slots=True)
class Rejudged:
    """What came of all stored bounces."""

    mails: int
    moves: tuple[Move, ...]
    reworded: int
    """Verdicts that say the same in other words."""
    failed: tuple[tuple[str, str], ...]
    """(source, why) of mails that could not be judged again; their verdicts stay as they are."""
    written: bool
    without_bytes: int = 0
    """Mails that were given up before their bytes were had; with `written` the next run fetches them."""


def judge_again(settings: Settings, at: datetime, *, apply: bool = False, progress: Progress | None = None) -> Rejudged:
    """Judge every stored bounce again; with `apply` write what differs. Raises TryLater, ConfigError.

    Mails that were kept for study because no earlier version could judge them are judged too.
    """
    if not apply:
        db = store.open_readonly(settings.database)
        if db is None:
            return Rejudged(0, (), 0, (), written=False)
        with closing(db):
            return _rejudged(db, settings, at, progress, apply=False)
    with locked(settings.database), closing(store.open_store(settings.database)) as db:
        result = _rejudged(db, settings, at, progress, apply=True)
        store.settle_all(db, at)
        store.take_up_without_bytes(db)
        return result


def _rejudged(db: Database, settings: Settings, at: datetime, progress: Progress | None, *, apply: bool) -> Rejudged:
    moves: list[Move] = []
    failed: list[tuple[str, str]] = []
    reworded = count = 0
    ids = store.mails_with_bytes(db)
    for count, mail_id in enumerate(ids, start=1):
        mail = store.mail_again(db, mail_id)
        try:
            found = read_again(mail.source, mail.raw)
            new = [verdict.as_dict() for verdict in classify(found, mail.source)]
            pairs, readings = _weighed(db, _paired(store.verdicts_of(db, mail_id), new))
            moved = [move for old, record in pairs if (move := _move(mail, old, record))]
            others = sum(bool(old and record and _differs(old, record)) for old, record in pairs) - sum(
                move.change == "moved" for move in moved
            )
            if apply and (moved or others):
                proofs = [record and _proof(found, old, record) for old, record in pairs]
                store.rewrite(db, mail, pairs, proofs, _labels(found, mail, pairs, proofs, settings), at, readings)
        except TriageError:
            raise
        except Exception as error:
            failed.append((mail.source, why_failed(error)))
        else:
            moves += moved
            reworded += others
        if progress:
            progress(count, len(ids))
    lost = store.number_without_bytes(db)
    return Rejudged(count, tuple(moves), reworded, tuple(failed), written=apply, without_bytes=lost)


def _paired(old: Sequence[StoredVerdict], new: Sequence[VerdictRecord]) -> list[Pair]:
    """Each old verdict with the new one about the same recipient, else with one that is left over, else alone."""
    left = list(new)
    pairs: dict[int, VerdictRecord] = {}
    for wanted in (lambda a, b: a["recipient"] == b["recipient"] and a["kind"] == b["kind"], _same_person, _anyone):
        for verdict in old:
            if verdict["id"] not in pairs:
                match = next((record for record in left if wanted(verdict, record)), None)
                if match is not None:
                    left.remove(match)
                    pairs[verdict["id"]] = _with_what_was_learned(verdict, match)
    return [*((verdict, pairs.get(verdict["id"])) for verdict in old), *((None, record) for record in left)]


def _weighed(db: Database, pairs: Sequence[Pair]) -> tuple[list[Pair], Mapping[int, Any]]:
    """The pairs, each new record weighed against what else is known of its failure; and those readings, to be kept."""
    weighed: list[Pair] = []
    readings = {}
    for old, new in pairs:
        if old is None or new is None:
            weighed.append((old, new))
            continue
        record, said = judged_again(db, old, new)
        weighed.append((old, record))
        if said:
            readings[old["id"]] = said
    return weighed, readings


def _proof(found: Bounce | NotABounce, old: StoredVerdict | None, new: VerdictRecord) -> Proof | None:
    """What proves the new record: what proved the old one, where that is a proof of the new one too.

    Fetches nothing: where Gmail would have to be asked, the next run asks.
    """
    if old is not None and old["proof"] in ("ses", "given"):
        return Proof(old["proof"], old["proof_why"] or "")
    if not isinstance(found, Bounce):
        return None
    in_sent = True if old is not None and old["proof"] else None
    is_alias = True if old is not None and old["proof"] == "alias" else None
    return proof_of(new, notice_of(found), in_sent=in_sent, is_alias=is_alias)


def _labels(
    found: Bounce | NotABounce,
    mail: MailAgain,
    pairs: Sequence[Pair],
    proofs: Sequence[Proof | None],
    settings: Settings,
) -> tuple[Action, ...]:
    """The labels that the new verdicts ask for; a thread gets its notes from runs."""
    if not isinstance(found, Bounce):
        return ()
    kept = [(new, proof or Proof(None, "")) for (_, new), proof in zip(pairs, proofs, strict=True) if new is not None]
    judged = Judged(StoredMail(mail.source, mail.gmail_id, mail.thread_id), found, tuple(new for new, _ in kept))
    actions = actions_of(judged, [proof for _, proof in kept], settings)
    return tuple(action for action in actions if action.kind == "label")


def _same_person(old: StoredVerdict, new: VerdictRecord) -> bool:
    return bool(old["recipient"] == new["recipient"])


def _anyone(old: StoredVerdict, new: VerdictRecord) -> bool:
    return True


def _with_what_was_learned(old: StoredVerdict, new: VerdictRecord) -> VerdictRecord:
    """The new record with what events told of the mail since the bounce was first read."""
    known: Mapping[str, Any] = old["original"] or {}
    told: Mapping[str, Any] = new["original"] or {}
    learned = {key: known[key] for key in LEARNED if known.get(key) and not told.get(key)}
    if not learned:
        return new
    original = {**dict.fromkeys(store.ORIGINAL_KEYS), **told, **learned}
    return cast(VerdictRecord, {**new, "original": original})


def _move(mail: MailAgain, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> Move | None:
    if old is not None and new is not None:
        fields = {key: (old[key], new[key]) for key in JUDGED if old[key] != new[key]}
        if not fields:
            return None
        return Move("moved", mail.id, mail.source, old["id"], new["recipient"], fields)
    record = old or new or {}
    fields = {key: (old and old[key], new and new[key]) for key in ("kind", "category", "cause") if record[key]}
    change: MoveKind = "added" if new is not None else "gone"
    return Move(change, mail.id, mail.source, old["id"] if old else None, record["recipient"], fields)


def _differs(old: StoredVerdict, new: VerdictRecord) -> bool:
    return any(old.get(key) != new.get(key) for key in (*JUDGED, *WORDED, "original"))


def move_lines(rejudged: Rejudged) -> Iterator[str]:
    """What moves, for a human: one line for each verdict, one for each field below it."""
    from triage.display import shown

    words = {"moved": "would move", "added": "would be added", "gone": "would go"}
    if rejudged.written:
        words = {"moved": "moved", "added": "added", "gone": "gone"}
    for move in rejudged.moves:
        number = f"#{move.verdict_id} " if move.verdict_id else ""
        yield f"{number}{shown(move.recipient or 'nobody by name', 254)} ({shown(move.source)}) {words[move.change]}:"
        for name, (old, new) in move.fields.items():
            yield f"  {name}: {_value(old)} -> {_value(new)}"


def _value(value: Any) -> str:
    from triage.display import shown

    return "nothing" if value is None else str(value).lower() if isinstance(value, bool) else shown(value)


def rejudged_json(rejudged: Rejudged) -> dict[str, Any]:
    """The same for a program."""
    return {
        "mails": rejudged.mails,
        "written": rejudged.written,
        "reworded": rejudged.reworded,
        "without_bytes": rejudged.without_bytes,
        "failed": [{"source": source, "why": why} for source, why in rejudged.failed],
        "moves": [
            {
                "change": move.change,
                "id": move.verdict_id,
                "mail_id": move.mail_id,
                "source": move.source,
                "recipient": move.recipient,
                "fields": {name: {"old": old, "new": new} for name, (old, new) in move.fields.items()},
            }
            for move in rejudged.moves
        ],
    }
