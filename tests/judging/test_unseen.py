"""The mails of benchmarks/unseen_mails: their truth is told in our words, and no later change loses what was right."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from typing import get_args

import pytest

from benchmarks.unseen import FIELDS, SETS, cases, scored
from parsers.facts import FailureKind, NotKind
from remediation import Side
from remediation.reasons import REASONS

CASES = {name: list(cases(folder)) for name, folder in SETS.items()}
SCORES = {name: tomllib.loads((folder / "scores.toml").read_text())["score"] for name, folder in SETS.items()}
# The code that was judged first, and its reasons.
FIRST = {"first": ("e7144fe", [333, 394]), "second": ("e194513", [276, 292]), "third": ("59e1748", [80, 91])}
AT_LEAST = {"first": 300, "second": 300, "third": 250}


@pytest.mark.parametrize("name", SETS)
def test_the_truth_is_told_in_known_words(name: str) -> None:
    assert len(CASES[name]) >= AT_LEAST[name]
    assert sum(not case.recipients for case in CASES[name]) >= 80
    for case in CASES[name]:
        assert set(case.kinds) <= {*get_args(FailureKind), *get_args(NotKind), "letter"}, case.name
        assert set(case.reasons) <= REASONS.keys(), case.name
        assert set(case.sides) <= set(get_args(Side)), case.name
        assert not re.search(rb"\{\w+\}", case.mail), f"a hole was not filled: {case.name}"


@pytest.mark.parametrize("name", SETS)
def test_the_first_score_is_kept(name: str) -> None:
    """It may not be improved after the fact: it is the estimate, and the others know the mails."""
    assert (SCORES[name][0]["code"], SCORES[name][0]["reason"]) == FIRST[name]


@pytest.mark.parametrize("name", SETS)
def test_no_field_is_worse_than_at_the_last_score(name: str) -> None:
    right: Counter[str] = Counter()
    wrong: dict[str, list[str]] = {field: [] for field in FIELDS}
    for case in CASES[name]:
        for field, is_right, said in scored(case):
            right[field] += is_right
            if not is_right:
                wrong[field].append(f"{case.name}: {said[:200]}")
    for field, (at_least, _) in ((field, SCORES[name][-1][field]) for field in FIELDS if field in SCORES[name][-1]):
        assert right[field] >= at_least, "\n".join([field, *wrong[field]])
