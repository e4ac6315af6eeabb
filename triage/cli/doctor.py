"""The command `triage doctor`. Prints, and decides nothing."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from triage.cli.manners.output import answers
from triage.cli.many import on_each_mailbox, several_mailboxes
from triage.cli.shared import options, read_settings, say, width_of_screen, write_record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from triage.owner.doctor import HealthCheck

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}
NAME_WIDTH = 14


@click.command()
@click.option(
    "--iam-policy",
    type=click.Choice(["triage", "audit", "rotation", "resend", "outbox"]),
    help="Print the least this part of triage must be allowed at AWS, and do nothing else.",
)
@click.option("--nagios", is_flag=True, help="One line, and the exit code of a Nagios plug-in: 0, 1, 2 or 3.")
@answers("json")
@options
@click.pass_obj
def doctor(asked: Any, iam_policy: str | None, nagios: bool, form: str) -> int:
    """Look at everything a run depends on, and say of each whether it works and what to do next.

    The sign-in is really renewed, and each address in `alerts` gets a test message, once a day at most; otherwise
    nothing is changed. For monitoring: ends with 0 where nothing failed, 1 where something did, 77 where you must sign
    in again, 78 where settings, rules or database cannot be used. With --nagios: 0 all is well, 1 worth a look, 2
    something failed, 3 that could not be found out.
    """
    if nagios:
        line, code = _as_plugin(asked)
        click.echo(line)
        return code
    return _examine(asked, form=form, iam_policy=iam_policy)


@on_each_mailbox
def _examine(asked: Any, form: str, iam_policy: str | None) -> int:
    if iam_policy:
        from triage.owner.doctor_aws import iam_policy as policy

        write_record(policy(iam_policy, read_settings(asked)))
        return 0
    from datetime import UTC, datetime

    from triage.owner import doctor as checks

    found = []
    for check in checks.examine(asked.config, os.environ, datetime.now(UTC), asked.mailbox_name):
        found.append(check)
        if form == "text":
            click.echo("\n".join(_lines(check)))
    if form == "json":
        write_record(checks.health_json(found))
    else:
        say([_verdict(found)])
    return max((check.exit_code for check in found if check.state == "fail"), default=0)


def _as_plugin(asked: Any) -> tuple[str, int]:
    """All mailboxes as a plug-in of Nagios tells them: one line, and its exit code.

    https://nagios-plugins.org/doc/guidelines.html#PLUGOUTPUT and #AEN78
    """
    from datetime import UTC, datetime

    from triage.cli.manners.trouble import told_of
    from triage.display import shown
    from triage.owner import doctor as checks

    try:
        names = [one.name for one in several_mailboxes(asked)] or [asked.mailbox_name]
        at = datetime.now(UTC)
        found = [(name, check) for name in names for check in checks.examine(asked.config, os.environ, at, name)]
    except Exception as error:  # whatever it is, the plug-in must say that it does not know
        return f"TRIAGE UNKNOWN - {shown(told_of(error, asked).what, 300).replace('|', '/')}", 3
    for state, word, code in (("fail", "CRITICAL", 2), ("warn", "WARNING", 1)):
        if those := [(name, check) for name, check in found if check.state == state]:
            told = "; ".join(
                f"{f'{name}, ' if name else ''}{check.name}: {shown(check.words, 200)}" for name, check in those
            )
            return f"TRIAGE {word} - {shown(told, 600).replace('|', '/')}", code  # what follows a | is read as figures
    return "TRIAGE OK - All is well.", 0


def _lines(check: HealthCheck) -> Iterator[str]:
    from triage.display import shown, wrapped

    width = width_of_screen()
    hang = " " * (6 + NAME_WIDTH)
    first, *rest = wrapped(shown(check.words, 600), width, f"{check.state:<6}{check.name:<{NAME_WIDTH}}", hang)
    is_coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    state = click.style(check.state, fg=COLOURS[check.state]) if is_coloured else check.state
    yield state + first[len(check.state) :]
    yield from rest
    if check.todo:
        yield from wrapped(shown(check.todo, 600), width, f"{hang}-> ", f"{hang}   ")


def _verdict(found: list[HealthCheck]) -> str:
    failed = [check.name for check in found if check.state == "fail"]
    warned = [check.name for check in found if check.state == "warn"]
    if failed:
        return f"Not well: {', '.join(dict.fromkeys(failed))}. Begin with the first."
    if warned:
        return f"It works. Worth a look: {', '.join(dict.fromkeys(warned))}."
    return "All is well."
