"""The sentences of the report that every format says with the same words.

Pure: parts of a `Report` in, a sentence or two out, as plain text in which values from mails were made harmless by
`display.shown` and `no_links.unlinked`. A format that has characters of its own (Markdown, HTML) must still escape what
it gets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from parsers.times import MONTHS, WEEKDAYS
from remediation.vendor_limits import BOUNCE_LIMITS
from triage.display import (
    ACTOR_WORDS,
    counted,
    gmail_page,
    listed,
    local_time,
    shown,
    span_words,
    step_words,
    when_words,
)
from triage.no_links import own_domain, unlinked, unlinked_step
from triage.report.model import (
    Bar,
    Drift,
    IncidentLine,
    Missed,
    Rate,
    Renewal,
    Report,
    SuppressionList,
    Trend,
    Trouble,
    Untied,
)
from triage.report.state import not_read

FEW_MAILS = 100
"""Below so many mails a rate says little: one bounce more or less moves it by a percent."""

SORT_WORDS: Mapping[str, str] = {
    "smtp-credentials": "kept back by the server behind your alias",
    "ses-refused": "refused by Amazon SES",
    "gmail-refused": "refused by Gmail itself",
    "exchange-rejection": "refused by the recipient's Exchange server",
    "remote-rejection": "refused by the recipient's server",
    "delayed": "delayed",
    "unknown": "not understood",
    "unverified": "forged, or not about your mail",
    "delivered": "delivered",
    "feedback": "reported as spam",
    "auto-reply": "automatic replies",
    "not-a-bounce": "no bounce",
}
"""What each sort of verdict is in plain words."""

SIDES = {"own": "your side, the address may be fine", "remote": "their side"}
RENEWAL_WORDS = {
    "waiting": "the new login waits for you to enter it in Gmail",
    "grace": "the new login is in use; the old key is switched off and will be deleted",
    "aborting": "it is being taken back",
}


def title(report: Report) -> str:
    """What this is, in a line."""
    return f"Bounces of the last {period(report)}, up to {when_words(report.until)}"


def period(report: Report) -> str:
    """The length of the period: `7 days`."""
    return span_words(datetime.fromisoformat(report.until) - datetime.fromisoformat(report.since))


def summary(report: Report) -> str:
    """How much came in, by sort."""
    if not report.totals:
        return "Nothing came in."
    words = listed([f"{number:,} {word}" for word, number in report.totals.items()], most=12)
    text = f"{counted(report.rows_all, 'verdict')}: {words}."
    if report.rows_seen < report.rows_all:
        text += f" The details below come from the newest {report.rows_seen:,} of them."
    if held := _held(report.held):
        text += f" Held back, too many in a day: {held}; none of them is about your own side."
    return text


def _held(held: Mapping[str, int]) -> str:
    """What the limits of a day held back: `2 notes, 1 alert`; empty where that is nothing."""
    words = {"notes": "note", "alerts": "alert", "incidents": "incident"}
    return ", ".join(counted(held[name], word) for name, word in words.items() if held.get(name))


def hit(trouble: Trouble, until: str) -> str:
    """For our own side: how many mails, whom and since when."""
    way = unlinked(shown(trouble.sender or "several addresses", 254))
    if trouble.place:
        way += f" through {unlinked(shown(trouble.place, 254))}"
    last = span_words(datetime.fromisoformat(until) - datetime.fromisoformat(trouble.last_at))
    text = (
        f"Mails from {way}: {counted(trouble.verdicts, 'bounce')},"
        f" {counted(len(trouble.people), 'person', 'people')} not reached;"
        f" the first {when_words(trouble.first_at)}, the last {last} ago (#{trouble.verdict_id})."
    )
    if trouble.first_ever_at < trouble.first_at:
        text += f" The same trouble was first seen {when_words(trouble.first_ever_at)}."
    return text


def about(trouble: Trouble) -> str:
    """For the other side: how many, about whom, and who refused."""
    who = listed([unlinked(shown(person, 254)) for person in trouble.people], most=3)
    at = f", refused by {unlinked(shown(trouble.place, 254))}" if trouble.place else ""
    return f"{counted(trouble.verdicts, 'bounce')} about {who}{at} (#{trouble.verdict_id})."


def step(trouble: Trouble, words: str) -> str:
    """A step of a trouble's fix; the domain it was sent from is ours only where the bounces are genuine."""
    own = own_domain(trouble.sender) if trouble.is_proven else ""
    return unlinked_step(step_words(words, 1500), (own,))


def move(trouble: Trouble) -> str:
    """Whose move it is. The steps that follow name one bounce, so with many it is said which."""
    which = f", with the names of the newest (#{trouble.verdict_id})" if len(trouble.people) > 1 else ""
    if trouble.over_at is not None:
        return f"Nothing is left to do about it. The steps: `triage explain {trouble.verdict_id}`"
    what = f" What to do{which}:" if trouble.fix else ""
    return f"The next move is up to {ACTOR_WORDS.get(trouble.actor, trouble.actor)}.{what}"


UNTIED = "Could not be tied to a mail of yours"
UNTIED_LEAD = "Anybody can write such a mail. Nothing was done about these; do nothing they ask for."


def untied(one: Untied) -> str:
    """What a bounce says that nothing shows to be about a mail of ours, and what is missing."""
    return f"{counted(one.verdicts, 'bounce')}: {one.title}. Not acted on: {one.why} (#{one.verdict_id})."


def unverified(number: int) -> str:
    """What there is to say about forged bounces."""
    return (
        f"{counted(number, 'bounce')} shown to be forged, or not about a mail of yours (unverified)."
        " Recorded, and otherwise left alone. Do nothing they ask for, and follow no link in them."
    )


def missed(one: Missed) -> str:
    """Which mail somebody did not get, and why."""
    mails = f"{counted(one.mails, 'mail')}, the last " if one.mails > 1 else ""
    subject = f'"{unlinked(shown(one.subject, 80))}"' if one.subject else "a mail without a known subject"
    sent = f", sent {when_words(one.sent_at)}" if one.sent_at else ""
    draft = " A draft of it lies in the conversation." if one.has_draft else ""
    return f"{mails}{subject}{sent}. {one.title} ({one.cause}; {side(one)}).{draft}"


def side(one: Missed) -> str:
    """Whose side it was, in a few words."""
    return SIDES.get(one.side, "side not clear")


def click(trouble: Trouble, mailbox: str | None = None) -> tuple[str, str] | None:
    """(what it is, address) of the page where our side is repaired; None where there is no one page."""
    if trouble.category == "smtp-credentials":
        return "Gmail: Accounts and Import", gmail_page("settings/accounts", mailbox)
    region = trouble.place or ""
    if trouble.category == "ses-refused" and re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", region):
        return f"Amazon SES console, {region}", f"https://{region}.console.aws.amazon.com/ses/home?region={region}"
    return None


def conversation(one: Missed, mailbox: str | None = None) -> str | None:
    """The address of the conversation in Gmail; None for a mail from a file."""
    is_id = re.fullmatch(r"[0-9a-f]{1,16}", one.thread_id or "")
    return gmail_page(f"all/{one.thread_id}", mailbox) if is_id else None


def resend_offer(report: Report) -> str | None:
    """How to give the mails once more; None where none was kept back by our own side."""
    own = sum(one.side == "own" for one in report.missed)
    if not own:
        return None
    who = "the first" if own == 1 else f"the first {own:,} of them"
    return (
        f"Our side kept the mail of {who} back: `triage resend` puts these mails into your drafts again, each in its"
        " own conversation, and sends nothing."
    )


def incident(one: IncidentLine) -> str:
    """An incident in a sentence."""
    place = f" ({unlinked(shown(one.place, 254))})" if one.place else ""
    people = counted(one.people, "person", "people")
    text = f"#{one.id} {shown(one.title)}{place}: since {when_words(one.opened_at)}, {people} hit"
    if one.closed_at is None:
        return f"{text}; open."
    lasted = span_words(datetime.fromisoformat(one.closed_at) - datetime.fromisoformat(one.opened_at))
    why = f": {unlinked(shown(one.evidence))}" if one.evidence else ""
    return f"{text}; over since {when_words(one.closed_at)}, after {lasted}{why}."


def renewal(one: Renewal) -> str:
    """A renewal of the login that is not over."""
    whose = f" of {shown(one.alias, 254)}" if one.alias else ""
    stands = RENEWAL_WORDS.get(one.state, f"it stands at `{one.state}`")
    return (
        f"The SMTP login{whose} is being renewed since {when_words(one.since)}: {stands} (`triage credentials status`)."
    )


def trend(one: Trend) -> str:
    """One sort of verdict now and before."""
    change = one.now - one.before
    moved = "as many" if not change else f"{abs(change):,} {'more' if change > 0 else 'fewer'}"
    return f"{one.now:,} {sort(one)}; before {one.before:,}, so {moved}."


def sort(one: Trend) -> str:
    """The plain words for a sort of verdict with the technical one beside them."""
    plain = SORT_WORDS.get(one.sort, one.sort)
    return plain if plain == one.sort else f"{plain} ({one.sort})"


def trend_is_partial(report: Report) -> str | None:
    """Why the comparison says little; None: it does not."""
    since, until = datetime.fromisoformat(report.since), datetime.fromisoformat(report.until)
    if report.recorded_since and datetime.fromisoformat(report.recorded_since) > since - (until - since):
        return f"The record begins {when_words(report.recorded_since)}, so the time before is not complete."
    return None


def chart_title(report: Report) -> str:
    """What the bars count: `Not delivered, by day (UTC)`."""
    zone = f"{local_time(datetime.fromisoformat(report.until)):%Z}"
    first = report.bars[0]
    days = (date.fromisoformat(first.last_day) - date.fromisoformat(first.first_day)).days + 1
    return f"Not delivered, by {'day' if days == 1 else counted(days, 'day')} ({zone})"


def bar_days(bar: Bar) -> str:
    """The day or days of a bar: `Mon 23 Nov`, `10-12 Nov`."""
    first, last = date.fromisoformat(bar.first_day), date.fromisoformat(bar.last_day)
    began, ended = MONTHS[first.month - 1], MONTHS[last.month - 1]
    if first == last:
        return f"{WEEKDAYS[first.weekday()]} {first.day} {began}"
    if (last - first).days > 31:
        return f"{began} {first.year} - {ended} {last.year}"
    return f"{first.day}{'' if first.month == last.month else f' {began}'}-{last.day} {ended}"


def standing(value: float, review: float, pause: float) -> str:
    """ok, review or pause: where a rate stands against the limits of SES."""
    return "pause" if value >= pause else "review" if value >= review else "ok"


def rate(one: Rate) -> str:
    """Bounces and complaints in one region against the limits of SES."""
    where = unlinked(shown(one.region)) if one.region else "Amazon SES"
    if not one.mails:
        return (
            f"{where}: {percent(one.measured or 0)} of the mails bounced as SES counts; {_limits(one.measured or 0)}."
        )
    share = one.bounces / one.mails
    base = "mails sent" if one.is_counted else "mails whose end is known"
    text = f"{where}: {one.bounces:,} of {one.mails:,} {base} bounced for good, {percent(share)}; {_limits(share)}."
    if one.complaints:
        text += f" {counted(one.complaints, 'complaint')}, {percent(one.complaints / one.mails)}"
        text += " (AWS reviews from 0.1 % on, and may pause from 0.5 %)."
    else:
        text += " No complaint."
    if one.measured is not None:
        text += f" SES itself counted {percent(one.measured)} at the last audit."
    if one.mails < FEW_MAILS:
        text += " So few mails say little: SES judges by more than these."
    return text


def _limits(share: float) -> str:
    return {
        "ok": "below the 5 % at which AWS reviews an account",
        "review": "AWS reviews accounts from 5 % on, and may pause them from 10 %",
        "pause": "above the 10 % at which AWS may pause an account",
    }[standing(share, *BOUNCE_LIMITS)]


def percent(share: float) -> str:
    """A fraction as percent, with as many digits as matter: `0.12 %`, `3.4 %`, `12 %`."""
    value = share * 100
    digits = 0 if value >= 10 or not value else 1 if value >= 1 else 2
    return f"{value:.{digits}f} %"


def suppression(one: SuppressionList) -> str:
    """How a suppression list grew."""
    text = f"{shown(one.region)}: SES no longer sends to {counted(one.addresses, 'address', 'addresses')}"
    text += f" ({when_words(one.at)})"
    if one.before is None:
        return f"{text}; no audit before this time to compare with."
    change = one.addresses - one.before
    moved = "as many as" if not change else f"{abs(change):,} {'more' if change > 0 else 'fewer'} than"
    return f"{text}, {moved} {when_words(one.before_at)}."


def drift(one: Drift) -> str:
    """Something in the infrastructure that changed."""
    change = one.after if one.before is None else f"{one.before} -> {one.after}"
    was = "" if one.answered_before is None else f"; before: {unlinked(shown(one.answered_before, 200))}"
    what = f"{shown(one.check)} of {shown(one.subject, 254)} ({change})"
    return f"{when_words(one.at)}: {what}: {unlinked(shown(one.answered))}{was}."


def unreadable(mail: Mapping[str, Any]) -> str:
    """A mail that could not be read, and whether it is asked for again."""
    tries = counted(mail["tries"], "try", "tries")
    again = "; `triage retry` takes it up again" if str(mail["source"]).startswith("gmail:") else ""
    outlook = f"given up after {tries}{again}" if mail["state"] == "kept" else f"{tries} so far, asked for again"
    return f"{shown(mail['source'])}: {unlinked(shown(mail['error'] or 'no reason kept'))} ({outlook})"


def silence(report: Report) -> str | None:
    """Why nothing is read any more; None: it is, or never was."""
    if not_read(report) is None or not report.runs:
        return None
    if report.reading.stopped_why:
        return f"The last run stopped: {unlinked(shown(report.reading.stopped_why))}"
    silent = datetime.fromisoformat(report.until) - datetime.fromisoformat(report.runs[0]["started_at"])
    return f"The last run was {span_words(silent)} ago: does the job still run?"


def run_words(one: Mapping[str, Any]) -> str:
    """One run and what came of it."""
    return f"{when_words(one['started_at'])}, {shown(one['source'], 80)}: {_outcome(one)}"


def _outcome(one: Mapping[str, Any]) -> str:
    if one["error"]:
        return f"stopped: {unlinked(shown(one['error']))}"
    if one["finished_at"] is None:
        return "did not come to its end: it is at work, or was killed"
    untold = f" Not told to anybody yet: {unlinked(shown(one['not_told']))}." if one.get("not_told") else ""
    return totals_words(one) + untold


def totals_words(one: Mapping[str, Any]) -> str:
    """The totals of a run in one line; `one` has the names of the count columns of `runs`."""
    parts = [
        f"{counted(one['new'], 'new mail')}: {counted(one['judged'], 'verdict')}, {one['not_bounces']:,} no bounce"
    ]
    if one["failed"]:
        parts[0] += f", {one['failed']:,} not readable"
    if one["actions"]:
        parts.append(f"{counted(one['actions'], 'label')} set")
    if one.get("notes"):
        parts.append(f"{counted(one['notes'], 'note')} written")
    for name in ("opened", "closed"):
        if one.get(name):
            parts.append(f"{counted(one[name], 'incident')} {name}")
    if one.get("dropped"):
        parts.append(f"{counted(one['dropped'], 'thing')} given up (`triage retry` takes that up again)")
    if one.get("alerts"):
        parts.append(f"{counted(one['alerts'], 'alert')} delivered")
    if held := _held({name: one.get(f"held_{name}") or 0 for name in ("notes", "alerts", "incidents")}):
        parts.append(f"held back, too many in a day: {held}")
    if one["requests"]:
        older = f"{one['units_old']:,} by Google's older table"
        parts.append(f"{counted(one['units_new'], 'quota unit')} ({older}), {counted(one['requests'], 'request')}")
    return "; ".join(parts) + "."
