"""The message ids Amazon SES gives: region and time in their digits, and where the returned mail carries one.

The shape is not documented by AWS; what is decoded here was observed on public mails and serves as evidence beside
others, never alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from parsers.mime import Headers, Mail
from parsers.ses_hosts import REGION

_ID = re.compile(
    r"([01](?<![0-9A-Za-z].)[0-9a-f]{3})([0-9a-f]{12})-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}-\d{6}(?!\d)"
)
_DOMAIN = re.compile(rf"@(?:email-bounces\.|email\.)?(?:({REGION})\.)?amazonses\.com", re.IGNORECASE)
# The first four hex digits. Not listed: unknown, the domain behind the id may still tell.
REGION_OF_PREFIX = {
    "0100": "us-east-1",
    "0101": "us-west-2",
    "0102": "eu-west-1",
    "0103": "sa-east-1",
    "0106": "ap-northeast-1",
    "0107": "eu-central-1",
    "0108": "ap-southeast-2",
    "0109": "ap-south-1",
    "010b": "eu-west-2",
    "010c": "ap-northeast-2",
    "010d": "ca-central-1",
    "010e": "ap-southeast-1",
    "010f": "us-east-2",
    "0110": "eu-north-1",
    "0111": "us-west-1",
    "0113": "eu-west-3",
}
_EARLIEST = datetime(2011, 1, 1, tzinfo=UTC)  # SES opened to the public that month


@dataclass(frozen=True, slots=True)
class SesId:
    """One SES message id and what its own digits say."""

    id: str
    region: str | None
    sent_at: datetime | None
    """When SES accepted the message, aware, UTC, to the millisecond; None where the digits are no plausible time."""


def ses_ids(text: str) -> list[SesId]:
    """Every SES message id in a text, in order, without repeats."""
    found: dict[str, SesId] = {}
    for match in _ID.finditer(text):
        domain = _DOMAIN.match(text, match.end())
        region = REGION_OF_PREFIX.get(match[1])
        if domain is not None:
            region = domain[1] or region or "us-east-1"
        found.setdefault(match[0], SesId(match[0], region, _time(match[2])))
    return list(found.values())


def ses_id_domain(region: str | None) -> str:
    """What follows the id in the Message-ID that SES gives a mail; None: it is not known in which region."""
    return "email.amazonses.com" if region in (None, "us-east-1") else f"{region}.amazonses.com"


def _time(digits: str) -> datetime | None:
    milliseconds = int(digits, 16)
    if milliseconds > 4_102_444_800_000:  # beyond 2100: anonymised samples, not a time
        return None
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment if moment >= _EARLIEST else None


# The places an id of the *returned* mail can stand, most trusted first. The bounce's own Message-ID is an SES id too
# when SES reports, and never the one looked for.
_RETURNED_FIELDS = (
    ("message-id", "returned Message-ID"),
    ("return-path", "returned Return-Path"),
    ("x-ses-message-id", "returned X-SES-Message-ID"),
)


def returned_ses_id(returned: Headers | None, mail: Mail) -> tuple[SesId, str] | None:
    """The SES id of the returned mail and, in words, where it stood; None where there is none.

    Falls back on the texts of the bounce (`Sender Address: <id>@amazonses.com` of an Exchange report whose returned
    headers are gone), where it leaves out the ids of the bounce itself.
    """
    if returned is not None:
        for name, words in _RETURNED_FIELDS:
            value = returned.raw(name)
            if value and value.count("-") > 5 and (ids := ses_ids(value)):
                return ids[0], words
    if b"amazonses.com" not in mail.data:
        return None
    own_fields = (mail.headers.raw("message-id") or "") + " " + (mail.headers.raw("feedback-id") or "")
    own = {i.id for i in ses_ids(own_fields)} if "amazonses" in own_fields else set()
    texts = (part.text() for part in mail.parts if part.media_type.startswith("text/"))
    candidates = [i for text in texts if "amazonses.com" in text for i in ses_ids(text) if i.id not in own]
    if candidates:
        # Two ids may remain (the report's and the mail's): the returned mail is always the earlier one.
        earliest = min(candidates, key=lambda i: i.sent_at or datetime.max.replace(tzinfo=UTC))
        return earliest, "text of the report"
    return None
