"""The texts that make a computer run triage: whatever the paths, cron, systemd and launchd start the same command."""

from __future__ import annotations

import os
import plistlib
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from triage.owner import schedule

ROOT = Path(schedule.__file__).parents[2]
PATHS = [
    "/opt/triage/bin/triage",
    "/Users/Jada Sailing/a b/triage",
    '/srv/100%/$HOME/it\'s "here"/triage',
    "/törn/triage",
]


@pytest.mark.parametrize("path", PATHS)
def test_cron_starts_the_very_command(path: str) -> None:
    text = schedule.cron_lines([path, "--config", f"{path}.toml"])
    jobs = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(jobs) == 2
    wanted = (["run"], ["report", "--deliver", "inbox", ">/dev/null"])
    for job, words in zip(jobs, wanted, strict=True):
        command = job.split(" ", 5)[5]
        assert "%" not in command.replace("\\%", ""), "crontab(5): an unescaped percent sign ends the command"
        assert shlex.split(command.replace("\\%", "%")) == [path, "--config", f"{path}.toml", *words]
    assert jobs[0].startswith("*/15 * * * * ")


def test_the_outbox_has_a_line_of_its_own_only_where_it_is_on() -> None:
    assert "outbox" not in schedule.cron_lines(["triage"]) + schedule.systemd_text(["triage"])
    assert "* * * * * triage outbox\n" in schedule.cron_lines(["triage"], outbox=True)
    unit = schedule.systemd_units(["/opt/triage"], outbox=True)["bounce-triage-outbox.service"]
    assert "ExecStart=/opt/triage outbox --watch\n" in unit
    assert "RestartPreventExitStatus=77 78" in unit
    assert "bounce-triage-outbox.service" in schedule.systemd_text(["triage"], outbox=True)


def test_launchd_keeps_the_outbox_running() -> None:
    texts = schedule.launchd_plists(["/opt/triage"], "/var/log/x.log", outbox=True)
    text = texts["bounce-triage-outbox.plist"]
    job = plistlib.loads(text.encode())
    assert job["ProgramArguments"] == ["/opt/triage", "outbox", "--watch"]
    assert (job["KeepAlive"], job["Label"]) == ({"SuccessfulExit": False}, "bounce-triage-outbox")
    assert "bounce-triage-outbox.plist" in text


@pytest.mark.parametrize("path", PATHS)
def test_launchd_starts_the_very_commands(path: str) -> None:
    texts = schedule.launchd_plists([path, "--config", "x"], "/var/log/x.log", ["mind -- this"])
    assert list(texts) == ["bounce-triage.plist", "bounce-triage-report.plist"]
    run, report = (plistlib.loads(text.encode()) for text in texts.values())
    assert run["ProgramArguments"] == [path, "--config", "x", "run"]
    assert (run["StartInterval"], run["StandardErrorPath"]) == (900, "/var/log/x.log")
    assert report["ProgramArguments"] == [path, "--config", "x", "report", "--deliver", "inbox"]
    assert [at["Hour"] for at in report["StartCalendarInterval"]] == list(range(8, 24))
    assert all(f"LaunchAgents/{name}" in text for name, text in texts.items())


def test_the_report_is_due_each_hour_until_it_is_there() -> None:
    """Monday at 8 with Gmail away, or the computer off, must not mean none that week."""
    assert "\n0 8-23 * * * triage report --deliver inbox >/dev/null\n" in schedule.cron_lines(["triage"])
    units = schedule.systemd_units(["/opt/triage"])
    assert "OnCalendar=*-*-* 08..23:00:00\nPersistent=true\n" in units["bounce-triage-report.timer"]
    service = units["bounce-triage-report.service"]
    assert "ExecStart=/opt/triage report --deliver inbox\n" in service
    assert "TimeoutStartSec=15min\n" in service
    assert "bounce-triage-report.timer" in schedule.systemd_text(["/opt/triage"]).split("enable --now")[1]


def test_the_systemd_text_holds_the_units_and_what_to_do_with_them() -> None:
    units = schedule.systemd_units(["/opt/triage"])
    text = schedule.systemd_text(["/opt/triage"], ["remark"])
    assert "TimeoutStartSec=12min" in units["bounce-triage.service"]
    parts = ("bounce-triage.service", "bounce-triage.timer", "bounce-triage-report.service")
    assert list(units) == [*parts, "bounce-triage-report.timer"]
    for name, unit in units.items():
        assert f"# ===== ~/.config/systemd/user/{name} =====\n{unit}" in text
    assert "systemctl --user" in text
    assert "# remark\n" in text
    assert "SuccessExitStatus=75\n" in units["bounce-triage.service"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here to check the units")
@pytest.mark.parametrize("name", ["triage", "a b%i", "$HOME 'x'"])
def test_systemd_accepts_the_units(tmp_path: Path, name: str) -> None:
    program = tmp_path / name
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for unit, text in schedule.systemd_units([str(program), "--config", f'{program} "q" %n.toml']).items():
        (tmp_path / unit).write_text(text)
    command = ["systemd-analyze", "verify", "--user", *(str(tmp_path / unit) for unit in schedule.systemd_units(["x"]))]
    env = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    if "'" in name:
        return  # started through /usr/bin/env, which systemd looks at instead
    program.unlink()
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert "is not executable" in done.stderr, "it does look at the command"


# The command


@pytest.mark.parametrize("kind", ["cron", "systemd", "launchd"])
def test_the_command_names_this_program_and_its_settings(tmp_path: Path, kind: str) -> None:
    (tmp_path / "triage.toml").write_text("")
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "TRIAGE_DATABASE": "x.db"}
    command = [sys.executable, "-m", "triage", "schedule", kind]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    program = Path(sys.executable).with_name("triage")
    assert (str(program) if program.exists() else sys.executable) in done.stdout
    assert str(tmp_path / "triage.toml") in done.stdout, "cron does not know this folder"
    assert "TRIAGE_DATABASE" in done.stdout, "nor this shell's variables"


def test_without_a_settings_file_none_is_named(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "triage", "schedule"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, "--config" in done.stdout, "Not seen there" in done.stdout) == (0, False, False)
