"""Turns the bytes of a mail into the facts of a bounce, or into the reason why it is none.

In: bytes. Out: `Bounce` or `NotABounce`. Pure: no network, no database, no clock, no logging; judges nothing.
May import: nothing of ours. What is shared with the other two packages is in `text`, `times` and `ses_hosts`.
"""

from __future__ import annotations

from parsers.facts import Authenticity, Bounce, Failure, NotABounce, Original

__all__ = ["Authenticity", "Bounce", "Failure", "NotABounce", "Original", "parse"]


def parse(data: bytes, relay_hosts: frozenset[str] = frozenset()) -> Bounce | NotABounce:
    """Read one mail. Never raises, whatever the bytes.

    `relay_hosts` are the SMTP hosts of the mailbox's own "Send mail as" aliases, lower case: what one of them answered
    to Gmail was never the recipient's server. Shapes: see `parsers.facts`.
    """
    from parsers.whole import read_bounce  # a run that finds nothing new reads no mail and pays for no reader

    return read_bounce(data, relay_hosts)
