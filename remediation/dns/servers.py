"""Whether the servers an MX record names are there: the record alone delivers nothing. Judges no domain."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from remediation.dns.lookup import Answer, Ask

MOST_HOSTS = 5
"""Of one domain, the preferred ones: a stranger's domain may name hundreds."""

HostState = Literal["there", "alias", "gone", "literal", "unknown"]


@dataclass(frozen=True, slots=True)
class MailHost:
    """A server an MX record names.

    `alias`: it is a CNAME, which RFC 2181 10.3 forbids and many senders follow all the same. `literal`: an address
    stands where a name must (RFC 1035 3.3.9), and nobody finds it. `unknown`: DNS did not answer.
    """

    name: str
    state: HostState
    words: str


def is_null(mx: Answer) -> bool:
    """Whether a domain says that it takes no mail at all (RFC 7505): one record, of no name."""
    return len(mx.records) == 1 and _host(mx.records[0]) == ""


def mail_hosts(mx: Answer, ask: Ask) -> list[MailHost]:
    """The servers of a domain, as DNS knows them. Of a null MX beside others only the others count."""
    names = dict.fromkeys(host for record in mx.records if (host := _host(record)))
    return [_looked_up(name, ask) for name in list(names)[:MOST_HOSTS]]


def hosts_told(hosts: Sequence[MailHost]) -> str:
    """What is wrong with some of them, in a line; empty: nothing is."""
    return "; ".join(f"{host.name} {host.words}" for host in hosts if host.state != "there")


def _host(record: str) -> str:
    return record.partition(" ")[2].strip(".")


def _looked_up(name: str, ask: Ask) -> MailHost:
    try:
        ipaddress.ip_address(name.strip("[]"))
        return MailHost(name, "literal", "is an address where a name must stand")
    except ValueError:
        pass
    alias = ask(name, "CNAME")
    four = ask(name, "A")
    answers = (four,) if four.state == "found" else (four, ask(name, "AAAA"))
    if any(answer.state == "found" for answer in answers):
        if alias.state == "found":
            return MailHost(name, "alias", f"is an alias of {alias.words}, which an MX must not name")
        return MailHost(name, "there", "")
    if unknown := [answer for answer in answers if answer.state == "unknown"]:
        return MailHost(name, "unknown", f"could not be looked up: {unknown[0].why}")
    return MailHost(name, "gone", f"has no address ({four.words})")
