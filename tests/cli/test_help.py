"""Help, examples, completion and the man page: made from the commands, whole, and true."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from docs.man import man_page
from tests.cli.home import ROOT, Home, assert_two_lines
from tests.worlds.understood import assert_understood, command_lines
from triage.cli.manners.completion import NAMES, SHELLS
from triage.cli.manners.examples import EXAMPLES
from triage.cli.manners.help import SECTIONS, every_command
from triage.cli.program import cli

COMMANDS = dict(every_command("triage", cli))


def test_every_command_has_an_example_of_its_own() -> None:
    assert set(EXAMPLES) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_are_in_the_help_and_can_be_read(name: str) -> None:
    inherited = {**cli.context_settings, **COMMANDS[name].context_settings}
    with click.Context(COMMANDS[name], info_name=name, terminal_width=90, **inherited) as context:
        text = context.get_help()
    for line in EXAMPLES[name]:
        assert f"  {line}\n" in f"{text}\n"
        (command,) = command_lines(f"```sh\n{line}\n```")
        assert command.startswith(name)
        assert_understood(command)


def test_the_top_of_the_help_tells_whole_sentences_and_every_command_once(home: Home) -> None:
    text = home.triage("--help").stdout
    assert "..." not in text.replace("ARGS]...", "").replace("TRIAGE_...", "")
    named = [name for names in SECTIONS.values() for name in names]
    assert sorted(named) == sorted(cli.commands)
    for name, command in cli.commands.items():
        assert command.get_short_help_str(1000) in " ".join(text.split()), name


def test_help_is_a_command_too(home: Home) -> None:
    for words in (["report"], ["credentials", "rotate", "start"], []):
        helped = home.triage("help", *words).stdout
        assert helped.startswith(home.triage(*words, "--help").stdout)
        assert home.triage(*words, "-h").stdout == home.triage(*words, "--help").stdout
    assert "triage help` lists" in assert_two_lines(home.triage("help", "nonsense"), 2)[1]


def test_help_shows_the_pages_that_messages_name(home: Home) -> None:
    assert home.triage("help", "docs/outbox.md").stdout == (ROOT / "docs/outbox.md").read_text().rstrip() + "\n"
    assert "docs/causes.md" in assert_two_lines(home.triage("help", "docs/nonsense.md"), 2)[1]
    said = "".join(path.read_text() for path in (ROOT / "triage").rglob("*.py"))
    named = set(re.findall(r"docs/[\w-]+\.md", said)) - {"docs/NAME.md", "docs/PAGE.md"}
    assert named
    assert {name for name in named if not (ROOT / name).is_file()} == set()


# completion

COMPLETE_IN_BASH = """
source /dev/stdin
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
compopt() { printf '%s ' compopt "$@"; echo; }
"_${1//-/_}_completion" "$1"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def with_programs(home: Home) -> Home:
    """A folder on the PATH with both names of the program."""
    for name in NAMES:
        script = home.folder / "bin" / name
        script.parent.mkdir(exist_ok=True)
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -m triage "$@"\n')
        script.chmod(0o755)
    home.env["PATH"] = f"{home.folder / 'bin'}:{home.env['PATH']}"
    return home


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["triage", "rep"], ["report"]),
        (["bounce-triage", "credentials", "rotate", "st"], ["start", "status"]),
        (["triage", "report", "--form"], ["--format"]),
        (["triage", "schedule", "sys"], ["systemd"]),
        (["triage", "resend", "--cause", "mailbox-f"], ["mailbox-full"]),
        (["triage", "classify", "mai"], ["compopt -o default ", "mai"]),
    ],
)
def test_bash_completes(with_programs: Home, words: list[str], expected: list[str]) -> None:
    script = with_programs.triage("completion", "bash").stdout
    done = subprocess.run(
        ["bash", "-c", COMPLETE_IN_BASH, "bash", *words],
        input=script,
        env=with_programs.env,
        cwd=with_programs.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    got = [line for line in done.stdout.splitlines() if line]
    assert set(got) & set(expected), (got, done.stderr)
    assert all(one in expected for one in got)


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_gets_a_script_it_can_read_and_answers(home: Home, shell: str) -> None:
    done = home.triage("completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    for name in NAMES:
        assert f"_{name}_COMPLETE".upper().replace("-", "_") in done.stdout
    if program := shutil.which(shell):
        read = subprocess.run([program, "-n"], input=done.stdout, capture_output=True, text=True, check=False)
        assert (read.returncode, read.stderr) == (0, "")
    asked = {"COMP_WORDS": "triage rep", "COMP_CWORD": "rep" if shell == "fish" else "1"}
    answer = home.started(_TRIAGE_COMPLETE=f"{shell}_complete", **asked)
    assert answer.returncode == 0
    assert "report" in answer.stdout
    assert home.started(_TRIAGE_COMPLETE="csh_source").returncode == 1


# the man page


def test_the_man_page_tells_of_every_command_and_is_fresh() -> None:
    page = (ROOT / "docs/triage.1").read_text(encoding="utf-8")
    assert page == man_page(), "run `make docs`"
    for name in COMMANDS:
        assert f".SS {name}".replace("-", "\\-") in page or name == "triage", name
    assert not [line for line in page.splitlines() if line.startswith("'")]


def test_man_shows_it_without_complaint(tmp_path: Path) -> None:
    program = shutil.which("groff")
    if program is None:
        pytest.skip("*** groff is not installed: nobody has looked at the man page")
    done = subprocess.run(
        [program, "-man", "-ww", "-Tutf8", "-P-c", str(ROOT / "docs/triage.1")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert "triage report --since monday" in done.stdout
