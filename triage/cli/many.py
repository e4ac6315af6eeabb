"""Commands over every mailbox of the settings file: one after another, or, for a run, a few at a time.

Prints, and decides nothing. What goes wrong with one mailbox is told beside its name, and the exit code is the worst.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triage.cli.manners.trouble import told_of
from triage.cli.shared import now, on_terminal, progress_bar, say, warn, width_of_screen, write_json
from triage.errors import UsageError

if TYPE_CHECKING:
    from triage.config import MailboxSettings
    from triage.errors import TriageError
    from triage.model import RunSummary


def several_mailboxes(asked: Any) -> list[MailboxSettings]:
    """The mailboxes of the settings file, if it has several and none of them was named; else none."""
    from triage.config import mailbox_settings

    several = mailbox_settings(asked.config, os.environ) if asked.mailbox_name is None else []
    if several and asked.database is not None:
        raise UsageError("--database is for one mailbox.", f"Say which: --mailbox-name {several[0].name}")
    return several


def on_each_mailbox(command: Callable[..., int]) -> Callable[..., int]:
    """The command, done for each mailbox under its name where there are several and none was named."""

    @wraps(command)
    def over_all(asked: Any, **asked_for: Any) -> int:
        several = several_mailboxes(asked)
        if not several:
            return command(asked, **asked_for)
        if asked_for.get("iam_policy") or asked_for.get("form", "text") != "text":
            raise UsageError("This is for one mailbox.", f"Say which: --mailbox-name {several[0].name}")
        worst = 0
        for number, one in enumerate(several):
            say([*(["", ""] if number else []), f"== {one.name}"])
            asked.mailbox_name = one.name
            worst = max(worst, _done(command, asked, asked_for))
        asked.mailbox_name = None
        return worst

    return over_all


def _done(command: Callable[..., int], asked: Any, asked_for: dict[str, Any]) -> int:
    try:
        return command(asked, **asked_for)
    except BrokenPipeError:  # whoever reads along has seen enough
        raise
    except Exception as error:
        return _say_error(asked.mailbox_name, told_of(error, asked))


def _say_error(name: str, error: TriageError) -> int:
    """Two lines about what went wrong with one mailbox, and the exit code of it."""
    warn(f"{name}: {error.what}")
    for line in error.details:
        warn(f"  {line}")
    warn(f"  {error.todo} (with --mailbox-name {name})")
    return error.exit_code


def run_over(
    mailboxes: Sequence[MailboxSettings], asked: Any, since: datetime | None, log_file: Path | None = None
) -> int:
    """Run over all of them; says nothing about those in which nothing was new."""
    from triage.errors import TriageError
    from triage.many import run_each

    worst = quiet = 0
    with progress_bar("Reading mailboxes") as progress:
        for number, one in enumerate(run_each(mailboxes, now, since=since, log_file=log_file), start=1):
            worst = max(worst, one.exit_code, 1 if one.not_told else 0)
            for problem in one.not_told:
                warn(f"{one.name}: Not told: {problem}")
            if isinstance(one.outcome, TriageError):
                _say_error(one.name, one.outcome)
            else:
                quiet += not _say_summary(one.name, one.outcome, asked.verbose)
            progress(number, len(mailboxes))
    if on_terminal() or asked.verbose:
        say([f"{len(mailboxes)} mailboxes read; nothing new in {quiet}."])
    return worst


def _say_summary(name: str, summary: RunSummary, verbose: bool) -> bool:
    """Tell what came of one mailbox; gives whether there was anything to tell."""
    from dataclasses import asdict

    from triage.report import totals_words

    for source, why in summary.failures:
        warn(f"{name}: {source}: {why}")
    for line in (*summary.not_told, *(summary.not_looked_up if verbose else ())):
        warn(f"{name}: {line}")
    if verbose or not summary.is_quiet:
        say([f"{name}: {totals_words(asdict(summary))}"])
    return not summary.is_quiet


def report_over(mailboxes: Sequence[MailboxSettings], since: datetime, *, as_json: bool) -> int:
    """Show the page over all mailboxes."""
    from triage.report import overview_json, overview_text, read_overview

    overview = read_overview(mailboxes, since=since, now=now())
    if as_json:
        write_json(json.dumps(overview_json(overview), ensure_ascii=False) + "\n")
    else:
        say(overview_text(overview, width_of_screen()).splitlines())
    return 0
