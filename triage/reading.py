"""The reading half of a run over Gmail: what is new, its bytes, what it is, and what should be done about it.

Shared with the dry run, so it writes nothing but which mails are about to be fetched (`is_working`), by which a mail
that ends the program is known afterwards. Sizes are asked for before anything is fetched: what is large comes alone,
what is too large is judged by its headers and the line of text that Gmail shows of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from triage import store
from triage.config import Settings
from triage.errors import ConfigError, TriageError, TryLater
from triage.gmail import Gmail, RawMessage, Ref, Refused, Sent, Streak, Unavailable, bounce_query, of_mailbox
from triage.judging import judge_stored
from triage.letters import NOTE_DOMAIN
from triage.model import Failed, Judged, Outcome, Progress, StoredMail
from triage.plan import planned
from triage.store import names

if TYPE_CHECKING:
    from sqlite_utils import Database

LARGE_BYTES = 256 * 1024
"""What is larger is fetched alone: ten of these are little, ten times 25 MB are too much for a small server."""
MOST_FETCHED = 8 * 1024 * 1024
"""What is larger is fetched only by hand. A bounce says why in its first kilobytes; then follows the returned mail."""
MOST_BY_HAND = 25 * 1024 * 1024
"""And what is larger not even then (`triage retry`): a run has 200 MB."""
BY_WIRE = 1.5
"""How much longer an answer of Gmail may be: it is base64 and a little more."""
MOST_PROBED = 5
"""Mails looked for after a new sign-in; the owner may have deleted some."""
ENDED_TWICE = 2
"""So many runs that ended in the middle of a mail: its bytes are left alone."""
ENDED_OFTEN = 5
"""And so many: it is not looked at any more."""


class _Doubts(NamedTuple):
    """What speaks against fetching some mails like any other."""

    large: frozenset[str]
    too_large: frozenset[str]
    ended: Mapping[str, int]
    """How many runs ended in the middle of it."""


def judge_mailbox(
    gmail: Gmail,
    sent: Sent,
    db: Database | None,
    settings: Settings,
    started_at: datetime,
    since: datetime | None,
    progress: Progress | None,
    *,
    is_working: bool,
    listed: list[str] | None = None,
) -> Iterator[Outcome]:
    """Every mail not judged yet, the oldest first. `db` None: nothing is known yet; `is_working`: it may be written.

    `listed` is given the ids of all that Gmail named, known or not.
    """
    again = store.failed_mails(db, started_at) if db else []
    after = look_back(db, settings, started_at, since)
    query = bounce_query(int(after.timestamp()), settings.subjects, not_from=NOTE_DOMAIN)
    refs = _search(gmail, query)
    if db and is_working and not refs and (problem := names.doubts_search(db, started_at, gmail.search_problem)):
        raise TryLater(
            f"{problem}: nothing can be read.",
            "Nothing: the next run asks again. If it lasts, search in Gmail itself for any mail you see.",
        )
    if listed is not None:
        listed += [ref.id for ref in refs]
    known = store.known_gmail_ids(db, (ref.id for ref in refs)) if db else set()
    if db and is_working and known:
        store.take_up_returned(db, known)
    # Gmail lists the newest first, more or less.
    new = [StoredMail(f"gmail:{ref.id}", ref.id, ref.thread_id) for ref in reversed(refs) if ref.id not in known]
    at_hand = [mail for mail in again if mail.raw is not None]  # only our own code failed: no need to fetch it again
    to_fetch = {mail.gmail_id: mail for mail in (*again, *new) if mail.raw is None and mail.gmail_id}
    total = len(at_hand) + len(to_fetch)
    fetched = _fetch(gmail, db, to_fetch, query, {mail.gmail_id for mail in new}, started_at, is_working)
    for count, mail in enumerate(chain(at_hand, fetched), start=1):
        yield mail if isinstance(mail, Failed) else looked_at(mail, settings, sent if mail.gmail_id else None)
        if progress:
            progress(count, total)


def own_mailbox(db: Database, gmail: Gmail) -> None:
    """See, after a new sign-in, that this is the mailbox the database is about. Raises ConfigError for another.

    Of another only the last days would be read, and what is known of the first would be told of it. Where nobody knows
    the address yet (1 unit), the mails on record tell: their ids are in no other mailbox (20 units each).
    """
    owner, mark = names.read_owner(db)
    if mark is None or mark == gmail.sign_in_mark:
        return
    try:
        address = gmail.profile_address()
    except Refused as refusal:
        raise of_mailbox(refusal) from None
    known = names.newest_gmail_ids(db, MOST_PROBED)
    if owner is None:
        is_same = not known or any(_is_there(gmail, gmail_id) for gmail_id in known)
    else:
        is_same = owner.lower() == address.lower()
    if not is_same:
        first = owner or "the account it was made with"
        raise ConfigError(
            f"This database is about another mailbox ({first}) than the one that is signed in, {address}.",
            f"Run `triage auth` as {first}, or set `database` to another file for {address}.",
        )
    names.keep_owner(db, address, gmail.sign_in_mark)


def _is_there(gmail: Gmail, gmail_id: str) -> bool:
    try:
        return gmail.sent_copy(gmail_id) is not None
    except Refused as refusal:
        if refusal.status in (400, 404):  # an id of another mailbox is unknown here, or no id at all
            return False
        raise


def looked_at(mail: StoredMail, settings: Settings, sent: Sent | None) -> Outcome:
    """A mail with its bytes, judged, with what is to be done; `sent` None: it is from a file."""
    judged = judge_stored(mail)
    if isinstance(judged, Judged) and judged.bounce is None and mail.remark is not None:
        return Failed(replace(mail, raw=None), f"{mail.remark}, and that does not tell what it is", "kept")
    return judged if isinstance(judged, Failed) else planned(judged, settings, sent)


def look_back(db: Database | None, settings: Settings, started_at: datetime, since: datetime | None) -> datetime:
    """From when on to list. The overlap is free, because ids that are known are not fetched again."""
    cursor = store.read_cursor(db) if db else None
    wanted = [moment for moment in (since, store.wanted_since(db) if db else None) if moment is not None]
    first = started_at - timedelta(days=settings.since_days)
    if cursor is None:
        has_looked = db is not None and names.read_owner(db)[1] is not None  # and found nothing: no narrower than that
        return min([*wanted, first]) if has_looked or not wanted else min(wanted)
    # A clock that was ahead for a while must not hide the mails of that while.
    return min([min(cursor, started_at) - timedelta(hours=settings.overlap_hours), *wanted])


def _fetch(
    gmail: Gmail,
    db: Database | None,
    wanted: Mapping[str, StoredMail],
    query: str,
    new: Collection[str | None],
    at: datetime,
    is_working: bool,
) -> Iterator[StoredMail | Failed]:
    if not wanted:
        return
    doubts = _doubts(gmail, db, wanted, query, new)
    starting = partial(store.begin_fetches, db, at=at) if db and is_working else None
    trouble = Streak()
    ids = _in_order(wanted, doubts)
    by_hand = store.wanted_whole(db) if db else set()
    singly = doubts.large | set(doubts.ended) | by_hand
    by_bytes = [one for one in ids if _is_fetched(one, doubts, by_hand)]
    usual = gmail.get_raw(
        [one for one in by_bytes if one not in by_hand],
        singly=singly,
        starting=starting,
        most_bytes=int(MOST_FETCHED * BY_WIRE),
    )
    last = gmail.get_raw(
        [one for one in by_bytes if one in by_hand],
        singly=singly,
        starting=starting,
        most_bytes=int(MOST_BY_HAND * BY_WIRE),
    )
    try:
        for answer in chain(usual, last):
            mail = wanted[answer.id]
            if isinstance(answer, RawMessage):
                yield replace(mail, thread_id=answer.thread_id, received_at=answer.internal_at, raw=answer.raw)
            elif answer.is_too_much:
                yield _outlined(gmail, mail, f"its bytes could not be taken in ({answer.why})", trouble)
            else:
                yield _not_had(mail, answer)
        for one in ids:
            if not _is_fetched(one, doubts, by_hand):
                if starting:
                    starting([one])
                yield _without_bytes(gmail, wanted[one], doubts, trouble)
    except TriageError:
        if starting and db:
            store.end_fetches(db, at)
        raise


def _in_order(wanted: Mapping[str, StoredMail], doubts: _Doubts) -> list[str]:
    """What made trouble before comes last; of mails that runs ended in, the first was the likeliest to end them."""
    ids = sorted(wanted, key=lambda one: wanted[one].put_off)
    healthy = [one for one in ids if one not in doubts.ended]
    return healthy + sorted((one for one in reversed(ids) if one in doubts.ended), key=lambda one: doubts.ended[one])


def _doubts(
    gmail: Gmail, db: Database | None, wanted: Iterable[str], query: str, new: Collection[str | None]
) -> _Doubts:
    """Ask which of the mails are large (5 units), and which of them too large (5 more where any is)."""
    ended = store.unfinished_fetches(db) if db else {}
    large = _larger(gmail, query, LARGE_BYTES) if new else frozenset()
    too_large = _larger(gmail, query, MOST_FETCHED) if not large.isdisjoint(wanted) else frozenset()
    # What is asked for again may be older than what was listed: its size is not known.
    return _Doubts(large | (set(wanted) - set(new)), too_large, ended)


def _larger(gmail: Gmail, query: str, size: int) -> frozenset[str]:
    return frozenset(ref.id for ref in _search(gmail, f"{query} larger:{size}"))


def _search(gmail: Gmail, query: str) -> list[Ref]:
    """All that a search finds; a refusal is about no single mail, so the run is for later."""
    try:
        return list(gmail.list_refs(query))
    except Refused as refusal:
        raise of_mailbox(refusal) from None


def _is_fetched(one: str, doubts: _Doubts, by_hand: Collection[str]) -> bool:
    return (one not in doubts.too_large or one in by_hand) and doubts.ended.get(one, 0) < ENDED_TWICE


def _without_bytes(gmail: Gmail, mail: StoredMail, doubts: _Doubts, trouble: Streak) -> StoredMail | Failed:
    """A mail by its headers, and why its bytes are left alone."""
    ended = doubts.ended.get(mail.gmail_id or "", 0)
    why = f"{ended} runs ended in the middle of it" if ended else f"larger than {MOST_FETCHED // 1024**2} MB"
    return Failed(mail, why, "kept") if ended >= ENDED_OFTEN else _outlined(gmail, mail, why, trouble)


def _outlined(gmail: Gmail, mail: StoredMail, why: str, trouble: Streak) -> StoredMail | Failed:
    try:
        answer = gmail.outline(mail.gmail_id or "")
    except TryLater as error:
        trouble.met(error)
        return Failed(mail, error.what, "put-off")
    trouble.over()
    if isinstance(answer, Unavailable):
        return _not_had(mail, answer)
    size = f"{answer.size / 1e6:.1f} MB, " if answer.size > LARGE_BYTES else ""
    return replace(
        mail,
        thread_id=answer.thread_id,
        received_at=answer.internal_at,
        raw=answer.raw,
        remark=f"not fetched ({size}{why}): only its headers and its beginning are known",
    )


def _not_had(mail: StoredMail, answer: Unavailable) -> Failed:
    return Failed(mail, answer.why, "put-off" if answer.is_passing else "missing" if answer.gone else "again")
