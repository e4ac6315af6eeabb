"""How things stand now: is the mailbox being read, is anything broken, and since when is it not any more.

Pure: a `Report` in, a sentence out, with the same care for strangers' words as `words`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from triage.display import counted, day_words, retimed, shown, when_words
from triage.no_links import unlinked
from triage.report.model import IncidentLine, Report, Trouble

SILENT_AFTER = timedelta(hours=26)
"""A job that runs at least daily and has been silent for longer than this has probably stopped."""


def headline(report: Report) -> str:
    """The answer to the first question, as things stand now: is anything broken on our side?"""
    unread = not_read(report)
    if unread is None:
        return how_it_stands(report)
    return f"{unread} Up to then: {_small(how_it_stands(report))}" if report.own or report.missed else unread


def not_read(report: Report) -> str | None:
    """Since when the mailbox has not been read; None: it is being read, or was never to be."""
    reading = report.reading
    if not reading.is_mailbox:
        return None
    if reading.read_at is None:
        return "The mailbox has not been read yet."
    silent = datetime.fromisoformat(report.until) - datetime.fromisoformat(reading.read_at)
    if reading.stopped_why is None and silent <= SILENT_AFTER:
        return None
    return f"The mailbox has not been read since {when_words(reading.read_at)}."


def how_it_stands(report: Report) -> str:
    """What is broken on our side now; what was repaired, and who still lacks a mail."""
    broken = [one for one in report.own if one.over_at is None]
    if broken:
        people = counted(len({person for one in broken for person in one.people}), "person was", "people were")
        things, need = counted(len(broken), "thing"), "needs" if len(broken) == 1 else "need"
        return f"{things} on your side {need} repair; {people} not reached because of it."
    if still_open(report):
        number = counted(len(still_open(report)), "trouble")
        return f"{number} on your side is still open, without a new bounce in this time."
    if report.own:
        newest = max(report.own, key=lambda one: one.over_at or "")
        lack = sum(one.side == "own" for one in report.missed)
        still = f"; {counted(lack, 'person still lacks', 'people still lack')} a mail." if lack else "."
        return f"Nothing to repair. {over(newest, report.until)}{still}"
    people = f" {counted(len(report.missed), 'person was', 'people were')} not reached." if report.missed else ""
    return f"Nothing to repair on your side.{people}"


def over(trouble: Trouble, until: str) -> str:
    """When something was over: `Repaired Tuesday`; only somebody's word for it is `Closed Tuesday`."""
    how = "Closed" if trouble.over_by in ("by-hand", "emptied") else "Repaired"
    return f"{how} {day_words(trouble.over_at or until, datetime.fromisoformat(until))}"


def over_whole(trouble: Trouble, until: str) -> str:
    """When something was over, and what showed it, as a sentence."""
    why = f": {unlinked(shown(trouble.over_why))}" if trouble.over_why else ""
    return f"{over(trouble, until)}{why}."


def still_open(report: Report) -> list[IncidentLine]:
    """Troubles of our side that are open."""
    return [one for one in report.incidents if one.closed_at is None and one.side == "own"]


def tone(report: Report) -> str:
    """How the report is to look: `bad` while something is broken or the mailbox is not read, else `good`."""
    is_broken = any(one.over_at is None for one in report.own) or still_open(report)
    return "bad" if is_broken or not_read(report) else "good"


def _small(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def what_was_found(trouble: Trouble, until: str) -> str | None:
    """What was found out about our side, which says more than the bounce; None: nothing was."""
    if trouble.finding is None:
        return None
    return unlinked(retimed(shown(trouble.finding, 600), datetime.fromisoformat(until)))
