"""Reads the notices Gmail itself writes; the "Send mail as" notice is the heart of this project.

That notice says that Gmail could not hand a mail to the relay behind an alias: the recipient's server was never asked.
It often carries no status report at all, its sentences are translated, and it can come without its usual words; so it
is recognised by what stays the same: the `?p=` token of its help link, the empty report, the relay's own reply.
Sources: Gmail's help pages named in the tokens; observed notices from 2011 to 2026.
"""

from __future__ import annotations

import re

from parsers.facts import Failure, FailureKind, Reading
from parsers.mime import Mail, addresses, decode_words, message_ids
from parsers.readers.delivery_status import read_delivery_status, with_words
from parsers.returned import returned_headers
from parsers.signs import REPORT_TYPES
from parsers.smtp_reply import join_lines
from parsers.words import is_submission_host, says, split_original

GMAIL_SENDERS = ("mailer-daemon@googlemail.com", "mailer-daemon@google.com", "mailer-daemon@gmail.com")

_TITLE = re.compile(r"\*\*\s{0,9}+[^*\s][^*\n]{2,140}\*\*")
# Where the notice names nobody, only these tell who spoke: Gmail logs in nowhere but at the relay behind an alias
# (RFC 4954: answers to AUTH), and nobody but SES's submission endpoint says the others.
_AUTH_CODES = ("534", "535", "538")
_SES_SUBMISSION = re.compile(
    r"email address is not verified\. the following identities|access denied: user `?arn:aws"
    r"|sending paused for this account|454 throttling failure|454 temporary authentication failure"
    r"|account not subscribed to ses|530 authentication required",
)
# Gmail's own words of the old notices. Their "(state N)" tells nothing: the same numbers stand behind the answers of
# recipients' servers (8 and 9 behind "user unknown" and block lists).
_OLD_RELAY = re.compile(
    r"rejected by the relay|\(smtp auth failed with the remote server\)|500 remote server does not support"
    r" (?:smtp authenticated relay|tls)",
    re.IGNORECASE,
)
_OLD_RECIPIENT = re.compile(r"rejected by the server for the recipient domain", re.IGNORECASE)
# The alias notice in the languages seen; the token above covers the others.
# The name of the setting, in the words of Gmail's own settings page, and the page the notice leads to.
_ALIAS_WORDS = (
    "'Send mail as'",
    "‘Send mail as’",
    "Mail sturen als",
    "Senden als",
    "Envoyer des e-mails en tant que",
    "Enviar como",
    "Enviar e-mail como",
    "Invia messaggio come",
    "?p=CustomFromDenied",
)

# What else a notice can be about, the most telling words first: a title says less than the sentence below it.
_NOTICES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("gmail-null-mx", re.compile(r"returned Null MX|rfc7505")),
    (
        "gmail-domain-not-found",
        re.compile(r"because the domain \S+ couldn't be found|DNS type 'mx' lookup|Domain name not found"),
    ),
    ("gmail-group-spam", re.compile(r"Your email to group \S+ was rejected")),
    ("gmail-sending-limit", re.compile(r"reached a limit for sending mail|hai raggiunto il limite|\?p=SendingLimit")),
    (
        "gmail-outbound-blocked",
        re.compile(r"Message rejected\.[^\n]{0,40}\shttps?://support\.google\.com/mail/answer/69585"),
    ),
    ("gmail-inbox-full", re.compile(r"\*\* Recipient inbox full \*\*|Their inbox is full")),
    (
        "gmail-address-not-found",
        re.compile(
            r"\*\* Address not found \*\*|the address couldn't be found|no se ha encontrado la dirección|アドレス不明"
        ),
    ),
    ("gmail-message-blocked", re.compile(r"\*\* Message blocked \*\*")),
    ("gmail-too-large", re.compile(r"\*\* Message too large \*\*|\?p=MaxSizeError")),
    ("gmail-misconfigured", re.compile(r"because the remote server is misconfigured|onjuist geconfigureerd")),
    ("gmail-delivery-incomplete", re.compile(r"\*\* Delivery incomplete \*\*|Gmail will retry for")),
    ("gmail-not-delivered", re.compile(r"\*\* Message not delivered \*\*")),
)
# Where Gmail found no server to ask, and where Google itself refused.
_NOBODY_ASKED = ("gmail-null-mx", "gmail-domain-not-found")
_GOOGLE_REFUSED = ("gmail-sending-limit", "gmail-outbound-blocked", "gmail-group-spam")
_OLD_OPENING = re.compile(r"Delivery to the following recipients? (failed permanently|has been delayed)", re.IGNORECASE)
_OLD_HOST = re.compile(
    r"by the (?:server for the recipient domain \S+ by|relay \S+ by) ([\w.-]+?)\.?[\s,]", re.IGNORECASE
)
_OLD_REPLY = re.compile(
    r"(?:The error that the other server returned was|We recommend contacting the other email provider[^:]{0,160}was):",
    re.IGNORECASE,
)


def read_gmail_notice(mail: Mail) -> Reading | None:
    """Read a notice in Gmail's own form; None where the mail is not one.

    The form alone decides, so that a forged notice is read as what it pretends to be and then fails as not genuine.
    """
    is_gmail = (mail.sender or "").lower() in GMAIL_SENDERS
    if not is_gmail and not _is_mail_system(mail):
        return None
    text = next((t for part in mail.texts() if (t := part.text()).strip()), "")
    if not is_gmail and not says(text, _ALIAS_WORDS):
        return None
    old = _OLD_OPENING.search(text[:2000])
    if old is not None:
        return _read_old(mail, text, old)
    human = split_original(text)[0]
    own_words, response = _split_response(human)
    notice = _notice_of(own_words, human)
    reading = read_delivery_status(mail)
    # Without a title it is no notice of the mail system, but a letter of Google Groups, which refused by itself.
    is_letter = notice != "gmail-alias" and _TITLE.search(human) is None
    if is_letter:
        response = None
    empty_report = reading is None and any(part.media_type in REPORT_TYPES for part in mail.parts)
    if empty_report and notice in (None, "gmail-not-delivered") and "x-failed-recipients" in mail.headers:
        # Whatever the language: only this notice has a report without a word in it.
        notice = "gmail-alias"
    if reading is None:
        kind: FailureKind = "delayed" if notice == "gmail-delivery-incomplete" else "failed"
        failures = tuple(
            with_words(Failure(kind, recipient), response, human) for recipient in _recipients(mail, human)
        )
    else:
        failures = tuple(
            with_words(f, response, human) if f.diagnostic is None and response else f for f in reading.failures
        )
    if not failures:
        return None
    relay = notice == "gmail-alias"
    if notice in _NOBODY_ASKED:
        failures = tuple(f._replace(remote_host=None, platform=None) for f in failures)
    elif notice in _GOOGLE_REFUSED or (is_letter and reading is None):
        failures = tuple(f._replace(platform="google") for f in failures)
    else:
        failures = tuple(f._replace(at_relay=True) if relay else with_speaker(f) for f in failures)
    return Reading("gmail-notice", failures, "gmail", notice, _references(mail))


def _is_mail_system(mail: Mail) -> bool:
    """Whether From calls itself a mail system: such a mail may imitate an alias notice, a human only quotes one."""
    display = (mail.headers.get("from") or "").lower()
    return "mail delivery" in display or "mailer-daemon" in display or "postmaster" in display


def _notice_of(own_words: str, text: str) -> str | None:
    """The kind of a notice. That it is about an alias only Gmail can say, so only its own words are asked for that."""
    if says(own_words, _ALIAS_WORDS):
        return "gmail-alias"
    return next((notice for notice, pattern in _NOTICES if pattern.search(text)), None)


def _split_response(text: str) -> tuple[str, str | None]:
    """Gmail's own words, and what stands behind the last short line that ends in a colon ("The response was:").

    In any language Gmail leaves a blank line behind that line, which tells it from a line of the response that ends in
    a colon. What the other server says comes second only: it must not be able to speak for Gmail.
    """
    lines = text.rstrip().split("\n")
    labels = [
        at
        for at, line in enumerate(lines[:-1])
        if (short := line.strip()).endswith((":", "：")) and 2 < len(short) < 90 and "://" not in short
    ]
    if not labels:
        return text, None
    label = next((at for at in reversed(labels) if not lines[at + 1].strip()), labels[-1])
    response = join_lines("\n".join(lines[label + 1 :]).strip())
    return "\n".join(lines[:label]), response or None


def _recipients(mail: Mail, text: str) -> list[str]:
    """Who was not reached, where no report says it: the header Gmail adds, its sentence, the returned To."""
    header = mail.headers.raw("x-failed-recipients")
    if header:
        found = addresses(decode_words(header) if "=?" in header else header)
        if found:
            return found
    named = re.search(
        r"(?:delivered to|delivering your message to|message to|entregado a|entregue a)\s+(\S+@\S+)", text[:1500]
    )
    if named is not None and (found := addresses(named[1])):
        return found
    returned = returned_headers(mail)
    if returned is not None:
        return addresses(" ".join(returned.all("to") + returned.all("cc") + returned.all("bcc")))
    return []


def _read_old(mail: Mail, text: str, opening: re.Match[str]) -> Reading | None:
    """The plain format used until about 2016."""
    human = split_original(text)[0]
    kind: FailureKind = "delayed" if "delayed" in opening[1] else "failed"
    details = re.search(r"Technical details of (?:permanent|temporary) failure:", human)
    listed = human[opening.end() : details.start() if details else None]
    found = addresses(listed) or _recipients(mail, human)
    words = human[details.end() :].strip() if details else ""
    reply = _OLD_REPLY.split(words)
    diagnostic = join_lines(reply[-1].strip()) if words else None
    host = _OLD_HOST.search(words)
    is_recipient = _OLD_RECIPIENT.search(words) is not None
    relay = not is_recipient and _OLD_RELAY.search(words) is not None
    failures = tuple(
        with_words(Failure(kind, recipient, remote_host=host[1].lower() if host else None), diagnostic, words or None)
        for recipient in found
    )
    if not failures:
        return None
    told = True if relay else False if is_recipient else None
    failures = tuple(with_speaker(f._replace(at_relay=told)) for f in failures)
    return Reading("gmail-notice", failures, "gmail", "gmail-alias" if relay else None, _references(mail))


def with_speaker(failure: Failure) -> Failure:
    """Settle who refused (`Failure.at_relay`), where the notice has no sentence that says so.

    The host that is named decides, then the label in its report; what was said only where nobody is named. Gmail calls
    the host behind an alias "the server for the domain" at times, but one that takes mail only from its customers is
    nobody's MX.
    """
    host = failure.remote_host
    if host is not None and is_submission_host(host):
        return failure._replace(at_relay=True)
    if failure.at_relay is not None or host is not None:
        return failure
    said = _SES_SUBMISSION.search((failure.diagnostic or "").lower())
    return failure._replace(at_relay=True) if said or failure.reply_code in _AUTH_CODES else failure


def _references(mail: Mail) -> tuple[str, ...]:
    for part in mail.parts:
        if part.media_type in REPORT_TYPES:
            found = re.search(r"^X-Original-Message-ID:\s*(\S+)", part.text(), re.IGNORECASE | re.MULTILINE)
            if found is not None:
                return tuple(message_ids(found[1]))
    return ()
