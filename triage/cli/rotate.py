"""The commands `triage credentials rotate ...`.

Print, and decide nothing. A password is shown only with --show.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from triage.cli.manners.help import Family
from triage.cli.manners.output import answers
from triage.cli.shared import as_error, now, on_terminal, options, read_settings, say, warn, write_record
from triage.errors import ConfigError, TryLater

if TYPE_CHECKING:
    from remediation.rotation import End, Rotation
    from triage.config import Settings
    from triage.rotation import Standing


_seen = click.option("--show", is_flag=True, help="Show the password too. Not where others look on.")


def _span(ctx: click.Context, param: click.Parameter, value: str | None) -> timedelta | None:
    from triage.display import parse_span

    return None if value is None else parse_span(value)


@click.group(cls=Family)
def rotate() -> None:
    """Renew the access key behind an alias. Both keys work until it is certain that Gmail uses the new one.

    start -> enter the new login in Gmail -> confirm -> days of grace -> finish. See docs/rotation.md.
    """


@rotate.command()
@click.option("--if-older-than", callback=_span, metavar="SPAN", help="Only where the key is older: 90d. For cron.")
@click.option("--create-secret", is_flag=True, help="There is no secret yet: make one that names the key in use.")
@click.option("--old-key-is-gone", is_flag=True, help="The key in the secret was deleted; begin without it.")
@click.option("--remove-key", metavar="ID", help="Make room: an unneeded key becomes Inactive, and later is deleted.")
@click.option("--by-hand", is_flag=True, help="Do not change the alias by the service account.")
@_seen
@options
@click.pass_obj
def start(
    asked: Any,
    if_older_than: timedelta | None,
    create_secret: bool,
    old_key_is_gone: bool,
    remove_key: str | None,
    by_hand: bool,
    show: bool,
) -> int:
    """Make a new key, store and test its login, and say what to do in Gmail.

    Takes up a rotation that was interrupted where it stopped. May be repeated as often as you like.
    """
    from remediation.rotation import Wait
    from triage.rotation import Wishes
    from triage.rotation import turns as rotations

    settings = read_settings(asked)
    if remove_key:
        return _ended(rotations.remove_key(settings, now, remove_key))
    wishes = Wishes(create_secret, old_key_is_gone, if_older_than)
    outcome = rotations.start(settings, now, wishes, warn)
    if if_older_than and isinstance(outcome.end, Wait) and outcome.rotation is None and not on_terminal():
        return 0  # not due yet; cron would mail that every time
    return _handed_over(settings, outcome, show=show, by_hand=by_hand)


@rotate.command("status")
@answers("json")
@_seen
@options
@click.pass_obj
def rotate_status(asked: Any, form: str, show: bool) -> int:
    """Say where the rotation stands and what is next. Changes nothing."""
    from triage.rotation import turns as rotations

    settings = read_settings(asked)
    rotation, failures = rotations.stored(settings)
    if form == "json":
        write_record(rotations.record(rotation, failures))
        return 0
    if rotation is None:
        say(["No rotation was ever begun. Begin one: triage credentials rotate start"])
        return 0
    _report(settings, rotation)
    if failures and not rotation.is_over:
        say([f"Alias failures since it began: {len(failures)}, the last at {failures[-1]['received_at']}."])
    if rotation.state == "waiting" or show:
        _say_hand_over(rotation, show=show)
    return 0


@rotate.command()
@click.option("--yes-i-tested", is_flag=True, help="I saw a mail from the alias arrive; needed where nothing shows it.")
@options
@click.pass_obj
def confirm(asked: Any, yes_i_tested: bool) -> int:
    """Say that Gmail uses the new login. Where the evidence agrees, the old key becomes Inactive."""
    from triage.rotation import hand_over as rotation_hand_over
    from triage.rotation import turns as rotations

    settings = read_settings(asked)
    connect = rotation_hand_over.connector(settings)
    outcome = rotations.confirm(settings, now, warn, owner_tested=yes_i_tested, connect=connect)
    return _reported(settings, outcome)


@rotate.command()
@click.option("--gmail-has-old", is_flag=True, help="Gmail uses the old login (again): the new key may go.")
@click.option("--by-hand", is_flag=True, help="Do not change the alias by the service account.")
@_seen
@options
@click.pass_obj
def abort(asked: Any, gmail_has_old: bool, by_hand: bool, show: bool) -> int:
    """Turn back: the old key and the old login are restored. Possible until the old key is deleted."""
    from triage.rotation import turns as rotations

    settings = read_settings(asked)
    outcome = rotations.abort(settings, now, warn, gmail_has_old=gmail_has_old)
    return _handed_over(settings, outcome, show=show, by_hand=by_hand)


@rotate.command()
@options
@click.pass_obj
def finish(asked: Any) -> int:
    """Delete the old key, once it has been Inactive for the days of grace and no mail failed meanwhile."""
    from parsers.times import minute_text
    from remediation.rotation import Wait
    from triage.rotation import turns as rotations

    settings = read_settings(asked)
    outcome = rotations.finish(settings, now, warn)
    if isinstance(outcome.end, Wait) and outcome.end.until is not None:
        raise TryLater(outcome.end.why, f"Come back after {minute_text(outcome.end.until)}.")
    return _reported(settings, outcome)


def _handed_over(settings: Settings, outcome: Standing, *, show: bool, by_hand: bool) -> int:
    """Where a login now has to get into Gmail: do it by the service account, or say how it is done by hand."""
    from remediation.rotation import Wait
    from triage.rotation import hand_over as rotation_hand_over

    rotation = outcome.rotation
    if rotation is None or rotation.state != "waiting" or not isinstance(outcome.end, Wait):
        return _reported(settings, outcome)
    if settings.service_account and not by_hand:
        outcome = rotation_hand_over.by_api(settings, now, rotation, warn)
        return _reported(settings, outcome)
    _report(settings, rotation)
    _say_hand_over(rotation, show=show)
    for line in rotation_hand_over.by_note(settings, rotation, now()):
        warn(line)
    return 0


def _say_hand_over(rotation: Rotation, *, show: bool) -> None:
    from remediation.rotation import StepFailed, hand_over, login_lines
    from triage.rotation import turns as rotations

    password = None
    if show:
        if not rotation.may_be_shown:
            raise ConfigError("The new login is not tested yet.", "Go on first: triage credentials rotate start")
        login = rotations.kept_login(rotation)
        if isinstance(login, StepFailed):
            raise as_error(login)
        if login is None:
            warn("The secret holds no password for this login: only Gmail has it.")
        else:
            password = login.password
    if rotation.state == "waiting":
        say(["", *hand_over(rotation, now(), password=password)])
    else:  # nothing is to be done in Gmail
        say(["", *login_lines(rotation, password or "not shown")])


def _reported(settings: Settings, outcome: Standing) -> int:
    if outcome.rotation is not None:
        _report(settings, outcome.rotation)
    return _ended(outcome.end, said=outcome.rotation is not None)


def _report(settings: Settings, rotation: Rotation) -> None:
    from remediation.rotation import where_it_stands

    say(where_it_stands(rotation, timedelta(days=settings.rotation_grace_days)))


def _ended(end: End, *, said: bool = False) -> int:
    """Say why it went no further; what is not simply waiting ends the command as an error."""
    from remediation.rotation import Stop, Wait

    if isinstance(end, Wait):
        if not said:
            say([end.why + (f" Not before {end.until:%Y-%m-%d}." if end.until else "")])
        return 0
    if isinstance(end, Stop):
        raise ConfigError(end.why, end.todo)
    raise as_error(end)
