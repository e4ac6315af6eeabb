"""Headers as they arrive in Gmail, honest and hostile, for the tests of whom we believe.

A hostile one is written by somebody who knows all of this program and of the account but its secrets: he chooses the
envelope, the HELO name, the From, and everything that stands below what Gmail writes on top.
"""

from __future__ import annotations

from typing import NamedTuple

from parsers.mime import Headers, open_headers

GMAIL = "Mail Delivery Subsystem <mailer-daemon@googlemail.com>"
SES = "MAILER-DAEMON@amazonses.com"
SNS = "AWS Notifications <no-reply@sns.amazonaws.com>"
EVIL = "x@evil.example"

INSIDE = "by 2002:a05:6402:1a:b0:5f:1:2 with SMTP id a1csp1; Tue, 24 Nov 2026 01:00:02 -0800 (PST)"
FROM_GOOGLE = """from mail-sor-f69.google.com (mail-sor-f69.google.com. [209.85.220.69])
        by mx.google.com with SMTPS id a1sor2 for <jadasailing@gmail.com>
        (Google Transport Security); Tue, 24 Nov 2026 01:00:01 -0800 (PST)"""
FROM_ELSEWHERE = """from out.evil.example (out.evil.example. [203.0.113.66])
        by mx.google.com with ESMTPS id a1si2 for <jadasailing@gmail.com>
        (version=TLS1_3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256); Tue, 24 Nov 2026 01:00:01 -0800 (PST)"""

GMAILS_RESULTS = """mx.google.com;
       dkim=pass header.i=@googlemail.com header.s=20230601 header.b="JX5/pC3K";
       spf=none (google.com: mail-sor-f69.google.com does not designate permitted sender hosts) smtp.helo=mail-sor-f69.google.com;
       dmarc=pass (p=QUARANTINE sp=QUARANTINE dis=NONE) header.from=googlemail.com;
       dara=pass header.i=@gmail.com"""  # noqa: E501
FORGED = "mx.google.com; dkim=pass header.i=@googlemail.com; dmarc=pass header.from=googlemail.com"
"""What a stranger would like Gmail to have written."""


class Stamp(NamedTuple):
    """The fields that matter of one mail, top to bottom."""

    name: str
    expected: str
    results: str | None = GMAILS_RESULTS
    author: str | None = GMAIL
    reader: str | None = None
    hop: str | None = FROM_ELSEWHERE
    below: str = ""
    """Fields that the sender wrote."""
    above: str = ""
    """What stands above the results, besides Gmail's own lines."""
    return_path: str = "<>"
    signer: str | None = None
    by_gmail: bool = False

    def headers(self) -> Headers:
        return open_headers(self.block())

    def block(self) -> str:
        lines = ["Delivered-To: jadasailing@gmail.com"]
        if self.hop is not None:
            lines += [f"Received: {INSIDE}", "X-Received: by 2002:a05:1 with SMTP id b2mr3", f"Received: {self.hop}"]
        if self.above:
            lines.append(self.above)
        lines.append(f"Return-Path: {self.return_path}")
        if self.results is not None:
            lines.append(f"Authentication-Results: {self.results}")
        if self.below:
            lines.append(self.below)
        if self.author is not None:
            lines.append(f"From: {self.author}")
        return "\n".join([*lines, "Subject: Delivery Status Notification (Failure)"])


def written(*results: str) -> str:
    return ";\n       ".join(["mx.google.com", *results])


def signed(domain: str, *more: str) -> str:
    return written(f"dkim=pass header.i=@{domain} header.s=s1 header.b=abcd1234", *more)


def spf(domain: str) -> str:
    return f"spf=pass (google.com: domain of {domain} designates 203.0.113.66 as permitted sender) smtp.helo={domain}"


def dmarc(domain: str, result: str = "pass") -> str:
    return f"dmarc={result} (p=NONE sp=NONE dis=NONE) header.from={domain}"


HONEST = [
    Stamp("gmail notice", "pass", hop=FROM_GOOGLE, reader="gmail-notice", signer="googlemail.com", by_gmail=True),
    Stamp(
        "gmail notice, upper case and a version",
        "pass",
        GMAILS_RESULTS.replace("mx.google.com;", "MX.Google.Com 1;", 1).replace("dkim=pass", "DKIM = Pass"),
        hop=FROM_GOOGLE,
        reader="gmail-notice",
        signer="googlemail.com",
        by_gmail=True,
    ),
    Stamp(
        "gmail notice in Workspace, ARC on top",
        "pass",
        hop=FROM_GOOGLE,
        above=f"ARC-Authentication-Results: i=1; {GMAILS_RESULTS}",
        signer="googlemail.com",
        by_gmail=True,
    ),
    Stamp(
        "gmail notice with comments everywhere",
        "pass",
        "(one) mx.google.com (two) 1 (three); (four (five) \\) six) dkim (7) = (8) pass (9) header (a) . (b) i (c) ="
        " (d) @googlemail.com (e); dmarc=pass(f)header.from=googlemail.com (g)",
        hop=FROM_GOOGLE,
        signer="googlemail.com",
        by_gmail=True,
    ),
    Stamp(
        "gmail notice without DMARC",
        "pass",
        signed("googlemail.com"),
        hop=FROM_GOOGLE,
        signer="googlemail.com",
        by_gmail=True,
    ),
    Stamp("gmail notice, forwarded", "pass", signer="googlemail.com"),
    Stamp(
        "ses us-east-1",
        "pass",
        signed("amazonses.com", spf("a9-33.smtp-out.amazonses.com"), dmarc("amazonses.com")),
        SES,
        signer="amazonses.com",
    ),
    Stamp(
        "ses regional",
        "pass",
        signed("amazonses.com", dmarc("us-west-2.amazonses.com")),
        "MAILER-DAEMON@us-west-2.amazonses.com",
        signer="amazonses.com",
    ),
    Stamp(
        "ses regional, the policy is its parent's",
        "pass",
        signed("us-west-2.amazonses.com", dmarc("amazonses.com")),
        "MAILER-DAEMON@us-west-2.amazonses.com",
        signer="us-west-2.amazonses.com",
    ),
    Stamp(
        "sns",
        "pass",
        signed("sns.amazonaws.com", "dkim=pass header.i=@amazonses.com", dmarc("sns.amazonaws.com")),
        SNS,
        reader="ses-notification",
        return_path="<0100-1@amazonses.com>",
        signer="sns.amazonaws.com",
    ),
    Stamp(
        "sns signed by its parent",
        "pass",
        signed("amazonaws.com", dmarc("amazonaws.com")),
        SNS,
        reader="ses-notification",
        signer="amazonaws.com",
    ),
    Stamp(
        "exchange online",
        "pass",
        signed("tenant.onmicrosoft.com", dmarc("tenant.onmicrosoft.com")),
        "postmaster@tenant.onmicrosoft.com",
        signer="tenant.onmicrosoft.com",
    ),
    Stamp(
        "through a mailing list that keeps the signature",
        "pass",
        written(
            "dkim=pass header.i=@client.example header.s=a header.b=b",
            "dkim=pass header.i=@lists.example header.s=a header.b=b",
            "arc=pass (i=1 spf=pass spfdomain=client.example dkim=pass dkdomain=client.example)",
            'spf=pass (google.com: domain of list+b=x@lists.example) smtp.mailfrom="list+b=x@lists.example"',
            dmarc("client.example"),
        ),
        "postmaster@client.example",
        return_path="<list+b=x@lists.example>",
        signer="client.example",
    ),
    Stamp(
        "postfix, signed by the domain above",
        "pass",
        signed("client.example", spf("mx.client.example")),
        "MAILER-DAEMON@mx.client.example (Mail Delivery System)",
        signer="client.example",
    ),
    Stamp(
        "signed by a sister, both of one organization",
        "pass",
        signed("mail.client.co.uk"),
        "postmaster@mx.client.co.uk",
        signer="mail.client.co.uk",
    ),
    Stamp(
        "d= and i= below it",
        "pass",
        written("dkim=pass header.d=client.example header.i=a@mx.client.example"),
        "postmaster@client.example",
        signer="client.example",
    ),
    Stamp("DMARC by SPF", "pass", written(spf("outlook.com"), dmarc("outlook.com")), "postmaster@outlook.com"),
    Stamp(
        "DMARC is down, the signature is not",
        "pass",
        signed("client.example", dmarc("client.example", "temperror")),
        "postmaster@client.example",
        signer="client.example",
    ),
    Stamp(
        "signed twice, once in vain",
        "pass",
        written("dkim=fail (bad signature) header.i=@client.example", "dkim=pass header.i=@client.example"),
        '"Mail Delivery (Subsystem), \\"quoted\\"" <Postmaster@Client.EXAMPLE>',
        signer="client.example",
    ),
    Stamp(
        "old servers inside Gmail",
        "pass",
        signed("client.example"),
        "postmaster@client.example",
        above="Received: by 10.36.1.2 with SMTP id x1; Tue, 24 Nov 2026",
        signer="client.example",
    ),
]
"""Must pass: whoever breaks one of these loses real bounces."""

REPLAYED = [
    Stamp("a person at Gmail", "pass", author="nils@googlemail.com", hop=FROM_GOOGLE, signer="googlemail.com"),
    Stamp("sent again by somebody else", "pass", hop=FROM_ELSEWHERE, signer="googlemail.com"),
    Stamp(
        "sent again, with Google's name as HELO",
        "pass",
        hop=FROM_ELSEWHERE.replace("out.evil.example (", "mail-sor-f69.google.com (", 1),
        signer="googlemail.com",
    ),
    Stamp(
        "sent again, with Google's hop as HELO",
        "unknown",
        hop=FROM_ELSEWHERE.replace(
            "out.evil.example (",
            "mail-sor-f69.google.com (mail-sor-f69.google.com. [209.85.220.69]) by mx.google.com with SMTPS id 1 (",
            1,
        ),
    ),
    Stamp(
        "sent again from a look-alike",
        "pass",
        hop=FROM_ELSEWHERE.replace("out.evil.example. [", "mail.google.com.evil.example. ["),
        signer="googlemail.com",
    ),
    Stamp("no hop at all, as in a local file", "pass", hop=None, signer="googlemail.com"),
]
"""With a valid signature of Gmail, and yet not shown to be a notice that came from Gmail to us."""
