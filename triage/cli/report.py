"""The command `triage report`. Prints, and decides nothing. Heavy imports are inside the command."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from triage.cli.many import report_over, several_mailboxes
from triage.cli.shared import now, on_database, options, read_settings, say, width_of_screen, write_json
from triage.errors import ConfigError, TryLater, UsageError

if TYPE_CHECKING:
    from sqlite_utils import Database

    from triage.config import Settings
    from triage.report import Report

FORMATS = ("text", "markdown", "html", "json")
_SUFFIXES = {".html": "html", ".htm": "html", ".md": "markdown", ".json": "json"}


def _span(text: str) -> timedelta:
    from triage.display import parse_span

    return parse_span(text)


@click.command()
@click.option(
    "--since", type=_span, metavar="SPAN", default="7d", show_default=True, help="How far back to look: 12h, 7d, 4w."
)
@click.option(
    "--format", "form", type=click.Choice(FORMATS), help="By default text, or what the name of --output ends in."
)
@click.option("--full", is_flag=True, help="Everything: all steps, every person, trends, rates, the last runs.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it to this file.")
@click.option("--open", "opens", is_flag=True, help="Show it in the browser.")
@click.option(
    "--deliver", type=click.Choice(["inbox"]), help="Put it into your Gmail inbox: once a week, however often you ask."
)
@on_database
@options
@click.pass_obj
def report(
    asked: Any,
    since: timedelta,
    form: str | None,
    full: bool,
    output: Path | None,
    opens: bool,
    deliver: str | None,
) -> int:
    """Say on one screen what is broken on your side, what to do, and who was not reached.

    Where the settings file has several mailboxes: one page over all, each trouble once.

    --deliver inserts it into the mailbox, as HTML and text; nothing is sent. It is due until it is there: cron asks
    each hour, and once the week's report is in the inbox nothing is done, nor Gmail asked.
    """
    if opens and form not in (None, "html"):
        raise UsageError(f"A browser shows HTML, not {form}.", "Leave --format out, or --open.")
    wanted = form or ("html" if opens else _SUFFIXES.get(output.suffix.lower(), "text") if output else "text")
    if several := several_mailboxes(asked):
        if deliver or opens or output or full or wanted not in ("text", "json"):
            raise UsageError(
                "The page over all mailboxes is text or JSON.", f"For one of them: --mailbox-name {several[0].name}"
            )
        return report_over(several, now() - since, as_json=wanted == "json")
    settings, at = read_settings(asked), now()
    if deliver:
        _deliver(settings, at, since)
        if not (output or opens or form):
            return 0
    model = _model(settings, at, since)
    if output or opens:
        written = _write(_rendered(model, wanted, 100, full), output)
        if output:
            say([f"Written: {written}"])
        if opens:
            _open(written)
    elif wanted == "text":
        _say_text(_rendered(model, wanted, width_of_screen(), full))
    else:  # HTML and JSON are UTF-8 whatever the terminal is; a lone surrogate becomes the escape it has in ASCII
        write_json(_rendered(model, wanted, 100, full))
    return 0


def _model(settings: Settings, at: datetime, since: timedelta) -> Report:
    from triage.report import read_report
    from triage.store import open_readonly

    db = open_readonly(settings.database)
    if db is None:
        raise ConfigError(f"There is no database {settings.database} yet.", "Run `triage run`, or set `database`.")
    with closing(db):
        return read_report(db, settings, since=at - since, now=at)


def _deliver(settings: Settings, at: datetime, since: timedelta) -> None:
    """Put this week's report into the inbox. Cheap where it is there already: cron asks each hour until it is."""
    from triage.job import limited
    from triage.report import is_delivered, week
    from triage.store import open_store

    if not settings.database.exists():
        raise ConfigError(f"There is no database {settings.database} yet.", "Run `triage run`, or set `database`.")
    with limited(settings.run_minutes, "The report"), closing(open_store(settings.database)) as db:
        is_new = not is_delivered(db, at) and _put_into_inbox(db, settings, at, since)
    when = "is in your inbox now" if is_new else "was put into your inbox before; nothing was done"
    say([f"The report of this week ({week(at)}) {when}."])


def _put_into_inbox(db: Database, settings: Settings, at: datetime, since: timedelta) -> bool:
    """Returns whether it is new there. Raises TryLater where that is not known."""
    from triage.gmail import connect
    from triage.letters import NotYet
    from triage.report import deliver_report, read_report

    with closing(connect(settings.token, url=settings.gmail_url)) as gmail:
        done = deliver_report(gmail, db, read_report(db, settings, since=at - since, now=at))
    if isinstance(done, NotYet):
        raise TryLater(f"The report was not put into the inbox: {done.why}.", "Ask again in a quarter of an hour.")
    return done.is_new


def _rendered(model: Report, form: str, width: int, full: bool) -> str:
    if form == "html":
        from triage.report import report_html

        return report_html(model, full=full)
    if form == "markdown":
        from triage.report import report_markdown

        return report_markdown(model, full=full)
    if form == "json":
        from triage.report import report_json

        return report_json(model)
    from triage.report import report_text

    return report_text(model, width, full=full)


def _write(text: str, output: Path | None) -> Path:
    """Write a report, by default to a file of its own; readable by its owner only: it names people."""
    import tempfile

    if output is None:
        handle, name = tempfile.mkstemp(prefix="bounce-report-", suffix=".html")
        path = Path(name)
    else:
        path = output
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}", "Name a file that can be written.") from error
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
    return path


def _open(path: Path) -> None:
    import webbrowser

    if not webbrowser.open(path.absolute().as_uri()):
        raise UsageError(f"No browser could be started for {path}.", "Open that file yourself.")


def _say_text(text: str) -> None:
    # https://no-color.org
    is_coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    for number, line in enumerate(text.splitlines()):
        is_heading = number == 0 or (line[:1].strip() and line.partition(":")[0].isupper())
        click.echo(click.style(line, bold=True) if is_coloured and is_heading else line)
