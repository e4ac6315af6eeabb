"""Many mailboxes from one settings file: a database each, one bad one stops no other, one page over all."""

from __future__ import annotations

import json
import shutil
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from tests.doubles.gmail import GmailDouble
from tests.worlds.made_mails import alias_notice, put_into_sent
from tests.worlds.run_world import clock, seed
from triage import many, store
from triage.cli.program import main
from triage.config import MailboxSettings, Settings, load_settings, mailbox_settings
from triage.errors import ConfigError, CredentialsDead, TryLater, UsageError
from triage.lock import locked
from triage.model import RunSummary
from triage.report import overview_json, overview_text, read_overview

TABLES = """notes = false
alert_inbox = false

[[mailbox]]
name = "office"

[[mailbox]]
name = "kim"
account = "jadasailing@gmail.com"

[[mailbox]]
name = "gone"
"""


@pytest.fixture
def home(gmail: GmailDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three mailboxes (in truth one double), of which nobody is signed in to the third."""
    put_into_sent(gmail)
    gmail.write_credentials(tmp_path)
    for name in ("office", "kim"):
        shutil.copy(tmp_path / "token.json", tmp_path / f"{name}-token.json")
    (tmp_path / "token.json").unlink()
    (tmp_path / "triage.toml").write_text(TABLES)
    monkeypatch.setenv("TRIAGE_GMAIL_URL", gmail.url)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def env(gmail: GmailDouble) -> dict[str, str]:
    return {"TRIAGE_GMAIL_URL": gmail.url}


def test_each_mailbox_has_files_of_its_own_and_what_the_file_says_for_all(gmail: GmailDouble, home: Path) -> None:
    office, kim, gone = mailbox_settings(home / "triage.toml", env(gmail))
    assert [one.name for one in (office, kim, gone)] == ["office", "kim", "gone"]
    assert isinstance(office.settings, Settings)
    assert isinstance(kim.settings, Settings)
    assert office.settings.database == home / "office.db"
    assert office.settings.token == home / "office-token.json"
    assert office.settings.credentials == kim.settings.credentials == home / "credentials.json"
    assert not kim.settings.notes
    assert kim.settings.mailbox == "jadasailing@gmail.com"
    assert load_settings(home / "triage.toml", env(gmail), None, "kim") == kim.settings


@pytest.mark.parametrize(
    ("tables", "what"),
    [
        ("[[mailbox]]\n", "number 1 has no name"),
        ('[[mailbox]]\nname = "../x"\n', "number 1 has no name"),
        ('[[mailbox]]\nname = "a"\n[[mailbox]]\nname = "A"\n', "two [[mailbox]] tables are named A"),
        ('[[mailbox]]\nname = "a"\nalerts = ["ntfy://x"]\n', "Others can read"),
    ],
)
def test_tables_that_cannot_be_told_apart_or_hold_open_secrets_end_it(tmp_path: Path, tables: str, what: str) -> None:
    (tmp_path / "triage.toml").write_text(tables)
    (tmp_path / "triage.toml").chmod(0o644)
    with pytest.raises(ConfigError) as told:
        mailbox_settings(tmp_path / "triage.toml", {})
    assert what in told.value.what


def test_a_wrong_value_is_a_fault_of_its_mailbox_alone(tmp_path: Path) -> None:
    text = (
        '[[mailbox]]\nname = "a"\nsubject = []\n[[mailbox]]\nname = "b"\n[[mailbox]]\nname = "c"\ndatabase = "b.db"\n'
    )
    (tmp_path / "triage.toml").write_text(text)
    a, b, c = mailbox_settings(tmp_path / "triage.toml", {})
    assert isinstance(a.settings, ConfigError)
    assert "[[mailbox]] a: there is no setting 'subject'" in a.settings.what
    assert isinstance(b.settings, Settings)
    assert isinstance(c.settings, ConfigError)
    assert "The mailboxes b and c have the same database" in c.settings.what


def test_the_setting_of_the_same_name_stays_a_text(tmp_path: Path) -> None:
    (tmp_path / "triage.toml").write_text('mailbox = "jadasailing@gmail.com"\n')
    assert mailbox_settings(tmp_path / "triage.toml", {}) == []
    assert load_settings(tmp_path / "triage.toml", {}).mailbox == "jadasailing@gmail.com"
    with pytest.raises(UsageError, match="no mailbox named 'kim'"):
        load_settings(tmp_path / "triage.toml", {}, None, "kim")


def test_one_bad_mailbox_stops_no_other_and_the_exit_code_is_the_worst(
    gmail: GmailDouble, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed(gmail, alias_notice(1))
    assert main(["run"]) == CredentialsDead.exit_code
    out, err = capsys.readouterr()
    assert sorted(line.partition(":")[0] for line in out.splitlines()) == ["kim", "office"]
    assert "gone: No Google account is signed in" in err
    assert "(with --mailbox-name gone)" in err
    for name in ("office", "kim"):
        db = store.open_readonly(home / f"{name}.db")
        assert db is not None
        with closing(db):
            assert len(store.find_mails(db, next(iter(gmail.messages)))) <= 1
            assert store.read_cursor(db) is not None
    assert main(["run", "--mailbox-name", "office"]) == 0
    assert capsys.readouterr().out == "", "nothing is new, and cron mails every word"


def test_a_mailbox_that_is_being_read_is_left_to_that_run(gmail: GmailDouble, home: Path) -> None:
    everything = mailbox_settings(home / "triage.toml", env(gmail))
    with locked(home / "office.db"):
        office, kim, gone = many.run_each(everything, clock)
    assert isinstance(office.outcome, TryLater)
    assert isinstance(kim.outcome, RunSummary)
    assert [one.exit_code for one in (office, kim, gone)] == [75, 0, 77]


def test_no_more_than_asked_for_are_read_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import threading

    at_work, most, gate = 0, 0, threading.Lock()

    def fake(settings: Settings, clock: object, *, since: object = None) -> RunSummary:
        nonlocal at_work, most
        with gate:
            at_work += 1
            most = max(most, at_work)
        threading.Event().wait(0.01)
        with gate:
            at_work -= 1
        return RunSummary()

    monkeypatch.setattr(many.worker, "run", fake)
    settings = load_settings(None, {"TRIAGE_DATABASE": str(tmp_path / "x.db")})
    found = list(many.run_each([MailboxSettings(f"m{n}", settings) for n in range(40)], clock, at_once=3))
    assert [one.name for one in found] == [f"m{n}" for n in range(40)]
    assert 2 <= most <= 3


def test_our_own_mistake_with_one_mailbox_stops_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    good = load_settings(None, {"TRIAGE_DATABASE": str(tmp_path / "x.db")})

    def trips(settings: Settings, clock: object, *, since: object = None) -> RunSummary:
        if settings.database.name == "bad.db":
            raise RuntimeError("never seen before")
        return RunSummary()

    monkeypatch.setattr(many.worker, "run", trips)
    bad = load_settings(None, {"TRIAGE_DATABASE": str(tmp_path / "bad.db")})
    first, second = many.run_each([MailboxSettings("bad", bad), MailboxSettings("good", good)], clock)
    assert first.exit_code == 1
    assert "RuntimeError" in str(first.outcome)
    assert second.outcome == RunSummary()


@pytest.mark.parametrize(
    ("error", "cut_at", "code", "what"),
    [
        (KeyError("state"), 5000, 78, "bad.db is damaged"),
        (OSError(28, "No space left on device", "bad.db"), None, 78, "bad.db: No space left on device"),
        (MemoryError(), None, 75, "not enough memory"),
    ],
    ids=["database", "disk", "memory"],
)
def test_what_is_no_mistake_of_ours_is_not_called_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, cut_at: int | None, code: int, what: str
) -> None:
    settings = load_settings(None, {"TRIAGE_DATABASE": str(tmp_path / "bad.db")})
    store.open_store(settings.database).close()
    if cut_at:
        settings.database.write_bytes(settings.database.read_bytes()[:cut_at])

    def trips(settings: Settings, clock: object, *, since: object = None) -> RunSummary:
        raise error

    monkeypatch.setattr(many.worker, "run", trips)
    [told] = many.run_each([MailboxSettings("bad", settings)], clock)
    assert told.exit_code == code
    assert what in str(told.outcome)
    assert "triage itself" not in str(told.outcome)


def test_the_same_trouble_behind_two_mailboxes_is_told_once(
    gmail: GmailDouble, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed(gmail, alias_notice(1), alias_notice(2))
    everything = mailbox_settings(home / "triage.toml", env(gmail))
    list(many.run_each(everything, clock))
    overview = read_overview(everything, since=clock() - timedelta(days=7), now=clock())
    assert overview.mailboxes == 3
    assert overview.broken == ("office", "kim")
    assert [name for name, _ in overview.unread] == ["gone"]
    [trouble] = overview.troubles
    assert trouble.mailboxes == ("office", "kim")
    text = overview_text(overview, 80)
    assert text.startswith("2 of 3 mailboxes have something to repair. 1 is not being read.")
    assert "In office and kim, since" in text
    assert "triage report --mailbox-name office" in text
    assert all(len(line) <= 80 for line in text.splitlines())
    assert overview_json(overview)["broken"] == ("office", "kim")
    capsys.readouterr()
    assert main(["report", "--since", "52w", "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["troubles"]) == 1


def test_a_page_over_forty_mailboxes_stays_one_screen(tmp_path: Path) -> None:
    gone = [MailboxSettings(f"m{n}", ConfigError("no such file", "Make it.")) for n in range(40)]
    overview = read_overview(gone, since=clock() - timedelta(days=7), now=clock())
    text = overview_text(overview, 80)
    assert text.startswith("Nothing to repair in 40 mailboxes. 40 are not being read.")
    assert len(text.splitlines()) <= 40


def test_doctor_and_incidents_tell_of_each_under_its_name(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run"]) == 77
    capsys.readouterr()
    assert main(["incidents"]) == 0 if (home / "gone.db").exists() else 78
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("==")] == [
        "== office",
        "== kim",
        "== gone",
    ]
    assert main(["doctor"]) == 77
    assert capsys.readouterr().out.count("\nok    rules ") == 3


@pytest.mark.parametrize(
    "arguments",
    [["incidents", "--json"], ["doctor", "--json"], ["report", "--full"], ["run", "--dry-run"], ["retry"], ["browse"]],
)
def test_what_is_for_one_mailbox_asks_which(
    arguments: list[str], home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasette", sys)
    assert main(arguments) == 2
    assert "--mailbox-name office" in capsys.readouterr().err


def test_the_example_of_the_docs_is_one(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "scale.md").read_text(encoding="utf-8")
    (tmp_path / "triage.toml").write_text(text.partition("```toml\n")[2].partition("```")[0])
    (tmp_path / "triage.toml").chmod(0o600)
    office, harbour = mailbox_settings(tmp_path / "triage.toml", {})
    assert isinstance(office.settings, Settings)
    assert isinstance(harbour.settings, Settings)
    assert office.settings.regions == harbour.settings.regions == ("us-east-1",)
    assert harbour.settings.smtp_alias == harbour.settings.mailbox == "harbour@example.org"
