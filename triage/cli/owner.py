"""The commands an owner needs now and then: sign in, set up the schedule, take back, judge again.

Print, and decide nothing.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from triage.cli.manners.output import answers
from triage.cli.manners.records import GivenUpRecord, UndoingRecord
from triage.cli.shared import need_database, now, options, progress_bar, read_settings, say, warn, write_record

if TYPE_CHECKING:
    from triage.letters import Undoing, What
    from triage.letters.undo import Undone


@click.command()
@click.option("--headless", is_flag=True, help="The browser is on another computer: show an address, take one back.")
@click.option("--port", type=click.IntRange(1024, 65535), help="Port the browser returns to, else any free one.")
@options
@click.pass_obj
def auth(asked: Any, headless: bool, port: int | None) -> int:
    """Sign in to Google once and keep the permission in the token file.

    Needs credentials.json, the OAuth client file as downloaded from Google (see "Set up" in the README). Asks for one
    permission, gmail.modify: read, label, insert. Nothing can be deleted for good with it.
    """
    from contextlib import closing

    from triage.display import when_words
    from triage.gmail import PUBLISH, authorize, connect

    settings = read_settings(asked)
    ends_at = authorize(
        settings.credentials,
        settings.token,
        headless=headless,
        paste=lambda prompt: str(click.prompt(prompt.rstrip(": "), type=str)),
        show=lambda line: say([line]),
        port=port,
    )
    say([f"The permission is kept in {settings.token}, readable by you only."])
    if ends_at is not None:
        warn(f"Google ends this sign-in on {when_words(ends_at)}: the OAuth app is in status Testing.")
        warn(f"First {PUBLISH}; then run `triage auth` once more.")
    with closing(connect(settings.token, url=settings.gmail_url)) as gmail:
        say([f"Signed in as {gmail.profile_address()}. Next: triage doctor"])
    return 0


@click.command()
@click.argument("what", type=click.Choice(["notes", "labels"]))
@click.option("--dry-run", is_flag=True, help="Show what would be taken back; change nothing.")
@answers("json")
@options
@click.pass_obj
def undo(asked: Any, what: What, dry_run: bool, form: str) -> int:
    """Take back what triage did in Gmail: the notes it wrote, or the labels it set.

    Notes go to Trash, where Gmail keeps them for 30 days. Labels come off the threads triage put them on; the labels
    themselves stay. Nothing else is touched.
    """
    from triage.display import counted
    from triage.letters import undo as undoing

    settings = need_database(read_settings(asked))
    noun, does = {"notes": ("note", "moved to Trash"), "labels": ("label", "taken off")}[what]
    if dry_run:
        found = undoing.to_undo(settings, what)
        if form == "json":
            write_record([_undoing_record(one) for one in found])
            return 0
        say(f"Would be {does}: {_undoing_words(one, what)}" for one in found)
        say([f"Nothing was changed. {counted(len(found), noun)} would be {does}."])
        return 0
    with progress_bar(f"Taking back {what}") as progress:
        done = undoing.take_back(settings, what, now, progress=progress)
    problems = [one for one in done if one.problem]
    if form == "json":
        write_record([_undoing_record(one.undoing, one) for one in done])
        return 1 if problems else 0
    for one in problems:
        warn(f"{_undoing_words(one.undoing, what)}: {one.problem}")
    was_there = [one for one in done if not one.problem and one.was_there]
    say([f"{counted(len(was_there), noun)} {does}."])
    if missing := len(done) - len(problems) - len(was_there):
        say([f"{counted(missing, noun)} more on record, but not in the mailbox (any more)."])
    if what == "notes" and done and settings.notes:
        say(["New bounces are still explained by notes; to stop that, set `notes = false` in triage.toml."])
    if problems:
        warn(f"{counted(len(problems), noun)} could not be; run the same command again.")
    return 1 if problems else 0


def _undoing_record(one: Undoing, done: Undone | None = None) -> UndoingRecord:
    return {
        "what": one.what,
        "thread_id": one.thread_id,
        "done": done is not None and done.problem is None,
        "was_there": done.was_there if done else None,
        "problem": done.problem if done else None,
    }


def _undoing_words(one: Undoing, what: What) -> str:
    return f"{'the note about ' if what == 'notes' else ''}{one.what}, thread {one.thread_id}"


@click.command()
@click.option("--apply", "apply_", is_flag=True, help="Write what differs; the next run sets the labels.")
@answers("json")
@options
@click.pass_obj
def rejudge(asked: Any, apply_: bool, form: str) -> int:
    """Judge the stored bounces again by today's rules, and show which verdicts come out differently.

    For after an update, or after you taught it a new bounce. Without --apply nothing is written.
    """
    from triage.display import counted
    from triage.owner import rejudge as again

    settings = need_database(read_settings(asked))
    with progress_bar("Judging again", is_wanted=form == "text") as progress:
        result = again.judge_again(settings, now(), apply=apply_, progress=progress)
    for source, why in result.failed:
        warn(f"{source}: {why}")
    if form == "json":
        write_record(again.rejudged_json(result))
        return 1 if result.failed else 0
    say(again.move_lines(result))
    reworded = f", {counted(result.reworded, 'verdict')} in other words only" if result.reworded else ""
    moved = f"{counted(len(result.moves), 'verdict')} {'moved' if apply_ else 'would move'}{reworded}"
    say([f"{counted(result.mails, 'mail')} judged again: {moved}."])
    if result.without_bytes:
        will = "will be fetched again by the next run" if apply_ else "would be fetched again"
        say([f"{counted(result.without_bytes, 'mail')} given up before its bytes were had {will}."])
    if result.moves or result.reworded or result.without_bytes:
        say(
            ["Next: triage run (it sets the labels)" if apply_ else "Nothing was written. Next: triage rejudge --apply"]
        )
    return 1 if result.failed else 0


@click.command()
@click.option("--dry-run", is_flag=True, help="Show what was given up; change nothing.")
@answers("json")
@options
@click.pass_obj
def retry(asked: Any, dry_run: bool, form: str) -> int:
    """Let the next run try again what was given up: labels, notes, and mails that could not be had or judged.

    What only waits for its turn is tried by the next run, too.
    """
    from triage.display import counted, shown
    from triage.owner import retry as again

    found = again.take_up(need_database(read_settings(asked)), apply=not dry_run)
    if form == "json":
        records: list[GivenUpRecord] = [{"kind": one.kind, "number": one.number, "error": one.error} for one in found]
        write_record(records)
        return 0
    for one in found:
        say([f"{counted(one.number, one.kind)}, the last because: {shown(one.error or 'not known', 200)}"])
    if not found:
        say(["Nothing was given up."])
    elif dry_run:
        say(["Nothing was changed. Next: triage retry"])
    else:
        say(["Taken up again. Next: triage run"])
    return 0


@click.command()
@click.argument("kind", type=click.Choice(["cron", "systemd", "launchd"]), default="cron")
@options
@click.pass_obj
def schedule(asked: Any, kind: str) -> int:
    """Print what makes this computer run triage every quarter of an hour, and put each week's report into the inbox.

    Lines for cron, units for systemd, or two jobs for launchd (macOS), each a file of its own; where they belong is
    said in them. Installs nothing.
    """
    from triage.config import CONFIG_VARIABLE, ENV_PREFIX, find_config
    from triage.owner import schedule as texts

    settings = read_settings(asked)  # what does not work here would not work there either
    config = find_config(asked.config, os.environ)
    command = [*_program(), *(["--config", str(config.absolute())] if config else [])]
    seen = sorted(name for name in os.environ if name.startswith(ENV_PREFIX) and name != CONFIG_VARIABLE)
    remarks = [f"Not seen there: {', '.join(seen)}, set in this shell. Put them into triage.toml."] if seen else []
    if kind == "cron":
        text = texts.cron_lines(command, remarks, outbox=settings.outbox)
    elif kind == "systemd":
        text = texts.systemd_text(command, remarks, settings.run_minutes, outbox=settings.outbox)
    else:
        log = str(Path.home() / "Library/Logs/bounce-triage.log")
        jobs = texts.launchd_plists(command, log, remarks, outbox=settings.outbox)
        text = "\n".join(jobs.values())
    click.echo(text, nl=False)
    return 0


def _program() -> list[str]:
    """How this very triage is started from anywhere."""
    script = Path(sys.executable).with_name("triage")
    return [str(script)] if script.is_file() else [sys.executable, "-m", "triage"]
