"""Looks at everything a run depends on, one thing at a time, and says of each whether it works and what to do if not.

Changes nothing, but for the sign-in, which it really renews, and each way to tell you, which gets a test message once a
day. Each check is a function that gives values; nothing is
printed here. What cannot be looked at because something before it is broken is left out: the first line is the one to
mend.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remediation.aws import endpoints as aws_endpoints
from remediation.here import is_here
from triage import store
from triage.config import Settings, find_config, load_settings
from triage.display import counted, listed, shown, span_words, when_words
from triage.errors import ConfigError, CredentialsDead, TriageError
from triage.gmail import ENOUGH_SCOPES, PUBLISH, Gmail, RenewedSignIn, addresses_here, connect, read_client
from triage.lock import is_locked
from triage.owner.doctor_alerts import check_alerts
from triage.owner.doctor_aws import HealthState, check_aws
from triage.owner.doctor_outbox import check_outbox

if TYPE_CHECKING:
    from sqlite_utils import Database

LATE = timedelta(hours=2)
"""No run for so long is odd for a job that is to run every quarter of an hour."""
DEAD = timedelta(hours=25)
"""And for so long, also for one that runs once a day."""
HANGING = timedelta(hours=1)
SKEW_ODD, SKEW_WRONG = timedelta(seconds=60), timedelta(minutes=5)  # AWS refuses signatures five minutes off
FREE_LITTLE, FREE_NOTHING = 500_000_000, 50_000_000  # bytes
SOON = timedelta(days=8)
BACKUP_LATE = timedelta(days=9)


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One thing that was looked at."""

    name: str
    state: HealthState
    words: str
    """What was found, one line."""
    todo: str | None = None
    """The next click or command; None where there is nothing to do."""
    exit_code: int = 1
    """What the examination ends with where this failed: 77, nothing works before somebody signs in to Google again; 78,
    the settings, the rules or the database cannot be used as they are."""


def examine(
    config: Path | None, env: Mapping[str, str], now: datetime, mailbox: str | None = None
) -> Iterator[HealthCheck]:
    """Every check there is, in the order in which one depends on the other. Never raises."""
    try:
        settings = load_settings(config, env, None, mailbox)
    except ConfigError as error:
        yield _failed("settings", error)
        return
    yield _settings_file(config, env)
    yield from _addresses(settings, env)
    yield _rules()
    yield from _database(settings, now)
    yield _disk(settings)
    yield from _gmail(settings, now)
    yield from (HealthCheck(*found) for found in check_alerts(settings, now))
    yield from (HealthCheck("AWS", state, words, todo) for state, words, todo in check_aws(settings))
    yield from (HealthCheck("outbox", state, words, todo) for state, words, todo in check_outbox(settings))


def _settings_file(config: Path | None, env: Mapping[str, str]) -> HealthCheck:
    found = find_config(config, env)
    return HealthCheck(
        "settings", "ok", f"read from {found}" if found else "no triage.toml: everything has its default"
    )


def _addresses(settings: Settings, env: Mapping[str, str]) -> Iterator[HealthCheck]:
    """Servers on this computer that are asked in place of Google's and AWS's; any others are not asked at all."""
    found = [("gmail_url", settings.gmail_url)] if settings.gmail_url else []
    for path in (settings.token, settings.credentials, settings.service_account):
        found += addresses_here(path) if path else ()
    of_aws = aws_endpoints.configured(env)
    found += ((name, url) for name, url in of_aws.items() if is_here(url))
    if found:
        words = listed((f"{shown(url, 100)} ({name})" for name, url in found), most=9)
        yield HealthCheck(
            "addresses", "warn", f"in place of Google and AWS: {words}", "Take them out: they are for tests."
        )
    strange = [name for name, url in of_aws.items() if not aws_endpoints.is_aws_or_here(url)]
    if strange:
        words = f"{listed(strange)} leads neither to AWS nor to this computer, so AWS is not asked"
        yield HealthCheck("addresses", "fail", words, "Take it out, and ask who put it there.")


def _rules() -> HealthCheck:
    from remediation import load_causes
    from triage.judging import load_rules

    try:
        return HealthCheck(
            "rules", "ok", f"{counted(len(load_rules()), 'rule')}, {counted(len(load_causes()), 'cause')}"
        )
    except ConfigError as error:
        return HealthCheck("rules", "fail", shown(error.what, 600), shown(error.todo, 600), error.exit_code)


def _database(settings: Settings, now: datetime) -> Iterator[HealthCheck]:
    path = settings.database
    try:
        db = store.open_readonly(path)
    except TriageError as error:
        yield _failed("database", error)
        return
    if db is None:
        yield HealthCheck("database", "warn", f"there is no {path} yet", "Make the first run: triage run")
        return
    with closing(db):
        try:
            yield _intact(db, path)
            yield from _backup(path, now)
            yield _last_run(db, settings, now)
            yield from _left_undone(db)
        except Exception as error:
            told = store.blamed(error, path)
            yield HealthCheck("database", "fail", told.what if told else f"{path}: {shown(error)}", store.WAY_BACK, 78)


def _intact(db: Database, path: Path) -> HealthCheck:
    problem = store.integrity_problem(db)
    if problem:
        return HealthCheck(
            "database",
            "fail",
            f"{path} is damaged: {shown(problem)}",
            store.WAY_BACK,
            ConfigError.exit_code,
        )
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077 and os.name == "posix":
        return HealthCheck("database", "warn", f"others can read {path} (mode {mode:03o})", f"Run `chmod 600 {path}`.")
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        return HealthCheck("database", "fail", f"{path} cannot be written", "Make the file and its folder yours.")
    return HealthCheck("database", "ok", f"{path}, {_size(path.stat().st_size)}, intact")


def _backup(path: Path, now: datetime) -> Iterator[HealthCheck]:
    """Whether the copy of each week is still made; silent before the first, a week after the first run."""
    from triage.store import backups

    made = backups.backups_of(path)
    if made and now - made[0][0] > BACKUP_LATE:
        words = f"the newest is {span_words(now - made[0][0])} old, though one is made each week"
        yield HealthCheck("backup", "warn", words, "Make one now, and see what it says: triage backup")


def _last_run(db: Database, settings: Settings, now: datetime) -> HealthCheck:
    runs = [run for run in store.last_runs(db, 200) if run["source"] == "gmail"]
    if not runs:
        return HealthCheck("last run", "warn", "the mailbox was not read yet", "Make the first run: triage run")
    last = runs[0]
    age = now - datetime.fromisoformat(last["started_at"])
    if is_locked(settings.database):
        if age > HANGING:
            return HealthCheck(
                "last run", "warn", f"at work for {span_words(age)}: it may hang", "Look for the process, and end it."
            )
        return HealthCheck("last run", "ok", f"at work now, since {when_words(last['started_at'])}")
    good = next((run for run in runs if run["finished_at"] and not run["error"]), None)
    good_age = now - datetime.fromisoformat(good["started_at"]) if good else None
    told = f"the last good one {span_words(good_age)} ago" if good_age is not None else "none was good so far"
    if last["error"]:
        state: HealthState = "warn" if good_age is not None and good_age < LATE else "fail"
        words = f"stopped {span_words(age)} ago: {shown(last['error']).rstrip('.')}; {told}"
        return HealthCheck("last run", state, words, "Run `triage run` and do what it says.")
    if not last["finished_at"]:
        words = f"killed {span_words(age)} ago before its end; {told}"
        return HealthCheck("last run", "warn", words, "Nothing, if it was once: the next run catches up.")
    if age > LATE:
        words = f"{span_words(age)} ago: the job does not run by itself any more"
        return HealthCheck("last run", "fail" if age > DEAD else "warn", words, "Set it up again: triage schedule")
    return HealthCheck("last run", "ok", f"{span_words(age)} ago")


def _left_undone(db: Database) -> Iterator[HealthCheck]:
    unread = store.unreadable_mails(db)
    if unread:
        words = f"{counted(len(unread), 'mail')} could not be judged, the last: {shown(unread[0]['error'], 100)}"
        yield HealthCheck(
            "mails", "warn", words, "See them with `triage report`; judge them again with `triage rejudge`."
        )
    stuck = store.stuck_actions(db)
    if stuck:
        kinds = listed(counted(row["number"], row["kind"]) for row in stuck)
        words = f"{kinds} could not be set or written: {shown(stuck[0]['error'], 100)}"
        yield HealthCheck(
            "labels and notes", "warn", words, "The next run tries again; if it lasts, run it with --verbose."
        )
    if lost := store.given_up(db):
        words = f"{listed(counted(one.number, one.kind) for one in lost)} given up: {shown(lost[0].error, 100)}"
        yield HealthCheck("given up", "warn", words, "Take them up again: triage retry")


def _disk(settings: Settings) -> HealthCheck:
    folder = settings.database.parent
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    words = f"{_size(free)} free where the database lies"
    if free < FREE_LITTLE:
        return HealthCheck(
            "disk", "fail" if free < FREE_NOTHING else "warn", words, f"Make room on the disk of {folder}."
        )
    return HealthCheck("disk", "ok", words)


def _gmail(settings: Settings, now: datetime) -> Iterator[HealthCheck]:
    yield _client_file(settings)
    try:
        gmail = connect(settings.token, url=settings.gmail_url)
    except TriageError as error:
        yield _failed("sign-in", error)
        return
    with closing(gmail):
        try:
            renewal = gmail.renew_sign_in()
        except TriageError as error:
            yield _failed("sign-in", error)
            return
        yield from _sign_in(renewal, now)
        try:
            yield _mailbox(gmail, settings)
            problem = gmail.search_problem()
        except TriageError as error:
            yield _failed("mailbox", error)
            return
        if problem:
            todo = "Search in Gmail itself for any mail you see. Until that finds it no run can read the mailbox."
            yield HealthCheck("search", "fail", problem, todo)


def _client_file(settings: Settings) -> HealthCheck:
    try:
        read_client(settings.credentials)
    except ConfigError as error:
        # Not needed before the next sign-in, which comes without notice.
        return HealthCheck("OAuth client", "warn", error.what, error.todo)
    return HealthCheck("OAuth client", "ok", f"{settings.credentials}")


def _sign_in(renewal: RenewedSignIn | None, now: datetime) -> Iterator[HealthCheck]:
    if renewal is None:
        yield HealthCheck("sign-in", "warn", "renewed, but Google's answer says nothing about it")
        return
    if renewal.scopes and not ENOUGH_SCOPES & set(renewal.scopes):
        words = f"it does not allow what triage needs (gmail.modify), only {listed(renewal.scopes)}"
        todo = "Run `triage auth` again and leave the box for Gmail ticked on Google's page."
        yield HealthCheck("sign-in", "fail", words, todo, CredentialsDead.exit_code)
        return
    if renewal.ends_at is not None and renewal.ends_at - now < SOON:
        left = span_words(max(renewal.ends_at - now, timedelta(0)))
        words = f"works now, and ends in {left}: the OAuth app is in status Testing"
        yield HealthCheck("sign-in", "warn", words, f"First {PUBLISH}; then run `triage auth` once more.")
    else:
        yield HealthCheck("sign-in", "ok", "renewed just now; it allows gmail.modify")
    if renewal.google_time is not None:
        yield _clock(renewal.google_time - now)


def _clock(skew: timedelta) -> HealthCheck:
    if abs(skew) < SKEW_ODD:
        return HealthCheck("clock", "ok", "agrees with Google's")
    side = "behind" if skew > timedelta(0) else "ahead of"
    words = f"this computer's clock is {span_words(abs(skew))} {side} Google's"
    return HealthCheck(
        "clock",
        "fail" if abs(skew) > SKEW_WRONG else "warn",
        words,
        "Let it set itself: `timedatectl set-ntp true` on Linux, Date & Time in the settings elsewhere.",
    )


def _mailbox(gmail: Gmail, settings: Settings) -> HealthCheck:
    address = gmail.profile_address()
    outside = [one.address for one in gmail.send_as() if one.host]
    if settings.mailbox and settings.mailbox.lower() != address.lower():
        words = f"signed in as {address}, but `mailbox` says {settings.mailbox}"
        return HealthCheck("mailbox", "warn", words, "Run `triage auth` as that account, or mend the setting.")
    aliases = f"; sends as {listed(outside)} through another server" if outside else ""
    return HealthCheck("mailbox", "ok", shown(f"{address}{aliases}"))


def _failed(name: str, error: TriageError) -> HealthCheck:
    ends_it = CredentialsDead if name not in ("settings", "database") else CredentialsDead | ConfigError
    code = error.exit_code if isinstance(error, ends_it) else 1
    what = " ".join((error.what, *(f"{line};" for line in error.details))).rstrip(";")
    return HealthCheck(name, "fail", shown(what, 600), shown(error.todo, 600), code)


def health_json(checks: list[HealthCheck]) -> dict[str, Any]:
    """The checks for a program that watches: `ok` is false where anything failed."""
    rows = [{"name": c.name, "state": c.state, "words": c.words, "todo": c.todo} for c in checks]
    return {"ok": all(check.state != "fail" for check in checks), "checks": rows}


def _size(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
