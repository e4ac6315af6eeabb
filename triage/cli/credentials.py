"""The commands `triage credentials ...`: the SMTP login of an alias, its state, and its rotation.

Prints, and decides nothing. A password is printed only by `derive` and where --show asks for it; a secret is read from
the terminal without echo or from standard input, never from an argument. Heavy imports are inside the commands.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from triage.cli.manners.help import Family
from triage.cli.manners.output import answers
from triage.cli.manners.records import LoginRecord
from triage.cli.rotate import rotate
from triage.cli.shared import as_error, now, options, read_settings, say, warn, write_record
from triage.errors import ConfigError, CredentialsDead, TriageError, TryLater, UsageError

if TYPE_CHECKING:
    from remediation.credentials import Login, LoginCheck, Relay
    from triage.config import Settings

_ANYTHING = {"ignore_unknown_options": True, "allow_extra_args": True}
"""Arguments nobody asked for reach the command: click would repeat them in its complaint."""

_STAGES = {"current": "AWSCURRENT", "pending": "AWSPENDING", "previous": "AWSPREVIOUS"}


@click.group(cls=Family)
def credentials() -> None:
    """The SMTP login behind a "Send mail as" alias: test it, look after it, renew it without losing a mail."""


credentials.add_command(rotate)


@credentials.command(context_settings=_ANYTHING)
@click.option("--region", required=True, help="The region of the SMTP server, such as us-east-1.")
@options
@click.pass_context
def derive(ctx: click.Context, region: str) -> int:
    """Make the SES SMTP password of a secret access key, which is asked for or read from standard input.

    The password is good for this region only. The user name is the access key id.
    """
    from remediation.credentials import derive_smtp_password, region_warnings, secret_warnings

    _refuse_arguments(ctx)
    secret = _secret("Secret access key")
    for warning in [*secret_warnings(secret), *region_warnings(region)]:
        warn(f"Warning: {warning}")
    say([derive_smtp_password(secret.strip(), region.strip())])
    return 0


@credentials.command(context_settings=_ANYTHING)
@click.option("--username", help="Test this access key id; its password is asked for or read from standard input.")
@click.option("--secret-key", is_flag=True, help="What is read is the secret access key; the password is derived.")
@click.option("--stage", type=click.Choice([*_STAGES]), default="current", show_default=True, help="Version to test.")
@click.option("--sender", help="Also ask whether the server takes mail from this address. Nothing is sent.")
@click.option("--host", help="SMTP server, instead of the one in the settings.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port, instead of the one in the settings.")
@click.option("--security", type=click.Choice(["starttls", "ssl"]), help="How the connection begins.")
@click.option("--ca-file", type=click.Path(path_type=Path), help="Certificate authorities to trust for it.")
@click.option("--region", help="Region of the server, instead of the one in the settings.")
@answers("json")
@options
@click.pass_context
def check(
    ctx: click.Context,
    username: str | None,
    secret_key: bool,
    stage: str,
    sender: str | None,
    host: str | None,
    port: int | None,
    security: str | None,
    ca_file: Path | None,
    region: str | None,
    form: str,
) -> int:
    """Log in to the SMTP server once, and say what is at fault if that fails. No mail is sent.

    Tests the login in the secret of the settings, or the one given by --username.
    """
    from remediation.credentials import (
        Login,
        check_login,
        derive_smtp_password,
        login_warnings,
        region_warnings,
        secret_warnings,
    )
    from triage.rotation import relay_of

    _refuse_arguments(ctx)
    settings = read_settings(
        ctx.obj,
        smtp_host=host,
        smtp_port=port,
        smtp_security=security,
        smtp_ca_file=ca_file,
        smtp_region=region,
    )
    relay = relay_of(settings)
    warnings: list[str] = []
    if username is None:
        login = _stored_login(settings, _STAGES[stage])
    elif secret_key:
        if settings.smtp_region is None:
            raise ConfigError("A password is made for one region, and none is named.", "Add --region.")
        secret = _secret("Secret access key")
        warnings = secret_warnings(secret)
        login = Login(username.strip(), derive_smtp_password(secret.strip(), settings.smtp_region))
    else:
        login = Login(username.strip(), _secret("SMTP password").strip())
        warnings = login_warnings(login)
    if settings.smtp_region:
        warnings += region_warnings(settings.smtp_region, relay.host)
    result = check_login(login, relay, sender=sender)
    if form == "json":
        write_record(_check_record(result, relay, login, warnings))
    else:
        for warning in warnings:
            warn(f"Warning: {warning}")
        if result.is_good:
            say([f"Good: {result.why}."])
    return _checked(result, quiet=form == "json")


@credentials.command()
@answers("json")
@options
@click.pass_obj
def status(asked: Any, form: str) -> int:
    """Show the access keys with age and last use, the versions of the secret, and the alias in Gmail."""
    from triage.rotation import read_status, status_lines

    found = read_status(read_settings(asked), now())
    if form == "json":
        write_record(found)
    else:
        say(status_lines(found))
    return 0 if found["complete"] else TryLater.exit_code


def _checked(result: LoginCheck, *, quiet: bool) -> int:
    if result.is_good:
        return 0
    kind: type[TriageError] = ConfigError
    if result.fault == "credential":
        kind = CredentialsDead
    elif result.will_pass:
        kind = TryLater
    if quiet:
        return kind.exit_code
    names = {"auth-not-offered": "login not offered"}
    raise kind(f"At fault: {names.get(result.fault or '', result.fault)}. {result.why}", result.todo or "")


def _check_record(result: LoginCheck, relay: Relay, login: Login, warnings: list[str]) -> LoginRecord:
    return {
        "good": result.is_good,
        "fault": result.fault,
        "why": result.why,
        "todo": result.todo,
        "reply_code": result.reply_code,
        "will_pass": result.will_pass,
        "host": relay.host,
        "port": relay.port,
        "security": relay.security,
        "username": login.username,
        "warnings": warnings,
    }


def _stored_login(settings: Settings, stage: str) -> Login:
    from remediation.aws import NotLookedUp
    from remediation.rotation import could_not
    from triage.rotation import key_ring_of, plan_of

    plan = plan_of(settings)
    held = key_ring_of(plan).read(stage=stage)
    if isinstance(held, NotLookedUp):
        raise as_error(could_not(held))
    if held is None:
        raise ConfigError(f"The secret {plan.secret_id} has no version {stage}.", "See `triage credentials status`.")
    if held.login is None:
        raise ConfigError(f"Version {stage} of the secret holds no whole login.", "Test one with --username instead.")
    return held.login


def _refuse_arguments(ctx: click.Context) -> None:
    """What was given too much is repeated nowhere: it may be the very secret."""
    if ctx.args:
        raise UsageError(
            "A secret is not taken as an argument: others on this computer can read it there.",
            "Run it without, and paste the secret when asked. If this was a real one, rotate it: your shell kept it.",
        )


def _secret(prompt: str) -> str:
    """A secret: asked for without echo on a terminal, else all of standard input, of which one line is used."""
    if sys.stdin.isatty():
        return str(click.prompt(prompt, hide_input=True, err=True, type=str))
    lines = sys.stdin.read().splitlines()
    if not lines or not lines[0].strip():
        raise UsageError("No secret was given.", "Paste it when asked, or pipe it in.")
    return lines[0]
