"""The command `triage browse`. Prints, and decides nothing."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Any

import click

from triage.cli.shared import no_database, on_database, options, read_settings, say

DEFAULT_PORT = 8001


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, help="0: any free one.")
@click.option("--no-open", is_flag=True, help="Do not open a browser.")
@on_database
@options
@click.pass_obj
def browse(asked: Any, port: int, no_open: bool) -> int:
    """Look around in the database with a browser: this week, by cause, by domain, unreached people, SES mismatch.

    The first page asks the questions, each a link to its answer; the number of a verdict leads to the story of its
    conversation. The mails themselves are not shown.

    Needs Datasette, an extra: pip install 'bounce-triage[browse]'. Opens the database read-only, and answers on this
    computer only, to the browser that opened the link it prints (it works once).
    The same questions are views in the database: sqlite3 triage.db 'SELECT * FROM unreached_people'.
    """
    from triage.owner import browse as work
    from triage.store import open_readonly

    work.find_datasette()
    settings = read_settings(asked)
    db = open_readonly(settings.database)
    if db is None:
        raise no_database(settings.database)
    with closing(db):
        schema = work.read_schema(db)
    say([f"Opening {settings.database}, read-only. Ctrl-C ends it."])
    sys.stdout.flush()
    work.become_datasette(settings.database, schema, port=port, opens=not no_open)
    return 1  # never reached: nothing of this process is left
