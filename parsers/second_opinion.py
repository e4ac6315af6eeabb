"""What flufl.bounce makes of the same mail, and where it differs from us: a second opinion, which decides nothing.

Its detectors know formats of decades past; they find addresses and whether a failure is final, but no reason. For
`explain` and for scoring; imported only there.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import NamedTuple

from parsers.facts import Bounce, NotABounce
from parsers.text import printable_line, shortened

_MAX_LINES = 400
_MAX_LINE = 400  # bytes; the detectors search each line, some in a time that grows with its square
_MAX_BRACKETS = 5  # opening angle brackets of a line; with each the detector for Netscape begins again


class Opinion(NamedTuple):
    """Whom flufl.bounce takes for failed; addresses in lower case, in order."""

    failed: tuple[str, ...] = ()
    delayed: tuple[str, ...] = ()


def second_opinion(data: bytes) -> Opinion | None:
    """Ask flufl.bounce about a mail; None where it stumbles. Reads the first screens only, whatever the mail."""
    # All three are slow to import and hardly ever needed.
    import logging
    from email import message_from_bytes

    from flufl.bounce import all_failures

    lines = [line[:_MAX_LINE] for line in data[: _MAX_LINES * 1000].split(b"\n", _MAX_LINES)[:_MAX_LINES]]
    # A part that is decoded could have a line of any length again.
    lines = [
        line
        for line in lines
        if line.count(b"<") <= _MAX_BRACKETS and not line.lower().startswith(b"content-transfer-encoding")
    ]
    # It logs a traceback for each of its detectors that stumbles; that it cannot read a mail is no news.
    logging.getLogger("flufl.bounce").disabled = True
    try:
        temporary, permanent = all_failures(message_from_bytes(b"\n".join(lines)))
    except Exception:  # a bug of theirs on a hostile mail must not end our run
        return None
    return Opinion(_addresses(permanent), _addresses(temporary - permanent))


def _addresses(found: Set[bytes]) -> tuple[str, ...]:
    texts = {printable_line(address.decode("utf-8", "replace")).lower() for address in found}
    # RFC 5321 4.5.3.1.3 allows an address 254 characters; what a detector takes for one may be much longer.
    return tuple(sorted(shortened(text, 254) for text in texts if "@" in text and " " not in text))


def differences(found: Bounce | NotABounce, opinion: Opinion) -> Iterator[str]:
    """Where the two differ, one line for each address; nothing where they say the same."""
    theirs = dict.fromkeys(opinion.delayed, "delayed") | dict.fromkeys(opinion.failed, "failed")
    ours: dict[str, str] = {}
    for failure in found.failures if isinstance(found, Bounce) else ():
        names = {(name or "").lower() for name in (failure.recipient, failure.original_recipient)} - {""}
        ours |= dict.fromkeys(names, failure.kind)
        if failure.kind in ("failed", "delayed") and names and not names & theirs.keys():
            yield f"it does not find {failure.recipient or failure.original_recipient}, {failure.kind} for us"
    for address, kind in theirs.items():
        if address not in ours:
            yield f"it takes {address} for {kind}, and we do not name that address"
        elif ours[address] != kind:
            yield f"it takes {address} for {kind}, we for {ours[address]}"
