"""Rules or a catalogue that cannot be used end every command that needs them with 78, and no mail is given up."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.cli.home import ALIAS, EXCHANGE, Home, assert_two_lines
from tests.doubles.gmail import GmailDouble
from tests.worlds import forked
from tests.worlds.made_mails import refusal
from tests.worlds.schemas import by_schema

RULES = f"""
import pathlib
from triage.judging import rules, table
rules.FOLDER = pathlib.Path("rules")
rules.load_rules.cache_clear()
table.load_tables.cache_clear()
{forked.COMMAND}"""
"""The program, installed with the rules of the folder `rules`."""
CAUSES = f"""
import pathlib, remediation
from triage.judging import rules, table
remediation.FILE = pathlib.Path("causes.toml")
for kept in (remediation.load_causes, rules.load_rules, table.load_tables):
    kept.cache_clear()
{forked.COMMAND}"""
"""The program, installed with this catalogue."""

ROW = 'id = "no-room"\ncause = "mailbox-full"\ntxet = "no room"\nsource = "RFC 3463"\nexamples = ["452 no room"]\n'
CAUSE = '[causes.a]\ntitle = "A"\nmeaning = "A."\nsied = "own"\n'
SAID = {
    RULES: ["triage: 40-a.toml, rule no-room: unknown key 'txet'", "Did you mean 'text'?"],
    CAUSES: ["triage: remediation/causes.toml: cause a: unknown key 'sied'", "Did you mean 'side'?"],
}
JUDGING = [
    ("classify", "mails"),
    ("classify", "--jsonl", "mails"),
    ("classify", "--jobs", "2", "mails"),
    ("explain", f"mails/{ALIAS}"),
    ("run", "--database", "triage.db", "--mailbox", "mails"),
    ("run", "--dry-run", "--mailbox", "mails"),
    ("rejudge",),
    ("rejudge", "--apply"),
]
TELLING = [("report",), ("report", "--format", "html"), ("explain", "1")]


@pytest.fixture
def broken(home: Home) -> Home:
    """A home with mails, and with rules and causes that are misspelt."""
    home.copy(ALIAS, EXCHANGE)
    (home.folder / "rules").mkdir()
    (home.folder / "rules" / "40-a.toml").write_text(f"[[rule]]\n{ROW}")
    (home.folder / "causes.toml").write_text(CAUSE)
    return home


def ran(home: Home, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return forked.triage(*arguments, cwd=home.folder, env=home.env, code=code)


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        *((RULES, arguments) for arguments in JUDGING),
        *((CAUSES, arguments) for arguments in (*JUDGING, *TELLING)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "rules" if value == RULES else "causes",
)
def test_a_command_says_what_is_wrong_and_what_was_meant(broken: Home, code: str, arguments: tuple[str, ...]) -> None:
    if arguments[0] not in ("classify", "run"):
        assert broken.triage("run", "--database", "triage.db", "--mailbox", "mails").returncode == 0
    done = ran(broken, code, *arguments)
    assert (done.returncode, done.stderr.splitlines()) == (78, SAID[code])


@pytest.mark.parametrize("code", [RULES, CAUSES], ids=["rules", "causes"])
def test_the_doctor_says_it_among_the_rest(broken: Home, code: str) -> None:
    done = ran(broken, code, "doctor", "--json")
    assert (done.returncode, done.stderr) == (78, "")
    (check,) = (check for check in by_schema("doctor", done.stdout)["checks"] if check["name"] == "rules")
    assert (check["state"], [f"triage: {check['words']}", check["todo"]]) == ("fail", SAID[code])


def test_a_file_that_is_no_toml(broken: Home) -> None:
    (broken.folder / "rules" / "40-a.toml").write_text("[[rule]\n")
    what, todo = assert_two_lines(ran(broken, RULES, "run", "--database", "triage.db", "--mailbox", "mails"), 78)
    assert what.startswith("triage: 40-a.toml: not TOML: ")
    assert todo == "Mend the line it names, or install triage again."


@pytest.fixture
def gmail(home: Home) -> Iterator[GmailDouble]:
    with GmailDouble() as double:
        double.write_credentials(home.folder)
        home.env["TRIAGE_GMAIL_URL"] = double.url
        (home.folder / "triage.toml").write_text("")
        yield double


@pytest.mark.parametrize("code", [RULES, CAUSES], ids=["rules", "causes"])
def test_a_run_gives_up_no_mail_and_judges_all_once_the_rules_are_mended(
    gmail: GmailDouble, broken: Home, code: str
) -> None:
    gmail.seed(refusal(1))
    gmail.seed(refusal(2))
    for _ in range(6):  # more often than a mail is tried before it is kept for study
        assert assert_two_lines(ran(broken, code, "run"), 78) == SAID[code]
    done = broken.triage("run")
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 verdicts" in done.stdout, done.stdout


def test_a_quiet_run_reads_no_rules(gmail: GmailDouble, broken: Home) -> None:
    done = ran(broken, RULES, "run")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
