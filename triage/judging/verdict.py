"""Judges a bounce: who refused, why, and whose move it is, by reading the table of rules from top to bottom.

Pure: knows the facts (parsers), the table of rules and the catalogue of causes (remediation). Knows no Gmail, no
SES look-up, no database, and never asks anybody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from parsers.facts import Bounce, Failure, FailureKind, Genuine, NotABounce, NotKind, Original
from parsers.text import printable
from parsers.times import exact_utc_text
from remediation import Actor, Side, load_causes
from triage.display import counted
from triage.fixes import fix_of
from triage.judging.clauses import asks_for_sender, is_general
from triage.judging.rules import Rule
from triage.judging.table import Table, all_by_words, by_codes, load_tables
from triage.rows import Category, OriginalRecord, VerdictRecord

MAX_DIAGNOSTIC = 1000
MAX_SUBJECT = 300
MAX_FIELD = 1000
"""Characters of any other text of a record; RFC 5321 4.5.3 allows an address 254 and a header line 998."""

_WITHOUT_RULE: Mapping[str, tuple[str | None, str | None]] = {
    "delivered": (None, "delivered"),
    "feedback": ("complaint", None),
}
"""Outcomes that say all by themselves: (cause, reason)."""
# What a feedback report (RFC 5965 7.3, RFC 6591) is about where it is no complaint about spam.
_FEEDBACK = {
    "fraud": "complaint-of-fraud",
    "virus": "virus-detected",
    "auth-failure": "authentication-report",
    "other": "feedback-other",
}
_TELLING = frozenset(
    {"1.1", "1.2", "1.3", "1.6", "1.7", "1.8", "1.10", "2.2", "2.3", "3.4", "4.6", "7.23", "7.25", "7.26", "7.27"}
)
"""Subjects and details of a status code (RFC 3463) that name a cause by themselves."""
_ATTEMPTS = frozenset({"delivery-expired", "delivery-delayed"})
"""Causes that say how long was tried, and not what stood in the way."""
_VAGUE = _ATTEMPTS | {"unknown", "remote-system-error", "policy-rejected"}
"""Causes that the prose around a reply must not put in the place of an attempt: its general words say them often."""
_OF_THE_WAY = frozenset({"connection-failed", "delivery-expired", "dns-failed", "tls-required"})
"""Causes about the next server, whichever that is. Where it is named the reader knows; unnamed, nobody does."""
_OF_ANY_SERVER = _OF_THE_WAY | {
    *("relay-denied", "tenant-misrouted", "sender-refused", "sender-domain-unresolvable", "policy-rejected"),
    *("sender-blocklisted", "reputation-low", "host-refused", "rate-limited", "recipient-rate-exceeded", "greylisted"),
    *("spam-rejected", "content-rejected", "message-too-large", "not-rfc-compliant", "too-many-recipients"),
    *("remote-system-error", "remote-misconfigured", "remote-storage-full", "mailbox-full", "recipient-disabled"),
}
"""Causes that a relay may prove as well as a recipient's server ("quota exceeded", "account locked": whose?).

OpenSMTPD passes on both, and names neither.
"""
_IN_OTHER_WORDS = "70-in-other-words.toml"
"""The rows that guess by subject and predicate; a telling code knows better."""
_ALIAS_HELP = "https://support.google.com/mail/"
"""Pages about "Send mail as", which help nobody whose own mail server reports its relay."""
_EXCHANGE = frozenset({"exchange-online", "exchange", "outlook"})
_GMAIL_ITSELF = frozenset({"sending-limit-reached", "gmail-outbound-blocked"})


class Verdict(NamedTuple):
    """Our judgement of one failed recipient, or of a mail that is no bounce. The fields of a verdict record.

    Immutable and picklable. What others wrote is cut to a length and free of control characters, as in the record.
    """

    source: str
    """Where the mail came from, in words that find it again: a path, a Gmail id."""
    kind: FailureKind | NotKind
    recipient: str | None = None
    original_recipient: str | None = None
    category: Category | None = None
    """The label a human sees. None: nothing failed."""
    cause: str | None = None
    side: Side | None = None
    actor: Actor | None = None
    permanent: bool | None = None
    """Whether the same mail would fail again; None = not known."""
    reason: str | None = None
    """The nearest word of Sisimai."""
    status: str | None = None
    reply_code: str | None = None
    diagnostic: str | None = None
    platform: str | None = None
    remote_host: str | None = None
    reported_by: str | None = None
    original: Original | None = None
    genuine: Genuine | None = None
    rule: str | None = None
    evidence: str | None = None
    """The literal words the rule matched, or the code it asked for."""
    why: str | None = None
    """For a mail that is no bounce: the observation that says so. For the last recipient told of a mail that names too
    many: how many more there are.
    """

    @property
    def fix(self) -> list[str]:
        """What to do, step by step, as far as it can be said without names of ours; built anew at each call."""
        return fix_of(self._facts())

    @property
    def links(self) -> list[str]:
        """Official pages about the cause; never a link out of the bounce."""
        links = load_causes()[self.cause].links if self.cause else ()
        if self.reported_by in (None, "gmail") or not (self.cause or "").startswith("alias-"):
            return list(links)
        return [link for link in links if not link.startswith(_ALIAS_HELP)]

    def as_dict(self) -> VerdictRecord:
        """The verdict record of `RECORD_VERSION`, ready for JSON: its keys in their order, times as text in UTC."""
        record = self._facts()
        record["fix"] = fix_of(record)
        if self.kind in ("auto-reply", "not-a-bounce") or self.why is not None:
            record["why"] = self.why
        return record

    def _facts(self) -> VerdictRecord:
        return {
            "source": self.source,
            "kind": self.kind,
            "recipient": self.recipient,
            "original_recipient": self.original_recipient,
            "category": self.category,
            "cause": self.cause,
            "side": self.side,
            "actor": self.actor,
            "permanent": self.permanent,
            "reason": self.reason,
            "status": self.status,
            "reply_code": self.reply_code,
            "diagnostic": self.diagnostic,
            "platform": self.platform,
            "remote_host": self.remote_host,
            "reported_by": self.reported_by,
            "original": _original_record(self.original),
            "genuine": self.genuine,
            "rule": self.rule,
            "evidence": self.evidence,
            "fix": [],
            "links": self.links,
        }


def classify(bounce: Bounce | NotABounce, source: str) -> list[Verdict]:
    """Judge a mail: one verdict for each recipient of a bounce, exactly one for a mail that is none.

    Never raises on any facts. `source` is only passed on.
    """
    if isinstance(bounce, NotABounce):
        reason = "vacation" if bounce.kind == "auto-reply" else None
        return [Verdict(source, bounce.kind, reason=reason, why=_harmless(bounce.why))]
    remote, relay = load_tables()
    original = _harmless_original(bounce.original)
    verdicts = [
        _judge(bounce, failure, source, original, relay if failure.at_relay else remote) for failure in bounce.failures
    ]
    if bounce.left_out:
        why = f"left out: at least {counted(bounce.left_out, 'more recipient')} that the mail names"
        verdicts[-1] = verdicts[-1]._replace(why=why)
    return verdicts


def also_matched(bounce: Bounce) -> Mapping[tuple[str | None, str | None], Sequence[tuple[str, str]]]:
    """The rows below the one that decided that fit as well: whoever adds or moves one sees what it competes with.

    (recipient, id of the rule that decided by words) -> (id, cause) of every row below it that fits the same text, in
    the order of reading.
    """
    remote, relay = load_tables()
    found: dict[tuple[str | None, str | None], list[tuple[str, str]]] = {}
    for failure in bounce.failures:
        if failure.kind not in _WITHOUT_RULE:
            (first, _), *others = _all_that_fit(relay if failure.at_relay else remote, bounce, failure)
            found[_harmless(failure.recipient), first.id] = [(rule.id, rule.cause) for rule, _ in others]
    return found


def _judge(bounce: Bounce, failure: Failure, source: str, original: Original, table: Table) -> Verdict:
    rule: Rule | None = None
    evidence: str | None = None
    if failure.kind in _WITHOUT_RULE:
        cause_id, reason = _WITHOUT_RULE[failure.kind]
        if failure.kind == "feedback":
            words = (failure.diagnostic or failure.prose or "").lower().split()
            cause_id = _FEEDBACK.get(words[-1] if words else "", cause_id)
    else:
        rule, evidence = next(_all_that_fit(table, bounce, failure))
        cause_id, reason = rule.cause, rule.reason or _finer_reason(rule, failure)
    cause = load_causes()[cause_id] if cause_id else None
    side, actor = (cause.side, cause.actor) if cause else (None, None)
    category = _category(bounce, failure, cause_id, cause.category if cause else None, side)
    if side == "remote" and failure.is_unnamed and _may_be_ours(cause_id, bounce.reported_by):
        # A relay of ours says it in the same words: only the log of the mail server that reports can tell.
        side, actor = "unknown", actor if actor == "nobody" else "mailbox-owner"
        category = category if category in ("unverified", "delayed") else "unknown"
    return Verdict(
        source=source,
        kind=failure.kind,
        recipient=_harmless(failure.recipient),
        original_recipient=_harmless(failure.original_recipient),
        category=category,
        cause=cause_id,
        side=side,
        actor=actor,
        permanent=_is_permanent(failure, rule, cause.permanence if cause else None),
        reason=reason or (cause.reason if cause else None),
        status=_harmless(failure.status),
        reply_code=_harmless(failure.reply_code),
        diagnostic=_harmless(failure.diagnostic, MAX_DIAGNOSTIC),
        platform=_harmless(failure.platform),
        remote_host=_harmless(failure.remote_host),
        reported_by=_harmless(bounce.reported_by),
        original=original,
        genuine=bounce.genuine.result,
        rule=rule.id if rule else None,
        evidence=_harmless(evidence),
    )


def _may_be_ours(cause: str | None, reporter: str | None) -> bool:
    return cause in (_OF_ANY_SERVER if reporter == "opensmtpd" else _OF_THE_WAY)


def _all_that_fit(table: Table, bounce: Bounce, failure: Failure) -> Iterator[tuple[Rule, str | None]]:
    """The first rule that fits, which decides, and then those that fit the same words; no further than is asked for.

    The most trusted words are read first: the inner reply, the diagnostic, the prose. A sentence about the cause counts
    before one about the attempt ("tried for five days"), wherever each stands. What a reporter writes around a reply,
    a general prefix and a list of possibilities count for less than a reply's own status code, if that says anything.
    """
    notice, reporter = bounce.notice, bounce.reported_by

    def fitting(text: str, *, whole: bool) -> Iterator[tuple[Rule, str]] | None:
        found = all_by_words(table, text, failure, notice, reporter, whole=whole)
        first = next(found, None)
        return chain((first,), found) if first is not None else None

    inner = None if asks_for_sender(failure.diagnostic) else failure.inner
    texts = [text for text in (inner, failure.diagnostic) if text]
    coded = by_codes(table, failure, notice, reporter)
    telling = (failure.status or "")[2:] in _TELLING
    prose = failure.prose if not (telling and failure.diagnostic is not None) else None
    attempt = None
    for text in texts:
        if found := fitting(text, whole=False):
            first = next(found)
            if telling and first[0].file == _IN_OTHER_WORDS and coded[0].cause != first[0].cause:
                continue
            if first[0].cause not in _ATTEMPTS:
                return chain((first,), found)
            attempt = attempt or chain((first,), found)
    if attempt is None and coded[0].cause != "unknown" and (telling or any(is_general(text) for text in texts)):
        return iter((coded,))
    for text in texts if attempt is None else ():
        if found := fitting(text, whole=True):
            return found
    if prose and (found := fitting(prose, whole=attempt is None)):
        first = next(found)
        if (not telling or first[0].cause == coded[0].cause) and not (attempt and first[0].cause in _VAGUE):
            return chain((first,), found)
    return attempt or iter((coded,))


def _finer_reason(rule: Rule, failure: Failure) -> str | None:
    """Sisimai's word where it depends on more than the cause; None = the cause's own. https://libsisimai.org/en/reason/"""
    if rule.cause == "unknown":
        return "onhold" if _said(failure) else None  # words that nobody understands are not the same as no words
    if rule.cause == "remote-system-error" and failure.command == "LOCAL":
        return "mailererror"
    if rule.cause == "recipient-unknown" and failure.command == "DATA":
        # A server that took the address at RCPT and refuses the user later has filtered; unless its code is about the
        # address itself (RFC 3463 X.1 and, of old sendmail, X.3).
        return None if (failure.status or "")[2:4] in ("1.", "3.") else "filtered"
    return None


def _category(
    bounce: Bounce, failure: Failure, cause: str | None, of_cause: str | None, side: str | None
) -> Category | None:
    if failure.kind == "delivered":
        return None
    if bounce.genuine.result == "fail":
        # Before everything else: a forged mail is never acted on, whatever it says.
        return "unverified"
    if failure.kind == "delayed":
        return "delayed"
    if cause is not None and cause.startswith("alias-"):
        return "smtp-credentials"
    if of_cause == "ses-refused":
        return "ses-refused"
    if cause in _GMAIL_ITSELF:
        return "gmail-refused"
    if failure.platform in _EXCHANGE:
        return "exchange-rejection"
    known = failure.remote_host or failure.reply_code or _said(failure) or failure.platform
    return "remote-rejection" if known or side == "remote" else "unknown"


def _said(failure: Failure) -> str | None:
    """What somebody said: not the type of an SES event, which stands in for it where nobody said a word."""
    return None if failure.diagnostic == failure.prose else failure.diagnostic


def _is_permanent(failure: Failure, rule: Rule | None, permanence: str | None) -> bool | None:
    if permanence is None:
        return None
    if failure.kind == "delayed":
        return False
    if rule is not None and rule.permanent is not None:
        return rule.permanent
    if permanence != "depends":
        return permanence == "permanent"
    # The innermost reply before the report's status: Gmail writes 4.0.0 on final failures.
    code = failure.reply_code or failure.status
    return code[0] == "5" if code and code[0] in "45" else None


def _original_record(original: Original | None) -> OriginalRecord | None:
    if original is None:
        return None
    return {
        "message_id": original.message_id,
        "gmail_message_id": original.gmail_message_id,
        "ses_message_id": original.ses_message_id,
        "ses_region": original.ses_region,
        "ses_id_source": original.ses_id_source,
        "sent_at": exact_utc_text(original.sent_at),
        "from": original.sender,
        "subject": original.subject,
        "path": original.path,
    }


def _harmless_original(original: Original) -> Original:
    return original._replace(
        message_id=_harmless(original.message_id),
        gmail_message_id=_harmless(original.gmail_message_id),
        ses_message_id=_harmless(original.ses_message_id),
        ses_region=_harmless(original.ses_region),
        sender=_harmless(original.sender),
        subject=_harmless(original.subject, MAX_SUBJECT),
    )


def _harmless(text: str | None, limit: int = MAX_FIELD) -> str | None:
    """Cut a text that others wrote and take out what does not print: control and direction marks, lone surrogates."""
    if text is None:
        return None
    return printable(text[:limit], instead="") or None
