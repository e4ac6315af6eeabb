"""Finds the mail that a bounce returns, whole or as headers, and tells what it says of itself.

The returned mail is written by others and may be forged: its words are reported, never trusted.
"""

from __future__ import annotations

from datetime import UTC, datetime

from parsers.facts import Original, Path
from parsers.mime import Headers, Mail, address, message_ids, moment, open_headers, open_headers_of
from parsers.ses_ids import SesId, returned_ses_id
from parsers.words import split_original

_HEADER_TYPES = ("text/rfc822-headers", "text/rfc822-header", "message/global-headers", "message/rfc822-headers")
_MAIL_TYPES = ("message/rfc822", "message/global", "message/partial")
MAX_RETURNED_BYTES = 160 * 1024
"""Bytes of a returned mail that are read: its headers count, its attachments do not."""


def returned_headers(mail: Mail) -> Headers | None:
    """The headers of the returned mail: an attached mail, attached headers, or headers quoted in a text part."""
    for part in mail.parts:
        if part.media_type in _MAIL_TYPES:
            headers = open_headers_of(part.body(MAX_RETURNED_BYTES))
            if len(headers) > 1:
                return headers
        elif part.media_type in _HEADER_TYPES:
            headers = open_headers(part.text().strip("\n"))
            if len(headers) > 1:
                return headers
    for part in mail.parts[1:]:
        # QUIRK(old Japanese carriers): the returned mail stands behind the boundary without a type of its own.
        if "received" in part.headers and "message-id" in part.headers:
            return part.headers
    for part in mail.texts():
        quoted = split_original(part.text())[1]
        if quoted:
            return open_headers(quoted)
    return None


def describe(returned: Headers | None, mail: Mail) -> Original:
    """What is known of the returned mail, with its SES id and the way it left."""
    found = returned_ses_id(returned, mail)
    ses_id, source = found if found is not None else (None, None)
    if returned is None:
        return Original(
            ses_message_id=ses_id.id if ses_id else None,
            ses_region=ses_id.region if ses_id else None,
            ses_id_source=source,
            sent_at=ses_id.sent_at if ses_id else None,
            path=_path(None, ses_id),
        )
    gmail_ids = message_ids(returned.raw("x-gmail-original-message-id"))
    ids = message_ids(returned.raw("message-id"))
    return Original(
        message_id=ids[0] if ids else None,
        gmail_message_id=gmail_ids[0] if gmail_ids else _gmail_id(ids),
        ses_message_id=ses_id.id if ses_id else None,
        ses_region=ses_id.region if ses_id else None,
        ses_id_source=source,
        sent_at=_sent_at(returned, ses_id),
        sender=address(returned.raw("from")),
        subject=returned.get("subject"),
        path=_path(returned, ses_id),
    )


def _gmail_id(ids: list[str]) -> str | None:
    return ids[0] if ids and ids[0].endswith("@mail.gmail.com") else None


def _sent_at(returned: Headers, ses_id: SesId | None) -> datetime | None:
    if ses_id is not None and ses_id.sent_at is not None:
        return ses_id.sent_at.astimezone(UTC)
    return moment(returned.raw("date"))


def _path(returned: Headers | None, ses_id: SesId | None) -> Path | None:
    """The way the mail left, from the marks each way leaves on it; None where they do not tell.

    Gmail adds X-Gmail-Original-Message-ID only to mail it hands to an alias relay; SES writes the method of its first
    hop: a `Received` from the client means SMTP, none at all the API.
    """
    if returned is None:
        return None
    if ses_id is not None or "x-ses-outgoing" in returned:
        received = " ".join(returned.all("received"))
        if "x-gmail-original-message-id" in returned or "x-google-smtp-source" in returned or "google.com" in received:
            return "gmail-alias"
        if "email-smtp" in received or "ESMTPSA" in received:
            return "ses-smtp"
        return "ses-api"
    if "x-gmail-original-message-id" in returned:
        return "gmail-alias"
    if "x-gm-message-state" in returned or "x-google-smtp-source" in returned or "x-google-dkim-signature" in returned:
        return "gmail"
    return None
