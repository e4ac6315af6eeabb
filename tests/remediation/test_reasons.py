"""The words of `reason`: a reason follows from the cause, and a rule may only say the same thing more exactly."""

from __future__ import annotations

import pytest

from remediation import FAMILIES, REASONS, is_finer, load_causes
from triage.judging.rules import RuleError, load_rules, read_rules

ROW = """
[[rule]]
id = "slow-down"
cause = "CAUSE"
reason = "REASON"
text = "slow down"
source = "RFC 3463"
examples = ["450 slow down"]
"""


def test_no_row_contradicts_its_cause() -> None:
    causes = load_causes()
    assert [
        (rule.file, rule.id, causes[rule.cause].reason, rule.reason)
        for rule in load_rules()
        if rule.reason is not None and not is_finer(rule.reason, causes[rule.cause].reason)
    ] == []


def test_a_row_says_a_reason_only_where_it_is_another_word() -> None:
    """But for those that a filter behind DATA would change: they know better."""
    causes = load_causes()
    same = [rule.id for rule in load_rules() if rule.reason == causes[rule.cause].reason]
    assert same == ["yahoo-no-account"]


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        ("reputation-low", "toomanyconn"),
        ("spam-rejected", "rejected"),
        ("spam-rejected", "virusdetected"),
        ("dns-failed", "notaccept"),
        ("rate-limited", "blocked"),
        ("mailbox-full", "userunknown"),
    ],
)
def test_a_row_with_a_word_of_another_family_is_refused(cause: str, reason: str) -> None:
    row = ROW.replace("CAUSE", cause).replace("REASON", reason)
    with pytest.raises(RuleError, match="of another family than"):
        read_rules({"a.toml": row})


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        ("rate-limited", "speeding"),
        ("message-too-large", "exceedlimit"),
        ("connection-failed", "expired"),
        ("ptr-missing", "blocked"),
        ("rate-limited", "toomanyconn"),
    ],
)
def test_a_finer_word_of_the_family_is_taken(cause: str, reason: str) -> None:
    assert read_rules({"a.toml": ROW.replace("CAUSE", cause).replace("REASON", reason)})[0].reason == reason


def test_families_hold_known_words_and_never_join_what_leads_elsewhere() -> None:
    assert {word for family in FAMILIES.values() for word in family} <= set(REASONS)
    apart = [
        "spamdetected",
        "userunknown",
        "mailboxfull",
        "rejected",
        "blocked",
        "toomanyconn",
        "systemerror",
        "suspend",
    ]
    assert [(a, b) for a in apart for b in apart if a != b and is_finer(a, b)] == []


def test_the_two_merged_words_of_the_later_vocabulary_are_those_of_its_release_notes() -> None:
    later = {word: reason.since_5_6 for word, reason in REASONS.items() if reason.since_5_6}
    assert later == {
        "toomanyconn": "ratelimited",
        "speeding": "ratelimited",
        "exceedlimit": "emailtoolarge",
        "mesgtoobig": "emailtoolarge",
    }
