"""The SMTP password of a key, what looks wrong about an input, and which part of a failed login is at fault."""

from __future__ import annotations

import base64
import contextlib
import os
import pty
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsers.ses_hosts import relay_host, ses_region_of_host
from remediation.aws.client import NotLookedUp
from remediation.aws.secrets import secret_login
from remediation.credentials import (
    Login,
    Relay,
    check_login,
    derive_smtp_password,
    login_warnings,
    region_warnings,
    secret_warnings,
    usual_security,
)
from tests.doubles.aws import AwsDouble
from tests.doubles.relay import RelayDouble
from tests.worlds.schemas import by_schema

ROOT = Path(__file__).parents[2]
# AWS's own example key, which is no secret.
KEY_ID, KEY = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
GOOD = Login(KEY_ID, derive_smtp_password(KEY, "us-east-1"))


@pytest.mark.parametrize(
    ("secret", "region", "password"),
    [
        # hashicorp/terraform-provider-aws, internal/service/iam/access_key_test.go
        ("some+secret+key", "eu-central-1", "BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2"),
        ("another+secret+key", "eu-central-1", "BBbphbrQmrKMx42d1N6+C7VINYEBGI5v9VsZeTxwskfh"),
        ("some+secret+key", "us-west-1", "BH+jbMzper5WwlwUar9E1ySBqHa9whi0GPo+sJ0mVYJj"),
        ("another+secret+key", "us-west-1", "BKVmjjMDFk/qqw8EROW99bjCS65PF8WKvK5bSr4Y6EqF"),
        # computed, for the region dependence
        (KEY, "us-east-1", "BLBM/9hSUELfq8Gw+rU1YcBjkOxGbhT2XG763xVLGWL9"),
        (KEY, "us-west-2", "BF2PynzbSCAjX08zhZZnP/kW+T9P5zs/1Er0pi5vTEmd"),
    ],
)
def test_published_passwords(secret: str, region: str, password: str) -> None:
    assert derive_smtp_password(secret, region) == password


@given(st.text(min_size=1), st.sampled_from(["us-east-1", "eu-west-1"]))
def test_every_password_has_the_shape_that_is_checked_for(secret: str, region: str) -> None:
    password = derive_smtp_password(secret, region)
    assert not login_warnings(Login(KEY_ID, password))
    assert password not in secret_warnings(password)[0]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (KEY, None),
        ("", "empty"),
        (f" {KEY}", "was left out"),
        (f'"{KEY}"', "quotes"),
        (f"aws_secret_access_key={KEY}", "more than the secret"),
        (KEY_ID, "access key id"),
        ("ASIAIOSFODNN7EXAMPLE", "temporary"),
        (GOOD.password, "SMTP password already"),
        ("AnkqhOiWEcszZZzTMCQbOY1sPGoLFgMH9zhp4eNgSjo4", "SMTP password already"),
        (KEY[:-1], "this has 39"),
        ("x" * 39 + "!", "only letters"),
        ("FwoGZXIvYXdzE" + "A" * 200, "session token"),
    ],
)
def test_what_looks_wrong_about_a_secret(text: str, word: str | None) -> None:
    warnings = secret_warnings(text)
    assert (word is None) == (not warnings)
    assert word is None or any(word in warning for warning in warnings)


@pytest.mark.parametrize(
    ("login", "word"),
    [
        (GOOD, None),
        (Login("ASIAIOSFODNN7EXAMPLE", GOOD.password), "temporary"),
        (Login("admin@example.org", GOOD.password), "no access key id"),
        (Login(KEY_ID, KEY), "secret access key"),
        (Login(KEY_ID, "hunter2"), "none of SES"),
        (Login(KEY_ID, "A" + GOOD.password[1:]), "before 2019"),
    ],
)
def test_what_looks_wrong_about_a_login(login: Login, word: str | None) -> None:
    warnings = login_warnings(login)
    assert (word is None) == (not warnings)
    assert word is None or word in warnings[0]


def test_what_looks_wrong_about_a_region() -> None:
    assert region_warnings("us-east-1", relay_host("us-east-1")) == []
    assert region_warnings("us-gov-west-1", "smtp.example.org") == []
    assert "look like" in region_warnings("Frankfurt")[0]
    assert "no SMTP endpoint" in region_warnings("me-south-1")[0]
    assert "us-west-2" in region_warnings("us-east-1", "email-smtp.us-west-2.amazonaws.com")[0]


def test_hosts_and_ports_of_ses() -> None:
    assert relay_host("eu-west-1") == "email-smtp.eu-west-1.amazonaws.com"
    assert relay_host("cn-north-1").endswith(".amazonaws.com.cn")
    assert relay_host("eusc-de-east-1") == "email-smtp.eusc-de-east-1.amazonaws.eu"
    assert ses_region_of_host(relay_host("eusc-de-east-1")) == "eusc-de-east-1"
    assert [usual_security(port) for port in (25, 587, 2587, 465, 2465)] == ["starttls"] * 3 + ["ssl"] * 2


# The live login


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[RelayDouble]:
    with RelayDouble(tmp_path, keys=lambda: [(KEY_ID, KEY)]) as double:
        yield double


@pytest.mark.parametrize("security", ["starttls", "ssl"])
def test_a_good_login_is_one_login_and_no_mail(relay: RelayDouble, security: str) -> None:
    target = relay.starttls if security == "starttls" else relay.tls
    check = check_login(GOOD, target)
    assert check.is_good, check
    assert check.reply_code == 235
    assert relay.attempts == [(KEY_ID, 235)]
    assert relay.mails == []


def test_a_relay_with_auth_login_only_is_logged_in_to(relay: RelayDouble) -> None:
    relay.mode = "login-only"
    good = check_login(GOOD, relay.starttls)
    assert good.is_good, good.why
    bad = check_login(replace(GOOD, password="not it"), relay.starttls)
    assert (bad.fault, bad.reply_code) == ("credential", 535)
    assert relay.attempts == [(KEY_ID, 235), (KEY_ID, 535)], "one login each"


def test_a_wrong_password_is_tried_once(relay: RelayDouble) -> None:
    check = check_login(replace(GOOD, password=derive_smtp_password(KEY, "us-west-2")), relay.starttls)
    assert (check.fault, check.reply_code) == ("credential", 535)
    assert relay.attempts == [(KEY_ID, 535)]


@pytest.mark.parametrize(
    ("mode", "fault", "will_pass"),
    [
        ("blocked", "connection", False),
        ("closed", "connection", False),
        ("no-auth", "auth-not-offered", False),
        ("put-off", "relay", True),
        ("no-starttls", "tls", False),
        ("chatty", "credential", False),
    ],
)
def test_which_part_is_at_fault(relay: RelayDouble, mode: Any, fault: str, will_pass: bool) -> None:
    relay.mode = mode
    check = check_login(GOOD, relay.starttls)
    assert (check.fault, check.will_pass) == (fault, will_pass), check
    assert check.todo
    assert GOOD.password not in repr(check)


def test_the_password_is_hidden_in_every_form_a_relay_repeats_it(
    relay: RelayDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = "wrong-pass-word-1"
    alone = base64.b64encode(password.encode()).decode()
    both = base64.b64encode(f"\0somebody\0{password}".encode()).decode()
    assert alone.rstrip("=") not in both
    for form in (password, alone, alone.rstrip("="), both, both.rstrip("=")):
        monkeypatch.setattr(relay, "_reply", lambda *_, form=form: f"535 5.7.8 {form} is wrong")
        found = check_login(Login("somebody", password), relay.starttls)
        assert found.fault == "credential"
        assert form not in str(found)
        assert "[hidden]" in str(found)


def test_a_stranger_gets_no_password(relay: RelayDouble, tmp_path: Path) -> None:
    """Neither an untrusted certificate, nor one for another name, nor a connection in the clear ever sees a login."""
    assert check_login(GOOD, replace(relay.starttls, ca_file=None)).fault == "tls"
    assert check_login(GOOD, replace(relay.tls, ca_file=None)).fault == "tls"
    assert check_login(GOOD, replace(relay.tls, ca_file=tmp_path / "none.pem")).fault == "tls"
    (tmp_path / "other").mkdir()
    with RelayDouble(tmp_path / "other", keys=lambda: [(KEY_ID, KEY)], names=("smtp.example.org",)) as other:
        check = check_login(GOOD, other.starttls)
        assert check.fault == "tls"
        assert "not accepted" in check.why
        assert other.attempts == []
    assert relay.attempts == []


def test_hosts_that_are_not_there(relay: RelayDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    for errno, fault, will_pass in ((socket.EAI_NONAME, "host", False), (socket.EAI_AGAIN, "connection", True)):

        def unknown(*_: Any, errno: int = errno) -> Any:
            raise socket.gaierror(errno, "no answer")

        with monkeypatch.context() as patch:
            patch.setattr(socket, "getaddrinfo", unknown)
            check = check_login(GOOD, Relay("no-such-host.invalid"))
        assert (check.fault, check.will_pass) == (fault, will_pass)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        late = check_login(GOOD, Relay("127.0.0.1", port), seconds=0.2)
    assert (late.fault, late.will_pass) == ("connection", True)
    assert "in time" in late.why
    assert check_login(GOOD, Relay("127.0.0.1", port)).fault == "connection"
    assert check_login(GOOD, replace(relay.starttls, security="ssl"), seconds=1).fault == "tls"


def test_whether_the_address_may_be_used(relay: RelayDouble) -> None:
    relay.senders = {"admin@queenofsandiego.com"}
    assert check_login(GOOD, relay.starttls, sender="admin@queenofsandiego.com").is_good
    check = check_login(GOOD, relay.starttls, sender="pat@example.org")
    assert (check.fault, check.reply_code) == ("identity", 553)
    assert relay.mails == []


@pytest.mark.parametrize("password", [{}, {"password": None}, {"password": ""}])
def test_a_secret_without_a_password_is_no_login(aws: AwsDouble, password: dict[str, str | None]) -> None:
    """As `rotate start --create-secret` makes it: only Gmail has the password."""
    aws.make_secret({"username": KEY_ID} | password, name="ses-smtp")
    answer = secret_login("us-east-1", "ses-smtp")
    assert isinstance(answer, NotLookedUp)
    assert "no whole login" in answer.why
    assert not answer.will_pass


# The commands


def triage(folder: Path, *arguments: str, stdin: str = "") -> Any:
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "triage", "credentials", *arguments],
        cwd=folder,
        env=env,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_derive_takes_the_secret_from_standard_input(tmp_path: Path) -> None:
    done = triage(tmp_path, "derive", "--region", "us-east-1", stdin=f"{KEY}\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{GOOD.password}\n", "")
    done = triage(tmp_path, "derive", "--region", "us-east-1", stdin=f"{KEY_ID}\n")
    assert "access key id" in done.stderr
    done = triage(tmp_path, "derive", "--region", "us-east-1", stdin=f" {KEY} \n")
    assert done.stdout == f"{GOOD.password}\n", "as it says, the blanks do not count"
    done = triage(tmp_path, "derive", "--region", "us-east-1", stdin="\n")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 2, "one line what is wrong, one what to do"


def test_derive_refuses_the_secret_as_an_argument_and_does_not_repeat_it(tmp_path: Path) -> None:
    for arguments in ([KEY], [f"--secret={KEY}"], ["--secret", KEY]):
        done = triage(tmp_path, "derive", "--region", "us-east-1", *arguments)
        assert done.returncode == 2
        assert KEY not in done.stdout + done.stderr
    done = triage(tmp_path, "check", "--username", KEY_ID, GOOD.password)
    assert done.returncode == 2
    assert GOOD.password not in done.stdout + done.stderr
    assert triage(tmp_path, "derive", "--region", "us-east-1").returncode == 2


def test_derive_asks_on_a_terminal_without_echo(tmp_path: Path) -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "triage", "credentials", "derive", "--region", "us-east-1"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        stdin=follower,
        stdout=subprocess.PIPE,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    seen = b""
    while b"Secret access key" not in seen:
        seen += os.read(leader, 1000)
    os.write(leader, f"{KEY}\n".encode())
    out, _ = process.communicate(timeout=30)
    with contextlib.suppress(OSError):  # Linux: the other end is closed and nothing is left
        seen += os.read(leader, 1000)
    os.close(leader)
    assert out.decode().strip() == GOOD.password
    assert KEY.encode() not in seen


def test_check_names_what_is_at_fault_and_exits_accordingly(relay: RelayDouble, tmp_path: Path) -> None:
    target = relay.starttls
    place = ["--host", "localhost", "--port", str(target.port), "--ca-file", str(target.ca_file)]
    who = ["--username", KEY_ID]
    done = triage(tmp_path, "check", *who, *place, stdin=GOOD.password)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Good:")
    done = triage(tmp_path, "check", *who, *place, "--region", "us-east-1", "--secret-key", stdin=KEY)
    assert done.returncode == 0, done.stderr
    done = triage(tmp_path, "check", *who, *place, "--region", "us-east-1", "--secret-key", stdin=GOOD.password)
    assert done.returncode == 77
    assert "SMTP password already" in done.stderr
    done = triage(tmp_path, "check", *who, *place, "--json", stdin=KEY)
    found = by_schema("credentials check", done.stdout)
    assert (done.returncode, found["fault"], found["reply_code"]) == (77, "credential", 535)
    assert "secret access key" in found["warnings"][0]
    relay.mode = "no-auth"
    done = triage(tmp_path, "check", *who, *place, stdin=GOOD.password)
    assert done.returncode == 78
    assert "At fault: login not offered" in done.stderr
    relay.mode = "put-off"
    assert triage(tmp_path, "check", *who, *place, stdin=GOOD.password).returncode == 75
    assert GOOD.password not in done.stdout + done.stderr
    assert len(relay.attempts) == 5
