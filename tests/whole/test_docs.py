"""The documents say what the program does: generated parts are fresh, links lead somewhere, every command is there."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from docs.generate import LABEL_MEANINGS, MARKED, PARTS, ROOT, documents, filled, index_page, main
from remediation import load_causes
from tests.worlds.understood import assert_understood, command_lines, named_commands
from triage.cli.program import cli
from triage.config.settings import SETTINGS
from triage.letters import LABELS

DOCUMENTS = documents()


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_generated_parts_are_fresh(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert filled(text) == text, "run `make docs`"


def test_every_part_stands_somewhere_and_every_mark_is_closed() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    assert {found[2] for found in MARKED.finditer(text)} == set(PARTS)
    assert text.count("<!-- generated: ") == text.count("<!-- end -->") == len(MARKED.findall(text))


def test_check_complains_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = tmp_path / "README.md"
    stale.write_text("<!-- generated: exit-codes -->\nold\n<!-- end -->\n")
    monkeypatch.setattr("docs.generate.ROOT", tmp_path)
    assert main(["--check"]) == 1
    assert "old" in stale.read_text()
    assert main([]) == 0
    assert "| 77 |" in stale.read_text()
    assert main(["--check"]) == 0


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)\s]+)\)", path.read_text(encoding="utf-8"))
    for link in links:
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), link
        if anchor:
            heads = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {head.lower().replace(" ", "-") for head in heads}, link


def test_the_readme_links_every_document() -> None:
    readme = _read("README.md")
    for path in DOCUMENTS[1:]:
        assert f"(docs/{path.name})" in readme, path.name


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_has_help_for_itself_and_its_options(name: str) -> None:
    command = cli.commands[name]
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name != "form":
            assert parameter.help, parameter.name
    assert f"\n## triage {name}\n" in _read("docs/commands.md")


def test_the_readme_names_what_the_code_names() -> None:
    assert set(LABEL_MEANINGS) == {*LABELS, "unverified"}
    readme = _read("README.md")
    for name in ("docs/labels.md", "docs/owner.md"):
        for label in LABELS.values():
            assert f"| `Bounce/{label}` |" in _read(name), (name, label)
    for make in re.findall(r"^make (\w+)", readme, re.MULTILINE):
        assert f"\n{make}: " in _read("Makefile"), make
    configuration = _read("docs/configuration.md")
    assert all(f"| `{name}` |" in configuration for name in SETTINGS)


def test_the_readme_is_short_and_shows_a_small_picture_with_words_for_who_cannot_see_it() -> None:
    readme = _read("README.md")
    assert len(readme.splitlines()) <= 130
    ((words, name),) = re.findall(r"^!\[(.+)\]\((.+)\)$", readme, re.MULTILINE)
    assert len(words) > 60
    picture = (ROOT / name).read_bytes()
    assert picture.startswith(b"\x89PNG\r\n")
    assert len(picture) < 120_000
    assert index_page().count(words) == 1
    assert f"![{words}" not in index_page()


def test_the_set_up_is_eight_steps_in_the_words_of_googles_pages() -> None:
    """As they are called since 2025: https://support.google.com/cloud/answer/15544987 and .../answer/15549945."""
    steps = re.split(r"^\d\. ", _read("README.md").partition("## Set up for real")[2].partition("\n## ")[0], flags=re.M)
    assert len(steps) - 1 == 8
    for number, words in ((3, "*Get started*"), (4, "*Publish app*"), (4, "*In production*"), (5, "*Create client*")):
        assert words in steps[number]
    assert "`triage alerts test`" in steps[7]


def test_the_page_for_the_owner_is_short_and_asks_for_no_terminal() -> None:
    page = _read("docs/owner.md")
    assert len(page.splitlines()) <= 80
    assert "```" not in page
    assert named_commands(page) == []
    sentences = re.split(r"(?<=[.!?:])\s+|\n\s*\n|\n- ", re.sub(r"[|*`#]", " ", page))
    assert [sentence for sentence in sentences if len(sentence.split()) > 26] == []


def test_every_cause_is_described() -> None:
    text = _read("docs/causes.md")
    for cause in load_causes():
        assert f"\n## {cause}\n" in text


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_every_command_a_document_names_can_be_typed(path: Path) -> None:
    """Read by the real parser; that the newcomer's commands do what is said of them, test_newcomer.py tries."""
    text = path.read_text(encoding="utf-8")
    for line in command_lines(text):
        assert_understood(line)
    for line in named_commands(text):
        assert_understood(line, is_whole=False)


def test_every_command_a_message_names_can_be_typed() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "triage").rglob("*.py")]
    texts.append(_read("remediation/causes.toml"))
    lines = [line for text in texts for line in named_commands(text) if "{" not in line]
    assert len(lines) > 40
    for line in lines:
        assert_understood(line, is_whole=False)


@pytest.mark.parametrize("wrong", ["report --sinse 7d", "incident show 3", "schedule windows", "classify x --jsonll"])
def test_a_false_command_in_a_document_is_found(wrong: str) -> None:
    lines = [*command_lines(f"```sh\ntriage {wrong}   # as said\n```"), *named_commands(f"Call `triage {wrong}` then.")]
    assert len(lines) == 2
    for line in lines:
        with pytest.raises(click.UsageError):
            assert_understood(line)


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_documents_name_no_machine_and_no_strange_domain(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.~$])/(?:home|root|work|tmp|Users)/", text)
    addresses = re.findall(r"[\w.+-]+@([\w-]+(?:\.[\w-]+)+)", text)
    ours = r"^gmail\.com$|(?:^|\.)queenofsandiego\.com$|(?:^|\.)example(?:\.com|\.org)?$"
    assert {a for a in addresses if not re.search(ours, a)} == set()


@pytest.mark.parametrize("name", ["docs/security.md", "docs/reliability.md"])
def test_every_test_that_a_document_names_is_there(name: str) -> None:
    named = re.findall(r"`(\w+/test_\w+\.py)`", _read(name))
    assert len(named) > 10
    assert [name for name in named if not (ROOT / "tests" / name).is_file()] == []
