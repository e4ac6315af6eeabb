"""The search that finds bounces in Gmail, as a text.

Pure: asks nobody. Whole words only, because Gmail's search knows no others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from parsers.text import printable

# Whole words, not substrings: Gmail splits addresses at their symbols, so from:postmaster finds every domain's.
BOUNCE_SENDERS = ("mailer-daemon", "postmaster", "mail delivery", "amazonses.com", "no-reply@sns.amazonaws.com")
SEARCHED_SUBJECTS = (
    "undeliverable",
    "undelivered",
    "delivery status notification",
    "returned mail",
    "failure notice",
    "mail delivery failed",
)


def bounce_query(after_epoch: int, extra_subjects: Iterable[str] = (), *, not_from: str | None = None) -> str:
    """The one search that finds bounces that arrived after a moment (epoch seconds): known senders or known subjects.

    One query, so that a poll which finds nothing costs one request and 5 units. `extra_subjects` are phrases in other
    languages; `not_from` is the sender of our own notes. Seconds, because Gmail reads a date as midnight Pacific.
    """
    # https://support.google.com/mail/answer/7190: braces are OR. Spam comes in by includeSpamTrash, not by a word here.
    words = [f"from:{_phrase(sender)}" for sender in BOUNCE_SENDERS]
    subjects = dict.fromkeys(phrase for s in (*SEARCHED_SUBJECTS, *extra_subjects) if (phrase := _phrase(s)))
    words += [f"subject:{subject}" for subject in subjects]
    without = f" -from:{_phrase(not_from)}" if not_from else ""
    return f"{{{' '.join(words)}}} after:{after_epoch} -in:chats{without}"


def _phrase(text: str) -> str:
    """One operand of a search: quoted where it is more than a word; quotes and brackets would change the search."""
    words = "".join(" " if char in '"(){}' else char for char in printable(text)).split()
    return f'"{" ".join(words)}"' if len(words) > 1 else "".join(words)


# Parts of a stranger's mail go into a search of ours: an id or an address must stay one word of it.
_SEARCHABLE_ID = re.compile(r"[^\s\"(){}:]{3,250}")
_SEARCHABLE_ADDRESS = re.compile(r"[A-Za-z0-9_.+=-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")
SENT_WITHIN = timedelta(days=2)
"""How far the time a bounce returns may lie from when the mail went into Sent: time zones, clocks, a queue."""


def id_query(message_id: str) -> str | None:
    """The search for a mail in Sent by its Message-ID; None: such an id cannot be searched for."""
    return f"rfc822msgid:{message_id} in:sent" if _SEARCHABLE_ID.fullmatch(message_id) else None


def sent_query(message_id: str, recipient: str, sender: str | None, sent_at: datetime | None) -> str | None:
    """The same search for a mail that also went to this recipient, from this sender, about this time.

    None: what is to be searched for is no plain word. Search knows words, not whole addresses: `jo.pat@x.example` is
    found for `pat@x.example`.
    """
    found = id_query(message_id)
    if found is None or not _SEARCHABLE_ADDRESS.fullmatch(recipient):
        return None
    found += f" {{to:{recipient} cc:{recipient} bcc:{recipient}}}"
    if sender is not None:
        if not _SEARCHABLE_ADDRESS.fullmatch(sender):
            return None
        found += f" from:{sender}"
    if sent_at is not None:
        after, before = sent_at - SENT_WITHIN, sent_at + SENT_WITHIN
        found += f" after:{max(int(after.timestamp()), 0)} before:{max(int(before.timestamp()), 0)}"
    return found
