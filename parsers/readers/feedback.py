"""Reads complaint reports (RFC 5965, "ARF"): somebody pressed the spam button on a mail of ours."""

from __future__ import annotations

from parsers.facts import Failure, Reading
from parsers.mime import Headers, Mail, address, addresses, open_headers
from parsers.platform import reporter_of
from parsers.returned import returned_headers

_NOT_COMPLAINTS = ("not-spam", "auth-failure")  # RFC 6650: praise, and a DMARC failure report


def read_feedback(mail: Mail) -> Reading | None:
    """Read the feedback report of a mail; None where there is none."""
    part = next((part for part in mail.parts if part.media_type == "message/feedback-report"), None)
    if part is None:
        return _read_outlook(mail)
    fields = open_headers(part.text().strip("\n"))
    kind = (fields.raw("feedback-type") or "abuse").lower()
    if kind in _NOT_COMPLAINTS:
        return None
    failures = tuple(_complaint(recipient, f"Feedback-Type: {kind}") for recipient in _recipients(fields, mail))
    return Reading("feedback-report", failures, reporter_of(None, mail.sender))


def _read_outlook(mail: Mail) -> Reading | None:
    """Outlook.com's junk mail reports (JMRP): the mail as an attachment, the complainer in its header, no report."""
    if not (mail.headers.raw("subject") or "").lower().startswith("complaint about message from"):
        return None
    returned = returned_headers(mail)
    complainer = address(returned.raw("x-hmxmroriginalrecipient")) if returned is not None else None
    if complainer is None:
        return None
    return Reading("feedback-report", (_complaint(complainer, "Feedback-Type: abuse"),), "outlook")


def _complaint(recipient: str | None, words: str) -> Failure:
    # Source-IP and Reported-Domain name who *sent* the mail (RFC 5965 3.2): nobody there refused anything.
    return Failure("feedback", recipient, diagnostic=words)


def _recipients(fields: Headers, mail: Mail) -> list[str | None]:
    for name in ("original-rcpt-to", "removal-recipient", "final-recipient"):
        found = addresses(" ".join(fields.all(name)))
        if found:
            return list(found)
    returned = returned_headers(mail)
    if returned is not None:
        # Reporters hide the complainer; what the returned mail still says is the best there is.
        found = addresses(" ".join(returned.all("to")))
        if found:
            return list(found)
    return [None]
