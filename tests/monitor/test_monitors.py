"""A run tells monitors how it ended, whatever it was: a log, a file of figures, JSON, and one line for Nagios."""

from __future__ import annotations

import json
import os
import re
import stat
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.gmail import GmailDouble
from tests.worlds.made_mails import refusal
from tests.worlds.run_world import ask, seed, settings_over, trip_over
from triage import run as worker
from triage.cli.program import main
from triage.config import Settings
from triage.gmail.client import connect
from triage.own_files import write_whole

SAMPLE = re.compile(r'bounce_triage_[a-z_]+(\{[a-z]+="[\w-]+"(,[a-z]+="[\w-]+")*\})? -?[0-9.e+]+')


@pytest.fixture
def settings(gmail: GmailDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    settings = settings_over(gmail, tmp_path, monkeypatch, f'metrics_file = "{tmp_path}/triage.prom"\n')
    monkeypatch.setenv("TRIAGE_GMAIL_URL", gmail.url)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return settings


def figures(path: Path) -> dict[str, float]:
    """The samples by name and labels; every line is one, a comment, or the end."""
    lines = path.read_text("ascii").splitlines()
    assert lines[-1] == "# EOF"
    assert all(line.startswith("# ") or SAMPLE.fullmatch(line) for line in lines)
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def test_a_run_tells_its_times_retries_and_waits(
    gmail: GmailDouble, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed(gmail, refusal(1))
    gmail.fail("messages.list", status=503)
    assert main(["run", "--json", "--since", "520w", "--log-file", "run.log"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["exit_code"], told["error"], told["judged"], told["retries"]) == (0, None, 1, 1)
    parts = ["beginning", "events", "reading", "evidence", "labels", "notes", "alerts"]
    assert list(told["seconds"]) == parts
    [row] = ask(settings, "SELECT retries, waited, seconds FROM runs")
    assert row["retries"] == 1
    assert row["waited"] == told["waited"]
    assert json.loads(row["seconds"]) == told["seconds"]
    assert json.loads((tmp_path / "run.log").read_text()) == told
    found = figures(tmp_path / "triage.prom")
    assert found["bounce_triage_run_exit_code"] == 0
    assert found['bounce_triage_run_count{what="judged"}'] == 1
    assert found['bounce_triage_run_part_seconds{part="reading"}'] == told["seconds"]["reading"]
    assert found["bounce_triage_good_run_timestamp_seconds"] > 0
    assert found["bounce_triage_open_incidents"] == 0


def test_a_run_that_fails_is_told_too(gmail: GmailDouble, settings: Settings, tmp_path: Path, capsys: Any) -> None:
    gmail.fail("messages.list", times=None, status=503)
    assert main(["run", "--json", "--log-file", "run.log"]) == 75
    out, err = capsys.readouterr()
    assert json.loads(out)["exit_code"] == 75
    assert err.startswith("triage: Gmail")
    assert figures(tmp_path / "triage.prom")["bounce_triage_run_exit_code"] == 75
    settings.database.write_bytes(b"S")
    assert main(["run", "--log-file", "run.log"]) == 78
    assert figures(tmp_path / "triage.prom")["bounce_triage_run_exit_code"] == 78
    (tmp_path / "triage.toml").write_text("nonsense = 1\n")
    assert main(["run", "--log-file", "run.log"]) == 78
    lines = [json.loads(line) for line in (tmp_path / "run.log").read_text().splitlines()]
    assert [line["exit_code"] for line in lines] == [75, 78, 78]


def test_the_log_is_private_survives_rotation_and_quotes_no_mail(
    gmail: GmailDouble, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [mail] = seed(gmail, refusal(1))
    trip_over(monkeypatch, b"bounce-1@")
    log = tmp_path / "run.log"
    before = os.umask(0)
    try:
        assert main(["run", "--since", "520w", "--log-file", str(log)]) == 1
    finally:
        os.umask(before)
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert json.loads(log.read_text())["failures"] == [f"gmail:{mail}"]
    assert "too deep" not in log.read_text()
    log.rename(tmp_path / "run.log.1")
    assert main(["run", "--log-file", str(log)]) in (0, 1)
    assert len(log.read_text().splitlines()) == 1


@pytest.mark.parametrize("place", ["/proc/no/such.prom", "link.log", "pipe.log"])
def test_what_cannot_be_written_is_said_and_nothing_waits(
    gmail: GmailDouble, settings: Settings, tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "link.log").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "pipe.log")
    assert main(["run", "--log-file", place]) == 1
    assert f"Not told: the log file {place}: " in capsys.readouterr().err
    assert not (tmp_path / "elsewhere").exists()


def test_figures_are_whole_readable_and_leave_nothing_behind(
    gmail: GmailDouble, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = os.umask(0o077)
    try:
        assert main(["run"]) == 0
    finally:
        os.umask(before)
    file = tmp_path / "triage.prom"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    file.unlink()
    file.mkdir()
    assert main(["run"]) == 1
    assert "Not told: the metrics_file" in capsys.readouterr().err
    assert not list(tmp_path.glob(".triage.prom.*"))


def test_who_may_write_to_the_folder_cannot_open_a_file_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of node_exporter is another user's: he may put a link under the name of the fresh file."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "token.json").write_text("secret")
    (tmp_path / "token.json").chmod(0o600)
    open_file = os.fdopen

    def swapped(opened: int, *args: Any, **more: Any) -> Any:
        [fresh] = (tmp_path / "folder").iterdir()
        fresh.unlink()
        fresh.symlink_to(tmp_path / "token.json")
        return open_file(opened, *args, **more)

    monkeypatch.setattr("os.fdopen", swapped)
    write_whole(tmp_path / "folder" / "triage.prom", "figures\n", 0o644)
    assert stat.S_IMODE((tmp_path / "token.json").stat().st_mode) == 0o600
    assert (tmp_path / "token.json").read_text() == "secret"


def test_each_of_several_mailboxes_has_figures_of_its_own(
    gmail: GmailDouble, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "office-token.json").write_bytes(settings.token.read_bytes())
    (tmp_path / "office-token.json").chmod(0o600)
    with (tmp_path / "triage.toml").open("a") as file:
        file.write('\n[[mailbox]]\nname = "office"\n[[mailbox]]\nname = "gone"\n')
    assert main(["run", "--log-file", "run.log"]) == 77
    assert figures(tmp_path / "triage-office.prom")['bounce_triage_run_exit_code{mailbox="office"}'] == 0
    assert figures(tmp_path / "triage-gone.prom")['bounce_triage_run_exit_code{mailbox="gone"}'] == 77
    lines = [json.loads(line) for line in (tmp_path / "run.log").read_text().splitlines()]
    assert {line["mailbox"]: line["exit_code"] for line in lines} == {"office": 0, "gone": 77}


@pytest.mark.parametrize(
    ("state", "code", "begins"),
    [
        ("well", 0, "TRIAGE OK - "),
        ("worth a look", 1, "TRIAGE WARNING - "),
        ("failed", 2, "TRIAGE CRITICAL - "),
        ("unknown", 3, "TRIAGE UNKNOWN - "),
    ],
)
def test_doctor_as_a_plug_in_of_nagios(
    settings: Settings,
    state: str,
    code: int,
    begins: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from triage.owner import doctor

    check = {"well": "ok", "worth a look": "warn", "failed": "fail"}.get(state)

    def examine(*_: Any) -> Any:
        if check is None:
            raise ZeroDivisionError("never | seen")
        return [doctor.HealthCheck("settings", "ok", "fine"), doctor.HealthCheck("disk", check, "a | b\nc")]  # type: ignore[arg-type]

    monkeypatch.setattr(doctor, "examine", examine)
    assert main(["doctor", "--nagios"]) == code
    out = capsys.readouterr().out
    assert out.startswith(begins)
    assert len(out.splitlines()) == 1
    assert "|" not in out


def test_a_real_doctor_speaks_for_all_mailboxes(
    gmail: GmailDouble, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    from triage.owner import doctor

    monkeypatch.setattr(doctor, "connect", partial(connect, sleep=lambda _: None), raising=False)
    assert worker.run(settings, lambda: worker_now()).exit_code == 0
    with (tmp_path / "triage.toml").open("a") as file:
        file.write('\n[[mailbox]]\nname = "office"\n')
    assert main(["doctor", "--nagios"]) == 2
    assert "office, " in capsys.readouterr().out


def worker_now() -> Any:
    from triage.cli.shared import now

    return now()


def test_a_dry_run_tells_no_monitor(gmail: GmailDouble, settings: Settings, tmp_path: Path) -> None:
    assert main(["run", "--dry-run", "--log-file", "run.log"]) == 2
    assert main(["run", "--dry-run"]) == 0
    assert list(tmp_path.glob("*.prom")) == []
