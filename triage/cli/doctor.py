"""The command `triage doctor`. Prints, and decides nothing."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from triage.cli.many import on_each_mailbox
from triage.cli.shared import options, read_settings, say, width_of_screen, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from triage.owner.doctor import HealthCheck

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}
NAME_WIDTH = 14


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option(
    "--iam-policy",
    type=click.Choice(["triage", "audit", "rotation", "resend"]),
    help="Print the least this part of triage must be allowed at AWS, and do nothing else.",
)
@options
@click.pass_obj
@on_each_mailbox
def doctor(asked: Any, as_json: bool, iam_policy: str | None) -> int:
    """Look at everything a run depends on, and say of each whether it works and what to do next.

    The sign-in is really renewed, and each address in `alerts` gets a test message, once a day at most; otherwise
    nothing is changed. For monitoring: ends with 0 where nothing failed, 1 where something did, 77 where you must sign
    in again, 78 where settings, rules or database cannot be used.
    """
    if iam_policy:
        from triage.owner.doctor_aws import iam_policy as policy

        write_json(json.dumps(policy(iam_policy, read_settings(asked)), indent=2) + "\n")
        return 0
    from datetime import UTC, datetime

    from triage.owner import doctor as checks

    found = []
    for check in checks.examine(asked.config, os.environ, datetime.now(UTC), asked.mailbox_name):
        found.append(check)
        if not as_json:
            click.echo("\n".join(_lines(check)))
    if as_json:
        write_json(json.dumps(checks.health_json(found), ensure_ascii=False, indent=2) + "\n")
    else:
        say([_verdict(found)])
    return max((check.exit_code for check in found if check.state == "fail"), default=0)


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
