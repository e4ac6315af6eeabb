"""Every way to have AWS credentials or not to have them: a value with its own next step, no prompt, no exception."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.retries.standard import ExponentialBackoff

from remediation.aws import client as asking
from remediation.aws import signing_in
from remediation.aws.client import NotLookedUp
from tests.aws.troubled import Troubled, says
from tests.doubles.loopback import Reply, Request

KEYS = "aws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n"
TOKEN = "aws_session_token = IQoJexample\n"
ENV_KEYS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "x"}
ROLE = "role_arn = arn:aws:iam::123456789012:role/reader\n"
SSO = "sso_start_url = https://sail.awsapps.com/start\nsso_region = us-east-1\n"
SSO += "sso_account_id = 123456789012\nsso_role_name = reader\n"
GIVEN = {"Version": 1, "AccessKeyId": "ASIAIOSFODNN7EXAMPLE", "SecretAccessKey": "x", "SessionToken": "y"}


def says_who(request: Request) -> Reply:
    """STS for everybody: who you are, and a role for the asking."""
    until = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    held = "<AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId><SecretAccessKey>x</SecretAccessKey>"
    held += f"<SessionToken>y</SessionToken><Expiration>{until}</Expiration>"
    action = (re.search(rb"Action=(\w+)", request.body) or [b"", b""])[1].decode()
    body = (
        "<Arn>arn:aws:iam::123456789012:user/pat</Arn><Account>123456789012</Account>"
        if action == "GetCallerIdentity"
        else f"<Credentials>{held}</Credentials>"
    )
    text = f"<{action}Response><{action}Result>{body}</{action}Result></{action}Response>"
    return Reply(200, text.encode(), {"Content-Type": "text/xml"})


def refuses_roles(code: str, message: str = "no") -> Callable[[Request], Reply]:
    def give(request: Request) -> Reply:
        return says("sts", 403, code, message)(request) if b"AssumeRole" in request.body else says_who(request)

    return give


class Place:
    """A home with AWS settings in it."""

    def __init__(self, home: Path, server: Troubled, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self.server, self._patch = home, server, monkeypatch
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0.0)
        self.env(HOME=str(home), AWS_EC2_METADATA_DISABLED="true", AWS_ENDPOINT_URL=server.url)
        self.env(AWS_CONFIG_FILE=str(home / "config"), AWS_SHARED_CREDENTIALS_FILE=str(home / "credentials"))
        server.give = says_who

    def env(self, **values: str) -> None:
        for name, value in values.items():
            self._patch.setenv(name, value)

    def config(self, text: str, name: str = "config") -> None:
        (self.home / name).write_text(text)

    def program(self, code: str) -> str:
        path = self.home / "give.py"
        path.write_text(code)
        return f"credential_process = {sys.executable} {path}\n"


@pytest.fixture
def place(servers: dict[float, Troubled], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, servers[10.0], monkeypatch)


def use(place: Place, config: str, *, profile: str = "pat", **env: str) -> None:
    place.config(config)
    place.env(AWS_PROFILE=profile, **env)


def web_identity(place: Place) -> None:
    (place.home / "token").write_text("token of somebody")
    use(place, f"[profile pat]\n{ROLE}web_identity_token_file = {place.home}/token\n")


def mfa(place: Place) -> None:
    use(place, f"[profile pat]\n{ROLE}source_profile = base\nmfa_serial = arn:aws:iam::1:mfa/p\n[profile base]\n{KEYS}")


def mfa_cached(place: Place) -> None:
    from hashlib import sha1

    mfa(place)
    asked = {"RoleArn": "arn:aws:iam::123456789012:role/reader", "SerialNumber": "arn:aws:iam::1:mfa/p"}
    name = sha1(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    cache = place.home / ".aws/cli/cache"
    cache.mkdir(parents=True)
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    held = {"AccessKeyId": "ASIAIOSFODNN7EXAMPLE", "SecretAccessKey": "x", "SessionToken": "y", "Expiration": until}
    (cache / f"{name}.json").write_text(json.dumps({"Credentials": held}))


def container(place: Place) -> None:
    place.env(AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{place.server.url}/role")
    given = {"AccessKeyId": "ASIAIOSFODNN7EXAMPLE", "SecretAccessKey": "x", "Token": "y"}
    given["Expiration"] = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    held = json.dumps(given).encode()
    place.server.give = lambda request: (
        Reply(200, held, {"Content-Type": "application/json"}) if request.target == "/role" else says_who(request)
    )


GOOD: dict[str, Callable[[Place], None]] = {
    "environment": lambda place: place.env(**ENV_KEYS),
    "environment before a profile": lambda place: use(place, f"[profile pat]\n{KEYS}", **ENV_KEYS),
    "credentials file": lambda place: place.config(f"[default]\n{KEYS}", "credentials"),
    "profile": lambda place: use(place, f"[profile pat]\n{KEYS}"),
    "temporary keys": lambda place: use(place, f"[profile pat]\n{KEYS}{TOKEN}"),
    "role of a profile": lambda place: use(place, f"[profile pat]\n{ROLE}source_profile = b\n[profile b]\n{KEYS}"),
    "role of the environment": lambda place: (
        use(place, f"[profile pat]\n{ROLE}credential_source = EcsContainer\n"),
        container(place),
    )[1],
    "MFA that the AWS CLI asked for": mfa_cached,
    "web identity": web_identity,
    "program": lambda place: use(place, f"[profile pat]\n{place.program(f'print({json.dumps(GIVEN)!r})')}"),
    "role of a program": lambda place: use(
        place,
        f"[profile pat]\n{ROLE}source_profile = b\n[profile b]\n{place.program(f'print({json.dumps(GIVEN)!r})')}",
    ),
    "container": container,
}


@pytest.mark.parametrize("name", GOOD)
def test_credentials_of_every_kind_are_used(place: Place, name: str) -> None:
    GOOD[name](place)
    assert isinstance(asking.caller_identity(), asking.Identity)


def program(code: str) -> Callable[[Place], None]:
    return lambda place: use(place, f"[profile pat]\n{place.program(code)}")


def settings(config: str, **env: str) -> Callable[[Place], None]:
    return lambda place: use(place, config, **env)


def answered(name: str, code: str, message: str = "no") -> Callable[[Place], None]:
    """The credentials are there, and AWS says this."""

    def make(place: Place) -> None:
        GOOD[name](place)
        give = place.server.give
        refused = says("sts", 403, code, message)
        place.server.give = lambda request: refused(request) if b"GetCallerIdentity" in request.body else give(request)

    return make


def role_answered(code: str, message: str = "no") -> Callable[[Place], None]:
    def make(place: Place) -> None:
        GOOD["role of a profile"](place)
        place.server.give = refuses_roles(code, message)

    return make


NONE, BAD = "no-credentials", "bad-credentials"
SSO_OF = f'[profile pat]\n{ROLE}source_profile = my sso\n[profile "my sso"]\n{SSO}'
NOT: dict[str, tuple[Callable[[Place], None], str, str]] = {
    # what there is -> how to make it, the kind, a part of the next step
    "nothing": (lambda place: None, NONE, "`aws configure`"),
    "a profile nobody made": (settings("", profile="gone"), NONE, "`aws configure list-profiles`"),
    "half a key in the environment": (lambda place: place.env(AWS_ACCESS_KEY_ID="AKIA"), NONE, "AWS_SECRET_ACCESS_KEY"),
    "half a key in a profile": (settings("[profile pat]\naws_access_key_id = AKIA\n"), NONE, "aws configure --profile"),
    "a settings file that is none": (settings("no brackets = here\n[[["), NONE, "/config: `[profile NAME]`"),
    "a settings file of bytes": (lambda place: (place.home / "config").write_bytes(b"\xff\xfe\x00"), NONE, "/config:"),
    "a settings file that is a folder": (lambda place: (place.home / "config").mkdir(), NONE, "`aws configure`"),
    "a role without a source": (settings(f"[profile pat]\n{ROLE}"), NONE, "aws configure list --profile pat"),
    "a role of a profile that is not there": (settings(f"[profile pat]\n{ROLE}source_profile = gone\n"), NONE, "Mend"),
    "roles in a circle": (
        settings(f"[profile pat]\n{ROLE}source_profile = b\n[profile b]\n{ROLE}source_profile = pat\n"),
        *(NONE, "Mend profile pat"),
    ),
    "a role of an unknown source": (settings(f"[profile pat]\n{ROLE}credential_source = Moon\n"), NONE, "Mend"),
    "a role that may not be taken": (role_answered("AccessDenied"), BAD, "sts:AssumeRole"),
    "a role when the clock is wrong": (role_answered("SignatureDoesNotMatch", "Signature expired: 1"), BAD, "clock"),
    "MFA": (mfa, BAD, "`aws sts get-caller-identity --profile pat`"),
    "SSO never signed in": (settings(f"[profile pat]\n{SSO}"), BAD, "`aws sso login --profile pat`"),
    "SSO with a session of its own": (
        settings(
            "[profile pat]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n"
            "[sso-session s]\nsso_start_url = https://s.awsapps.com/start\nsso_region = us-east-1\n"
        ),
        *(BAD, "`aws sso login --profile pat`"),
    ),
    "SSO half written": (settings("[profile pat]\nsso_account_id = 1\n"), NONE, "Mend profile pat"),
    "SSO behind a role": (settings(SSO_OF), BAD, "`aws sso login --profile 'my sso'`"),
    "aws login": (settings("[profile pat]\nlogin_session = arn:aws:iam::1:user/pat\n"), NONE, "export-credentials"),
    "web identity, its file gone": (
        settings(f"[profile pat]\n{ROLE}web_identity_token_file = /gone/token\n"),
        *(BAD, "AWS_WEB_IDENTITY_TOKEN_FILE"),
    ),
    "web identity of the environment, its file gone": (
        lambda place: place.env(AWS_WEB_IDENTITY_TOKEN_FILE="/gone", AWS_ROLE_ARN="arn:aws:iam::1:role/r"),
        *(BAD, "AWS_WEB_IDENTITY_TOKEN_FILE"),
    ),
    "web identity without a role": (
        lambda place: place.env(AWS_WEB_IDENTITY_TOKEN_FILE="/gone"),
        *(NONE, ""),
    ),
    "web identity not believed": (
        lambda place: (
            web_identity(place),
            setattr(place.server, "give", refuses_roles("InvalidIdentityToken")),
        )[0],
        *(BAD, "AWS_WEB_IDENTITY_TOKEN_FILE"),
    ),
    "a program that is not there": (
        settings("[profile pat]\ncredential_process = /gone/x\n"),
        BAD,
        "`credential_process`",
    ),
    "a program in half quotes": (settings("[profile pat]\ncredential_process = '/gone\n"), BAD, "`credential_process`"),
    "a program that fails": (program("raise SystemExit(3)"), BAD, "`credential_process`"),
    "a program that talks": (program("print('hello')"), BAD, "`credential_process`"),
    "a program that gives half": (program("print('{\"Version\": 1}')"), BAD, "`credential_process`"),
    "a program that says nothing of a list": (program("print('[]')"), BAD, "`credential_process`"),
    "a program that prints bytes": (
        program("import os; os.write(1, b'\\xff\\xfe')"),
        *(BAD, "`credential_process`"),
    ),
    "a program that asks": (program("input('Code: ')"), BAD, "`credential_process`"),
    "a program that hangs": (program("import time; time.sleep(60)"), BAD, "within 20 seconds"),
    "a hanging program behind a role": (
        lambda place: use(
            place,
            f"[profile pat]\n{ROLE}source_profile = b\n[profile b]\n" + place.program("import time; time.sleep(60)"),
        ),
        *(BAD, "`credential_process`"),
    ),
    "a container that gives nothing": (
        lambda place: place.env(AWS_CONTAINER_CREDENTIALS_FULL_URI="http://127.0.0.1:1/role"),
        *(BAD, "AWS_CONTAINER_CREDENTIALS_"),
    ),
    "a container elsewhere": (
        lambda place: place.env(AWS_CONTAINER_CREDENTIALS_FULL_URI="http://evil.example/role"),
        *(BAD, "AWS_CONTAINER_CREDENTIALS_"),
    ),
    "a container's token file gone": (
        lambda place: place.env(
            AWS_CONTAINER_CREDENTIALS_FULL_URI="http://127.0.0.1:1/role",
            AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="/gone",
        ),
        *(BAD, "AWS_CONTAINER_CREDENTIALS_"),
    ),
    "a key that was deleted": (answered("profile", "InvalidClientTokenId"), BAD, "`aws configure --profile pat`"),
    "a deleted key in the environment": (answered("environment", "InvalidClientTokenId"), BAD, "AWS_ACCESS_KEY_ID"),
    "an expired profile": (answered("temporary keys", "ExpiredToken"), BAD, "have expired"),
    "an expired environment": (
        lambda place: (answered("environment", "ExpiredToken")(place), place.env(AWS_SESSION_TOKEN="t"))[0],
        *(BAD, "AWS_SESSION_TOKEN too"),
    ),
    "a program's keys that AWS does not take": (answered("program", "ExpiredToken"), BAD, "`credential_process`"),
    "a clock that is wrong": (answered("profile", "RequestExpired"), BAD, "clock"),
    "a clock that is wrong, in words": (
        answered("profile", "SignatureDoesNotMatch", "Signature expired: x"),
        BAD,
        "clock",
    ),
}


@pytest.mark.parametrize("name", NOT)
def test_no_credentials_of_any_kind_are_a_reason_with_its_own_next_step(
    place: Place, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing_in, "PROCESS_SECONDS", 1.5)
    make, kind, step = NOT[name]
    make(place)
    answer = asking.caller_identity()
    assert isinstance(answer, NotLookedUp)
    assert answer.kind == kind, answer.why
    assert answer.todo
    assert step in answer.todo
    assert "\n" not in answer.why + answer.todo
    assert "wJalr" not in repr(answer)


@pytest.mark.parametrize(
    ("give", "kind"),
    [
        (refuses_roles("Throttling"), "throttled"),
        (lambda request: Reply(503, b""), "bad-credentials"),
    ],
)
def test_what_passes_by_itself_asks_for_no_change(place: Place, give: Callable[[Request], Reply], kind: str) -> None:
    GOOD["role of a profile"](place)
    place.server.give = give
    answer = asking.caller_identity()
    assert isinstance(answer, NotLookedUp)
    assert answer.kind == kind


def test_a_role_that_is_never_given_ends_in_time(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing_in, "SIGN_IN_SECONDS", 0.5)
    GOOD["role of a profile"](place)
    place.server.give = lambda request: Reply(200, b"{}", delay=3)
    answer = asking.caller_identity()
    assert isinstance(answer, NotLookedUp)
    assert (answer.kind, answer.will_pass) == ("timeout", True)


def test_credentials_are_not_looked_for_again_and_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing_in, "PROCESS_SECONDS", 0.5)
    NOT["a program that hangs"][0](place)
    begun = time.monotonic()
    for _ in range(20):
        assert isinstance(asking.caller_identity(), NotLookedUp)
    assert time.monotonic() - begun < 5


def test_nobody_is_asked_for_a_code_even_in_a_terminal(place: Place) -> None:
    """With a terminal of its own, as a person has it: `script` gives one, and a prompt would wait for ever."""
    mfa(place)
    code = "from remediation.aws import caller_identity; print(caller_identity().kind)"
    done = subprocess.run(
        ["script", "-qec", f"{sys.executable} -c '{code}'", "/dev/null"], capture_output=True, timeout=30, text=True
    )
    assert done.stdout.strip() == "bad-credentials"
