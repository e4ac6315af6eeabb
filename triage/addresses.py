"""Which servers may be handed a sign-in: Google's own, and those on this computer, as tests have them. Pure.

Whoever answers at one of these addresses gets a token that reads the whole mailbox, so a settings or token file that
names another is refused, wherever it came from.
"""

from __future__ import annotations

import re

from remediation.here import is_here
from triage.errors import ConfigError

GOOGLE = frozenset({"accounts.google.com", "gmail.googleapis.com", "oauth2.googleapis.com", "www.googleapis.com"})
# No user name, no query, no backslash: programs do not agree which host such an address leads to.
_ADDRESS = re.compile(r"(https?)://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?(?:/[A-Za-z0-9._~/-]*)?")


def is_google(url: str) -> bool:
    """Whether this is an address of Google's, over a connection nobody listens to."""
    found = _ADDRESS.fullmatch(url)
    return found is not None and found[1] == "https" and found[2].lower() in GOOGLE and found[3] in (None, "443")


def google_or_here(url: str, name: str) -> str:
    """The address as it is, where a sign-in may travel to it; ConfigError with `name` elsewhere."""
    if is_google(url) or is_here(url):
        return url
    raise ConfigError(
        f"{name} is an address neither of Google nor on this computer, and would be given your sign-in.",
        "Take it out, and ask who put it there.",
    )
