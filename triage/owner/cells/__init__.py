"""A plug-in of Datasette's, and its only module: how a cell of `triage browse` is shown.

In: a value of the database. Out: HTML, or None for Datasette's own way. A stranger's words become no link, which
Datasette makes of every cell that is an address as a whole; the number of a verdict leads to its story. Loaded by
Datasette alone. May import: nothing of ours.
"""

from __future__ import annotations

from urllib.parse import quote

import pluggy
from markupsafe import Markup, escape

hookimpl = pluggy.HookimplMarker("datasette")

LONGEST = 300
"""Characters of a cell; the row's own page shows all of a longer one to nobody either."""
OURS = ("conversation",)
"""Columns whose address is made by a view of ours: of a fixed page, and an id of Gmail's."""


@hookimpl  # type: ignore[untyped-decorator,unused-ignore]
def render_cell(value: object, column: str, table: str | None, database: str) -> Markup | None:
    """https://docs.datasette.io/en/0.65.2/plugin_hooks.html"""
    if isinstance(value, int) and (column == "verdict" or (table, column) == ("verdicts", "id")):
        return Markup('<a href="/{}/story?verdict={}">{}</a>').format(quote(database), value, value)
    if isinstance(value, str) and value.strip() and column not in OURS and "://" in value:
        return escape(value if len(value) <= LONGEST else f"{value[:LONGEST]}…")
    return None
