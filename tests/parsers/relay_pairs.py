"""Reports of mail servers in their own words, about a relay of theirs and about a recipient's MX, which say the same.

The forms are those of the programs themselves (sources beside each); the words are written by us. Shared by
test_relay_pairs.py, which checks the verdicts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

SENDER = "admin@queenofsandiego.com"
RECIPIENT = "pat@client.example"
REPORTER = "mail.example.org"
MX = "mx.client.example"

_RETURNED = f"""Received: from laptop.example.org (localhost [127.0.0.1])
\tby {REPORTER} with ESMTP id 4LzZfM62Xyz; Tue, 24 Nov 2026 03:55:44 +0000
Message-ID: <final-headcount.20261124@queenofsandiego.com>
Date: Tue, 24 Nov 2026 03:55:44 +0000
From: Queen of San Diego <{SENDER}>
To: {RECIPIENT}
Subject: Final headcount

See you on Saturday.
"""


class Said(NamedTuple):
    """What a server said, and at which command of the session."""

    reply: str
    command: str


def postfix(host: str, said: Said, recipient: str = RECIPIENT, reporter: str = REPORTER) -> bytes:
    """Postfix: smtp_trouble.c ("host ... said"), smtp_sasl_glue.c for AUTH, bounce_notify_util.c."""
    address = f"{host}[192.0.2.7]"
    if said.command == "AUTH":
        words = f"SASL authentication failed; server {address} said: {said.reply}"
    elif said.command == "CONNECT":
        words = f"host {address} refused to talk to me: {said.reply}"
    else:
        words = f"host {address} said: {said.reply} (in reply to {_POSTFIX[said.command]} command)"
    human = (
        f"This is the mail system at host {reporter}.\n\nI'm sorry to have to inform you that your message could not\n"
        "be delivered to one or more recipients. It's attached below.\n\n                   The mail system\n\n"
        f"<{recipient}>: {words}\n"
    )
    report = (
        f"Reporting-MTA: dns; {reporter}\nX-Postfix-Queue-ID: B9AAE20C902\nX-Postfix-Sender: rfc822; {SENDER}\n\n"
        f"Final-Recipient: rfc822; {recipient}\nAction: failed\nStatus: 5.0.0\nRemote-MTA: dns; {host}\n"
        f"Diagnostic-Code: smtp; {said.reply}\n"
    )
    return _report(human, report, "Undelivered Mail Returned to Sender", reporter)


_POSTFIX = {"MAIL": "MAIL FROM", "RCPT": "RCPT TO", "DATA": "DATA", "END": "end of DATA", "EHLO": "EHLO"}


def exim(host: str, said: Said, recipient: str = RECIPIENT, reporter: str = REPORTER) -> bytes:
    """Exim: transports/smtp.c; it goes on without a login where one failed, unless it must have one."""
    where = {
        "CONNECT": "initial connection",
        "MAIL": f"MAIL FROM:<{SENDER}> SIZE=1623",
        "RCPT": f"RCPT TO:<{recipient}>",
        "DATA": "DATA",
        "END": "end of data",
        "EHLO": f"EHLO {reporter}",
        "AUTH": f"MAIL FROM:<{SENDER}> SIZE=1623",
    }[said.command]
    words = f"host {host} [192.0.2.7]\n    SMTP error from remote mail server after {where}:\n    {said.reply}"
    human = (
        "This message was created automatically by mail delivery software.\n\n"
        "A message that you sent could not be delivered to one or more of its\n"
        "recipients. This is a permanent error. The following address(es) failed:\n\n"
        f"  {recipient}\n    {words}\n"
    )
    report = (
        f"Reporting-MTA: dns; {reporter}\n\nAction: failed\nFinal-Recipient: rfc822;{recipient}\nStatus: 5.0.0\n"
        f"Remote-MTA: dns; {host}\nDiagnostic-Code: smtp; {said.reply}\n"
    )
    return _report(human, report, "Mail delivery failed: returning message to sender", reporter)


def exim_plain(host: str, said: Said, recipient: str = RECIPIENT, reporter: str = REPORTER) -> bytes:
    """Exim before 4.83, and with `bounce_message_file`: words alone."""
    human = (
        "This message was created automatically by mail delivery software.\n\n"
        "A message that you sent could not be delivered to one or more of its\n"
        "recipients. This is a permanent error. The following address(es) failed:\n\n"
        f"  {recipient}\n    SMTP error from remote mail server after MAIL FROM:<{SENDER}> SIZE=1623:\n"
        f"    host {host} [192.0.2.7]: {said.reply}\n\n"
        f"------ This is a copy of the message, including all the headers. ------\n\n{_RETURNED}"
    )
    return _plain(human, "Mail delivery failed: returning message to sender", reporter)


def sendmail(host: str, said: Said, recipient: str = RECIPIENT, reporter: str = REPORTER) -> bytes:
    """Sendmail: usersmtp.c writes the transcript, savemail.c the report."""
    sent = {
        "AUTH": ">>> AUTH PLAIN\n",
        "MAIL": f">>> MAIL From:<{SENDER}> SIZE=366\n",
        "RCPT": f">>> RCPT To:<{recipient}>\n",
        "DATA": ">>> DATA\n",
        "END": ">>> .\n",
        "EHLO": f">>> EHLO {reporter}\n",
        "CONNECT": "",
    }[said.command]
    human = (
        f"The original message was received at Tue, 24 Nov 2026 04:02:24 GMT\nfrom localhost [127.0.0.1]\n\n"
        f"   ----- The following addresses had permanent fatal errors -----\n<{recipient}>\n"
        f"    (reason: {said.reply})\n\n   ----- Transcript of session follows -----\n"
        f"... while talking to {host}.:\n{sent}<<< {said.reply}\n554 5.0.0 Service unavailable\n"
    )
    report = (
        f"Reporting-MTA: dns; {reporter}\nReceived-From-MTA: DNS; localhost\n\nFinal-Recipient: RFC822; {recipient}\n"
        f"Action: failed\nStatus: 5.0.0\nRemote-MTA: DNS; {host}\nDiagnostic-Code: SMTP; {said.reply}\n"
    )
    return _report(human, report, "Returned mail: see transcript for details", reporter)


def nullmailer(host: str, said: Said, recipient: str = RECIPIENT, reporter: str = REPORTER) -> bytes:
    """Nullmailer: src/dsn.cc; the reply alone, and the remote it was told to use."""
    human = (
        "This is the nullmailer delivery system.  The message attached below\n"
        f"could not be delivered to one or more of the intended recipients:\n\n\t<{recipient}>\n"
    )
    report = (
        f"Reporting-MTA: x-local-hostname; {reporter}\n\nFinal-Recipient: rfc822; {recipient}\nAction: failed\n"
        f"Status: 5.0.0\nRemote-MTA: dns; {host}\nDiagnostic-Code: SMTP; {said.reply}\n"
    )
    return _report(human, report, "Returned mail: Could not send message", reporter)


def dragonfly(host: str, said: Said, recipient: str = RECIPIENT, reporter: str = REPORTER) -> bytes:
    """DragonFly Mail Agent: net.c ("did not like our", "SMTP login to ... failed"), dma.c."""
    command = {
        "MAIL": "MAIL FROM",
        "RCPT": "RCPT TO",
        "DATA": "DATA",
        "END": "final DATA",
        "EHLO": "EHLO",
        "CONNECT": "connect",
    }
    words = f"{host} [192.0.2.7] did not like our {command.get(said.command, 'MAIL FROM')}:\n{said.reply}"
    human = (
        f"This is the DragonFly Mail Agent v0.13 at {reporter}.\n\n"
        f"There was an error delivering your mail to <{recipient}>.\n\n{words}\n\n"
        f"Message headers follow.\n\n{_RETURNED}"
    )
    return _plain(human, "Mail delivery failed", reporter)


def qmail(host: str, said: Said, recipient: str = RECIPIENT, reporter: str = REPORTER) -> bytes:
    """Qmail, with smtproutes to a named host: qmail-remote.c as netqmail and its kin name the host."""
    words = f"Connected to {host} but sender was rejected.\nRemote host said: {said.reply}"
    human = (
        f"Hi. This is the qmail-send program at {reporter}.\n"
        "I'm afraid I wasn't able to deliver your message to the following addresses.\n"
        f"This is a permanent error; I've given up. Sorry it didn't work out.\n\n<{recipient}>:\n{words}\n\n"
        f"--- Below this line is a copy of the message.\n\nReturn-Path: <{SENDER}>\n{_RETURNED}"
    )
    return _plain(human, "failure notice", reporter)


def exchange(host: str, said: Said, recipient: str = RECIPIENT, reporter: str = REPORTER) -> bytes:
    """Exchange Server with a send connector: the host that answered stands behind "Remote Server at"."""
    human = (
        "Delivery has failed to these recipients or groups:\n\n"
        f"{recipient}\nThe server has tried to deliver this message, without success.\n\n"
        f"Diagnostic information for administrators:\n\nGenerating server: {reporter}\n\n"
        f"{recipient}\nRemote Server at {host} (192.0.2.7) returned '{said.reply}'\n"
    )
    report = (
        f"Reporting-MTA: dns;{reporter}\n\nFinal-recipient: RFC822;{recipient}\nAction: failed\nStatus: 5.0.0\n"
        f"Remote-MTA: dns;{host}\nDiagnostic-Code: smtp;{said.reply}\n"
    )
    return _report(human, report, "Undeliverable: Final headcount", reporter, sender=f"postmaster@{reporter}")


def courier(host: str, said: Said, recipient: str = RECIPIENT, reporter: str = REPORTER) -> bytes:
    """Courier, with esmtproutes: dsn's template and the transcript of courieresmtp."""
    human = (
        f"This is a delivery status notification from {reporter},\nrunning the Courier mail server, version 1.0.16.\n\n"
        "The original message was received on Tue, 24 Nov 2026 03:55:44 +0000\n"
        f"from localhost\n\n{'-' * 75}\n\n                           UNDELIVERABLE MAIL\n\n"
        "Your message to the following recipients cannot be delivered:\n\n"
        f"<{recipient}>:\n    {host} [192.0.2.7]:\n>>> MAIL FROM:<{SENDER}>\n<<< {said.reply}\n\n{'-' * 75}\n"
    )
    report = (
        f"Reporting-MTA: dns; {reporter}\n\nFinal-Recipient: rfc822; {recipient}\nAction: failed\nStatus: 5.0.0\n"
        f"Remote-MTA: dns; {host} [192.0.2.7]\nDiagnostic-Code: smtp; {said.reply}\n"
    )
    return _report(human, report, "NOTICE: mail delivery status.", reporter)


Program = Callable[[str, Said], bytes]
PROGRAMS: tuple[Program, ...] = (
    *(postfix, exim, exim_plain, sendmail, nullmailer, dragonfly, qmail, exchange, courier),
)


def opensmtpd(words: str, recipient: str = RECIPIENT, reporter: str = REPORTER) -> bytes:
    """OpenSMTPD: bounce.c. It names no host at all: only its own words can tell whom it spoke to (mta_session.c)."""
    human = (
        "    Hi!\n\n    This is the MAILER-DAEMON, please DO NOT REPLY to this email.\n\n"
        "    An error has occurred while attempting to deliver a message for\n    the following list of recipients:\n\n"
        f"{recipient}: {words}\n\n    Below is a copy of the original message:\n"
    )
    report = f"Reporting-MTA: dns; {reporter}\n\nFinal-Recipient: rfc822; {recipient}\nAction: failed\nStatus: 5.0.0\n"
    return _report(human, report, "Delivery status notification: failed", reporter)


def in_words(words: str, recipient: str = RECIPIENT, reporter: str = REPORTER, kind: str = "postfix") -> bytes:
    """A report of Postfix or Exim in which no server answered: its own words about the connection."""
    if kind == "exim":
        human = (
            "This message was created automatically by mail delivery software.\n\n"
            "A message that you sent could not be delivered to one or more of its\n"
            "recipients. This is a permanent error. The following address(es) failed:\n\n"
            f"  {recipient}\n    {words}\n"
        )
        report = (
            f"Reporting-MTA: dns; {reporter}\n\nAction: failed\nFinal-Recipient: rfc822;{recipient}\nStatus: 5.0.0\n"
        )
        return _report(human, report, "Mail delivery failed: returning message to sender", reporter)
    if kind == "dma":
        human = (
            f"This is the DragonFly Mail Agent v0.13 at {reporter}.\n\nThere was an error delivering your mail to "
            f"<{recipient}>.\n\n{words}\n\nMessage headers follow.\n\n{_RETURNED}"
        )
        return _plain(human, "Mail delivery failed", reporter)
    human = (
        f"This is the mail system at host {reporter}.\n\n                   The mail system\n\n<{recipient}>: {words}\n"
    )
    report = (
        f"Reporting-MTA: dns; {reporter}\nX-Postfix-Queue-ID: B9AAE20C902\n\nFinal-Recipient: rfc822; {recipient}\n"
        f"Action: failed\nStatus: 4.4.1\nDiagnostic-Code: X-Postfix; {words}\n"
    )
    return _report(human, report, "Undelivered Mail Returned to Sender", reporter)


def _report(human: str, report: str, subject: str, reporter: str, sender: str | None = None) -> bytes:
    return (
        f"{_head(subject, sender or f'MAILER-DAEMON@{reporter}')}Content-Type: multipart/report;"
        ' report-type=delivery-status;\n\tboundary="b"\n\n--b\nContent-Type: text/plain; charset=us-ascii\n\n'
        f"{human}\n--b\nContent-Type: message/delivery-status\n\n{report}\n"
        f"--b\nContent-Type: message/rfc822\n\n{_RETURNED}\n--b--\n"
    ).encode()


def _plain(human: str, subject: str, reporter: str) -> bytes:
    return f"{_head(subject, f'MAILER-DAEMON@{reporter}')}\n{human}".encode()


def _head(subject: str, sender: str) -> str:
    return (
        f"Return-Path: <>\nFrom: Mail Delivery System <{sender}>\nTo: {SENDER}\nSubject: {subject}\n"
        "Date: Tue, 24 Nov 2026 03:55:46 +0000\nMessage-ID: <20261124035546.B9AAE20C902@mail.example.org>\n"
        "MIME-Version: 1.0\n"
    )
