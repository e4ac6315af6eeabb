"""What lies in the working folder, or is named as a file, cannot send our sign-in away, nor make a command wait."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from remediation.aws import caller_identity
from remediation.aws.client import _client
from remediation.aws.endpoints import is_aws_or_here
from tests.doubles.gmail import GmailDouble
from tests.doubles.http_sink import HttpSink
from tests.worlds import forked
from triage.addresses import google_or_here
from triage.config import load_settings
from triage.errors import ConfigError
from triage.gmail import addresses_here, read_client
from triage.gmail.delegation import _read_key_file
from triage.gmail.sign_in import load_token
from triage.owner import doctor
from triage.store import open_readonly, open_store

ELSEWHERE = (
    *("https://evil.example/", "http://evil.example", "https://oauth2.googleapis.com.evil.example/token"),
    *("https://oauth2.googleapis.com@evil.example/", "https://evil.example\\@oauth2.googleapis.com/token"),
    *("https://evil.example#@oauth2.googleapis.com/", "https://evil.example?.googleapis.com", "//evil.example"),
    *("http://oauth2.googleapis.com/token", "https://oauth2.googleapis.com:8443/token", "https://10.0.0.1/"),
    *("https://storage.googleapis.com/evil", "http://127.0.0.1.evil.example", "http://127.0.0.1@evil.example/"),
    *("http://[::ffff:10.0.0.1]/", "file:///etc/passwd", "https://oauth2.googleapis.com /", "", "http://0x7f.1/"),
)
HERE = ("http://127.0.0.1:9", "http://localhost:80/token", "https://127.9.9.9/", "http://[::1]:8080/x")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder a command is started in."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    return tmp_path / "work"


@pytest.fixture
def gmail() -> Iterator[GmailDouble]:
    with GmailDouble() as double:
        yield double


def started(folder: Path, *arguments: str, **env: str) -> tuple[int, list[str]]:
    """Exit code and the lines on standard error of a command started in a folder; fails where it waits for ever."""
    home = {"PATH": os.environ["PATH"], "HOME": str(folder.parent / "home")}
    done = forked.Forked(forked.COMMAND, *arguments, cwd=folder, env=home | env).finish(20)
    return done.returncode, done.stderr.splitlines()


# -- settings found in the working folder ---------------------------------------------------------------------------


def config(folder: Path, text: str = "since_days = 7\n", mode: int = 0o644) -> Path:
    path = folder / "triage.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_strangers_settings_get_no_token(folder: Path, gmail: GmailDouble) -> None:
    gmail.write_credentials(folder)
    home = folder.parent / "home" / ".config" / "bounce-triage"
    home.mkdir(parents=True)
    (folder / "token.json").rename(home / "token.json")
    with HttpSink() as sink:
        config(folder, f'gmail_url = "{sink.url}"\ntoken = "{home}/token.json"\n')
        folder.chmod(0o1777)
        code, (what, todo) = started(folder, "run")
        assert sink.requests == []
    assert code == 78
    assert f"Others can write into the folder of {folder}/triage.toml" in what
    assert f"--config {folder}/triage.toml" in todo


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o775, 0o757, 0o770])
def test_a_folder_others_can_write_to(folder: Path, mode: int) -> None:
    config(folder)
    folder.chmod(mode)
    with pytest.raises(ConfigError, match="into the folder"):
        load_settings(None, {})


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666, 0o620])
def test_a_file_others_can_write(folder: Path, mode: int) -> None:
    path = config(folder, mode=mode)
    with pytest.raises(ConfigError, match=f"Others can write .*{mode:o}") as raised:
        load_settings(None, {})
    assert raised.value.todo.endswith(f"`chmod go-w {path}`.")


def test_a_file_of_another_user(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = config(folder)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(ConfigError, match="another user") as raised:
        load_settings(None, {})
    assert str(path) in raised.value.what


def test_a_link_to_a_file_of_another_user(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "triage.toml").symlink_to(config(tmp_path, mode=0o666))
    with pytest.raises(ConfigError, match="Others can write"):
        load_settings(None, {})


def test_ours_counts_and_so_does_what_is_named(folder: Path) -> None:
    path = config(folder)
    assert load_settings(None, {}).since_days == 7
    folder.chmod(0o1777)
    path.chmod(0o666)
    assert load_settings(path, {}).since_days == 7, "whoever names a file has looked at it"
    assert load_settings(None, {"TRIAGE_CONFIG": str(path)}).since_days == 7


def test_secrets_in_settings_others_can_read(folder: Path) -> None:
    for line in ('alerts = ["ntfy://s3cr3t"]', 'ping_url = "https://hc.example/s3cr3t"'):
        path = config(folder, line + "\n")
        for named in (None, path):
            with pytest.raises(ConfigError, match="mode 644") as raised:
                load_settings(named, {})
            assert "s3cr3t" not in raised.value.what
            assert raised.value.todo == f"Run `chmod 600 {path}`."
        path.chmod(0o600)
        load_settings(None, {})
    config(folder, "alerts = []\nalert_inbox = true\n")
    load_settings(None, {})


# -- what is no plain file ------------------------------------------------------------------------------------------

AUTH = ("auth", "--headless")


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "link to a pipe"])
@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("triage.toml", ("report",), 78),
        ("triage.toml", ("run", "--config", "triage.toml"), 78),
        ("token.json", ("run",), 77),
        ("credentials.json", AUTH, 78),
        ("triage.db", ("report",), 78),
        ("triage.db", ("run", "--database", "triage.db", "--mailbox", "x.eml"), 78),
        ("triage.db", ("incidents",), 78),
    ],
)
def test_special_files_are_refused_at_once(
    folder: Path, gmail: GmailDouble, kind: str, name: str, arguments: tuple[str, ...], code: int
) -> None:
    gmail.write_credentials(folder)
    config(folder, f'gmail_url = "{gmail.url}"\n')
    (folder / "x.eml").write_bytes(b"From: a@b.example\n\n")
    path = folder / name
    path.unlink(missing_ok=True)
    if kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path if kind == "pipe" else folder / "pipe")
    if kind == "link to a pipe":
        path.symlink_to("pipe")
    got, lines = started(folder, *arguments)
    assert (got, len(lines)) == (code, 2), lines
    assert "no plain file" in lines[0]
    assert name in lines[0]


def test_a_link_that_leads_nowhere_is_not_passed_over(folder: Path) -> None:
    (folder / "triage.toml").symlink_to("nowhere")
    with pytest.raises(ConfigError, match=r"triage\.toml"):
        load_settings(None, {})


def test_a_file_without_end(folder: Path) -> None:
    with config(folder).open("ab") as file:
        file.truncate(2**33)  # holes take no room
    with pytest.raises(ConfigError, match="far too long"):
        load_settings(None, {})


@pytest.mark.parametrize("name", ["read", "write"])
def test_the_store_opens_no_pipe(folder: Path, name: str) -> None:
    os.mkfifo(folder / "x.db")
    with pytest.raises(ConfigError, match="no plain file"):
        (open_readonly if name == "read" else open_store)(folder / "x.db")


# -- whom we hand a sign-in -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ELSEWHERE)
def test_a_sign_in_goes_to_google_or_stays_here(url: str, folder: Path, gmail: GmailDouble) -> None:
    with pytest.raises(ConfigError, match="neither of Google nor on this computer"):
        google_or_here(url, "x")
    gmail.write_credentials(folder)
    if url:
        with pytest.raises(ConfigError, match="gmail_url"):
            load_settings(None, {"TRIAGE_GMAIL_URL": url})
        with pytest.raises(ConfigError, match="token_uri"):
            load_token(rewritten(folder / "token.json", token_uri=url))
    client = {"client_id": "c", "client_secret": "s", "auth_uri": url, "token_uri": url}
    (folder / "credentials.json").write_text(json.dumps({"installed": client}))
    with pytest.raises(ConfigError, match="auth_uri"):
        read_client(folder / "credentials.json")
    key = folder / "key.json"
    key.write_text(json.dumps({"type": "service_account", "token_uri": url}))
    key.chmod(0o600)
    with pytest.raises(ConfigError, match="token_uri"):
        _read_key_file(key)


@pytest.mark.parametrize(
    "url",
    [
        *HERE,
        "https://oauth2.googleapis.com/token",
        "https://accounts.google.com/o/oauth2/auth",
        "https://gmail.googleapis.com/",
    ],
)
def test_google_and_this_computer_are_asked(url: str) -> None:
    assert google_or_here(url, "x") == url


def rewritten(path: Path, **changes: str) -> Path:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return path


def test_a_token_file_of_a_stranger_is_not_renewed_at_his_server(folder: Path, gmail: GmailDouble) -> None:
    gmail.write_credentials(folder)
    config(folder, f'gmail_url = "{gmail.url}"\n')
    rewritten(folder / "token.json", token_uri="https://evil.example/token", expiry="2020-01-01T00:00:00Z")
    code, lines = started(folder, "run")
    assert (code, len(lines)) == (78, 2)
    assert "token_uri" in lines[0]


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_SQS"])
@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://evil.example",
            "http://sts.us-east-1.amazonaws.com",
            "https://sts.us-east-1.amazonaws.com@evil.example",
        ),
        *("https://evil.s3.amazonaws.com", "https://x.execute-api.us-east-1.amazonaws.com", "http://169.254.169.254/"),
        *(
            "https://sts.amazonaws.com.evil.example",
            "https://evil.example/sts.amazonaws.com",
            "https://evil.lambda-url.aws",
        ),
    ],
)
def test_aws_is_asked_nowhere_else(variable: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLEEXAMPLE01")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    answer = caller_identity()
    assert getattr(answer, "kind", None) == "misdirected"
    assert f"{variable} names a server that is neither AWS's nor on this computer" in str(getattr(answer, "why", ""))
    assert not is_aws_or_here(url)


def test_not_by_the_settings_of_aws_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    file = tmp_path / "config"
    file.write_text("[default]\naws_access_key_id = AKIAEXAMPLEEXAMPLE01\naws_secret_access_key = x\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    _client.cache_clear()
    file.write_text(file.read_text() + "endpoint_url = https://evil.example\n")
    answer = caller_identity()
    assert getattr(answer, "kind", None) == "misdirected"
    assert "`endpoint_url` in the AWS settings" in str(getattr(answer, "why", ""))


def test_the_endpoints_of_aws_and_of_the_own_network_are_asked() -> None:
    for url in (
        *(
            "https://sts.us-east-1.amazonaws.com",
            "https://iam.amazonaws.com",
            "https://email-fips.us-gov-west-1.amazonaws.com",
        ),
        *("https://sqs.cn-north-1.amazonaws.com.cn", "https://email.eu-west-1.api.aws", "http://127.0.0.1:5000"),
        "https://vpce-0a1b-2c3d.email.us-east-1.vpce.amazonaws.com",
    ):
        assert is_aws_or_here(url), url


def test_the_doctor_says_aloud_who_is_asked_instead(folder: Path, gmail: GmailDouble) -> None:
    gmail.write_credentials(folder)
    path = config(folder, f'gmail_url = "{gmail.url}"\n')
    assert dict(addresses_here(folder / "token.json")) == {"token_uri in token.json": gmail.url + "/token"}
    env = {"AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:9", "AWS_ENDPOINT_URL": "https://evil.example"}
    found = {(one.name, one.state): one for one in doctor.examine(path, env, datetime.now(UTC))}
    words = found["addresses", "warn"].words
    for name in ("gmail_url", "token_uri in token.json", "token_uri in credentials.json", "AWS_ENDPOINT_URL_SQS"):
        assert f"({name})" in words
    assert words.count(gmail.url) >= 3
    assert "AWS_ENDPOINT_URL leads neither to AWS" in found["addresses", "fail"].words
    assert "AWS_ENDPOINT_URL_SQS" not in found["addresses", "fail"].words


def test_the_doctor_has_nothing_to_say_of_google_itself(folder: Path) -> None:
    path = config(folder)
    assert "addresses" not in {one.name for one in doctor.examine(path, {}, datetime.now(UTC))}
