"""Whatever is wrong outside of triage, it is said as such: "something in triage itself went wrong" is for our own bugs.

A table for each source of input: settings, environment, folders, token, sign-in server, proxy, database.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.home import ALIAS, EXCHANGE, ROOT, Home
from tests.doubles.gmail import GmailDouble
from tests.doubles.loopback import Loopback, Reply, Request
from tests.worlds import forked

OUR_OWN_BUG = "Something in triage itself went wrong"
DOCUMENTED = {0, 1, 2, 75, 77, 78}

RUN = ("run", "--database", "triage.db", "--mailbox", "mails")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.copy(ALIAS, EXCHANGE)
    return home


def said(done: subprocess.CompletedProcess[str], *codes: int) -> str:
    """What was said on standard error, where that is no confession of ours; ends with one of `codes`."""
    assert OUR_OWN_BUG not in done.stderr + done.stdout, done.stderr
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    assert done.returncode in (codes or DOCUMENTED), (done.returncode, done.stderr)
    return done.stderr


# Settings

BAD_SETTINGS = {
    "since_days past the calendar": "since_days = 99999999",
    "overlap_hours past the calendar": "overlap_hours = 999999999999",
    "more digits than Python reads": f"since_days = 1{'0' * 5000}",
    "a number below 64 bits": "smtp_patience_seconds = -99999999999999999999999999",
    "nested too deep": f"subjects = {'[' * 3000}{']' * 3000}",
    "a path with NUL": 'token = "tok\\u0000en.json"',
    "a database path with NUL": 'database = "tri\\u0000age.db"',
    "nobody's home": 'database = "~nobody-of-that-name/triage.db"',
    "a port past 65535": "smtp_port = 99999",
    "a port of Gmail's past 65535": 'gmail_url = "http://127.0.0.1:99999"',
    "a DNS port past 65535": 'dns = "192.0.2.1:99999"',
    "a ping port past 65535": 'ping_url = "https://hc.example.com:99999/x"',
    "a queue that is no address": 'queue_url = "sqs"',
    "security unknown": 'smtp_security = "maybe"',
    "a region unknown": 'regions = ["us-eats-1"]',
    "a date": "since_days = 2026-11-24",
    "a table": "[since_days]\nx = 1",
    "an array of tables": "[[alerts]]\nurl = 'x'",
    "nothing but a bracket": "[",
    "a control character": 'label_prefix = "a\\u001bb"',
    "a secret of a wrong type": "ping_url = 5",
}


@pytest.mark.parametrize("text", BAD_SETTINGS.values(), ids=BAD_SETTINGS)
@pytest.mark.parametrize(
    "command",
    [RUN, ("report",), ("config", "check")],
    ids=" ".join,
)
def test_settings(home: Home, text: str, command: tuple[str, ...]) -> None:
    del home.env["TRIAGE_DATABASE"]
    (home.folder / "triage.toml").write_text(text)
    assert "triage.toml" in said(home.triage(*command), 78)
    said(home.triage("doctor"), 78)


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"\x00", b"since_days = '\xe9'", b"\xef\xbb\xbf\xef\xbb\xbfa=1"])
def test_settings_that_are_no_text(home: Home, data: bytes) -> None:
    (home.folder / "triage.toml").write_bytes(data)
    said(home.triage("report"), 78)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRIAGE_SINCE_DAYS", "99999999"),
        ("TRIAGE_SINCE_DAYS", "9" * 5000),
        ("TRIAGE_SINCE_DAYS", "³"),
        ("TRIAGE_DATABASE", "~nobody-of-that-name/x.db"),
        ("TRIAGE_DATABASE", "x" * 5000),
        ("TRIAGE_DATABASE", "/dev/null"),
        ("TRIAGE_DATABASE", "/proc/triage.db"),
        ("TRIAGE_DATABASE", "mails"),
        ("TRIAGE_CONFIG", "~nobody-of-that-name/x.toml"),
        ("TRIAGE_CONFIG", "x" * 5000),
        ("TRIAGE_CONFIG", "/dev/zero"),
        ("TRIAGE_SMTP_PORT", "99999"),
        ("TRIAGE_DNS", "192.0.2.1:99999"),
    ],
)
def test_environment(home: Home, name: str, value: str) -> None:
    home.env[name] = value
    # `RUN` names a database of its own, so that of the environment must stop what reads the mailbox.
    said(home.triage(*(("run",) if name == "TRIAGE_DATABASE" else RUN)), 78)
    said(home.triage("report"), 78)


# Folders

IN_A_GONE_FOLDER = "import os, sys, tempfile; folder = tempfile.mkdtemp(); os.chdir(folder); os.rmdir(folder);"


@pytest.mark.parametrize(
    "arguments",
    [("report",), RUN, ("explain", "1"), ("config", "show")],
)
@pytest.mark.parametrize("named", [True, False])
def test_a_working_folder_that_is_gone(home: Home, named: bool, arguments: tuple[str, ...]) -> None:
    if not named:
        home.env["TRIAGE_DATABASE"] = "triage.db"
    program = f"{IN_A_GONE_FOLDER} from triage.cli.program import main; sys.exit(main())"
    done = home.started(*arguments, program=("-c", program))
    text = said(done)
    if not named:
        assert done.returncode == 78
        assert "folder" in text


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that another user can reach, as pytest's own cannot be."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
@pytest.mark.parametrize("place", ["folder", "file", "config", "working folder"])
def test_a_folder_that_cannot_be_read(shared_folder: Path, place: str) -> None:
    closed = shared_folder / "closed"
    closed.mkdir()
    (closed / "triage.toml").write_text("since_days = 3\n")
    (closed / "triage.db").write_bytes(b"")
    env = {"PATH": os.environ["PATH"], "HOME": str(shared_folder), "PYTHONPATH": str(ROOT)}
    (shared_folder / "readable.db").write_bytes(b"")
    (shared_folder / "readable.db").chmod(0o600)
    env["TRIAGE_DATABASE"] = str(shared_folder / "readable.db" if place == "file" else closed / "triage.db")
    if place == "config":
        env["TRIAGE_CONFIG"] = str(closed / "triage.toml")
    start = closed if place == "working folder" else shared_folder
    code = f"import os; os.chdir({str(start)!r}); os.setuid(65534);"
    closed.chmod(0o700)
    (shared_folder / "x.eml").write_bytes(b"Subject: x\n\nx\n")
    for arguments in (
        ["report"],
        ["run", "--database", "triage.db", "--mailbox", "x.eml"],
        ["doctor"],
        ["config", "show"],
    ):
        said(forked.triage(*arguments, cwd=ROOT, env=env, code=f"{code} {forked.COMMAND}"))


# Token and sign-in server

GOOD_TOKEN = {"refresh_token": "r", "client_id": "c", "client_secret": "s"}
BAD_TOKENS = {
    "empty": "",
    "null": "null",
    "a list": "[]",
    "a text": '"x"',
    "cut": '{"refresh_token": "r"',
    "deep": "[" * 100_000,
    "scopes a number": json.dumps(GOOD_TOKEN | {"scopes": 5}),
    "expiry a number": json.dumps(GOOD_TOKEN | {"expiry": 5}),
    "expiry past the calendar": json.dumps(GOOD_TOKEN | {"expiry": "99999-01-01T00:00:00Z"}),
    "expiry at its end": json.dumps(GOOD_TOKEN | {"expiry": "9999-12-31T23:59:59-12:00", "token": "t"}),
    "an address here, its port past 65535": json.dumps(GOOD_TOKEN | {"token_uri": "http://127.0.0.1:99999/token"}),
    "an address of no kind": json.dumps(GOOD_TOKEN | {"token_uri": ["x"]}),
    "a token that is none": json.dumps(GOOD_TOKEN | {"token": {"a": 1}, "expiry": "2999-01-01T00:00:00Z"}),
    "line ends in a token": json.dumps(GOOD_TOKEN | {"token": "a\r\nb", "expiry": "2999-01-01T00:00:00Z"}),
    "no Latin in a token": json.dumps(GOOD_TOKEN | {"token": "a☃", "expiry": "2999-01-01T00:00:00Z"}),
}


@pytest.fixture
def gmail(home: Home) -> Iterator[GmailDouble]:
    with GmailDouble() as double:
        double.write_credentials(home.folder)
        home.env["TRIAGE_TOKEN"] = str(home.folder / "token.json")
        home.env["TRIAGE_GMAIL_URL"] = double.url
        yield double
        double.complaints.clear()  # what strange tokens were sent is no concern here


@pytest.mark.parametrize("text", BAD_TOKENS.values(), ids=BAD_TOKENS)
def test_token_files(home: Home, gmail: GmailDouble, text: str) -> None:
    (home.folder / "token.json").write_text(text)
    said(home.triage("run"), 75, 77, 78)
    said(home.triage("doctor"), 1, 77, 78)


ANSWERS_LATER = {
    "HTML": (200, b"<html>Please sign in to the WiFi</html>"),
    "cut JSON": (200, b'{"access_token": "x", "expires'),
    "empty": (200, b""),
    "a list": (200, b"[]"),
    "a list of one": (200, b'[{"access_token": "x"}]'),
    "null": (200, b"null"),
    "a number": (200, b"5"),
    "no UTF-8": (200, b"\xff\xfe"),
    "no token": (200, b"{}"),
    "a token that is null": (200, b'{"access_token": null, "expires_in": 3599}'),
    "a token that is a list": (200, b'{"access_token": ["x"], "expires_in": 3599}'),
    "a life that is no number": (200, b'{"access_token": "x", "expires_in": "soon"}'),
    "a life past the calendar": (200, b'{"access_token": "x", "expires_in": 99999999999999999}'),
    "a life without end": (200, b'{"access_token": "x", "expires_in": 1e999}'),
    "a proxy's JSON": (403, b'{"message": "blocked", "error": null}'),
    "a proxy's JSON in other words": (403, b'{"error": "Access to this site is blocked"}'),
    "a proxy's JSON with a dict": (407, b'{"error": {"code": 407, "why": "sign in to the proxy"}}'),
    "a proxy's page": (403, b"<html>blocked</html>"),
    "a list as refusal": (400, b'["x"]'),
    "null as refusal": (400, b"null"),
    "rate limit": (
        403,
        b'{"error": {"code": 403, "message": "Rate Limit Exceeded", "errors": [{"reason": "rateLimitExceeded"}]}}',
    ),
    "rate limit in OAuth's words": (403, b'{"error": "rate_limit_exceeded", "error_description": "slow down"}'),
    "rate limit of another kind": (429, b'{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}'),
}


@pytest.mark.parametrize(("status", "body"), ANSWERS_LATER.values(), ids=ANSWERS_LATER)
def test_sign_in_servers_that_answer_nonsense(home: Home, gmail: GmailDouble, status: int, body: bytes) -> None:
    """It will pass: nobody is told to sign in again, and no Python of ours is in the sentence."""
    from triage.errors import TryLater
    from triage.gmail.client import connect

    expire(home)
    gmail.fail("token", times=None, status=status, body=body)
    client = connect(home.folder / "token.json", url=gmail.url, sleep=lambda seconds: None)
    with pytest.raises(TryLater) as caught:
        client.profile_address()
    client.close()
    assert not set("{}[]") & set(caught.value.what)
    assert "None" not in caught.value.what


def test_a_sign_in_server_that_answers_html_ends_a_run_with_75(home: Home, gmail: GmailDouble) -> None:
    expire(home)
    gmail.fail("token", times=None, status=200, body=b"<html>")
    assert "sign-in server" in said(home.triage("run"), 75)


def test_words_of_oauth_still_end_the_sign_in(home: Home, gmail: GmailDouble) -> None:
    """The opposite: what only a human can mend is not put off for ever."""
    expire(home)
    for word in ("invalid_grant", "admin_policy_enforced", "org_internal"):
        gmail.fail("token", status=400, body=json.dumps({"error": word}).encode())
        assert word in said(home.triage("run"), 77)


def expire(home: Home) -> None:
    path = home.folder / "token.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"expiry": "2026-01-01T00:00:00Z"}))


# Proxies


@pytest.mark.parametrize(
    "url", ["proxy", "http://", "http://h:99999", "http://h:port", "ftp://h:1", "http://[::1", ":"]
)
def test_a_proxy_that_cannot_be_one_is_named(home: Home, gmail: GmailDouble, url: str) -> None:
    home.env["https_proxy"] = url
    assert "https_proxy" in said(home.triage("run"), 78)


def test_a_proxy_is_asked_for_google_and_never_for_this_computer(home: Home, gmail: GmailDouble) -> None:
    asked: list[str] = []

    def refuse(request: Request) -> Reply:
        asked.append(f"{request.method} {request.target}")
        return Reply(502, b"no way out")

    with Loopback(refuse) as proxy:
        home.env["https_proxy"] = home.env["http_proxy"] = proxy.url
        assert home.triage("run").returncode == 0, "the double is on this computer"
        assert asked == []
        del home.env["TRIAGE_GMAIL_URL"]
        token = home.folder / "token.json"
        token.write_text(json.dumps(GOOD_TOKEN))
        token.chmod(0o600)
        text = said(home.triage("run"), 75)
        proxy.complaints.clear()
    assert asked
    assert set(asked) == {"CONNECT oauth2.googleapis.com:443"}
    assert "https_proxy" in text


# The database

READERS = (
    ("report",),
    ("report", "--json"),
    ("explain", "1"),
    ("explain", "2"),
    ("incidents",),
    ("incidents", "show", "1"),
    ("doctor",),
    ("rejudge",),
    ("undo", "labels", "--dry-run"),
    RUN,
)
WAY_BACK = "triage restore"


@pytest.fixture
def judged(home: Home) -> Path:
    assert home.triage(*RUN).returncode == 0
    return home.folder / "triage.db"


def complained(home: Home, path: Path) -> set[str]:
    """What all commands say of this database."""
    texts = set()
    for command in READERS:
        done = home.triage(*command)
        text = said(done)
        if done.returncode == 78:
            assert WAY_BACK in text + done.stdout, (command, text)
            texts.add(text)
    return texts


@pytest.mark.parametrize("seed", range(12))
def test_flipped_bytes(home: Home, judged: Path, seed: int) -> None:
    """Anywhere in the file: in its head, its schema, its indexes, its values."""
    whole = judged.read_bytes()
    rand = random.Random(seed)
    for _ in range(6):
        data = bytearray(whole)
        used = [at for at in rand.sample(range(len(data)), 4000) if data[at]][:40]
        for at in used:
            data[at] ^= 1 << rand.randrange(8)
        for beside in home.folder.glob("triage.db-*"):
            beside.unlink()
        judged.write_bytes(data)
        complained(home, judged)


def strange(sql: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with sqlite3.connect(path) as db:
            db.executescript(sql)
        db.close()

    return change


DAMAGES = {
    "a table is gone": strange("PRAGMA foreign_keys = OFF; DROP TABLE incidents"),
    "another table is gone": strange("DROP TABLE runs"),
    "a column is gone": strange("PRAGMA foreign_keys = OFF; ALTER TABLE runs DROP COLUMN not_told"),
    "a column has another name": strange("ALTER TABLE mails RENAME COLUMN tries TO attempts"),
    "an index is gone": strange("DROP INDEX mails_from_files"),
    "a trigger is gone": strange("DROP TRIGGER verdict_counted"),
    "text that is no UTF-8": strange("UPDATE verdicts SET recipient = CAST(x'ff80' AS TEXT)"),
    "JSON that is none": strange("UPDATE verdicts SET fix = '[\"cut'"),
    "a time that is none": strange("UPDATE verdicts SET received_at = 'yesterday'"),
    "mails that cannot be unpacked": strange("UPDATE mails SET raw = x'0102'"),
    "one byte": lambda path: path.write_bytes(b"S") and None,
    "half a page": lambda path: os.truncate(path, 300),
    "half of it": lambda path: os.truncate(path, path.stat().st_size // 8192 * 4096),
    "no database": lambda path: path.write_text("hello " * 1000) and None,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_databases(home: Home, judged: Path, damage: Callable[[Path], None]) -> None:
    damage(judged)
    before = judged.read_bytes()
    assert complained(home, judged), "nobody said anything"
    if len(before) < 512:
        assert judged.read_bytes() == before, "never overwritten"


@pytest.mark.parametrize("column", ["category", "side", "kind", "actor", "cause", "rule", "platform", "proof"])
def test_words_that_nobody_knows(home: Home, judged: Path, column: str) -> None:
    """They may come from a flipped bit or from a later version: no command trips over them."""
    strange(f"UPDATE verdicts SET {column} = 'exchanje'")(judged)
    complained(home, judged)


def test_a_database_that_is_a_pipe_or_a_folder(home: Home) -> None:
    path = home.folder / "triage.db"
    os.mkfifo(path)
    said(home.triage(*RUN), 78)
    said(home.triage("report"), 78)
    path.unlink()
    shutil.copytree(home.folder / "mails", path)
    said(home.triage(*RUN), 78)
