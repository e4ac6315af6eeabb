"""What makes a computer run triage by itself, as text: lines for cron, units for systemd, a job for launchd.

Pure. Installs nothing: it is the owner who puts these texts where they belong, and each says where that is.
"""

from __future__ import annotations

import plistlib
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

EVERY_MINUTES = 15
"""A quiet run costs two requests, and a bounce is news for hours."""

FIRST_HOUR, LAST_HOUR = 8, 23
"""The week's report is put into the inbox on Monday at 8. Where that is not possible then (Gmail away, computer off)
the next hour makes up for it, any day: asked again, it does nothing once it is there."""

UNIT = "bounce-triage"
REPORT_MINUTES = 15
"""After so long a report that is still being made is ended; the next hour makes it."""
REPORT = ("report", "--deliver", "inbox")
SUCCESS_TOO = 75  # another run is at work, Gmail is away: the next run will do


def cron_lines(command: Sequence[str], remarks: Sequence[str] = (), *, outbox: bool = False) -> str:
    """Lines for a crontab. `command` is the program with its settings, to which what it is to do is added.

    `outbox`: it sends labelled drafts too, looking each minute.
    """
    wanted = (("run",), REPORT, ("outbox",))
    run, report, send = (_cron_command([*command, *words]) for words in wanted)
    lines = [
        "# Put these lines into your crontab: crontab -e",
        "# A quiet run prints nothing, so cron only mails you when something bounced or went wrong.",
        *(f"# {remark}" for remark in remarks),
        f"*/{EVERY_MINUTES} * * * * {run}",
        "# The report of each week: on Monday at 8, else as soon after that as it can be had; once there, nothing.",
        f"0 {FIRST_HOUR}-{LAST_HOUR} * * * {report} >/dev/null",  # it says what it did, which cron would mail
        *([f"* * * * * {send}"] if outbox else []),
        "# Later, to see that it works: triage doctor",
    ]
    return "\n".join(lines) + "\n"


def systemd_units(command: Sequence[str], run_minutes: int = 10, *, outbox: bool = False) -> dict[str, str]:
    """The user units by file name: a service and a timer for the run, for the report, and a service that stays.

    `run_minutes`: as in the settings; a run that does not end by itself two minutes later is ended.
    """
    report_service = f"""[Unit]
Description=Put the week's report about bounces into the inbox, unless it is there

[Service]
Type=oneshot
ExecStart={_exec_start([*command, *REPORT])}
# {SUCCESS_TOO}: Gmail is away; the next hour will do.
SuccessExitStatus={SUCCESS_TOO}
TimeoutStartSec={REPORT_MINUTES}min
UMask=0077
Nice=10
"""
    report_timer = f"""[Unit]
Description=Start {UNIT}-report each hour: it does nothing once the week's report is there

[Timer]
OnCalendar=*-*-* {FIRST_HOUR:02d}..{LAST_HOUR}:00:00
Persistent=true

[Install]
WantedBy=timers.target
"""
    service = f"""[Unit]
Description=Read the bounces of a Gmail mailbox and say why each failed

[Service]
Type=oneshot
ExecStart={_exec_start([*command, "run"])}
# {SUCCESS_TOO}: another run is at work, or Gmail is away; the next run will do.
SuccessExitStatus={SUCCESS_TOO}
TimeoutStartSec={run_minutes + 2}min
UMask=0077
Nice=10
"""
    timer = f"""[Unit]
Description=Start {UNIT} every {EVERY_MINUTES} minutes

[Timer]
OnCalendar=*:0/{EVERY_MINUTES}
RandomizedDelaySec=60
Persistent=true

[Install]
WantedBy=timers.target
"""
    watch = f"""[Unit]
Description=Send the drafts that were labelled in Gmail

[Service]
ExecStart={_exec_start([*command, "outbox", "--watch"])}
Restart=on-failure
RestartSec=60
# 77, 78: a human is needed; starting it again would not help.
RestartPreventExitStatus=77 78
TimeoutStopSec=120
UMask=0077

[Install]
WantedBy=default.target
"""
    units = {
        f"{UNIT}.service": service,
        f"{UNIT}.timer": timer,
        f"{UNIT}-report.service": report_service,
        f"{UNIT}-report.timer": report_timer,
    }
    return units | ({f"{UNIT}-outbox.service": watch} if outbox else {})


def systemd_text(
    command: Sequence[str], remarks: Sequence[str] = (), run_minutes: int = 10, *, outbox: bool = False
) -> str:
    """All units, one after the other, each under the name of the file it belongs into."""
    folder = "~/.config/systemd/user"
    units = systemd_units(command, run_minutes, outbox=outbox)
    parts = [f"# ===== {folder}/{name} =====\n{text}" for name, text in units.items()]
    after = [
        *remarks,
        "When these files are there:",
        f"  systemctl --user daemon-reload && systemctl --user enable --now {UNIT}.timer {UNIT}-report.timer"
        + (f" {UNIT}-outbox.service" if outbox else ""),
        "  loginctl enable-linger          (so that it runs while you are not logged in)",
        f"What it said: journalctl --user -u {UNIT}. To see that it works: triage doctor",
    ]
    return "\n".join(parts) + "\n" + "".join(f"# {line}\n" for line in after)


def launchd_plists(
    command: Sequence[str], log: str, remarks: Sequence[str] = (), *, outbox: bool = False
) -> dict[str, str]:
    """The jobs for macOS by file name: run, week's report, outbox; `log` is the file their output goes to."""
    # What was missed while the computer slept is made up for when it wakes (launchd.plist(5), StartCalendarInterval).
    hours = [{"Hour": hour, "Minute": 0} for hour in range(FIRST_HOUR, LAST_HOUR + 1)]
    wanted: dict[str, tuple[Sequence[str], dict[str, Any]]] = {
        UNIT: (("run",), {"StartInterval": EVERY_MINUTES * 60, "RunAtLoad": True}),
        f"{UNIT}-report": (REPORT, {"StartCalendarInterval": hours}),
    }
    if outbox:  # stays; after a failure it is started again (launchd.plist(5))
        stays = {"KeepAlive": {"SuccessfulExit": False}, "RunAtLoad": True, "ThrottleInterval": 60}
        wanted[f"{UNIT}-outbox"] = (("outbox", "--watch"), stays)
    return {
        f"{label}.plist": _plist(label, [*command, *words], when, log, remarks)
        for label, (words, when) in wanted.items()
    }


def _plist(label: str, command: Sequence[str], when: Mapping[str, Any], log: str, remarks: Sequence[str]) -> str:
    job = {
        "Label": label,
        "ProgramArguments": list(command),
        **when,
        "ProcessType": "Background",
        "Umask": 0o077,
        "StandardOutPath": log,
        "StandardErrorPath": log,
    }
    path = f"~/Library/LaunchAgents/{label}.plist"
    told = [f"Save this as {path}, then:", f"launchctl bootstrap gui/$(id -u) {path}", *remarks]
    head, rest = plistlib.dumps(job).decode().split("\n", 1)
    # Two hyphens would end the comment (XML 1.0, 2.5).
    return "\n".join([head, *(f"<!-- {line.replace('--', '- -')} -->" for line in told), rest])


def _cron_command(words: Sequence[str]) -> str:
    # crontab(5): a percent sign ends the command, unless it is escaped.
    return shlex.join(words).replace("%", "\\%")


def _exec_start(words: Sequence[str]) -> str:
    """A command line of a unit (systemd.service(5), "Command lines"): its specifiers and variables are plain text."""
    if set(words[0]) & set("'\"\\$"):
        words = ["/usr/bin/env", *words]  # systemd takes no program with such a name; as an argument it may have it
    quoted = [word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$") for word in words]
    return " ".join(f'"{word}"' if set(word) & set(" \t'\\$%") else word for word in quoted)
