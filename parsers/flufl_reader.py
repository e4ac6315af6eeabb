"""The last reader: asks the detectors of flufl.bounce, which know formats of decades past, for the recipients.

They find addresses and whether the failure is final, but no reason. Imported only when everything else found nothing.
"""

from __future__ import annotations

from collections.abc import Set

from parsers.facts import Failure, Kind, Reading
from parsers.mime import Mail
from parsers.prose import holds_a_report, own_addresses

MAX_LINES = 400
MAX_LINE = 400
"""Bytes of a line. The detectors search each line, some in a time that grows with its square."""
MAX_BRACKETS = 5
"""Opening angle brackets of a line that is searched: with each the detector for Netscape begins again."""


def read_flufl(mail: Mail) -> Reading | None:
    """Read the recipients by flufl.bounce; None where it finds none, or stumbles over the mail."""
    if holds_a_report(mail):
        return None
    # All three are slow to import and hardly ever needed.
    import logging
    from email import message_from_bytes

    from flufl.bounce import all_failures

    lines = [line[:MAX_LINE] for line in mail.data[: MAX_LINES * 1000].split(b"\n", MAX_LINES)[:MAX_LINES]]
    # A part that is decoded could have a line of any length again.
    lines = [
        line
        for line in lines
        if line.count(b"<") <= MAX_BRACKETS and not line.lower().startswith(b"content-transfer-encoding")
    ]
    # It logs a traceback for each of its detectors that stumbles; a mail that nobody can read is no news.
    logging.getLogger("flufl.bounce").disabled = True
    try:
        temporary, permanent = all_failures(message_from_bytes(b"\n".join(lines)))
    except Exception:  # a bug of theirs on a hostile mail must not end our run
        return None
    own = own_addresses(mail)
    failures = [*_failures("failed", permanent, own), *_failures("delayed", temporary, own)]
    return Reading("flufl", tuple(failures)) if failures else None


def _failures(kind: Kind, found: Set[bytes], own: frozenset[str]) -> list[Failure]:
    recipients = sorted(address.decode("utf-8", "replace").strip() for address in found)
    return [Failure(kind, r) for r in recipients if "@" in r and " " not in r and r.lower() not in own]
