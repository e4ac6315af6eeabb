"""The report on one screen: what to do, who was not reached, one line of numbers; groups, however much came in.

Pure: a `Report` in, a `Brief` out, whose texts were made harmless as those of `words`. Says nothing that the whole
report does not say; leaves out codes, rules, doubts and most links, which `--full` has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from remediation import is_for_others
from triage.display import counted, listed, shown, when_words
from triage.fixes import end_of_alias
from triage.no_links import unlinked
from triage.report import state, words
from triage.report.model import Missed, Report, Trouble

STEPS_SHOWN = 3
MOST_TROUBLES = 3
MOST_GROUPS = 6
MOST_NAMED = 3
MOST_NAMED_OWN = 5
LONGEST_STEP = 330

_NAMES = frozenset({"Amazon", "Gmail", "Google", "Microsoft", "Outlook", "Exchange", "SES", "DMARC", "SPF", "DKIM"})


@dataclass(frozen=True, slots=True)
class Todo:
    """Something to repair, or that was repaired."""

    title: str
    finding: str | None
    """What was found out: the first thing to say."""
    steps: tuple[str, ...]
    """What to do, at most STEPS_SHOWN; none where it is over."""
    end: str | None
    """That no repair lasts, and what comes after; None: it may."""
    page: tuple[str, str] | None
    """(what it is, address) of the page where it is done."""
    verdict_id: int


@dataclass(frozen=True, slots=True)
class Group:
    """People who were not reached for the same reason."""

    title: str
    side: str
    number: int
    people: tuple[tuple[str, str | None, str | None], ...]
    """(address, subject, address of the conversation) of the first of them."""
    step: str | None
    """What to do about the newest of them."""
    verdict_id: int
    """The first of them, for `triage explain`."""

    @property
    def more(self) -> int:
        """How many are not named."""
        return self.number - len(self.people)


@dataclass(frozen=True, slots=True)
class Brief:
    """Everything the short report says, in the order it says it."""

    headline: str
    period: str
    todos: tuple[Todo, ...]
    more_todos: int
    groups: tuple[Group, ...]
    more_groups: int
    offer: str | None
    remarks: tuple[str, ...]
    numbers: str


def in_brief(report: Report) -> Brief:
    """The short form of a report."""
    shown_troubles = report.own[:MOST_TROUBLES]
    groups = list(_groups(report))
    return Brief(
        headline=state.headline(report),
        period=words.title(report),
        todos=tuple(_todo(one, report) for one in shown_troubles),
        more_todos=len(report.own) - len(shown_troubles),
        groups=tuple(groups[:MOST_GROUPS]),
        more_groups=len(groups) - len(groups[:MOST_GROUPS]),
        offer=_offer(report),
        remarks=tuple(_remarks(report)),
        numbers=_numbers(report),
    )


def _todo(trouble: Trouble, report: Report) -> Todo:
    sender = unlinked(shown(trouble.sender, 254)) if trouble.sender else "several addresses"
    title = f"Mail from {sender}: {_small(trouble.title)}"
    if trouble.over_at is not None:
        title += f". {state.over(trouble, report.until)}"
    return Todo(
        title=title,
        end=None if trouble.over_at is not None else end_of_alias(trouble.fix),
        finding=state.what_was_found(trouble, report.until),
        steps=() if trouble.over_at is not None else tuple(_steps(trouble, STEPS_SHOWN)),
        page=None if trouble.over_at is not None else words.click(trouble, report.mailbox),
        verdict_id=trouble.verdict_id,
    )


def _steps(trouble: Trouble, most: int) -> Iterator[str]:
    """The first steps that are the owner's own."""
    mine = [step for step in trouble.fix if not is_for_others(step)]
    for step in (mine or list(trouble.fix))[:most]:
        yield shown(words.step(trouble, step), LONGEST_STEP)


def _groups(report: Report) -> Iterator[Group]:
    """Whom our own side kept back first, then the others by reason, many before few; who is still being tried last."""
    own = [one for one in report.missed if one.side == "own"]
    if own:
        yield _group("Kept back on your side", "own", own, None, report.mailbox, MOST_NAMED_OWN)
    by_cause: dict[str, list[Missed]] = {}
    for one in report.missed:
        if one.side != "own":
            by_cause.setdefault(one.cause, []).append(one)
    troubles = {one.cause: one for one in (*report.refusals, *report.undecided)}
    for cause, people in sorted(by_cause.items(), key=lambda item: (-len(item[1]), item[0])):
        trouble = troubles.get(cause)
        step = next(_steps(trouble, 1), None) if trouble else None
        yield _group(people[0].title, people[0].side, people, step, report.mailbox)
    if report.delayed:
        yield _group("Still being tried, nothing to do", "delayed", report.delayed, None, report.mailbox)


def _group(
    title: str,
    side: str,
    people: Sequence[Missed],
    step: str | None,
    mailbox: str | None,
    most: int = MOST_NAMED,
) -> Group:
    named = tuple(
        (
            unlinked(shown(one.recipient, 254)),
            unlinked(shown(one.subject, 80)) if one.subject else None,
            words.conversation(one, mailbox),
        )
        for one in people[:most]
    )
    return Group(title, side, len(people), named, step, people[0].verdict_id)


def _offer(report: Report) -> str | None:
    own = [one for one in report.missed if one.side == "own"]
    if not own:
        return None
    if all(one.has_draft for one in own):
        return "Their mails lie in your drafts again: look at them and send them."
    return "Their mails again as drafts: `triage resend`"


def _remarks(report: Report) -> Iterator[str]:
    """What else an owner must know, a line each; nothing that can wait for --full."""
    if said := words.silence(report):
        yield said
    newest = next(iter(report.runs), None)
    if newest and newest.get("not_told"):
        yield f"Not told to anybody yet: {unlinked(shown(newest['not_told']))}."
    yield from map(words.renewal, report.renewals)
    for one in state.still_open(report) if not report.own else ():
        yield f"Still open: {shown(one.title)}, since {when_words(one.opened_at)}."


def _numbers(report: Report) -> str:
    """One line: how many, whose side, what was left alone, and how it was before."""
    own, theirs, unclear = (sum(getattr(bar, side) for bar in report.bars) for side in ("own", "remote", "unclear"))
    sides = [f"{number:,} {what}" for number, what in ((own, "your side"), (theirs, "theirs"), (unclear, "not clear"))]
    total = own + theirs + unclear
    parts = [f"{counted(total, 'mail')} not delivered ({listed(part for part in sides if part[:2] != '0 ')})"]
    if not total:
        parts = ["No mail came back"]
    if report.unverified:
        parts.append(f"{report.unverified:,} forged and left alone")
    if untied := sum(one.verdicts for one in report.untied):
        parts.append(f"{untied:,} not shown to be about your mail")
    if report.unreadable:
        parts.append(f"{counted(len(report.unreadable), 'mail')} could not be read")
    before = "" if words.trend_is_partial(report) else f" The {words.period(report)} before: {_before(report):,}."
    return f"{', '.join(parts)}.{before}"


def _before(report: Report) -> int:
    """How many failed in the period before."""
    others = ("delayed", "delivered", "unverified", "auto-reply", "not-a-bounce")
    return sum(one.before for one in report.trend if one.sort not in others)


def _small(title: str) -> str:
    """A title within a sentence: its first letter small, unless the word is a name."""
    first = title.split(" ", 1)[0]
    return title if any(letter.isupper() for letter in first[1:]) or first in _NAMES else title[:1].lower() + title[1:]
