"""The loader takes well-written rows only, and says which key of which row is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import remediation
from tests.judging.made import ROW
from triage.errors import ConfigError
from triage.judging import rules, table
from triage.judging.rules import RuleError, load_rules, read_rules

OTHER = ROW.replace("no-room", "other")


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        (ROW + 'txet = "x"\n', r"no-room: unknown key 'txet'\nDid you mean 'text'\?"),
        (
            ROW.replace("mailbox-full", "mailbox-fool"),
            r"no-room: unknown cause 'mailbox-fool'\nDid you mean 'mailbox-f",
        ),
        (ROW + 'reason = "mailboxful"\n', r"no-room: unknown reason 'mailboxful'\nDid you mean 'mailboxfull'\?"),
        (ROW + 'kind = "fail"\n', r"no-room: unknown kind 'fail'\nDid you mean 'failed'\?"),
        (ROW + ROW, r"no-room: the id is used twice, first in 40-a.toml"),
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
        (ROW + "regex = 7\n", r"no-room: regex must be a list"),
        ('name = "table"\n' + ROW, r"40-a.toml: unknown key 'name'"),
        ("rule = 7\n", r"40-a.toml: it is made of"),
        ('rule = ["no-room"]\n', r"40-a.toml: it is made of"),
        ('words = ["box"]\n' + ROW, r"40-a.toml: it is made of"),
        ('[words]\nBox = ["box"]\n' + ROW, r"words Box: a name is made of small letters"),
        ("[words]\nbox = []\n" + ROW, r"words box: a list of texts"),
        ('[words]\nbox = "box"\n' + ROW, r"words box: a list of texts"),
        ('[words]\nbox = ["Box"]\n' + ROW, r"words box: text 'Box' must be lower-case"),
        ('[words]\nbox = ["in"]\n' + ROW.replace("no room", "{box}", 1), r"no-room: text 'in' needs a word"),
        ('[words]\nbox = ["inbox"]\n' + ROW.replace("no room", "{bax}", 1), r"'bax'\nDid you mean 'box'\?"),
        (ROW + "regex = '{box} full'\n", r"no-room: unknown list of words 'box'"),
        (ROW + "text =\n", r"40-a.toml: not TOML: .*line 8"),
        (ROW + 'text = "other"\n', r"40-a.toml: not TOML: .*overwrite"),
    ],
)
def test_the_loader_refuses(toml: str, says: str) -> None:
    """And the file is named; the second line says what to do."""
    with pytest.raises(RuleError, match=r"40-a\.toml") as caught:
        read_rules({"40-a.toml": toml})
    assert re.search(says, f"{caught.value.what}\n{caught.value.todo}")
    assert caught.value.exit_code == 78


def test_an_id_is_used_once_in_all_files() -> None:
    with pytest.raises(RuleError, match=r"50-b.toml, rule no-room: the id is used twice, first in 40-a.toml"):
        read_rules({"40-a.toml": ROW, "50-b.toml": ROW})


def test_words_are_known_in_their_file_only() -> None:
    with pytest.raises(RuleError, match=r"50-b.toml, rule other: unknown list of words 'box'"):
        read_rules({"40-a.toml": '[words]\nbox = ["inbox"]\n' + ROW, "50-b.toml": OTHER.replace("no room", "{box}", 1)})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of rules of our own, while nothing is known of the packaged ones."""
    monkeypatch.setattr(rules, "FOLDER", tmp_path)
    for kept in (load_rules, table.load_tables):
        kept.cache_clear()
    yield tmp_path
    for kept in (load_rules, table.load_tables):
        kept.cache_clear()


def test_files_are_read_in_the_order_of_their_names(folder: Path) -> None:
    (folder / "50-b.toml").write_text(ROW)
    (folder / "40-a.toml").write_text(OTHER)
    (folder / "README.md").write_text("no rows here")
    assert [(rule.id, rule.file) for rule in load_rules()] == [("other", "40-a.toml"), ("no-room", "50-b.toml")]


def test_no_files_are_no_rules(folder: Path) -> None:
    with pytest.raises(ConfigError, match="there are no rules"):
        load_rules()


def test_a_file_that_cannot_be_read(folder: Path) -> None:
    (folder / "40-a.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="utf-8"):
        load_rules()


def test_without_a_catalogue_there_are_no_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise remediation.CatalogueError("cause a: unknown side 'onw'", "own")

    monkeypatch.setattr(rules, "load_causes", broken)
    with pytest.raises(ConfigError, match=r"remediation/causes.toml: cause a: unknown side 'onw'") as caught:
        read_rules({"40-a.toml": ROW})
    assert caught.value.todo == "Did you mean 'own'?"
