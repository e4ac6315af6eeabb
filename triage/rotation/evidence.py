"""What speaks for and against Gmail using the login that is to be kept: the owner's word alone is not enough.

Reads the database and, where somebody is signed in, the mailbox. Nothing found here tells the old key from the new one,
because SES does not say which key a mail came with; that a mail left after the hand-over, that no alias failure came
since, and that the owner says so, together are the proof. What could not be looked at is said, never taken for a yes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from parsers.times import minute_text
from remediation.rotation import Rotation, Stop
from triage import store
from triage.errors import TriageError
from triage.rows import AliasFailureRow

if TYPE_CHECKING:
    from sqlite_utils import Database

    from triage.gmail import Gmail

MAX_MAILS = 20
"""How many mails from the alias are looked at."""


@dataclass(frozen=True, slots=True)
class Sign:
    """Something that happened, in words."""

    at: datetime
    words: str


@dataclass(frozen=True, slots=True)
class HandOverSigns:
    """Everything found since the hand-over."""

    sent: tuple[Sign, ...] = ()
    """Mail that left from the alias."""
    failed: tuple[Sign, ...] = ()
    """Alias failures."""
    missing: tuple[str, ...] = ()
    """What could not be looked at, and why."""


def read_signs(db: Database, rotation: Rotation, connect: Callable[[], Gmail] | None) -> HandOverSigns:
    """Look everywhere for signs since Gmail may have the login; `connect` None: nobody is signed in to Gmail."""
    since = rotation.offered_at or rotation.started_at
    # What Gmail's API said when it took the login stands in `evidence` until the owner confirms.
    sent = [Sign(since, rotation.evidence)] if rotation.evidence and rotation.confirmed_at is None else []
    missing: list[str] = []
    if rotation.alias is None:
        missing.append("mail from the alias, because the alias is not named (smtp_alias)")
    else:
        events = store.ses_sends(db, rotation.alias, since)
        if events is None:
            missing.append("SES events, because none are collected")
        sent += [Sign(at, f"SES took a mail from {rotation.alias} at {minute_text(at)}") for at in events or ()]
        if connect is None:
            missing.append("mails in Gmail, because nobody is signed in")
        else:
            try:
                with closing(connect()) as gmail:
                    sent += _arrived(gmail, rotation.alias, since)
            except TriageError as error:
                missing.append(f"mails in Gmail: {error.what}")
    failures = store.failures_of_alias(db, rotation.alias, since)
    failed = [Sign(datetime.fromisoformat(row["received_at"]), _failure(row)) for row in failures]
    return HandOverSigns(tuple(sent), tuple(failed), tuple(missing))


def weigh(evidence: HandOverSigns, *, owner_tested: bool) -> str | Stop:
    """What the confirmation rests on, or why it cannot stand."""
    last_sent = max(evidence.sent, key=lambda sign: sign.at, default=None)
    last_failed = max(evidence.failed, key=lambda sign: sign.at, default=None)
    if owner_tested:
        found = last_sent.words if last_sent else "no other evidence"
        return f"the owner tested it (--yes-i-tested); {found}"
    if last_failed and not (last_sent and last_sent.at > last_failed.at):
        return Stop(
            f"{last_failed.words}, and nothing was seen to leave after that.",
            "Enter the login in Gmail again, send a test mail, run `triage run`, then confirm once more; or add"
            " --yes-i-tested if that failure has another reason.",
        )
    if last_sent:
        return last_sent.words
    could_not = f" Could not look at: {'; '.join(evidence.missing)}." if evidence.missing else ""
    return Stop(
        f"No mail from the alias was seen to leave since the new login was handed over.{could_not}",
        "Send one from the alias to yourself, then confirm again; if you have seen one arrive, add --yes-i-tested.",
    )


def _arrived(gmail: Gmail, alias: str, since: datetime) -> list[Sign]:
    """Mails from the alias that came back into this very mailbox by way of SES, after the hand-over."""
    from triage.gmail import RawMessage

    query = f"from:{alias} after:{int(since.timestamp())} -in:chats -in:drafts"
    refs = [ref.id for ref, _ in zip(gmail.list_refs(query), range(MAX_MAILS), strict=False)]
    mails: Iterable[Any] = gmail.get_raw(refs)
    signs = [_through_ses(mail.raw, alias, since) for mail in mails if isinstance(mail, RawMessage)]
    return [sign for sign in signs if sign]


def _through_ses(raw: bytes, alias: str, since: datetime) -> Sign | None:
    """The sign a mail is, if Gmail vouches for it and its SES id was given after `since` (the Sent copy has none)."""
    from parsers.genuine import authenticity
    from parsers.mime import address, open_headers_of
    from parsers.ses_ids import ses_ids

    headers = open_headers_of(raw)
    if (address(headers.raw("from")) or "").lower() != alias.lower() or authenticity(headers).result != "pass":
        return None
    times = [found.sent_at for found in ses_ids(headers.raw("message-id") or "") if found.sent_at]
    if not times or times[0] < since:
        return None
    return Sign(times[0], f"a mail from {alias} that SES took at {minute_text(times[0])} arrived in this mailbox")


def _failure(row: AliasFailureRow) -> str:
    return f"An alias failure came at {row['received_at']} ({row['cause']})"
