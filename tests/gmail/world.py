"""The Gmail client, connected to the Gmail double, and the waits it wanted."""

from __future__ import annotations

import socket
from datetime import UTC, datetime

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
LONG_AGO = 1_600_000_000


def mail(
    number: int = 0, *, sender: str = "mailer-daemon@googlemail.com", subject: str = "Returned", more: str = ""
) -> bytes:
    return (
        f"From: <{sender}>\r\nTo: admin@queenofsandiego.com\r\nSubject: {subject}\r\n"
        f"Message-ID: <mail-{number}@mail.example>\r\n{more}\r\nbody {number}\r\n"
    ).encode()


NOTE_ID = "triage.0123456789abcdef@notes.invalid"
BOUNCE = mail(1, subject="Undeliverable")
NOTE = (
    "From: <triage@notes.invalid>\r\nTo: <jadasailing@gmail.com>\r\n"
    f"Subject: Undeliverable\r\nMessage-ID: <{NOTE_ID}>\r\n"
    "In-Reply-To: <mail-1@mail.example>\r\nReferences: <mail-1@mail.example>\r\n\r\nWhose move it is.\r\n"
).encode()


def closed_port() -> int:
    """A port of this machine where nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
