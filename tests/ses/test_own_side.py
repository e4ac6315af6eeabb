"""What broke an alias: each conclusion from the facts that lead to it, and none from facts that do not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from parsers.ses_hosts import ses_region_of_host
from remediation.aws.client import NotLookedUp
from remediation.aws.iam import AccessKey, KeyChange, LastUse
from remediation.aws.secrets import SecretVersion
from triage.ses.own_side import (
    AliasSetup,
    Known,
    LoginTried,
    alias_words,
    breaking_change,
    conclude,
    key_words,
)

ROTATED = datetime(2026, 5, 12, 14, 2, tzinfo=UTC)
FAILED = datetime(2026, 5, 12, 16, 40, tzinfo=UTC)
OLD, NEW = "AKIAIOSFODNN7EXAM17Q", "AKIAIOSFODNN7EXAMNEW"
AWAY = NotLookedUp("x", "this AWS identity may not call iam:ListAccessKeys", "denied")

LOST = [KeyChange(OLD, "made inactive", ROTATED, None)]
OLD_ACTIVE = AccessKey(
    OLD, True, ROTATED - timedelta(days=400), LastUse(ROTATED - timedelta(hours=1), "ses", "us-east-1")
)
REJECTED = Known("alias-credentials-rejected", FAILED)
OLD_INACTIVE = replace(OLD_ACTIVE, active=False)
NEW_ACTIVE = AccessKey(NEW, True, ROTATED, LastUse(None))
LATER_ACTIVE = replace(NEW_ACTIVE, created_at=FAILED + timedelta(hours=1))
IN_USE = replace(REJECTED, changes=LOST, keys=[OLD_INACTIVE, NEW_ACTIVE])
STALE = replace(OLD_INACTIVE, last_use=LastUse(ROTATED - timedelta(days=9), "ses"))
OTHER_ACTIVE = replace(
    NEW_ACTIVE, created_at=ROTATED - timedelta(days=90), last_use=LastUse(ROTATED - timedelta(days=2), "ses")
)
SECRET = SecretVersion("v2", ("AWSCURRENT",), ROTATED)


def test_the_words_of_the_story() -> None:
    piece = conclude(IN_USE)
    assert piece.result == "proven"
    assert piece.detail == "key AKIA…7Q was made inactive on 12 May 14:02 UTC; first failure 12 May 16:40 UTC"


@pytest.mark.parametrize(
    ("known", "result", "words"),
    [
        (IN_USE, "proven", "made inactive"),
        # Whether the lost key was in use is not known, or is known to be otherwise.
        (replace(REJECTED, changes=LOST), "likely", "cannot be seen any more; what would decide it"),
        (replace(REJECTED, changes=[KeyChange(OLD, "deleted", ROTATED, None)]), "likely", "deleted"),
        (replace(IN_USE, keys=[replace(OLD_INACTIVE, last_use=LastUse(None)), NEW_ACTIVE]), "likely", "never used"),
        (replace(IN_USE, keys=[replace(OLD_INACTIVE, last_use=AWAY)]), "likely", "was not looked up"),
        (replace(IN_USE, keys=[replace(OLD_INACTIVE, last_use=LastUse(ROTATED, "s3"))]), "likely", "used for s3"),
        (replace(IN_USE, keys=[STALE, OTHER_ACTIVE]), "likely", "EW, which is active, was used after that one"),
        (replace(IN_USE, alias_key=NEW), "likely", "on record to use another key"),
        (replace(REJECTED, changes=LOST, alias_key=OLD), "proven", "made inactive"),
        (replace(REJECTED, changes=[KeyChange(OLD, "deleted", ROTATED, None)], alias_key=OLD), "proven", "deleted"),
        # The failures began before, or long after.
        (replace(IN_USE, failures=[ROTATED - timedelta(days=1), FAILED]), "likely", "failed already on 11 May"),
        (
            replace(IN_USE, failures=[ROTATED - timedelta(days=9)], accepted=[ROTATED - timedelta(days=5)]),
            "proven",
            "made inactive",
        ),
        (replace(IN_USE, first_failure_at=ROTATED + timedelta(days=40)), "likely", "began only 40 days later"),
        # Mail of the alias was taken in between, between two failures, or after the last.
        (replace(IN_USE, accepted=[ROTATED + timedelta(hours=1)]), "unknown", "refuted: the relay took mail"),
        (
            replace(IN_USE, accepted=[FAILED + timedelta(hours=1)], failures=[FAILED, FAILED + timedelta(hours=2)]),
            "unknown",
            "refuted: the relay took mail of the alias on 12 May 17:40 UTC",
        ),
        (
            replace(IN_USE, accepted=[FAILED + timedelta(days=1)]),
            "likely",
            "repaired by then, or this was not",
        ),
        (replace(IN_USE, accepted=[ROTATED - timedelta(hours=1)]), "proven", "made inactive"),
        (
            replace(REJECTED, changes=[KeyChange(OLD, "deleted", FAILED - timedelta(days=60), None)]),
            "likely",
            "deleted on 13 Mar",
        ),
        (replace(REJECTED, keys=[OLD_INACTIVE, NEW_ACTIVE]), "likely", "IAM does not say since when"),
        (replace(REJECTED, keys=[NEW_ACTIVE]), "likely", "key AKIA…EW is new since 12 May 14:02 UTC"),
        (replace(REJECTED, keys=[]), "likely", "no access key any more"),
        (replace(REJECTED, versions=[SECRET]), "likely", "the stored secret was changed on 12 May"),
        (replace(REJECTED, login=LoginTried(False, "535", FAILED)), "likely", "refuses the stored credentials too"),
        (replace(REJECTED, login=LoginTried(True, "235", FAILED)), "likely", "so Gmail holds others"),
        (replace(REJECTED, login=LoginTried(None, "421", FAILED), keys=[OLD_ACTIVE]), "unknown", "no change"),
        (replace(REJECTED, keys=[OLD_ACTIVE], changes=[], versions=[]), "unknown", "show no change shortly before"),
        (replace(REJECTED, keys=[OLD_ACTIVE, LATER_ACTIVE]), "unknown", "show no change"),
        (replace(REJECTED, keys=AWAY, changes=AWAY), "unknown", "may not call iam:ListAccessKeys"),
        (replace(REJECTED, keys=AWAY, versions=[SECRET]), "likely", "the stored secret"),
        (REJECTED, "unknown", "set `smtp_user`"),
        # SES took the mail: whatever Gmail said, the credentials were good at that moment.
        (replace(REJECTED, changes=LOST, ses_knows="Send 12 May 16:40 UTC"), "unknown", "SES did take this mail"),
        # A relay that cannot be reached says nothing about keys.
        (Known("alias-relay-unreachable", FAILED, changes=LOST), "unknown", "was not asked"),
        (
            Known("alias-relay-unreachable", FAILED, login=LoginTried(None, "it did not answer in time", FAILED)),
            "likely",
            "does not let us in either",
        ),
        (Known("alias-tls-failed", FAILED, login=LoginTried(True, "235", FAILED)), "unknown", "may have passed"),
    ],
)
def test_conclusions(known: Known, result: str, words: str) -> None:
    piece = conclude(known)
    assert piece.result == result, piece.detail
    assert words in str(piece.detail)
    assert piece.found is (result != "unknown")


def test_a_key_that_was_made_active_again_broke_nothing() -> None:
    again = [*LOST, KeyChange(OLD, "made active", ROTATED + timedelta(minutes=5), None)]
    assert breaking_change(again, FAILED) is None
    assert breaking_change(LOST, ROTATED - timedelta(seconds=1)) is None, "what came after the failure did not cause it"
    assert breaking_change(AWAY, FAILED) is None
    deleted = [*LOST, KeyChange(OLD, "deleted", ROTATED + timedelta(hours=1), None)]
    assert breaking_change(deleted, FAILED) == LOST[0], "it was out of use from the moment it was inactive"


def test_keys_in_words() -> None:
    words = key_words([OLD_INACTIVE, NEW_ACTIVE], FAILED)
    assert words.startswith(
        "AKIA…7Q inactive, created 7 Apr 2025 14:02 UTC, last used 12 May 13:02 UTC (ses us-east-1)"
    )
    assert "no use known to IAM, where a login alone may not count" in words
    assert OLD not in words
    assert "last use not looked up" in key_words([replace(OLD_ACTIVE, last_use=AWAY)], FAILED)


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("email-smtp.us-east-1.amazonaws.com", "us-east-1"),
        ("EMAIL-SMTP.eu-west-1.amazonaws.com", "eu-west-1"),
        ("email-smtp-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("email-smtp.us-east-1.amazonaws.com.evil.example", None),
        ("smtp.example.org", None),
        (None, None),
    ],
)
def test_the_region_of_a_relay(host: str | None, region: str | None) -> None:
    assert ses_region_of_host(host) == region


def test_an_alias_in_words_says_when_it_ends() -> None:
    alias = AliasSetup("admin@queenofsandiego.com", "email-smtp.us-east-1.amazonaws.com", 587, "starttls")
    words = alias_words(alias, FAILED)
    assert "email-smtp.us-east-1.amazonaws.com:587 (starttls), Amazon SES in us-east-1" in words
    assert words.endswith("ends in January 2027")
    assert alias_words(alias, datetime(2027, 2, 1, tzinfo=UTC)).endswith("has ended since January 2027")
    assert "through Gmail itself" in alias_words(replace(alias, host=None), FAILED)
    assert "not Amazon SES" in alias_words(replace(alias, host="smtp.example.org"), FAILED)
