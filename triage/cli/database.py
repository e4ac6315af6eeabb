"""The commands about the database as a whole: `backup`, `restore`, `rebuild`. Prints, and decides nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from triage.cli.manners.output import answers
from triage.cli.manners.since import Since, since_option
from triage.cli.shared import need_database, now, options, progress_bar, read_settings, say, warn, write_record
from triage.errors import UsageError

if TYPE_CHECKING:
    from triage.rebuild import Rebuilt


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@options
@click.pass_obj
def backup(asked: Any, file: Path | None) -> int:
    """Copy the database, whole and checked, to FILE, or beside it, where the newest three copies stay.

    One is made by itself each week, and before an update changes the database.
    """
    from triage.store import backups

    settings = need_database(read_settings(asked))
    made = backups.back_up(settings.database, now(), file)
    say([f"The database is copied to {made}. To put it back: triage restore {made}"])
    return 0


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--list", "wants_list", is_flag=True, help="Show the copies there are; change nothing.")
@answers("json")
@options
@click.pass_obj
def restore(asked: Any, file: Path | None, wants_list: bool, form: str) -> int:
    """Put a copy of the database back: FILE, or the newest made by itself. What was there stays beside it.

    What arrived since is read again by the next run; no note or label is written a second time.
    """
    from triage.display import when_words
    from triage.lock import locked
    from triage.store import backups

    path = read_settings(asked).database
    if form == "json" and not wants_list:
        raise UsageError("--json is for the list of copies.", "Add --list: triage restore --list --json")
    if wants_list:
        found = backups.backups_of(path)
        if form == "json":
            write_record([{"at": at.isoformat(), "file": str(file)} for at, file in found])
            return 0
        say(f"{file}  ({when_words(at)})" for at, file in found) if found else say([f"No backup of {path} yet."])
        return 0
    with locked(path):
        chosen, aside = backups.restore(path, file, now())
    kept = f" What was there is now {aside}." if aside else ""
    say([f"{path} is now what {chosen} holds.{kept} Next: triage run, then triage doctor"])
    return 0


@click.command()
@since_option("How far to look back, by default a year")
@options
@click.pass_obj
def rebuild(asked: Any, since: Since | None) -> int:
    """Make the database again from the mailbox: verdicts, and which labels and notes are there. The old file stays.

    For when it is damaged and no backup will do. Changes nothing in the mailbox. What only the database knew is copied
    from the old file where that can be read: rotations, mails written again, audits.
    """
    from triage import rebuild as making

    with progress_bar("Reading bounces again") as progress:
        settings = read_settings(asked)
        span = now() - since.moment(now()) if since else making.A_YEAR
        done = making.rebuild(settings, now, since=span, progress=progress)
    say(_rebuilt_lines(done))
    if done.lost:
        warn(f"Could not be read in the old database, in part or at all: {', '.join(done.lost)}.")
    return 1 if done.failed else 0


def _rebuilt_lines(done: Rebuilt) -> list[str]:
    from triage.display import counted

    lines = [
        f"{counted(done.mails, 'mail')} read again, {counted(done.verdicts, 'verdict')};"
        f" {counted(done.labels, 'label')} and {counted(done.notes, 'note')} found in the mailbox."
    ]
    if done.salvaged:
        lines.append(f"{counted(done.salvaged, 'row')} that Gmail cannot tell again copied from the old database.")
    if done.aside:
        lines.append(f"The old database is now {done.aside}.")
    left = f" ({counted(done.planned, 'label or note', 'labels and notes')} to be set)" if done.planned else ""
    return [*lines, f"Next: triage run{left}"]
