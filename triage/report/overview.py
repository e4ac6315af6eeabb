"""One page over many mailboxes: in how many something is to be repaired, each trouble once, and which are not read.

`read_overview` reads every database; what it gives is data, and `overview_text` lays it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from triage import store
from triage.config import MailboxSettings, Settings
from triage.display import counted, listed, shown, step_words, when_words, wrapped
from triage.errors import ConfigError
from triage.no_links import unlinked
from triage.report.build import read_report
from triage.report.model import Report, Trouble
from triage.report.state import not_read

MOST_SHARED = 10
"""Troubles that are told, those of most mailboxes first."""
MOST_MAILBOXES = 3
"""Mailboxes that are named beside a trouble."""
MOST_UNREAD = 10
STEPS = 2


@dataclass(frozen=True, slots=True)
class SharedTrouble:
    """One thing to repair, and the mailboxes it is behind."""

    title: str
    finding: str | None
    sender: str | None
    place: str | None
    first_at: str
    people: int
    steps: tuple[str, ...]
    mailboxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """How many mailboxes stand how."""

    mailboxes: int
    broken: tuple[str, ...]
    """Names of those with something to repair on their own side."""
    unread: tuple[tuple[str, str], ...]
    """(name, why) of those that are not being read: never were, were stopped, or have settings that cannot be used."""
    troubles: tuple[SharedTrouble, ...]


def read_overview(mailboxes: Sequence[MailboxSettings], *, since: datetime, now: datetime) -> Overview:
    """Read how each mailbox stands. A database that cannot be read is a mailbox that is not read, and stops nothing."""
    unread: list[tuple[str, str]] = []
    broken: list[str] = []
    groups: dict[tuple[Any, ...], list[tuple[str, Trouble]]] = {}
    for name, settings in mailboxes:
        report = _report(settings, since, now)
        if isinstance(report, str):
            unread.append((name, report))
            continue
        if (why := not_read(report)) is not None:
            unread.append((name, why))
        open_now = [trouble for trouble in report.own if trouble.over_at is None]
        broken += [name] if open_now else []
        for trouble in open_now:
            assert isinstance(settings, Settings)
            groups.setdefault(_remedy(name, settings, trouble), []).append((name, trouble))
    ordered = sorted(groups.values(), key=lambda group: (-len(group), min(one.first_at for _, one in group)))
    return Overview(len(mailboxes), tuple(broken), tuple(unread), tuple(_shared(group) for group in ordered))


def _report(settings: Settings | ConfigError, since: datetime, now: datetime) -> Report | str:
    if isinstance(settings, ConfigError):
        return settings.what
    try:
        db = store.open_readonly(settings.database)
        if db is None:
            return "It has not been read yet."
        with closing(db):
            return read_report(db, settings, since=since, now=now)
    except Exception as error:
        blamed = store.blamed(error, settings.database)
        return blamed.what if blamed else f"Its database cannot be read ({type(error).__name__})."


def _remedy(name: str, settings: Settings, trouble: Trouble) -> tuple[Any, ...]:
    """What one repair heals, over mailboxes: the login of an alias, an identity or an account of SES.

    Gmail's own limits belong to one mailbox. Of two customers with an AWS account each, a sandbox is two troubles.
    """
    if trouble.category == "gmail-refused":
        return name, trouble.cause
    if trouble.category == "ses-refused" and trouble.sender is None:
        aws = (settings.accounts, settings.queue_url, settings.smtp_user, settings.smtp_secret)
        return trouble.cause, trouble.place, *(aws if any(aws) else (name,))
    return trouble.cause, trouble.sender or name, trouble.place


def _shared(group: list[tuple[str, Trouble]]) -> SharedTrouble:
    newest = max((trouble for _, trouble in group), key=lambda one: one.last_at)
    return SharedTrouble(
        title=newest.title,
        finding=newest.finding,
        sender=newest.sender,
        place=newest.place,
        first_at=min(trouble.first_ever_at for _, trouble in group),
        people=len({person for _, trouble in group for person in trouble.people}),
        steps=newest.fix[:STEPS],
        mailboxes=tuple(name for name, _ in group),
    )


def overview_text(overview: Overview, width: int) -> str:
    """The page as text, at most `width` columns."""
    lines = [overview_headline(overview)]
    for number, trouble in enumerate(overview.troubles[:MOST_SHARED], start=1):
        lines += ["", *_told(number, trouble, width)]
    if (more := len(overview.troubles) - MOST_SHARED) > 0:
        lines += ["", f"And {counted(more, 'more trouble')}."]
    if overview.unread:
        lines += ["", "Not read"]
        for name, why in overview.unread[:MOST_UNREAD]:
            lines += wrapped(f"{name}: {unlinked(shown(why, 200))}", width, "  ", "    ")
        if (more := len(overview.unread) - MOST_UNREAD) > 0:
            lines.append(f"  And {more} more.")
    return "\n".join(lines) + "\n"


def overview_headline(overview: Overview) -> str:
    """The first sentence: `3 of 40 mailboxes have something to repair.`"""
    number = len(overview.broken)
    verb = "has" if number == 1 else "have"
    first = f"{number} of {overview.mailboxes} mailboxes {verb} something to repair."
    if number == 0:
        first = f"Nothing to repair in {counted(overview.mailboxes, 'mailbox', 'mailboxes')}."
    unread = len(overview.unread)
    return f"{first} {unread} {'is' if unread == 1 else 'are'} not being read." if unread else first


def _told(number: int, trouble: SharedTrouble, width: int) -> list[str]:
    about = listed([unlinked(shown(one)) for one in (trouble.sender, trouble.place) if one])
    lines = wrapped(f"{number}. {trouble.title}{f' ({about})' if about else ''}", width, "", "   ")
    names = list(trouble.mailboxes[:MOST_MAILBOXES])
    more = len(trouble.mailboxes) - len(names)
    where = f"{', '.join(names)} and {more} more" if more else listed(names)
    people = counted(trouble.people, "person was", "people were")
    lines += wrapped(f"In {where}, since {when_words(trouble.first_at)}; {people} not reached.", width, "   ")
    if trouble.finding:
        lines += wrapped(unlinked(shown(trouble.finding, 300)), width, "   ")
    for step in trouble.steps:
        lines += wrapped(f"- {step_words(step, 400)}", width, "   ", "     ")
    lines += wrapped(f"All of it: triage report --mailbox-name {trouble.mailboxes[0]}", width, "   ")
    return lines


def overview_json(overview: Overview) -> dict[str, Any]:
    """The page as data, under the names of its fields."""
    return {"headline": overview_headline(overview), **asdict(overview)}
