"""The report: rows of the store to one model, the model to text, Markdown, HTML, JSON and a mail.

In: the database and a span. Out: text. Only `build` and `mail` touch anything outside.
May import: `triage.store`, `triage.judging`, `triage.letters`, `triage.gmail`.
"""

from __future__ import annotations

from triage.report.build import read_report, report_json
from triage.report.html import report_html
from triage.report.mail import deliver_report, is_in_inbox, week
from triage.report.markdown import report_markdown
from triage.report.model import Report
from triage.report.overview import overview_json, overview_text, read_overview
from triage.report.text import planned_words, report_text
from triage.report.words import totals_words

__all__ = [
    "Report",
    "deliver_report",
    "is_in_inbox",
    "overview_json",
    "overview_text",
    "planned_words",
    "read_overview",
    "read_report",
    "report_html",
    "report_json",
    "report_markdown",
    "report_text",
    "totals_words",
    "week",
]
