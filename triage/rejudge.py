"""Judges the stored bounces again by the parsers and rules of today, and says which verdicts come out differently.

Shows first, writes only when told to, one transaction for each mail. Fetches nothing; what SES and AWS added to a
verdict stays. Labels for new categories are planned, and set by the next run; labels that no longer fit stay, for
`undo` or the owner to take off. Prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from triage import store, store_incidents, store_rejudge
from triage.classify import classify
from triage.config import Settings
from triage.errors import TriageError
from triage.events import read_again
from triage.judge import plan, why_failed
from triage.lock import locked

if TYPE_CHECKING:
    from sqlite_utils import Database

Record = Mapping[str, Any]
Change = Literal["moved", "added", "gone"]

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

    change: Change
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


Progress = Callable[[int, int | None], None]


def rejudge(settings: Settings, at: datetime, *, apply: bool = False, progress: Progress | None = None) -> Rejudged:
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
        store_incidents.settle_all(db, at)
        return result


def _rejudged(db: Database, settings: Settings, at: datetime, progress: Progress | None, *, apply: bool) -> Rejudged:
    moves: list[Move] = []
    failed: list[tuple[str, str]] = []
    reworded = count = 0
    ids = store_rejudge.mails_with_bytes(db)
    for count, mail_id in enumerate(ids, start=1):
        mail = store_rejudge.read_mail(db, mail_id)
        try:
            new = [verdict.record() for verdict in classify(read_again(mail["source"], mail["bytes"]), mail["source"])]
            pairs = _paired(store.verdicts_of(db, mail_id), new)
            moved = [move for old, record in pairs if (move := _move(mail, old, record))]
            others = sum(bool(old and record and _differs(old, record)) for old, record in pairs) - sum(
                move.change == "moved" for move in moved
            )
            if apply and (moved or others):
                actions = plan(new, mail["thread_id"], in_sent=mail["in_sent"], prefix=settings.label_prefix)
                store_rejudge.rewrite(db, mail, pairs, actions, at)
        except TriageError:
            raise
        except Exception as error:
            failed.append((mail["source"], why_failed(error)))
        else:
            moves += moved
            reworded += others
        if progress:
            progress(count, len(ids))
    return Rejudged(count, tuple(moves), reworded, tuple(failed), written=apply)


def _paired(old: Sequence[Record], new: Sequence[dict[str, Any]]) -> list[tuple[Record | None, dict[str, Any] | None]]:
    """Each old verdict with the new one about the same recipient, else with one that is left over, else alone."""
    left = list(new)
    pairs: dict[int, dict[str, Any]] = {}
    for wanted in (lambda a, b: a["recipient"] == b["recipient"] and a["kind"] == b["kind"], _same_person, _anyone):
        for verdict in old:
            if verdict["id"] not in pairs:
                match = next((record for record in left if wanted(verdict, record)), None)
                if match is not None:
                    left.remove(match)
                    pairs[verdict["id"]] = _with_what_was_learned(verdict, match)
    return [*((verdict, pairs.get(verdict["id"])) for verdict in old), *((None, record) for record in left)]


def _same_person(old: Record, new: Record) -> bool:
    return bool(old["recipient"] == new["recipient"])


def _anyone(old: Record, new: Record) -> bool:
    return True


def _with_what_was_learned(old: Record, new: dict[str, Any]) -> dict[str, Any]:
    """The new record with what events told of the mail since the bounce was first read."""
    known, told = old["original"] or {}, new["original"] or {}
    learned = {key: known[key] for key in LEARNED if known.get(key) and not told.get(key)}
    if not learned:
        return new
    return new | {"original": dict.fromkeys(store.ORIGINAL_KEYS) | told | learned}


def _move(mail: Mapping[str, Any], old: Record | None, new: Record | None) -> Move | None:
    if old is not None and new is not None:
        fields = {key: (old[key], new[key]) for key in JUDGED if old[key] != new[key]}
        if not fields:
            return None
        return Move("moved", mail["id"], mail["source"], old["id"], new["recipient"], fields)
    record = old or new or {}
    fields = {key: (old and old[key], new and new[key]) for key in ("kind", "category", "cause") if record[key]}
    change: Change = "added" if new is not None else "gone"
    return Move(change, mail["id"], mail["source"], old["id"] if old else None, record["recipient"], fields)


def _differs(old: Record, new: Record) -> bool:
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


def as_json(rejudged: Rejudged) -> dict[str, Any]:
    """The same for a program."""
    return {
        "mails": rejudged.mails,
        "written": rejudged.written,
        "reworded": rejudged.reworded,
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
