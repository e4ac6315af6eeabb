"""What Route 53 holds for a domain: the public zone it lies in, that zone's name servers, and its CNAME records.

Only reads. Whether the world asks this zone at all is for public DNS to say: a zone here may not be the one in use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from remediation.aws.client import GLOBAL_REGION, NotLookedUp, ask, find
from remediation.dns import plain_name

_MAX_ZONES = 10
_MAX_RECORDS = 100


@dataclass(frozen=True, slots=True)
class Zone:
    """A public hosted zone."""

    id: str
    name: str
    servers: tuple[str, ...]
    """The name servers Route 53 gave it, sorted."""


def zone_ids(domain: str) -> list[tuple[str, str]] | NotLookedUp:
    """Id and name of the public zones of exactly this name; several are possible, and only one can be in use."""
    domain = plain_name(domain)

    def read(answer: Mapping[str, Any]) -> list[tuple[str, str]]:
        # The answer is a list that begins at the name: a zone that is not there gives the next one instead.
        return [
            (str(row["Id"]).rpartition("/")[2], domain)
            for row in answer["HostedZones"]
            if zone_name(row["Name"]) == domain and not (row.get("Config") or {}).get("PrivateZone")
        ]

    return ask(
        f"the Route 53 zone of {domain}",
        "route53",
        GLOBAL_REGION,
        "ListHostedZonesByName",
        read,
        DNSName=domain,
        MaxItems=str(_MAX_ZONES),
    )


def zone(zone_id: str, name: str) -> Zone | NotLookedUp | None:
    """A zone with its name servers; None: it is gone."""
    return find(
        f"the name servers of the Route 53 zone {name}",
        "route53",
        GLOBAL_REGION,
        "GetHostedZone",
        lambda answer: Zone(
            zone_id, name, tuple(sorted(plain_name(server) for server in answer["DelegationSet"]["NameServers"]))
        ),
        absent=("NoSuchHostedZone",),
        Id=zone_id,
    )


def cnames_below(zone_id: str, name: str) -> dict[str, str] | NotLookedUp | None:
    """The CNAME records of all names below `name`, up to a hundred records; None: the zone is gone.

    Route 53 sorts names by their labels from the right, so that these stand together.
    """
    name = plain_name(name)

    def read(answer: Mapping[str, Any]) -> dict[str, str]:
        return {
            zone_name(row["Name"]): plain_name(row["ResourceRecords"][0]["Value"])
            for row in answer["ResourceRecordSets"]
            if row["Type"] == "CNAME" and zone_name(row["Name"]).endswith(f".{name}") and row.get("ResourceRecords")
        }

    return find(
        f"the records below {name} in Route 53",
        "route53",
        GLOBAL_REGION,
        "ListResourceRecordSets",
        read,
        absent=("NoSuchHostedZone",),
        HostedZoneId=zone_id,
        StartRecordName=name,
        MaxItems=str(_MAX_RECORDS),
    )


def zone_name(text: str) -> str:
    """A name as Route 53 writes it (`\\052` for *), as it is compared."""
    return plain_name(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text))
