"""The search that finds bounces in Gmail, as a text.

Pure: asks nobody. Whole words only, because Gmail's search knows no others.
"""

from __future__ import annotations

from collections.abc import Iterable

# Whole words, not substrings: Gmail splits addresses at their symbols, so from:postmaster finds every domain's.
BOUNCE_SENDERS = ("mailer-daemon", "postmaster", "mail delivery", "amazonses.com", "no-reply@sns.amazonaws.com")
BOUNCE_SUBJECTS = (
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
    subjects = dict.fromkeys(phrase for s in (*BOUNCE_SUBJECTS, *extra_subjects) if (phrase := _phrase(s)))
    words += [f"subject:{subject}" for subject in subjects]
    without = f" -from:{_phrase(not_from)}" if not_from else ""
    return f"{{{' '.join(words)}}} after:{after_epoch} -in:chats{without}"


def _phrase(text: str) -> str:
    """One operand of a search: quoted where it is more than a word; quotes and brackets would change the search."""
    words = "".join(" " if char in '"(){}' or not char.isprintable() else char for char in text).split()
    return f'"{" ".join(words)}"' if len(words) > 1 else "".join(words)
