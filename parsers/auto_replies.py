"""Tells automatic replies (RFC 3834) from bounces: by subject, by header, by words beside a machine's header."""

from __future__ import annotations

import re

from parsers.mime import Mail
from parsers.signs import (
    gives_mail_back,
    has_null_sender,
    own_words,
    return_address,
    shows_refusal,
    speaks_of_failure,
    words_of_failure,
)
from parsers.words import AWAY_SUBJECTS, AWAY_WORDS

MAX_AWAY_WORDS = 1500
"""Characters of a mail's own words in which those of an automatic reply are looked for."""
AUTO_HEADERS = (
    "x-autoreply",
    "x-auto-reply",
    "x-autorespond",
    "x-autoresponder",
    "x-autoreply-from",
    "x-mail-autoreply",
    "x-auto-reply-from",
    "x-vacation",
    "x-away-message",
)
_AWAY = re.compile("|".join(AWAY_SUBJECTS), re.IGNORECASE)
_AWAY_WORDS = re.compile(AWAY_WORDS)


def is_away_subject(subject: str) -> bool:
    """Whether a subject begins as those of automatic replies do."""
    return _AWAY.match(subject) is not None


def why_away(mail: Mail, subject: str) -> str | None:
    """The observation that makes a mail an automatic reply (RFC 3834); None where it speaks of a failed delivery."""
    if speaks_of_failure(subject):
        return None
    headers = mail.headers
    for name in AUTO_HEADERS:
        if name in headers and (headers.raw(name) or "").lower() not in ("no", "false"):
            return f"an automatic reply ({name.title()} header)"
    if (headers.raw("precedence") or "").lower() in ("auto_reply", "auto-reply", "autoreply"):
        return "an automatic reply (Precedence header)"
    submitted = (headers.raw("auto-submitted") or "").lower()
    if "x-ms-exchange-message-is-ndr" in headers or not (submitted.startswith("auto-") or has_null_sender(mail)):
        return None
    if submitted.startswith("auto-replied") and (
        return_address(mail) is not None  # no notification has one, RFC 5321 4.5.5
        or (words_of_failure(mail) is None and not (shows_refusal(mail) and gives_mail_back(mail)))
    ):
        return "an automatic reply (Auto-Submitted header, RFC 3834)"
    # QUIRK(Exchange): its automatic replies, in any language, only say that they are generated.
    # https://learn.microsoft.com/openspecs/exchange_server_protocols/ms-oxcmail/ (X-Auto-Response-Suppress)
    if (
        "x-ms-exchange-inbox-rules-loop" in headers
        and (headers.raw("x-auto-response-suppress") or "").lower() == "all"
        and words_of_failure(mail) is None
    ):
        return "an automatic reply (headers of Exchange)"
    if (
        not shows_refusal(mail)
        and not gives_mail_back(mail)
        and words_of_failure(mail) is None
        and _AWAY_WORDS.search(f"{subject}\n{own_words(mail)[:MAX_AWAY_WORDS]}".lower()) is not None
    ):
        return "an automatic reply (its words, and a header that says that a machine sent it)"
    return None
