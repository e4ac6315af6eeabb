"""What the doctor says of each thing a run depends on, when it works and when it does not, and how it ends."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from remediation.aws import client as aws_module
from tests.doubles.aws import AwsDouble
from tests.doubles.gmail import GmailDouble
from tests.doubles.gmail.errors import not_configured
from tests.worlds import forked
from tests.worlds.made_mails import put_into_sent, refusal
from tests.worlds.schemas import by_schema
from triage import run as worker
from triage import store
from triage.config import load_settings
from triage.gmail.client import connect
from triage.gmail.renewal import read_renewal, sign_in_ends_at
from triage.judging.rules import RuleError
from triage.lock import locked
from triage.owner import doctor
from triage.owner.doctor import HealthCheck

ROOT = Path(store.__file__).parents[2]
SOURCE = "gmail"


Examine = Callable[..., dict[str, HealthCheck]]


@pytest.fixture
def folder(gmail: GmailDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    gmail.write_credentials(tmp_path)
    (tmp_path / "triage.toml").write_text("")
    for module in (worker, doctor):
        monkeypatch.setattr(module, "connect", partial(connect, sleep=lambda seconds: None, timeout_seconds=1))
    return tmp_path


@pytest.fixture
def examine(gmail: GmailDouble, folder: Path) -> Examine:
    """All checks by name, at a moment some time from now; the last of several with one name counts."""

    gmail.clock.is_told = True

    def checks(later: timedelta = timedelta(0), **env: str) -> dict[str, HealthCheck]:
        env = {"TRIAGE_GMAIL_URL": gmail.url} | env
        found = list(doctor.examine(folder / "triage.toml", env, datetime.now(UTC) + later))
        return {check.name: check for check in found}

    return checks


def run(gmail: GmailDouble, folder: Path) -> None:
    settings = load_settings(folder / "triage.toml", {"TRIAGE_GMAIL_URL": gmail.url})
    worker.run(settings, lambda: datetime.now(UTC).replace(microsecond=0))


def states(checks: dict[str, HealthCheck]) -> dict[str, str]:
    """What is not well, but for the double: it is asked in place of Google, and that is always said."""
    assert checks.get("addresses", HealthCheck("addresses", "warn", "")).state == "warn"
    return {name: check.state for name, check in checks.items() if check.state != "ok" and name != "addresses"}


def test_where_all_is_well_nothing_is_to_be_done(gmail: GmailDouble, folder: Path, examine: Examine) -> None:
    run(gmail, folder)
    gmail.reset_counters()
    checks = examine()
    assert states(checks) == {}
    assert [name for name, check in checks.items() if check.todo] == ["addresses"]
    assert list(checks) == [
        *("settings", "addresses", "rules", "database", "last run", "disk", "OAuth client", "sign-in", "clock"),
        *("mailbox", "alerts"),
    ]
    assert "triage.db" in checks["database"].words
    assert checks["mailbox"].words == "jadasailing@gmail.com"
    assert gmail.quota.calls["token"] == 1, "really renewed, although it was not due"
    assert gmail.quota.units_new <= 8, "whose mailbox, its aliases, and whether the search works"


def test_before_the_first_run_it_says_what_comes_next(examine: Examine, folder: Path) -> None:
    before = set(folder.iterdir())
    checks = examine()
    assert states(checks) == {"database": "warn"}
    assert "triage run" in str(checks["database"].todo)
    assert set(folder.iterdir()) == before, "looking makes nothing"


# Settings and rules


def test_broken_settings_end_the_examination(folder: Path, examine: Examine) -> None:
    (folder / "triage.toml").write_text("databas = 'x'\n")
    checks = examine()
    assert states(checks) == {"settings": "fail"}
    assert checks["settings"].todo == "Did you mean 'database'?"


def test_rules_that_cannot_be_read(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        raise RuleError("40-a.toml, rule no-room: unknown key 'txet'", "Did you mean 'text'?")

    monkeypatch.setattr("triage.judging.load_rules", broken)
    check = examine()["rules"]
    assert (check.state, check.exit_code) == ("fail", 78)
    assert (check.words, check.todo) == ("40-a.toml, rule no-room: unknown key 'txet'", "Did you mean 'text'?")


# The database and the runs


def test_a_database_others_can_read(gmail: GmailDouble, folder: Path, examine: Examine) -> None:
    run(gmail, folder)
    (folder / "triage.db").chmod(0o644)
    check = examine()["database"]
    assert (check.state, check.todo) == ("warn", f"Run `chmod 600 {folder / 'triage.db'}`.")


def test_a_damaged_database(gmail: GmailDouble, folder: Path, examine: Examine) -> None:
    gmail.seed(refusal(1))
    run(gmail, folder)
    with open(folder / "triage.db", "r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 16384)
    assert examine()["database"].state == "fail"


def test_a_file_that_is_no_database(folder: Path, examine: Examine) -> None:
    (folder / "triage.db").write_text("hello " * 1000)
    check = examine()["database"]
    assert (check.state, "not a database" in check.words) == ("fail", True)


@pytest.mark.parametrize(
    ("age", "state"), [(timedelta(minutes=20), "ok"), (timedelta(hours=3), "warn"), (timedelta(days=2), "fail")]
)
def test_the_age_of_the_last_run(
    gmail: GmailDouble, folder: Path, examine: Examine, age: timedelta, state: str
) -> None:
    run(gmail, folder)
    check = examine(later=age)["last run"]
    assert check.state == state
    assert (check.todo is not None and "triage schedule" in check.todo) == (state != "ok")


def test_a_run_over_files_is_not_a_run_of_the_job(gmail: GmailDouble, folder: Path, examine: Examine) -> None:
    (folder / "a.eml").write_bytes(refusal(1))
    settings = load_settings(folder / "triage.toml", {})
    worker.run_local(settings, lambda: datetime.now(UTC), [folder / "a.eml"])
    check = examine()["last run"]
    assert (check.state, check.words) == ("warn", "the mailbox was not read yet")


def test_runs_that_stopped(gmail: GmailDouble, folder: Path, examine: Examine) -> None:
    gmail.fail("messages.list", times=None, status=503)
    for _ in range(2):
        with pytest.raises(Exception, match="Gmail"):
            run(gmail, folder)
    check = examine()["last run"]
    assert (check.state, "none was good so far" in check.words) == ("fail", True)
    gmail.clear_faults()
    run(gmail, folder)
    gmail.fail("messages.list", times=None, status=503)
    with pytest.raises(Exception, match="Gmail"):
        run(gmail, folder)
    gmail.clear_faults()
    check = examine()["last run"]
    assert (check.state, "the last good one" in check.words) == ("warn", True)
    assert examine(later=timedelta(hours=3))["last run"].state == "fail"


def test_a_run_that_was_killed_and_one_that_hangs(gmail: GmailDouble, folder: Path, examine: Examine) -> None:
    run(gmail, folder)
    settings = load_settings(folder / "triage.toml", {})
    db = store.open_store(settings.database)
    store.start_run(db, SOURCE, datetime.now(UTC))
    db.close()
    check = examine()["last run"]
    assert (check.state, "killed" in check.words) == ("warn", True)
    with locked(settings.database):
        assert "at work now" in examine()["last run"].words
        check = examine(later=timedelta(hours=4))["last run"]
        assert (check.state, "may hang" in check.words) == ("warn", True)


def test_work_that_does_not_get_done_is_told(
    gmail: GmailDouble, folder: Path, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_into_sent(gmail)
    gmail.seed(refusal(1))
    gmail.seed(refusal(2, original_id="mail-2@example.org"))
    gmail.fail("messages.get", nth=2, status=400)
    gmail.fail("messages.modify", times=None, status=400)
    gmail.fail("messages.insert", times=None, status=400)
    run(gmail, folder)
    checks = examine()
    assert states(checks) == {"mails": "warn", "labels and notes": "warn"}
    assert checks["mails"].words.startswith("1 mail could not be judged")
    assert checks["labels and notes"].words.startswith("1 label and 1 note could not be set or written")


@pytest.mark.parametrize(("free", "state"), [(10**9, "ok"), (10**8, "warn"), (10**6, "fail")])
def test_the_room_on_the_disk(examine: Examine, monkeypatch: pytest.MonkeyPatch, free: int, state: str) -> None:
    usage = shutil.disk_usage("/")._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert examine()["disk"].state == state


# Google


def test_nobody_is_signed_in(folder: Path, examine: Examine) -> None:
    (folder / "token.json").unlink()
    check = examine()["sign-in"]
    assert (check.state, check.exit_code, check.todo) == ("fail", 77, "Run `triage auth` to sign in.")
    assert "mailbox" not in examine()


def test_a_dead_sign_in_names_the_seven_days(gmail: GmailDouble, examine: Examine) -> None:
    gmail.oauth.kill_refresh_tokens()
    check = examine()["sign-in"]
    assert (check.state, check.exit_code) == ("fail", 77)
    assert "every 7 days" in str(check.todo)
    assert "https://console.cloud.google.com/auth/audience" in str(check.todo)


def test_a_sign_in_that_will_end_after_seven_days(gmail: GmailDouble, folder: Path, examine: Examine) -> None:
    gmail.oauth.is_testing = True
    checks = examine()
    assert states(checks) == {"database": "warn", "sign-in": "warn"}
    assert "ends in 6 days: the OAuth app is in status Testing" in checks["sign-in"].words
    assert "auth/audience" in str(checks["sign-in"].todo)
    ends_at = sign_in_ends_at(folder / "token.json")
    assert ends_at is not None
    gmail.oauth.is_testing = False  # the answer to a later renewal may leave it out: what the file says stays
    examine()
    assert sign_in_ends_at(folder / "token.json") == ends_at


def test_a_sign_in_without_the_permission(gmail: GmailDouble, folder: Path, examine: Examine) -> None:
    gmail.write_credentials(folder, scopes=["https://www.googleapis.com/auth/gmail.readonly"])
    check = examine()["sign-in"]
    assert (check.state, check.exit_code) == ("fail", 77)
    assert "triage auth" in str(check.todo)


def test_the_permission_was_taken_away_by_half(gmail: GmailDouble, examine: Examine) -> None:
    body = {"access_token": "x", "expires_in": 3599, "scope": "openid", "token_type": "Bearer"}
    gmail.fail("token", times=None, status=200, body=json.dumps(body).encode())
    check = examine()["sign-in"]
    assert (check.state, check.exit_code) == ("fail", 77)
    assert "only openid" in check.words


def test_the_api_is_not_switched_on(gmail: GmailDouble, examine: Examine) -> None:
    gmail.fail("getProfile", times=None, error=not_configured())
    check = examine()["mailbox"]
    assert (check.state, check.exit_code) == ("fail", 1)
    assert "https://console." in str(check.todo)
    assert "Enable" in str(check.todo)


def test_google_cannot_be_reached(gmail: GmailDouble, examine: Examine) -> None:
    gmail.fail("token", times=None, connection="drop")
    check = examine()["sign-in"]
    assert (check.state, check.exit_code) == ("fail", 1)


def test_a_client_file_that_is_missing_matters_at_the_next_sign_in(folder: Path, examine: Examine) -> None:
    (folder / "credentials.json").unlink()
    checks = examine()
    assert states(checks) == {"database": "warn", "OAuth client": "warn"}
    assert "auth/clients" in str(checks["OAuth client"].todo)


def test_another_account_than_the_settings_say(gmail: GmailDouble, folder: Path, examine: Examine) -> None:
    gmail.add_send_as("admin@queenofsandiego.com", host="email-smtp.us-east-1.amazonaws.com")
    assert "sends as admin@queenofsandiego.com through another server" in examine()["mailbox"].words
    check = examine(TRIAGE_MAILBOX="other@example.org")["mailbox"]
    assert check.state == "warn"


@pytest.mark.parametrize(
    ("ahead", "state", "words"),
    [
        (timedelta(seconds=20), "ok", "agrees"),
        (timedelta(minutes=3), "warn", "ahead of"),
        (timedelta(hours=1, seconds=30), "fail", "1 hour ahead of"),
        (timedelta(minutes=-3), "warn", "behind"),
    ],
)
def test_a_clock_that_is_off(examine: Examine, ahead: timedelta, state: str, words: str) -> None:
    check = examine(later=ahead)["clock"]
    assert (check.state, words in check.words) == (state, True)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": "x"}', b'"text"', b'{"access_token": 1}'])
def test_an_answer_of_the_token_endpoint_that_says_little(body: bytes) -> None:
    renewal = read_renewal({"date": "nonsense"}, body, datetime.now(UTC))
    assert renewal is None or (renewal.ends_at, renewal.google_time) == (None, None)
    assert (renewal is None) == (b"access_token" not in body)


# AWS


def test_without_aws_in_the_settings_it_is_not_asked(examine: Examine) -> None:
    assert "AWS" not in examine()


def aws_lines(gmail: GmailDouble, folder: Path, **env: str) -> list[HealthCheck]:
    env = {"TRIAGE_GMAIL_URL": gmail.url} | env
    return [c for c in doctor.examine(folder / "triage.toml", env, datetime.now(UTC)) if c.name == "AWS"]


def test_what_a_run_asks_of_aws_works(gmail: GmailDouble, folder: Path, aws: AwsDouble) -> None:
    aws.make_smtp_user()
    aws.make_secret({"username": "x"})
    queue = aws.make_event_queue()
    aws.put_in_queue("{}", "{}")
    checks = aws_lines(
        gmail,
        folder,
        TRIAGE_REGIONS="us-east-1",
        TRIAGE_QUEUE_URL=queue.url,
        TRIAGE_SMTP_USER="ses-smtp-admin",
        TRIAGE_SMTP_SECRET="ses-smtp/queenofsandiego.com",
        TRIAGE_SMTP_REGION="us-east-1",
    )
    assert {check.state for check in checks} <= {"ok", "warn"}, checks
    words = [check.words for check in checks]
    assert "signed in as" in words[0]
    assert words[1:] == [
        "suppression list in us-east-1",
        "event queue: 2 messages waiting",
        "access keys of ses-smtp-admin",
        "secret ses-smtp/queenofsandiego.com in us-east-1",
    ]
    assert aws.waiting() == 2, "nothing is taken"


def test_what_the_settings_name_must_be_there(gmail: GmailDouble, folder: Path, aws: AwsDouble) -> None:
    checks = aws_lines(
        gmail,
        folder,
        TRIAGE_QUEUE_URL=f"{aws.url}/123456789012/nowhere",
        TRIAGE_SMTP_USER="nobody",
    )
    assert [check.state for check in checks[1:]] == ["fail"] * 2
    assert [str(check.todo).split("`")[1] for check in checks[1:]] == ["queue_url", "smtp_user"]


@pytest.mark.parametrize(
    ("kind", "state", "words"),
    [
        ("denied", "fail", "--iam-policy triage"),
        ("no-credentials", "fail", "its own step"),
        ("bad-credentials", "fail", "its own step"),
        ("timeout", "warn", "if it passes"),
        ("refused", "fail", "--iam-policy triage"),
    ],
)
def test_what_aws_does_not_answer_has_a_next_step(
    gmail: GmailDouble, folder: Path, monkeypatch: pytest.MonkeyPatch, kind: Any, state: str, words: str
) -> None:
    todo = "its own step" if kind.endswith("credentials") else None
    answer = aws_module.NotLookedUp("the AWS identity", "so it is", kind, todo=todo)
    monkeypatch.setattr(aws_module, "caller_identity", lambda: answer)
    (check,) = aws_lines(gmail, folder, TRIAGE_REGIONS="us-east-1")
    assert (check.state, words in str(check.todo)) == (state, True)


# The command


@pytest.fixture
def triage(gmail: GmailDouble, folder: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "TRIAGE_GMAIL_URL": gmail.url}

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return forked.triage(*arguments, env=env, cwd=folder)

    return command


Triage = Callable[..., subprocess.CompletedProcess[str]]


def test_the_command_is_read_by_people_and_by_monitors(gmail: GmailDouble, folder: Path, triage: Triage) -> None:
    run(gmail, folder)
    done = triage("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "It works. Worth a look: addresses."
    assert all(line.startswith(("ok    ", "warn  addresses ", " ")) for line in done.stdout.splitlines()[:-1])
    data = by_schema("doctor", triage("doctor", "--json").stdout)
    assert data["ok"] is True
    assert {check["state"] for check in data["checks"] if check["name"] != "addresses"} == {"ok"}


def test_where_nothing_is_amiss_it_says_so() -> None:
    from triage.cli.doctor import _verdict

    assert _verdict([HealthCheck("disk", "ok", "1 GB free")]) == "All is well."


def test_the_exit_code_tells_a_dead_sign_in_from_other_trouble(
    gmail: GmailDouble, folder: Path, triage: Triage
) -> None:
    run(gmail, folder)
    gmail.oauth.kill_refresh_tokens()
    done = triage("doctor")
    assert done.returncode == 77
    assert done.stdout.splitlines()[-1] == "Not well: sign-in. Begin with the first."
    assert "-> Run `triage auth`" in done.stdout
    gmail.write_credentials(folder)
    (folder / "triage.db").write_text("hello " * 1000)
    assert triage("doctor").returncode == 78
    assert json.loads(triage("doctor", "--json").stdout)["ok"] is False


def test_the_policy_of_the_outbox_names_the_addresses_it_may_send_as(folder: Path, triage: Triage) -> None:
    (folder / "triage.toml").write_text('outbox_from = ["admin@example.org"]\nsmtp_region = "us-east-1"\n')
    done = triage("doctor", "--iam-policy", "outbox")
    assert (done.returncode, done.stderr) == (0, "")
    assert "admin@example.org" in json.dumps(json.loads(done.stdout)["Statement"])


@pytest.mark.parametrize("name", ["triage", "audit", "rotation"])
def test_a_policy_is_printed_for_what_the_settings_name(folder: Path, triage: Triage, name: str) -> None:
    (folder / "triage.toml").write_text(
        'queue_url = "https://sqs.eu-west-1.amazonaws.com/123456789012/ses-events"\nsmtp_user = "ses-smtp"\n'
        'smtp_secret = "ses/smtp"\nsmtp_region = "eu-west-1"\n'
    )
    done = triage("doctor", "--iam-policy", name)
    assert (done.returncode, done.stderr) == (0, "")
    policy = json.loads(done.stdout)
    text = json.dumps(policy)
    assert policy["Version"] == "2012-10-17"
    assert "arn:aws:iam::123456789012:user/ses-smtp" in text
    assert ("arn:aws:sqs:eu-west-1:123456789012:ses-events" in text) == (name in ("triage", "audit"))
    assert "ACCOUNT_ID" not in text
