"""Who was hit, what they missed, and whether each of these mails can be given once more. Reads only; sends nothing.

Leaves out whom the mail reached since, who was given it again, and whom the owner wrote to again about the same. What
was perhaps sent, and nobody knows, is shown with the way to settle it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from remediation import load_causes
from triage import store
from triage.display import shown, when_words
from triage.gmail import Gmail, RawMessage, Ref
from triage.letters import SEARCH_LAG
from triage.resend.mail import read_sent
from triage.rows import HitRow, ResendRow

if TYPE_CHECKING:
    from sqlite_utils import Database

PEOPLE_AT_ONCE = 20
"""Addresses of one search; the query stays far below what an address line may hold."""
MOST_LATER = 5
"""Later mails to the same person that are looked at."""

# Addresses and ids come from strangers' mails and go into a search of ours: each must stay one word.
_SEARCHABLE_ID = re.compile(r"[^\s\"(){}:]{3,250}")
_SEARCHABLE_ADDRESS = re.compile(r"[A-Za-z0-9._%+=&'~-]{1,64}@[A-Za-z0-9.-]{1,255}")
_REPLY = re.compile(r"\s*(?:re|aw|sv|rv|fwd?|wg|antw)\s*:\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Item:
    """A mail somebody did not get, and whether it can be given once more."""

    recipient: str
    """The address it was written to."""
    verdict_id: int
    title: str
    """Why it failed, in the catalogue's words."""
    cause: str
    subject: str | None
    sent_at: str | None
    sender: str | None
    sent: Ref | None = None
    """The mail in Sent; None: it is not there."""
    original_id: str | None = None
    """Its Message-ID."""
    why_not: str | None = None
    """Why it is left out; None: it is ready to be given once more."""
    is_in_doubt: bool = False
    """Whether it was perhaps sent before, and nobody knows."""

    @property
    def is_ready(self) -> bool:
        """Whether it can be given once more."""
        return self.why_not is None


@dataclass(slots=True)
class Mails:
    """Mails of Sent, each fetched once."""

    gmail: Gmail
    known: dict[str, RawMessage | None] = field(default_factory=dict)
    found: dict[str, list[Ref]] = field(default_factory=dict)
    silent: set[int] = field(default_factory=set)
    """Verdicts about people to whom nothing was written since."""

    def get(self, message_id: str) -> RawMessage | None:
        if message_id not in self.known:
            (answer,) = self.gmail.get_raw([message_id])
            self.known[message_id] = answer if isinstance(answer, RawMessage) else None
        return self.known[message_id]

    def in_sent(self, message_id: str) -> list[Ref]:
        """As `in_sent`, asked once for each Message-ID: one mail may have failed for hundreds."""
        if message_id not in self.found:
            self.found[message_id] = in_sent(self.gmail, message_id)
        return self.found[message_id]

    def look_for_later(self, rows: Iterable[HitRow]) -> None:
        """Find out, for many people to a search (5 units), who of those one mail did not reach got nothing since."""
        left = [row for row in rows if _SEARCHABLE_ADDRESS.fullmatch(_written_to(row))]
        if len(left) < 2:
            return
        after = int(min(datetime.fromisoformat(row["received_at"]).timestamp() for row in left))
        for start in range(0, len(left), PEOPLE_AT_ONCE):
            group = left[start : start + PEOPLE_AT_ONCE]
            people = " ".join(dict.fromkeys(f"to:{_written_to(row)}" for row in group))
            if not any(True for _ in self.gmail.list_refs(f"in:sent after:{after} {{{people}}}")):
                self.silent.update(row["id"] for row in group)


def plan_items(db: Database, gmail: Gmail, found: Iterable[HitRow], now: datetime, *, way: store.Way) -> list[Item]:
    """What to do about these failures, one item for each person and mail, the most recent conversation first.

    Reads the mailbox and the database; writes nothing.
    """
    newest = _once_each(found)
    reached = store.reached_since(db, [row["id"] for row in newest])
    mails = Mails(gmail)
    by_mail: dict[str, list[HitRow]] = {}
    for row in newest:
        by_mail.setdefault(_mail_of(row), []).append(row)
    for rows in by_mail.values():
        mails.look_for_later(rows)
    items = [_item(db, mails, row, reached.get(row["id"]), now, way) for row in newest]
    return sorted(items, key=lambda item: item.sent_at or "", reverse=True)


def _once_each(found: Iterable[HitRow]) -> list[HitRow]:
    """The newest failure of each mail to each person."""
    newest: dict[tuple[str, str], HitRow] = {}
    for row in found:
        newest.setdefault((_written_to(row).lower(), _mail_of(row)), row)
    return list(newest.values())


def _mail_of(row: HitRow) -> str:
    return row["gmail_message_id"] or row["message_id"] or f"verdict {row['id']}"


def _written_to(row: HitRow) -> str:
    return str(row["original_recipient"] or row["recipient"])


def _item(db: Database, mails: Mails, row: HitRow, reached_at: str | None, now: datetime, way: store.Way) -> Item:
    cause = load_causes().get(row["cause"] or "")
    item = Item(
        recipient=_written_to(row),
        verdict_id=row["id"],
        title=cause.title if cause else row["cause"] or "not known why",
        cause=row["cause"] or "unknown",
        subject=row["subject"],
        sent_at=row["sent_at"] or row["received_at"],
        sender=row["sender"],
    )
    if reached_at:
        return replace(item, why_not=f"it got there after all ({when_words(reached_at)})")
    sent, original_id = _original(db, mails, row)
    if sent is None or original_id is None:
        return replace(item, why_not="the mail is not in Sent: write it again")
    item = replace(item, sent=sent, original_id=original_id)
    done = store.read_resends(db, original_id, item.recipient)
    for kept, row_ in done.items():
        why = _was_given(mails.gmail, kept, row_, now, way)
        if why:
            return replace(item, why_not=why, is_in_doubt=kept == "ses" and row_["state"] == "started")
    return replace(item, why_not=_written_since(db, mails, item, row))


def in_doubt_words(row: ResendRow) -> str:
    """What there is to say of a mail that was perhaps sent, and how to settle it."""
    why = f" ({shown(row['why'])})" if row["why"] else ""
    return (
        f"perhaps sent at {when_words(row['started_at'])}, and nobody knows{why}: ask the recipient, then"
        f" `triage resend --was-sent {row['id']}` or `--was-not-sent {row['id']}`"
    )


def _was_given(gmail: Gmail, kept: str, row: ResendRow, now: datetime, way: store.Way) -> str | None:
    """Why a mail is not given once more that was given before; None: nothing came of that."""
    if kept == "ses" and row["state"] == "done":
        return f"sent again through SES ({when_words(row['done_at'])})"
    if kept == "ses" and row["state"] == "started":
        return in_doubt_words(row)
    if kept == "draft" and row["state"] != "refused":
        there = gmail.find_message_id(row["message_id"])
        if there and way == "draft":
            return f"a draft of it lies in the conversation ({when_words(row['started_at'])})"
        if there:
            return "a draft of it lies in the conversation: send that, or delete it first"
        if row["state"] == "done" and way == "draft":
            return f"it was put back before ({when_words(row['done_at'])}), and you sent or deleted the draft"
        started = datetime.fromisoformat(row["started_at"])
        if row["state"] == "started" and now - started < SEARCH_LAG:
            return "a draft was perhaps made a moment ago; Gmail's search does not show it yet"
    return None


def _original(db: Database, mails: Mails, row: HitRow) -> tuple[Ref | None, str | None]:
    """The mail in Sent and the Message-ID it was found by: Gmail's own first, for behind SES the other is not ours."""
    ids = [row["gmail_message_id"], row["message_id"]]
    if row["ses_message_id"]:
        ids += store.client_ids(db, row["ses_message_id"])
    for message_id in dict.fromkeys(filter(None, ids)):
        for ref in mails.in_sent(message_id):
            return ref, message_id
    return None, None


def in_sent(gmail: Gmail, message_id: str) -> list[Ref]:
    """The mails in Sent with this Message-ID (5 units)."""
    if not _SEARCHABLE_ID.fullmatch(message_id):
        return []
    return list(gmail.list_refs(f"rfc822msgid:{message_id} in:sent"))


def _written_since(db: Database, mails: Mails, item: Item, row: HitRow) -> str | None:
    """Whether the owner wrote to this person again about the same, and that is not known to have failed."""
    if row["id"] in mails.silent or not _SEARCHABLE_ADDRESS.fullmatch(item.recipient):
        return None
    after = int(datetime.fromisoformat(row["received_at"]).timestamp())
    for ref in list(mails.gmail.list_refs(f"in:sent to:{item.recipient} after:{after}"))[:MOST_LATER]:
        message = mails.get(ref.id) if item.sent and ref.id != item.sent.id else None
        if message is None:
            continue
        later = read_sent(message.raw)
        is_same = ref.thread_id == (item.sent.thread_id if item.sent else None) or (
            item.subject is not None and _plain(later.value("subject")) == _plain(item.subject)
        )
        if is_same and later.message_id and not store.has_failed_again(db, [later.message_id], item.recipient):
            return f"you wrote again ({when_words(message.internal_at)})"
    return None


def _plain(subject: str | None) -> str:
    text = subject or ""
    while found := _REPLY.match(text):
        text = text[found.end() :]
    return " ".join(text.split()).casefold()
