"""Amazon SES in its own words: by mail without any host, and in events, each of its sub-types in words of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from parsers import parse
from parsers.facts import Authenticity, Bounce, Original
from parsers.readers import read_notification
from triage.judging.verdict import Verdict, classify

RECIPIENT = "pat@client.example"
NOT_ASKED = Authenticity("unknown", "made in a test")

# What SES says by mail where it asked nobody: no Remote-MTA, as a rule no reply code.
BY_MAIL = {
    "Amazon SES has suppressed sending to this address because it has a recent history of bouncing as an invalid"
    " address.": "ses-suppressed",
    "Amazon SES did not send the message to this address because it is on the suppression list for your"
    " account.": "ses-suppressed",
    "554 Message rejected: Sending suspended for this account.": "ses-sending-paused",
    "Sending paused for this account.": "ses-sending-paused",
    "The following identities failed the check in region US-EAST-1:"
    " admin@queenofsandiego.com": "ses-identity-not-verified",
    "554 Message rejected: Email address is not verified.": "ses-identity-not-verified",
    "454 Throttling failure: Maximum sending rate exceeded": "ses-rate-exceeded",
}


def _dsn(diagnostic: str, remote_mta: str = "", reporter: str = "a8-81.smtp-out.amazonses.com") -> bytes:
    remote = f"Remote-MTA: dns; {remote_mta}\n" if remote_mta else ""
    return (
        f"Return-Path: <>\nFrom: MAILER-DAEMON@{reporter.partition('.')[2]}\nTo: admin@queenofsandiego.com\n"
        "Subject: Delivery Status Notification (Failure)\nMIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n'
        "--b\nContent-Type: text/plain\n\nAn error occurred while trying to deliver the mail to the following"
        f" recipients:\n{RECIPIENT}\n\n--b\nContent-Type: message/delivery-status\n\n"
        f"Reporting-MTA: dns; {reporter}\n\nAction: failed\nFinal-Recipient: rfc822; {RECIPIENT}\n{remote}"
        f"Diagnostic-Code: smtp; {diagnostic}\nStatus: 5.1.1\n\n--b--\n"
    ).encode()


def _only(data: bytes) -> Verdict:
    (verdict,) = classify(parse(data), "test")
    return verdict


@pytest.mark.parametrize("words", BY_MAIL)
def test_ses_by_mail_is_ses(words: str) -> None:
    verdict = _only(_dsn(words))
    assert (verdict.cause, verdict.side, verdict.category) == (BY_MAIL[words], "own", "ses-refused")


@pytest.mark.parametrize("words", BY_MAIL)
def test_the_same_said_by_a_named_server_is_that_servers(words: str) -> None:
    for data in (_dsn(f"550 {words}", "mx.client.example"), _dsn(words, "mx.client.example", "mail.example.org")):
        verdict = _only(data)
        assert verdict.side != "own"
        assert not (verdict.cause or "").startswith("ses-")


def _judge(kind: str, detail: dict[str, Any], recipients: str) -> Verdict:
    event = {
        "notificationType": kind,
        kind.lower(): {**detail, recipients: [{"emailAddress": RECIPIENT}]},
        "mail": {"messageId": "0100019a9d2a4b3c-0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d-000000"},
    }
    reading = read_notification(json.loads(json.dumps(event)))
    assert reading is not None
    bounce = Bounce(reading.reader, reading.reported_by, reading.failures, Original(), NOT_ASKED)
    (verdict,) = classify(bounce, "test")
    return verdict


# https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html: every bounceType and bounceSubType.
BOUNCES = {
    "Undetermined/Undetermined": "unknown",
    "Permanent/General": "unknown",
    "Permanent/NoEmail": "unknown",
    "Permanent/Suppressed": "ses-suppressed",
    "Permanent/OnAccountSuppressionList": "ses-suppressed",
    "Permanent/OnTenantSuppressionList": "ses-suppressed-for-tenant",
    "Permanent/EmailValidationSuppressed": "ses-validation-failed",
    "Permanent/UnsubscribedRecipient": "ses-unsubscribed",
    "Transient/General": "unknown",
    "Transient/MailboxFull": "mailbox-full",
    "Transient/MessageTooLarge": "message-too-large",
    "Transient/CustomTimeoutExceeded": "delivery-expired",
    "Transient/ContentRejected": "content-rejected",
    "Transient/AttachmentRejected": "content-rejected",
    "Permanent/OfTomorrow": "unknown",
}


@pytest.mark.parametrize("kind", BOUNCES)
def test_every_bounce_type(kind: str) -> None:
    bounce_type, subtype = kind.split("/")
    verdict = _judge("Bounce", {"bounceType": bounce_type, "bounceSubType": subtype}, "bouncedRecipients")
    assert verdict.cause == BOUNCES[kind]
    if BOUNCES[kind] == "unknown":
        assert verdict.diagnostic == f"SES bounce {kind}", "SES's own word is all there is, so it is passed on"


@pytest.mark.parametrize("subtype", ["OnTenantSuppressionList", "EmailValidationSuppressed"])
def test_the_type_says_more_than_the_sentence(subtype: str) -> None:
    sentence = "Amazon SES did not send the message to this address because it is on the suppression list."
    event = {"bounceType": "Permanent", "bounceSubType": subtype, "reportingMTA": "dns; amazonses.com"}
    event["bouncedRecipients"] = [{"emailAddress": RECIPIENT, "diagnosticCode": sentence}]  # type: ignore[assignment]
    reading = read_notification({"notificationType": "Bounce", "bounce": event, "mail": {}})
    assert reading is not None
    bounce = Bounce(reading.reader, reading.reported_by, reading.failures, Original(), NOT_ASKED)
    assert classify(bounce, "test")[0].cause == BOUNCES[f"Permanent/{subtype}"]


@pytest.mark.parametrize(
    ("subtype", "cause"),
    [("OnAccountSuppressionList", "ses-suppressed"), ("OnTenantSuppressionList", "ses-suppressed-for-tenant")],
)
def test_a_complaint_about_a_mail_never_sent_is_none(subtype: str, cause: str) -> None:
    verdict = _judge("Complaint", {"complaintSubType": subtype}, "complainedRecipients")
    assert (verdict.kind, verdict.cause, verdict.side) == ("failed", cause, "own")
    assert "spam" not in " ".join(verdict.fix[:1]).lower()


# https://www.iana.org/assignments/marf-parameters
@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("abuse", "complaint"),
        ("fraud", "complaint-of-fraud"),
        ("virus", "virus-detected"),
        ("auth-failure", "authentication-report"),
        ("other", "feedback-other"),
        (None, "complaint"),
    ],
)
def test_every_feedback_type(kind: str | None, cause: str) -> None:
    verdict = _judge("Complaint", {"complaintFeedbackType": kind} if kind else {}, "complainedRecipients")
    assert (verdict.kind, verdict.cause) == ("feedback", cause)


def test_not_spam_is_no_complaint() -> None:
    verdict = _judge("Complaint", {"complaintFeedbackType": "not-spam"}, "complainedRecipients")
    assert (verdict.kind, verdict.cause, verdict.category) == ("delivered", None, None)


def test_a_relay_that_names_no_ses_is_not_ses() -> None:
    text = (
        "\n** Message not delivered **\n\nYou're sending this from a different address or alias using the"
        " 'Send mail as' feature.\n\nLearn more here: https://support.google.com/mail/?p=CustomFromDenied\n\n"
        "The response was:\n\n"
    )
    head = "From: mailer-daemon@googlemail.com\nTo: jadasailing@gmail.com\nX-Failed-Recipients: pat@client.example\n\n"
    generic = _only(f"{head}{text}454 4.7.0 Temporary authentication failure\n".encode())
    assert (generic.category, generic.cause) == ("smtp-credentials", "alias-relay-unreachable")
    of_ses = _only(f"{head}{text}454 Throttling failure: Maximum sending rate exceeded\n".encode())
    assert (of_ses.category, of_ses.cause) == ("ses-refused", "ses-rate-exceeded")
