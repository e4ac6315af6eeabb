"""A note, opened as the mail it is."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage


def opened(note: bytes) -> EmailMessage:
    mail = message_from_bytes(note, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail
