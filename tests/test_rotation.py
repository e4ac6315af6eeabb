"""Rotations by the real commands, against moto's IAM and Secrets Manager and a relay that takes moto's keys.

What may happen in which order is the business of tests/test_rotation_states.py; here the login goes over TLS, commands
are killed for real, the main ways are walked by processes, and end states are read from AWS, relay and database.
"""

from __future__ import annotations

import io
import json
import os
import re
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from filelock import FileLock

from remediation import policies
from remediation.credentials import Login, check_login, derive_smtp_password
from tests.doubles.aws import REGION, AwsDouble, SmtpUser
from tests.doubles.gmail import GmailDouble
from tests.doubles.relay import RelayDouble
from tests.test_store import gmail_mail, record
from triage import store
from triage.cli import main

ROOT = Path(__file__).parent.parent
ALIAS = "admin@queenofsandiego.com"
SECRET = "ses-smtp/queenofsandiego.com"

# Kills itself right before or right after the nth call of one of our own functions.
KILLED = """
import os, signal, sys
import remediation.rotation_aws as aws, remediation.rotation_steps as steps, triage.store_rotations as rows
from triage.cli import main

name, nth, when, *arguments = sys.argv[1:]
where = rows if hasattr(rows, name) else aws.Account
call, calls = getattr(where, name), 0

def counted(*args, **named):
    global calls
    calls += 1
    if calls == int(nth) and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    answer = call(*args, **named)
    if calls == int(nth) and when == "after":
        os.kill(os.getpid(), signal.SIGKILL)
    return answer

setattr(where, name, counted)
sys.exit(main(arguments))
"""


@dataclass
class Stage:
    """One user with one key, which is in the secret and in Gmail, and a folder with the settings for it."""

    aws: AwsDouble
    relay: RelayDouble
    folder: Path
    user: SmtpUser
    env: dict[str, str] = field(default_factory=dict)
    """AWS credentials of somebody else than the double's root."""
    as_process: bool = False
    """Whether every command is a process of its own."""

    def run(self, *arguments: str, stdin: str = "", program: tuple[str, ...] = ("-m", "triage.cli")) -> Any:
        """Run a command; returns the finished process, its output as text."""
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PYTHONPATH": str(ROOT),
            "TRIAGE_CONFIG": str(self.folder / "triage.toml"),
            **self.aws.env,
            **self.env,
        }
        return subprocess.run(
            [sys.executable, *program, *arguments],
            cwd=self.folder,
            env=env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def rotate(self, *arguments: str, code: int = 0) -> str:
        """`triage credentials rotate ...`; returns all it said, and insists on the exit code."""
        done = (self.run if self.as_process else self.run_here)("credentials", "rotate", *arguments)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return str(done.stdout + done.stderr)

    def run_here(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The same in this process, which saves the second that starting one takes."""
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        env = {"TRIAGE_CONFIG": str(self.folder / "triage.toml"), **self.aws.env, **self.env}
        with mock.patch.dict(os.environ, env), mock.patch.multiple(sys, stdout=out, stderr=err):
            code = main(arguments)
        texts = (stream.buffer.getvalue().decode() for stream in (out, err))
        return subprocess.CompletedProcess(arguments, code, *texts)

    def killed(self, name: str, nth: int, when: str, *arguments: str) -> None:
        """The same, killed at the nth call of a function."""
        done = self.run(name, str(nth), when, "credentials", "rotate", *arguments, program=("-c", KILLED))
        assert done.returncode == -9, (done.returncode, done.stdout, done.stderr)

    def settings(self, **values: Any) -> None:
        values = {
            "smtp_user": self.user.name,
            "smtp_secret": SECRET,
            "smtp_region": REGION,
            "smtp_host": self.relay.starttls.host,
            "smtp_port": self.relay.starttls.port,
            "smtp_ca_file": str(self.relay.ca_file),
            "smtp_alias": ALIAS,
            "smtp_patience_seconds": 10,
        } | values
        lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
        (self.folder / "triage.toml").write_text("\n".join(lines) + "\n")

    # What is so now

    def key_states(self) -> dict[str, str]:
        """The user's keys, id -> Active or Inactive."""
        rows = self.aws.client("iam").list_access_keys(UserName=self.user.name)["AccessKeyMetadata"]
        return {row["AccessKeyId"]: row["Status"] for row in rows}

    def held(self, stage: str = "AWSCURRENT") -> dict[str, Any]:
        """What a stage of the secret holds."""
        answer = self.aws.client("secretsmanager").get_secret_value(SecretId=SECRET, VersionStage=stage)
        return dict(json.loads(answer["SecretString"]))

    def stages(self) -> set[str]:
        described = self.aws.client("secretsmanager").describe_secret(SecretId=SECRET)
        return {stage for stages in described["VersionIdsToStages"].values() for stage in stages}

    def works(self, stage: str = "AWSCURRENT") -> bool:
        """Whether the relay takes the login of a stage."""
        held = self.held(stage)
        return check_login(Login(held["username"], held["password"]), self.relay.starttls).is_good

    def row(self) -> dict[str, Any]:
        """The rotation in the database."""
        with sqlite3.connect(self.folder / "triage.db") as db:
            db.row_factory = sqlite3.Row
            row = db.execute("SELECT * FROM rotations ORDER BY started_at DESC, rowid DESC LIMIT 1").fetchone()
        db.close()
        return dict(row)

    def days_pass(self, days: int) -> None:
        """Let the grace period begin that much earlier."""
        before = (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
        with sqlite3.connect(self.folder / "triage.db") as db:
            db.execute("UPDATE rotations SET inactive_at = ? WHERE inactive_at IS NOT NULL", [before])
        db.close()

    def removal_began(self, at: datetime) -> None:
        """Let the days before a key is removed have begun then."""
        with sqlite3.connect(self.folder / "triage.db") as db:
            rows = db.execute("UPDATE retired_keys SET inactive_at = ?", [at.strftime("%Y-%m-%dT%H:%M:%SZ")]).rowcount
        db.close()
        assert rows == 1

    def alias_fails(self, at: datetime) -> None:
        """An alias failure arrives."""
        db = store.open_store(self.folder / "triage.db")
        failure = record(
            category="smtp-credentials", cause="alias-credentials-rejected", **{"from": ALIAS}, genuine="pass"
        )
        store.store_judged(db, gmail_mail(int(at.timestamp()), received_at=at), [failure], [], at)
        db.close()


def _enforce(aws: AwsDouble, on: bool) -> None:
    """Let moto check every request from now on, or none."""
    after = b"0" if on else b"1e9"
    request = urllib.request.Request(
        f"{aws.url}/moto-api/reset-auth", data=after, method="POST", headers={"Content-Type": "text/plain"}
    )
    urllib.request.urlopen(request).close()


@pytest.fixture
def stage(aws: AwsDouble, tmp_path: Path) -> Iterator[Stage]:
    with RelayDouble(tmp_path) as relay:
        user = aws.make_smtp_user()
        login = {"username": user.key_id, "password": derive_smtp_password(user.secret, REGION), "host": "localhost"}
        aws.make_secret(login, name=SECRET)
        made = Stage(aws, relay, tmp_path, user)
        made.settings()
        yield made


def test_a_whole_rotation(stage: Stage) -> None:
    stage.as_process = True
    stage.relay.lag = 2
    said = stage.rotate("start")
    new = stage.held()["username"]
    assert stage.relay.attempts == [(new, 535), (new, 535), (new, 235)], "one login each, on a connection of its own"
    assert said.count("asking again") == 2
    assert stage.key_states() == {stage.user.key_id: "Active", new: "Active"}
    assert stage.stages() == {"AWSCURRENT", "AWSPREVIOUS"}
    assert stage.works("AWSCURRENT")
    assert stage.works("AWSPREVIOUS")
    held = stage.held()
    assert {name: held[name] for name in ("region", "iam_user", "port")} == {
        "region": REGION,
        "iam_user": stage.user.name,
        "port": stage.relay.starttls.port,
    }
    assert datetime.fromisoformat(held["created"])
    for word in (
        ALIAS,
        new,
        "SMTP Server: localhost",
        f"Port: {stage.relay.starttls.port}",
        "edit info",
        "January 2027",
    ):
        assert word in said
    assert held["password"] not in said

    assert held["password"] in stage.rotate("status", "--show")
    assert held["password"] not in stage.rotate("status")

    stage.rotate("start")
    assert set(stage.key_states()) == {stage.user.key_id, new}, "once more makes no further key"
    assert "No mail from the alias was seen to leave" in stage.rotate("confirm", code=78)
    assert stage.row()["state"] == "waiting"
    assert stage.key_states()[stage.user.key_id] == "Active", "the owner's word alone is not enough"
    assert "not before" in stage.rotate("confirm", "--yes-i-tested")
    assert stage.key_states() == {stage.user.key_id: "Inactive", new: "Active"}

    assert "grace period is not over" in stage.rotate("finish", code=75)
    stage.days_pass(2)
    stage.rotate("finish", code=75)
    assert stage.user.key_id in stage.key_states()
    stage.days_pass(3)
    assert "It is over" in stage.rotate("finish")
    assert stage.key_states() == {new: "Active"}
    assert stage.works()
    assert stage.row()["state"] == "done"
    stage.rotate("finish", code=78)


@pytest.mark.parametrize(
    ("name", "nth", "when"),
    [
        ("keep_rotation", 1, "after"),  # creating
        ("create_key", 1, "after"),  # the key exists, its id is nowhere
        ("keep_rotation", 3, "after"),  # the id is stored, the secret lost
        ("put_pending", 1, "after"),
        ("keep_rotation", 4, "after"),  # verifying
        ("keep_rotation", 5, "after"),  # promoting
        ("move_current", 1, "after"),
        ("drop_pending", 1, "after"),
    ],
)
def test_start_survives_being_killed(stage: Stage, name: str, nth: int, when: str) -> None:
    stage.killed(name, nth, when, "start")
    assert stage.key_states()[stage.user.key_id] == "Active"
    assert stage.works(), "whatever is current works at any moment"
    stage.rotate("start")
    new = stage.held()["username"]
    assert stage.key_states() == {stage.user.key_id: "Active", new: "Active"}, "no orphan is left"
    assert stage.works("AWSCURRENT")
    assert stage.works("AWSPREVIOUS")
    assert (stage.row()["state"], stage.row()["new_key_id"]) == ("waiting", new)


@pytest.mark.parametrize("name", ["set_key", "delete_key"])
def test_the_end_survives_being_killed(stage: Stage, name: str) -> None:
    stage.rotate("start")
    new = stage.held()["username"]
    confirm = ("confirm", "--yes-i-tested")
    if name == "set_key":
        stage.killed(name, 1, "after", *confirm)
        assert stage.row()["state"] == "retiring"
        assert "grace" not in stage.rotate("start")
    else:
        stage.rotate(*confirm)
        stage.days_pass(4)
        stage.killed(name, 1, "after", "finish")
        assert stage.row()["state"] == "deleting"
        stage.rotate("finish")
    assert stage.row()["state"] == ("grace" if name == "set_key" else "done")
    assert stage.key_states()[new] == "Active"
    assert stage.works()


@pytest.mark.parametrize(
    ("name", "nth", "state"),
    [("create_key", 1, "creating"), ("keep_rotation", 3, "staging"), ("put_pending", 1, "staging")],
)
def test_abort_before_the_hand_over_leaves_no_trace(stage: Stage, name: str, nth: int, state: str) -> None:
    stage.killed(name, nth, "after", "start")
    assert stage.row()["state"] == state
    assert "the old state is restored" in stage.rotate("abort")
    assert stage.key_states() == {stage.user.key_id: "Active"}
    assert stage.held()["username"] == stage.user.key_id
    assert "AWSPENDING" not in stage.stages()
    assert stage.works()


def test_abort_after_the_hand_over_keeps_both_until_it_is_known_what_gmail_has(stage: Stage) -> None:
    stage.as_process = True
    stage.rotate("start")
    new = stage.held()["username"]
    said = stage.rotate("abort")
    assert stage.held()["username"] == stage.user.key_id
    assert stage.key_states() == {stage.user.key_id: "Active", new: "Active"}, "Gmail may have the new one by now"
    assert f"Username: {stage.user.key_id}" in said
    assert "--gmail-has-old" in said
    stage.rotate("confirm", code=78)
    stage.rotate("abort", "--gmail-has-old")
    assert stage.key_states() == {stage.user.key_id: "Active", new: "Inactive"}
    stage.rotate("finish", code=75)
    stage.days_pass(3)
    stage.rotate("finish")
    assert stage.key_states() == {stage.user.key_id: "Active"}
    assert stage.works()


def test_mail_that_fails_in_the_days_of_grace_stops_the_end_and_abort_heals_it(stage: Stage) -> None:
    stage.rotate("start")
    new = stage.held()["username"]
    stage.rotate("confirm", "--yes-i-tested")
    stage.alias_fails(datetime.now(UTC))
    stage.days_pass(4)
    assert "It is not deleted" in stage.rotate("finish", code=78)
    assert stage.user.key_id in stage.key_states()
    stage.rotate("abort")
    assert stage.key_states() == {stage.user.key_id: "Active", new: "Active"}
    assert stage.held()["username"] == stage.user.key_id
    assert stage.works()


def test_a_deletion_that_was_broken_off_is_not_taken_up_once_mail_has_failed(stage: Stage) -> None:
    stage.rotate("start")
    new = stage.held()["username"]
    stage.rotate("confirm", "--yes-i-tested")
    stage.days_pass(4)
    stage.killed("delete_key", 1, "before", "finish")
    assert stage.row()["state"] == "deleting"
    stage.alias_fails(datetime.now(UTC))
    for command in ("start", "finish"):
        assert "It is not deleted" in stage.rotate(command, code=78)
        assert stage.key_states() == {stage.user.key_id: "Inactive", new: "Active"}
    stage.rotate("abort")
    assert stage.key_states() == {stage.user.key_id: "Active", new: "Active"}


def test_mail_that_failed_before_a_killed_confirm_was_taken_up_counts_too(stage: Stage) -> None:
    """The key was Inactive from the kill on, and only the next command writes down since when."""
    stage.rotate("start")
    stage.killed("set_key", 1, "after", "confirm", "--yes-i-tested")
    stage.alias_fails(datetime.now(UTC) + timedelta(seconds=1))
    with sqlite3.connect(stage.folder / "triage.db") as db:  # as if it had failed a day ago, and a day after the kill
        db.execute("UPDATE rotations SET confirmed_at = '2026-11-01T00:00:00Z'")
        db.execute("UPDATE verdicts SET received_at = '2026-11-02T00:00:00Z'")
    db.close()
    stage.rotate("start")
    assert stage.row()["state"] == "grace"
    stage.days_pass(4)
    assert "It is not deleted" in stage.rotate("finish", code=78)


def test_once_more_aborted_gives_the_new_key_back(stage: Stage) -> None:
    """The owner was wrong to say that Gmail has the old login: the new key is what mail needs."""
    stage.rotate("start")
    new = stage.held()["username"]
    stage.rotate("abort", "--gmail-has-old")
    assert stage.key_states() == {stage.user.key_id: "Active", new: "Inactive"}
    stage.rotate("abort", "--gmail-has-old")
    assert stage.key_states()[new] == "Inactive", "said twice, the same"
    stage.alias_fails(datetime.now(UTC) + timedelta(seconds=1))
    stage.days_pass(4)
    assert "rotate abort" in stage.rotate("finish", code=78)
    assert "Both logins work" in stage.rotate("abort")
    assert stage.key_states() == {stage.user.key_id: "Active", new: "Active"}


def test_a_login_that_may_still_be_taken_back_is_shown_to_nobody(stage: Stage) -> None:
    """Entered in Gmail it would work, until the next abort deletes its key at once."""
    stage.relay.mode = "blocked"
    stage.rotate("start", code=78)
    assert stage.row()["state"] == "verifying"
    password = stage.held("AWSPENDING")["password"]
    for option in ("--show", "--copy"):
        said = stage.rotate("status", option, code=78)
        assert "not tested yet" in said
        assert password not in said
    stage.relay.mode = "normal"
    stage.rotate("start")
    assert password in stage.rotate("status", "--show")
    stage.rotate("confirm", "--yes-i-tested")
    said = stage.rotate("status", "--show")
    assert password in said
    assert "edit info" not in said, "there is nothing to do in Gmail"


def test_a_failure_after_the_hand_over_speaks_against_the_owner(stage: Stage) -> None:
    stage.rotate("start")
    stage.alias_fails(datetime.now(UTC) + timedelta(minutes=1))
    assert "An alias failure came" in stage.rotate("confirm", code=78)
    assert set(stage.key_states().values()) == {"Active"}
    assert "Alias failures since it began: 1" in stage.rotate("status")


def test_a_key_the_relay_never_takes_is_rolled_back(stage: Stage) -> None:
    stage.settings(smtp_patience_seconds=0)
    stage.relay.lag = 99
    said = stage.rotate("start", code=78)
    assert "the relay does not take the new key" in said
    assert stage.key_states() == {stage.user.key_id: "Active"}
    assert stage.held()["username"] == stage.user.key_id
    assert stage.works()


@pytest.mark.parametrize("mode", ["blocked", "no-auth", "put-off"])
def test_a_relay_that_takes_nobody_does_not_cost_the_new_key(stage: Stage, mode: Any) -> None:
    stage.relay.mode = mode
    said = stage.rotate("start", code=75 if mode == "put-off" else 78)
    assert "cannot be tested" in said
    assert ("keeps the server it began with" in said) == (mode != "put-off")
    assert len(stage.key_states()) == 2
    assert stage.held()["username"] == stage.user.key_id
    stage.relay.mode = "normal"
    stage.rotate("start")
    assert stage.works()
    assert stage.row()["attempt"] == 1, "the same key goes on"


@pytest.mark.parametrize(
    ("denied", "states"),
    [
        ("iam:ListAccessKeys", None),
        ("iam:CreateAccessKey", "done"),
        ("secretsmanager:PutSecretValue", "done"),
        ("secretsmanager:UpdateSecretVersionStage", "promoting"),
    ],
)
def test_a_permission_that_is_missing(stage: Stage, denied: str, states: str | None) -> None:
    """moto enforces which actions a user may call; the resource is left open, because it knows no other."""
    allowed = [action for action in policies.actions(policies.rotation_policy()) if action != denied]
    statement = {"Effect": "Allow", "Action": allowed, "Resource": "*"}
    iam = stage.aws.client("iam")
    iam.create_user(UserName="rotator")
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="rotator", PolicyName="rotate", PolicyDocument=document)
    key = iam.create_access_key(UserName="rotator")["AccessKey"]
    stage.env = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    _enforce(stage.aws, True)
    try:
        # A key that could not be stored is rolled back, which is no longer a matter of permissions.
        said = stage.rotate("start", code=78 if "PutSecretValue" in denied else 77)
    finally:
        _enforce(stage.aws, False)
    assert denied in said
    assert "It is over" not in said
    if states is None:
        assert not (stage.folder / "triage.db").exists() or stage.rotate("status").startswith("No rotation")
    else:
        assert stage.row()["state"] == states
    assert stage.key_states()[stage.user.key_id] == "Active"
    assert len(stage.key_states()) == (2 if states == "promoting" else 1)
    assert stage.works()
    stage.env = {}
    stage.rotate("start")
    assert stage.row()["state"] == "waiting"
    assert stage.works()


def test_the_policy_allows_what_a_rotation_calls() -> None:
    source = (ROOT / "remediation" / "rotation_aws.py").read_text() + (ROOT / "remediation" / "aws_iam.py").read_text()
    called = {":".join(found) for found in re.findall(r'"(iam|secretsmanager)",\s+[\w.]+,\s+"(\w+)"', source)}
    assert len(called) >= 10
    # Making a secret is for the first time only, and not in the everyday policy; see docs/rotation.md.
    assert called - {"secretsmanager:CreateSecret"} <= set(policies.actions(policies.rotation_policy()))


def test_what_stands_in_the_way_is_said(stage: Stage) -> None:
    second = stage.aws.add_key(stage.user.name)
    said = stage.rotate("start", code=78)
    assert f"--remove-key {second.key_id}" in said
    assert "never used" in said
    assert stage.user.key_id in stage.rotate("start", "--remove-key", stage.user.key_id, code=78)
    stage.rotate("start", "--remove-key", second.key_id)
    assert stage.key_states() == {stage.user.key_id: "Active", second.key_id: "Inactive"}, (
        "an Active key is never deleted"
    )
    assert "has to be Inactive for a while" in stage.rotate("start", "--remove-key", second.key_id)
    stage.removal_began(datetime(2026, 1, 1, tzinfo=UTC))
    stage.rotate("start", "--remove-key", second.key_id)
    stage.rotate("start")
    assert stage.works()


def test_the_days_before_a_key_is_removed_begin_anew_whenever_it_becomes_inactive(stage: Stage) -> None:
    """Somebody needed it and made it Active again: what was written down about it the first time counts no longer."""
    second = stage.aws.add_key(stage.user.name)
    remove = ("start", "--remove-key", second.key_id)
    stage.rotate(*remove)
    stage.removal_began(datetime(2026, 1, 1, tzinfo=UTC))
    iam = stage.aws.client("iam")
    iam.update_access_key(UserName=stage.user.name, AccessKeyId=second.key_id, Status="Active")
    stage.rotate(*remove)
    assert "has to be Inactive for a while" in stage.rotate(*remove)
    stage.removal_began(datetime.now(UTC) - timedelta(days=4))
    stage.alias_fails(datetime.now(UTC) - timedelta(days=1))
    said = stage.rotate(*remove, code=78)
    assert "It is not deleted" in said
    assert f"aws iam update-access-key --user-name {stage.user.name} --access-key-id {second.key_id}" in said
    assert second.key_id in stage.key_states()


def test_a_key_others_made_inactive_is_watched_first(stage: Stage) -> None:
    second = stage.aws.add_key(stage.user.name)
    stage.aws.deactivate_key(second)
    remove = ("start", "--remove-key", second.key_id)
    assert f"--remove-key {second.key_id}" in stage.run_here("credentials", "status").stdout
    assert "has to be Inactive for a while" in stage.rotate(*remove)
    assert "has to be Inactive for a while" in stage.rotate(*remove)
    stage.removal_began(datetime.now(UTC) - timedelta(days=4))
    assert "is deleted" in stage.rotate(*remove)
    assert list(stage.key_states()) == [stage.user.key_id]


def test_the_last_key_is_never_removed(stage: Stage) -> None:
    """The secret names a key that is gone, so nobody knows what Gmail uses."""
    second = stage.aws.add_key(stage.user.name)
    stage.aws.client("iam").delete_access_key(UserName=stage.user.name, AccessKeyId=stage.user.key_id)
    assert "No other key is Active" in stage.rotate("start", "--remove-key", second.key_id, code=78)
    assert stage.key_states() == {second.key_id: "Active"}
    stage.settings(smtp_user="nobody")
    assert "There is no IAM user nobody" in stage.rotate("start", "--remove-key", second.key_id, code=78)


def test_a_key_that_is_not_the_users_stops_it(stage: Stage) -> None:
    stage.aws.client("iam").delete_access_key(UserName=stage.user.name, AccessKeyId=stage.user.key_id)
    assert "--old-key-is-gone" in stage.rotate("start", code=78)
    stage.rotate("start", "--old-key-is-gone")
    assert stage.works()
    stage.rotate("confirm", "--yes-i-tested")
    assert stage.row()["state"] == "done"


def test_without_a_secret_one_is_made_that_names_the_key_in_use(stage: Stage) -> None:
    stage.aws.client("secretsmanager").delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)
    assert "--create-secret" in stage.rotate("start", code=78)
    stage.rotate("start", "--create-secret")
    assert stage.held("AWSPREVIOUS")["username"] == stage.user.key_id
    assert "password" not in stage.held("AWSPREVIOUS")
    assert "holds no whole login" in stage.run_here("credentials", "check", "--stage", "previous").stderr
    assert stage.works()
    stage.rotate("abort", "--gmail-has-old")
    assert stage.held()["username"] == stage.user.key_id
    assert stage.key_states()[stage.user.key_id] == "Active"


def test_a_secret_with_nothing_in_it_is_said_and_not_taken_for_none(stage: Stage) -> None:
    secrets = stage.aws.client("secretsmanager")
    secrets.delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)
    secrets.create_secret(Name=SECRET)
    assert "nothing is in it" in stage.rotate("start", code=78)
    assert "with nothing in it" in stage.rotate("start", "--create-secret", code=78)
    assert list(stage.key_states()) == [stage.user.key_id]


def test_only_a_key_that_is_old_enough_is_rotated(stage: Stage) -> None:
    assert stage.rotate("start", "--if-older-than", "90d") == "", "cron would mail it"
    assert len(stage.key_states()) == 1
    stage.rotate("start")
    stage.rotate("abort", "--gmail-has-old")
    stage.days_pass(4)
    stage.rotate("finish")
    with mock.patch("triage.cli_rotate.on_terminal", return_value=True):
        said = stage.rotate("start", "--if-older-than", "90d")
    assert said.startswith(f"Key {stage.user.key_id} is 0 days old; it is not due yet. Not before 20")
    assert "aborted" not in said, "the one before is over and no matter"


def test_one_rotation_command_at_a_time(stage: Stage) -> None:
    with FileLock(stage.folder / "triage.db.rotation.lock"):
        assert "Another rotation command" in stage.rotate("start", code=75)
    assert len(stage.key_states()) == 1


def test_mail_that_came_back_to_the_mailbox_is_evidence(stage: Stage) -> None:
    with GmailDouble() as gmail:
        gmail.write_credentials(stage.folder)
        stage.settings(gmail_url=gmail.url)
        stage.rotate("start")
        arrived = datetime.now(UTC) + timedelta(seconds=5)
        gmail.seed(_through_ses(arrived - timedelta(days=1)), received_at=arrived)
        gmail.seed(_through_ses(arrived, signed="fail"), received_at=arrived)
        assert "No mail from the alias" in stage.rotate("confirm", code=78)
        gmail.seed(_through_ses(arrived), received_at=arrived)
        assert "arrived in this mailbox" in stage.rotate("confirm")
    assert stage.key_states()[stage.user.key_id] == "Inactive"


def _through_ses(sent_at: datetime, signed: str = "pass") -> bytes:
    """A mail from the alias to the mailbox as it arrives by way of SES."""
    ses_id = f"0100{int(sent_at.timestamp() * 1000):012x}-01234567-89ab-cdef-0123-456789abcdef-000000"
    return (
        f"Authentication-Results: mx.google.com; dkim={signed} header.i=@queenofsandiego.com; dmarc={signed}\r\n"
        f"From: Captain <{ALIAS}>\r\nTo: jadasailing@gmail.com\r\nSubject: Test\r\n"
        f"Message-ID: <{ses_id}@email.amazonses.com>\r\n\r\nHello\r\n"
    ).encode()


def test_an_unknown_user_and_missing_settings_are_said(stage: Stage) -> None:
    stage.settings(smtp_user="nobody")
    assert "There is no IAM user nobody" in stage.rotate("start", code=78)
    (stage.folder / "triage.toml").write_text("")
    assert "smtp_user" in stage.rotate("start", code=78)


def test_nothing_is_made_up_where_nothing_was_begun(stage: Stage) -> None:
    assert "No rotation was ever begun" in stage.rotate("status")
    for command in ("confirm", "abort", "finish"):
        stage.rotate(command, code=78)
    assert stage.key_states() == {stage.user.key_id: "Active"}


def test_the_state_of_everything_at_a_glance(stage: Stage, tmp_path: Path) -> None:
    with GmailDouble() as gmail:
        gmail.write_credentials(tmp_path)
        gmail.add_send_as(ALIAS, host="email-smtp.eu-west-1.amazonaws.com")
        stage.settings(gmail_url=gmail.url)
        done = stage.run("credentials", "status", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [key["id"] for key in found["keys"]] == [stage.user.key_id]
    assert found["keys"][0]["stages"] == ["AWSCURRENT"]
    assert found["keys"][0]["age_days"] == 0, "made a moment ago, by a clock that may be ahead"
    assert found["alias"][0]["host"] == "email-smtp.eu-west-1.amazonaws.com"
    text = stage.run("credentials", "status").stdout
    assert stage.user.key_id in text
    assert stage.held()["password"] not in done.stdout + text
