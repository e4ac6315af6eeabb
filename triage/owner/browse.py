"""Opens the database in Datasette, read-only: what it is told about tables, columns, questions, and how it is started.

`metadata` is pure. Datasette is an optional extra and is never imported here: this process becomes it, on loopback
only. It opens the database so that SQLite itself refuses to write, shows it to nobody who does not hold the link that
stands in the terminal (a page of a stranger in the same browser, or somebody else on this computer), and never shows
the mails themselves.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from triage.errors import ConfigError

if TYPE_CHECKING:
    from sqlite_utils import Database

HOST = "127.0.0.1"
INSTALL = "Install it beside triage: pip install 'bounce-triage[browse]'"
MILLISECONDS = 5000
"""How long one question may take; a million verdicts need some seconds where no index helps."""

TABLE_TITLES: Mapping[str, str] = {
    "verdicts": "Each failed recipient, and what was judged of it",
    "actions": "Labels and notes: planned, done, taken back",
    "runs": "Each run of the worker",
    "events": "What Amazon SES itself told",
    "evidence": "What is known of a verdict beyond its bounce",
    "incidents": "Many bounces that one repair heals",
    "resends": "Mails given to a person once more",
    "audits": "Checks of the whole setup",
    "findings": "What each audit found",
}
FACETS: Mapping[str, Sequence[str]] = {
    "verdicts": ("category", "cause", "side", "actor", "platform", "genuine"),
    "events": ("kind", "ses_region"),
    "evidence": ("kind", "result"),
    "incidents": ("state", "kind", "cause"),
    "findings": ("state", "severity", "check"),
    "actions": ("state", "kind"),
    "resends": ("state", "way"),
}
NEWEST_FIRST: Mapping[str, str] = {
    "verdicts": "received_at",
    "runs": "started_at",
    "events": "at",
    "audits": "at",
    "incidents": "last_at",
    "resends": "started_at",
}
QUESTIONS: Mapping[str, str] = {
    "unreached_people": "Who was not reached?",
    "this_week": "What came back this week?",
    "by_cause": "Why do mails come back?",
    "by_recipient_domain": "Which servers refuse them?",
    "ses_mismatch": "Where do Amazon SES and the bounces not agree?",
    "story": "What happened in one conversation?",
}
"""View, or named query, and the question it answers, in the order in which the first page asks them."""
CELLS = Path(__file__).parent / "cells"
"""How a cell is shown: no link out of a stranger's words, and one from a verdict to its story."""
OWNER = {"id": "root"}  # whom Datasette's one-time link signs in
CLOSED = ("mails",)
"""Tables nobody is shown: they hold whole mails. What is asked about them, the views tell."""
HIDDEN = ("state", "inserts", "retired_keys", "verdict_hours", "_sqlite_migrations")

_COLUMN = re.compile(r'^[ \t]+"?(\w+)"? [A-Z][^\n]*?-- (.+)$', re.MULTILINE)


def find_datasette() -> None:
    """Raise ConfigError where Datasette is not installed."""
    if find_spec("datasette") is None:
        raise ConfigError("`triage browse` shows the database in Datasette, which is not installed.", INSTALL)


def metadata(name: str, schema: Mapping[str, str]) -> dict[str, Any]:
    """What Datasette is told; `name` is that of the database (its file without ending), `schema` the SQL by table.

    https://docs.datasette.io/en/stable/metadata.html. The meaning of a column is the comment that stands beside it in
    the schema.
    """
    from triage.store.steps import STORY, VIEWS

    tables: dict[str, Any] = {}
    for table, sql in schema.items():
        about: dict[str, Any] = {"columns": {column: _sentence(text) for column, text in _COLUMN.findall(sql)}}
        if table in TABLE_TITLES:
            about["title"], about["description"] = table, TABLE_TITLES[table]
        if table in FACETS:
            about["facets"] = list(FACETS[table])
        if table in NEWEST_FIRST:
            about["sort_desc"] = NEWEST_FIRST[table]
        if table in CLOSED:
            about["allow"] = False
        if table in HIDDEN:
            about["hidden"] = True
        tables[table] = about
    for view, what in VIEWS.items():
        tables[view] = {
            "title": what.title,
            "description": what.description,
            "columns": dict(what.columns),
            "facets": list(what.facets),
        }
    queries: dict[str, dict[str, Any]] = {
        # A query of the very same name would hide the view's own page, which filters and counts.
        view.replace("_", "-"): {
            "title": what.title,
            "description_html": f'{escape(what.description)} <a href="/{quote(name)}/{view}">Filter and count.</a>',
            "sql": f"SELECT * FROM {view}",  # noqa: S608
            "hide_sql": True,  # the answer first
        }
        for view, what in VIEWS.items()
    }
    queries["story"] = {
        "title": "The story of a conversation",
        "description": "All that is known of the conversation a verdict belongs to, by time (UTC). Its number stands in"
        " the column verdict of the other pages, and as # in the report.",
        "sql": STORY,
        "hide_sql": True,
        "params": ["verdict"],
    }
    asked = _questions(name)
    return {
        "title": "Bounce triage",
        "description_html": asked,
        "allow": OWNER,
        "databases": {
            name: {"description_html": asked, "tables": tables, "queries": queries},
            "_internal": {"allow": False},  # Datasette's own; it would stand before ours
        },
    }


def _questions(name: str) -> str:
    """What the first page shows before any table: the questions, each a link to its answer."""
    said = "".join(
        f'<li><a href="/{quote(name)}/{page.replace("_", "-")}">{escape(question)}</a></li>'
        for page, question in QUESTIONS.items()
    )
    return f"<p>Why mails bounced, whose move it is. Read-only, on this computer only.</p><ul>{said}</ul>"


def read_schema(db: Database) -> dict[str, str]:
    """The SQL each table was made with, by name."""
    rows = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql IS NOT NULL ORDER BY name")
    return dict(rows.fetchall())


def command(database: Path, *, port: int, opens: bool) -> list[str]:
    """How Datasette is started: on loopback, where nobody else can reach it, and without a way to write.

    It reads the metadata from standard input. `-P`: no module is taken from the working folder. `--root`: it prints a
    link that works once and signs its browser in; without it every page is refused, under whatever name of the host.
    """
    settings = {
        "sql_time_limit_ms": MILLISECONDS,
        "facet_time_limit_ms": MILLISECONDS,
        "allow_download": "off",
        "default_allow_sql": "off",  # a question of one's own could ask for the mails
        "default_page_size": 50,
        "truncate_cells_html": 300,
    }
    return [
        *(sys.executable, "-P", "-m", "datasette", "serve", str(database), "--root"),
        *("--plugins-dir", str(CELLS), "--metadata", "-", "--host", HOST, "--port", str(port)),
        *(word for name, value in settings.items() for word in ("--setting", name, str(value))),
        *(["--open"] if opens else []),
    ]


def become_datasette(database: Path, schema: Mapping[str, str], *, port: int, opens: bool) -> None:
    """Let this process become Datasette, so that whoever stops it stops that; returns only by raising OSError."""
    with tempfile.TemporaryFile() as file:  # it has no name, so nothing is left behind
        file.write(json.dumps(metadata(database.stem, schema)).encode("ascii"))
        file.seek(0)
        os.dup2(file.fileno(), 0)
    words = command(database, port=port, opens=opens)
    os.execv(words[0], words)  # noqa: S606


def _sentence(comment: str) -> str:
    return f"{comment[:1].upper()}{comment[1:]}"
