"""A secret that is known here is looked for everywhere it must not be, after every command, the failing ones too.

Everywhere: what is printed with --verbose and with every library logging all it can, tracebacks, the arguments and the
environment of our processes and of those they start, the database, every file, the notes in the mailbox, the report.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from remediation.credentials import derive_smtp_password
from tests.doubles.aws import REGION, AwsDouble
from tests.doubles.gmail import GmailDouble
from tests.doubles.relay import RelayDouble, moto_keys
from tests.doubles.service_account import ServiceAccount
from tests.rotation.stage import ALIAS, ROOT, SECRET, Stage
from tests.worlds.forked import Forked
from tests.worlds.made_mails import alias_notice, put_into_sent

# Every library may log all it wants; a function of ours may be made to fail in the middle.
LOUD = """
import logging, sys
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
name, nth, *arguments = sys.argv[1:]
import remediation.rotation.keys as aws, remediation.rotation.steps as steps, triage.rotation.turns as commands
calls = 0

def failing(call):
    def wrapped(*args, **named):
        global calls
        calls += 1
        answer = call(*args, **named)
        if calls == int(nth):
            raise RuntimeError("broken in the middle")
        return answer
    return wrapped

if name != "-":
    where = next(place for place in (commands, steps, aws.KeyRing) if hasattr(place, name))
    setattr(where, name, failing(getattr(where, name)))
from triage.cli.program import main
sys.exit(main(["--verbose", *arguments]))
"""


class Started:
    """A process whose command line is its own, unlike that of a `Forked`."""

    def __init__(self, code: str, *arguments: str, cwd: Path, env: dict[str, str], stdin: str) -> None:
        command = [sys.executable, "-c", code, *arguments]
        self._process = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._stdin = stdin
        self.pid = self._process.pid

    def finish(self) -> subprocess.CompletedProcess[str]:
        out, err = self._process.communicate(self._stdin, timeout=60)
        return subprocess.CompletedProcess(self._process.args, self._process.returncode, out, err)


class Watched:
    """Runs commands and keeps all that anybody could see of them."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.seen: list[tuple[str, bytes]] = []
        self.allowed = 0
        """How often a password was printed because that was asked for."""

    def run(
        self,
        *arguments: str,
        fails: str = "-",
        nth: int = 1,
        stdin: str = "",
        prints: str | None = None,
        program: Callable[..., Forked | Started] = Forked,
    ) -> int:
        """`prints`: the one secret that standard output is asked for."""
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.stage.folder),
            "PYTHONPATH": str(ROOT),
            "TRIAGE_CONFIG": str(self.stage.folder / "triage.toml"),
            **self.stage.aws.env,
        }
        process = program(LOUD, fails, str(nth), *arguments, cwd=self.stage.folder, env=env, stdin=stdin)
        stop = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(process.pid, stop))
        watcher.start()
        done = process.finish()
        stop.set()
        watcher.join()
        out, err = (text.encode("utf-8", "surrogateescape") for text in (done.stdout, done.stderr))
        name = " ".join(arguments)
        if prints is not None and prints.encode() in out:
            self.allowed += 1
            out = out.replace(prints.encode(), b"")
        self.seen += [(f"output of {name}", out), (f"errors and log of {name}", err)]
        return done.returncode

    def _watch(self, pid: int, stop: threading.Event) -> None:
        while not stop.wait(0.02):
            for process in [pid, *_children(pid)]:
                for what in ("cmdline", "environ"):
                    try:
                        self.seen.append((f"{what} of a process", Path(f"/proc/{process}/{what}").read_bytes()))
                    except OSError:
                        continue

    def files(self) -> Iterator[tuple[str, bytes]]:
        for path in self.stage.folder.rglob("*"):
            if path.is_file():
                yield f"file {path.name}", path.read_bytes()


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(word) for word in text.split()]


def forms(secret: str) -> Iterator[bytes]:
    """A secret, and as it would look inside base64 at any offset."""
    yield secret.encode()
    for offset in range(3):
        blob = base64.b64encode(b"x" * offset + secret.encode())
        yield blob[4 : 4 * (len(blob) // 4) - 4]


@pytest.fixture
def watched(aws: AwsDouble, tmp_path: Path) -> Iterator[Watched]:
    (tmp_path / "certificates").mkdir()
    with RelayDouble(tmp_path / "certificates") as relay:
        user = aws.make_smtp_user()
        login = {"username": user.key_id, "password": derive_smtp_password(user.secret, REGION)}
        aws.make_secret(login, name=SECRET)
        folder = tmp_path / "home"
        folder.mkdir()
        yield Watched(Stage(aws, relay, folder, user))


def every_secret() -> set[str]:
    """The secret of every key there is now, and its password."""
    keys = [secret for _, secret in moto_keys()]
    return {*keys, *(derive_smtp_password(secret, REGION) for secret in keys)}


def look(watched: Watched, gmail: GmailDouble, secrets: set[str]) -> None:
    """No secret may be anywhere."""
    mails = [("a mail in Gmail", message.raw) for message in gmail.messages.values()]
    places = [*watched.seen, *watched.files(), *mails]
    assert len(places) > 50
    for secret in secrets:
        for form in forms(secret):
            found = sorted({place for place, content in places if form in content})
            assert not found, f"a secret stands in: {found}"


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="the process list is read from /proc")
def test_through_every_command_and_failure(watched: Watched) -> None:
    stage = watched.stage
    secrets = every_secret()
    old_password = derive_smtp_password(stage.user.secret, REGION)

    with GmailDouble() as gmail, ServiceAccount(gmail) as account:
        gmail.write_credentials(stage.folder)
        put_into_sent(gmail)
        gmail.add_send_as(ALIAS, host="localhost")
        gmail.seed(alias_notice(1), received_at=datetime.now(UTC) - timedelta(days=20))
        stage.settings(gmail_url=gmail.url, smtp_patience_seconds=0, probe=True)
        rotate = ("credentials", "rotate")

        assert watched.run("run") == 0
        derive = ("credentials", "derive", "--region", REGION)
        assert watched.run(*derive, stdin=stage.user.secret, prints=old_password) == 0
        quoted = f"'{stage.user.secret}'"
        assert watched.run(*derive, stdin=quoted, prints=derive_smtp_password(quoted, REGION)) == 0
        assert watched.run("credentials", "status") == 0
        assert watched.run("credentials", "check") == 0
        assert watched.run("credentials", "check", "--username", "AKIANOBODY0000000000", stdin=old_password) == 77
        stage.relay.mode = "chatty"
        assert watched.run("credentials", "check") == 77
        assert watched.run("credentials", "check", "--json") == 77
        stage.relay.mode = "normal"

        # A rotation that breaks at each place where a secret is at hand.
        for name in ("create_key", "secret_values", "put_pending", "read", "check_login", "move_current"):
            assert watched.run(*rotate, "start", fails=name) == 1
            secrets |= every_secret()
            assert "broken in the middle" in watched.seen[-1][1].decode()
        stage.relay.lag = 99
        watched.run(*rotate, "start")
        stage.relay.lag = 0
        assert watched.run(*rotate, "start") == 0
        secrets |= every_secret()
        new_password = str(stage.held()["password"])
        assert watched.run(*rotate, "status", "--show", prints=new_password) == 0
        assert watched.run(*rotate, "status", "--json") == 0
        assert watched.run(*rotate, "confirm") == 78
        assert watched.run(*rotate, "abort") == 0
        assert watched.run(*rotate, "abort", "--gmail-has-old") == 0
        assert watched.run(*rotate, "finish") == 75
        stage.days_pass(9)
        assert watched.run(*rotate, "finish") == 0

        # The same by the service account, refused and granted.
        key_file = account.write_key(stage.folder.parent)
        stage.settings(gmail_url=gmail.url, service_account=str(key_file))
        assert watched.run(*rotate, "start") == 77
        gmail.account.delegation = True
        assert watched.run(*rotate, "start") == 0
        secrets |= every_secret()
        assert gmail.alias_login(ALIAS) == (stage.held()["username"], stage.held()["password"])
        assert watched.run(*rotate, "confirm") == 0
        assert watched.run("report") == 0
        assert watched.run("report", "--format", "json") == 0

        notes = [m for m in gmail.messages.values() if b"X-Triage: rotation" in m.raw]
        assert len(notes) == 2, "the hand-over stands in the thread, once for each direction"
        assert watched.allowed == 3
        assert len(secrets) >= 8
        look(watched, gmail, secrets)


def test_no_library_of_aws_logs_what_it_hears(
    aws: AwsDouble, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks: also after a client was made, and for the reading that a run does by itself."""
    from remediation.aws.secrets import secret_login

    for name in ("botocore", "boto3", "urllib3"):
        monkeypatch.setattr(logging.getLogger(name), "level", logging.NOTSET)
    password = "BLBM/9hSUELfq8Gw+rU1YcBjkOxGbhT2XG763xVLGWL9"
    aws.make_secret({"username": "AKIAIOSFODNN7EXAMPLE", "password": password}, name=SECRET)
    assert secret_login(REGION, SECRET) is not None
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        assert secret_login(REGION, SECRET) is not None
    assert password not in caplog.text


def test_the_search_finds_a_secret_where_there_is_one(watched: Watched) -> None:
    """Else the test above would prove nothing."""
    secret = watched.stage.user.secret
    for content in (secret.encode(), base64.b64encode(b"ab" + secret.encode()), json.dumps({"p": secret}).encode()):
        assert any(form in content for form in forms(secret))
    watched.run("credentials", "derive", "--region", REGION, secret, program=Started)
    found = [place for place, content in watched.seen if secret.encode() in content]
    assert set(found) == {"cmdline of a process"}, "our own test put it there, and nothing repeated it"


def test_no_value_with_a_secret_shows_it_in_its_repr() -> None:
    from remediation.aws.secrets import SecretLogin
    from remediation.credentials import Login
    from remediation.rotation.keys import Held, NewKey

    for value in (
        Login("AKIA", "the-secret"),
        NewKey("AKIA", "the-secret"),
        Held("v1", "AKIA", "the-secret"),
        SecretLogin("AKIA", "the-secret", "v1"),
    ):
        assert not re.search("the-secret", repr(value) + str(value))
