"""The word of `reason` for what servers say (reasons.txt): every word of Sisimai's, and the neighbours of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from parsers.facts import Authenticity, Bounce, Failure, Original
from parsers.readers.delivery_status import with_words
from remediation import REASONS
from triage.judging import classify

LINES = (Path(__file__).parent / "reasons.txt").read_text(encoding="utf-8").splitlines()
HEARD = [tuple(line.split(" | ", 1)) for line in LINES if " | " in line]
# No failure; or said only by a relay or a service of ours, whose rows are read where a mail tells that it was theirs.
NEVER_HEARD = {"delivered", "feedback", "vacation", "suppressed"}


@pytest.mark.parametrize(("words", "reply"), HEARD, ids=[reply for _, reply in HEARD])
def test_an_answer_has_its_word(words: str, reply: str) -> None:
    failure = with_words(Failure("failed", "pat@client.example"), reply, None)
    bounce = Bounce("delivery-status", "postfix", (failure,), Original(), Authenticity("unknown", "made"))
    assert classify(bounce, "made")[0].reason in words.split("/")


def test_every_word_is_heard() -> None:
    assert {word for words, _ in HEARD for word in words.split("/")} == set(REASONS) - NEVER_HEARD
