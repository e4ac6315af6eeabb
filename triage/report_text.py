"""The report as plain text: what a mailbox owner reads on Monday morning, the technical word beside the plain one.

Pure: a `Report` in, lines out. Shortens and makes harmless what mails said; adds no judgement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from triage.display import ACTOR_WORDS, counted, listed, shown, span_words, table_row, when_words, wrapped
from triage.judge import Judged
from triage.report import Missed, Report, Trouble

if TYPE_CHECKING:
    from triage.run import DryRun

MOST_PEOPLE = 20
MOST_STEPS_REMOTE = 2
MOST_UNREADABLE = 10
SILENT_AFTER = timedelta(hours=26)
"""A job that runs at least daily and has been silent for longer than this has probably stopped."""

_SIDES = {"own": "your side, the address may be fine", "remote": "their side"}


def report_text(report: Report, width: int = 100) -> str:
    """The report, at most `width` columns (addresses and codes are not broken)."""
    return "".join(f"{line}\n" for line in _lines(report, width))


def totals_words(run: Mapping[str, Any]) -> str:
    """The totals of a run in one line; `run` has the names of the count columns of `runs`."""
    parts = [
        f"{counted(run['new'], 'new mail')}: {counted(run['judged'], 'verdict')}, {run['not_bounces']:,} no bounce"
    ]
    if run["failed"]:
        parts[0] += f", {run['failed']:,} not readable"
    if run["actions"]:
        parts.append(f"{counted(run['actions'], 'label')} set")
    if run["requests"]:
        older = f"{run['units_old']:,} by Google's older table"
        parts.append(f"{counted(run['units_new'], 'quota unit')} ({older}), {counted(run['requests'], 'request')}")
    return "; ".join(parts) + "."


def planned_words(plan: DryRun) -> Iterator[str]:
    """What a run would do, one line for each verdict and label."""
    for outcome in plan.outcomes:
        if isinstance(outcome, Judged):
            for record in outcome.records:
                yield "Would record  " + table_row(record, None).rstrip("\n")
            for action in outcome.actions:
                yield f"Would label   thread {shown(action.target)}: {shown(action.payload['label'])}"


def _lines(report: Report, width: int) -> Iterator[str]:
    until = datetime.fromisoformat(report.until)
    period = span_words(until - datetime.fromisoformat(report.since))
    yield from wrapped(f"Bounces of the last {period}, up to {when_words(until)}", width)
    yield from wrapped(_summary(report), width, "  ")
    yield from _own(report.own, until, width)
    yield from _people("WHO WAS NOT REACHED", report.missed, width)
    if report.refusals:
        yield from ("", "WHAT THE OTHER SIDE REFUSED")
        yield from _brief(report.refusals, width)
    yield from _people("STILL BEING TRIED", report.delayed, width)
    yield from _not_judged(report, width)
    yield from _unreadable(report.unreadable, width)
    yield from _runs(report.runs, until, width)
    if report.own or report.missed or report.refusals or report.delayed or report.undecided:
        yield ""
        yield from wrapped("`triage explain NUMBER` tells everything about the bounce with that number (#).", width)


def _summary(report: Report) -> str:
    if not report.totals:
        return "Nothing came in."
    words = listed([f"{number:,} {word}" for word, number in report.totals.items()], most=12)
    text = f"{counted(report.rows_all, 'verdict')}: {words}."
    if report.rows_seen < report.rows_all:
        text += f" The details below come from the newest {report.rows_seen:,} of them."
    return text


def _own(troubles: Sequence[Trouble], until: datetime, width: int) -> Iterator[str]:
    yield from ("", "ON YOUR SIDE")
    if not troubles:
        yield from wrapped("No bounce shows anything broken on your side.", width, "  ")
    for number, trouble in enumerate(troubles, 1):
        yield from _title(number, trouble, width)
        yield from wrapped(_hit(trouble, until), width, "     ")
        yield from _meaning(trouble, width)
        yield from _move(trouble, width)
        yield from _steps(trouble.fix, width)
        yield from _words(trouble, width)
        for link in trouble.links:
            yield f"     More: {shown(link)}"


def _hit(trouble: Trouble, until: datetime) -> str:
    """How many, whom and since when."""
    way = shown(trouble.sender or "several addresses", 254)
    if trouble.place:
        way += f" through {shown(trouble.place, 254)}"
    last = span_words(until - datetime.fromisoformat(trouble.last_at))
    text = (
        f"Mails from {way}: {counted(trouble.verdicts, 'bounce')},"
        f" {counted(len(trouble.people), 'person', 'people')} not reached;"
        f" the first {when_words(trouble.first_at)}, the last {last} ago (#{trouble.verdict_id})."
    )
    if trouble.first_ever_at < trouble.first_at:
        text += f" The same trouble was first seen {when_words(trouble.first_ever_at)}."
    return text


def _brief(troubles: Sequence[Trouble], width: int) -> Iterator[str]:
    """Troubles that are not of our side: what each means, whose move, and the first steps."""
    for number, trouble in enumerate(troubles, 1):
        yield from _title(number, trouble, width)
        who = listed([shown(person, 254) for person in trouble.people], most=3)
        at = f", refused by {shown(trouble.place, 254)}" if trouble.place else ""
        about = f"{counted(trouble.verdicts, 'bounce')} about {who}{at} (#{trouble.verdict_id})."
        yield from wrapped(about, width, "     ")
        yield from _meaning(trouble, width)
        yield from _move(trouble, width)
        yield from _steps(trouble.fix[:MOST_STEPS_REMOTE], width)
        if len(trouble.fix) > MOST_STEPS_REMOTE:
            more = counted(len(trouble.fix) - MOST_STEPS_REMOTE, "more step", "more steps")
            yield from wrapped(f"({more}: `triage explain {trouble.verdict_id}`)", width, "       ")
        yield from _words(trouble, width)


def _not_judged(report: Report, width: int) -> Iterator[str]:
    if not report.undecided and not report.unverified:
        return
    yield from ("", "WHAT WE COULD NOT JUDGE")
    yield from _brief(report.undecided, width)
    if report.unverified:
        text = (
            f"{counted(report.unverified, 'bounce')} shown to be forged, or not about a mail of yours (unverified)."
            " Recorded, and otherwise left alone. Do nothing they ask for, and follow no link in them."
        )
        yield from wrapped(text, width, "  ")


def _people(title: str, missed: Sequence[Missed], width: int) -> Iterator[str]:
    if not missed:
        return
    yield from ("", f"{title}: {counted(len(missed), 'person', 'people')}")
    for one in missed[:MOST_PEOPLE]:
        mails = f"{counted(one.mails, 'mail')}, the last " if one.mails > 1 else ""
        subject = f'"{shown(one.subject, 80)}"' if one.subject else "a mail without a known subject"
        sent = f", sent {when_words(one.sent_at)}" if one.sent_at else ""
        side = _SIDES.get(one.side, "side not clear")
        yield from wrapped(f"{shown(one.recipient, 254)} (#{one.verdict_id})", width, "  ")
        yield from wrapped(f"{mails}{subject}{sent}. {one.title} ({one.cause}; {side}).", width, "     ")
    if len(missed) > MOST_PEOPLE:
        rest = f"and {len(missed) - MOST_PEOPLE:,} more (`triage report --format json` has all of them)"
        yield from wrapped(rest, width, "  ")


def _title(number: int, trouble: Trouble, width: int) -> Iterator[str]:
    yield from wrapped(f"{number}. {trouble.title} ({trouble.cause})", width, "  ", "     ")


def _move(trouble: Trouble, width: int) -> Iterator[str]:
    """Whose move it is. The steps that follow name one bounce, so with many it is said which."""
    which = f", with the names of the newest (#{trouble.verdict_id})" if len(trouble.people) > 1 else ""
    what = f" What to do{which}:" if trouble.fix else ""
    yield from wrapped(f"The next move is up to {ACTOR_WORDS.get(trouble.actor, trouble.actor)}.{what}", width, "     ")


def _meaning(trouble: Trouble, width: int) -> Iterator[str]:
    yield from wrapped(trouble.meaning, width, "     ")
    if not trouble.is_proven:
        yield from wrapped("Nothing proves that these bounces are genuine; check before you act.", width, "     ")


def _steps(steps: Sequence[str], width: int) -> Iterator[str]:
    for number, step in enumerate(steps, 1):
        yield from wrapped(f"{number}. {shown(step, 1500)}", width, "       ", "          ")


def _words(trouble: Trouble, width: int) -> Iterator[str]:
    if trouble.words:
        yield from wrapped(f"The server's words: {shown(trouble.words)}", width, "     ", "       ")
    if trouble.decide:
        yield from wrapped(f"Not certain: {trouble.decide}", width, "     ", "       ")


def _unreadable(unreadable: Sequence[Mapping[str, Any]], width: int) -> Iterator[str]:
    if not unreadable:
        return
    yield from ("", f"MAILS THAT COULD NOT BE READ: {len(unreadable):,}")
    for mail in unreadable[:MOST_UNREADABLE]:
        tries = counted(mail["tries"], "try", "tries")
        outlook = f"given up after {tries}" if mail["state"] == "kept" else f"{tries} so far, asked for again"
        why = shown(mail["error"] or "no reason kept")
        yield from wrapped(f"{shown(mail['source'])}: {why} ({outlook})", width, "  ", "     ")
    if len(unreadable) > MOST_UNREADABLE:
        yield f"  and {len(unreadable) - MOST_UNREADABLE:,} more"


def _runs(runs: Sequence[Mapping[str, Any]], until: datetime, width: int) -> Iterator[str]:
    yield from ("", "LAST RUNS")
    if not runs:
        yield "  None yet."
        return
    silent = until - datetime.fromisoformat(runs[0]["started_at"])
    if silent > SILENT_AFTER:
        yield from wrapped(f"The last run was {span_words(silent)} ago: does the job still run?", width, "  ")
    for run in runs:
        what = f"{when_words(run['started_at'])}, {shown(run['source'], 80)}: {_run_words(run)}"
        yield from wrapped(what, width, "  ", "     ")


def _run_words(run: Mapping[str, Any]) -> str:
    if run["error"]:
        return f"stopped: {shown(run['error'])}"
    if run["finished_at"] is None:
        return "did not come to its end: it is at work, or was killed"
    return totals_words(run)
