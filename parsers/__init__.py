"""Turns the bytes of a mail into the facts of a bounce, or into the reason why it is none.

In: bytes. Out: `Bounce` or `NotABounce`. Pure: no network, no database, no clock, no logging; judges nothing.
May import: nothing of ours. What is shared with the other two packages is in `text`, `times` and `ses_hosts`.
"""

from __future__ import annotations

from parsers.facts import Authenticity, Bounce, Failure, NotABounce, Original

__all__ = ["Authenticity", "Bounce", "Failure", "NotABounce", "Original", "is_mail_source", "parse", "parse_pasted"]


def parse(data: bytes, relay_hosts: frozenset[str] = frozenset()) -> Bounce | NotABounce:
    """Read one mail. Never raises, whatever the bytes.

    `relay_hosts` are the SMTP hosts of the mailbox's own "Send mail as" aliases, lower case: what one of them answered
    to Gmail was never the recipient's server. Shapes: see `parsers.facts`.
    """
    from parsers.whole import read_bounce  # a run that finds nothing new reads no mail and pays for no reader

    return read_bounce(data, relay_hosts)


def parse_pasted(text: str, *, at_relay: bool | None = None) -> Bounce | NotABounce:
    """Read what a person copied out of a bounce: an error line, a notice without headers, or a mail's source.

    `at_relay`: whether the server behind a "Send mail as" alias said it; None: as far as the words show. Never raises.
    What a copy cannot show is None, and `genuine` is always unknown.
    """
    from parsers.pasted import read_pasted

    return read_pasted(text, at_relay)


def is_mail_source(text: str) -> bool:
    """Whether a text is the source of a mail, headers first, and not a part of one that somebody copied."""
    from parsers.pasted import is_source

    return is_source(text)
