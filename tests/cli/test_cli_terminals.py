"""The command line on a terminal: colours, progress, width, and characters it does not know."""

from __future__ import annotations

import json

import pytest

from tests.cli.home import ALIAS, BOUNCES, EXCHANGE, Home


def test_headings_stand_out_on_a_terminal_that_wants_it(judged: Home) -> None:
    code, text = judged.on_terminal("report", "--since", "900w")
    assert code == 0
    assert "\x1b[1mWHAT TO DO\x1b[0m\n" in text
    for unwanted in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in judged.on_terminal("report", "--since", "900w", **unwanted)[1]
    assert "\x1b" not in judged.triage("report", "--since", "900w").stdout


IMPATIENT = (
    "from triage.cli import program, shared; shared.PROGRESS_AFTER_SECONDS = -1.0; raise SystemExit(program.main())"
)


def test_long_work_shows_a_bar_on_a_terminal_and_none_in_cron(home: Home) -> None:
    home.copy(ALIAS, EXCHANGE)
    code, text = home.on_terminal("run", "--database", "triage.db", "--mailbox", "mails", program=("-c", IMPATIENT))
    assert code == 0
    assert "Reading mails" in text
    assert text.splitlines()[-1].endswith("2 new mails: 2 verdicts, 0 no bounce.")
    again = home.started("run", "--database", "triage.db", "--mailbox", "mails", program=("-c", IMPATIENT))
    assert (again.stdout, again.stderr) == ("", "")


def test_the_bar_takes_nothing_away_from_a_file(home: Home) -> None:
    """Standard output goes into a file, standard error to the terminal: the usual way to keep many verdicts."""
    mails = [f"From - Mon Nov 23\n{(BOUNCES / EXCHANGE).read_text()}\n"] * 300
    (home.folder / "big.mbox").write_text("".join(mails))
    code, bar, told = home.with_terminal_for_errors("classify", "big.mbox", program=("-c", IMPATIENT))
    assert (code, "Judging mails" in bar) == (0, True)
    assert len(told.splitlines()) == 302  # with its head and its totals
    code, bar, told = home.with_terminal_for_errors("classify", "big.mbox", "--jsonl", program=("-c", IMPATIENT))
    assert code == 0
    assert "Judging mails" in bar
    assert len(told.splitlines()) == 300
    assert all(json.loads(line)["cause"] == "recipient-unknown" for line in told.splitlines())


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_table_fits_a_narrow_terminal(home: Home, columns: int) -> None:
    home.copy(ALIAS, EXCHANGE)
    code, text = home.on_terminal("classify", "mails", columns=columns)
    assert code == 0
    lines = text.splitlines()
    assert all(len(line) <= max(columns, 49) for line in lines)
    assert ("VERDICT" in lines[0]) == (columns == 200)


def test_a_terminal_that_knows_only_ascii_gets_question_marks(home: Home) -> None:
    hostile = (BOUNCES / ALIAS).read_bytes().replace(b"Sunset charter", "Törn \x1b]0;x\x07⛵".encode())
    done = home.started("explain", "-", stdin=hostile, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert "\x1b" not in done.stdout
    assert "T?rn" in done.stdout
