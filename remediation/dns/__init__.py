"""Public DNS, and what SPF and DMARC records say.

In: names. Out: answers and parsed policies, or why there is no answer. The only room that imports dnspython.
May import: nothing of ours.
"""

from __future__ import annotations

from remediation.dns.dmarc import Dmarc, DmarcRecord, is_dmarc, report_addresses, strangers
from remediation.dns.lookup import Answer, Ask, BadServerError, Dns, plain_name, server_address
from remediation.dns.spf import MAX_LOOKUPS, MAX_VOIDS, SpfWalk, tree_lines

__all__ = [
    "MAX_LOOKUPS",
    "MAX_VOIDS",
    "Answer",
    "Ask",
    "BadServerError",
    "Dmarc",
    "DmarcRecord",
    "Dns",
    "SpfWalk",
    "dmarc",
    "is_dmarc",
    "plain_name",
    "report_addresses",
    "server_address",
    "spf",
    "strangers",
    "tree_lines",
]
