"""Whether an address leads to this computer, as those of tests do. Pure.

An address that different programs may read differently leads nowhere: no user name, no query, no backslash.
"""

from __future__ import annotations

import ipaddress
import re

_PLAIN = re.compile(r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?(?:/[A-Za-z0-9._~/-]*)?")


def host_of(url: str) -> str:
    """The host of an address, in lower case and without brackets; empty where that is not beyond doubt."""
    found = _PLAIN.fullmatch(url)
    return found[1].strip("[]").lower() if found and int(found[2] or 1) <= 65535 else ""


def is_here(url: str) -> bool:
    """Whether an address is on this computer."""
    host = host_of(url)
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
