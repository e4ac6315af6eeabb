"""The command `triage report`. Prints, and decides nothing. Heavy imports are inside the command."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from triage.cli.manners.output import FILE_WIDTH, answers, is_form_asked, write_csv
from triage.cli.manners.since import Since, since_option
from triage.cli.many import report_over, several_mailboxes
from triage.cli.shared import need_database, now, on_database, options, read_settings, say, width_of_screen, write_json
from triage.errors import TryLater, UsageError

if TYPE_CHECKING:
    from sqlite_utils import Database

    from triage.config import Settings
    from triage.report import Report


@click.command()
@since_option("How far back to look", default="7d")
@click.option("--full", is_flag=True, help="Everything: all steps, every person, trends, rates, the last runs.")
@click.option(
    "--deliver", type=click.Choice(["inbox"]), help="Put it into your Gmail inbox: once a week, however often you ask."
)
@answers("markdown", "html", "json", "csv")
@on_database
@options
@click.pass_context
def report(ctx: click.Context, since: Since, full: bool, deliver: str | None, form: str) -> int:
    """Say on one screen what is broken on your side, what to do, and who was not reached.

    Where the settings file has several mailboxes: one page over all, each trouble once.

    --csv lists the people who were not reached, a line for each. --deliver inserts the report into the mailbox, as HTML
    and text; nothing is sent. It is due until it is there: cron asks each hour, and once the week's report is in the
    inbox nothing is done, nor Gmail asked.
    """
    if several := several_mailboxes(ctx.obj):
        if deliver or full or form not in ("text", "json"):
            raise UsageError(
                "The page over all mailboxes is text or JSON.", f"For one of them: --mailbox-name {several[0].name}"
            )
        return report_over(several, since.moment(now()), as_json=form == "json")
    settings, at = need_database(read_settings(ctx.obj)), now()
    start = since.moment(at)
    if deliver:
        _deliver(settings, at, start)
        if not is_form_asked(ctx):
            return 0
    model = _model(settings, at, start)
    if form == "text":
        _say_text(_rendered(model, form, width_of_screen(), full))
    elif form == "csv":
        write_csv(*people_table(model))
    else:  # HTML and JSON are UTF-8 whatever the terminal is; a lone surrogate becomes the escape it has in ASCII
        write_json(_rendered(model, form, FILE_WIDTH, full))
    return 0


def _model(settings: Settings, at: datetime, start: datetime) -> Report:
    from triage.report import read_report
    from triage.store import open_readonly

    db = open_readonly(settings.database)
    assert db is not None
    with closing(db):
        return read_report(db, settings, since=start, now=at)


def _deliver(settings: Settings, at: datetime, start: datetime) -> None:
    """Put this week's report into the inbox. Cheap where it is there already: cron asks each hour until it is."""
    from triage.job import limited
    from triage.report import is_in_inbox, week
    from triage.store import open_store

    with limited(settings.run_minutes, "The report"), closing(open_store(settings.database)) as db:
        is_new = not is_in_inbox(db, at) and _put_into_inbox(db, settings, at, start)
    when = "is in your inbox now" if is_new else "was put into your inbox before; nothing was done"
    say([f"The report of this week ({week(at)}) {when}."])


def _put_into_inbox(db: Database, settings: Settings, at: datetime, start: datetime) -> bool:
    """Returns whether it is new there. Raises TryLater where that is not known."""
    from triage.gmail import connect
    from triage.letters import NotYet
    from triage.report import deliver_report, read_report

    with closing(connect(settings.token, url=settings.gmail_url)) as gmail:
        done = deliver_report(gmail, db, read_report(db, settings, since=start, now=at))
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


def people_table(model: Report) -> tuple[list[str], list[list[Any]]]:
    """The people who were not reached, as a head and rows; those whose mail is only delayed come last."""
    head = [
        "recipient",
        "mails",
        "subject",
        "sent_at",
        "sender",
        "side",
        "cause",
        "title",
        "next_move",
        "for_good",
        "number",
    ]
    rows: list[list[Any]] = [
        [
            one.recipient,
            one.mails,
            one.subject,
            one.sent_at,
            one.sender,
            one.side,
            one.cause,
            one.title,
            one.actor,
            one.permanent,
            one.verdict_id,
        ]
        for one in (*model.missed, *model.delayed)
    ]
    return head, rows


def _say_text(text: str) -> None:
    # https://no-color.org
    is_coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    for number, line in enumerate(text.splitlines()):
        is_heading = number == 0 or (line[:1].strip() and line.partition(":")[0].isupper())
        click.echo(click.style(line, bold=True) if is_coloured and is_heading else line)
