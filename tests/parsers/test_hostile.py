"""Mails made to cost time or memory are answered within bounds, each in a process of its own.

The budget is 2 s and 300 MB on a quiet machine (`make bench` measures all of them); CI shares two cores, so these wait
three times as long. See test_linear.py for the patterns themselves.
"""

from __future__ import annotations

import pytest

from benchmarks.hostile import MB, cost_of, slowest_bait
from benchmarks.hostile_mails import MAILS

MOST_SECONDS = 6.0

CHOSEN = [
    "25 MB of text",
    "25 MB in one line",
    "10,000 parts",
    "10,000 report parts",
    "nested 1,000 deep",
    "1,000 mails in mails",
    "boundary in every line",
    "100,000 recipients",
    "100,000 recipients in words",
    "header of 10 MB",
    "header of 10 MB, folded",
    "25 MB of base64",
    "nested tags",
    "100 pages of entities",
    "200 attached pages of entities",
    "20 MB of punycode",
    "50,000 Received headers",
    "encoded words",
    "transcript of 10 MB",
]


@pytest.mark.parametrize("name", CHOSEN)
def test_its_cost_is_bounded(name: str) -> None:
    cost = cost_of(MAILS[name]())
    assert cost.verdicts > 0, "neither a verdict nor a reason"
    assert cost.seconds < MOST_SECONDS
    assert cost.mb < MB


def test_no_piece_repeated_in_any_place_is_slow() -> None:
    """What our patterns could stumble over, in each place a reader looks at; a mail of this size takes milliseconds."""
    seconds, piece = slowest_bait(64 * 1024)
    assert piece
    assert seconds < MOST_SECONDS / 6, piece
