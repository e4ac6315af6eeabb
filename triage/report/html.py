"""The report as one HTML page that is also a mail: tables, inline styles, no script, nothing from outside.

Pure: a `Report` in, text out. The template escapes and unlinks whatever a mail brought in; a link leads only to pages
this program names itself. Gmail shows the first 102 KB of a mail and hides the rest, so long lists are cut until it
all fits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from remediation.vendor_limits import BOUNCE_LIMITS
from triage import display
from triage.no_links import unlinked
from triage.report import state
from triage.report import words as report_words
from triage.report.brief import in_brief
from triage.report.model import Bar, Rate, Report, Trouble

GMAIL_CLIPS_AT = 102_000
"""Bytes of a message that Gmail shows: https://support.google.com/mail/answer/6590 speaks of large messages, senders
have measured 102 KB."""
MOST_BYTES = 98_000
GAUGE_END = 0.125
"""Where the gauge of the bounce rate ends; a quarter more than the limit at which sending is paused."""


@dataclass(frozen=True, slots=True)
class Most:
    """How much of each list is shown."""

    people: int = 20
    troubles: int = 8
    steps: int = 12
    steps_remote: int = 3
    others: int = 10


_MOSTS = (Most(), Most(15, 5, 7, 2, 6), Most(10, 3, 4, 2, 4), Most(8, 2, 2, 1, 3), Most(5, 1, 1, 1, 2))

_PUBLISHERS = {
    "support.google.com": "Google's help",
    "knowledge.workspace.google.com": "Google Workspace help",
    "docs.aws.amazon.com": "Amazon's documentation",
    "learn.microsoft.com": "Microsoft's documentation",
}


def report_html(report: Report, *, full: bool = False) -> str:
    """The report as a complete HTML document of at most MOST_BYTES bytes: short, or all there is."""
    page = ""
    for most in _MOSTS:
        page = _template().render(report=report, most=most, short=None if full else in_brief(report))
        if len(page.encode("utf-8", "replace")) <= MOST_BYTES:
            break
    return page


@cache
def _template() -> Any:
    import jinja2

    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {
        "words": report_words,
        "state": state,
        "unlinked": lambda text, limit=display.LONGEST_TEXT: unlinked(display.shown(text, limit)),
        "counted": display.counted,
        "listed": display.listed,
        "when": display.when_words,
        "actor": lambda name: display.ACTOR_WORDS.get(name, name),
        "parts": parts,
        "links": links,
        "shares": shares,
        "gauge": gauge,
        "width": width,
        "suppressed": lambda report: [*map(report_words.suppression, report.suppression)],
        "drifted": lambda report: [*map(report_words.drift, report.drift)],
        "unread": lambda report: [*map(report_words.unreadable, report.unreadable)],
        "untied": lambda report: [*map(report_words.untied, report.untied)],
    }
    return environment.get_template("report.html.j2")


def parts(text: str) -> list[tuple[bool, str]]:
    """A text of ours cut at its backticks: (is it to be typed, the words). A stranger's lone backtick cuts nothing."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return [(False, text)]
    return [(bool(number % 2), piece) for number, piece in enumerate(pieces) if piece]


def links(trouble: Trouble) -> list[tuple[str, str]]:
    """(words, address) of the official pages about a trouble; pages of one publisher are numbered."""
    found: list[tuple[str, str]] = []
    used: dict[str, int] = {}
    for link in trouble.links:
        if re.fullmatch(r"https://[A-Za-z0-9./_?=&%#-]{1,300}", link):
            host = urlsplit(link).hostname or ""
            name = _PUBLISHERS.get(host, host)
            used[name] = used.get(name, 0) + 1
            found.append((name if used[name] == 1 else f"{name}, page {used[name]}", link))
    return found


def width(value: int, most: int) -> int:
    """A length in percent of the longest; what is there is at least a sliver."""
    return max(round(100 * value / most), 2) if value and most else 0


def shares(bar: Bar, most: int) -> list[tuple[str, int]]:
    """(side, width in percent of the longest bar) of each part of a bar that is there."""
    sides: Mapping[str, int] = {"own": bar.own, "remote": bar.remote, "unclear": bar.unclear}
    return [(side, width(value, most)) for side, value in sides.items() if value]


def gauge(rate: Rate) -> dict[str, Any]:
    """Where a bounce rate stands between nothing, review and pause: percents of the gauge's length, and a word."""
    share = rate.bounces / rate.mails if rate.mails else rate.measured or 0.0
    review, pause = BOUNCE_LIMITS
    return {
        "at": min(max(round(100 * share / GAUGE_END), 1), 99),
        "ok": round(100 * review / GAUGE_END),
        "review": round(100 * (pause - review) / GAUGE_END),
        "standing": report_words.standing(share, review, pause),
        "percent": report_words.percent(share),
    }
