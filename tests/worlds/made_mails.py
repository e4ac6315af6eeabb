"""Mails made to order for the tests of a run: the few sorts of bounce that lead to different labels."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import TYPE_CHECKING

from parsers import parse
from parsers.facts import Bounce

if TYPE_CHECKING:
    from tests.doubles.gmail import GmailDouble

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
OWNER = "admin@queenofsandiego.com"
EVERYBODY = ", ".join(f"{name}@client.example" for name in ("pat", "kim", "sam", "trap", "person-1", "person-2"))

_GENUINE = {
    "pass": "Authentication-Results: mx.google.com; spf=pass; dkim=pass header.i=@{domain}\n",
    "fail": "Authentication-Results: mx.google.com; dmarc=fail header.from={domain}\n",
    "unknown": "",
}
FROM_GOOGLE = """Received: from mail-sor-f69.google.com (mail-sor-f69.google.com. [209.85.220.69])
        by mx.google.com with SMTPS id a1sor2 for <jadasailing@gmail.com>
        (Google Transport Security); Tue, 24 Nov 2026 01:00:01 -0800 (PST)
"""


def _mail(number: int, sender: str, subject: str, genuine: str, rest: str) -> bytes:
    domain = sender.rpartition("@")[2]
    hop = FROM_GOOGLE if domain == "googlemail.com" else ""
    head = (
        f"{hop}Return-Path: <>\n{_GENUINE[genuine].format(domain=domain)}From: Mail Delivery <{sender}>\nTo: {OWNER}\n"
        f"Subject: {subject}\nDate: Tue, 24 Nov 2026 09:00:{number % 60:02d} +0000\n"
        f"Message-ID: <bounce-{number}@{domain}>\nMIME-Version: 1.0\n"
    )
    return (head + rest).replace("\n", "\r\n").encode()


def _report(words: str, fields: str, original_id: str | None, more_headers: str = "") -> str:
    """A delivery report (RFC 3464) in its three parts."""
    id_line = f"Message-ID: <{original_id}>\n" if original_id else ""
    return (
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n'
        f"{more_headers}\n--b\nContent-Type: text/plain; charset=utf-8\n\n{words}\n"
        f"--b\nContent-Type: message/delivery-status\n\n{fields}\n"
        f"--b\nContent-Type: message/rfc822\n\n{id_line}From: {OWNER}\nTo: pat@client.example\n"
        "Subject: Your booking\nDate: Tue, 24 Nov 2026 08:59:00 +0000\n\nHello\n--b--\n"
    )


def _fields(recipient: str, action: str, status: str, diagnostic: str, remote: str) -> str:
    return (
        f"Reporting-MTA: dns; mx.example.com\n\nFinal-Recipient: rfc822; {recipient}\nAction: {action}\n"
        f"Status: {status}\nRemote-MTA: dns; {remote}\nDiagnostic-Code: smtp; {diagnostic}\n"
    )


def refusal(
    number: int,
    *,
    recipient: str = "pat@client.example",
    original_id: str | None = "mail-1@example.org",
    genuine: str = "pass",
    references: str = "",
) -> bytes:
    """A recipient's server does not know the recipient: `remote-rejection`."""
    fields = _fields(recipient, "failed", "5.1.1", "550 5.1.1 <user> User unknown", "mx.client.example")
    report = _report("It failed.", fields, original_id, references)
    return _mail(number, "mailer-daemon@mx.example.com", "Undelivered Mail Returned to Sender", genuine, report)


def delay(number: int, *, recipient: str = "pat@client.example") -> bytes:
    """The same mail, still being tried: `delayed`."""
    fields = _fields(recipient, "delayed", "4.4.1", "451 4.4.1 Connection timed out", "mx.client.example")
    report = _report("It is delayed.", fields, "mail-1@example.org")
    return _mail(number, "mailer-daemon@mx.example.com", "Delayed Mail (still being retried)", "pass", report)


def alias_notice(number: int) -> bytes:
    """Gmail could not sign in to SES behind a "Send mail as" alias: `smtp-credentials`."""
    words = (
        "** Message not delivered **\n\nYou're sending this from a different address or alias using the\n"
        "'Send mail as' feature. The settings for your 'Send mail as' account are misconfigured or out of date.\n\n"
        "The response was:\n\n535 Authentication Credentials Invalid\n"
    )
    failed = "X-Failed-Recipients: pat@client.example\n"
    report = _report(words, "", "mail-2@example.org", failed)
    return _mail(number, "mailer-daemon@googlemail.com", "Delivery Status Notification (Failure)", "pass", report)


def newsletter(number: int) -> bytes:
    """No bounce, but found by the search because of its sender."""
    body = "Content-Type: text/plain\n\nPostmaster's monthly letter about sails.\n"
    return _mail(number, "postmaster@shop.example", "News", "pass", body)


def sent(message_id: str, to: str = "pat@client.example") -> bytes:
    """A mail of ours as it lies in Sent."""
    head = f"From: {OWNER}\r\nTo: {to}\r\nSubject: Your booking\r\n"
    return f"{head}Message-ID: <{message_id}>\r\n\r\nHello\r\n".encode()


def put_into_sent(gmail: GmailDouble, most: int = 9) -> None:
    """Let the mails that made bounces return lie in Sent, and the alias be one of this account's."""
    for number in range(1, most + 1):
        gmail.seed(sent(f"mail-{number}@example.org", EVERYBODY), labels=["SENT"], received_at=minutes_ago(60))
    gmail.add_send_as(OWNER, host="email-smtp.us-east-1.amazonaws.com", port=587)


def put_original_into_sent(gmail: GmailDouble, bounce: bytes) -> None:
    """Let the mail that a bounce returns lie in Sent, to whom the bounce says it failed for."""
    found = parse(bounce)
    if not isinstance(found, Bounce):
        return
    original = found.original
    message_id = original.gmail_message_id or original.message_id or next(iter(found.references), None)
    people = ", ".join(dict.fromkeys(f.original_recipient or f.recipient or "" for f in found.failures))
    if message_id is None:
        return
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = original.sender or OWNER, people, original.subject or ""
    mail["Message-ID"] = f"<{message_id}>"
    mail.set_content("Hello")
    gmail.seed(mail.as_bytes(), labels=["SENT"], received_at=original.sent_at or minutes_ago(60))


def minutes_ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def opened(raw: bytes) -> EmailMessage:
    """A mail as a program reads it."""
    mail = message_from_bytes(raw, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail
