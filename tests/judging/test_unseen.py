"""The mails of benchmarks/unseen_mails: their truth is told in our words, and no later change loses what was right."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from typing import get_args

from benchmarks.unseen import FIELDS, FOLDER, cases, scored
from remediation import Side
from remediation.reasons import REASONS

CASES = list(cases())
SCORES = tomllib.loads((FOLDER / "scores.toml").read_text())["score"]


def test_the_truth_is_told_in_known_words() -> None:
    assert len(CASES) >= 300
    assert sum(not case.recipients for case in CASES) >= 80
    for case in CASES:
        assert set(case.reasons) <= REASONS.keys(), case.name
        assert set(case.sides) <= set(get_args(Side)), case.name
        assert not re.search(rb"\{\w+\}", case.mail), f"a hole was not filled: {case.name}"


def test_the_first_score_is_kept() -> None:
    """It may not be improved after the fact: it is the estimate, and the others know the mails."""
    assert SCORES[0]["code"] == "e7144fe"
    assert SCORES[0]["reason"] == [333, 394]


def test_no_field_is_worse_than_at_the_last_score() -> None:
    right: Counter[str] = Counter()
    wrong: dict[str, list[str]] = {field: [] for field in FIELDS}
    for case in CASES:
        for field, is_right, said in scored(case):
            right[field] += is_right
            if not is_right:
                wrong[field].append(f"{case.name}: {said[:200]}")
    for field in FIELDS:
        assert right[field] >= SCORES[-1][field][0], "\n".join([field, *wrong[field]])
