"""What every command does alike: two lines and a code for each failure, help, and no traceback."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.home import Home, assert_two_lines
from triage import errors
from triage.cli import program as cli


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["clasify"], 2, "classify"),
        (["classify"], 2, "PATH"),
        (["classify", "nowhere.eml"], 2, "nowhere.eml"),
        (["classify", "--jobs", "0", "x.eml"], 2, "--jobs"),
        (["--nonsense"], 2, "--nonsense"),
        (["run", "--since", "3x"], 2, "3x"),
        (["run", "--since", "3d", "--mailbox", "x"], 2, "--mailbox"),
        (["run", "--mailbox", "nowhere"], 2, "nowhere"),
        (["report", "--since", "lately"], 2, "lately"),
        (["report", "--format", "pdf"], 2, "pdf"),
        (["explain", "no-such-id"], 2, "no-such-id"),
        (["--config", "nowhere.toml", "report"], 78, "nowhere.toml"),
        (["report", "--config", "nowhere.toml"], 78, "nowhere.toml"),
        (["report"], 78, "triage.db"),
        (["run"], 77, "triage auth"),
        (["auth"], 78, "credentials.json"),
    ],
)
def test_a_failure_is_two_lines_and_a_code(home: Home, arguments: list[str], code: int, words: str) -> None:
    assert words in " ".join(assert_two_lines(home.triage(*arguments), code))


def test_without_a_command_the_help_is_shown(home: Home) -> None:
    done = home.started()
    assert (done.returncode, done.stderr) == (2, "")
    assert "Usage: triage" in done.stdout
    assert "classify" in done.stdout


@pytest.mark.parametrize("name", sorted(cli.cli.commands))
def test_help_of_every_command(home: Home, name: str) -> None:
    for option in ("--help", "-h"):
        done = home.started(name, option)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"Usage: triage {name}")


def test_version(home: Home) -> None:
    done = home.started("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("triage")


def test_an_unknown_setting_names_the_nearest(home: Home) -> None:
    (home.folder / "triage.toml").write_text("databas = 'x.db'\n")
    assert "Did you mean 'database'?" in assert_two_lines(home.triage("report"), 78)[1]


FAILURES = [
    errors.TriageError("w", "t"),
    errors.UsageError("w", "t"),
    errors.TryLater("w", "t"),
    errors.CredentialsDead("w", "t"),
    errors.ConfigError("w", "t"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_each_failure_has_its_exit_code(
    failure: errors.TriageError, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("triage.mailbox.read_mails", _raising(failure))
    assert cli.main(["classify", "x"]) == failure.exit_code
    assert capsys.readouterr() == ("", "triage: w\nt\n")
    assert failure.exit_code in dict(cli.EXIT_CODES)


def test_a_mistake_of_our_own_is_two_lines_with_details_on_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("triage.mailbox.read_mails", _raising(KeyError("recipient")))
    assert cli.main(["classify", "x"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[0] == "triage: Something in triage itself went wrong: KeyError: 'recipient'"
    assert "--verbose" in err.splitlines()[1]
    assert err.count("\n") == 2
    for arguments in (["--verbose", "classify", "x"], ["classify", "--verbose", "x"]):
        assert cli.main(arguments) == 1
        assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_ends_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("triage.mailbox.read_mails", _raising(KeyboardInterrupt()))
    assert cli.main(["classify", "x"]) == 130
    assert capsys.readouterr().err.count("\n") == 2


def _raising(error: BaseException) -> Any:
    def raises(*_: object, **__: object) -> Any:
        raise error

    return raises
