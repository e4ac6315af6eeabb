"""Which rules would have fitted beside the one that decided: what `explain` and `make rule` tell of them."""

from __future__ import annotations

from typing import Any

import pytest

from parsers.facts import Authenticity, Bounce, Failure, Original
from triage.judging import also_matched, classify
from triage.judging.rules import load_rules

PAT = "pat@client.example"


def bounce(*failures: Failure) -> Bounce:
    return Bounce("prose", None, failures, Original(), Authenticity("unknown", "a local file"))


def failed(diagnostic: str | None, **facts: Any) -> Failure:
    return Failure("failed", PAT, diagnostic=diagnostic, **facts)


def test_the_rows_below_the_winner_in_the_order_of_the_table() -> None:
    found = bounce(failed("550 5.4.1 Recipient address rejected: Access denied", status="5.4.1"))
    (verdict,) = classify(found, "a")
    assert verdict.rule == "exchange-dbeb"
    ((key, others),) = also_matched(found).items()
    assert key == (PAT, "exchange-dbeb")
    assert ("access-denied-to-recipient", "policy-rejected") in others
    order = [rule.id for rule in load_rules()]
    places = [order.index(name) for name in ("exchange-dbeb", *(name for name, _ in others))]
    assert places == sorted(set(places)), "below the winner, in order, each once"


def test_only_the_words_that_decided_count() -> None:
    """What the reporter writes around a reply was not read, so nothing in it fits as well."""
    prose = "The mailbox is full. No such user. Spam!"
    refusal = "550 5.4.1 Recipient address rejected: Access denied"
    alone = also_matched(bounce(failed(refusal, status="5.4.1")))
    assert also_matched(bounce(failed(refusal, status="5.4.1", prose=prose))) == alone
    ((_, others),) = also_matched(bounce(failed(None, prose=prose))).items()
    assert ("spam-anything", "spam-rejected") in others


def test_each_recipient_has_its_own() -> None:
    other = Failure("failed", "sam@client.example", diagnostic="552 mailbox full")
    found = also_matched(bounce(failed("550 user unknown"), other))
    assert {recipient for recipient, _ in found} == {PAT, "sam@client.example"}


@pytest.mark.parametrize(
    "failure",
    [Failure("delivered", PAT), Failure("feedback", PAT)],
    ids=lambda failure: failure.kind,
)
def test_what_no_rule_decided_matches_none(failure: Failure) -> None:
    assert also_matched(bounce(failure)) == {}


def test_a_code_has_no_words_to_match() -> None:
    assert also_matched(bounce(failed(None, status="5.1.1"))) == {(PAT, "code-bad-mailbox"): []}


def test_a_relay_is_told_of_rows_for_relays_only() -> None:
    found = bounce(failed("535 Authentication Credentials Invalid: authentication failed", at_relay=True))
    ((key, others),) = also_matched(found).items()
    assert key == (PAT, "relay-ses-credentials")
    relay = {rule.id for rule in load_rules() if rule.relay}
    assert others
    assert {name for name, _ in others} <= relay
