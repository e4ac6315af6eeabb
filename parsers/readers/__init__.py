"""The readers: each turns one family of bounces into facts, or says that it is none of its own.

In: a mail opened by `parsers.mime`. Out: a `Reading` (failures, the returned mail), or None.
May import: the modules of `parsers` and the door of `parsers.words`.
"""

from __future__ import annotations

from parsers.readers.delivery_status import read_delivery_status, with_words
from parsers.readers.exchange import read_exchange
from parsers.readers.feedback import read_feedback
from parsers.readers.gmail_notice import read_gmail_notice, with_speaker
from parsers.readers.prose import kind_of, read_prose
from parsers.readers.ses import describe_sent, event_time, layers, read_notification, read_ses_mail, unwrap

__all__ = [
    "describe_sent",
    "event_time",
    "kind_of",
    "layers",
    "read_delivery_status",
    "read_exchange",
    "read_feedback",
    "read_gmail_notice",
    "read_notification",
    "read_prose",
    "read_ses_mail",
    "unwrap",
    "with_speaker",
    "with_words",
]
