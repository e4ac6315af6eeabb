"""Whether a verdict may lead to anything: reading is open to every mail, acting needs proof of ownership.

Acting is whatever changes something outside our own records, or is told to a human as a fact: label, note, incident,
alert, the end of an incident, evidence for a rotation, a mail written again. Accepted as proof that a verdict is about
a mail of ours:

- `ses`: an event, or an answer, of our own SES names this message and this recipient.
- `sent`: Sent holds a mail with the Message-ID, the sender and the time that the bounce returns, and the failed
  recipient is among its To, Cc and Bcc.
- `alias`: as `sent`, and the sender is an alias of this account with a server of its own, and the notice is exactly
  Gmail's: from mailer-daemon@googlemail.com, signed by googlemail.com, and no part of another mail.

What is said about our own side (a login, a limit, an identity) can only be known to whoever stands on our side: Gmail
about its aliases and itself, Amazon SES about SES. From anybody else it is no proof, whatever mail it returns. A
signature alone proves nothing: everybody can sign. What is shown to be forged is proven by nothing. A mail read from a
file (`given`) was chosen by whoever runs the command: it is shown to him, and nothing is done about it.

Pure. What was looked for and found is looked for elsewhere (`triage.plan`, `triage.ses`).
"""

from __future__ import annotations

from typing import NamedTuple

from triage.model import Proof
from triage.rows import VerdictRecord

# Categories that only Gmail itself can tell of.
_OF_GMAIL = frozenset({"smtp-credentials", "gmail-refused"})

PROOFS = frozenset({"sent", "ses", "alias"})
NOTHING_FAILED = Proof(None, "nothing failed")
FORGED = Proof(None, "it is shown to be forged")
GIVEN = Proof("given", "somebody gave the file to be read")
BY_SES = Proof("ses", "Amazon SES itself tells of this mail and this recipient")


class Notice(NamedTuple):
    """What is known of the bounce as a mail, whatever it says."""

    by_gmail: bool
    """Exactly Gmail's own: its address, its signature, not inside another mail."""
    by_ses: bool
    """Signed by amazonses.com, and not inside another mail."""
    is_direct: bool
    """It is the mail itself that says so, not a mail inside it."""


def proof_of(record: VerdictRecord, notice: Notice, *, in_sent: bool | None, is_alias: bool | None) -> Proof:
    """What proves that a verdict read from the mailbox is about a mail of ours, or why nothing does.

    `in_sent`: whether Sent holds the mail, with this recipient; `is_alias`: whether its sender is an alias of this
    account; None: Gmail could not be asked, so the answer is open.
    """
    if record["category"] is None and record["kind"] != "delivered":
        return NOTHING_FAILED
    if record["genuine"] == "fail" or record["category"] == "unverified":
        return FORGED
    if not notice.is_direct:
        return Proof(None, "it lies inside another mail")
    if record["category"] in _OF_GMAIL and not notice.by_gmail:
        return Proof(None, "it tells of a login or a limit of our own, and Gmail has not signed it")
    if record["side"] == "own" and not (notice.by_gmail or notice.by_ses):
        return Proof(None, "only Gmail or Amazon SES can say that, and neither has signed it")
    if record["category"] == "smtp-credentials" and is_alias is False:
        return Proof(None, "the sender is no alias of this account with a server of its own")
    if in_sent is False:
        return Proof(None, "Sent holds no such mail to this recipient")
    if in_sent is None or (record["category"] == "smtp-credentials" and is_alias is None):
        return Proof(None, "Gmail could not be asked about it", is_open=True)
    if record["category"] == "smtp-credentials":
        return Proof("alias", "Gmail's own notice about an alias of this account, and the mail is in Sent")
    return Proof("sent", "the mail is in Sent, with this recipient")


def may_be_proven(record: VerdictRecord, notice: Notice) -> bool:
    """Whether anything hangs on Sent: where nothing can prove a verdict, nobody is asked."""
    found = proof_of(record, notice, in_sent=None, is_alias=None)
    return found.is_open


def is_acted_on(record: VerdictRecord, proof: str | None) -> bool:
    """Whether a verdict leads to anything; `proof` is the kind of its proof."""
    return proof in PROOFS and record["category"] not in (None, "unverified") and record["genuine"] != "fail"
