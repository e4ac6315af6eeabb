"""One run over many mailboxes, in one process: libraries and rules are loaded once, and a few mailboxes at a time wait
for Gmail while another one computes.

Each mailbox has its own database, lock and sign-in, and nothing is shared between two of them; what goes wrong with one
is a value and stops no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from triage import run as worker
from triage import store
from triage.config import MailboxSettings
from triage.errors import TriageError, of_system, why_failed
from triage.model import Clock, RunSummary
from triage.monitor import tell_monitors

AT_ONCE = 4
"""Mailboxes that are read at the same time: on two cores, more of them use no more of the waiting."""


class MailboxRun(NamedTuple):
    """What came of the run over one mailbox."""

    name: str
    outcome: RunSummary | TriageError
    not_told: Sequence[str] = ()
    """Why a monitor could not be told of it."""

    @property
    def exit_code(self) -> int:
        """What a run over this mailbox alone would have ended with."""
        return self.outcome.exit_code


def run_each(
    mailboxes: Sequence[MailboxSettings],
    clock: Clock,
    *,
    since: datetime | None = None,
    at_once: int = AT_ONCE,
    log_file: Path | None = None,
) -> Iterator[MailboxRun]:
    """Run over every mailbox, `at_once` at the same time, and give what came of each in the order given.

    Whoever stops it waits for those under way; the others are left for the next time. Raises nothing of its own.
    """
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(at_once, thread_name_prefix="mailbox") as pool:
        under_way = [pool.submit(_run_and_tell, mailbox, clock, since, log_file) for mailbox in mailboxes]
        try:
            for future in under_way:
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _run_and_tell(mailbox: MailboxSettings, clock: Clock, since: datetime | None, log_file: Path | None) -> MailboxRun:
    began_at = clock()
    done = _run_one(mailbox, clock, since)
    settings = None if isinstance(mailbox.settings, TriageError) else mailbox.settings
    problems = tell_monitors(settings, done.outcome, began_at, clock(), log_file=log_file, mailbox=mailbox.name)
    return done._replace(not_told=problems)


def _run_one(mailbox: MailboxSettings, clock: Clock, since: datetime | None) -> MailboxRun:
    if isinstance(mailbox.settings, TriageError):
        return MailboxRun(mailbox.name, mailbox.settings)
    try:
        return MailboxRun(mailbox.name, worker.run(mailbox.settings, clock, since=since))
    except TriageError as error:
        return MailboxRun(mailbox.name, error)
    except Exception as error:
        found = store.blamed(error, mailbox.settings.database) or of_system(error)
        return MailboxRun(mailbox.name, found or _our_own(error, mailbox.name))


def _our_own(error: Exception, name: str) -> TriageError:
    what = f"Something in triage itself went wrong: {why_failed(error)}."
    return TriageError(what, f"Run it again with --mailbox-name {name} --verbose, and report it.")
