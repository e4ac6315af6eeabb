"""The judgement of single failures: cause, side, category, permanence, reason.

Facts are made by hand here; reading them out of mails is tested in tests/parsers.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parsers.facts import Failure, FailureKind
from remediation import load_causes
from tests.judging.made import bounce as _bounce
from tests.judging.made import failure as _failure
from tests.judging.made import judge as _judge
from triage.judging import place_of
from triage.judging.rules import load_rules
from triage.judging.verdict import classify
from triage.model import IncidentKey

# What relays behind an alias answer -> the cause. domain/bounces.md 1.5 to 1.7 and 2.1.
RELAY_ANSWERS = """
alias-auth-not-offered       Unspecified Error (SENT_SECOND_EHLO): Smtp server does not advertise AUTH capability
alias-auth-not-offered       500 Remote server does not support SMTP Authenticated Relay (state 12)
alias-credentials-rejected   535 Authentication Credentials Invalid
alias-credentials-rejected   535 5.7.8 Username and Password not accepted
alias-credentials-rejected   535 5.7.3 Authentication unsuccessful
alias-credentials-rejected   535 Incorrect authentication data
alias-credentials-rejected   535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.
alias-credentials-rejected   530 Authentication required
alias-credentials-rejected   535
alias-app-password-required  534 5.7.9 Application-specific password required
alias-smtp-auth-disabled     535 5.7.139 Authentication unsuccessful, basic authentication is disabled.
alias-smtp-auth-disabled     535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.
alias-sender-not-allowed     550 5.7.60 SMTP; Client does not have permissions to send as this sender
alias-sender-not-allowed     553 5.7.1 <admin@example.org>: Sender address rejected: not owned by user jada@example.org
alias-sender-not-allowed     554 5.2.252 SendAsDenied; jada@example.org not allowed to send as admin@example.org
alias-tls-failed             TLS Negotiation failed, the certificate doesn't match the host.
alias-tls-failed             530 5.7.0 Must issue a STARTTLS command first
alias-tls-failed             500 Remote server does not support TLS (state 6)
alias-relay-blocked          535 5.7.0 Too many authentication failures
alias-relay-blocked          550 5.4.6 Unusual sending activity detected. Please try after sometime
alias-relay-blocked          554 5.1.8 Sender Address Blocked
alias-relay-throttled        554 5.7.1 too many messages from sender in last 60 minutes
alias-recipient-suppressed   550 5.2.1 Not sending to previously bounced email
alias-relay-unreachable      The recipient server did not accept our requests to connect. [smtp.example.org 192.0.2.4: timed out]
alias-feature-retired        550 5.7.1 Sending from other addresses is no longer supported for this account.
alias-misconfigured          550 sorry
alias-misconfigured          550 5.1.1 User unknown
alias-misconfigured          552 5.2.2 Mailbox full
ses-identity-not-verified    554 Message rejected: Email address is not verified. The following identities failed the check in region US-EAST-1: admin@queenofsandiego.com
ses-sandbox                  554 Message rejected: Email address is not verified. The following identities failed the check in region US-EAST-1: Pat@client.example
ses-access-denied            554 Access denied: User `arn:aws:iam::111122223333:user/u' is not authorized to perform `ses:SendRawEmail' on resource `arn:aws:ses:us-east-1:111122223333:identity/x'
ses-sending-paused           554 Message rejected: Sending paused for this account.
ses-daily-quota              454 Throttling failure: Daily message quota exceeded
ses-rate-exceeded            454 Throttling failure: Maximum sending rate exceeded
ses-temporary-failure        454 Temporary authentication failure
ses-not-subscribed           535 Account not subscribed to SES
"""  # noqa: E501  # answers are given as they are said

# What servers of recipients say -> the cause, its side and who must act.
REMOTE_ANSWERS = """
recipient-unknown          550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup
recipient-unknown          550 5.1.1 The email account that you tried to reach does not exist. https://support.google.com/mail/?p=NoSuchUser - gsmtp
recipient-unknown          550 5.1.1 <pat@client.example>: Recipient address rejected: User unknown in local recipient table
recipient-disabled         550 5.2.1 The email account that you tried to reach is disabled.
recipient-access-denied    550 5.4.1 Recipient address rejected: Access denied. AS(201806281)
mailbox-full               552 5.2.2 Mailbox size limit exceeded
mailbox-full               452 4.2.2 The recipient's inbox is out of storage space
group-restricted           550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required; Delivery restriction check failed
transport-rule-rejected    550 5.7.1 TRANSPORT.RULES.RejectMessage; the message was rejected by organization policy
message-too-large          552 5.3.4 Message size exceeds fixed limit
dmarc-rejected             550 5.7.509 Access denied, sending domain queenofsandiego.com does not pass DMARC verification and has a DMARC policy of reject.
dmarc-rejected             550 5.7.26 Unauthenticated email from queenofsandiego.com is not accepted due to domain's DMARC policy.
spf-rejected               550 5.7.23 The message was rejected because of Sender Policy Framework violation
sender-blocklisted         550 5.7.606 Access denied, banned sending IP [192.0.2.1]
sender-blocklisted         554 5.7.1 Service unavailable; Client host [192.0.2.10] blocked using zen.spamhaus.org
ptr-missing                550 5.7.25 The IP address sending this message does not have a PTR record setup
tenant-misrouted           550 5.7.64 TenantAttribution; Relay Access Denied
relay-denied               554 5.7.1 <pat@client.example>: Relay access denied
greylisted                 450 4.2.0 <pat@client.example>: Recipient address rejected: Greylisted, try again in 5 minutes
spam-rejected              550 5.7.1 Message rejected as spam by Content Filtering.
mail-loop                  554 5.4.14 Hop count exceeded - possible mail loop
no-mail-service            556 5.1.10 <pat@client.example>: Recipient address rejected: Domain client.example does not accept mail (nullMX)
domain-not-found           Host or domain name not found. Name service error for name=client.example type=A: Host not found
connection-failed          connect to mx.client.example[192.0.2.25]:25: Connection refused
virus-detected             552 5.7.0 Virus detected
"""  # noqa: E501


def _rows(table: str) -> list[tuple[str, str]]:
    rows = [line.split(maxsplit=1) for line in table.strip().splitlines()]
    return [(cause, text) for cause, text in rows]


@pytest.mark.parametrize(("cause", "answer"), _rows(RELAY_ANSWERS))
def test_answers_of_a_relay(cause: str, answer: str) -> None:
    verdict = _judge(_failure(answer, at_relay=True), notice="gmail-alias", reported_by="gmail")
    assert (verdict.cause, verdict.side) == (cause, "own")
    assert verdict.category == ("ses-refused" if cause.startswith("ses-") else "smtp-credentials")


@pytest.mark.parametrize(("cause", "answer"), _rows(REMOTE_ANSWERS))
def test_answers_of_a_recipients_server(cause: str, answer: str) -> None:
    verdict = _judge(_failure(answer))
    assert (verdict.cause, verdict.side, verdict.category) == (cause, "remote", "remote-rejection")
    assert verdict.actor == load_causes()[cause].actor


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300), st.sampled_from([rule.examples[0] for rule in load_rules()]), st.booleans())
@example("", "", True)
def test_a_relay_never_speaks_for_the_recipient(noise: str, words: str, reversed_: bool) -> None:
    """Whatever a relay answers, be it word for word what a recipient's server would say."""
    text = f"{noise} {words}" if reversed_ else f"{words} {noise}"
    for failure in (
        _failure(text, at_relay=True),
        _failure(None, at_relay=True, prose=text, platform="exchange-online", remote_host="mx.client.example"),
    ):
        verdict = _judge(failure, reported_by="gmail")
        assert verdict.side == "own"
        assert verdict.category in ("smtp-credentials", "ses-refused")


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300), st.sampled_from([rule.examples[0] for rule in load_rules()]))
def test_a_recipients_server_is_never_our_relay(noise: str, words: str) -> None:
    """Nor may a server talk its way into the side that a run would tell the owner to repair."""
    verdict = _judge(_failure(f"550 {words} {noise}", remote_host="mx.client.example", platform="postfix"))
    assert verdict.side in ("remote", "unknown")
    assert verdict.category == "remote-rejection"


# Categories


@pytest.mark.parametrize(
    ("facts", "category"),
    [
        ({"platform": "exchange-online"}, "exchange-rejection"),
        ({"platform": "exchange"}, "exchange-rejection"),
        ({"platform": "outlook"}, "exchange-rejection"),
        ({"platform": "google"}, "remote-rejection"),
        ({"remote_host": "mx.client.example"}, "remote-rejection"),
        ({"reply_code": "550"}, "remote-rejection"),
        ({"diagnostic": "no words we know"}, "remote-rejection"),
        ({"status": "5.0.0"}, "unknown"),
        ({"prose": "It failed."}, "unknown"),
        ({}, "unknown"),
        # The recipient is unknown: somebody must have said so, even if the report does not name them.
        ({"prose": "user unknown"}, "remote-rejection"),
        ({"at_relay": True}, "smtp-credentials"),
        ({"at_relay": True, "platform": "exchange-online"}, "smtp-credentials"),
        ({"at_relay": True, "diagnostic": "554 Message rejected: Sending paused for this account."}, "ses-refused"),
        ({"kind": "delayed", "platform": "exchange-online"}, "delayed"),
        ({"kind": "delayed", "at_relay": True}, "delayed"),
        ({"kind": "delivered", "diagnostic": "250 OK"}, None),
        ({"kind": "feedback"}, "remote-rejection"),
    ],
)
def test_category(facts: dict[str, Any], category: str | None) -> None:
    assert _judge(_failure(**facts)).category == category


def test_an_exchange_that_answers_in_the_dmarc_way_is_still_exchange() -> None:
    text = "550 5.7.509 Access denied, sending domain queenofsandiego.com does not pass DMARC verification"
    verdict = _judge(_failure(text, platform="exchange-online"))
    assert (verdict.category, verdict.cause, verdict.actor) == ("exchange-rejection", "dmarc-rejected", "dns-admin")


def test_limits_of_the_own_account_are_nobodys_rejection() -> None:
    text = "550 5.4.5 Daily user sending limit exceeded."
    verdict = _judge(_failure(text, platform="google"), notice="gmail-sending-limit", reported_by="gmail")
    assert (verdict.category, verdict.cause, verdict.side) == ("gmail-refused", "sending-limit-reached", "own")


def test_our_outgoing_filter_cannot_be_imitated_by_a_server() -> None:
    """Gmail's own refusal has no reply code; what another server says always has one."""
    own = "Message rejected. For more information, go to https://support.google.com/mail/answer/69585"
    facts = {"notice": "gmail-message-blocked", "reported_by": "gmail"}
    assert _judge(_failure(own), **facts).cause == "gmail-outbound-blocked"
    imitated = _judge(_failure(f"550 5.7.1 {own}", remote_host="mx.client.example"), **facts)
    assert imitated.side == "remote"


@pytest.mark.parametrize("kind", ["failed", "delayed", "feedback"])
def test_a_forged_mail_is_unverified_whatever_it_says(kind: FailureKind) -> None:
    verdict = _judge(_failure("535 Authentication Credentials Invalid", kind=kind, at_relay=True), genuine="fail")
    assert verdict.category == "unverified"
    assert verdict.genuine == "fail"


def test_without_evidence_of_authenticity_the_category_stays() -> None:
    verdict = _judge(_failure("550 5.1.1 User unknown"), genuine="unknown")
    assert (verdict.category, verdict.genuine) == ("remote-rejection", "unknown")


# Permanence


@pytest.mark.parametrize(
    ("failure", "permanent"),
    [
        (_failure("550 5.1.1 User unknown"), True),  # the cause is permanent
        (_failure("550 5.7.1 Greylisted, try again later"), False),  # the cause is temporary
        (_failure("550 no words we know"), True),  # the cause depends: the code decides
        (_failure("450 no words we know"), False),
        (_failure("no words we know", status="4.0.0"), False),
        (_failure("550 no words we know", status="4.0.0"), True),  # Gmail writes 4.0.0 on final failures
        (_failure("no words we know"), None),
        (_failure("no words we know", status="2.0.0"), None),
        (_failure("550 5.1.1 User unknown", kind="delayed"), False),
        (_failure(kind="delayed"), False),
        (_failure("250 OK", kind="delivered"), None),
        (_failure("535 Authentication Credentials Invalid", at_relay=True), True),
        (_failure("421 4.7.1 [TS03] All messages from 192.0.2.10 will be permanently deferred"), True),  # by its row
    ],
)
def test_permanent(failure: Failure, permanent: bool | None) -> None:
    assert _judge(failure).permanent is permanent


@pytest.mark.parametrize("text", ["550", "554 ", "550 5.0.0", "571 no"])
def test_a_bare_refusal_is_only_that(text: str) -> None:
    verdict = _judge(_failure(text))
    assert (verdict.cause, verdict.side) == ("unknown", "unknown")


# Reasons


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (_failure("550 5.1.1 User unknown"), "userunknown"),
        # A server that took the address at RCPT and refuses it at DATA has a filter.
        (_failure("550 no such user", command="DATA"), "filtered"),
        # Not where nothing shows DATA: the words are about the user, and nothing says that a filter read the mail.
        (_failure("550 no such user"), "userunknown"),
        (_failure("550 5.2.1 no such user"), "userunknown"),
        (_failure("550 no such user", command="RCPT"), "userunknown"),
        (_failure("550 no such user", prose=">>> RCPT TO:<pat@client.example> <<< 550 no such user"), "userunknown"),
        (_failure("550 5.1.1 no such user", command="DATA"), "userunknown"),
        (_failure("no words we know"), "onhold"),
        (_failure(), "undefined"),
        (_failure(kind="delivered"), "delivered"),
        (_failure(kind="feedback"), "feedback"),
        (_failure("552 5.2.2 Mailbox full"), "mailboxfull"),
        (_failure("550 5.4.1 Recipient address rejected: Access denied."), "userunknown"),
        (_failure("550 5.7.505 Access denied, banned recipient"), "userunknown"),
        # A row's own word, of the family of the cause's.
        (_failure("450 4.7.1 You write too often"), "speeding"),
        (_failure("421 4.3.2 Too many connections"), "toomanyconn"),
        (_failure("x", command="LOCAL"), "mailererror"),
        (_failure("554 no", command="EHLO"), "blocked"),
        (_failure("554 no", command="RCPT"), "onhold"),
    ],
)
def test_reason(failure: Failure, reason: str) -> None:
    assert _judge(failure).reason == reason


# Which words are read


def test_the_innermost_reply_is_trusted_most() -> None:
    failure = _failure("550 5.1.1 User unknown", inner="552 5.2.2 Mailbox full", prose="virus detected")
    assert _judge(failure).cause == "mailbox-full"
    assert _judge(failure._replace(inner=None)).cause == "recipient-unknown"
    assert _judge(failure._replace(inner=None, diagnostic=None)).cause == "recipient-unknown", "5.1.1 says it"
    assert _judge(failure._replace(inner=None, diagnostic=None, status="5.0.0")).cause == "virus-detected"


def test_a_telling_code_counts_before_the_words_of_the_reporter() -> None:
    verdict = _judge(_failure("550 5.1.1", prose="The mailbox is full"))
    assert (verdict.cause, verdict.evidence) == ("recipient-unknown", "5.1.1")
    assert _judge(_failure("550 5.0.0", prose="The mailbox is full")).cause == "mailbox-full"


def test_evidence_is_quoted_as_it_was_written() -> None:
    verdict = _judge(_failure("550 5.1.1 <Pat@Client.example>:  USER Unknown in  virtual table"))
    assert verdict.evidence is not None
    assert verdict.evidence.startswith("USER Unknown")
    assert verdict.rule is not None


def test_each_recipient_is_judged() -> None:
    failures = (
        _failure("550 5.1.1 User unknown", recipient="a@client.example"),
        _failure("552 5.2.2 Mailbox full", recipient="b@client.example"),
        _failure("250 2.0.0 OK", recipient="c@client.example", kind="delivered"),
        _failure("535 Authentication Credentials Invalid", recipient="d@client.example", at_relay=True),
    )
    verdicts = classify(_bounce(*failures), "a.eml")
    assert [(v.recipient, v.cause) for v in verdicts] == [
        ("a@client.example", "recipient-unknown"),
        ("b@client.example", "mailbox-full"),
        ("c@client.example", None),
        ("d@client.example", "alias-credentials-rejected"),
    ]
    assert {v.source for v in verdicts} == {"a.eml"}


def test_a_complaint() -> None:
    verdict = _judge(_failure("abuse", kind="feedback"))
    assert (verdict.kind, verdict.cause, verdict.reason) == ("feedback", "complaint", "feedback")
    assert verdict.rule is None
    assert verdict.fix


def test_a_delivery_needs_no_fix() -> None:
    record = _judge(_failure("250 2.0.0 OK", kind="delivered")).as_dict()
    assert {key: record[key] for key in ("cause", "side", "actor", "permanent", "rule", "evidence")} == dict.fromkeys(
        ("cause", "side", "actor", "permanent", "rule", "evidence")
    )
    assert (record["fix"], record["links"]) == ([], [])


def test_a_delay_has_not_expired() -> None:
    """ "Tried for days" would be wrong while the server is still trying; a real obstacle is named nevertheless."""
    waiting = _failure("The server will keep trying to deliver this message for 1 day.", kind="delayed", status="4.4.7")
    assert (_judge(waiting).cause, _judge(waiting).reason) == ("delivery-delayed", "expired")
    assert _judge(_failure(kind="delayed", status="4.4.7")).cause == "delivery-delayed"
    assert _judge(_failure(status="4.4.7")).cause == "delivery-expired"
    refused = _failure("Connection refused by mx.client.example. Will keep trying until message is 5 days old")
    assert _judge(refused._replace(kind="delayed")).cause == "connection-failed"


def test_qmail_gives_up_on_every_failure() -> None:
    """Its "Giving up on" ends each refusal, and says nothing about time."""
    text = "192.0.2.25 failed after I sent the message. Remote host said: 550 5.7.1 denied by policy. Giving up on it."
    assert _judge(_failure(text)).cause == "policy-rejected"


def test_the_last_verdict_tells_of_those_left_out() -> None:
    two = _bounce(_failure())._replace(failures=(_failure(), _failure()), left_out=3)
    first, last = classify(two, "x")
    assert (first.why, last.why) == (None, "left out: at least 3 more recipients that the mail names")


def test_a_mail_is_refused_where_the_domain_is() -> None:
    assert place_of({}, IncidentKey("remote", ("client.example", "spf-failed"))) == "client.example"
