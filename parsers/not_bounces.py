"""Tells mails that report no failed delivery from bounces, before anyone reads words into them.

A bounce is a machine's report about a mail of ours. Vacation replies, read receipts, list mail, DMARC reports, answers
of people who quote a bounce, and phishing that dresses as one are not. Every answer names the observation behind it.
"""

from __future__ import annotations

import re
from functools import lru_cache

from parsers.facts import NotABounce, NotKind
from parsers.mime import Mail, Part, address, message_ids
from parsers.words import AWAY_SUBJECTS, BOUNCE_SUBJECTS, BOUNCE_WORDS, DAEMON_NAMES, DAEMONS, says, split_original

MAX_FAILURE_WORDS = 6000
"""Characters of the text in which words of failure are looked for."""

_REPORT_TYPES = ("message/delivery-status", "message/global-delivery-status")
_AUTO_HEADERS = (
    "x-autoreply",
    "x-auto-reply",
    "x-autorespond",
    "x-autoresponder",
    "x-autoreply-from",
    "x-mail-autoreply",
    "x-auto-reply-from",
    "x-vacation",
    "x-away-message",
)
_REPLY_OR_FORWARD = re.compile(
    r"(?:re|aw|sv|vs|antw|fwd?|wg|tr|rv|enc|vb|i|odp|ynt|rif|回复|转发|返信)(?:\[\d+\])?\s?[:：]", re.IGNORECASE
)
_AWAY = re.compile("|".join(AWAY_SUBJECTS), re.IGNORECASE)

_DAEMON = re.compile(DAEMONS, re.IGNORECASE)
_POSTMASTER = re.compile(r"(?:mailer-?daemon|post-?master|mdaemon)@", re.IGNORECASE)

# What Postfix writes to its postmaster (notify_classes): https://www.postfix.org/postconf.5.html#notify_classes
_SESSION_SUBJECT = re.compile(r"postfix (?:smtp|lmtp) (?:server|client): errors (?:from|while)\b", re.IGNORECASE)
_RECEIPT_SUBJECT = re.compile(
    r"(?:read|not read|gelesen|ungelesen|lu|non lu|leído|letto|lido|lida|gelezen|läst|lest|læst|luettu|przeczytan[oy]"
    r"|přečteno|olvasva|прочтено|прочитано|okundu|non letto|não lida|no leído|ongelezen|已读|已讀|開封済み|읽음)"
    r"\s?[:：]",
    re.IGNORECASE,
)
_DMARC_SUBJECT = re.compile(r"(?:\[[^\]]*\]\s*)?report domain:|dmarc aggregate report", re.IGNORECASE)
# RFC 7489 7.2.1.1: receiver ! policy domain ! begin ! end [! unique] . ending
_DMARC_FILE = re.compile(
    r"[\w.-]{1,255}![\w.-]{1,255}!\d{6,12}!\d{6,12}(?:!\w{1,255})?\.(?:xml|zip|gz|xml\.gz)", re.IGNORECASE
)
_REFUSAL = re.compile(r"(?<![\w.-])(?:[45]\.\d\.\d{1,3}(?![.\d])|[45]\d\d[ -](?:#?[45]\.\d|[^\W\d_]{2}))")
_LINK = re.compile(rb"<a\s[^<>]{0,400}href\s*=\s*[\"']?(?:3D)?[\"']?https?:", re.IGNORECASE)


# Types of mails without a place for a report or an attached mail.
_LETTERS = ("text/plain", "text/html", "multipart/alternative", "multipart/related")
_ZIPPED = ("application/zip", "application/gzip", "application/x-zip-compressed", "application/x-gzip")
_TELLING_TYPES = ("text/calendar", "text/rfc822-headers", *_ZIPPED)
_NEEDS_A_LOOK = frozenset(
    {
        "auto-submitted",
        "tls-report-domain",
        "x-amz-sns-message-id",
        "x-failed-recipient",
        "x-failed-recipients",
        "x-ms-exchange-message-is-ndr",
        "x-triage",
        *_AUTO_HEADERS,
    }
)


def plainly_no_bounce(mail: Mail) -> NotABounce | None:
    """What a mail is that has no sign of a bounce, of a machine's report or an automatic reply; None where it has one.

    Most of a mailbox is told by it from the header, in a fraction of the time that all readers would take to say the
    same.
    """
    headers = mail.headers
    if headers.has_any(_NEEDS_A_LOOK) or (headers.raw("precedence") or "")[:4].lower() == "auto":
        return None
    sender = mail.sender or ""
    if not sender or _DAEMON.match(sender) is not None or sender.endswith("sns.amazonaws.com"):
        return None
    subject = mail.subject or ""
    if has_null_sender(mail) or speaks_of_failure(subject) or _is_other_subject(subject):
        return None
    if says((headers.get("from") or "").lower(), DAEMON_NAMES):
        return None
    answer = _letter_or_list(mail)
    if mail.media_type in _LETTERS:
        if answer is None and b"text/calendar" in mail.data:
            return None
    else:
        for part in mail.parts:
            if part.media_type.startswith("message/") or part.media_type in _TELLING_TYPES:
                return None
    if answer is None and address(headers.raw("return-path")) is None and _words_of_failure(mail) is not None:
        return None  # with a return address it would be no notification (RFC 5321 4.5.5)
    return answer or nothing_found(mail)


def nothing_found(mail: Mail) -> NotABounce:
    """The answer for a mail that nobody finds anything in."""
    return _answer(mail, "not-a-bounce", "no delivery report in it, and nothing that reads like one")


def why_no_bounce(mail: Mail) -> NotABounce | None:
    """What the mail is, where it plainly is no bounce; None where it may be one.

    Delivery reports and mails with X-Failed-Recipients always pass: many of them call themselves auto-replied.
    """
    headers = mail.headers
    if any(part.media_type == "message/feedback-report" for part in mail.parts):
        # A complaint has been read before; what is left praises a mail or tells of failed authentication.
        return _answer(
            mail,
            "not-a-bounce",
            "a report about how a mail was authenticated or liked (feedback report), not about its delivery",
        )
    if "x-failed-recipients" in headers or any(part.media_type in _REPORT_TYPES for part in mail.parts):
        return None
    machine = _machine_report(mail)
    if machine is not None:
        return _answer(mail, "not-a-bounce", machine)
    sender = mail.sender or ""
    daemon = is_daemon(headers.raw("from"))
    subject = mail.subject or ""
    if _AWAY.match(subject) is not None and not (daemon and speaks_of_failure(subject)):
        if "list-unsubscribe" in headers:
            return _letter_or_list(mail)  # who is away does not offer to be left
        return _answer(mail, "auto-reply", "an automatic reply (its subject)")
    if not daemon:
        away = _away(mail, subject)
        if away is not None:
            return _answer(mail, "auto-reply", away)
    if daemon and not _is_outside_sender(mail, sender):
        return _postmasters_letter(mail, sender)
    dressed = _dressed_as_bounce(mail, sender)
    if dressed is not None:
        return _answer(mail, "not-a-bounce", dressed)
    if daemon:
        return None
    if has_null_sender(mail):
        return _newsletter(mail)
    return _letter_or_list(mail) or _written_by_somebody(mail, sender)


def _newsletter(mail: Mail) -> NotABounce | None:
    """What goes to many and can be left with a click, whatever its return address; None where it is no such mail."""
    if "list-unsubscribe" in mail.headers and "list-id" in mail.headers:
        return _answer(mail, "not-a-bounce", "sent through a mailing list (List-Id and List-Unsubscribe header)")
    return None


def _written_by_somebody(mail: Mail, sender: str) -> NotABounce | None:
    """A mail with a return address, which no notification has (RFC 5321 4.5.5), and nothing that makes up for it.

    What makes up is a mail given back; from an address that is not its own return address, a server's refusal does too.
    """
    returned = _return_address(mail)
    if returned is None or "x-ms-exchange-message-is-ndr" in mail.headers:
        return None
    if says((mail.headers.get("from") or "").lower(), DAEMON_NAMES) and _shows_refusal(mail):
        return None
    if _gives_mail_back(mail):
        return None
    if returned.lower() != sender.lower() and _shows_refusal(mail):
        return None
    if looks_like_bounce(mail) is None:
        return None
    return _answer(mail, "not-a-bounce", f"it has a return address ({returned}) and gives no mail back")


def _postmasters_letter(mail: Mail, sender: str) -> NotABounce | None:
    """What a postmaster writes to the users as a person does: statistics, news. It has the address it comes from."""
    returned = address(mail.headers.raw("return-path"))
    if returned is None or returned.lower() != sender.lower() or sender[:6].lower() == "mailer":
        return None
    if speaks_of_failure(mail.subject or "") or _gives_mail_back(mail):
        return None
    return _answer(mail, "not-a-bounce", f"a letter of {sender}, which has a return address and gives no mail back")


def _gives_mail_back(mail: Mail) -> bool:
    """Whether a mail holds another one, or the header of one, in a part or in its words."""
    if any(part.media_type in ("message/rfc822", "text/rfc822-headers") for part in mail.parts):
        return True
    part = _first_text_part(mail)
    return part is not None and split_original(part.text())[1] is not None


def _shows_refusal(mail: Mail) -> bool:
    """Whether the first text of a mail quotes a reply or a status code of a server."""
    part = _first_text_part(mail)
    return part is not None and _REFUSAL.search(part.text()[:MAX_FAILURE_WORDS]) is not None


def _first_text_part(mail: Mail) -> Part | None:
    return next((part for part in mail.parts if part.media_type.startswith("text/") and part.size), None)


def _letter_or_list(mail: Mail) -> NotABounce | None:
    """Mail that people answer or pass on, or that goes to many; None where neither shows."""
    sender = mail.sender
    if _REPLY_OR_FORWARD.match(mail.subject or "") is not None:
        return _answer(
            mail, "not-a-bounce", f"an answer or a forwarded mail by {sender or 'a person'}, not by a mail system"
        )
    for name, what in (("list-id", "a mailing list"), ("list-unsubscribe", "a newsletter")):
        if name in mail.headers:
            return _answer(
                mail, "not-a-bounce", f"sent through {what} ({name.title()} header) by {sender or 'somebody'}"
            )
    return None


def looks_like_bounce(mail: Mail) -> str | None:
    """The observation that makes a mail without a report part look like a bounce, in plain words; None without any."""
    headers = mail.headers
    if "x-failed-recipients" in headers:
        return "it names failed recipients (X-Failed-Recipients)"
    if any(part.media_type in _REPORT_TYPES for part in mail.parts):
        return "it holds a report for machines"
    if is_daemon(headers.raw("from")):
        return "it comes from a mail system (From)"
    if has_null_sender(mail):
        return "it has no return address (Return-Path: <>)"
    if speaks_of_failure(mail.subject or ""):
        return "its subject speaks of a failed delivery"
    if "x-ms-exchange-message-is-ndr" in headers:
        return "Exchange marks it as a non-delivery report"
    words = _words_of_failure(mail)
    return f"it says “{words}”" if words is not None else None


# Asked of the same subject more than once.
@lru_cache(maxsize=8)
def speaks_of_failure(subject: str) -> bool:
    """Whether a subject is one of a bounce."""
    lower = subject.lower()
    for root, pattern in BOUNCE_SUBJECTS:  # noqa: SIM110 (see `says`: asked of every mail of a mailbox)
        if root in lower and re.search(pattern, lower) is not None:
            return True
    return False


def _is_other_subject(subject: str) -> bool:
    """Whether a subject is one of an automatic reply, a receipt, a DMARC report, or Outlook.com's complaint."""
    return (
        _AWAY.match(subject) is not None
        or _RECEIPT_SUBJECT.match(subject) is not None
        or _DMARC_SUBJECT.match(subject) is not None
        or subject[:9].lower() == "complaint"
    )


def is_daemon(sender: str | None) -> bool:
    """Whether a From value names a mail system: an address like mailer-daemon@, or none and a name like it."""
    if not sender:
        return False
    found = address(sender)
    if found is not None:
        return _DAEMON.match(found) is not None
    return _DAEMON.match(sender.strip(" <>\"'") + "@") is not None or says(sender.lower(), DAEMON_NAMES)


def has_null_sender(mail: Mail) -> bool:
    """Whether the envelope had no return address, as RFC 5321 4.5.5 wants it for every notification."""
    value = mail.headers.raw("return-path")
    return value is not None and (
        value in ("<>", "", "< >") or value.lower().startswith(("<mailer-daemon", "mailer-daemon"))
    )


def _machine_report(mail: Mail) -> str | None:
    """A report of a machine about something else than delivery: receipts, DMARC, TLS, calendars."""
    kind = mail.parameters.get("report-type", "").lower() if mail.media_type == "multipart/report" else ""
    if kind == "disposition-notification" or any(
        p.media_type == "message/disposition-notification" for p in mail.parts
    ):
        return "a read receipt (message/disposition-notification, RFC 8098)"
    if "x-triage" in mail.headers and (address(mail.headers.raw("from")) or "").endswith("@bounce-triage.invalid"):
        return "written by this program, to explain a bounce (X-Triage)"
    subject = mail.subject or ""
    if _SESSION_SUBJECT.match(subject) is not None:
        return "a transcript for the postmaster about a session of a mail server (its subject)"
    if kind == "tlsrpt" or "tls-report-domain" in mail.headers:
        return "a TLS report (RFC 8460)"
    if _DMARC_SUBJECT.match(subject) is not None:
        return "a DMARC aggregate report (its subject)"
    for part in mail.parts:
        if part.media_type == "text/calendar":
            return "an invitation, or the answer to one (text/calendar)"
        if part.media_type in _ZIPPED:
            name = part.parameters.get("name") or part.headers.raw("content-disposition") or ""
            if _DMARC_FILE.search(name[:1000]) is not None:
                return "a DMARC aggregate report (the name of its attachment)"
    if _RECEIPT_SUBJECT.match(subject) is not None and not is_daemon(mail.headers.raw("from")):
        return "a read receipt (its subject)"
    return None


def _away(mail: Mail, subject: str) -> str | None:
    """The observation that makes a mail an automatic reply (RFC 3834); None where it speaks of a failed delivery."""
    if speaks_of_failure(subject):
        return None
    headers = mail.headers
    for name in _AUTO_HEADERS:
        if name in headers and (headers.raw(name) or "").lower() not in ("no", "false"):
            return f"an automatic reply ({name.title()} header)"
    if (headers.raw("precedence") or "").lower() in ("auto_reply", "auto-reply", "autoreply"):
        return "an automatic reply (Precedence header)"
    submitted = (headers.raw("auto-submitted") or "").lower()
    if "x-ms-exchange-message-is-ndr" in headers or not submitted.startswith("auto-"):
        return None
    if submitted.startswith("auto-replied") and (
        _return_address(mail) is not None or _words_of_failure(mail) is None  # no notification has one, RFC 5321 4.5.5
    ):
        return "an automatic reply (Auto-Submitted header, RFC 3834)"
    # QUIRK(Exchange): its automatic replies, in any language, only say that they are generated.
    # https://learn.microsoft.com/openspecs/exchange_server_protocols/ms-oxcmail/ (X-Auto-Response-Suppress)
    if (
        "x-ms-exchange-inbox-rules-loop" in headers
        and (headers.raw("x-auto-response-suppress") or "").lower() == "all"
        and _words_of_failure(mail) is None
    ):
        return "an automatic reply (headers of Exchange)"
    return None


def _return_address(mail: Mail) -> str | None:
    """Where an answer would go; None for none, and for a mail system's own, which only looks like one."""
    returned = address(mail.headers.raw("return-path"))
    # Not _DAEMON: who sends to many lets bounces come back to an address called so, for every mail.
    return returned if returned is not None and _POSTMASTER.match(returned) is None else None


def _words_of_failure(mail: Mail) -> str | None:
    """The first sentence of failure in the mail's own words, a returned or quoted mail left out."""
    part = next((p for p in mail.parts if p.media_type.startswith(("text/plain", "multipart/")) and p.size), None)
    if part is not None:
        opening = part.text()[:MAX_FAILURE_WORDS].lower()
    else:
        part = next((p for p in mail.parts if p.media_type == "text/html" and p.size), None)
        if part is None:
            return None
        # Reducing a page to its words is slow, and most pages are newsletters: a look at the raw page comes first.
        opening = part.body(32 * 1024).decode("utf-8", "replace").replace("\n", " ").lower()
    if _first_words(opening) is None:
        return None
    return _first_words(split_original(part.text())[0][:MAX_FAILURE_WORDS].lower())


def _first_words(lower: str) -> str | None:
    """The first of BOUNCE_WORDS, in their order, that a text holds."""
    for root, group in BOUNCE_WORDS:
        if root in lower and (words := next((words for words in group if words in lower), None)) is not None:
            return words
    return None


def _is_outside_sender(mail: Mail, sender: str) -> bool:
    """Whether the return path is an ordinary address in another domain than that of the mail system in From."""
    returned = address(mail.headers.raw("return-path"))
    if returned is None or has_null_sender(mail) or _DAEMON.match(returned) is not None:
        return False
    ours, theirs = sender.rpartition("@")[2].lower(), returned.rpartition("@")[2].lower()
    return not (ours == theirs or ours.endswith("." + theirs) or theirs.endswith("." + ours))


def _dressed_as_bounce(mail: Mail, sender: str) -> str | None:
    """Phishing: the name of a mail system in From, a return address of somebody else, a page with links."""
    if has_null_sender(mail) or address(mail.headers.raw("return-path")) is None:
        return None
    name = mail.headers.get("from") or ""
    claims = is_daemon(mail.headers.raw("from")) or says(name.replace(sender, "").lower(), DAEMON_NAMES)
    if not claims and not speaks_of_failure(mail.subject or ""):
        return None
    if any(part.media_type in ("message/rfc822", "text/rfc822-headers") for part in mail.parts):
        return None
    for part in mail.parts:
        if part.media_type == "text/html" and _LINK.search(part.body(64 * 1024)) is not None:
            return f"it claims to be a failed delivery, but has a return address, links and no report (from {sender})"
    return None


def _answer(mail: Mail, kind: NotKind, why: str) -> NotABounce:
    ids = message_ids(mail.headers.raw("message-id"))
    return NotABounce(
        kind,
        why,
        message_id=ids[0] if ids else None,
        sender=mail.sender,
        subject=mail.subject,
    )
