"""Text that somebody copied out of a bounce: the same rules, and nothing said that a copy does not show."""

from __future__ import annotations

from pathlib import Path

import pytest

from parsers import Bounce, NotABounce, is_mail_source, parse, parse_pasted
from parsers.mime import open_mail
from triage import judge
from triage.judging.verdict import classify

BOUNCES = sorted((Path(__file__).parents[1] / "bounces").glob("*.eml"))
ALIAS_NOTICE = """** Message not delivered **

You're sending this from a different address or alias using the 'Send mail as' feature. The settings for your \
'Send mail as' account are misconfigured or out of date. Check those settings and try resending.

The response was:

554 5.7.1 too many messages from sender in last 60 minutes
"""


@pytest.mark.parametrize(
    ("text", "kind", "cause"),
    [
        ("550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found", "failed", "recipient-unknown"),
        ("SMTP error 550 5.7.1 Relaying denied", "failed", "relay-denied"),
        ("> 550 5.1.1 <pat@client.example>: User unknown", "failed", "recipient-unknown"),
        ("550-5.1.1 The account that you tried\n550 5.1.1 to reach does not exist", "failed", "recipient-unknown"),
        ("mailbox full", "failed", "mailbox-full"),
        ("5.7.26", "failed", "sender-unauthenticated"),
        ("421 4.7.0 Try again later", "delayed", "remote-system-error"),
        ("451 4.4.7 Message expired", "failed", "delivery-expired"),
        ("250 2.0.0 OK", "delivered", None),
        ("535 Authentication Credentials Invalid", "failed", "alias-credentials-rejected"),
        (ALIAS_NOTICE, "failed", "alias-relay-throttled"),
        ("Your message wasn't delivered to pat@client.example because the address couldn't be found, or is unable to"
         " receive mail.", "failed", "recipient-unknown"),
    ],
)  # fmt: skip
def test_what_people_paste(text: str, kind: str, cause: str | None) -> None:
    [verdict] = judge(text)
    assert (verdict.kind, verdict.cause) == (kind, cause)


@pytest.mark.parametrize(
    "text", ["", " \n", "hello world", "bounce.eml", "See you at 5.30 on the pier.", "Thanks!\n" * 400]
)
def test_what_is_no_bounce_is_none(text: str) -> None:
    [verdict] = judge(text)
    assert verdict.kind == "not-a-bounce"
    assert verdict.why


def test_a_recipient_is_named_only_where_the_text_names_one() -> None:
    assert judge("550 5.1.1 <pat@client.example>: User unknown")[0].recipient == "pat@client.example"
    assert judge("550 5.1.1 User unknown")[0].recipient is None
    assert judge("550 no pat@client.example here, ask kim@client.example")[0].recipient is None
    assert judge(ALIAS_NOTICE)[0].recipient is None


def test_an_identity_that_ses_does_not_let_send_is_no_recipient() -> None:
    [verdict] = judge(
        "554 Message rejected: Email address is not verified. The following identities failed the check in region"
        " US-EAST-1: admin@queenofsandiego.com"
    )
    assert verdict.recipient is None
    assert verdict.cause == "ses-identity-not-verified"


def test_who_spoke_is_what_the_person_says() -> None:
    text = "554 5.7.1 Relay access denied"
    assert judge(text)[0].cause == judge(text, said_by="recipient")[0].cause == "relay-denied"
    assert judge(text, said_by="relay")[0].cause == "alias-credentials-rejected"
    assert judge("535 5.7.8 bad login", said_by="recipient")[0].side != "own"


def test_a_copy_vouches_for_nothing() -> None:
    """Not even the source of a mail with a stamp of Gmail on it: whoever pastes may have typed it."""
    source = (Path(__file__).parents[1] / "bounces" / "gmail-alias-ses-535.eml").read_text(encoding="utf-8")
    genuine = parse(source.encode())
    assert isinstance(genuine, Bounce)
    assert genuine.genuine.result == "pass"
    assert is_mail_source(source)
    copy = parse_pasted(source)
    assert isinstance(copy, Bounce)
    assert copy.genuine.result == "unknown"
    assert not copy.genuine.by_gmail
    assert copy._replace(genuine=genuine.genuine) == genuine


def test_a_source_that_is_no_bounce_stays_none() -> None:
    head = "Received: from a\nMessage-ID: <1@example.com>\nFrom: kim@example.com\nSubject: 550 chairs\n"
    source = f"{head}\n550 5.1.1 chairs\n"
    assert isinstance(parse_pasted(source), NotABounce)


def test_replies_of_our_samples_lead_to_the_same_cause() -> None:
    """The others need what stands around them: a code of the report, the reporter's name, the host that spoke."""
    total, other = 0, []
    for path in BOUNCES:
        found = parse(path.read_bytes())
        if not isinstance(found, Bounce):
            continue
        for verdict, failure in zip(classify(found, path.stem), found.failures, strict=True):
            if failure.diagnostic and failure.kind in ("failed", "delayed"):
                total += 1
                got = classify(parse_pasted(failure.diagnostic, at_relay=failure.at_relay), path.stem)[0]
                if got.cause != verdict.cause:
                    other.append((path.stem, verdict.cause, got.cause))
    assert total > 300
    assert len(other) <= total * 0.06, other


def test_notices_of_our_samples_without_their_headers_lead_to_the_same_cause_or_to_none() -> None:
    """Where a notice's reason stands in its report alone, a copy of its text shows none; a wrong one is what counts."""
    total, wrong = 0, []
    for path in BOUNCES:
        raw = path.read_bytes()
        found = parse(raw)
        text = next((words for part in open_mail(raw).texts() if (words := part.text()).strip()), "")
        if isinstance(found, Bounce) and text.strip():
            total += 1
            wanted = {verdict.cause for verdict in classify(found, "x")}
            got = {verdict.cause for verdict in judge(text)} - {None, "unknown"}
            if not got <= wanted:
                wrong.append((path.stem, wanted, got))
    assert total > 300
    assert len(wrong) <= total * 0.05, wrong
