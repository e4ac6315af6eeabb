"""Tells mails that report no failed delivery from bounces, before anyone reads words into them.

A bounce is a machine's report about a mail of ours. Vacation replies, read receipts, list mail, DMARC reports, answers
of people who quote a bounce, and phishing that dresses as one are not. Every answer names the observation behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from parsers.auto_replies import AUTO_HEADERS, is_away_subject, why_away
from parsers.facts import NotABounce, NotKind
from parsers.mime import Mail, address, message_ids
from parsers.signs import (
    REPORT_TYPES,
    attaches_mail,
    failure_words_in,
    gives_mail_back,
    has_null_sender,
    is_daemon,
    is_daemon_address,
    list_marks,
    looks_like_bounce,
    own_words,
    quotes_refusal,
    return_address,
    shows_refusal,
    speaks_of_failure,
    tells_failure,
    words_of_failure,
)
from parsers.text import domain_part, lower_case
from parsers.words import (
    CHALLENGES,
    DAEMON_NAMES,
    HELD_SUBJECTS,
    INCOMING,
    LURES,
    OWNERS_BOX,
    PARCEL_WORDS,
    RECALL_SUBJECTS,
    SUMMARY_SUBJECTS,
    says,
)

_REPLY_OR_FORWARD = re.compile(
    r"(?:re|aw|sv|vs|antw|fwd?|wg|tr|rv|enc|vb|i|odp|ynt|rif|回复|转发|返信)(?:\[\d+\])?\s?[:：]", re.IGNORECASE
)

# Local parts that mail systems use and the people who run them, too.
_ALSO_PEOPLE = ("postmaster", "post-master", "post_master", "post.master", "bounce", "dsn", "ndr", "mta")
_HELD = re.compile(HELD_SUBJECTS, re.IGNORECASE)
_RECALL = re.compile(RECALL_SUBJECTS, re.IGNORECASE)
_SUMMARY = re.compile(SUMMARY_SUBJECTS, re.IGNORECASE)

# What Postfix writes to its postmaster (notify_classes): https://www.postfix.org/postconf.5.html#notify_classes
_SESSION_SUBJECT = re.compile(r"postfix (?:smtp|lmtp) (?:server|client): errors (?:from|while)\b", re.IGNORECASE)
_RECEIPT_SUBJECT = re.compile(
    r"(?:read|not read|gelesen|ungelesen|lu|non lu|leído|letto|lido|lida|gelezen|läst|lest|læst|luettu|przeczytan[oy]"
    r"|přečteno|olvasva|прочтено|прочитано|okundu|non letto|não lida|no leído|ongelezen|已读|已讀|開封済み|읽음)"
    r"\s?[:：]",
    re.IGNORECASE,
)
_AUTO_ANSWER = "an automatic answer (Auto-Submitted header), not a report about a delivery"
_DMARC_SUBJECT = re.compile(r"(?:\[[^\]]*\]\s*)?report domain:|dmarc aggregate report", re.IGNORECASE)
# RFC 7489 7.2.1.1: receiver ! policy domain ! begin ! end [! unique] . ending
_DMARC_FILE = re.compile(
    r"[\w.-]{1,255}![\w.-]{1,255}!\d{6,12}!\d{6,12}(?:!\w{1,255})?\.(?:xml|zip|gz|xml\.gz)", re.IGNORECASE
)
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
        *AUTO_HEADERS,
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
    if not sender or is_daemon_address(sender) or sender.endswith("sns.amazonaws.com"):
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
    if answer is None and address(headers.raw("return-path")) is None and words_of_failure(mail) is not None:
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
    if "x-failed-recipients" in headers or any(part.media_type in REPORT_TYPES for part in mail.parts):
        return None
    machine = _machine_report(mail)
    if machine is not None:
        return _answer(mail, "not-a-bounce", machine)
    sender = mail.sender or ""
    daemon = is_daemon(headers.raw("from"))
    subject = mail.subject or ""
    if is_away_subject(subject) and not (daemon and speaks_of_failure(subject)):
        if "list-unsubscribe" in headers:
            return _letter_or_list(mail)  # who is away does not offer to be left
        return _answer(mail, "auto-reply", "an automatic reply (its subject)")
    submitted = (headers.raw("auto-submitted") or "").lower()
    if submitted.startswith("auto-replied") and "vacation" in submitted:  # Sieve says so of itself, RFC 5230 5
        return _answer(mail, "auto-reply", "an automatic reply (Auto-Submitted header, RFC 3834)")
    if not daemon:
        away = why_away(mail, subject)
        if away is not None:
            return _answer(mail, "auto-reply", away)
    dressed = _dressed_as_bounce(mail, sender) if not daemon or _is_outside_sender(mail, sender) else None
    if dressed is not None:
        return _answer(mail, "not-a-bounce", dressed)
    if looks_like_bounce(mail) is None:
        return _letter_or_list(mail)
    if not daemon and not has_null_sender(mail) and (written := _written_by_somebody(mail, sender)) is not None:
        return _letter_or_list(mail) or written
    return _weighed(mail, sender)


class _Case(NamedTuple):
    """What speaks for and against a mail being a bounce."""

    origin: int
    """How much its sender is one of mail systems: 0 nobody's, 1 by name or as a postmaster, 2 and more by envelope."""
    told: int
    """How much it tells of a failed delivery."""
    against: tuple[tuple[int, str], ...]
    """What it is instead, each with its weight."""


def _weighed(mail: Mail, sender: str) -> NotABounce | None:
    """What a mail is that claims more than it shows; None where enough speaks for a bounce.

    A sender proves nothing alone: whoever writes as postmaster@ must tell of a failure, too, and one whose sender is
    nobody's must tell it in three ways. A return address, marks of a list and the manner of an answer count against it.
    """
    words = own_words(mail)
    lower = lower_case(words)
    refused = quotes_refusal(words)
    returned = gives_mail_back(mail)
    if not refused and not returned:
        other = _about_else(mail, sender, lower)
        if other is not None:
            return _answer(mail, "not-a-bounce", other)
    case = _case(mail, sender, lower, refused=refused, returned=returned)
    balance = case.origin + case.told - sum(weight for weight, _ in case.against)
    enough = balance >= (2 if case.origin else 3)
    marked = any(weight > 1 for weight, _ in case.against)
    if enough and (case.told or (case.origin > 2 and not marked) or not case.against):
        return None
    if not case.against:
        return nothing_found(mail)
    why = max(case.against)[1]
    return _letter_or_list(mail) or _answer(mail, "auto-reply" if why == _AUTO_ANSWER else "not-a-bounce", why)


def _case(mail: Mail, sender: str, lower: str, *, refused: bool, returned: bool) -> _Case:
    subject = mail.subject or ""
    failing = speaks_of_failure(subject) or tells_failure(subject.lower())
    said = 2 if failure_words_in(lower) is not None else int(tells_failure(lower))
    told = failing + said + refused
    told += (2 if told else 1) if returned else 0
    return _Case(_origin(mail, sender), told, tuple(_against(mail, sender, subject, lower, refused or returned)))


def _origin(mail: Mail, sender: str) -> int:
    name = (mail.headers.get("from") or "").lower()
    weight = 2 * has_null_sender(mail) + 2 * ("x-ms-exchange-message-is-ndr" in mail.headers)
    if is_daemon(mail.headers.raw("from")):
        return weight + (1 if sender.lower().startswith(_ALSO_PEOPLE) else 2)
    return weight + says(name, DAEMON_NAMES)


def _against(mail: Mail, sender: str, subject: str, lower: str, shows: bool) -> Iterator[tuple[int, str]]:
    who = sender or "somebody"
    marks = list_marks(mail)
    if marks:
        yield 2 * len(marks), _through_list(marks[0], sender)
    if _REPLY_OR_FORWARD.match(subject) is not None:
        yield 1, _by_person(sender)
    returned = address(mail.headers.raw("return-path"))
    if returned is not None and not has_null_sender(mail):
        outside = return_address(mail) is not None and not is_daemon(mail.headers.raw("from"))
        yield (
            2 if outside or _is_outside_sender(mail, sender) else 1,
            f"a letter of {who}, which has a return address and shows too little of a failed delivery",
        )
    if (mail.headers.raw("auto-submitted") or "").lower().startswith("auto-replied") and sender:
        yield 1, _AUTO_ANSWER
    if _SUMMARY.search(subject) is not None:
        yield 3, "figures or an alert for an administrator (its subject)"
    if not shows and says(lower, INCOMING):
        yield 3, "about a mail that came in for its reader"
    if not shows and says(lower, OWNERS_BOX):
        yield 1, "a provider's letter about its reader's own mailbox"


def _about_else(mail: Mail, sender: str, lower: str) -> str | None:
    """What a mail is about that quotes no server and gives no mail back, where its words name another matter."""
    subject = mail.subject or ""
    if not is_daemon(mail.headers.raw("from")) and says(lower, PARCEL_WORDS):
        return "about goods that are delivered, not about a mail"
    if _HELD.search(subject) is not None and not speaks_of_failure(subject):
        return "tells its reader which mails were held back from him (its subject)"
    if says(lower, CHALLENGES) or says(subject.lower(), CHALLENGES):
        return "asks its reader to show that he is a person, and holds his mail until then"
    if not has_null_sender(mail) and says(lower, LURES) and ("://" in lower or _links(mail)):
        return f"it claims to be a failed delivery, but asks to press a link and shows no report (from {sender})"
    return None


def _links(mail: Mail) -> bool:
    """Whether a page in the mail leads to a web site."""
    return any(part.media_type == "text/html" and _LINK.search(part.body(64 * 1024)) is not None for part in mail.parts)


def _written_by_somebody(mail: Mail, sender: str) -> NotABounce | None:
    """A mail with a return address, which no notification has (RFC 5321 4.5.5), and nothing that makes up for it.

    What makes up is a mail given back; from an address that is not its own return address, a server's refusal does too.
    """
    returned = return_address(mail)
    if returned is None or "x-ms-exchange-message-is-ndr" in mail.headers:
        return None
    if says((mail.headers.get("from") or "").lower(), DAEMON_NAMES) and shows_refusal(mail):
        return None
    if gives_mail_back(mail):
        return None
    if returned.lower() != sender.lower() and shows_refusal(mail):
        return None
    return _answer(mail, "not-a-bounce", f"it has a return address ({returned}) and gives no mail back")


def _letter_or_list(mail: Mail) -> NotABounce | None:
    """Mail that people answer or pass on, or that goes to many; None where neither shows."""
    sender = mail.sender
    if _REPLY_OR_FORWARD.match(mail.subject or "") is not None:
        return _answer(mail, "not-a-bounce", _by_person(sender))
    for name in ("list-id", "list-unsubscribe"):
        if name in mail.headers:
            return _answer(mail, "not-a-bounce", _through_list(name.title(), sender))
    return None


def _by_person(sender: str | None) -> str:
    return f"an answer or a forwarded mail by {sender or 'a person'}, not by a mail system"


def _through_list(mark: str, sender: str | None) -> str:
    what = "a newsletter" if mark == "List-Unsubscribe" else "a mailing list"
    return f"sent through {what} ({mark} header) by {sender or 'somebody'}"


def _is_other_subject(subject: str) -> bool:
    """Whether a subject is one of an automatic reply, a receipt, a DMARC report, or Outlook.com's complaint."""
    return (
        is_away_subject(subject)
        or _RECEIPT_SUBJECT.match(subject) is not None
        or _DMARC_SUBJECT.match(subject) is not None
        or subject[:9].lower() == "complaint"
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
    if _RECALL.match(subject) is not None:
        return "what became of the recall of a mail (its subject)"
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


def _is_outside_sender(mail: Mail, sender: str) -> bool:
    """Whether the return path is an ordinary address in another domain than that of the mail system in From."""
    returned = address(mail.headers.raw("return-path"))
    if returned is None or has_null_sender(mail) or is_daemon_address(returned):
        return False
    ours, theirs = domain_part(sender) or "", domain_part(returned) or ""
    return not (ours == theirs or ours.endswith("." + theirs) or theirs.endswith("." + ours))


def _dressed_as_bounce(mail: Mail, sender: str) -> str | None:
    """Phishing: the name of a mail system in From, a return address of somebody else, a page with links."""
    if has_null_sender(mail) or address(mail.headers.raw("return-path")) is None:
        return None
    name = mail.headers.get("from") or ""
    claims = is_daemon(mail.headers.raw("from")) or says(name.replace(sender, "").lower(), DAEMON_NAMES)
    if not claims and not speaks_of_failure(mail.subject or ""):
        return None
    if attaches_mail(mail):
        return None
    if _links(mail):
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
