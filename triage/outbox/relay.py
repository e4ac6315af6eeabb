"""The way a mail leaves: four functions, the same for Amazon SES and for any server that takes mail by SMTP.

Answers are values; nothing here decides what becomes of a draft. A `Hindrance` is why not, and whether waiting helps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from parsers.ses_ids import ses_id_domain
from remediation.aws import (
    NOT_SENT,
    Allowance,
    Halted,
    NotLookedUp,
    SesIdentity,
    allowance,
    send_raw,
    suppressed_destination,
)
from remediation.aws.ses_setup import identity
from triage.display import when_words

MOST_ENVELOPE = 50
"""Of one mail; docs.aws.amazon.com/ses/latest/dg/quotas.html."""
LARGEST_MAIL = 40_000_000
"""Of one mail, by SES's v2 API, encoded as it is sent; the same page."""


@dataclass(frozen=True, slots=True)
class Hindrance:
    """Why a mail is not sent."""

    kind: str
    """A word or two, for the label: `quota used up`."""
    why: str
    """A sentence for the owner."""
    will_pass: bool = False
    """The next look may find it gone: nobody is told yet."""
    may_be_overruled: bool = False
    """A warning: labelled once more, the mail goes."""


@dataclass(frozen=True, slots=True)
class SendAnswer:
    """What became of one try to send. `unknown`: it may have left."""

    state: Literal["sent", "refused", "later", "unknown"]
    words: str
    message_id: str | None = None
    """The Message-ID the recipients see; None: the one it was given."""
    relay_id: str | None = None
    """What the relay calls it."""


@dataclass(frozen=True, slots=True)
class WayOut:
    """The four functions."""

    name: str
    room: Callable[[], Allowance | Hindrance]
    may_send_as: Callable[[str], Hindrance | None]
    keeps_back: Callable[[str], Hindrance | None]
    """Whether it would not deliver to this address."""
    send: Callable[[bytes, str, Sequence[str]], SendAnswer]
    """(mail, sender, recipients): tried once."""


def ses_relay(region: str) -> WayOut:
    """Amazon SES in a region."""
    return WayOut(
        name=f"SES in {region}",
        room=lambda: _room(region),
        may_send_as=lambda address: _may_send_as(region, address),
        keeps_back=lambda address: _keeps_back(region, address),
        send=lambda raw, sender, people: _send(region, raw, sender, people),
    )


def _room(region: str) -> Allowance | Hindrance:
    found = allowance(region)
    if isinstance(found, NotLookedUp):
        return _unasked(found)
    return Hindrance(found.kind, f"{found.why}.") if isinstance(found, Halted) else found


def _may_send_as(region: str, address: str) -> Hindrance | None:
    """An identity for the address itself goes before that of its domain, as at SES; its domain's may sign for it."""
    domain = address.rpartition("@")[2]
    own = identity(region, address)
    if isinstance(own, NotLookedUp):
        return _unasked(own)
    if own is not None and (not own.verified or own.dkim_signing):
        return _identity_hindrance(own, region)
    found = identity(region, domain)
    if isinstance(found, NotLookedUp):
        return _unasked(found)
    if found is not None:
        return _identity_hindrance(found, region)
    if own is not None:
        return Hindrance("not signed", f"SES in {region} would not sign mail from {domain} (DKIM): verify the domain.")
    return Hindrance("address not verified", f"SES in {region} may not send as {address}: verify {domain} there.")


def _identity_hindrance(found: SesIdentity, region: str) -> Hindrance | None:
    if not found.verified:
        return Hindrance("address not verified", f"SES in {region} has not verified {found.name}.")
    if not found.dkim_signing or found.dkim_status != "SUCCESS":
        return Hindrance("not signed", f"SES in {region} does not sign mail from {found.name} (DKIM): `triage audit`.")
    return None


def _keeps_back(region: str, address: str) -> Hindrance | None:
    entry = suppressed_destination(region, address)
    if isinstance(entry, NotLookedUp):
        return _unasked(entry)
    if entry is None:
        return None
    since = f"{entry.reason} since {when_words(entry.since)}"
    return Hindrance(
        "recipient kept back",
        f"SES keeps mail to {address} back ({since}); `triage check-address {address}` tells more.",
    )


def _unasked(found: NotLookedUp) -> Hindrance:
    rights = " `triage doctor --iam-policy outbox` prints the rights it takes." if found.kind == "denied" else ""
    return Hindrance("SES cannot be asked", f"SES cannot be asked: {found.why}.{rights}", will_pass=found.will_pass)


def _send(region: str, raw: bytes, sender: str, recipients: Sequence[str]) -> SendAnswer:
    found = send_raw(region, raw, sender, recipients)
    if not isinstance(found, NotLookedUp):
        return SendAnswer("sent", f"sent through SES ({found})", f"{found}@{ses_id_domain(region)}", found)
    if found.kind == "throttled":
        return SendAnswer("later", found.why)
    return SendAnswer("refused" if found.kind in NOT_SENT else "unknown", found.why)
