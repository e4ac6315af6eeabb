"""The facts a bounce states, as plain immutable data.

Every reader in this package turns bytes into these types and nothing else. Nothing here judges: whose fault a failure
is, and what to do, is decided by `triage.judging.verdict` from these facts. Unknown is `None`, never an empty string.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

FailureKind = Literal["failed", "delayed", "delivered", "feedback"]
"""What happened to one recipient: refused for good, still being tried, delivered, or a complaint about the mail."""

NotKind = Literal["auto-reply", "not-a-bounce"]

Path = Literal["gmail", "gmail-alias", "ses-smtp", "ses-api"]
"""The way the returned mail left: Gmail's own servers, a Gmail "Send mail as" relay, SES by SMTP, SES by its API."""

Genuine = Literal["pass", "fail", "unknown"]

COMMANDS = frozenset({"CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "LOCAL"})
"""The values of `Failure.command`."""


MOST_RECIPIENTS = 200
"""Recipients of one mail that are told one by one. Mail servers hand on 50 (Amazon SES, Postfix) or 100 (RFC 5321
4.5.3.1.8) to a mail, so an honest report names no more; thousands cost minutes and tell nothing.
"""


class Authenticity(NamedTuple):
    """Whether the mail is what it claims to be, and the observation that says so.

    `pass` means that the domain in From vouches for it. Anybody has a domain: it does not mean that the mail is about
    one of ours, nor that what it says is true.
    """

    result: Genuine
    why: str
    signer: str | None = None
    """The domain whose signature (DKIM) speaks for the From address, lower case; None where none does.

    For SES's own reports `amazonses.com` or `REGION.amazonses.com`, for SNS `sns.amazonaws.com` or `amazonaws.com`. Any
    AWS customer can have SNS sign a text of theirs: the topic says whose it is.
    """
    by_gmail: bool = False
    """Gmail's own notice: from mailer-daemon@googlemail.com, signed by googlemail.com, taken from a server of Google.

    Never so for a notice inside another mail, a forwarded one, or one that somebody received and sent again.
    """


class Original(NamedTuple):
    """What is known of the mail that was returned. All of it is text written by others: not trusted, reported."""

    message_id: str | None = None
    """Message-ID of the returned mail, without angle brackets; behind SES this is the id SES gave it."""
    gmail_message_id: str | None = None
    """The Message-ID Gmail first gave it (X-Gmail-Original-Message-ID), which finds the copy in Sent."""
    ses_message_id: str | None = None
    """The SES message id (`0100...-000000`), without its domain."""
    ses_region: str | None = None
    ses_id_source: str | None = None
    """Where the SES id was found, in words: `returned Message-ID`, `returned Return-Path`, `Sender Address`, ..."""
    sent_at: datetime | None = None
    """Aware, UTC. From the SES id when there is one (milliseconds), else the Date header."""
    sender: str | None = None
    """The address in the returned From header."""
    subject: str | None = None
    path: Path | None = None


class Failure(NamedTuple):
    """What happened to one recipient, in the words of the report."""

    kind: FailureKind
    recipient: str | None
    """The address that failed (Final-Recipient)."""
    original_recipient: str | None = None
    """The address the sender wrote to, only where it differs from `recipient`."""
    status: str | None = None
    """The enhanced status code as reported (RFC 3463), never invented; the one inside the innermost SMTP reply wins."""
    reply_code: str | None = None
    """The three-digit SMTP reply code of the innermost reply."""
    diagnostic: str | None = None
    """The refusal in the refuser's own words, continuation lines joined, one line of printable text."""
    inner: str | None = None
    """The innermost SMTP reply inside `diagnostic`, where one reply wraps another; else None.

    In an event of SES about what SES did itself: the type of the event, which says it more exactly than its sentence.
    """
    command: str | None = None
    """The SMTP command that was refused, where the report tells: `MAIL`, `RCPT`, `DATA`, `EHLO`, `CONNECT`.

    `LOCAL`: no SMTP at all, a program on the last machine failed (Diagnostic-Code of type x-unix).
    """
    prose: str | None = None
    """Words the report uses around the diagnostic to explain it to a human. Least trusted, read last by the rules."""
    remote_host: str | None = None
    """The host that said it (Remote-MTA), lower case, without dot at the end; or an IP address."""
    platform: str | None = None
    """The software or service that refused: `exchange-online`, `google`, `yahoo`, ...; see parsers/platform.py."""
    at_relay: bool | None = None
    """True where the refuser is a relay of our own: the recipient's server was never asked.

    It is the server behind a "Send mail as" alias, or the one our mail server hands its mail to. False: it is none.
    None: the report itself does not tell.
    """
    is_unnamed: bool = False
    """No server is named that said it, or was tried, and it may have been a relay of our own mail server."""


class Bounce(NamedTuple):
    """One mail that reports on one or more recipients of a mail sent earlier."""

    reader: str
    """The reader that understood it: `gmail-notice`, `delivery-status`, `ses-notification`, ..."""
    reported_by: str | None
    """The system that wrote the report: `gmail`, `amazon-ses`, `exchange-online`, `postfix`, ..."""
    failures: tuple[Failure, ...]
    original: Original
    genuine: Authenticity
    notice: str | None = None
    """The kind of notice, language-neutral: `gmail-alias`, `gmail-address-not-found`, ...; None for most formats."""
    message_id: str | None = None
    """The bounce's own Message-ID, without angle brackets. Never an id of the returned mail."""
    reported_at: datetime | None = None
    """The bounce's own Date, aware, UTC."""
    sender: str | None = None
    """The address in the bounce's own From header."""
    subject: str | None = None
    references: tuple[str, ...] = ()
    """Message-IDs the bounce refers to (In-Reply-To, References, X-Original-Message-ID), without angle brackets."""
    is_direct: bool = True
    """False where the bounce was found inside another mail: whoever sent that one may have written it himself."""
    left_out: int = 0
    """How many more recipients it names, at least, than the MOST_RECIPIENTS in `failures`."""


class NotABounce(NamedTuple):
    """A mail that reports no failed delivery, and the observation that says so."""

    kind: NotKind
    why: str
    message_id: str | None = None
    sender: str | None = None
    subject: str | None = None


class Reading(NamedTuple):
    """What one reader made of a mail, before `parsers.parse` adds what all bounces have in common."""

    reader: str
    failures: tuple[Failure, ...]
    reported_by: str | None = None
    notice: str | None = None
    references: tuple[str, ...] = ()
    """Further ids of the returned mail that only this format states (Gmail's X-Original-Message-ID)."""
    original: Original | None = None
    """Set by formats that describe the returned mail otherwise than by its headers (SES notifications)."""
