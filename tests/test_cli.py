"""The command line as a user meets it, mostly as a process of its own: exit codes and streams are the real ones."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from triage import cli, errors

ROOT = Path(__file__).parent.parent
BOUNCES = ROOT / "tests" / "bounces"
ALIAS, EXCHANGE = "gmail-alias-ses-535.eml", "exchange-online-recipient-not-found-via-ses.eml"

PROGRAM = ("-m", "triage.cli")


class Home:
    """A folder of its own to work in, with nothing of the user's environment but what finds the program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "TRIAGE_DATABASE": str(folder / "triage.db"),
        }

    def triage(
        self, *arguments: str, stdin: bytes = b"", program: Sequence[str] = PROGRAM, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command; its output is read as UTF-8 with nothing lost."""
        done = subprocess.run(
            [sys.executable, *program, *arguments],
            cwd=self.folder,
            env=self.env | env,
            input=stdin,
            capture_output=True,
            timeout=60,
            check=False,
        )
        texts = (stream.decode("utf-8", "surrogateescape") for stream in (done.stdout, done.stderr))
        return subprocess.CompletedProcess(done.args, done.returncode, *texts)

    def on_terminal(
        self, *arguments: str, columns: int = 80, program: Sequence[str] = PROGRAM, **env: str
    ) -> tuple[int, str]:
        """Run a command whose output is a terminal; (exit code, everything the terminal got)."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, *program, *arguments],
            cwd=self.folder,
            env=self.env | {"TERM": "xterm", "COLUMNS": str(columns)} | env,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        got = b""
        try:
            while select.select([ours], [], [], 60)[0]:
                try:
                    data = os.read(ours, 65536)
                except OSError:  # Linux says EIO where others say end of file
                    break
                if not data:
                    break
                got += data
        finally:
            os.close(ours)
            code = process.wait(timeout=60)
        return code, got.decode("utf-8", "replace").replace("\r\n", "\n")

    def copy(self, *names: str) -> Path:
        """A folder `mails` with these samples."""
        mails = self.folder / "mails"
        mails.mkdir(exist_ok=True)
        for name in names:
            shutil.copy(BOUNCES / name, mails / name)
        return mails


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def newsletter() -> bytes:
    message = EmailMessage()
    message["From"] = "news@shop.example"
    message["To"] = "jadasailing@gmail.com"
    message["Subject"] = "Autumn sails, 20 % off"
    message["List-Unsubscribe"] = "<https://shop.example/u>"
    message.set_content("New sails have arrived.")
    return message.as_bytes()


def assert_two_lines(done: subprocess.CompletedProcess[str], code: int) -> list[str]:
    """The failure is one line what, one line what to do, on standard error only."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 2, done.stderr
    assert lines[0].startswith("triage: ")
    assert all(line.strip() for line in lines)
    return lines


# Manners


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
        (["report", "--since", "yesterday"], 2, "yesterday"),
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
    done = home.triage()
    assert (done.returncode, done.stderr) == (2, "")
    assert "Usage: triage" in done.stdout
    assert "classify" in done.stdout


@pytest.mark.parametrize("name", sorted(cli.cli.commands))
def test_help_of_every_command(home: Home, name: str) -> None:
    for option in ("--help", "-h"):
        done = home.triage(name, option)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"Usage: triage {name}")


def test_version(home: Home) -> None:
    done = home.triage("--version")
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


# classify


def test_jsonl_is_one_record_a_line_in_the_order_of_the_contract(home: Home) -> None:
    mails = home.copy(ALIAS, EXCHANGE)
    (mails / "news.eml").write_bytes(newsletter())
    done = home.triage("classify", "mails", "--jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    exchange, alias, news = map(json.loads, done.stdout.splitlines())
    contract = (
        "source kind recipient original_recipient category cause side actor permanent reason status reply_code"
        " diagnostic platform remote_host reported_by original genuine rule evidence fix links"
    )
    assert list(alias) == contract.split()
    assert list(news) == [*contract.split(), "why"]
    original = "message_id gmail_message_id ses_message_id ses_region ses_id_source sent_at from subject path"
    assert list(alias["original"]) == original.split()
    assert (alias["source"], alias["category"], alias["side"]) == (f"mails/{ALIAS}", "smtp-credentials", "own")
    assert (exchange["category"], exchange["side"]) == ("exchange-rejection", "remote")
    assert exchange["original"]["ses_message_id"].endswith("-000000")
    assert (news["kind"], news["recipient"], news["category"]) == ("not-a-bounce", None, None)
    assert news["why"]


def test_the_table_has_a_line_for_each_and_totals(home: Home) -> None:
    home.copy(ALIAS, EXCHANGE)
    lines = home.triage("classify", "mails").stdout.splitlines()
    assert lines[0].split() == ["VERDICT", "CAUSE", "ACTOR", "RECIPIENT", "MAIL"]
    assert lines[1].split()[:3] == ["exchange-rejection", "recipient-unknown", "sender"]
    assert lines[2].split()[:3] == ["smtp-credentials", "alias-credentials-rejected", "mailbox-owner"]
    assert lines[3] == "2 mails: 1 exchange-rejection, 1 smtp-credentials"


def test_standard_input_and_several_paths(home: Home) -> None:
    home.copy(ALIAS)
    done = home.triage("classify", "-", f"mails/{ALIAS}", "--jsonl", stdin=(BOUNCES / EXCHANGE).read_bytes())
    assert [json.loads(line)["source"] for line in done.stdout.splitlines()] == ["-", f"mails/{ALIAS}"]


def test_what_cannot_be_read_is_told_and_the_rest_is_judged(home: Home) -> None:
    mails = home.copy(ALIAS)
    os.mkfifo(mails / "aaa.eml")
    done = home.triage("classify", "mails", "--jsonl")
    assert done.returncode == 1
    assert done.stdout.count("\n") == 1
    assert done.stderr == "mails/aaa.eml: not a regular file\n"


def test_json_is_utf8_whatever_the_terminal_is(home: Home) -> None:
    message = newsletter().replace(b"Autumn", "Törn ⛵".encode())
    for encoding in ("ascii", "latin-1", "utf-8"):
        done = home.triage("classify", "-", "--jsonl", stdin=message, PYTHONIOENCODING=encoding)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["kind"] == "not-a-bounce"


def test_file_names_of_any_bytes(home: Home) -> None:
    mails = home.copy(ALIAS)
    (mails / ALIAS).rename(os.fsdecode(os.fsencode(mails) + b"/b\xff\x1b[31m.eml"))
    for option in ([], ["--jsonl"]):
        done = home.triage("classify", "mails", *option)
        assert (done.returncode, done.stderr) == (0, "")
        assert "\x1b" not in done.stdout
    assert json.loads(done.stdout)["source"].startswith("mails/b")


def test_a_reader_that_has_seen_enough_is_no_error(home: Home) -> None:
    notice = (BOUNCES / ALIAS).read_bytes()
    (home.folder / "big.mbox").write_bytes((b"From x Mon Nov 23 14:05:00 2026\n" + notice + b"\n") * 300)
    for option in ("", "--jsonl", "--jsonl --jobs 2"):
        command = f"{sys.executable} -m triage.cli classify big.mbox {option} | head -n 1"
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {command}"],
            cwd=home.folder,
            env=home.env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stderr == ""
        assert done.stdout.count("\n") == 1
        assert done.returncode == 141


# run


def test_a_run_tells_its_totals_and_a_second_one_is_quiet(home: Home) -> None:
    home.copy(ALIAS, EXCHANGE)
    first = home.triage("run", "--mailbox", "mails")
    assert (first.returncode, first.stdout, first.stderr) == (
        0,
        "2 new mails: 2 verdicts, 0 no bounce; 1 incident opened.\n",
        "",
    )
    second = home.triage("run", "--mailbox", "mails")
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    said = home.triage("run", "--mailbox", "mails", "--verbose")
    assert said.stdout == "Nothing new. 0 new mails: 0 verdicts, 0 no bounce.\n"
    assert home.on_terminal("run", "--mailbox", "mails") == (0, said.stdout)


def test_a_dry_run_says_what_would_be_and_leaves_nothing_behind(home: Home) -> None:
    home.copy(ALIAS)
    before = set(home.folder.rglob("*"))
    done = home.triage("run", "--dry-run", "--mailbox", "mails")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Would record  smtp-credentials" in done.stdout
    assert done.stdout.splitlines()[-1] == "Nothing was written. It would be: 1 new mail: 1 verdict, 0 no bounce."
    assert set(home.folder.rglob("*")) == before


def test_a_run_with_unreadable_mails_says_which_and_ends_with_1(home: Home) -> None:
    mails = home.copy(ALIAS)
    os.mkfifo(mails / "aaa.eml")
    done = home.triage("run", "--mailbox", "mails")
    assert done.returncode == 1
    assert done.stderr == "mails/aaa.eml: not a regular file\n"
    assert "1 not readable" in done.stdout


# explain and report


def test_explain_an_alias_notice(home: Home) -> None:
    done = home.triage("explain", str(BOUNCES / ALIAS))
    assert (done.returncode, done.stderr) == (0, "")
    for words in (
        "What happened",
        "alias-credentials-rejected",
        "Next move    you, the owner of the mailbox (mailbox-owner)",
        "What to do",
        "January 2027",
        "Rule         relay-ses-credentials",
        "Evidence",
        "Genuine      pass: ",
        "SES id       none",
        "The way that mail took",
    ):
        assert words in done.stdout, words


def test_explain_a_refusal_behind_ses(home: Home) -> None:
    text = " ".join(home.triage("explain", str(BOUNCES / EXCHANGE)).stdout.split())
    assert "(us-west-2; found in: returned Message-ID)" in text
    assert "The way that mail took" in text or "The way the bounce itself took" in text
    assert "mx.google.com" in text


def test_explain_a_newsletter(home: Home) -> None:
    done = home.triage("explain", "-", stdin=newsletter())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("-: no bounce\n")
    assert "Why it is no bounce" in done.stdout


def test_explain_one_mail_of_an_mbox(home: Home) -> None:
    mails = [newsletter(), (BOUNCES / ALIAS).read_bytes()]
    mbox = b"".join(b"From x Mon Nov 23 14:05:00 2026\n" + mail + b"\n" for mail in mails)
    (home.folder / "two.mbox").write_bytes(mbox)
    assert "alias-credentials-rejected" in home.triage("explain", "two.mbox#2").stdout
    assert "no bounce" in home.triage("explain", "two.mbox#1").stdout
    assert "two.mbox#1" in assert_two_lines(home.triage("explain", "two.mbox"), 2)[1]
    assert_two_lines(home.triage("explain", "two.mbox#3"), 2)
    assert_two_lines(home.triage("explain", str(home.folder)), 2)


@pytest.fixture
def judged(home: Home) -> Home:
    home.copy(ALIAS, EXCHANGE)
    assert home.triage("run", "--mailbox", "mails").returncode == 0
    return home


def test_explain_from_the_database_by_number_and_by_message_id(judged: Home) -> None:
    with sqlite3.connect(judged.folder / "triage.db") as db:
        rows = db.execute("SELECT id, message_id, source FROM verdicts ORDER BY id").fetchall()
    db.close()
    assert len(rows) == 2
    for number, message_id, source in rows:
        for ident in (str(number), message_id, f"<{message_id}>"):
            done = judged.triage("explain", ident)
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout.startswith(f"{source}: a report about 1 recipient")
            assert "In the database" in done.stdout
            assert "The bounce\n" in done.stdout


def test_the_report_names_trouble_and_people(judged: Home) -> None:
    done = judged.triage("report", "--since", "900w")
    assert (done.returncode, done.stderr) == (0, "")
    text = " ".join(done.stdout.split())
    assert "ON YOUR SIDE 1 thing on your side needs repair; 1 person was not reached because of it." in text
    assert "1. The alias's SMTP login was refused (alias-credentials-rejected)" in text
    assert "Mails from admin@queenofsandiego.com" in text
    assert "WHO WAS NOT REACHED: 2 people" in text
    assert "WHAT THE OTHER SIDE REFUSED 1. The address does not exist (recipient-unknown)" in text
    assert "LAST RUNS" in text
    assert judged.triage("report", "--since", "1h").stdout.splitlines()[1] == "  Nothing came in."


def test_the_report_as_json(judged: Home) -> None:
    data = json.loads(judged.triage("report", "--since", "900w", "--format", "json").stdout)
    assert [one["cause"] for one in data["own"]] == ["alias-credentials-rejected"]
    assert len(data["missed"]) == 2
    assert data["runs"][0]["source"] == "mails"


# Terminals


def test_headings_stand_out_on_a_terminal_that_wants_it(judged: Home) -> None:
    code, text = judged.on_terminal("report", "--since", "900w")
    assert code == 0
    assert "\x1b[1mON YOUR SIDE\x1b[0m\n" in text
    for unwanted in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in judged.on_terminal("report", "--since", "900w", **unwanted)[1]
    assert "\x1b" not in judged.triage("report", "--since", "900w").stdout


IMPATIENT = "from triage import cli, cli_shared as s; s.PROGRESS_AFTER_SECONDS = -1.0; raise SystemExit(cli.main())"


def test_long_work_shows_a_bar_on_a_terminal_and_none_in_cron(home: Home) -> None:
    home.copy(ALIAS, EXCHANGE)
    code, text = home.on_terminal("run", "--mailbox", "mails", program=("-c", IMPATIENT))
    assert code == 0
    assert "Reading mails" in text
    assert text.splitlines()[-1].endswith("2 new mails: 2 verdicts, 0 no bounce; 1 incident opened.")
    again = home.triage("run", "--mailbox", "mails", program=("-c", IMPATIENT))
    assert (again.stdout, again.stderr) == ("", "")


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
    done = home.triage("explain", "-", stdin=hostile, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert "\x1b" not in done.stdout
    assert "T?rn" in done.stdout
