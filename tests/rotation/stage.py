"""One SMTP user with a key, its secret and a relay that takes it, and the real commands to rotate it."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from remediation.credentials import Login, check_login
from tests.doubles.aws import REGION, AwsDouble, SmtpUser
from tests.doubles.relay import RelayDouble
from tests.worlds.forked import COMMAND, Forked
from tests.worlds.made_verdicts import gmail_mail, proven, record
from triage import store
from triage.cli.program import main

ROOT = Path(__file__).parents[2]
ALIAS = "admin@queenofsandiego.com"
SECRET = "ses-smtp/queenofsandiego.com"

# Kills itself right before or right after the nth call of one of our own functions.
KILLED = """
import os, signal, sys
import remediation.rotation.keys as aws, triage.store as rows
from triage.cli.program import main

name, nth, when, *arguments = sys.argv[1:]
where = rows if hasattr(rows, name) else aws.KeyRing
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

    def run(self, *arguments: str, stdin: str = "", code: str = COMMAND) -> Any:
        """Run a command; returns the finished process, its output as text."""
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "TRIAGE_CONFIG": str(self.folder / "triage.toml"),
            **self.aws.env,
            **self.env,
        }
        return Forked(code, *arguments, cwd=self.folder, env=env, stdin=stdin).finish()

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
        done = self.run(name, str(nth), when, "credentials", "rotate", *arguments, code=KILLED)
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
        store.store_judged(db, gmail_mail(int(at.timestamp()), received_at=at), [failure], [], at, proven(failure))
        db.close()
