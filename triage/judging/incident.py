"""Many bounces with one remedy are one incident: which belong together, and when it is over.

Pure: verdict records and moments in, keys and openings out. Knows neither the database nor who is told. All of it
depends on what happened and when, never on the order in which it was learned.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from parsers.ses_hosts import ses_region_of_host
from parsers.text import domain_part
from triage.model import IncidentKey, Opening
from triage.rows import VerdictRecord

# One recipient's or one mail's own trouble: the next mail fails for another reason or not at all.
_ONE_ADDRESS = frozenset({"alias-recipient-suppressed"})


_SES_IDENTITY = frozenset(
    {
        "ses-identity-not-verified",
        "ses-access-denied",
        "ses-configuration-set-missing",
        "ses-mail-from-not-verified",
    }
)


_SES_ACCOUNT = frozenset(
    {"ses-sandbox", "ses-not-subscribed", "ses-sending-paused", "ses-daily-quota", "ses-rate-exceeded"}
)


_GMAIL_ACCOUNT = frozenset({"sending-limit-reached"})


_POLICIES = frozenset(
    {
        # our domain or our standing, judged by the other side
        *("dmarc-rejected", "spf-rejected", "dkim-rejected", "sender-unauthenticated", "sender-domain-unresolvable"),
        *("ptr-missing", "sender-blocklisted", "reputation-low", "rate-limited"),
        # their own rules
        *("sender-refused", "recipient-access-denied", "policy-rejected", "transport-rule-rejected", "spam-rejected"),
        *("relay-denied", "tenant-misrouted", "tls-required"),
    }
)


_REGION_IN_WORDS = re.compile(r"\bin region ([A-Za-z]{2}-[A-Za-z-]{3,20}-\d)\b")


def key_of(record: VerdictRecord) -> IncidentKey | None:
    """What one repair would heal, for a verdict record; None where a repair would heal no other mail.

    Gmail holds one relay for each alias, so the alias alone names the pair. An SES cause belongs to the identity or the
    account in one region. A refusal for the recipient's own sake (unknown, full) or for one mail's sake opens nothing.
    """
    cause = record.get("cause")
    if record.get("kind") != "failed" or not cause or record.get("category") == "unverified":
        return None
    sender = sender_of(record)
    if record.get("category") == "smtp-credentials":
        return None if cause in _ONE_ADDRESS else IncidentKey("alias", (sender or "unknown",))
    if cause in _SES_IDENTITY:
        return IncidentKey("ses", (domain_part(sender) or "unknown", region_of(record) or "unknown", cause))
    if cause in _SES_ACCOUNT:
        return IncidentKey("ses", ("account", region_of(record) or "unknown", cause))
    if cause in _GMAIL_ACCOUNT:
        return IncidentKey("gmail", (cause,))
    domain = domain_part(record.get("recipient"))
    return IncidentKey("remote", (domain, cause)) if cause in _POLICIES and domain else None


def sender_of(record: Mapping[str, Any]) -> str | None:
    """Our address the mail came from, in lower case."""
    sender = (record.get("original") or {}).get("from")
    return sender.strip().lower() or None if sender else None


def place_of(record: Mapping[str, Any], key: IncidentKey) -> str | None:
    """Where it broke: the relay an alias failure names, the SES region, the domain that refused."""
    if key.kind == "alias":
        host: str | None = record.get("remote_host")
        return host.lower() if host else None
    return region_of(record) if key.kind == "ses" else key.what[0] if key.kind == "remote" else None


def region_of(record: Mapping[str, Any]) -> str | None:
    """The SES region a mail went through or was refused in."""
    known: str | None = (record.get("original") or {}).get("ses_region")
    of_host = ses_region_of_host(record.get("remote_host"))
    words = _REGION_IN_WORDS.search((record.get("diagnostic") or "")[:2000])
    return known or of_host or (words[1].lower() if words else None)


def openings(failed_at: Iterable[datetime], signs: Iterable[datetime]) -> list[Opening]:
    """Every time an incident opened, the oldest first: a bounce opens it, a sign later than all its bounces ends it.

    A sign and a bounce of the same moment: the sign was first.
    """
    moments = sorted([(at, 1) for at in failed_at] + [(at, 0) for at in signs])
    found: list[Opening] = []
    for at, is_failure in moments:
        last = found[-1] if found and found[-1].closed_at is None else None
        if is_failure:
            found[len(found) - (last is not None) :] = [Opening(last.first_at if last else at, at, None)]
        elif last:
            found[-1] = Opening(last.first_at, last.last_at, at)
    return found
