"""Headers by which a stranger wants to be believed; see `stamps`. None of them may pass, nor seem to be Gmail's own."""

from __future__ import annotations

from tests.parsers.stamps import EVIL, FORGED, FROM_ELSEWHERE, GMAIL, SNS, Stamp, dmarc, signed, spf, written

_ADDRESS = "(out.evil.example [203.0.113.66])"
_OUTSIDE = f"from out.evil.example {_ADDRESS}"
_FAILS = dmarc("googlemail.com", "fail")
_CLIENT = "postmaster@client.example"
_BREAKS_OUT = '"x) smtp.helo=y; dkim=pass header.i=@{}; x=y (z"@evil.example'
_ECHO = "dkim=pass/header.i=googlemail.com/dmarc=pass@evil.example"


def _envelope(name: str, expected: str, sender: str, author: str, *more: str) -> Stamp:
    """What Gmail writes of an envelope sender: repeated as it came in a comment, and then as a value."""
    spf = f"spf=pass (google.com: domain of {sender} designates 203.0.113.66 as permitted sender)"
    return Stamp(name, expected, written(f"{spf} smtp.mailfrom={sender}", *more), author, return_path=f"<{sender}>")


def _helo(name: str, expected: str, helo: str, author: str, *more: str) -> Stamp:
    """The same for a mail without envelope sender: the HELO name is what SPF is asked for."""
    spf = f"spf=none (google.com: {helo} does not designate permitted sender hosts) smtp.helo={helo}"
    hop = FROM_ELSEWHERE.replace("from out.evil.example (", f"from {helo} (", 1)
    return Stamp(name, expected, written(spf, *more), author, hop=hop)


HOSTILE = [
    # Nobody vouches, or somebody else does.
    Stamp(
        "free account, display name only",
        "fail",
        signed("gmail.com", dmarc("gmail.com")),
        "Mail Delivery Subsystem <attacker@gmail.com>",
        "gmail-notice",
    ),
    Stamp(
        "free account with a daemon's name",
        "fail",
        signed("gmail.com"),
        "mailer-daemon.noreply@gmail.com",
        "gmail-notice",
    ),
    Stamp(
        "plus address of the daemon",
        "fail",
        signed("googlemail.com"),
        "mailer-daemon+x@googlemail.com",
        "gmail-notice",
    ),
    Stamp(
        "a neighbour at googlemail.com",
        "fail",
        signed("googlemail.com"),
        "mailer-daemonx@googlemail.com",
        "gmail-notice",
    ),
    Stamp("DKIM of another domain", "fail", signed("evil.example", _FAILS)),
    Stamp("DKIM of another domain, no DMARC", "fail", signed("evil.example")),
    Stamp("subdomain trick in the signer", "fail", signed("googlemail.com.evil.example")),
    Stamp(
        "subdomain trick in From",
        "fail",
        signed("googlemail.com.evil.example"),
        "mailer-daemon@googlemail.com.evil.example",
        "gmail-notice",
    ),
    Stamp("look-alike letters", "unknown", signed("googlemail.com"), "mailer-daemon@gοοglemail.com"),
    Stamp("Kelvin sign", "unknown", signed("kunde.example"), "postmaster@\u212aunde.example"),
    Stamp("SPF alone", "unknown", written(spf("mx.client.example")), "postmaster@mx.client.example"),
    Stamp("SPF alone for Gmail", "fail", written(spf("googlemail.com"))),
    Stamp("no result at all", "fail", "mx.google.com; none"),
    Stamp("DMARC for another From", "fail", signed("evil.example", dmarc("evil.example"))),
    Stamp(
        "DMARC for another From, nobody famous",
        "unknown",
        signed("evil.example", dmarc("evil.example")),
        "postmaster@client.example",
    ),
    Stamp(
        "DMARC fails, the signature is valid",
        "fail",
        signed("client.example", dmarc("client.example", "fail")),
        "postmaster@client.example",
    ),
    Stamp("Gmail saw another From", "unknown", signed("client.example", dmarc("evil.example")), _CLIENT),
    Stamp("DMARC without saying for whom", "unknown", written("dmarc=pass"), "postmaster@client.example"),
    Stamp(
        "DMARC for two From at once",
        "unknown",
        written("dmarc=pass header.from=evil.example header.from=client.example"),
        "postmaster@client.example",
    ),
    Stamp(
        "DMARC for the domain above, no signature",
        "unknown",
        written(spf("evil.co.uk"), dmarc("co.uk")),
        "postmaster@client.co.uk",
    ),
    Stamp("a public suffix signs", "unknown", signed("co.uk"), "postmaster@client.co.uk"),
    Stamp(
        "a public suffix signs, private part of the list",
        "unknown",
        signed("github.io"),
        "postmaster@client.github.io",
    ),
    Stamp(
        "a neighbour below a public suffix signs", "unknown", signed("evil.github.io"), "postmaster@client.github.io"
    ),
    Stamp("who lives below a suffix signs for it", "unknown", signed("evil.github.io"), "postmaster@github.io"),
    Stamp("a top-level domain signs", "unknown", written("dkim=pass header.d=example"), "postmaster@client.example"),
    Stamp(
        "another customer of SES",
        "unknown",
        signed("evil.example", "dkim=pass header.i=@amazonses.com", spf("amazonses.com")),
        "postmaster@client.example",
    ),
    Stamp(
        "a stranger's return path",
        "fail",
        written(spf("evil.example")),
        "postmaster@client.example",
        return_path="<x@evil.example>",
    ),
    Stamp("SNS without its signature", "fail", signed("amazonses.com", spf("amazonses.com")), SNS, "ses-notification"),
    Stamp("SNS header, own domain", "fail", signed("evil.example", dmarc("evil.example")), EVIL, "ses-notification"),
    Stamp(
        "SNS look-alike",
        "fail",
        signed("sns.amazonaws.com.evil.example"),
        "x@sns.amazonaws.com.evil.example",
        "ses-notification",
    ),
    Stamp(
        "SNS header, bucket's domain",
        "fail",
        signed("evil.s3.amazonaws.com"),
        "x@evil.s3.amazonaws.com",
        "ses-notification",
    ),
    # The stranger's words inside Gmail's own field.
    _envelope("echo in comment and value", "fail", _ECHO, GMAIL, _FAILS),
    _envelope(
        "echo in comment and value, no DMARC", "fail", _ECHO.replace("googlemail.com", "client.example"), _CLIENT
    ),
    _envelope("the comment is closed by the sender", "fail", _BREAKS_OUT.format("googlemail.com"), GMAIL, _FAILS),
    _envelope("the comment is closed, and nobody's policy", "fail", _BREAKS_OUT.format("client.example"), _CLIENT),
    _envelope("the sender goes on after the value", "unknown", "x; dkim=pass header.i=@client.example", _CLIENT),
    _envelope(
        "the sender quotes what stands between", "fail", '"; dkim=pass header.i=@client.example; a=b reason="', _CLIENT
    ),
    _helo("the HELO closes the comment", "unknown", "x);dkim=pass\theader.i=@client.example;a=b(", _CLIENT),
    _helo("the HELO goes on after the value", "unknown", "x;dkim=pass header.i=@client.example", _CLIENT),
    _helo("the HELO says who signed", "unknown", "dkim=pass/header.i=client.example/dmarc=pass", _CLIENT),
    _helo("the HELO closes the comment, for Gmail", "fail", "x);dkim=pass header.i=@googlemail.com;a=b(", GMAIL),
    Stamp(
        "results in a comment",
        "fail",
        written("spf=pass (dkim=pass header.i=@googlemail.com; dmarc=pass header.from=googlemail.com) smtp.helo=x"),
    ),
    Stamp(
        "results in a nested comment",
        "fail",
        written("spf=pass (a (b) dkim=pass header.i=@googlemail.com (c)) smtp.helo=x"),
    ),
    Stamp(
        "results in a quoted value",
        "fail",
        written('spf=pass smtp.mailfrom="x; dkim=pass header.i=@googlemail.com; x=y"@evil.example'),
    ),
    Stamp(
        "results in a quoted reason",
        "fail",
        written('spf=pass reason="; dkim=pass header.i=@googlemail.com" smtp.helo=x'),
    ),
    Stamp(
        "escaped quotes around results",
        "fail",
        written('spf=pass smtp.mailfrom="\\"; dkim=pass header.i=@googlemail.com; \\""@evil.example'),
    ),
    Stamp("the comment never ends", "fail", written("spf=pass (x", "dkim=pass header.i=@googlemail.com")),
    Stamp("the quote never ends", "fail", written('spf=pass smtp.mailfrom="x', "dkim=pass header.i=@googlemail.com")),
    Stamp(
        "a comment closes that never began",
        "fail",
        written("spf=pass x) smtp.helo=y", "dkim=pass header.i=@googlemail.com"),
    ),
    Stamp(
        "pass first, fail later",
        "fail",
        written("dmarc=pass header.from=googlemail.com", "dkim=pass header.i=@googlemail.com", _FAILS),
    ),
    Stamp("pass twice", "fail", signed("googlemail.com", dmarc("googlemail.com"), dmarc("googlemail.com"))),
    Stamp(
        "SPF twice",
        "unknown",
        signed("client.example", spf("a.example"), spf("b.example")),
        "postmaster@client.example",
    ),
    Stamp("garbage behind good results", "fail", signed("googlemail.com", "%%%")),
    Stamp(
        "garbage, and the word of the failure",
        "fail",
        signed("client.example", dmarc("client.example", "fail"), "%%%"),
        "postmaster@client.example",
    ),
    Stamp("empty result", "fail", signed("googlemail.com", "")),
    Stamp("folded inside a word", "fail", "mx.google.com; dkim=pa\n ss header.i=@googlemail.com"),
    Stamp("folded inside a domain", "fail", "mx.google.com; dkim=pass header.i=@google\n mail.com"),
    Stamp("pass with a tail", "fail", written("dkim=passed header.i=@googlemail.com")),
    Stamp("control characters", "fail", signed("googlemail.com", "spf=pass smtp.helo=a\x01b\x7f")),
    Stamp("non-ASCII value", "fail", signed("googlemail.com", "spf=pass smtp.mailfrom=ü@evil.example")),
    Stamp("non-ASCII blank", "fail", "mx.google.com;\u00a0dkim=pass\u2003header.i=@googlemail.com"),
    Stamp("1,000 results", "fail", written(*["dkim=pass header.i=@googlemail.com"] * 1000)),
    Stamp("10,000 results", "unknown", written(*["dkim=pass header.i=@googlemail.com"] * 10_000)),
    Stamp("17 KB of comment", "fail", written("dkim=pass (" + "x" * 17_000 + ") header.i=@googlemail.com")),
    # From stands beyond the part of a header that is read at all.
    Stamp("1 MB of comment", "unknown", written("dkim=pass (" + "x" * 1_000_000 + ") header.i=@googlemail.com")),
    Stamp(
        "60,000 comments in comments",
        "fail",
        written("dkim=pass " + "(" * 60_000 + ")" * 60_000 + " header.i=@googlemail.com"),
    ),
    # Signers that are not what they seem.
    Stamp("local part of i= is an address", "fail", written("dkim=pass header.i=@googlemail.com@evil.example")),
    Stamp("quoted local part of i=", "fail", written('dkim=pass header.i="@googlemail.com"@evil.example')),
    Stamp("d= and i= disagree", "fail", written("dkim=pass header.d=evil.example header.i=@googlemail.com")),
    Stamp(
        "d= and i= disagree the other way", "fail", written("dkim=pass header.d=googlemail.com header.i=@evil.example")
    ),
    Stamp("i= with two @", "fail", written("dkim=pass header.i=@evil.example@googlemail.com")),
    Stamp("i= twice", "fail", written("dkim=pass header.i=@evil.example header.i=@googlemail.com")),
    Stamp("d= twice", "fail", written("dkim=pass header.d=evil.example header.d=googlemail.com")),
    Stamp("i= without @", "fail", written("dkim=pass header.i=googlemail.com")),
    Stamp("d= with a dot at the end", "fail", written("dkim=pass header.d=googlemail.com.")),
    Stamp("the signer in another property", "fail", written("dkim=pass policy.i=@googlemail.com")),
    Stamp(
        "the signer in another method",
        "fail",
        written("x-dkim=pass header.i=@googlemail.com", "arc=pass header.i=@googlemail.com"),
    ),
    Stamp(
        "the signature fails",
        "fail",
        written("dkim=fail header.i=@googlemail.com", "dkim=neutral header.i=@googlemail.com"),
    ),
    # Fields that are not Gmail's.
    Stamp("authserv-id with a tail", "unknown", FORGED.replace("mx.google.com;", "mx.google.com.evil.example;")),
    Stamp("authserv-id with a head", "unknown", FORGED.replace("mx.google.com;", "evil-mx.google.com;")),
    Stamp("authserv-id below a subdomain", "unknown", FORGED.replace("mx.google.com;", "x.mx.google.com;")),
    Stamp("authserv-id of Groups", "unknown", FORGED.replace("mx.google.com;", "gmr-mx.google.com;")),
    Stamp("authserv-id with a slash", "unknown", FORGED.replace("mx.google.com;", "mx.google.com/1 x;")),
    Stamp("authserv-id and another version", "unknown", FORGED.replace("mx.google.com;", "mx.google.com 2;")),
    Stamp("authserv-id in a comment", "unknown", FORGED.replace("mx.google.com;", "evil.example (mx.google.com);")),
    Stamp("authserv-id and a second word", "unknown", FORGED.replace("mx.google.com;", "mx.google.com evil.example;")),
    Stamp("no authserv-id", "unknown", FORGED.replace("mx.google.com;", ";")),
    Stamp(
        "Gmail's says fail, the copy below says pass",
        "fail",
        written(_FAILS),
        below=f"Authentication-Results: {FORGED}",
    ),
    Stamp("another server's on top", "unknown", "evil.example; none", below=f"Authentication-Results: {FORGED}"),
    Stamp("ARC only", "unknown", None, below=f"ARC-Authentication-Results: i=1; {FORGED}"),
    Stamp(
        "ARC pass",
        "unknown",
        written("arc=pass (i=1 dkim=pass dkdomain=client.example dmarc=pass fromdomain=client.example)"),
        "postmaster@client.example",
    ),
    Stamp(
        "another field of a like name",
        "unknown",
        None,
        below=f"X-Authentication-Results: {FORGED}\nAuthentication-Results-Original: {FORGED}",
    ),
    Stamp("no results, and Gmail in From", "unknown", None),
    Stamp(
        "a local server's Received above",
        "unknown",
        FORGED,
        hop=f"{_OUTSIDE}\n\tby mail.local.example (Postfix) with ESMTP id 1",
    ),
    Stamp(
        "a HELO that takes the mail",
        "unknown",
        FORGED,
        hop=f"from x by mx.google.com with ESMTPS id {_ADDRESS} by mail.local.example with ESMTP id 1",
    ),
    Stamp(
        "a HELO that takes the mail, with tabs",
        "unknown",
        FORGED,
        hop=f"from x by mx.google.com with ESMTPS id {_ADDRESS}\tby\tmail.local.example with ESMTP id 1",
    ),
    Stamp(
        "a HELO that hides a failure",
        "fail",
        written(_FAILS),
        hop=FROM_ELSEWHERE.replace("out.evil.example (", "x by y (", 1),
    ),
    Stamp("an endless HELO", "unknown", FORGED, hop=FROM_ELSEWHERE.replace("from out", "from " + "x" * 5000, 1)),
    Stamp(
        "fetched from another mailbox",
        "unknown",
        FORGED,
        hop="by 10.208.8.6 with POP3 id 6mf9; Tue, 24 Nov 2026 01:00:00 -0800 (PST)",
    ),
    Stamp(
        "put there through an API",
        "unknown",
        FORGED,
        hop="from 123 named unknown by gmailapi.google.com with HTTPREST; Tue, 24 Nov 2026",
    ),
    # From fields that can be read in two ways.
    Stamp("two From fields", "fail", signed("evil.example"), "x@evil.example", below=f"From: {GMAIL}"),
    Stamp(
        "two From fields, nobody famous",
        "unknown",
        signed("evil.example"),
        "x@evil.example",
        below="From: postmaster@client.example",
    ),
    Stamp("two addresses", "fail", signed("evil.example"), f"{GMAIL}, x@evil.example"),
    Stamp(
        "two addresses, nobody famous",
        "unknown",
        signed("client.example"),
        "postmaster@client.example, x@evil.example",
    ),
    Stamp("a group", "fail", signed("evil.example"), "mailer-daemon@googlemail.com: x@evil.example;"),
    Stamp("an address for a name", "fail", signed("evil.example"), '"mailer-daemon@googlemail.com" <x@evil.example>'),
    Stamp(
        "an address for a name, encoded",
        "unknown",
        signed("evil.example"),
        "=?utf-8?q?postmaster=40client.example?= <x@evil.example>",
    ),
    Stamp(
        "an address for a name, unquoted",
        "fail",
        signed("evil.example"),
        "mailer-daemon@googlemail.com <x@evil.example>",
    ),
    Stamp("an address in a comment", "fail", signed("evil.example"), "x@evil.example (mailer-daemon@googlemail.com)"),
    Stamp("a comment inside the address", "unknown", signed("evil.example"), "mailer-daemon@(x)googlemail.com"),
    Stamp("a route", "unknown", signed("evil.example"), "<@evil.example:postmaster@client.example>"),
    Stamp("two angle brackets", "fail", signed("evil.example"), "<mailer-daemon@googlemail.com> <x@evil.example>"),
    Stamp("a quoted local part", "fail", signed("evil.example"), '"mailer-daemon@googlemail.com> "@evil.example'),
    Stamp("a bare name", "unknown", signed("evil.example"), "MAILER-DAEMON"),
    Stamp("no From", "unknown", signed("evil.example"), None),
    Stamp("an endless From", "unknown", signed("client.example"), "x " * 5000 + "<postmaster@client.example>"),
]
