"""Many bounces with one remedy are one incident: which belong together, when it is over, and how long that took.

Pure: verdict records and moments in, keys, openings and words out. Knows neither the database nor who is told. All of
it depends on what happened and when, never on the order in which it was learned.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from remediation import Cause, load_causes
from triage.display import span_words, when_words

Kind = Literal["alias", "ses", "gmail", "remote"]

SIGNS: Mapping[str, str] = {
    "ses-event": "SES took a later mail the same way",
    "delivery": "a later mail was delivered there",
    "left-later": "a later mail left the same way",
    "rotation": "a renewal of the login was confirmed",
    "login-and-send": "the login was accepted, and a mail sent after that did not come back",
    "by-hand": "closed by hand",
    "emptied": "its bounces turned out to be something else",
}
"""What ends an incident, by `closed_by`."""

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
OURS_TO_MEND = frozenset({"mailbox-owner", "aws-admin", "dns-admin"})
"""Actors who can do something about it today; only they are reminded."""

_SES_HOST = re.compile(r"email-smtp(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?$", re.IGNORECASE)
_REGION_IN_WORDS = re.compile(r"\bin region ([A-Za-z]{2}-[A-Za-z-]{3,20}-\d)\b")


@dataclass(frozen=True, slots=True)
class Key:
    """What one repair heals."""

    kind: Kind
    what: tuple[str, ...]

    @property
    def text(self) -> str:
        """The key as it is stored: `remote client.example dmarc-rejected`."""
        return " ".join((self.kind, *self.what))


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident as it is stored; the times are those of the last time it opened."""

    id: int
    key: str
    kind: Kind
    state: Literal["open", "closed"]
    cause: str
    """That of the newest bounce, as are sender, place and path."""
    sender: str | None
    place: str | None
    """The relay, the SES region, the domain that refused."""
    path: str | None
    openings: int
    first_at: datetime
    last_at: datetime
    detected_at: datetime
    closed_at: datetime | None
    closed_by: str | None
    closed_why: str | None
    noticed_at: datetime | None
    bounces: int
    people: tuple[str, ...]
    """Whom mails did not reach, the newest first."""

    @property
    def title(self) -> str:
        """What broke, in the catalogue's words."""
        found = self.known_cause
        return found.title if found else self.cause

    @property
    def known_cause(self) -> Cause | None:
        """The cause in the catalogue; None: another version wrote it."""
        return load_causes().get(self.cause)

    @property
    def side(self) -> str:
        """Where it is broken: own, remote."""
        return "remote" if self.kind == "remote" else "own"

    @property
    def is_ours_to_mend(self) -> bool:
        """Whether somebody on our side can do something about it."""
        return self.known_cause is None or self.known_cause.actor in OURS_TO_MEND

    @property
    def time_to_detect(self) -> timedelta:
        """From the first bounce to the run that saw it."""
        return max(self.detected_at - self.first_at, timedelta(0))

    @property
    def time_to_repair(self) -> timedelta | None:
        """From the first bounce to what first got through again; None: it is open."""
        return None if self.closed_at is None else max(self.closed_at - self.first_at, timedelta(0))


@dataclass(frozen=True, slots=True)
class Opening:
    """One time from the first bounce to the first sign that it is over."""

    first_at: datetime
    last_at: datetime
    closed_at: datetime | None


def key_of(record: Mapping[str, Any]) -> Key | None:
    """What one repair would heal, for a verdict record; None where a repair would heal no other mail.

    Gmail holds one relay for each alias, so the alias alone names the pair. An SES cause belongs to the identity or the
    account in one region. A refusal for the recipient's own sake (unknown, full) or for one mail's sake opens nothing.
    """
    cause = record.get("cause")
    if record.get("kind") != "failed" or not cause or record.get("category") == "unverified":
        return None
    sender = sender_of(record)
    if record.get("category") == "smtp-credentials":
        return None if cause in _ONE_ADDRESS else Key("alias", (sender or "unknown",))
    if cause in _SES_IDENTITY:
        return Key("ses", (_domain(sender) or "unknown", region_of(record) or "unknown", cause))
    if cause in _SES_ACCOUNT:
        return Key("ses", ("account", region_of(record) or "unknown", cause))
    if cause in _GMAIL_ACCOUNT:
        return Key("gmail", (cause,))
    domain = _domain(record.get("recipient"))
    return Key("remote", (domain, cause)) if cause in _POLICIES and domain else None


def is_proven(record: Mapping[str, Any], in_sent: bool | None) -> bool:
    """Whether a bounce may open an incident: shown to be genuine, or not shown to be either and its mail is in Sent."""
    return record.get("genuine") == "pass" or (record.get("genuine") == "unknown" and bool(in_sent))


def sender_of(record: Mapping[str, Any]) -> str | None:
    """Our address the mail came from, in lower case."""
    sender = (record.get("original") or {}).get("from")
    return sender.strip().lower() or None if sender else None


def place_of(record: Mapping[str, Any], key: Key) -> str | None:
    """Where it broke: the relay an alias failure names, the SES region, the domain that refused."""
    if key.kind == "alias":
        host: str | None = record.get("remote_host")
        return host.lower() if host else None
    return region_of(record) if key.kind == "ses" else key.what[0] if key.kind == "remote" else None


def region_of(record: Mapping[str, Any]) -> str | None:
    """The SES region a mail went through or was refused in."""
    known: str | None = (record.get("original") or {}).get("ses_region")
    host = _SES_HOST.match(record.get("remote_host") or "")
    words = _REGION_IN_WORDS.search((record.get("diagnostic") or "")[:2000])
    return known or (host[1].lower() if host else words[1].lower() if words else None)


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


def headline(incident: Incident) -> str:
    """What does not work, in half a sentence that names the address or the domain."""
    sender = incident.sender or "an address of yours"
    match incident.kind:
        case "alias":
            return f"mail from {sender} does not leave"
        case "ses":
            where = f" in {incident.place}" if incident.place else ""
            return f"Amazon SES{where} does not take mail from {sender}"
        case "gmail":
            return "Gmail does not send your mail"
    return f"{incident.place} does not take mail from {sender}"


def duration_words(incident: Incident) -> str:
    """How long it took: `broken for 2 days, seen after 12 minutes`, or since when it has been broken."""
    took = incident.time_to_repair
    broken = f"since {when_words(incident.first_at)}" if took is None else f"for {span_words(took)}"
    return f"broken {broken}, seen after {span_words(incident.time_to_detect)}"


def _domain(address: str | None) -> str | None:
    return (address or "").strip().lower().rpartition("@")[2] or None if address and "@" in address else None
