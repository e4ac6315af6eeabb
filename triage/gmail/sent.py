"""What Sent says about the mail a bounce returns: whether it is there, from whom it says, to whom it says.

One object serves one run, asks each question once, and after three in a row that were not answered leaves Gmail alone
until the next run. An id, an address or a subject out of a bounce is a stranger's word: it never widens a search, and
what is found is compared with what the bounce claims.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from triage.errors import TryLater
from triage.gmail.answers import Refused
from triage.gmail.client import Gmail
from triage.gmail.messages import Ref, SentCopy
from triage.gmail.query import SENT_WITHIN, id_query, sent_query
from triage.gmail.streak import is_everywhere

MOST_IDS = 3
"""Message-IDs of one bounce that are looked for; 5 units each."""
MOST_COPIES = 2
"""Mails with one Message-ID that are compared; 20 units each."""
MOST_FAILURES = 3


class Claim(NamedTuple):
    """What a bounce says of the mail it returns. None: it does not say."""

    message_ids: tuple[str, ...]
    """The likeliest first."""
    sender: str | None
    subject: str | None
    sent_at: datetime | None


class Sent:
    """The Sent mails of one mailbox, during one run."""

    def __init__(self, gmail: Gmail) -> None:
        self._gmail = gmail
        self._copies: dict[str, list[SentCopy]] = {}
        self._found: dict[tuple[Claim, str], bool] = {}
        self._searched: set[str] = set()
        """The Message-IDs one search was spent on; the next recipient is looked up in the copies."""
        self._aliases: frozenset[str] | None = None
        self._failures = 0
        """In a row, of different questions: one term that Gmail trips over must not end the search for all others."""

    def holds(self, claim: Claim, recipients: Collection[str]) -> dict[str, bool | None]:
        """For each recipient (lower case) whether a mail in Sent is the one claimed and went to it; None: not known.

        Of one recipient mostly one search tells (5 units); of several the headers of the mail do (25 units), however
        many bounces name it. Raises what concerns the whole mailbox (CredentialsDead).
        """
        first = next(iter(claim.message_ids), "")
        (recipient,) = recipients if len(recipients) == 1 else (None,)
        if recipient is not None and (first not in self._searched or (claim, recipient) in self._found):
            self._searched.add(first)
            try:
                if self._is_found(claim, recipient):
                    return {recipient: True}
            except (Refused, TryLater) as error:
                self._failed(error)
                return {recipient: None}
        try:
            copies = [copy for copy in self._copies_of(claim.message_ids[:MOST_IDS]) if _is_claimed(copy, claim)]
        except (Refused, TryLater) as error:
            self._failed(error)
            return dict.fromkeys(recipients)
        return {recipient: any(recipient in copy.recipients for copy in copies) for recipient in recipients}

    def is_alias(self, sender: str | None) -> bool | None:
        """Whether this account sends from an address through a server of its own (1 unit, once); None: not known."""
        if self._aliases is None:
            try:
                self._may_ask()
                self._aliases = frozenset(one.address.lower() for one in self._gmail.send_as() if one.host)
            except (Refused, TryLater) as error:
                self._failed(error)
                return None
        return sender is not None and sender.lower() in self._aliases

    def _is_found(self, claim: Claim, recipient: str) -> bool:
        key = (claim, recipient)
        if key not in self._found:
            queries = (sent_query(i, recipient, claim.sender, claim.sent_at) for i in claim.message_ids[:1])
            self._found[key] = any(self._has_any(query) for query in queries if query)
        return self._found[key]

    def _copies_of(self, message_ids: Iterable[str]) -> Iterable[SentCopy]:
        for message_id in message_ids:
            if message_id not in self._copies:
                query = id_query(message_id)
                refs = list(self._refs(query))[:MOST_COPIES] if query else []
                found = [self._gmail.sent_copy(ref.id) for ref in refs]
                self._copies[message_id] = [copy for copy in found if copy]
            yield from self._copies[message_id]

    def _has_any(self, query: str) -> bool:
        return any(True for _ in self._refs(query))

    def _refs(self, query: str) -> Iterator[Ref]:
        self._may_ask()
        yield from self._gmail.list_refs(query)
        self._failures = 0

    def _failed(self, error: Refused | TryLater) -> None:
        self._failures += 1
        if isinstance(error, TryLater) and is_everywhere(error):
            self._failures = MOST_FAILURES

    def _may_ask(self) -> None:
        if self._failures >= MOST_FAILURES:
            raise TryLater("Gmail does not answer searches of Sent at the moment", "The next run asks again.")


def _is_claimed(copy: SentCopy, claim: Claim) -> bool:
    """Whether a mail in Sent is what the bounce says it returns: whatever the bounce says of it must be so."""
    if claim.sender is not None and copy.sender != claim.sender:
        return False
    if claim.sent_at is not None and abs(copy.sent_at - claim.sent_at) > SENT_WITHIN:
        return False
    return claim.subject is None or copy.subject is None or _plain(claim.subject) == _plain(copy.subject)


def _plain(subject: str) -> str:
    """A subject without what encodings and folding do to it; the beginning only, because reports cut it."""
    from email.header import decode_header, make_header

    with suppress(ValueError, LookupError):
        subject = str(make_header(decode_header(subject[:2000])))
    return "".join(char for char in subject if char.isalnum()).casefold()[:60]
