"""The report as Markdown (CommonMark with the tables of GitHub). Pure: a `Report` in, text out.

What mails said comes in as plain text: every character that could make a link, a table or HTML is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from triage.display import counted, shown, when_words
from triage.no_links import unlinked
from triage.report import state, words
from triage.report.brief import in_brief
from triage.report.model import Bar, Missed, Report, Trouble
from triage.report.text import MOST_DRIFT, MOST_PEOPLE_LISTED, MOST_STEPS_REMOTE, MOST_UNREADABLE, MOST_UNTIED

_BAR_WIDTH = 20

# CommonMark 2.4: any ASCII punctuation may be escaped. The rest keeps GitHub from making links of bare addresses.
_SPECIAL = re.compile(r"[\\`*_{}\[\]<>#|~&$!]|:(?=//)|(?<=\bwww)\.|^(?=[+-] |\d+[.)] )")


def report_markdown(report: Report, *, full: bool = False) -> str:
    """The report as one Markdown document: short, or all there is."""
    return "\n".join((_lines if full else _brief_lines)(report)) + "\n"


def _brief_lines(report: Report) -> Iterator[str]:
    told = in_brief(report)
    yield from (f"# {escaped(told.headline)}", "", escaped(told.period))
    for remark in told.remarks:
        yield from ("", with_code(remark))
    if told.todos:
        yield from ("", "## What to do" if any(todo.steps for todo in told.todos) else "## What was repaired")
    for todo in told.todos:
        yield from ("", f"**{escaped(todo.title)}** (#{todo.verdict_id})")
        if todo.finding:
            yield from ("", escaped(todo.finding))
        if todo.steps:
            yield ""
        yield from (f"{number}. {with_code(step)}" for number, step in enumerate(todo.steps, 1))
        if todo.end:
            yield from ("", with_code(todo.end))
        if todo.page:
            yield from ("", f"[{todo.page[0]}]({todo.page[1]})")
    if told.more_todos:
        yield from ("", with_code(f"and {told.more_todos:,} more: `triage report --full`"))
    if told.groups:
        yield from ("", f"## Who was not reached: {counted(len(report.missed), 'person', 'people')}")
    for group in told.groups:
        yield from ("", f"**{escaped(group.title)}: {group.number:,}** (#{group.verdict_id})", "")
        for person, subject, page in group.people:
            mail = f": {f'[{escaped(subject)}]({page})' if page else escaped(subject)}" if subject else ""
            yield f"- {escaped(person)}{mail}"
        if group.more:
            yield f"- and {group.more:,} more"
        if group.side == "own" and told.offer:
            yield from ("", with_code(told.offer))
        if group.step:
            yield from ("", with_code(group.step if group.number == 1 else f"The newest: {group.step}"))
    if told.more_groups:
        yield from ("", with_code(f"and {counted(told.more_groups, 'more reason')}: `triage report --full`"))
    yield from ("", escaped(told.numbers))
    yield from ("", with_code("All of it: `triage report --full`. One bounce: `triage explain NUMBER` (#)."))


def _lines(report: Report) -> Iterator[str]:
    yield from (f"# {escaped(words.title(report))}", "", f"**{escaped(state.headline(report))}**", "")
    yield escaped(words.summary(report))
    yield from _own(report)
    yield from _people("Who was not reached", report.missed, report.mailbox)
    if offer := words.resend_offer(report):
        yield from ("", with_code(offer))
    yield from _brief("What the other side refused", report.refusals)
    yield from _people("Still being tried", report.delayed, report.mailbox)
    yield from _trend(report)
    yield from _list("Bounce rate against the limits of Amazon SES", map(words.rate, report.rates))
    yield from _list("Suppression list", map(words.suppression, report.suppression))
    yield from _list("Changed in your setup", map(words.drift, report.drift[:MOST_DRIFT]))
    if len(report.drift) > MOST_DRIFT:
        yield f"- and {len(report.drift) - MOST_DRIFT:,} more"
    yield from _brief("What we could not judge", report.undecided)
    if report.unverified:
        yield from () if report.undecided else ("", "## What we could not judge")
        yield from ("", escaped(words.unverified(report.unverified)))
    if report.untied:
        yield from ("", f"## {words.UNTIED}", "", words.UNTIED_LEAD)
        yield from ("", *(f"- {escaped(words.untied(one))}" for one in report.untied[:MOST_UNTIED]))
    unreadable = list(map(words.unreadable, report.unreadable[:MOST_UNREADABLE]))
    if len(report.unreadable) > MOST_UNREADABLE:
        unreadable.append(f"and {len(report.unreadable) - MOST_UNREADABLE:,} more")
    yield from _list(f"Mails that could not be read: {len(report.unreadable):,}", unreadable)
    silence = [said] if (said := words.silence(report)) else []
    yield from _list("Last runs", [*silence, *map(words.run_words, report.runs)] or ["None yet."])
    yield from ("", with_code("`triage explain NUMBER` tells everything about the bounce with that number (#)."))


def _own(report: Report) -> Iterator[str]:
    if report.own or report.renewals or report.incidents:
        yield from ("", "## On your side")
    for number, trouble in enumerate(report.own, 1):
        yield from _title(number, trouble)
        if found := state.what_was_found(trouble, report.until):
            yield from (escaped(found), "")
        yield from (escaped(words.hit(trouble, report.until)), "")
        if trouble.over_at is not None:
            yield from (escaped(state.over_whole(trouble, report.until)), "", with_code(words.move(trouble)))
            continue
        yield from _details(trouble, trouble.fix)
        if click := words.click(trouble, report.mailbox):
            yield from ("", f"Repair it here: [{click[0]}]({click[1]})")
        if trouble.links:
            yield from ("", "More: " + ", ".join(f"<{link}>" for link in trouble.links if _is_link(link)))
    for renewal in report.renewals:
        yield from ("", with_code(words.renewal(renewal)))
    if report.incidents:
        yield from ("", "Incidents:", "", *(f"- {escaped(words.incident(one))}" for one in report.incidents))


def _brief(heading: str, troubles: Sequence[Trouble]) -> Iterator[str]:
    if troubles:
        yield from ("", f"## {heading}")
    for number, trouble in enumerate(troubles, 1):
        yield from _title(number, trouble)
        yield from (escaped(words.about(trouble)), "", *_details(trouble, trouble.fix[:MOST_STEPS_REMOTE]))
        if len(trouble.fix) > MOST_STEPS_REMOTE:
            more = counted(len(trouble.fix) - MOST_STEPS_REMOTE, "more step", "more steps")
            yield from ("", with_code(f"({more}: `triage explain {trouble.verdict_id}`)"))


def _title(number: int, trouble: Trouble) -> tuple[str, ...]:
    return ("", f"### {number}. {escaped(trouble.title)} (`{trouble.cause}`)", "")


def _details(trouble: Trouble, steps: Sequence[str]) -> Iterator[str]:
    yield with_code(trouble.meaning)
    yield from ("", with_code(words.move(trouble)), *([""] if steps else []))
    yield from (f"{number}. {with_code(words.step(trouble, step))}" for number, step in enumerate(steps, 1))
    if trouble.words:
        yield from ("", f"The server's words: {code(unlinked(shown(trouble.words)))}")
    if trouble.decide:
        yield from ("", f"Not certain: {with_code(trouble.decide)}")


def _people(heading: str, missed: Sequence[Missed], mailbox: str | None) -> Iterator[str]:
    if not missed:
        return
    yield from ("", f"## {heading}: {counted(len(missed), 'person', 'people')}", "")
    yield from ("| who | what they missed | sent | why | # |", "|---|---|---|---|---|")
    for one in missed[:MOST_PEOPLE_LISTED]:
        subject = escaped(f'"{unlinked(shown(one.subject, 80))}"') if one.subject else "no known subject"
        subject += f" and {one.mails - 1:,} before it" if one.mails > 1 else ""
        subject += " (a draft of it lies in the conversation)" if one.has_draft else ""
        why = f"{escaped(one.title)} (`{one.cause}`; {words.side(one)})"
        sent = when_words(one.sent_at) if one.sent_at else "not known"
        page = words.conversation(one, mailbox)
        subject = f"[{subject}]({page})" if page else subject
        yield f"| {escaped(unlinked(shown(one.recipient, 254)))} | {subject} | {sent} | {why} | {one.verdict_id} |"
    if len(missed) > MOST_PEOPLE_LISTED:
        rest = f"and {len(missed) - MOST_PEOPLE_LISTED:,} more (`triage report --format json` has all of them)"
        yield from ("", with_code(rest))


def _trend(report: Report) -> Iterator[str]:
    if not report.trend:
        return
    yield from ("", f"## Against the {words.period(report)} before", "")
    yield from ("| sort | now | before | change |", "|---|---:|---:|---:|")
    for one in report.trend:
        yield f"| {words.sort(one)} | {one.now:,} | {one.before:,} | {one.now - one.before:+,} |"
    if partial := words.trend_is_partial(report):
        yield from ("", partial)
    most = max((bar.own + bar.remote + bar.unclear for bar in report.bars), default=0)
    if most:
        yield from ("", f"{words.chart_title(report)}:", "")
        yield from ("| when | your side | other side | not clear | |", "|---|---:|---:|---:|---|")
        for bar in report.bars:
            yield f"| {words.bar_days(bar)} | {bar.own:,} | {bar.remote:,} | {bar.unclear:,} | {_bar(bar, most)} |"


def _bar(bar: Bar, most: int) -> str:
    total = bar.own + bar.remote + bar.unclear
    return "■" * max(round(total * min(1.0, _BAR_WIDTH / most)), bool(total))


def _list(heading: str, sentences: Iterable[str]) -> Iterator[str]:
    for number, sentence in enumerate(sentences):
        if number == 0:
            yield from ("", f"## {heading}", "")
        yield f"- {with_code(sentence)}"


def escaped(text: str) -> str:
    """Text as it is read, whatever is in it."""
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", text)


def with_code(text: str) -> str:
    """Text of ours with what is to be typed between backticks, as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # a stranger's backtick: nothing is code then
        return escaped(text)
    return "".join(code(part) if number % 2 else escaped(part) for number, part in enumerate(parts))


def code(text: str) -> str:
    """Text as code, with a fence longer than any in it (CommonMark 6.1); a pipe would end a table's cell."""
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}".replace("|", "\\|") if text else ""


def _is_link(link: str) -> bool:
    return re.fullmatch(r"https://[A-Za-z0-9./_?=&%#-]+", link) is not None
