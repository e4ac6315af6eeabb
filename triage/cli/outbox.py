"""The command `triage outbox`. Prints, and decides nothing. Heavy imports are inside the command.

The only command that sends by itself, and only drafts the owner has labelled, where `outbox = true`.
"""

from __future__ import annotations

import signal
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from triage.cli.manners.output import answers
from triage.cli.manners.records import DraftRecord, StepRecord
from triage.cli.shared import no_database, now, on_terminal, options, read_settings, say, warn, write_record
from triage.errors import ConfigError, TryLater, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from triage.config import Settings
    from triage.outbox import WayOut


@click.command()
@click.argument("what", required=False, type=click.Choice(["migrate"]))
@click.option(
    "--dry-run", is_flag=True, help="Show which drafts ask to be sent and what would be done; change nothing."
)
@click.option("--watch", is_flag=True, help="Go on looking, every `outbox_poll` seconds, until stopped.")
@click.option("--was-sent", type=click.IntRange(1), metavar="N", help="Settle a mail in doubt: it had been sent.")
@click.option("--was-not-sent", type=click.IntRange(1), metavar="N", help="Settle a mail in doubt: it had not.")
@answers("json")
@options
@click.pass_obj
def outbox(
    asked: Any,
    what: str | None,
    dry_run: bool,
    watch: bool,
    was_sent: int | None,
    was_not_sent: int | None,
    form: str,
) -> int:
    """Send the drafts you labelled, through SES, and file them under Sent.

    Off until `outbox = true` and `outbox_from` name the addresses it may send as (docs/outbox.md). A draft leaves when
    it carried the label unchanged for `outbox_delay` seconds; take the label off to undo. Prints nothing when nothing
    was to be done.

    `triage outbox migrate` walks you over from the alias: it looks at each step and says which one is next.

    Exit code 1: a draft was not sent, or nobody knows whether it was; its conversation says why.
    """
    settings = read_settings(asked)
    if was_sent and was_not_sent:
        raise UsageError("--was-sent and --was-not-sent cannot both be true.", "Give one of them.")
    if was_sent or was_not_sent:
        return _settle(settings.database, was_sent, was_not_sent)
    relay = _relay(settings, is_moving=what == "migrate")
    if what == "migrate":
        return _migrate(settings, relay, form)
    if watch and dry_run:
        raise UsageError("--watch sends, --dry-run does not.", "Leave one of them out.")
    if watch and form != "text":
        raise UsageError("--watch has no end, so there is no one document to print.", "Leave --json or --watch out.")
    return _watch(settings, relay) if watch else _once(settings, relay, dry_run=dry_run, form=form)


def _relay(settings: Settings, *, is_moving: bool) -> WayOut:
    from triage.outbox import way_out

    if not settings.outbox and not is_moving:
        raise ConfigError("The outbox is off.", "Read docs/outbox.md, then set `outbox = true` in triage.toml.")
    return way_out(settings)


def _watch(settings: Settings, relay: WayOut) -> int:
    """Look every so often until somebody asks for an end; an end comes between two looks, never inside one."""
    asked: list[int] = []

    def end(number: int, frame: object) -> None:
        asked.append(number)

    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, end)
    while not asked:
        try:
            _once(settings, relay, dry_run=False)
        except TryLater as error:
            warn(error.what)
        for _ in range(settings.outbox_poll):
            if asked:
                break
            time.sleep(1)
    return 0


def _once(settings: Settings, relay: WayOut, *, dry_run: bool, form: str = "text") -> int:
    """One look; nothing is held open after it."""
    from triage.gmail import connect
    from triage.lock import locked
    from triage.outbox import Desk, poll, would_send
    from triage.store import open_durable

    # A lock of its own: a run may take minutes, and a draft is not to wait for it.
    with (
        locked(settings.database.with_name(f"{settings.database.name}.outbox")),
        closing(open_durable(settings.database)) as db,
        closing(connect(settings.token, url=settings.gmail_url)) as gmail,
    ):
        desk = Desk(settings, db, gmail, relay, now, time.sleep)
        code = 0
        records: list[DraftRecord] = []
        for outcome in (would_send if dry_run else poll)(desk):
            records.append({"words": outcome.words, "is_trouble": outcome.is_trouble})
            code = code or int(outcome.is_trouble)
            if form == "text":
                (warn if outcome.is_trouble else say_one)(outcome.words)
        if form == "json":
            write_record(records)
        elif dry_run and on_terminal():
            say(["Nothing was sent, and nothing was changed."])
        return code


def _migrate(settings: Settings, relay: WayOut, form: str) -> int:
    from triage.gmail import connect
    from triage.outbox import Desk, migration
    from triage.store import open_store

    with (
        closing(open_store(settings.database)) as db,
        closing(connect(settings.token, url=settings.gmail_url)) as gmail,
    ):
        open_steps = 0
        records: list[StepRecord] = []
        for step in migration(Desk(settings, db, gmail, relay, now, time.sleep)):
            mark = "done" if step.is_done else "look" if step.is_done is None else "open" if open_steps else "NEXT"
            open_steps += step.is_done is False
            records.append({"title": step.title, "words": step.words, "is_done": step.is_done})
            if form == "text":
                say([f"{mark}  {step.title}: {step.words}"])
    if form == "json":
        write_record(records)
    return 1 if open_steps else 0


def say_one(line: str) -> None:
    """One line on standard output."""
    say([line])


def _settle(database: Path, was_sent: int | None, was_not_sent: int | None) -> int:
    from triage import store

    if not database.exists():
        raise no_database(database)
    number = was_sent or was_not_sent or 0
    with closing(store.open_durable(database)) as db:
        if not store.settle_outbox(db, number, was_sent=bool(was_sent)):
            raise UsageError(f"There is no draft {number} in doubt.", "The note in its conversation names its number.")
    done = "taken as sent; its copy goes into Sent" if was_sent else "taken as not sent; the draft comes back"
    say([f"Draft {number}: {done} with the next `triage outbox`."])
    return 0
