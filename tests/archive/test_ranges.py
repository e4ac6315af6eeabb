"""An mbox cut at any byte gives the mails it gives whole: each once, each the same, whatever stands in it."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage import mailbox
from triage.mailbox import split_mbox, split_range

SEPARATOR = b"From a@example.org Tue Nov 24 09:00:00 2026\n"
PIECES = st.lists(
    st.sampled_from(
        [
            SEPARATOR,
            SEPARATOR.replace(b"\n", b"\r\n"),
            b"From the harbour we sailed on.\n",
            b"From x\nSubject: y\n",
            b"\n",
            b"\r\n",
            b">From a\n",
            b"Subject: hello\n",
            b"words\n",
        ]
    ),
    max_size=30,
)


def _whole(data: bytes) -> list[bytes]:
    return [mail.data for mail in split_mbox(io.BytesIO(data), "x")]


def _cut(data: bytes, length: int) -> list[bytes]:
    starts = range(0, len(data), length)
    return [mail for start in starts for mail in split_range(io.BytesIO(data), start, start + length)]


@given(PIECES, st.integers(1, 120))
def test_ranges_of_any_length_give_what_the_whole_gives(pieces: list[bytes], length: int) -> None:
    data = SEPARATOR + b"".join(pieces)
    assert _cut(data, length) == _whole(data)


@pytest.mark.parametrize("block", [1, 7, 64, 4096])
def test_it_does_not_matter_how_much_is_read_at_a_time(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    letter = b"Subject: x\n\n" + b"words of a letter\n" * 30 + b"\n>From here on\n\n"
    data = (SEPARATOR + b"\n" + SEPARATOR + letter) * 20
    whole = _whole(data)
    monkeypatch.setattr(mailbox, "BLOCK", block)
    assert len(whole) == 40
    assert _whole(data) == whole
    assert _cut(data, 1000) == whole


def test_a_mail_of_more_than_is_looked_at_is_cut_in_the_same_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "MAX_MAIL", 5000)
    data = (SEPARATOR + b"Subject: x\n\n" + b"words\n" * 3000 + b"\n") * 5
    assert [len(mail) for mail in _cut(data, 7000)] == [5000] * 5
    assert _cut(data, 7000) == _whole(data)
