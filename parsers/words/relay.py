"""Who spoke, where a mail server reports: the relay it hands our mail to with a login, or the recipient's server.

Decided by the structure of a report, before anybody looks at what was said: both say the same words. Three things
prove a relay: words of the reporter that tell of a login of its own, a host that only takes mail from its customers,
and a port that no MX has. And three things forbid it: the reporter stands on the recipient's side (it forwards), the
mail had left us before it came to the reporter, and the host is the recipient's domain itself.
"""

from __future__ import annotations

import re

from parsers.facts import Failure, Original
from parsers.smtp_reply import read_reply
from parsers.text import domain_part
from parsers.words.failure_text import recipient_reason
from parsers.words.submission_hosts import PORTS, is_submission_host

# Words of programs about a login of their own; each stands before the reply of the server, if there is one.
_LOGIN_WORDS = (
    "sasl authentication failed",  # Postfix smtp_sasl_glue.c; the server's reply follows behind "said:"
    "authentication required but ",  # Exim transports/smtp.c: no AUTH offered, no common mechanism, attempts failed
    "authenticator failed",  # Exim
    "authenticator cancelled authentication",  # Exim
    "auth rejected:",  # OpenSMTPD mta_session.c, and the five below
    "auth not advertised",
    "no supported auth method",
    "refuse to auth over unsecure channel",
    "could not retrieve credentials",
    "credentials too large",
    "but authentication was rejected",  # qmail-remote with the AUTH patch
    "msmtp: authentication failed",
    "deferred: temporary auth failure",  # sendmail usersmtp.c, where no mechanism is common; no reply stands before it
    "auth=client",  # sendmail says so of its own login
)
_LOGIN_TO = re.compile(r"\bsmtp login to \S{1,253} failed")  # dma net.c
# Sendmail and Courier write what they said themselves behind ">>>", and nobody else can begin a line so.
_AUTH_SENT = re.compile(r"(?:^|\n)[ \t]{0,8}>>> AUTH[ \t]")
_SAID = re.compile(r"\b(?:said|says|responded|replied|returned|answered)(?: with)?:|<<<")
_NAME_SERVICE = re.compile(r"name service error for name=([a-z0-9.-]{1,253}) type=a")
_PORT = re.compile(r"(?:\]|\.[a-z0-9-]{1,63}):(\d{2,5})(?!\d)")
MAX_REPORTERS_WORDS = 16384

# These hand their customers' mail to MXs themselves, or speak for their own mailboxes; none of them has a relay.
_WITHOUT_RELAY = frozenset(
    {
        *("amazon-ses", "gmail", "google-groups", "outlook", "yahoo", "yahoo-japan", "aol", "icloud", "gmx"),
        *("mail-ru", "yandex", "tencent", "zoho", "sendgrid", "facebook", "docomo", "kddi", "softbank"),
    }
)
_WITH_RELAY = frozenset({"postfix", "exim", "sendmail", "opensmtpd"})
"""Programs that people set up with a relay, and that were seen to leave its name out (tests/real_mta/relays)."""
_CONNECTOR = ".mail.protection.outlook.com"


def tells_of_login(words: str) -> bool:
    """Whether a reporter says in its own words that it logged in, or tried to: only at a relay of ours does it.

    What a server answered is left out: everything from the first reply on.
    """
    if "AUTH" in words and _AUTH_SENT.search(words, 0, MAX_REPORTERS_WORDS) is not None:
        return True
    own = _own_words(words[:MAX_REPORTERS_WORDS])
    return any(mark in own for mark in _LOGIN_WORDS) or _LOGIN_TO.search(own) is not None


def told_speaker(failure: Failure, reporter: str | None, remote_mta: str | None, prose: str, only: bool) -> bool | None:
    """Whether a report says itself that a relay of ours refused (`Failure.at_relay`).

    `prose` is what stands beside its fields for a human, about this failure `only` or about more.
    """
    if reporter == "gmail":
        # Gmail's comment: `mx.client.example. (203.0.113.25, the server for the domain client.example.)`
        host = remote_mta or ""
        return True if "the relay for the domain" in host else False if "the server for the domain" in host else None
    if "auth" not in prose.lower() and "login" not in prose:
        return None
    words = prose if only else recipient_reason(prose, failure.recipient or "") or ""
    return tells_of_login(words) or tells_of_login(failure.diagnostic or "") or None


def is_by_relay(failure: Failure, reporter: str | None, reporting_host: str | None, original: Original) -> bool:
    """Whether a relay of our own mail server refused, and not the recipient's server.

    `reporter` is the program that wrote the report, `reporting_host` where it runs (lower case); `original` is what is
    known of the returned mail.
    """
    if reporter in _WITHOUT_RELAY or failure.kind in ("delivered", "feedback") or failure.command == "LOCAL":
        return False
    if _is_past_us(failure, reporting_host, original):
        return False
    if failure.at_relay:
        return True
    host = failure.remote_host or _looked_up(failure)
    if host is not None and host == domain_part(failure.recipient):
        return False
    return (
        host is not None and (is_submission_host(host) or _is_own_connector(host, failure, original))
    ) or _connected_to_submission(failure)


def is_unnamed(failure: Failure, reporter: str | None, reporting_host: str | None, original: Original) -> bool:
    """Whether nobody is named that refused, or was tried, so that it may have been a relay of our own mail server.

    OpenSMTPD never names a host (bounce.c); a host in the words it passes on is that server's own word. The others
    leave it out where nobody answered: Exim's "retry timeout exceeded", Postfix's "Server certificate not trusted".
    """
    if reporter not in _WITH_RELAY or failure.at_relay or failure.kind not in ("failed", "delayed"):
        return False
    if failure.command == "LOCAL" or _is_past_us(failure, reporting_host, original):
        return False
    if reporter == "opensmtpd":
        return True
    # What a server answered stands beside its name; but sendmail writes its own troubles as replies, too.
    return failure.remote_host is None and (failure.reply_code is None or reporter == "sendmail")


def _is_past_us(failure: Failure, reporting_host: str | None, original: Original) -> bool:
    """Whether the reporter had the mail after it left us: whatever relay it has is not ours."""
    ours = domain_part(original.sender)
    if reporting_host and ours and _is_under(reporting_host, ours):
        return False
    if original.path is not None and (original.path != "gmail-alias" or original.ses_message_id is not None):
        return True  # Gmail or SES had sent it; without an id of SES the reporter may be the relay behind an alias
    written_to = domain_part(failure.original_recipient) or domain_part(failure.recipient)
    if written_to is None or written_to == ours:
        return False
    is_forwarded = written_to != domain_part(failure.recipient)
    return is_forwarded or (reporting_host is not None and _is_under(reporting_host, written_to))


def _looked_up(failure: Failure) -> str | None:
    """The host whose address Postfix could not find (smtp_addr.c): its relay, or the MX of a domain."""
    found = _NAME_SERVICE.search((failure.diagnostic or failure.prose or "")[:MAX_REPORTERS_WORDS].lower())
    return found[1] if found is not None else None


def _is_own_connector(host: str, failure: Failure, original: Original) -> bool:
    """Whether a host of Microsoft 365 bears the name of our domain, and not the recipient's: a connector of ours.

    The MX of client.example there is client-example.mail.protection.outlook.com.
    """
    ours, theirs = domain_part(original.sender), domain_part(failure.recipient)
    if not host.endswith(_CONNECTOR) or ours is None or ours == theirs:
        return False
    return host.removesuffix(_CONNECTOR) == ours.replace(".", "-")


def _connected_to_submission(failure: Failure) -> bool:
    """Whether the reporter names the port it connected to, and it is one for handing mail in."""
    words = _own_words((failure.diagnostic or failure.prose or "")[:MAX_REPORTERS_WORDS])
    return ":" in words and any(int(port) in PORTS for port in _PORT.findall(words))


def _own_words(words: str) -> str:
    """What the reporter says before it quotes a server, lower case."""
    reply = read_reply(words)
    if reply is not None and reply.code is not None:
        at = words.find(reply.text[:40])
        words = words[:at] if at >= 0 else words
    lower = " ".join(words.lower().split())
    said = _SAID.search(lower)
    return lower[: said.start()] if said is not None else lower


def _is_under(host: str, domain: str) -> bool:
    return host == domain or host.endswith("." + domain)
