"""What people type wrongly: each time one line says what is wrong, and a second one what to do about it."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.home import ALIAS, BOUNCES
from triage import store
from triage.cli.program import main
from triage.display import tell_times_in

NO_DATABASE = "There is no database"
FIRST = "Run `triage run` first"

# In a folder without a database: (command line, exit code, words of the first line, words of the second).
BEFORE_THE_FIRST_RUN = [
    ("report", 78, NO_DATABASE, FIRST),
    ("report --json", 78, NO_DATABASE, FIRST),
    ("report --deliver inbox", 78, NO_DATABASE, FIRST),
    ("incidents", 78, NO_DATABASE, FIRST),
    ("incidents show 3", 78, NO_DATABASE, FIRST),
    ("incidents close 3 --why repaired", 78, NO_DATABASE, FIRST),
    ("explain 12", 78, NO_DATABASE, FIRST),
    ("explain --for-admin 12", 78, NO_DATABASE, FIRST),
    ("rejudge", 78, NO_DATABASE, FIRST),
    ("rejudge --apply", 78, NO_DATABASE, FIRST),
    ("retry", 78, NO_DATABASE, FIRST),
    ("undo notes", 78, NO_DATABASE, FIRST),
    ("undo labels --dry-run", 78, NO_DATABASE, FIRST),
    ("resend", 78, NO_DATABASE, FIRST),
    ("resend 3 --dry-run", 78, NO_DATABASE, FIRST),
    ("backup", 78, NO_DATABASE, FIRST),
    ("outbox --was-sent 1", 78, NO_DATABASE, FIRST),
    ("run", 77, "No Google account is signed in", "Run `triage auth`"),
    ("run --dry-run", 77, "No Google account is signed in", "Run `triage auth`"),
    ("rebuild", 77, "No Google account is signed in", "Run `triage auth`"),
    ("auth --headless", 78, "There is no OAuth client file", "Create an OAuth client"),
    ("restore", 78, "There is no backup", "triage rebuild"),
    ("restore nowhere.db", 78, "There is no file nowhere.db", "triage restore --list"),
]

# In a folder with an empty database.
WRONG = [
    # Words nobody knows.
    ("clasify mails", 2, "no command `triage clasify`", "`triage classify`"),
    ("nonsense", 2, "no command `triage nonsense`", "`triage help`"),
    ("config chek", 2, "no command `triage config chek`", "`triage config check`"),
    ("incidents shwo 3", 2, "no command `triage incidents shwo`", "`triage incidents show`"),
    ("incidents 3", 2, "no command `triage incidents 3`", "`triage incidents show 3`"),
    ("credentials rotate begin", 2, "no command `triage credentials rotate begin`", "triage help credentials rotate"),
    ("help reprot", 2, "no command 'reprot'", "`triage help`"),
    ("help docs/nowhere.md", 2, "no page 'docs/nowhere.md'", "docs/causes.md"),
    ("-v", 2, "`triage` has no option -v", "--verbose"),
    ("report -v", 2, "`triage report` has no option -v", "--verbose"),
    ("report --sinc 7d", 2, "has no option --sinc", "--since"),
    ("report --full --pdf", 2, "has no option --pdf", "`triage help report`"),
    ("run extra", 2, "a word too many: extra", "triage run --dry-run"),
    ("doctor now please", 2, "a word too many: now please", "`triage doctor`"),
    ("config show notes", 2, "a word too many: notes", "triage config show"),
    # What is missing.
    ("classify", 2, "PATH is missing", "triage classify saved-bounces/"),
    ("explain", 2, "ID|FILE|TEXT is missing", "triage explain 12"),
    ("undo", 2, "missing: notes or labels", "triage undo notes --dry-run"),
    ("completion", 2, "missing: bash or zsh or fish", "triage completion bash"),
    ("check-address", 2, "A@B is missing", "triage check-address pat@client.example"),
    ("incidents show", 2, "ID is missing", "triage incidents show 3"),
    ("incidents close 3", 2, "--why is missing", "--why"),
    ("incidents close 3 --why ' '", 2, "--why is empty", "what shows that it is over"),
    ("credentials derive", 2, "--region is missing", "--region us-east-1"),
    ("credentials derive --region", 2, "--region needs a value", "--region us-east-1"),
    ("report --since", 2, "--since needs a value", "triage report --since monday"),
    ("--config", 2, "--config needs a value", "`triage help`"),
    # Values that are none.
    ("report --since lately", 2, "'lately' is neither a length of time nor a day", "yesterday, monday, 2026-11-20"),
    ("report --since 3x", 2, "'3x' is neither", "12h, 7d, 4w"),
    ("report --since 20.11.2026", 2, "'20.11.2026' is neither", "2026-11-20"),
    ("report --since 2026-02-30", 2, "'2026-02-30' is neither", "2026-11-20"),
    ("report --since 2999-01-01", 2, "lies ahead", "a day that has begun"),
    ("run --since 1985-01-01", 2, "more than 20 years ago", "a later one"),
    ("rebuild --since soon", 2, "'soon' is neither", "monday"),
    ("resend --since soon", 2, "'soon' is neither", "monday"),
    ("incidents show abc", 2, "ID: 'abc' is no number", "triage incidents show 3"),
    ("incidents show 0", 2, "ID: 0 is less than 1", "triage incidents show 3"),
    ("incidents show 99", 2, "There is no incident 99", "triage incidents --all"),
    ("incidents close 99 --why x", 2, "There is no incident 99", "triage incidents --all"),
    ("resend abc", 2, "INCIDENT: 'abc' is no number", "triage resend --dry-run"),
    ("resend 99 --dry-run", 2, "There is no incident 99", "triage incidents"),
    ("resend --cause nonsense", 2, "There is no cause 'nonsense'", "docs/causes.md"),
    ("resend --was-sent 9", 2, "There is no mail 9 in doubt", "triage resend --dry-run"),
    ("explain nowhere.eml", 2, "There is no file 'nowhere.eml'", "Give a file"),
    ("explain 12", 2, "There is no file '12'", "a number from `triage report`"),
    ("explain --said-by me '550 5.1.1 no'", 2, "--said-by: 'me' is not one of", "triage explain 12"),
    ("explain --for-admin 12", 2, "nothing to write to an administrator", "triage explain 12"),
    ("explain empty", 2, "empty", "Name a folder"),
    ("undo drafts", 2, "'drafts' is not one of 'notes', 'labels'", "triage undo notes --dry-run"),
    ("schedule windows", 2, "'windows' is not one of 'cron', 'systemd', 'launchd'", "triage schedule"),
    ("completion tcsh", 2, "'tcsh' is not one of 'bash', 'zsh', 'fish'", "triage completion bash"),
    ("doctor --iam-policy all", 2, "--iam-policy: 'all' is not one of", "triage doctor"),
    ("auth --port 80", 2, "--port: 80 is not between 1024 and 65535", "triage auth"),
    ("browse --port abc", 2, "--port: 'abc' is no number", "triage browse"),
    ("classify --jobs 0 mail.eml", 2, "--jobs: 0 is not between 1 and 64", "triage classify"),
    ("classify nowhere.eml", 2, "nowhere.eml", "Name a file"),
    ("classify empty", 2, "no mails in this folder", ".eml"),
    ("run --mailbox nowhere", 2, "nowhere", "Name a file"),
    ("audit a..b", 2, "'a..b' is no domain", "example.org"),
    ("audit --address pat", 2, "'pat' is no mail address", "NAME@example.org"),
    ("audit --format xml", 2, "--format: 'xml' is not one of", "triage audit"),
    ("outbox please", 2, "'please' is not 'migrate'", "triage outbox"),
    ("credentials rotate start --if-older-than old", 2, "'old' is no length of time", "7d"),
    # Things that do not go together.
    ("report --json --csv", 2, "cannot be json and csv at once", "all but one"),
    ("report --format html --json", 2, "cannot be json and html at once", "all but one"),
    ("report --open --csv", 2, "A browser shows HTML, not csv", "--open"),
    ("classify --json --jsonl mail.eml", 2, "cannot be json and jsonl at once", "all but one"),
    ("run --since 3d --mailbox mail.eml", 2, "--since is for Gmail", "Leave one of them out"),
    ("resend 3 --cause mailbox-full", 2, "two ways to say who was hit", "Leave one of them out"),
    ("resend --region us-east-1", 2, "--region is for --send", "Leave it out"),
    ("resend --was-sent 1 --was-not-sent 1", 2, "cannot both be true", "one of them"),
    ("outbox --was-sent 1 --was-not-sent 1", 2, "cannot both be true", "one of them"),
    ("restore --json", 2, "--json is for the list of copies", "--list"),
    ("--config outbox.toml outbox --watch --json", 2, "no end", "--watch out"),
    ("--config outbox.toml outbox --watch --dry-run", 2, "--watch sends, --dry-run does not", "Leave one of them out"),
    # Files.
    ("report --output r.xlsx", 2, "A file .xlsx cannot be written", ".txt, .md, .html, .json, .csv"),
    ("audit --output r.csv", 2, "A file .csv cannot be written", ".txt, .md, .html, .json"),
    ("incidents --output r.md", 2, "A file .md cannot be written", ".txt, .json, .jsonl, .csv"),
    ("report --json --output r.html", 2, "r.html would hold json", "agree"),
    ("report --output nowhere/r.html", 2, "No such file or directory", "a folder that is there"),
    ("report --output empty", 2, "is a directory", "triage report"),
    ("incidents --output pipe.txt", 2, "is no plain file", "leave --output out"),
    # Settings.
    ("--config nowhere.toml report", 78, "nowhere.toml': no such configuration file", "existing file"),
    ("report --config region.toml", 78, "regions = 'us-est-1': AWS has no such region", "'us-east-1'"),
    ("report --config name.toml", 78, "databas", "Did you mean 'database'?"),
    ("--mailbox-name second report", 2, "There is no mailbox named 'second'", "Leave --mailbox-name out"),
    ("outbox", 78, "The outbox is off", "docs/outbox.md"),
    ("--config no-way-out.toml outbox", 78, "No address to send as", "outbox_from"),
    ("credentials status", 78, "smtp_user, smtp_secret, smtp_region", "triage.toml"),
    ("credentials check", 78, "no SMTP server", "smtp_region"),
    ("credentials derive x --region us-east-1", 2, "not taken as an argument", "paste the secret"),
    ("credentials rotate confirm", 78, "No rotation is under way", "triage credentials rotate start"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("TRIAGE_CONFIG", "AWS_PROFILE", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TRIAGE_DATABASE", str(tmp_path / "triage.db"))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    tell_times_in(None)


def assert_helps(line: str, code: int, what: str, todo: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The command line ends with this code and two lines, the first about what is wrong."""
    assert main(shlex.split(line)) == code
    out, err = capsys.readouterr()
    assert out == ""
    first, second = err.splitlines()
    assert first.startswith("triage: ")
    assert what in first
    assert todo in second
    assert "Traceback" not in err
    assert len(first) < 300, "one line that can be read"


@pytest.mark.parametrize(("line", "code", "what", "todo"), BEFORE_THE_FIRST_RUN, ids=lambda value: str(value)[:50])
def test_before_the_first_run(
    folder: Path, line: str, code: int, what: str, todo: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_helps(line, code, what, todo, capsys)
    assert not (folder / "triage.db").exists() or line == "run"  # a run that fails is on record


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "triage.db"
    with closing(store.open_store(path)):
        pass
    return path


@pytest.mark.parametrize(("line", "code", "what", "todo"), WRONG, ids=lambda value: str(value)[:50])
def test_wrong_usage(
    folder: Path,
    empty_database: Path,
    line: str,
    code: int,
    what: str,
    todo: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copy(empty_database, folder / "triage.db")
    shutil.copy(BOUNCES / ALIAS, folder / "mail.eml")
    (folder / "empty").mkdir()
    (folder / "pipe.txt").symlink_to("/dev/null")
    (folder / "region.toml").write_text('regions = ["us-est-1"]\n')
    (folder / "name.toml").write_text('databas = "x.db"\n')
    (folder / "no-way-out.toml").write_text("outbox = true\n")
    sender = 'outbox_from = ["admin@example.org"]\nsmtp_region = "us-east-1"\n'
    (folder / "outbox.toml").write_text(f"outbox = true\n{sender}")
    assert_helps(line, code, what, todo, capsys)


def test_the_table_is_as_long_as_was_asked_for() -> None:
    lines = [row[0] for row in (*BEFORE_THE_FIRST_RUN, *WRONG)]
    assert len(set(lines)) >= 74
    assert not [row for row in (*BEFORE_THE_FIRST_RUN, *WRONG) if not row[2] or not row[3]]


def test_two_regions_are_told_apart(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "triage.toml").write_text('regions = ["us-east-1", "us-west-2"]\ndns = "127.0.0.1:9"\n')
    main(["check-address", "pat"])
    assert "no mail address" in capsys.readouterr().out
    from remediation.audit.address import check_suppressed
    from remediation.aws import NotLookedUp

    nobody = NotLookedUp("the suppression list", "no AWS credentials", "no-credentials")
    for entry in (None, nobody):
        told = [check_suppressed("pat@client.example", region, entry) for region in ("us-east-1", "us-west-2")]
        assert "us-east-1" in f"{told[0].subject} {told[0].answered}"
        assert "us-west-2" in f"{told[1].subject} {told[1].answered}"
