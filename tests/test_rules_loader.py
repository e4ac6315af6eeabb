"""The loader takes well-written rows only, and says which key of which row is wrong."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from triage import rules
from triage.rules import RuleError, read_rules

PACKAGED = Path(rules.__file__).parent / "rules.toml"

ROW = """
[[rule]]
id = "no-room"
cause = "mailbox-full"
text = "no room"
source = "RFC 3463 3.3"
examples = ["452 4.2.2 no room for pat"]
"""


def test_plain_reading_is_what_toml_says() -> None:
    """The fast way to read the table leaves nothing out; and it is taken."""
    text = PACKAGED.read_text(encoding="utf-8")
    plain = rules._plain_rows(text)
    assert plain == tomllib.loads(text)["rule"]


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        (ROW + 'txet = "x"\n', r"no-room: unknown key 'txet', did you mean 'text'"),
        (ROW.replace("mailbox-full", "mailbox-fool"), r"no-room: unknown cause 'mailbox-fool', did you mean 'mailbox-"),
        (ROW + 'reason = "mailboxful"\n', r"no-room: unknown reason 'mailboxful', did you mean 'mailboxfull'"),
        (ROW + 'kind = "fail"\n', r"no-room: unknown kind 'fail', did you mean 'failed'"),
        (ROW + ROW, r"no-room: the id is used twice"),
        (ROW.replace("id = ", "# "), r"rule \?: id is missing"),
        (ROW.replace('source = "RFC 3463 3.3"', 'source = ""'), r"no-room: source is missing"),
        (ROW.replace('source = "RFC 3463 3.3"\n', ""), r"no-room: source is missing"),
        (ROW.replace('["452 4.2.2 no room for pat"]', "[]"), r"no-room: examples is missing"),
        (ROW.replace('examples = ["452 4.2.2 no room for pat"]\n', ""), r"no-room: examples is missing"),
        (ROW.replace('cause = "mailbox-full"\n', ""), r"no-room: cause is missing"),
        (ROW.replace('"no room"', '"No room"'), r"'No room' must be lower-case"),
        (ROW.replace('"no room"', '"can’t write"'), r"straight apostrophes"),
        (ROW.replace('"no room"', '" "'), r"must be lower-case words"),
        (ROW.replace('"no room"', '"###"'), r"needs a word"),
        (ROW.replace('"no room"', '"no"'), r"needs a word"),
        (ROW.replace('"no room"', "7"), r"no-room: text must be a list"),
        (ROW.replace('"no room"', '["no room", ""]'), r"text must be a text or a list of texts"),
        (ROW.replace('text = "no room"', 'regex = "no room"'), r"need text beside them"),
        (ROW.replace('text = "no room"', "names_recipient = true"), r"need text beside them"),
        (ROW + 'status = "5.7"\n', r"'5.7' is no code"),
        (ROW + 'status = "2.0.0"\n', r"'2.0.0' is no code"),
        (ROW + 'status = "5.*.1"\n', r"'5.\*.1' is no code"),
        (ROW + 'reply = "250"\n', r"'250' is no code"),
        (ROW + 'relay = "yes"\n', r"no-room: relay must be a bool"),
        (ROW + 'regex = ["no room"]\n', r"no-room: regex must be a str"),
        ('name = "table"\n' + ROW, r"the table: unknown key 'name'"),
    ],
)
def test_the_loader_refuses(toml: str, says: str) -> None:
    with pytest.raises(RuleError, match=says):
        read_rules(toml)


def test_rows_in_unusual_toml_are_read_too() -> None:
    """Whatever is TOML is a table; only plainly written rows are read the fast way."""
    unusual = '[[rule]]  # a note\nid = """no-room"""\n' + ROW.partition('id = "no-room"\n')[2]
    assert rules._plain_rows(unusual) is None
    assert read_rules(unusual) == read_rules(ROW)


def test_a_key_given_twice_is_refused() -> None:
    with pytest.raises(tomllib.TOMLDecodeError):
        read_rules(ROW + 'text = "other"\n')


def test_what_is_no_toml_is_refused() -> None:
    with pytest.raises(tomllib.TOMLDecodeError):
        read_rules(ROW + "text =\n")
