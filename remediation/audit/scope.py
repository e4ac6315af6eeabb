"""What follows from the scope of an audit without asking anybody: regions, servers, which identity covers a domain."""

from __future__ import annotations

import os
from collections.abc import Iterable

from parsers.ses_hosts import ses_region_of_host
from remediation.audit.facts import Alias, Scope
from remediation.aws import NotLookedUp, SesIdentity

DEFAULT_REGION = "us-east-1"


def aliases_of(scope: Scope) -> tuple[Alias, ...]:
    """The aliases; none where Gmail could not be asked."""
    return () if isinstance(scope.aliases, NotLookedUp) else scope.aliases


def regions_of(scope: Scope) -> list[str]:
    """The regions to look at: as asked for, else those of the aliases' hosts, else the one AWS tools are set to."""
    found = scope.regions or tuple(
        dict.fromkeys(region for a in aliases_of(scope) if (region := ses_region_of_host(a.host)))
    )
    return list(found or (os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION,))


def relays_of(scope: Scope) -> list[tuple[str, int, str | None]]:
    """Host, port and security of the SMTP servers: the one that is named, else every alias's, each once."""
    if scope.server is not None:
        return [scope.server]
    return list(dict.fromkeys((alias.host, alias.port or 587, alias.security) for alias in aliases_of(scope)))


def covering(domain: str, names: Iterable[str]) -> str | None:
    """The identity SES uses for a domain: itself, else the nearest one above it."""
    known = {name.lower() for name in names}
    return next((above for above in domains_above(domain) if above in known), None)


def domains_above(domain: str) -> list[str]:
    """A domain and those above it, without the top-level one."""
    labels = domain.split(".")
    return [".".join(labels[start:]) for start in range(len(labels) - 1)]


def dkim_names(identity: SesIdentity) -> list[str]:
    """Where the DKIM records of an identity stand in DNS."""
    return [f"{token}._domainkey.{identity.name}" for token in identity.dkim_tokens]
