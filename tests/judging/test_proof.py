"""What proves that a verdict is about a mail of ours: every row of the written table, and everything beside it."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from triage.judging.proof import Notice, is_acted_on, may_be_proven, proof_of

GMAIL = Notice(by_gmail=True, by_ses=False, is_direct=True)
SES = Notice(by_gmail=False, by_ses=True, is_direct=True)
SOMEBODY = Notice(by_gmail=False, by_ses=False, is_direct=True)
ATTACHED = Notice(by_gmail=False, by_ses=False, is_direct=False)

ALIAS = {"kind": "failed", "category": "smtp-credentials", "side": "own", "genuine": "pass"}
OWN_SES = {"kind": "failed", "category": "ses-refused", "side": "own", "genuine": "pass"}
LIMIT = {"kind": "failed", "category": "gmail-refused", "side": "own", "genuine": "pass"}
REMOTE = {"kind": "failed", "category": "remote-rejection", "side": "remote", "genuine": "pass"}
UNSIGNED = REMOTE | {"genuine": "unknown"}
FORGED = REMOTE | {"genuine": "fail", "category": "unverified"}
DELIVERED = {"kind": "delivered", "category": None, "side": None, "genuine": "pass"}


@pytest.mark.parametrize(
    ("record", "notice", "in_sent", "is_alias", "proof"),
    [
        (ALIAS, GMAIL, True, True, "alias"),
        (ALIAS, GMAIL, True, False, None),  # an address that this account does not send from
        (ALIAS, GMAIL, False, True, None),  # a mail nobody sent
        (ALIAS, SOMEBODY, True, True, None),  # the text of the notice, typed in by anybody with a signature
        (ALIAS, SES, True, True, None),
        (ALIAS, ATTACHED, True, True, None),
        (ALIAS | {"reported_by": "postfix"}, SOMEBODY, True, True, None),  # a mail server of our own, or a recipient
        (LIMIT, GMAIL, True, None, "sent"),
        (LIMIT, SOMEBODY, True, None, None),
        (OWN_SES, GMAIL, True, None, "sent"),  # the alias's relay, told by Gmail
        (OWN_SES, SES, True, None, "sent"),
        (OWN_SES, SOMEBODY, True, None, None),  # "your identity is not verified", says a recipient
        (REMOTE, SOMEBODY, True, None, "sent"),
        (REMOTE, SOMEBODY, False, None, None),
        (REMOTE, ATTACHED, True, None, None),
        (UNSIGNED, SOMEBODY, True, None, "sent"),
        (FORGED, GMAIL, True, True, None),
        (DELIVERED, SOMEBODY, True, None, "sent"),
        (DELIVERED, SOMEBODY, False, None, None),
    ],
)
def test_what_is_accepted(
    record: dict[str, Any], notice: Notice, in_sent: bool, is_alias: bool | None, proof: str | None
) -> None:
    found = proof_of(record, notice, in_sent=in_sent, is_alias=is_alias)
    assert found.kind == proof
    assert found.why
    assert not found.is_open


@pytest.mark.parametrize(
    ("record", "notice", "in_sent", "is_alias"),
    [
        (REMOTE, SOMEBODY, None, None),
        (ALIAS, GMAIL, None, True),
        (ALIAS, GMAIL, True, None),
        (DELIVERED, SES, None, None),
    ],
)
def test_what_gmail_did_not_answer_stays_open(
    record: dict[str, Any], notice: Notice, in_sent: bool | None, is_alias: bool | None
) -> None:
    found = proof_of(record, notice, in_sent=in_sent, is_alias=is_alias)
    assert (found.kind, found.is_open) == (None, True)


def test_no_answer_of_gmail_proves_more_than_being_there() -> None:
    """Whatever is not known proves nothing; whatever is known to be wrong closes the question."""
    for record, notice in product((ALIAS, OWN_SES, LIMIT, REMOTE, UNSIGNED, FORGED, DELIVERED), (GMAIL, SES, SOMEBODY)):
        for in_sent, is_alias in product((True, False, None), repeat=2):
            found = proof_of(record, notice, in_sent=in_sent, is_alias=is_alias)
            if found.kind is not None:
                assert in_sent is True
                assert record["genuine"] != "fail"
                assert notice.is_direct


def test_nobody_is_asked_about_what_nothing_can_prove() -> None:
    asked = [
        (record["category"], notice)
        for record, notice in product((ALIAS, OWN_SES, LIMIT, REMOTE, FORGED), (GMAIL, SOMEBODY, ATTACHED))
        if may_be_proven(record, notice)
    ]
    assert ("smtp-credentials", SOMEBODY) not in asked
    assert ("gmail-refused", SOMEBODY) not in asked
    assert not any(notice is ATTACHED or category == "unverified" for category, notice in asked)
    assert ("remote-rejection", SOMEBODY) in asked


@pytest.mark.parametrize(
    ("record", "proof", "acted_on"),
    [
        *((REMOTE, kind, True) for kind in ("sent", "ses", "alias")),
        *((REMOTE, kind, False) for kind in (None, "given", "signed")),
        (FORGED, "sent", False),
        (DELIVERED, "sent", False),
    ],
)
def test_what_leads_to_anything(record: dict[str, Any], proof: str | None, acted_on: bool) -> None:
    assert is_acted_on(record, proof) is acted_on
