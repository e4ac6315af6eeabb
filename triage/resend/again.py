"""Gives mails once more to the people they did not reach: as drafts in their conversations, or through the SES API.

Finds out who was hit and what they missed, leaves out whom the mail reached since, finds each mail in Sent. `put_back`
makes drafts and sends nothing. `send` sends (beside it only `triage.outbox` does): once to each person
however often it is called and wherever it is killed, because a row is written before SES is asked and nothing is sent
on a row that is there. What nobody knows to have been sent is shown, never repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from remediation.aws import NOT_SENT, Allowance, NotLookedUp, send_raw, suppressed_destination
from triage import store
from triage.display import when_words
from triage.errors import TriageError
from triage.gmail import Gmail, OutcomeUnknown
from triage.letters import NOTE_DOMAIN, Inserted, insert_once
from triage.model import Clock
from triage.resend.items import Item, Mails, in_sent
from triage.resend.mail import as_draft, read_sent, resend_id, to_send
from triage.rows import ResendRow

if TYPE_CHECKING:
    from sqlite_utils import Database

# SES's words for what the next mail would meet as well.
_FOR_ALL = frozenset(
    {"MessageRejected", "SendingPausedException", "AccountSuspendedException", "MailFromDomainNotVerifiedException"}
)


NOT_THEIRS = "the mail in Sent was not written to this address"


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What became of one item. `was_done`: the draft is there, SES has the mail."""

    item: Item
    was_done: bool
    words: str


def put_back(db: Database, gmail: Gmail, items: Sequence[Item], now: Clock) -> Iterator[ItemResult]:
    """Put every mail that is ready among the drafts of its conversation, one draft for all it did not reach."""
    for row in store.drafts_in_doubt(db):
        if there := gmail.find_message_id(row["message_id"]):
            store.finish_resend(db, row["message_id"], now(), gmail_id=there[0].id)
    for group in _by_mail(items):
        yield from _draft(db, gmail, group, now())


def send(
    db: Database,
    gmail: Gmail,
    items: Sequence[Item],
    region: str,
    allowed: Allowance,
    now: Clock,
    sleep: Callable[[float], None],
) -> Iterator[ItemResult]:
    """Send every mail that is ready through SES, to one person at a time, and file a copy in its conversation.

    Goes no faster and no further than SES allows. Ends early where the next mail would be refused for the same reason.
    """
    left = allowed.left
    mails = Mails(gmail)
    has_sent, stopped = False, None
    for item in items:
        if not item.is_ready:
            continue
        if stopped or left == 0:
            words = stopped or "the sending quota of SES is used up: ask again tomorrow"
            yield ItemResult(item, False, f"not sent: {words}")
            continue
        entry = suppressed_destination(region, item.recipient)
        if entry is not None:
            yield ItemResult(item, False, _suppressed(entry))
            stopped = entry.why if isinstance(entry, NotLookedUp) and entry.concerns_all else None
            continue
        if has_sent:
            sleep(1 / allowed.per_second)
        outcome, stopped = _send(db, mails, item, region, now())
        has_sent = has_sent or outcome.was_done
        left = left - 1 if left is not None and outcome.was_done else left
        yield outcome


def file_copies(db: Database, gmail: Gmail, now: datetime) -> list[str]:
    """Put the copies that are missing into their conversations; returns what could not be done, in words.

    A copy is inserted, not sent, and only once (see `insert_once`).
    """
    mails = Mails(gmail)
    return [problem for row in store.without_copy(db) if (problem := _file_copy(db, mails, row, now))]


def _file_copy(db: Database, mails: Mails, row: ResendRow, now: datetime) -> str | None:
    """File one copy; why it is not filed, None: it is."""
    what = f"the copy of the mail to {row['recipient']}"
    try:
        sent = next(iter(in_sent(mails.gmail, row["original_id"])), None)
        message = mails.get(sent.id) if sent else None
        if message is None:
            return f"{what} is not filed: its original is no longer in Sent"
        raw = to_send(read_sent(message.raw), row["message_id"], datetime.fromisoformat(row["started_at"]))
        key = f"copy {row['message_id']}"
        thread_id, labels = row["thread_id"], ("SENT",)
        filed = insert_once(
            mails.gmail, db, key, row["message_id"], lambda: raw, thread_id=thread_id, label_ids=labels, now=now
        )
    except TriageError as error:
        return f"{what} is not filed: {error.what}"
    if not isinstance(filed, Inserted):
        return f"{what} is not filed: {filed.why}"
    store.file_copy(db, row["message_id"], filed.gmail_id)
    return None


# -- drafts ---------------------------------------------------------------------------------------------------------


def _by_mail(items: Sequence[Item]) -> list[list[Item]]:
    groups: dict[str, list[Item]] = {}
    for item in items:
        if item.is_ready and item.original_id:
            groups.setdefault(item.original_id, []).append(item)
    return list(groups.values())


def _draft(db: Database, gmail: Gmail, group: Sequence[Item], now: datetime) -> Iterator[ItemResult]:
    first = group[0]
    assert first.sent is not None
    assert first.original_id is not None
    message = Mails(gmail).get(first.sent.id)
    if message is None:
        yield from (ItemResult(item, False, "the mail could not be read out of Sent") for item in group)
        return
    mail = read_sent(message.raw)
    yield from (ItemResult(item, False, NOT_THEIRS) for item in group if not mail.went_to(item.recipient))
    group = [item for item in group if mail.went_to(item.recipient)]
    if not group:
        return
    people = {item.recipient: item.verdict_id for item in group}
    key = " ".join(sorted(address.lower() for address in people))
    message_id = resend_id(first.original_id, key, "draft", NOTE_DOMAIN)
    raw = as_draft(mail, list(people), message_id)
    thread_id = first.sent.thread_id
    if not store.begin_resend(db, first.original_id, people, "draft", message_id, now, thread_id=thread_id, again=True):
        yield from (ItemResult(item, False, "it was put back before") for item in group)
        return
    try:
        ref = gmail.create_draft(raw, thread_id)
    except OutcomeUnknown as unknown:
        store.doubt_resend(db, message_id, unknown.what)
        yield from (ItemResult(item, False, "perhaps put back: look into the conversation") for item in group)
        return
    except TriageError as error:
        store.refuse_resend(db, message_id, error.what)
        raise
    store.finish_resend(db, message_id, now, gmail_id=ref.id)
    where = "in its conversation" if ref.thread_id == thread_id else "in a conversation of its own"
    yield from (ItemResult(item, True, f"a draft lies {where}") for item in group)


# -- through SES ----------------------------------------------------------------------------------------------------


def _suppressed(entry: Any) -> str:
    if isinstance(entry, NotLookedUp):
        rights = "; `triage doctor --iam-policy resend` prints the rights it takes" if entry.kind == "denied" else ""
        return f"not sent: whether SES would deliver it is not known ({entry.why}{rights})"
    return (
        f"not sent: SES keeps mail to this address back ({entry.reason} since {when_words(entry.since)});"
        f" `triage check-address {entry.address}` tells more"
    )


def _send(db: Database, mails: Mails, item: Item, region: str, now: datetime) -> tuple[ItemResult, str | None]:
    """Send one mail to one person; (what came of it, why the next ones would fail as well or None)."""
    assert item.sent is not None
    assert item.original_id is not None
    message = mails.get(item.sent.id)
    mail = read_sent(message.raw) if message else None
    if message is None or mail is None or mail.sender is None:
        return ItemResult(item, False, "not sent: the mail could not be read out of Sent"), None
    if not mail.went_to(item.recipient):
        return ItemResult(item, False, f"not sent: {NOT_THEIRS}"), None
    message_id = resend_id(item.original_id, item.recipient, "ses", mail.sender.rpartition("@")[2])
    raw = to_send(mail, message_id, now)
    thread_id = item.sent.thread_id
    people = {item.recipient: item.verdict_id}
    if not store.begin_resend(db, item.original_id, people, "ses", message_id, now, thread_id=thread_id, region=region):
        return ItemResult(item, False, "not sent: it was sent before, or perhaps was"), None
    answer = send_raw(region, raw, mail.sender, [item.recipient])
    if isinstance(answer, NotLookedUp):
        return _not_sent(db, item, message_id, answer)
    store.finish_resend(db, message_id, now, ses_message_id=answer)
    row = store.read_resends(db, item.original_id, item.recipient)["ses"]
    problem = _file_copy(db, mails, row, now)
    return ItemResult(item, True, f"sent through SES ({answer})" + (f"; {problem}" if problem else "")), None


def _not_sent(db: Database, item: Item, message_id: str, answer: NotLookedUp) -> tuple[ItemResult, str | None]:
    if answer.kind in NOT_SENT:
        store.refuse_resend(db, message_id, answer.why)
        is_over = answer.kind != "refused" or answer.code in _FOR_ALL
        return ItemResult(item, False, f"not sent: {answer.why}"), answer.why if is_over else None
    store.doubt_resend(db, message_id, answer.why)
    outcome = ItemResult(replace(item, is_in_doubt=True), False, f"perhaps sent: {answer.why}")
    return outcome, answer.why  # the rest would only be in doubt as well
