"""The command line: reads what the user asks for, calls the module that does it, says what came of it.

The only module that prints and exits. Decides nothing about mails. Whatever a single command needs is imported inside
it, so that `triage --help` and a quiet run from cron do not pay for what they do not use.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from triage.cli import files
from triage.cli.audit import audit, check_address
from triage.cli.browse import browse
from triage.cli.configuration import config
from triage.cli.credentials import credentials
from triage.cli.database import backup, rebuild, restore
from triage.cli.doctor import doctor
from triage.cli.incidents import alerts, incidents
from triage.cli.manners.completion import answered_shell, complete_file, completion_
from triage.cli.manners.help import Family, give_examples, help_
from triage.cli.manners.since import Since, since_option
from triage.cli.manners.streams import forgive_pipe, forgive_streams, lost_output, unsaid
from triage.cli.manners.trouble import told_of, told_usage
from triage.cli.many import run_over, several_mailboxes
from triage.cli.outbox import outbox
from triage.cli.owner import auth, rejudge, retry, schedule, undo
from triage.cli.report import report
from triage.cli.resend import resend
from triage.cli.shared import (
    Monitors,
    need_database,
    now,
    on_database,
    options,
    progress_bar,
    read_settings,
    width_of_screen,
)
from triage.cli.stopping import Stopped, stoppable
from triage.errors import UsageError

if TYPE_CHECKING:
    from triage.judging import Speaker

INTERRUPTED = 130  # 128 + SIGINT, as shells report it
PIPE_CLOSED = 141  # 128 + SIGPIPE: whoever read our output has seen enough

EXIT_CODES = (
    (0, "done"),
    (1, "done, but some mails could not be read, or somebody could not be told, or the output not be written"),
    (2, "the command line asks for something that cannot be done"),
    (75, "try later: another run is at work, Gmail is away, or a rate limit is reached"),
    (77, "the sign-in is dead, lacks permission, or its file is open to others: run `triage auth`"),
    (78, "the configuration or the database cannot be used as it is"),
    (130, "stopped by Ctrl-C (SIGINT); what was stored stays"),
    (141, "whoever read the output has closed it (SIGPIPE), as `head` does; never of a run"),
    (143, "stopped by SIGTERM; what was stored stays"),
)


_CODE = re.compile(r"[245]\.\d\.\d{1,3}")


@dataclass(slots=True)
class Options:
    """What was asked for beside the command itself."""

    config: Path | None = None
    verbose: bool = False
    mailbox_name: str | None = None
    """Of several mailboxes the one that is meant; None: all, or there is only one."""
    database: Path | None = None
    """The database to use in place of that of the settings."""


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if not value:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        _say([f"triage {version('bounce-triage')}"])
    except PackageNotFoundError:
        _say(["triage, not installed"])
    ctx.exit()


@click.group(cls=Family, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@options
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def cli() -> None:
    """Tell why a mail bounced, whose move it is, and how to fix it.

    Settings come from triage.toml, from TRIAGE_... variables and from the command line.

    Exit codes: 0 done, 1 done but some mails could not be read, 2 usage, 75 try later, 77 sign in again,
    78 configuration.
    """


@cli.command()
@click.argument("what", metavar="ID|FILE|TEXT", shell_complete=complete_file)
@click.option(
    "--said-by",
    type=click.Choice(["recipient", "relay"]),
    help="Whose server said TEXT: the recipient's, or the one behind your alias.",
)
@click.option(
    "--for-admin", is_flag=True, help="Instead, a ready message to the people who run the recipient's mail server."
)
@on_database
@options
@click.pass_obj
def explain(asked: Options, what: str, said_by: Speaker | None, for_admin: bool) -> int:
    """Tell everything known about one mail, and why it was judged so.

    FILE is a mail, one mail of an mbox as FILE#NUMBER, or - for standard input. ID is looked up in the database: the
    number of a verdict (as in the report), a Gmail message id, or the Message-ID of the bounce or of the returned mail.
    TEXT is what you copied out of a bounce, in quotes: an error line, or the notice. It may come in by - too.
    """
    from triage.owner.explain_lookup import admin_lines, explain_file, explain_stored, explain_text, names_a_file

    if what.isdecimal() and not names_a_file(what):
        need_database(read_settings(asked))
    if for_admin:
        lines = admin_lines(what, sys.stdin.buffer, read_settings(asked).database, width_of_screen())
    elif names_a_file(what):
        lines = explain_file(what, sys.stdin.buffer, read_settings(asked), width_of_screen(), said_by)
    elif len(what.split()) > 1 or _CODE.fullmatch(what):
        lines = explain_text(what, read_settings(asked), width_of_screen(), said_by)
    else:
        lines = explain_stored(what, read_settings(asked), width_of_screen())
    _say(lines, has_headings=not for_admin)
    return 0


@cli.command()
@click.option("--dry-run", is_flag=True, help="Show what would be recorded and labelled; write nothing anywhere.")
@click.option(
    "--mailbox",
    "paths",
    metavar="PATH",
    multiple=True,
    shell_complete=complete_file,
    help="Read this file or folder instead of Gmail. Repeatable.",
)
@since_option("Look further back than the last run did")
@click.option("--probe", is_flag=True, help="When the alias failed, try the stored login once at its own server.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on how the run ended, also where it failed.")
@click.option(
    "--log-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Add a line of JSON on how the run ended to this file: counts, times and errors, no mail contents.",
)
@on_database
@options
@click.pass_obj
def run(
    asked: Options,
    dry_run: bool,
    paths: tuple[str, ...],
    since: Since | None,
    probe: bool,
    as_json: bool,
    log_file: Path | None,
) -> int:
    """Read the mailbox, judge what is new, record it and label its threads.

    This is what cron calls. It prints nothing when nothing was new. It never deletes, never sends, never marks as read.
    With --mailbox it reads files, labels nothing, and keeps what it finds in a database of its own beside the real one,
    triage-of-files.db, unless --database names one. Where the settings file has several mailboxes it reads all of
    them, a few at a time; what goes wrong with one stops no other, and the exit code is the worst.
    """
    from dataclasses import asdict, replace

    from triage import run as worker
    from triage.report import planned_words, totals_words

    if since and paths:
        raise UsageError("--since is for Gmail; --mailbox reads all it is given.", "Leave one of them out.")
    if dry_run and (as_json or log_file):
        raise UsageError("A dry run tells no monitor anything.", "Leave --json and --log-file out.")
    forgive_pipe()
    if several := several_mailboxes(asked):
        if paths or dry_run or probe or as_json:
            raise UsageError("This is for one mailbox.", f"Say which: --mailbox-name {several[0].name}")
        return run_over(several, asked, since.moment(now()) if since else None, log_file)
    monitors = Monitors(log_file, as_json=as_json)
    failing = monitors.told_of_failure(asked) if not dry_run else nullcontext()
    with failing, progress_bar("Reading mails") as progress:
        settings = read_settings(asked)
        settings = replace(settings, probe=True) if probe else settings
        is_apart = bool(paths) and asked.database is None
        if is_apart:  # what is only tried out must not count as mail of the real mailbox
            real = settings.database
            asked.database = real.with_name(f"{real.stem}-of-files{real.suffix}")
            settings = replace(settings, database=asked.database)
        monitors.settings = settings
        start = since.moment(now()) if since else None
        if dry_run and paths:
            plan = worker.dry_run_local(settings, paths, stdin=sys.stdin.buffer, progress=progress)
        elif dry_run:
            plan = worker.dry_run(settings, now, since=start, progress=progress)
        elif paths:
            summary = worker.run_local(settings, now, paths, stdin=sys.stdin.buffer, progress=progress)
        else:
            summary = worker.run(settings, now, since=start, progress=progress)
    if dry_run:
        summary = plan.summary
        _say(planned_words(plan))
    for source, why in summary.failures:
        _warn(f"{source}: {why}")
    for line in summary.not_looked_up if asked.verbose else ():
        _warn(f"Not looked up: {line}")
    for line in summary.not_told:  # whoever relies on being told must hear that he is not
        _warn(f"Not told: {line}")
    if summary.not_told:
        _warn("Not told: the next run tries again. To see which way works: triage alerts test")
    if asked.verbose and summary.rotation:
        _warn(summary.rotation)
    is_untold = 0 if dry_run else monitors.tell(summary)
    if not as_json and (not summary.is_quiet or asked.verbose or sys.stdout.isatty()):
        first = "Nothing was written. It would be: " if dry_run else "Nothing new. " if summary.is_quiet else ""
        _say([first + totals_words(asdict(summary))])
        if is_apart and not dry_run:
            _say([f"Kept apart from your mailbox's. To look at it: triage report --database {settings.database}"])
    if not dry_run and (lost := unsaid()):
        worker.keep_unsaid(settings, lost)
    return summary.exit_code or is_untold


cli.add_command(alerts)
cli.add_command(audit)
cli.add_command(auth)
cli.add_command(backup)
cli.add_command(browse)
cli.add_command(check_address)
cli.add_command(files.classify)
cli.add_command(completion_)
cli.add_command(config)
cli.add_command(credentials)
cli.add_command(doctor)
cli.add_command(help_)
cli.add_command(incidents)
cli.add_command(outbox)
cli.add_command(rebuild)
cli.add_command(rejudge)
cli.add_command(restore)
cli.add_command(retry)
cli.add_command(schedule)
cli.add_command(undo)
cli.add_command(report)
cli.add_command(resend)
give_examples(cli)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Every failure ends as two lines on standard error."""
    asked = Options()
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # libraries warn about versions; cron would mail that every quarter of an hour
    forgive_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that is not UTF-8 shows ? instead of ending the command
    try:
        if arguments is None and (answered := answered_shell(cli)) is not None:
            return answered
        with stoppable():
            code = _ended(asked, arguments)
    except Stopped as stopped:  # while the last words were said
        return stopped.code
    return code


def _ended(asked: Options, arguments: Sequence[str] | None) -> int:
    """Run the command and say how it ended, if it did not end well."""
    try:
        # Not cli.main, which makes exit code 1 of a closed pipe, and 1 means something else here.
        with cli.make_context("triage", list(sys.argv[1:] if arguments is None else arguments), obj=asked) as root:
            code = int(cli.invoke(root) or 0)
        sys.stdout.flush()
        if (why := lost_output()) and root.invoked_subcommand != "run":
            _warn(f"triage: What was to be printed could not be written: {why}")
            return code or 1
        return code
    except click.exceptions.Exit as done:  # --help, --version
        sys.stdout.flush()
        return done.exit_code
    except BrokenPipeError:
        # What is still buffered has nowhere to go; without this Python would complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except (KeyboardInterrupt, click.Abort) as stopped:
        _fail("Stopped before the end.", "What was stored stays; run the same command again to go on.")
        return stopped.code if isinstance(stopped, Stopped) else INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        _write(f"{error.format_message()}\n")
        return error.exit_code
    except click.ClickException as error:
        _fail(*told_usage(error, arguments or sys.argv[1:]))
        return error.exit_code
    except Exception as error:
        told = told_of(error, asked)
        _fail(told.what, told.todo, told.details)
        if asked.verbose:
            _traceback()
        return told.exit_code


def _say(lines: Iterable[str], *, has_headings: bool = False) -> None:
    """Write lines; on a terminal that wants it, those without indent are headings."""
    is_bold = has_headings and _is_coloured()
    _write("".join(f"{click.style(line, bold=True) if is_bold and line[:1].strip() else line}\n" for line in lines))


def _is_coloured() -> bool:
    # https://no-color.org
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _write(text: str) -> None:
    sys.stdout.write(text)
    if sys.stdout.isatty():
        sys.stdout.flush()


def _warn(line: str) -> None:
    from triage.display import shown

    sys.stdout.flush()
    click.echo(shown(line, 600), err=True)


def _fail(what: str, todo: str, details: Iterable[str] = ()) -> None:
    _warn(f"triage: {what}")
    for line in details:
        _warn(f"  {line}")
    _warn(todo)


def _traceback() -> None:
    import traceback

    traceback.print_exc()


if __name__ == "__main__":
    sys.exit(main())
