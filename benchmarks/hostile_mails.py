"""Mails made to cost time or memory, one for each way we could think of. Nothing here reads or judges a mail.

`MAILS` maps a name to the function that makes the mail; `baits` repeats one piece of text in every place that a reader
looks at, and `PIECES` are the pieces that our patterns could stumble over.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable

MB = 1 << 20
HEAD = b"From: mailer-daemon@example.org\nTo: admin@queenofsandiego.com\nSubject: Undelivered Mail Returned to Sender\n"
REPORT = b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n'
REFUSAL = b"550 5.1.1 <pat@client.example>: Recipient address rejected: User unknown\n"


def attached(mail: bytes, times: int) -> bytes:
    """A mail that somebody forwards as an attachment, again and again."""
    part = b"--b\nContent-Type: message/rfc822\n\n" + mail + b"\n"
    return b"From: pat@client.example\n" + REPORT.replace(b"report;", b"mixed;") + part * times


def text(words: bytes, headers: bytes = b"") -> bytes:
    """A bounce that is only words."""
    return HEAD + headers + b"\n" + words


def report(human: bytes = b"It failed.\n", fields: bytes = b"", returned: bytes = b"Subject: x\n\n") -> bytes:
    """A delivery report in its three parts."""
    return (
        HEAD + REPORT + b"--b\n\n" + human + b"\n--b\nContent-Type: message/delivery-status\n\n"
        b"Reporting-MTA: dns; mx.example.org\n\n" + fields + b"\n--b\nContent-Type: message/rfc822\n\n" + returned
    ) + b"\n--b--\n"


def recipient(number: int, words: str = "smtp; 550 5.1.1 no such user") -> bytes:
    """The fields of one recipient."""
    fields = f"Final-Recipient: rfc822; user{number}@client.example\nAction: failed\nStatus: 5.1.1\n"
    return f"{fields}Diagnostic-Code: {words}\n\n".encode()


def fill(piece: bytes, size: int = MB) -> bytes:
    """A piece repeated up to a size in bytes."""
    return (piece * (size // len(piece) + 1))[:size]


def nested(depth: int) -> bytes:
    """Multiparts in multiparts."""
    levels = (f'Content-Type: multipart/mixed; boundary="b{n}"\n\n--b{n}\n'.encode() for n in range(depth))
    return HEAD + b"".join(levels) + b"\n" + REFUSAL


def mails_in_mails(depth: int) -> bytes:
    """A mail attached to a mail attached to a mail."""
    mail = HEAD + b"\n" + REFUSAL
    for number in range(depth):
        boundary = f"a{number}".encode()
        mail = b'Content-Type: multipart/mixed; boundary="%b"\n\n--%b\nContent-Type: message/rfc822\n\n%b\n--%b--\n' % (
            boundary,
            boundary,
            mail,
            boundary,
        )
    return b"From: pat@client.example\nSubject: Fwd: bounce\n" + mail


def encoded(words: bytes, encoding: str = "base64", kind: bytes = b"text/plain") -> bytes:
    """A text in a transfer encoding."""
    body = base64.encodebytes(words) if encoding == "base64" else words
    return HEAD + b"Content-Type: " + kind + b"\nContent-Transfer-Encoding: " + encoding.encode() + b"\n\n" + body


def html(words: bytes) -> bytes:
    """A bounce that is only a page."""
    return HEAD + b"Content-Type: text/html\n\n<html><body>" + words


MAILS: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "25 MB of text": lambda: text(fill(b"words of nobody in particular\n", 25 * MB)),
    "25 MB in one line": lambda: text(fill(b"x", 25 * MB)),
    "25 MB of line ends": lambda: fill(b"\r\n", 25 * MB),
    "25 MB of carriage returns": lambda: text(fill(b"x\r", 25 * MB)),
    "25 MB without a header end": lambda: fill(b"Subject: x\n", 25 * MB),
    "25 MB of NUL": lambda: fill(b"\0", 25 * MB),
    "25 MB returned": lambda: report(returned=b"Subject: x\n\n" + fill(b"the mail that came back\n", 25 * MB)),
    "25 MB of attachments": lambda: report(returned=encoded(fill(b"\0\1\2", 18 * MB))),
    "header of 10 MB": lambda: b"X-Long: " + fill(b"x", 10 * MB) + b"\n" + HEAD + b"\n" + REFUSAL,
    "header of 10 MB, folded": lambda: HEAD + b"X-Long: " + fill(b"x\n ", 10 * MB) + b"\n\n" + REFUSAL,
    "header of 10 MB of names": lambda: HEAD + fill(b"x" * 90 + b"\n", 10 * MB) + b"\n\n" + REFUSAL,
    "50,000 Received headers": lambda: (
        (
            HEAD
            + b"Received: from a.example (a.example [192.0.2.1])\n\tby b.example; Tue, 24 Nov 2026 09:00:00 +0000\n"
            * 50_000
        )
        + b"\n"
        + REFUSAL
    ),
    "returned 50,000 Received headers": lambda: report(
        returned=b"Received: from a by b; 1 Jan 2026\n" * 50_000 + b"\n"
    ),
    "10,000 parts": lambda: HEAD + REPORT + b"--b\nContent-Type: text/plain\n\nx\n" * 10_000 + b"--b--\n",
    "10,000 report parts": lambda: (
        HEAD
        + REPORT
        + b"".join(b"--b\nContent-Type: message/delivery-status\n\n" + recipient(n) for n in range(10_000))
    ),
    "200 large texts": lambda: (
        HEAD + REPORT + (b"--b\n\n" + fill(b"user@client.example failed\n", 120_000) + b"\n") * 200
    ),
    "200 large report parts": lambda: (
        HEAD + REPORT + (b"--b\nContent-Type: message/delivery-status\n\n" + fill(b"x\n\n", 120_000) + b"\n") * 200
    ),
    "nested 1,000 deep": lambda: nested(1000),
    "nested 12 deep in 24 MB": lambda: nested(12) + fill(b"words\n", 24 * MB),
    "1,000 mails in mails": lambda: mails_in_mails(300),
    "two mails in mails of 20 MB": lambda: mails_in_mails(2) + fill(b"words\n", 20 * MB),
    "200 attached mails": lambda: (
        b"From: pat@client.example\n"
        + REPORT.replace(b"report;", b"mixed;")
        + (b"--b\nContent-Type: message/rfc822\n\nFrom: mailer-daemon@a.example\n\n" + fill(b"x@a.example\n", 100_000))
        * 200
    ),
    "100 pages of entities": lambda: (
        HEAD + REPORT + (b"--b\nContent-Type: text/html\n\n" + fill(b"<p>&#1;", 256_000) + b"\n") * 100
    ),
    "200 attached pages of entities": lambda: attached(html(fill(b"<p>&#1;", 128_000)), 200),
    "20 MB of punycode": lambda: (
        HEAD + REPORT + (b"--b\nContent-Type: text/plain; charset=punycode\n\na-" + fill(b"a", 256_000) + b"\n") * 80
    ),
    "boundary in every line": lambda: HEAD + REPORT + fill(b"--bb\n", 25 * MB),
    "boundary of 1 MB": lambda: HEAD + b'Content-Type: multipart/mixed; boundary="' + fill(b"b", MB) + b'"\n\n--b\n',
    "100,000 recipients": lambda: report(fields=b"".join(recipient(n) for n in range(100_000))),
    "100,000 recipients in words": lambda: text(b"".join(b"<user%d@a.example>: unknown\n" % n for n in range(100_000))),
    "100,000 failed recipients": lambda: text(
        REFUSAL, b"X-Failed-Recipients: " + b", ".join(b"u%d@a.example" % n for n in range(100_000)) + b"\n"
    ),
    "1,000 recipients, a page of words": lambda: report(
        b"".join(b"<user%d@client.example>: it failed\n" % n for n in range(800)),
        b"".join(recipient(n, "smtp; no code") for n in range(1000)),
    ),
    "blank lines in a report": lambda: report(fields=recipient(1) + fill(b"x\n\n", 10 * MB)),
    "diagnostic of 10 MB": lambda: report(fields=recipient(1, "smtp; " + "550-5.1.1 no " * 800_000)),
    "25 MB of base64": lambda: encoded(fill(REFUSAL, 18 * MB)),
    "20 MB of broken base64": lambda: encoded(b"") + fill(b"QUJD=", 20 * MB),
    "20 MB of quoted-printable": lambda: encoded(fill(b"=41=\n", 20 * MB), "quoted-printable"),
    "attachment name of 64 KB": lambda: (
        HEAD
        + REPORT
        + b"--b\nContent-Type: application/gzip\nContent-Disposition: attachment; filename="
        + fill(b"a", 65_536)
        + b"\n\nx\n--b--\n"
    ),
    "packed bomb": lambda: encoded(zlib.compress(bytes(200 * MB), 9), kind=b"application/zip"),
    "nested tags": lambda: html(fill(b"<div>", 20 * MB)),
    "open tags": lambda: html(fill(b"<", 20 * MB)),
    "open comments": lambda: html(fill(b"<!--", 20 * MB)),
    "open styles": lambda: html(fill(b"<style>", 20 * MB)),
    "half tags": lambda: html(fill(b"<br <p ", 20 * MB)),
    "entities": lambda: html(fill(b"&#1;&amp;&", 20 * MB)),
    "encoded words": lambda: HEAD + b"X-Failed-Recipients: " + fill(b"=?utf-8?q?a?= ", 10 * MB) + b"\n\n" + REFUSAL,
    "encoded word without end": lambda: b"Subject: " + fill(b"=?a?q?", 10 * MB) + b"\n\n" + REFUSAL,
    "JSON 100,000 deep": lambda: b"X-Amz-SNS-Message-Id: 1\nFrom: no-reply@sns.amazonaws.com\n\n" + b'{"a":' * 100_000,
    "JSON of 20 MB": lambda: (
        b'X-Amz-SNS-Message-Id: 1\nFrom: no-reply@sns.amazonaws.com\n\n{"a": "' + fill(b"x", 20 * MB)
    ),
    "100,000 recipients in JSON": lambda: (
        b"X-Amz-SNS-Message-Id: 1\nFrom: no-reply@sns.amazonaws.com\n\n"
        b'{"notificationType":"Bounce","mail":{},"bounce":{"bouncedRecipients":['
        + b",".join(b'{"emailAddress":"u%d@a.example"}' % n for n in range(100_000))
        + b"]}}"
    ),
    "transcript of 10 MB": lambda: text(
        fill(b">>> RCPT TO:<a@b.example>\n<<< 550-5.1.1 x\n<<< 550 5.1.1 x\n", 10 * MB)
    ),
    "complaint about 100,000": lambda: (
        HEAD
        + REPORT
        + b"--b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\n"
        + b"".join(b"Original-Rcpt-To: u%d@a.example\n" % n for n in range(100_000))
    ),
}

# What patterns repeat, and what almost fits them: brackets that never close, dots, spaces, digits, addresses, labels.
PIECES: tuple[bytes, ...] = (
    b" ", b"\t", b"\n", b" \n", b"\n ", b"a", b"A", b"0", b"5", b".", b"-", b"_", b":", b";", b",", b"@", b"<", b">",
    b"(", b")", b"[", b"]", b'"', b"'", b"#", b"*", b"=", b"=?", b"\\", b"\xc3\xa9", b"\xff", b"a.", b"a@", b"@a",
    b"a@b", b"a@b.c ", b"<a@b", b"a@b.c\n", b"a@b.c: ", b"a b ", b"a: ", b"a:a", b"\n>", b"<<< ", b">>> ",
    b"<<< 550 ", b">>> RCPT TO:<", b"550 ", b"550-", b"550-5.1.1 ", b"5.1.1 ", b"5.1.", b"550 5.1.1 <", b"#5.1.1",
    b"##", b"# <a #5", b"<a.b #5.1.1", b"host a.b ", b"host a", b"host a.a.a.a", b" [", b"a.a[", b" said",
    b"a.b said: ", b"while talking to a", b"rejected by a.", b"(expanded from <", b"generated from ",
    b"a@b.c\n (generated from ", b"Giving up on ", b"Final-Recipient: rfc822;", b"Diagnostic-Code: ",
    b"original message\n", b"--- original message ", b"Received: x\n", b"Message-ID: <", b"From a\n", b">From ",
    b"Subject: ", b"-----", b"- ", b"|---", b"Received: from a by b; 1 Jan 2026 00:00 ", b"01000000-",
    b"0100aaaaaaaaaaaa-aaaaaaaa-aaaa-", b"** a **", b"**a", b"Technical details of permanent failure:", b"(state 1)",
    b"support.google.com/mail/?p=", b"MSEXCH:(", b"Reported error: ", b"Remote Server returned '", b"'550 ",
    b"a.b gave this error:\n", b"on Mon, 1 Jan 2026 ", b"was not delivered to a@b.c ", b"dkim=pass ",
    b"dkim=pass header.i=@", b"<div ", b"&#", b"<td", b"</td ", b"\x1b$B", b"=41",
)  # fmt: skip


def baits(piece: bytes, size: int = MB) -> list[bytes]:
    """Mails in which one piece fills, one after the other, each place a reader looks at."""
    filling = fill(piece, size)
    line = filling.replace(b"\n", b" ")
    return [
        text(filling),
        text(b"<pat@client.example>: " + filling),
        text(b"The following address failed:\n\n pat@client.example\n" + filling + b"\n" + REFUSAL),
        text(REFUSAL + b"\n------ This is a copy of the message ------\n" + filling),
        text(b"MSEXCH: Diagnostic information for administrators:\n\n" + filling),
        text(b"** Address not found **\n\nYour message wasn't delivered to " + filling).replace(
            b"mailer-daemon@example.org", b"mailer-daemon@googlemail.com"
        ),
        text(b"Delivery to the following recipient failed permanently:\n\n" + filling).replace(
            b"mailer-daemon@example.org", b"mailer-daemon@googlemail.com"
        ),
        html(filling),
        report(filling, recipient(1, "smtp; it failed")),
        report(fields=recipient(1, "smtp; 550 5.1.1 ") + filling),
        report(
            fields=b"Final-Recipient: rfc822; pat@client.example\nDiagnostic-Code: smtp; " + line + b"\nStatus: " + line
        ),
        report(fields=recipient(1), returned=filling),
        b"".join(b"%b: %b\n" % (name, line[: size // 12]) for name in FIELDS) + b"\n" + REFUSAL,
    ]


FIELDS = (
    b"From", b"To", b"Subject", b"Date", b"Message-ID", b"Return-Path", b"Content-Type", b"Authentication-Results",
    b"X-Failed-Recipients", b"References", b"Auto-Submitted", b"Received",
)  # fmt: skip
