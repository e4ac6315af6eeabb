"""What `triage explain` says, from hand-made facts: every part is there, in order, harmless, and within the width."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from parsers.facts import Authenticity, Bounce, Failure, NotABounce, Original
from parsers.trail import Hop
from remediation import Cause, Step
from triage.config import Settings
from triage.owner.explain import explain_mail
from triage.owner.explain_lookup import explain_file

SENT_AT = datetime(2026, 11, 23, 14, 5, tzinfo=UTC)
BOUNCES = Path(__file__).parents[1] / "bounces"
HOSTILE = "\x1b]0;owned\x07\u202e"

CAUSES = {
    "alias-credentials-rejected": Cause(
        id="alias-credentials-rejected",
        title="The SMTP login was refused",
        meaning="The server behind the alias refused the stored password.",
        side="own",
        actor="mailbox-owner",
        permanence="permanent",
        reason="securityerror",
        category="smtp-credentials",
        steps=(Step("Enter the new password."),),
        links=(),
        decide="A 535 may also mean too many logins. Test: save the settings again.",
        notes=(),
    )
}
FOUND = Bounce(
    reader="gmail-notice",
    reported_by="gmail",
    failures=(Failure("failed", "pat@client.example", reply_code="535", diagnostic="535 no", at_relay=True),),
    original=Original(
        message_id="m1@mail.gmail.com",
        sent_at=SENT_AT,
        sender="admin@queenofsandiego.com",
        subject="Sunset charter",
        path="gmail-alias",
    ),
    genuine=Authenticity("pass", "signed by googlemail.com (DKIM pass)"),
    notice="gmail-alias",
    message_id="b1@mx.google.com",
    reported_at=SENT_AT,
    sender="mailer-daemon@googlemail.com",
    subject="Delivery Status Notification (Failure)",
)
RECORD: dict[str, Any] = {
    "source": "bounces/a.eml",
    "kind": "failed",
    "recipient": "pat@client.example",
    "original_recipient": None,
    "category": "smtp-credentials",
    "cause": "alias-credentials-rejected",
    "side": "own",
    "actor": "mailbox-owner",
    "permanent": True,
    "reason": "securityerror",
    "genuine": "pass",
    "rule": "relay-ses-credentials",
    "evidence": "535 no",
    "fix": ["Enter the new password.", "Send it again."],
    "links": ["https://support.google.com/mail/answer/22370"],
}
HOPS = [
    Hop(1, "laptop.example", "smtp.example", "ESMTPSA", SENT_AT, None),
    Hop(2, "smtp.example", "mx.example", "ESMTPS", SENT_AT + timedelta(seconds=2), 2.0),
    Hop(3, None, "store.example", None, SENT_AT - timedelta(seconds=5), -7.0),
]


def test_an_alias_notice_shows_everything_in_order() -> None:
    lines = explain_mail(FOUND, [RECORD], HOPS, CAUSES, width=100)
    assert lines == [
        "bounces/a.eml: a report about 1 recipient: 1 not delivered",
        "",
        "What happened",
        "  The SMTP login was refused (alias-credentials-rejected)",
        "  The server behind the alias refused the stored password.",
        "  Recipient    pat@client.example",
        "  Category     smtp-credentials",
        "  Side         yours: it was stopped before the recipient's server was asked (own)",
        "  Next move    you, the owner of the mailbox",
        "  For good     yes, it is not tried again",
        "",
        "What to do",
        "  1. Enter the new password.",
        "  2. Send it again.",
        "  More: https://support.google.com/mail/answer/22370",
        "",
        "Why we say so",
        "  Rule         relay-ses-credentials",
        '  Evidence     "535 no"',
        "  Reason       securityerror",
        "  Not certain: A 535 may also mean too many logins. Test: save the settings again.",
        "",
        "The bounce",
        "  Written by   gmail",
        "  Format       gmail-notice, notice gmail-alias",
        "  From         mailer-daemon@googlemail.com",
        "  Subject      Delivery Status Notification (Failure)",
        "  Date         Mon 23 Nov 2026 14:05 UTC",
        "  Message-ID   b1@mx.google.com",
        "  Genuine      pass: signed by googlemail.com (DKIM pass)",
        "",
        "What it reports about pat@client.example",
        "  Outcome      failed",
        "  Status       not known",
        "  Reply code   535",
        "  Refused by   not known",
        "  Platform     the relay behind the alias",
        "  Its words    535 no",
        "",
        "The mail that came back",
        "  From         admin@queenofsandiego.com",
        "  Subject      Sunset charter",
        "  Sent         Mon 23 Nov 2026 14:05 UTC",
        '  Left through the relay behind a Gmail "Send mail as" alias',
        "  Message-ID   m1@mail.gmail.com",
        "  Gmail's id   not known",
        "  SES id       none: it was stopped before any relay took it, so there is no such id",
        "",
        "The way that mail took",
        "  1. laptop.example -> smtp.example with ESMTPSA at Mon 23 Nov 2026 14:05 UTC",
        "  2. smtp.example -> mx.example with ESMTPS at Mon 23 Nov 2026 14:05 UTC, 2 s later",
        "  3. unknown -> store.example at Mon 23 Nov 2026 14:04 UTC, before the hop above it (clocks differ)",
    ]


@pytest.mark.parametrize(
    ("others", "words"),
    [
        (1, "a1 (unknown)"),
        (3, "a1 (unknown), a2 (unknown), a3 (unknown)"),
        (5, "a1 (unknown), a2 (unknown), a3 (unknown), +2 more"),
    ],
)
def test_rules_that_fit_as_well_are_named_and_counted(others: int, words: str) -> None:
    also = {("pat@client.example", "relay-ses-credentials"): [(f"a{n + 1}", "unknown") for n in range(others)]}
    assert f"  Also matched {words}" in explain_mail(FOUND, [RECORD], [], CAUSES, also=also)
    moved_since = [RECORD | {"rule": "another"}]
    assert "Also matched" not in "\n".join(explain_mail(FOUND, moved_since, [], CAUSES, also=also))


def test_the_ses_id_is_shown_with_where_it_was_found() -> None:
    original = Original(ses_message_id="0100-000000", ses_region="us-east-1", ses_id_source="returned Message-ID")
    remote = RECORD | {"category": "exchange-rejection"}
    text = "\n".join(explain_mail(FOUND._replace(original=original), [remote], [], CAUSES))
    assert "SES id       0100-000000 (us-east-1; found in: returned Message-ID)" in text
    assert "No Received headers came back with it." in text


def test_a_missing_ses_id_is_no_finding_where_the_mail_did_leave() -> None:
    remote = RECORD | {"category": "remote-rejection"}
    assert "  SES id       not known" in explain_mail(FOUND, [remote], [], CAUSES)


def test_a_newsletter_says_why_it_is_no_bounce() -> None:
    found = NotABounce("not-a-bounce", "a newsletter: it has a List-Unsubscribe header", sender="news@shop.example")
    record = dict.fromkeys(RECORD) | {
        "source": "a.eml",
        "kind": "not-a-bounce",
        "why": found.why,
        "fix": [],
        "links": [],
    }
    lines = explain_mail(found, [record], [], CAUSES)
    assert lines[0] == "a.eml: no bounce"
    assert "  A newsletter: it has a List-Unsubscribe header." in lines
    assert "  From         news@shop.example" in lines
    assert "Next move" not in "\n".join(lines)


def test_several_recipients_are_told_apart() -> None:
    other = RECORD | {"recipient": "sam@client.example", "kind": "delayed", "permanent": False}
    found = FOUND._replace(failures=(*FOUND.failures, Failure("delayed", "sam@client.example", status="4.2.2")))
    lines = explain_mail(found, [RECORD, other], [], CAUSES)
    assert lines[0].endswith("a report about 2 recipients: 1 not delivered, 1 delayed")
    assert lines.index("  Recipient    pat@client.example") < lines.index("  Recipient    sam@client.example")
    assert "What it reports about sam@client.example" in lines
    assert "  For good     no, it may still arrive" in lines


def test_a_mail_of_the_database_shows_what_became_of_it() -> None:
    stored = {
        "source": "gmail:18c",
        "received_at": "2026-11-23T14:06:00Z",
        "seen_at": "2026-11-23T14:15:00Z",
        "state": "kept",
        "error": "KeyError: 'x'",
        "gmail_id": "18c",
        "thread_id": None,
    }
    lines = explain_mail(None, [], [], CAUSES, stored=stored)
    assert lines[0] == "gmail:18c: not judged yet"
    assert "  State        could not be read, and is kept for study" in lines
    assert "  Error        KeyError: 'x'" in lines
    assert not any(line.startswith("  Thread") for line in lines)
    assert "  Its bytes are not in the database, so its facts cannot be shown." in lines


@pytest.mark.parametrize("width", [60, 80, 100])
def test_hostile_text_stays_harmless_and_within_the_width(width: int) -> None:
    words = " ".join([HOSTILE + "word"] * 200)
    bad = Failure("failed", words, status=words, diagnostic=words, inner=words, prose=words, remote_host=words)
    found = FOUND._replace(failures=(bad,), subject=words, original=Original(subject=words, message_id=words))
    record = RECORD | {"recipient": words, "evidence": words, "fix": [words], "source": words, "links": [words]}
    hops = [Hop(1, words, words, words, None, None)]
    lines = explain_mail(found, [record], hops, CAUSES, width=width)
    assert all(line.isprintable() for line in lines)
    assert sum(map(len, lines)) < 30_000
    indented = [line for line in lines if line.startswith("  ") and "More:" not in line]
    assert all(len(line) <= width for line in indented)


def test_a_second_reader_that_differs_is_quoted_and_decides_nothing() -> None:
    doubts = [
        f"it takes {HOSTILE}{number}@x.example for failed, and we do not name that address" for number in range(7)
    ]
    plain = explain_mail(FOUND, [RECORD], HOPS, CAUSES)
    lines = explain_mail(FOUND, [RECORD], HOPS, CAUSES, doubts=doubts)
    assert lines[: len(plain)] == plain
    assert lines[len(plain) : len(plain) + 2] == ["", "A second opinion"]
    told = [line for line in lines[len(plain) :] if line.startswith("  - ")]
    assert len(told) == 6
    assert told[-1] == "  - and 2 more"
    assert all(line.isprintable() for line in lines)


def test_only_a_difference_is_worth_a_line(plain: Settings) -> None:
    said = explain_file(str(BOUNCES / "gmail-alias-ses-535.eml"), BytesIO(), plain, 100)
    assert "A second opinion" not in said
    said = explain_file(str(BOUNCES / "exchange-online-html-only.eml"), BytesIO(), plain, 100)
    assert said[-2:] == [
        "  flufl.bounce, another reader of bounces, differs (this decides nothing):",
        "  - it does not find bruno@meridian-travel.example, failed for us",
    ]


def test_a_verdict_of_an_unknown_cause_can_be_shown() -> None:
    lines = explain_mail(FOUND, [RECORD | {"cause": "cause-of-a-later-version", "links": []}], [], CAUSES)
    assert "  A cause this version does not know (cause-of-a-later-version)" in lines


def test_a_forged_bounce_is_no_call_to_act() -> None:
    forged = RECORD | {"category": "unverified", "genuine": "fail", "fix": ["Do nothing."]}
    lines = explain_mail(FOUND, [forged], [], CAUSES)
    assert lines[3].startswith("  This mail is not what it claims to be")
    assert lines[4] == "  It claims: The SMTP login was refused (alias-credentials-rejected)"
    assert not any(line.startswith(("  Next move", "  More:", "  Not certain")) for line in lines)
