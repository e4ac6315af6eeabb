"""What is easily mistaken (odd_letters.txt, odd_bounces.txt): no letter is read as a bounce, no bounce as a letter."""

from __future__ import annotations

from pathlib import Path

import pytest

from parsers import Bounce, NotABounce, parse

FOLDER = Path(__file__).parent


def _mails(name: str) -> dict[str, bytes]:
    """The mails of a file by their headings."""
    _, *pieces = (FOLDER / name).read_text(encoding="utf-8").split("\n=== ")
    found = {heading: mail.strip("\n") + "\n" for heading, _, mail in (piece.partition("\n") for piece in pieces)}
    assert len(found) == len(pieces), "two mails have the same name"
    return {heading: mail.encode() for heading, mail in found.items()}


LETTERS = _mails("odd_letters.txt")
BOUNCES = _mails("odd_bounces.txt")


def test_there_are_many_of_both() -> None:
    assert len(LETTERS) >= 40
    assert len(BOUNCES) >= 30


@pytest.mark.parametrize("heading", LETTERS)
def test_a_letter_is_no_bounce(heading: str) -> None:
    found = parse(LETTERS[heading])
    assert isinstance(found, NotABounce), found
    assert found.why
    assert found.kind == (heading.partition(" | ")[2] or "not-a-bounce")


@pytest.mark.parametrize("heading", BOUNCES)
def test_a_bounce_is_found_in_any_dress(heading: str) -> None:
    name, _, recipient = heading.partition(" | ")
    found = parse(BOUNCES[heading])
    assert isinstance(found, Bounce), found
    assert [failure.recipient for failure in found.failures] == [recipient]
    assert found.failures[0].kind == ("delayed" if name.startswith("postponed") else "failed")


@pytest.mark.parametrize("heading", [name for name in BOUNCES if name.startswith(("postmaster", "an admin"))])
def test_the_same_without_a_word_of_failure_is_a_letter(heading: str) -> None:
    """What made it a bounce was its words, not whom it comes from."""
    head, _, _ = BOUNCES[heading].partition(b"\n\n")
    lines = [line for line in head.split(b"\n") if not line.startswith((b"Content-Type", b"Subject"))]
    letter = b"\n".join(lines) + b"\nSubject: Your question\n\nPlease write to kim@client.example about this.\n"
    assert isinstance(parse(letter), NotABounce)
