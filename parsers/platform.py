"""Recognises which mail system refused, from the host it speaks as and the marks it leaves in its replies.

A name here is a technical observation ("this reply was written by Exchange Online"), not a judgement. The words are
those of `platform` in triage/judging/rules and in the verdict record.
"""

from __future__ import annotations

from parsers.mime import Headers
from parsers.text import domain_part
from parsers.words import BY_TEXT

MAX_MARKED_TEXT = 4096
"""Characters of a reply in which marks are looked for."""

# Host suffixes, each with the service that answers there. Sources: the vendors' own MX documentation, and the hosts
# named in replies collected in public sets.
_HOSTS = {
    "olc.protection.outlook.com": "outlook",
    "mx.hotmail.com": "outlook",
    "hotmail.com": "outlook",
    "protection.outlook.com": "exchange-online",
    "prod.outlook.com": "exchange-online",
    "protection.office365.us": "exchange-online",
    "mx.microsoft": "exchange-online",
    "outlook.com": "outlook",
    "smtp.office365.com": "exchange-online",
    "amazonses.com": "amazon-ses",
    "awsapps.com": "amazon-workmail",
    "google.com": "google",
    "googlemail.com": "google",
    "yahoodns.net": "yahoo",
    "yahoo.com": "yahoo",
    "yahoo.co.jp": "yahoo-japan",
    "aol.com": "yahoo",
    "mail.icloud.com": "icloud",
    "icloud.com": "icloud",
    "me.com": "icloud",
    "apple.com": "icloud",
    "pphosted.com": "proofpoint",
    "ppe-hosted.com": "proofpoint",
    "mimecast.com": "mimecast",
    "mimecast.co.za": "mimecast",
    "barracudanetworks.com": "barracuda",
    "messagelabs.com": "messagelabs",
    "iphmx.com": "cisco",
    "trendmicro.com": "trend-micro",
    "trendmicro.eu": "trend-micro",
    "cloudflare.net": "cloudflare",
    "zoho.com": "zoho",
    "zoho.eu": "zoho",
    "zohomail.com": "zoho",
    "mail.ru": "mail-ru",
    "yandex.net": "yandex",
    "yandex.ru": "yandex",
    "protonmail.ch": "proton",
    "comcast.net": "comcast",
    "secureserver.net": "godaddy",
    "charter.net": "spectrum",
    "rr.com": "spectrum",
    "spectrum.net": "spectrum",
    "cox.net": "cox",
    "facebook.com": "facebook",
    "qq.com": "tencent",
    "docomo.ne.jp": "docomo",
    "ezweb.ne.jp": "kddi",
    "au.com": "kddi",
    "dion.ne.jp": "kddi",
    "softbank.jp": "softbank",
    "softbank.ne.jp": "softbank",
    "orange.fr": "orange",
    "wanadoo.fr": "orange",
    "free.fr": "free",
    "laposte.net": "laposte",
    "sfr.fr": "sfr",
    "gmx.net": "gmx",
    "gmx.com": "gmx",
    "web.de": "gmx",
    "kundenserver.de": "ionos",
    "1and1.com": "ionos",
    "ionos.com": "ionos",
    "t-online.de": "t-online",
    "fastmail.com": "fastmail",
    "messagingengine.com": "fastmail",
    "emailsrvr.com": "rackspace",
    "sendgrid.net": "sendgrid",
    "ovh.net": "ovh",
    "mailspamprotection.com": "spamexperts",
    "antispamcloud.com": "spamexperts",
}

# What a reply betrays whatever the host is called: phrases that only that system writes, in lower case, the most
# telling first. Plain substrings, because a search for forty of them costs less than one pattern of forty branches.
_MARKS: tuple[tuple[str, str], ...] = (
    ("olc.protection.outlook.com", "outlook"),
    ("postmaster.live.com", "outlook"),
    ("mail.live.com", "outlook"),
    ("(s2017062302)", "outlook"),
    ("(s3140)", "outlook"),
    ("(s3150)", "outlook"),
    ("(s775)", "outlook"),
    ("5.7.515 ", "outlook"),
    ("protection.outlook.com", "exchange-online"),
    (".prod.outlook.com", "exchange-online"),
    ("sender.office.com", "exchange-online"),
    ("delist@microsoft.com", "exchange-online"),
    ("messaging.microsoft.com", "exchange-online"),
    ("go.microsoft.com", "exchange-online"),
    (" as(", "exchange-online"),
    ("(as", "exchange-online"),
    ("resolver.adr.", "exchange"),
    ("resolver.rst.", "exchange"),
    ("resolver.fwd.", "exchange"),
    ("storedrv.", "exchange"),
    ("transport.rules.", "exchange"),
    ("queue.expired", "exchange"),
    ("smtpsend.", "exchange"),
    ("routing.", "exchange"),
    ("#smtp#", "exchange"),
    ("msexch:", "exchange"),
    ("mapiexception", "exchange"),
    ("exchange server", "exchange"),
    (" gsmtp", "google"),
    # Google's servers name a page for each refusal; Gmail's own notices name others (answer/7720).
    ("support.google.com/mail/?p=", "google"),
    ("support.google.com/a/?p=", "google"),
    ("support.google.com/a?p=", "google"),
    ("answer/81126", "google"),
    ("answer/188131", "google"),
    ("answer/6596", "google"),
    ("aspmx.l.google.com", "google"),
    ("[ts0", "yahoo"),
    ("[tss", "yahoo"),
    ("[bl2", "yahoo"),
    ("[ph01]", "yahoo"),
    ("[gl01]", "yahoo"),
    ("[mc04]", "yahoo"),
    ("yahoo.com account", "yahoo"),
    ("postmaster.yahoo", "yahoo"),
    ("yahooinc.com", "yahoo"),
    ("yahoodns", "yahoo"),
    ("icloud.com", "icloud"),
    ("ht204137", "icloud"),
    ("[cs01]", "icloud"),
    ("[hme1]", "icloud"),
    ("proofpoint.com", "proofpoint"),
    ("pphosted.com", "proofpoint"),
    ("mimecast", "mimecast"),
    ("barracuda", "barracuda"),
    ("messagelabs", "messagelabs"),
    ("ironport", "cisco"),
    ("senderbase", "cisco"),
    ("mta's poor reputation", "cisco"),
    ("poor reputation of a domain used in message transfer", "cisco"),
    ("authentication credentials invalid", "amazon-ses"),
    ("the following identities failed the check in region", "amazon-ses"),
    ("not authorized to perform `ses:", "amazon-ses"),
    ("sending paused for this account", "amazon-ses"),
    ("454 throttling failure:", "amazon-ses"),
    ("not subscribed to ses", "amazon-ses"),
    ("amazon ses", "amazon-ses"),
    ("email-routing/postmaster", "cloudflare"),
    ("secureserver.net", "godaddy"),
    ("aup#", "spectrum"),
    ("comcast", "comcast"),
    ("service.mail.qq.com", "tencent"),
    ("mail.ru", "mail-ru"),
    ("rcp-p", "facebook"),
)


def platform_of(host: str | None, text: str | None) -> str | None:
    """Name the refusing system, by host first, then by the marks in its reply; None where neither tells."""
    found = _by_host(host) if host else None
    if found is not None and found != "exchange-online":
        return found
    # Outlook.com answers from the same hosts as Exchange Online, but with marks of its own.
    marked = _by_marks(text) if text else None
    return marked if found is None or marked == "outlook" else found


def _by_marks(text: str) -> str | None:
    lower = text[:MAX_MARKED_TEXT].lower()
    for mark, platform in _MARKS:
        if mark in lower:
            return platform
    return None


def _by_host(host: str) -> str | None:
    if host[:10].lower() == "email-smtp":
        return "amazon-ses"  # email-smtp.REGION.amazonaws.com, and the same with -fips
    return _by_suffix(host, _HOSTS)


def _by_suffix(host: str, table: dict[str, str]) -> str | None:
    """What a table of hosts and domains says of a host, or else of the domains above it."""
    rest = host[-255:].lower().rstrip(".")  # RFC 1035 2.3.4
    while rest:
        found = table.get(rest)
        if found is not None:
            return found
        rest = rest.partition(".")[2]
    return None


# Who wrote the report, from the host in Reporting-MTA or in the From address.
_REPORTERS = {
    "amazonses.com": "amazon-ses",
    "outlook.com": "exchange-online",
    "onmicrosoft.com": "exchange-online",
    "hotmail.com": "outlook",
    "googlemail.com": "gmail",
    "google.com": "gmail",
    "yahoo.com": "yahoo",
    "icloud.com": "icloud",
}
# Programs that write reports, by what only they leave in a header: (program, header, lower-case words in it).
_PROGRAMS: tuple[tuple[str, str, str], ...] = (
    ("exchange", "x-ms-exchange-message-is-ndr", ""),
    ("chasquid", "message-id", "<chasquid-dsn-"),
    ("haraka", "received", "(haraka"),
    ("dovecot", "reporting-ua", "dovecot"),
    ("zonemta", "x-zonemta-queue-id", ""),
    ("nullmailer", "message-id", ".nullmailer@"),
    ("postfix", "x-postfix-queue-id", ""),
    ("opensmtpd", "received", "(opensmtpd)"),
    ("courier", "subject", "notice: mail delivery status"),
    ("exim", "auto-submitted", "auto-replied (exim"),
    ("exim", "content-type", "eximdsn"),
    ("postfix", "received", "(postfix)"),
    ("exim", "received", "(exim"),
    ("sendmail", "subject", "see transcript for details"),
    ("sendmail", "auto-submitted", "auto-generated (failure)"),
    ("exchange", "received", "microsoft smtp server"),
)


def reporter_of(reporting_mta: str | None, sender: str | None, *headers: Headers, words: str = "") -> str | None:
    """Name the system that wrote the report; None where nothing tells.

    Looks at its Reporting-MTA, at its From address, at marks programs leave in `headers` (the bounce's own, and the
    per-message fields of its report), and at its own `words`, lower case. Those tell more than a Received field, which
    every host on the way of the bounce adds.
    """
    for host in (reporting_mta, domain_part(sender)):
        if host and (reporter := _by_suffix(host, _REPORTERS)) is not None:
            return reporter
    if reporting_mta is not None and (service := _by_host(reporting_mta)) is not None:
        return service
    passed = None
    for fields in headers:
        for program, name, mark in _PROGRAMS:
            value = fields.raw(name)
            if value is not None and mark in value.lower():
                if name != "received":
                    return program
                passed = passed or program
    return writer_of(words) or passed


def writer_of(lower_words: str) -> str | None:
    """Name the program that wrote a bounce by phrases only it writes; `lower_words` are the words it begins with."""
    for name, mark in BY_TEXT:
        if mark in lower_words:
            return name
    return None
