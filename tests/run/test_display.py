"""Text for human eyes: harmless, wrapped, in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from triage.display import counted, listed, parse_span, shown, span_seconds, span_words, table_row, when_words, wrapped
from triage.errors import UsageError

ESCAPES = "\x1b]0;owned\x07\x1b[31mred\x1b[0m"
BIDI = "pay\u202egnp.exe\u2066\u200b"


@pytest.mark.parametrize("text", [ESCAPES, BIDI, "a\r\nb\tc\x00d\x85e\u2028f", "\udcff\ue000"])
def test_shown_lets_nothing_through_that_a_terminal_would_obey(text: str) -> None:
    assert shown(text).isprintable()
    assert "\n" not in shown(text)


def test_shown_keeps_every_script_and_caps_the_length() -> None:
    assert shown("  Zustellung   fehlgeschlagen: 日本語 ñ ") == "Zustellung fehlgeschlagen: 日本語 ñ"
    assert shown("x" * 400, 50) == "x" * 47 + "..."
    assert len(shown("\x1b" * 10_000_000 + "x")) <= 300


def test_wrapped_breaks_at_words_but_never_inside_a_command() -> None:
    lines = wrapped(
        "Run `aws iam list-access-keys --user-name someone` and look at a-long-hyphened-word.", 30, "  ", "    "
    )
    assert "    `aws iam list-access-keys --user-name someone`" in lines
    assert lines[0] == "  Run"
    assert lines[-1].endswith("a-long-hyphened-word.")
    assert all(len(line) <= 30 or "`" in line for line in lines)


def test_wrapped_survives_a_width_smaller_than_the_indent() -> None:
    assert wrapped("some words", 1, " " * 10)[0].strip() == "some words"


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("12h", timedelta(hours=12)),
        ("7d", timedelta(days=7)),
        (" 2W ", timedelta(weeks=2)),
        ("30d", timedelta(days=30)),
    ],
)
def test_spans(text: str, span: timedelta) -> None:
    assert parse_span(text) == span


@pytest.mark.parametrize("text", ["", "0d", "7", "d", "-3d", "7m", "1.5d", "999999w", "٣d", "7d extra"])
def test_no_spans(text: str) -> None:
    with pytest.raises(UsageError) as failure:
        parse_span(text)
    assert "12h, 7d, 2w" in failure.value.todo


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(seconds=30), "less than a minute"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(hours=5, minutes=59), "5 hours"),
        (timedelta(days=7), "7 days"),
        (timedelta(days=30), "30 days"),
        (timedelta(weeks=4), "4 weeks"),
    ],
)
def test_span_words(span: timedelta, words: str) -> None:
    assert span_words(span) == words


def test_small_words() -> None:
    assert [span_seconds(seconds) for seconds in (1, 119, 600, 7200)] == ["1 s", "119 s", "10 min", "2 hours"]
    assert [counted(1, "mail"), counted(1234, "mail"), counted(2, "person", "people")] == [
        "1 mail",
        "1,234 mails",
        "2 people",
    ]
    assert [listed([]), listed(["a"]), listed(["a", "b"]), listed("abc")] == ["nobody", "a", "a and b", "a, b and c"]
    assert listed("abcdef", most=2) == "a, b and 4 more"


def test_times_are_utc_and_in_english_whatever_the_locale() -> None:
    assert when_words("2026-11-23T14:05:59Z") == "Mon 23 Nov 2026 14:05 UTC"
    assert when_words(datetime(2026, 11, 23, 14, 5, tzinfo=UTC) + timedelta(hours=0)) == "Mon 23 Nov 2026 14:05 UTC"
    assert when_words(None) == "an unknown time"


RECORD = {
    "source": f"bounces/{ESCAPES}.eml",
    "kind": "failed",
    "category": "exchange-rejection",
    "cause": "recipient-unknown",
    "actor": "sender",
    "recipient": "pat@client.example",
}


@pytest.mark.parametrize("width", [None, 200, 120, 119, 80, 40])
def test_a_table_row_fits_its_terminal(width: int | None) -> None:
    row = table_row(RECORD, width)
    assert row.endswith("\n")
    assert "\x1b" not in row
    assert row.count("\n") == (1 if width is None or width >= 120 else 2)
    assert all(len(line) <= (width or 1000) for line in row.splitlines())
    assert "exchange-rejection" in row
    assert "pat@client.example" in row


def test_a_table_row_of_a_mail_that_is_no_bounce_says_why() -> None:
    nothing = dict.fromkeys(RECORD) | {"source": "a.eml", "kind": "not-a-bounce", "why": "a newsletter"}
    for width in (None, 80):
        assert "not-a-bounce" in table_row(nothing, width)
        assert "a.eml: a newsletter" in table_row(nothing, width)


def test_a_forged_bounce_moves_nobody() -> None:
    forged = RECORD | {"category": "unverified", "source": "a.eml"}
    for width in (None, 80):
        assert "unverified" in table_row(forged, width)
        assert "sender" not in table_row(forged, width)
