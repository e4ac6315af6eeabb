"""`make rule ID=x`: where the rule stands, its examples, and the mails it decides."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests import rule as tool
from tests.rule import BOUNCES, ROOT, main
from triage.judging import load_rules


def test_a_rule_is_shown_with_its_place_its_examples_and_its_mails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own, corpus = tmp_path / "own", tmp_path / "corpus"
    for folder, name in ((own, "gmail-blocked-exchange-dbeb.eml"), (corpus, "gmail-alias-ses-535.eml")):
        folder.mkdir()
        shutil.copy(BOUNCES / name, folder)
    monkeypatch.setattr(tool, "BOUNCES", own)
    assert main(["exchange-dbeb", str(corpus)]) == 0
    out = capsys.readouterr().out.splitlines()
    where = out[0].partition(", ")[2]
    file, _, line = where.partition(":")
    assert out[0].startswith("exchange-dbeb -> recipient-access-denied, triage/judging/rules/41-exchange-online.toml:")
    assert (ROOT / file).read_text().splitlines()[int(line) - 1 :][:2] == ["[[rule]]", 'id = "exchange-dbeb"']
    (rule,) = (rule for rule in load_rules() if rule.id == "exchange-dbeb")
    assert out[1 : 1 + len(rule.examples)] == [f'  example: "{example}"' for example in rule.examples]
    assert out[1 + len(rule.examples) :] == [
        f"1 decided in {own}",
        '  gmail-blocked-exchange-dbeb.eml: m.ito@shipyard.example: "Recipient address rejected: Access denied";'
        " below it: access-denied-to-recipient (policy-rejected)",
        f"0 decided in {corpus}",
    ]


def test_a_corpus_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(BOUNCES / "gmail-blocked-exchange-dbeb.eml", tmp_path)
    monkeypatch.setattr(tool, "BOUNCES", tmp_path)
    assert main(["exchange-dbeb", "nowhere"]) == 0
    out, err = capsys.readouterr()
    assert f"1 decided in {tmp_path}" in out
    assert err == "Not looked at: nowhere is not there.\n"


def test_a_folder_without_mails_is_an_error_in_two_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["exchange-dbeb", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2


@pytest.mark.parametrize(
    ("ident", "says"),
    [
        ("exchange-dbed", "There is no rule 'exchange-dbed'.\nDid you mean make rule ID=exchange-dbeb"),
        ("qqqqqqqq", "There is no rule 'qqqqqqqq'.\nFor example: make rule ID=google-dmarc\n"),
        ("", "Name a rule.\nFor example: make rule ID=google-dmarc\n"),
    ],
)
def test_a_rule_that_is_not_there(ident: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([ident]) == 2
    assert capsys.readouterr().err.startswith(says)
