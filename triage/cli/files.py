"""The command `triage classify`. Prints, and decides nothing. Heavy imports are inside the command."""

from __future__ import annotations

import sys
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import click

from triage.cli.archive import Wanted, classify_into_parts
from triage.cli.manners.completion import complete_file
from triage.cli.manners.output import answers, columns_of_output
from triage.cli.shared import on_terminal, options, progress_bar, warn, write_json
from triage.errors import UsageError

if TYPE_CHECKING:
    from triage.rows import VerdictRecord

NO_BOUNCE = ("not-a-bounce", "auto-reply")


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, shell_complete=complete_file)
@click.option("--bounces-only", is_flag=True, help="Leave out mails that are no bounce; they are still counted.")
@click.option("--summary", is_flag=True, help="End with the causes, counted, as on a terminal, on standard error.")
@click.option(
    "--jobs", type=click.IntRange(1, 64), help="Processes to work in.  [default: for more than 1,000 mails, the cores]"
)
@click.option("--parts", metavar="DIR", help="Write parts into this folder, JSON lines; what is there already is kept.")
@click.option("--parquet", is_flag=True, help="Parts in Parquet; also if DIR ends in .parquet.")
@click.option("--part-size", type=click.IntRange(1, 4096), default=64, show_default=True, help="MB of mails in a part.")
@click.option("--cluster", metavar="ADDRESS", help="Judge on a Dask cluster: tcp://HOST:8786, or local.")
@answers("json", "jsonl")
@options
def classify(
    paths: tuple[str, ...],
    bounces_only: bool,
    summary: bool,
    jobs: int | None,
    parts: str | None,
    parquet: bool,
    part_size: int,
    cluster: str | None,
    form: str,
) -> int:
    """Judge mails from files, without database or network.

    PATH is a mail, a folder of .eml files, an mbox, a Maildir, or - for standard input. --jsonl gives one object for
    each failed recipient and for each mail that is no bounce, --json a list of the same.

    With --parts, PATH may be an address that fsspec reads, such as 's3://bucket/*.mbox', and a command that was stopped
    goes on where it was. --cluster, Parquet and such addresses need an extra: pip install 'bounce-triage[cluster]'.
    """
    if parts:
        if bounces_only or summary or form != "text":
            raise UsageError("Parts hold every record, as JSON lines or Parquet.", "Leave the other options out.")
        return classify_into_parts(paths, Wanted(parts, parquet, part_size << 20, jobs, cluster))
    if cluster or parquet:
        raise UsageError("Parts have to be written somewhere.", "Name a folder: --parts DIR")
    from triage.display import cause_lines, table_head, table_totals
    from triage.judging import judge_mails
    from triage.mailbox import UnreadableFile, read_mails

    mails = read_mails(paths, sys.stdin.buffer)
    width = columns_of_output() if on_terminal() else None
    render = partial(_rendered, form=form, width=width, bounces_only=bounces_only)
    total, unreadable = 0, list[UnreadableFile]()
    counts = Counter[tuple[str, str | None, str | None]]()
    a_list = _JsonList()
    write = {"json": a_list.add, "jsonl": write_json}.get(form, _say_now)
    if form == "text":
        _say_now(table_head(width))
    with progress_bar("Judging mails", is_wanted=not on_terminal()) as progress:
        for block in judge_mails(mails, render, jobs):
            write(block.text)
            total += block.mails
            counts.update(block.counts)
            unreadable += block.unreadable
            progress(total, None)
    if form == "json":
        a_list.end()
    for source, why in unreadable:  # not before: it would break the bar
        warn(f"{source}: {why}")
    if form == "text":
        _say_now(table_totals(total, counts, len(unreadable)))
    if summary or sys.stderr.isatty():
        sys.stdout.flush()
        for line in cause_lines(counts):
            click.echo(line, err=True)
    return 1 if unreadable else 0


def _rendered(record: VerdictRecord, *, form: str, width: int | None, bounces_only: bool) -> str:
    from triage.display import table_row
    from triage.judging import json_line

    if bounces_only and record["kind"] in NO_BOUNCE:
        return ""
    return table_row(record, width) if form == "text" else json_line(record)


class _JsonList:
    """Writes lines of JSON as the items of one list, and keeps none of them."""

    def __init__(self) -> None:
        self.before = "["

    def add(self, text: str) -> None:
        for line in filter(None, text.split("\n")):
            write_json(f"{self.before}{line}\n")
            self.before = ","

    def end(self) -> None:
        write_json("]\n" if self.before == "," else "[]\n")


def _say_now(text: str) -> None:
    sys.stdout.write(text)
    if on_terminal():
        sys.stdout.flush()
