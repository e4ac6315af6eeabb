"""Gmail: signs in, lists, fetches, labels and inserts; the only room that imports Google's libraries.

In: a token file. Out: mails as bytes, ids, refusals as values. Never sends, deletes, or marks read.
May import: the modules of `triage`, and `remediation.credentials` for a delegated sign-in.
"""

from __future__ import annotations

from triage.gmail.answers import OutcomeUnknown, Refused, of_mailbox
from triage.gmail.client import Gmail, connect
from triage.gmail.delegation import update_alias
from triage.gmail.drafts import DraftRef, InThread
from triage.gmail.messages import RawMessage, Ref, Unavailable
from triage.gmail.query import bounce_query
from triage.gmail.renewal import RenewedSignIn
from triage.gmail.sent import Claim, Sent
from triage.gmail.sign_in import ENOUGH_SCOPES, PUBLISH, addresses_here, authorize, read_client
from triage.gmail.streak import Streak, is_everywhere, is_put_off

__all__ = [
    "ENOUGH_SCOPES",
    "PUBLISH",
    "Claim",
    "DraftRef",
    "Gmail",
    "InThread",
    "OutcomeUnknown",
    "RawMessage",
    "Ref",
    "Refused",
    "RenewedSignIn",
    "Sent",
    "Streak",
    "Unavailable",
    "addresses_here",
    "authorize",
    "bounce_query",
    "connect",
    "is_everywhere",
    "is_put_off",
    "of_mailbox",
    "read_client",
    "update_alias",
]
