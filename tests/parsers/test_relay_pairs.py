"""The owner's own mail server reports its relay, and beside it the recipient's MX with the very same words.

Nothing said by a relay of ours is blamed on a recipient, and nothing said by a recipient's server on us: what was said
never decides who spoke. Every program, every way of failing, many relays; each case twice, own and remote.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from parsers import parse
from parsers.words.submission_hosts import SERVICES
from tests.parsers.relay_pairs import MX, PROGRAMS, RECIPIENT, SENDER, Program, Said, exim, in_words, opensmtpd, postfix
from triage.judging.verdict import classify

NOT_VERIFIED = (
    "554 Message rejected: Email address is not verified. The following identities failed the check in region"
    f" US-EAST-1: {SENDER}"
)
# What a relay says to a mail server, at which command, and the cause it proves. Each is also said by MXs.
ANSWERS: dict[Said, str] = {
    Said("535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6", "AUTH"): "alias-credentials-rejected",
    Said("535 Authentication failed: Bad username / password", "AUTH"): "alias-credentials-rejected",
    Said("535 5.7.3 Authentication unsuccessful", "AUTH"): "alias-credentials-rejected",
    Said("534 5.7.9 Application-specific password required.", "AUTH"): "alias-app-password-required",
    Said("538 5.7.11 Encryption required for requested authentication mechanism", "AUTH"): "alias-tls-failed",
    Said("530 Authentication required", "MAIL"): "alias-credentials-rejected",
    Said("530 5.7.57 Client not authenticated to send mail.", "MAIL"): "alias-credentials-rejected",
    Said("530 5.7.0 Must issue a STARTTLS command first", "MAIL"): "alias-tls-failed",
    Said(f"553 5.7.1 <{SENDER}>: Sender address rejected: not owned by user jada@example.com", "MAIL"): (
        "alias-sender-not-allowed"
    ),
    Said("550 The from address does not match a verified Sender Identity.", "END"): "alias-sender-not-allowed",
    Said("550 5.7.60 SMTP; Client does not have permissions to send as this sender", "END"): "alias-sender-not-allowed",
    Said("550 5.7.1 Sending suspended: your account is under review", "MAIL"): "alias-relay-blocked",
    Said("535 5.7.0 Too many authentication failures", "AUTH"): "alias-relay-blocked",
    Said("550 5.4.5 Daily user sending limit exceeded", "END"): "alias-relay-throttled",
    Said("451 4.7.1 Rate limit: too many messages per hour", "MAIL"): "alias-relay-throttled",
    Said(f"554 5.7.1 <{RECIPIENT}>: Relay access denied", "RCPT"): "alias-credentials-rejected",
    Said("550 5.7.64 TenantAttribution; Relay Access Denied", "RCPT"): "alias-credentials-rejected",
    Said("550 5.2.1 Not sending to previously bounced email", "RCPT"): "alias-recipient-suppressed",
    Said("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.", "AUTH"): (
        "alias-smtp-auth-disabled"
    ),
    Said("454 4.7.0 Temporary authentication failure: Connection lost to authentication server", "AUTH"): (
        "alias-relay-unreachable"
    ),
    Said(NOT_VERIFIED, "END"): "ses-identity-not-verified",
    Said("554 Message rejected: Sending paused for this account.", "END"): "ses-sending-paused",
}

RELAYS = (
    *("email-smtp.us-east-1.amazonaws.com", "smtp.sendgrid.net", "smtp.office365.com", "smtp.gmail.com"),
    *("smtp-relay.gmail.com", "smtp.postmarkapp.com", "smtp.mailgun.org", "smtp-relay.brevo.com"),
    *("smtp.fastmail.com", "smtp.zoho.com", "smtp.migadu.com", "smtp.mail.me.com", "smtp.mail.yahoo.com"),
    *("mail.gmx.net", "in-v3.mailjet.com", "smtp.sparkpostmail.com", "smtp.mandrillapp.com", "mail.smtp2go.com"),
    *("smtp.elasticemail.com", "smtpout.secureserver.net"),
)
# The recipient's server: of its own, of the vendors whose relays stand above, and the domain itself without any MX.
SERVERS = (
    *(MX, "client.example", "aspmx.l.google.com", "client-example.mail.protection.outlook.com", "mx.zoho.com"),
    *("in1-smtp.messagingengine.com", "mx01.mail.icloud.com", "mta5.am0.yahoodns.net", "mx00.gmx.net"),
    *("mxa.mailgun.org", "inbound.postmarkapp.com", "mx.sendgrid.net", "aspmx1.migadu.com", "smtp.secureserver.net"),
    *("inbound-smtp.us-east-1.amazonaws.com", "smtp.client.example", "203.0.113.25"),
)

# Every program with every answer; the hosts go round, so that each is used with each program.
CASES = [
    (program, said, RELAYS[n % len(RELAYS)], SERVERS[n % len(SERVERS)])
    for n, (program, said) in enumerate(itertools.product(PROGRAMS, ANSWERS))
]
# What a mail server says of its relay itself, though no host is named that is known: "%s" is any host.
LOGIN_WORDS = {
    "SASL authentication failed; server %s[192.0.2.7] said: 535 5.7.8 authentication failed": "postfix",
    "SASL authentication failed; server %s[192.0.2.7] said: 550 No such user here": "postfix",
    "SASL authentication failed; cannot authenticate to server %s[192.0.2.7]: no mechanism available": "postfix",
    "connect to %s[192.0.2.7]:587: Connection refused": "postfix",
    "connect to %s[192.0.2.7]:465: Connection timed out": "postfix",
    "R=smarthost T=remote_smtp_smarthost: authentication required but server did not advertise AUTH support": "exim",
    "authentication required but authentication attempt(s) failed": "exim",
    "authentication required but no common mechanisms were found": "exim",
    "SMTP login to %s failed": "dma",
}
OPENSMTPD_WORDS = (
    *("AUTH rejected: 535 5.7.8 Error: authentication failed", "AUTH not advertised", "no supported AUTH method"),
    *("Refuse to AUTH over unsecure channel", "AUTH rejected: 550 5.1.1 User unknown"),
)
# The same without a login: words about a connection to the recipient's server.
CONNECTION_WORDS = {
    "connect to %s[192.0.2.7]:25: Connection refused": "postfix",
    "connect to %s[192.0.2.7]:25: Connection timed out": "postfix",
    "TLS is required, but was not offered by host %s[192.0.2.7]": "postfix",
    "Server certificate not trusted": "postfix",
    "host %s[192.0.2.7] said: 550 SASL authentication failed; server x said: 535 no": "postfix",
    "host %s[192.0.2.7] said: 550 5.7.1 see smtp.example.net:587 (in reply to MAIL FROM command)": "postfix",
    "%s [192.0.2.7] did not like our MAIL FROM:\n530 Authentication required": "dma",
}


def _only(data: bytes) -> dict[str, Any]:
    (verdict,) = classify(parse(data), "test")
    return verdict.as_dict()


def _is_own(record: dict[str, Any]) -> bool:
    return record["side"] == "own" and record["category"] in ("smtp-credentials", "ses-refused")


def _is_remote(record: dict[str, Any]) -> bool:
    return record["side"] != "own" and not record["cause"].startswith(("alias-", "ses-"))


def test_the_table_is_long_enough() -> None:
    assert len(CASES) >= 190
    assert len({host for service in SERVICES for host in service.hosts}) >= 100


@pytest.mark.parametrize(
    ("program", "said", "relay", "server"), CASES, ids=[f"{c[0].__name__}-{c[2]}-{c[1].reply[:30]}" for c in CASES]
)
def test_the_same_words_of_relay_and_mx(program: Program, said: Said, relay: str, server: str) -> None:
    own = _only(program(relay, said))
    assert _is_own(own), own
    assert own["actor"] not in ("recipient", "recipient-admin")
    assert own["cause"] == ANSWERS[said]
    # Nobody logs in at an MX: it says the same to MAIL.
    remote = _only(program(server, said._replace(command="MAIL") if said.command == "AUTH" else said))
    assert _is_remote(remote), remote
    assert own["recipient"] == remote["recipient"] == RECIPIENT


@pytest.mark.parametrize("words", LOGIN_WORDS)
@pytest.mark.parametrize("host", ["smtp.provider.example", "relay.isp.example"])
def test_a_login_of_its_own_proves_a_relay(words: str, host: str) -> None:
    data = in_words(words.replace("%s", host), kind=LOGIN_WORDS[words])
    assert _is_own(_only(data)), words


@pytest.mark.parametrize("words", OPENSMTPD_WORDS)
def test_opensmtpd_tells_of_its_login(words: str) -> None:
    assert _is_own(_only(opensmtpd(words)))
    assert _is_remote(_only(opensmtpd("530 5.7.1 Authentication required")))


@pytest.mark.parametrize("words", CONNECTION_WORDS)
def test_words_about_a_connection_prove_none(words: str) -> None:
    record = _only(in_words(words.replace("%s", MX), kind=CONNECTION_WORDS[words]))
    assert _is_remote(record), record


@pytest.mark.parametrize("relay", RELAYS)
@pytest.mark.parametrize(
    "words",
    ["connect to %s[192.0.2.7]:25: Connection refused", "TLS is required, but was not offered by host %s[1.2.3.4]"],
)
def test_a_relay_that_is_away_or_without_encryption(words: str, relay: str) -> None:
    record = _only(in_words(words.replace("%s", relay)))
    assert record["cause"] in ("alias-relay-unreachable", "alias-tls-failed")
    assert _is_own(record)


REFUSED = Said("535 5.7.8 Error: authentication failed", "AUTH")


@pytest.mark.parametrize("program", [postfix, exim])
def test_the_relay_of_the_recipients_server_is_not_ours(program: Program) -> None:
    """It took the mail, passes it on and cannot: by its host, or by the address it was written to."""
    relay = "email-smtp.eu-west-1.amazonaws.com"
    assert _is_remote(_only(program(relay, REFUSED, reporter="mail.client.example")))  # type: ignore[call-arg]
    assert _is_own(_only(program(relay, REFUSED, recipient="crew@queenofsandiego.com")))  # type: ignore[call-arg]


def test_a_mail_gmail_had_sent_is_past_our_relay() -> None:
    data = postfix("smtp.sendgrid.net", REFUSED)
    marked = data.replace(b"Message-ID: <final", b"X-Gm-Message-State: AOJu0Yx\nMessage-ID: <final")
    assert _is_own(_only(data))
    assert _is_remote(_only(marked))


def test_a_forwarded_mail_is_past_our_relay() -> None:
    data = postfix("smtp.sendgrid.net", REFUSED, recipient="pat@elsewhere.example")
    forwarded = data.replace(b"Action: failed", b"Original-Recipient: rfc822; pat@client.example\nAction: failed")
    ours = data.replace(b"Action: failed", b"Original-Recipient: rfc822; crew@queenofsandiego.com\nAction: failed")
    assert _is_own(_only(data))
    assert _is_own(_only(ours))
    assert _is_remote(_only(forwarded))


def test_a_connector_of_our_own_tenant() -> None:
    said = Said("550 5.7.64 TenantAttribution; Relay Access Denied", "RCPT")
    host = "queenofsandiego-com.mail.protection.outlook.com"
    assert _is_own(_only(postfix(host, said)))
    assert _is_remote(_only(postfix(host, said, recipient="crew@queenofsandiego.com")))
    assert _is_remote(_only(postfix("client-example.mail.protection.outlook.com", said)))


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_fix_speaks_to_the_operator_of_a_mail_server(program: Program) -> None:
    for said in ANSWERS:
        fix = " ".join(_only(program("smtp.sendgrid.net", said))["fix"])
        for words in ("Gmail", "Send mail as", "edit info", "alias"):
            assert words not in fix, fix
