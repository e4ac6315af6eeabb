"""The shape of the database: its steps, one after the other, and the views over it.

In: a database. Out: the same with every table, column and view of this version. Reads and writes no rows.
May import: nothing.
"""

from __future__ import annotations

from triage.store.steps.migrations import migrations
from triage.store.steps.views import STORY, VIEWS

__all__ = ["STORY", "VIEWS", "migrations"]
