"""Public DNS, and what SPF and DMARC records say.

In: names. Out: answers and parsed policies, or why there is no answer. The only room that imports dnspython.
May import: nothing of ours.
"""

from __future__ import annotations

from remediation.dns.dmarc import Dmarc, DmarcRecord, is_dmarc, report_addresses, strangers
from remediation.dns.lookup import Answer, Ask, BadServerError, Dns, plain_name, server_address
from remediation.dns.servers import MailHost, hosts_told, is_null, mail_hosts
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
    "MailHost",
    "SpfWalk",
    "dmarc",
    "hosts_told",
    "is_dmarc",
    "is_null",
    "mail_hosts",
    "plain_name",
    "report_addresses",
    "server_address",
    "spf",
    "strangers",
    "tree_lines",
]
