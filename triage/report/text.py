"""The report as plain text: what a mailbox owner reads on Monday morning, the technical word beside the plain one.

Pure: a `Report` in, lines out. Shortens and makes harmless what mails said; adds no judgement.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from triage.display import counted, shown, table_row, wrapped
from triage.model import Judged
from triage.no_links import unlinked
from triage.report import state, words
from triage.report.brief import Group, in_brief
from triage.report.model import Bar, Missed, Report, Trouble

if TYPE_CHECKING:
    from triage.model import DryRun

MOST_PEOPLE_LISTED = 20
MOST_UNTIED = 5
MOST_STEPS_REMOTE = 2
MOST_UNREADABLE = 10
MOST_DRIFT = 10
_BAR_WIDTH = 40


def report_text(report: Report, width: int = 100, *, full: bool = False) -> str:
    """The report, at most `width` columns (addresses and codes are not broken): short, or all there is."""
    return "".join(f"{line}\n" for line in (_lines if full else _brief_lines)(report, width))


def planned_words(plan: DryRun) -> Iterator[str]:
    """What a run would do, one line for each verdict, label and note."""
    for outcome in plan.outcomes:
        if isinstance(outcome, Judged):
            for record in outcome.records:
                yield "Would record  " + table_row(record, None).rstrip("\n")
            for action in outcome.actions:
                if action.kind == "note":
                    yield f"Would note    thread {shown(action.target)}: {shown(action.payload['about'])}"
                else:
                    yield f"Would label   thread {shown(action.target)}: {shown(action.payload['label'])}"


def _brief_lines(report: Report, width: int) -> Iterator[str]:
    told = in_brief(report)
    yield from wrapped(told.headline, width)
    yield from wrapped(told.period, width)
    for remark in told.remarks:
        yield from wrapped(remark, width)
    if told.todos:
        yield from ("", "WHAT TO DO" if any(todo.steps for todo in told.todos) else "WHAT WAS REPAIRED")
    for todo in told.todos:
        yield from wrapped(f"{todo.title} (#{todo.verdict_id})", width, "  ")
        if todo.finding:
            yield from wrapped(todo.finding, width, "  ")
        for number, step in enumerate(todo.steps, 1):
            yield from wrapped(f"{number}. {step}", width, "  ", "     ")
        if todo.end:
            yield from wrapped(todo.end, width, "  ")
        if todo.page:
            yield f"  {todo.page[1]}"
    if told.more_todos:
        yield f"  and {told.more_todos:,} more: `triage report --full`"
    if told.groups:
        yield from ("", f"WHO WAS NOT REACHED: {counted(len(report.missed), 'person', 'people')}")
    for group in told.groups:
        yield from _group_lines(group, told.offer if group.side == "own" else None, width)
    if told.more_groups:
        yield f"  and {counted(told.more_groups, 'more reason')}: `triage report --full`"
    yield ""
    yield from wrapped(told.numbers, width)
    yield from wrapped("All of it: `triage report --full`. One bounce: `triage explain NUMBER` (#).", width)


def _group_lines(group: Group, offer: str | None, width: int) -> Iterator[str]:
    yield from wrapped(f"{group.title}: {group.number:,} (#{group.verdict_id})", width, "  ")
    for person, subject, _ in group.people:
        room = width - 4 - len(person) - 4
        told = f': "{shown(subject, room)}"' if subject and room >= 12 else ""
        yield f"    {person}{told}"
    if group.more:
        yield f"    and {group.more:,} more"
    for line in (offer, group.step and (group.step if group.number == 1 else f"The newest: {group.step}")):
        if line:
            yield from wrapped(line, width, "    ")


def _lines(report: Report, width: int) -> Iterator[str]:
    yield from wrapped(words.title(report), width)
    yield from wrapped(words.summary(report), width, "  ")
    yield from _own(report, width)
    yield from _people("WHO WAS NOT REACHED", report.missed, width)
    if offer := words.resend_offer(report):
        yield from wrapped(offer, width, "  ")
    if report.refusals:
        yield from ("", "WHAT THE OTHER SIDE REFUSED")
        yield from _brief(report.refusals, width)
    yield from _people("STILL BEING TRIED", report.delayed, width)
    yield from _trend(report, width)
    yield from _list("BOUNCE RATE AGAINST SES LIMITS", map(words.rate, report.rates), width)
    yield from _list("SUPPRESSION LIST", map(words.suppression, report.suppression), width)
    yield from _drift(report, width)
    yield from _not_judged(report, width)
    yield from _untied(report, width)
    yield from _unreadable(report, width)
    yield from _runs(report, width)
    if report.own or report.missed or report.refusals or report.delayed or report.undecided:
        yield ""
        yield from wrapped("`triage explain NUMBER` tells everything about the bounce with that number (#).", width)


def _own(report: Report, width: int) -> Iterator[str]:
    yield from ("", "ON YOUR SIDE")
    yield from wrapped(state.headline(report), width, "  ")
    for number, trouble in enumerate(report.own, 1):
        yield from _title(number, trouble, width)
        if found := state.what_was_found(trouble, report.until):
            yield from wrapped(found, width, "     ")
        yield from wrapped(words.hit(trouble, report.until), width, "     ")
        if trouble.over_at is not None:
            yield from wrapped(f"{state.over_whole(trouble, report.until)} {words.move(trouble)}", width, "     ")
            continue
        yield from _meaning(trouble, width)
        yield from wrapped(words.move(trouble), width, "     ")
        yield from _steps(trouble, None, width)
        yield from _words(trouble, width)
        if click := words.click(trouble, report.mailbox):
            yield f"     Repair it here: {click[1]}"
        for link in trouble.links:
            yield f"     More: {shown(link)}"
    for renewal in report.renewals:
        yield from wrapped(words.renewal(renewal), width, "  ")
    if report.incidents:
        yield "  Incidents:"
        for incident in report.incidents:
            yield from wrapped(words.incident(incident), width, "  ", "     ")


def _brief(troubles: Sequence[Trouble], width: int) -> Iterator[str]:
    """Troubles that are not of our side: what each means, whose move, and the first steps."""
    for number, trouble in enumerate(troubles, 1):
        yield from _title(number, trouble, width)
        yield from wrapped(words.about(trouble), width, "     ")
        yield from _meaning(trouble, width)
        yield from wrapped(words.move(trouble), width, "     ")
        yield from _steps(trouble, MOST_STEPS_REMOTE, width)
        if len(trouble.fix) > MOST_STEPS_REMOTE:
            more = counted(len(trouble.fix) - MOST_STEPS_REMOTE, "more step", "more steps")
            yield from wrapped(f"({more}: `triage explain {trouble.verdict_id}`)", width, "       ")
        yield from _words(trouble, width)


def _people(title: str, missed: Sequence[Missed], width: int) -> Iterator[str]:
    if not missed:
        return
    yield from ("", f"{title}: {counted(len(missed), 'person', 'people')}")
    for one in missed[:MOST_PEOPLE_LISTED]:
        yield from wrapped(f"{unlinked(shown(one.recipient, 254))} (#{one.verdict_id})", width, "  ")
        yield from wrapped(words.missed(one), width, "     ")
    if len(missed) > MOST_PEOPLE_LISTED:
        rest = f"and {len(missed) - MOST_PEOPLE_LISTED:,} more (`triage report --format json` has all of them)"
        yield from wrapped(rest, width, "  ")


def _trend(report: Report, width: int) -> Iterator[str]:
    if not report.trend:
        return
    yield from ("", f"AGAINST THE {words.period(report).upper()} BEFORE")
    for one in report.trend:
        yield from wrapped(words.trend(one), width, "  ", "     ")
    if partial := words.trend_is_partial(report):
        yield from wrapped(partial, width, "  ")
    most = max((bar.own + bar.remote + bar.unclear for bar in report.bars), default=0)
    if most:
        legend = f"{words.chart_title(report)}: # your side, o the other side, ? not clear"
        yield from wrapped(legend, width, "  ")
        label = max(len(words.bar_days(bar)) for bar in report.bars)
        size = max(min(_BAR_WIDTH, width - label - 15), 5)
        for bar in report.bars:
            yield f"  {words.bar_days(bar):<{label}}  {_bar(bar, most, size)}"


def _bar(bar: Bar, most: int, size: int) -> str:
    """One character for each failure, or scaled to the longest bar; what is there is never rounded away."""
    total = bar.own + bar.remote + bar.unclear
    scale = min(1.0, size / most)
    drawn = "".join(
        sign * max(round(number * scale), bool(number))
        for sign, number in (("#", bar.own), ("o", bar.remote), ("?", bar.unclear))
    )
    return f"{drawn} {total:,}" if total else "-"


def _list(title: str, sentences: Iterable[str], width: int) -> Iterator[str]:
    for number, sentence in enumerate(sentences):
        if number == 0:
            yield from ("", title)
        yield from wrapped(sentence, width, "  ", "     ")


def _drift(report: Report, width: int) -> Iterator[str]:
    yield from _list("CHANGED IN YOUR SETUP", map(words.drift, report.drift[:MOST_DRIFT]), width)
    if len(report.drift) > MOST_DRIFT:
        yield f"  and {len(report.drift) - MOST_DRIFT:,} more"


def _not_judged(report: Report, width: int) -> Iterator[str]:
    if not report.undecided and not report.unverified:
        return
    yield from ("", "WHAT WE COULD NOT JUDGE")
    yield from _brief(report.undecided, width)
    if report.unverified:
        yield from wrapped(words.unverified(report.unverified), width, "  ")


def _untied(report: Report, width: int) -> Iterator[str]:
    told = [words.UNTIED_LEAD, *map(words.untied, report.untied[:MOST_UNTIED])] if report.untied else []
    yield from _list(words.UNTIED.upper(), told, width)


def _title(number: int, trouble: Trouble, width: int) -> Iterator[str]:
    yield from wrapped(f"{number}. {trouble.title} ({trouble.cause})", width, "  ", "     ")


def _meaning(trouble: Trouble, width: int) -> Iterator[str]:
    yield from wrapped(trouble.meaning, width, "     ")


def _steps(trouble: Trouble, most: int | None, width: int) -> Iterator[str]:
    for number, step in enumerate(trouble.fix[:most], 1):
        yield from wrapped(f"{number}. {words.step(trouble, step)}", width, "       ", "          ")


def _words(trouble: Trouble, width: int) -> Iterator[str]:
    if trouble.words:
        yield from wrapped(f"The server's words: {unlinked(shown(trouble.words))}", width, "     ", "       ")
    if trouble.decide:
        yield from wrapped(f"Not certain: {trouble.decide}", width, "     ", "       ")


def _unreadable(report: Report, width: int) -> Iterator[str]:
    if not report.unreadable:
        return
    yield from ("", f"MAILS THAT COULD NOT BE READ: {len(report.unreadable):,}")
    for mail in report.unreadable[:MOST_UNREADABLE]:
        yield from wrapped(words.unreadable(mail), width, "  ", "     ")
    if len(report.unreadable) > MOST_UNREADABLE:
        yield f"  and {len(report.unreadable) - MOST_UNREADABLE:,} more"


def _runs(report: Report, width: int) -> Iterator[str]:
    yield from ("", "LAST RUNS")
    if not report.runs:
        yield "  None yet."
    if silence := words.silence(report):
        yield from wrapped(silence, width, "  ")
    for run in report.runs:
        yield from wrapped(words.run_words(run), width, "  ", "     ")
