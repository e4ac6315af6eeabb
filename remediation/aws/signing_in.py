"""The AWS credentials of whoever runs this program: had without a question to anybody, or why not and what to do.

botocore finds them, in the order every AWS tool has. What goes wrong on the way is of dozens of kinds, and half of
them are no errors of botocore: so all between reading the settings and holding credentials happens here, and whatever
is raised there becomes a `SignInFailed`. Nobody is prompted for a code, no program is waited for without end, because
most runs are cron's; what the AWS CLI got by asking is used as long as it lasts. Stores no credentials.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from remediation.deadline import within

PROCESS_SECONDS = 20.0
"""How long a profile's `credential_process` may take."""
SIGN_IN_SECONDS = 30.0
"""How long all of it may take: botocore itself waits a minute for each answer, and tries again."""
REMEMBERED_SECONDS = 60.0
"""How long a failure stands before the credentials are looked for again: one run asks AWS dozens of things."""

_CLOCK = frozenset({"RequestTimeTooSkewed", "RequestExpired"})
_CRON = "also where cron or systemd starts triage"
_WAYS: Mapping[str, str] = {
    # The keys are botocore's names for where credentials came from (`Credentials.method`).
    "env": "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a key that is Active in IAM, and AWS_SESSION_TOKEN"
    " only with temporary ones, " + _CRON + ".",
    "shared-credentials-file": "Make a new access key for this identity in IAM and enter it with"
    " `aws configure --profile {profile}`.",
    "sso": "Run `aws sso login --profile {sso}`, and do it again whenever that session ends.",
    "login": "Run `aws login --profile {login}`, and do it again whenever that session ends.",
    "assume-role": "Check the role of profile {profile}: it must exist, its trust policy must admit the identity of"
    " its source profile, and that one must be allowed sts:AssumeRole.",
    "assume-role-with-web-identity": "Put the token where AWS_WEB_IDENTITY_TOKEN_FILE (or `web_identity_token_file`)"
    " points, and let the role's trust policy admit who issued it; or take the setting out.",
    "custom-process": "Run the `credential_process` of profile {profile} by hand, without input: it must print"
    " credentials within 20 seconds.",
    "container-role": "Give this task or pod a role; AWS_CONTAINER_CREDENTIALS_... say where it asks for one.",
    "iam-role": "Check that this machine's instance role still exists; AWS renews its credentials by itself.",
    "none": "Run `aws configure` (or `aws login`), or set AWS_PROFILE, " + _CRON + ".",
    "mfa": "Run `aws sts get-caller-identity --profile {profile}` in a terminal and enter the code: triage uses that"
    " session while it lasts. For cron give a profile that needs no code.",
    "login-rights": "Give this identity the AWS policy SignInLocalDevelopmentAccess, then run"
    " `aws login --profile {login}`.",
    "crt": "Give triage a profile of its own in ~/.aws/config: `credential_process = aws configure export-credentials"
    " --profile {login} --format process`; name it in AWS_PROFILE, " + _CRON + ".",
    "profile": "Name a profile in AWS_PROFILE that `aws configure list-profiles` shows, " + _CRON + ".",
    "file": "Mend {file}: `[profile NAME]` in a line, then lines of `name = value`.",
    "settings": "Mend profile {profile} in ~/.aws/config: `aws configure list --profile {profile}` must show it whole.",
    "clock": "Set this computer's clock (`timedatectl` shows it): AWS takes no request that is 5 minutes off.",
    "expired": "Get new temporary credentials for profile {profile}: these have expired. For cron use a key or a role.",
    "expired-env": "Set new temporary credentials, AWS_SESSION_TOKEN too: these have expired. For cron use a profile.",
}
_SAME_WAY = {"config-file": "shared-credentials-file", "boto-config": "shared-credentials-file"}

Kind = Literal["no-credentials", "bad-credentials", "timeout", "unreachable", "throttled"]


@dataclass(frozen=True, slots=True)
class SignInFailed:
    """Why there are no credentials to ask with. Neither text holds a secret."""

    kind: Kind
    why: str
    todo: str


class _CodeAsked(Exception):  # noqa: N818 - never leaves this module
    """A profile wants the code of an MFA device."""


_sessions: dict[object, Any] = {}
_failed: dict[object, tuple[float, SignInFailed]] = {}


def session(surroundings: object, region: str = "us-east-1") -> Any:
    """The boto3 session for these settings, made once. Raises whatever a broken settings file makes botocore raise.

    `region` is where a role is asked for when the settings name no region.
    """
    if surroundings not in _sessions:
        _sessions[surroundings] = _made(region)
    return _sessions[surroundings]


def _made(region: str) -> Any:
    import boto3
    import botocore.session

    core = botocore.session.get_session()
    if core.get_config_variable("region") is None:
        core.set_config_variable("region", region)
    for provider in core.get_component("credential_provider").providers:
        _keep_from_asking(provider)
    return boto3.Session(botocore_session=core)


def sign_in(surroundings: object, region: str) -> SignInFailed | None:
    """Have credentials ready in the session, renewed where they can be; None: they are there."""
    at, failure = _failed.get(surroundings, (0.0, None))
    if failure and time.monotonic() - at < REMEMBERED_SECONDS:
        return failure
    try:
        with within(SIGN_IN_SECONDS):
            found = session(surroundings, region).get_credentials()
            if found is not None:
                found.get_frozen_credentials()
                return None
        failure = SignInFailed("no-credentials", "no AWS credentials", _todo("none", surroundings))
    except Exception as error:  # what a settings file, a program or a token of others can do has no end
        failure = _failure(error, surroundings)
    _failed[surroundings] = (time.monotonic(), failure)
    return failure


def not_accepted(surroundings: object, code: str | None, said: str) -> str:
    """What to do where AWS itself turned the credentials down with this code and these words."""
    if code in _CLOCK or "signature expired" in said.lower() or "not yet current" in said.lower():
        return _todo("clock", surroundings)
    way, is_temporary = "none", False
    try:
        held = session(surroundings).get_credentials()
        way, is_temporary = str(held.method), bool(held.token)
    except Exception:  # it was there when AWS was asked; without it the general words do
        return _todo(way, surroundings)
    if is_temporary and way == "env":
        return _todo("expired-env", surroundings)
    if is_temporary and _SAME_WAY.get(way, way) == "shared-credentials-file":
        return _todo("expired", surroundings)
    return _todo(way, surroundings)


def _failure(error: Exception, surroundings: object) -> SignInFailed:
    from botocore import exceptions as errors

    if isinstance(error, errors.ClientError):
        return _refused(error, surroundings)
    if isinstance(error, errors.ConnectTimeoutError | errors.ReadTimeoutError | TimeoutError):
        return SignInFailed("timeout", "AWS did not answer in time when asked for credentials", _todo("", surroundings))
    if isinstance(error, errors.HTTPClientError | errors.ConnectionError):
        return SignInFailed("unreachable", "AWS could not be reached for credentials", _todo("", surroundings))
    way, why = _way_of(error, surroundings)
    kind: Kind = "no-credentials" if why.startswith("no AWS credentials") else "bad-credentials"
    file = str(getattr(error, "kwargs", {}).get("path", "the AWS settings"))
    return SignInFailed(kind, why, _todo(way, surroundings, file))


def _way_of(error: Exception, surroundings: object) -> tuple[str, str]:
    """(key of _WAYS, one line) for an error that AWS did not send."""
    from botocore import exceptions as errors

    held: Mapping[str, Any] = getattr(error, "kwargs", {})
    match error:
        case _CodeAsked():
            return "mfa", "this AWS profile asks for the code of an MFA device"
        case errors.ProfileNotFound():
            return "profile", f"no AWS credentials: there is no AWS profile {held.get('profile')}"
        case errors.ConfigParseError():
            return "file", f"no AWS credentials: {held.get('path')} cannot be read"
        case errors.PartialCredentialsError():
            way = _SAME_WAY.get(str(held.get("provider")), str(held.get("provider")))
            way = way if way in ("env", "shared-credentials-file") else "settings"
            return way, f"no AWS credentials: {held.get('cred_var')} is missing"
        case errors.InvalidConfigError() | errors.InfiniteLoopConfigError() | errors.UnknownCredentialError():
            return "settings", f"no AWS credentials: {' '.join(str(error).split())[:160]}"
        case errors.LoginInsufficientPermissions():
            return "login-rights", "this AWS identity may not renew its login"
        case errors.LoginError():
            return "login", "the session of `aws login` has ended or is not there"
        case errors.MissingDependencyException():
            return "crt", "no AWS credentials: a profile of `aws login` needs a part of AWS's library that is not here"
        case errors.SSOError() | errors.TokenRetrievalError():
            return "sso", "the session of AWS IAM Identity Center (SSO) has ended or is not there"
        case subprocess.TimeoutExpired():
            return "custom-process", f"the profile's `credential_process` took more than {PROCESS_SECONDS:.0f} seconds"
        case errors.CredentialRetrievalError():
            way = str(held.get("provider"))
            return way if way in _WAYS else _way(surroundings), f"the AWS credentials could not be had ({way})"
    missing = f": {error.filename}" if isinstance(error, OSError) and error.filename else ""
    return _way(surroundings), f"the AWS credentials could not be had ({type(error).__name__}{missing})"


def _refused(error: Any, surroundings: object) -> SignInFailed:
    """AWS was asked for temporary credentials and said no."""
    said = error.response.get("Error") or {}
    code, action = str(said.get("Code") or "?"), str(getattr(error, "operation_name", "?"))
    if "Throttl" in code or code == "TooManyRequestsException":
        return SignInFailed("throttled", f"AWS asks to slow down ({code})", _todo("", surroundings))
    why = f"AWS gives no credentials: {action} was refused ({code})"
    if code in _CLOCK or "signature expired" in str(said.get("Message")).lower():
        return SignInFailed("bad-credentials", why, _todo("clock", surroundings))
    return SignInFailed("bad-credentials", why, _todo(_way(surroundings), surroundings))


def _way(surroundings: object) -> str:
    """Where botocore would look for credentials, by what the settings name: its order."""
    env, profile = os.environ, _profiles(surroundings)
    [*_, last] = [*_chain(surroundings, profile), ""]
    held = profile.get(_profile_name(), {})
    source = profile.get(last, {})
    if env.get("AWS_ACCESS_KEY_ID"):
        return "env"
    if "web_identity_token_file" in held or (env.get("AWS_WEB_IDENTITY_TOKEN_FILE") and "role_arn" not in held):
        return "assume-role-with-web-identity"
    for key, way in (
        *(("sso_role_name", "sso"), ("sso_account_id", "sso"), ("login_session", "login")),
        *(("credential_process", "custom-process"), ("role_arn", "assume-role")),
    ):
        if key in source or (key in held and way != "assume-role"):
            return way
    if "role_arn" in held:
        return "assume-role"
    if "aws_access_key_id" in held:
        return "shared-credentials-file"
    return "container-role" if any(name.startswith("AWS_CONTAINER_CREDENTIALS_") for name in env) else "none"


def _todo(way: str, surroundings: object, file: str = "") -> str:
    way = _SAME_WAY.get(way, way)
    if not way:
        return "Nothing, if it passes: a run does without. If it lasts, check the network."
    profiles = _profiles(surroundings)
    chain = list(_chain(surroundings, profiles))

    def holder(key: str) -> str:
        return shlex.quote(next((name for name in chain if key in profiles[name]), _profile_name()))

    return _WAYS.get(way, _WAYS["none"]).format(
        profile=shlex.quote(_profile_name()), sso=holder("sso_role_name"), login=holder("login_session"), file=file
    )


def _profile_name() -> str:
    return os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE") or "default"


def _profiles(surroundings: object) -> Mapping[str, Any]:
    try:
        core = session(surroundings)._session
        return dict(core.full_config.get("profiles", {}))
    except Exception:  # settings that cannot be read were said already
        return {}


def _chain(surroundings: object, profiles: Mapping[str, Any]) -> Iterator[str]:
    """The profile in use, its source profile, and so on; each once."""
    seen: set[str] = set()
    name: str | None = _profile_name()
    while name is not None and name in profiles and name not in seen:
        yield name
        seen.add(name)
        name = profiles[name].get("source_profile")


class _Bounded(subprocess.Popen[bytes]):
    """A program that gives credentials: it cannot ask anybody, and is stopped when it takes too long."""

    def __init__(self, args: Any, **how: Any) -> None:
        super().__init__(args, **how, stdin=subprocess.DEVNULL)

    def communicate(self, *_: Any, **__: Any) -> tuple[Any, Any]:
        try:
            return super().communicate(timeout=PROCESS_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            super().communicate()
            raise


class _CliSessions(dict[str, Any]):
    """Sessions of roles: ours in memory, and those the AWS CLI keeps because it could ask for a code. Writes none."""

    def _of_cli(self, key: str) -> Any:
        from botocore.utils import JSONFileCache

        try:
            return JSONFileCache(str(Path("~/.aws/cli/cache").expanduser()))[key]
        except (KeyError, OSError):
            return None

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or self._of_cli(str(key)) is not None

    def __getitem__(self, key: str) -> Any:
        return super().__getitem__(key) if super().__contains__(key) else self._of_cli(key)


def _keep_from_asking(provider: Any) -> None:
    """Take from one of botocore's providers the means to prompt, and from those it makes for source profiles."""

    def ask(prompt: str) -> str:
        raise _CodeAsked(prompt)

    if hasattr(provider, "_prompter"):
        provider._prompter = ask
        provider.cache = _CliSessions()
    if hasattr(provider, "_popen"):
        provider._popen = _Bounded
    builder = getattr(provider, "_profile_provider_builder", None)
    if builder is not None:
        make = builder.providers

        def calm(*args: Any, **kwargs: Any) -> list[Any]:
            made: list[Any] = make(*args, **kwargs)
            for one in made:
                _keep_from_asking(one)
            return made

        builder.providers = calm
