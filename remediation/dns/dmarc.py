"""Finds the DMARC record that counts for a domain, reads its tags, and works out what is aligned with what.

Follows RFC 9989 (DNS tree walk instead of a list of public suffixes); for ordinary domains RFC 7489 gives the same
answers. Judges no policy. What could not be looked up is told as such; the network is the `ask` it is given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from remediation.dns.lookup import Answer, Ask, plain_name

MAX_LABELS = 8
"""RFC 9989 4.10: names with more labels are cut to seven after the first question."""

DMARC_POLICIES = ("none", "quarantine", "reject")


@dataclass(frozen=True, slots=True)
class DmarcRecord:
    """One record as published."""

    domain: str
    """Where it was found: the domain itself, or the one above that speaks for it."""
    text: str
    tags: Mapping[str, str]
    """Lower-case names, values as written."""
    errors: tuple[str, ...] = ()
    """What a receiver cannot read, in words."""

    def tag(self, name: str, default: str) -> str:
        """A tag in lower case, or what counts where it is left out."""
        return self.tags.get(name, default).strip().lower()


@dataclass(frozen=True, slots=True)
class Dmarc:
    """What counts for one From domain."""

    domain: str
    answer: Answer
    """Of the TXT question at `_dmarc.` and the domain itself."""
    record: DmarcRecord | None
    """None: none is published, several are, or it is not known."""
    several: tuple[str, ...] = ()
    """The records where there is more than one, which is as good as none."""
    organization: str | None = None
    """The organizational domain; None: no record says, or it is not known."""
    unknown: tuple[Answer, ...] = ()
    """What could not be looked up."""

    @property
    def policy(self) -> str | None:
        """What receivers are asked to do with mail from this very domain that fails; None: nobody asks anything."""
        if self.record is None:
            return None
        own = self.record.tag("p", "none")
        return own if self.record.domain == self.domain else self.record.tag("sp", own)


def is_dmarc(text: str) -> bool:
    """Whether a TXT record is one of DMARC at all. Its version is case-sensitive: `v=dmarc1` says nothing."""
    return re.match(r"[vV]\s*=\s*DMARC1\s*(;|$)", text) is not None


def find_dmarc(ask: Ask, domain: str) -> Dmarc:
    """Look up the record that counts for mail from a domain. Never raises."""
    domain = plain_name(domain)
    first = ask(f"_dmarc.{domain}", "TXT")
    records, several, unknown = _walk(ask, domain)
    if several and several[0][0] == domain:
        return Dmarc(domain, first, None, several[0][1], None, unknown)
    organization = None if unknown else _organization(domain, records)
    own = next((record for record in records if record.domain == domain), None)
    if own is None and not unknown and organization is not None:
        own = next((record for record in records if record.domain == organization), None)
    if own is None and not unknown and not several:
        # RFC 9989 4.10.1: last of all the public suffix above speaks, where it has a policy for those below.
        own = next((record for record in records if record.tag("psd", "u") == "y"), None)
    if own is None and not unknown and several:
        return Dmarc(domain, first, None, several[0][1], None, unknown)
    return Dmarc(domain, first, own, (), organization, unknown)


def organizational_domain(ask: Ask, domain: str) -> str | Answer | None:
    """The domain that relaxed alignment compares; None: no record anywhere; an Answer: that could not be looked up."""
    records, _, unknown = _walk(ask, plain_name(domain))
    return unknown[0] if unknown else _organization(plain_name(domain), records)


def aligned(ask: Ask, from_domain: str, other: str, mode: str) -> bool | Answer:
    """Whether a domain (d= of a signature, or the MAIL FROM) speaks for the From domain; an Answer: not known.

    `mode` is `r` or `s` (tags adkim, aspf).
    """
    from_domain, other = plain_name(from_domain), plain_name(other)
    if from_domain == other:
        return True
    if mode.strip().lower() == "s":
        return False
    first = organizational_domain(ask, from_domain)
    second = organizational_domain(ask, other)
    for side in (first, second):
        if isinstance(side, Answer):
            return side
    return first is not None and first == second


def read_dmarc(domain: str, text: str) -> DmarcRecord:
    """Read a record that begins with v=DMARC1 (RFC 9989 4.8)."""
    tags: dict[str, str] = {}
    errors: list[str] = []
    for part in text.split(";"):
        if not part.strip():
            continue
        name, equals, value = part.partition("=")
        name, value = name.strip().lower(), value.strip()
        if not equals or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            errors.append(f"{part.strip()} is no tag")
        elif name in tags:
            errors.append(f"{name} stands in it twice")
        else:
            tags[name] = value
    errors += [
        f"{name}={tags[name]} is none of {', '.join(legal)}"
        for name, legal in (
            *((name, DMARC_POLICIES) for name in ("p", "sp", "np")),
            *((name, ("r", "s")) for name in ("adkim", "aspf")),
        )
        if name in tags and tags[name].lower() not in legal
    ]
    if "p" not in tags:
        # RFC 9989 4.7: read as p=none when there is a rua, else not at all.
        errors.append("p is missing")
    return DmarcRecord(domain, text, tags, tuple(errors))


def report_addresses(record: DmarcRecord) -> list[str]:
    """The mail addresses aggregate reports are sent to."""
    found = []
    for uri in record.tags.get("rua", "").split(","):
        uri = uri.strip()
        if uri.lower().startswith("mailto:"):
            found.append(uri[len("mailto:") :].partition("!")[0].strip().lower())
    return found


def strangers(record: DmarcRecord) -> list[tuple[str, str]]:
    """Domains that receive our reports and must agree, each with the name where they say so (RFC 9990 4)."""
    own = record.domain
    domains = dict.fromkeys(address.rpartition("@")[2] for address in report_addresses(record))
    return [
        (other, f"{own}._report._dmarc.{other}")
        for other in domains
        if other and other != own and not other.endswith(f".{own}") and not own.endswith(f".{other}")
    ]


def walk_names(domain: str) -> list[str]:
    """The domains whose `_dmarc` name is asked, the longest first (RFC 9989 4.10)."""
    labels = plain_name(domain).split(".")
    names = [".".join(labels)]
    rest = labels[-(MAX_LABELS - 1) :] if len(labels) > MAX_LABELS else labels[1:]
    names += [".".join(rest[start:]) for start in range(len(rest))]
    return names


def _walk(ask: Ask, domain: str) -> tuple[list[DmarcRecord], list[tuple[str, tuple[str, ...]]], tuple[Answer, ...]]:
    """The records on the way up, the places that have several, and what could not be looked up."""
    records: list[DmarcRecord] = []
    several: list[tuple[str, tuple[str, ...]]] = []
    unknown: list[Answer] = []
    for name in walk_names(domain):
        answer = ask(f"_dmarc.{name}", "TXT")
        texts = tuple(text for text in answer.records if is_dmarc(text))
        if answer.state == "unknown":
            unknown.append(answer)
        elif len(texts) > 1:
            several.append((name, texts))
        elif texts:
            records.append(read_dmarc(name, texts[0]))
            if records[-1].tag("psd", "u") in ("y", "n"):
                break
    return records, several, tuple(unknown)


def _organization(domain: str, records: list[DmarcRecord]) -> str | None:
    """RFC 9989 4.10.2."""
    for record in records:  # the longest name first
        psd = record.tag("psd", "u")
        if psd == "n":
            return record.domain
        if psd == "y" and record.domain != domain:
            depth = len(record.domain.split(".")) + 1
            return ".".join(domain.split(".")[-depth:])
    return records[-1].domain if records else None
