"""The words of an alert, short, and of an incident in full: what broke, since when, who is hit, what to click.

Pure. What comes out of a bounce was written by strangers: no value brings a line, a link or a control character into an
alert. The only links are those of our own catalogue and of the pages where the repair is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from parsers.ses_hosts import looks_like_region
from triage.display import ACTOR_WORDS, counted, gmail_page, retimed, shown, span_words, step_words, when_words
from triage.fixes import end_of_alias
from triage.model import Incident
from triage.no_links import own_domain, told, unlinked, unlinked_step
from triage.rows import MissedRow

MOST_PEOPLE_TOLD = 10
MOST_STEPS = 8
MAX_STEP = 700
MAX_TITLE = 200
NOBODY_YET = "Nobody yet"
MOST_TOLD = 200
"""Characters of the two lines of an alert: about as much as a telephone shows of a message that comes in."""

_HEALED = {"does not leave": "leaves again", "does not take": "takes", "does not send": "sends"}


@dataclass(frozen=True, slots=True)
class IncidentFacts:
    """What is known of an incident beside itself."""

    missed: Sequence[MissedRow] = ()
    """People hit, the newest first."""
    steps: Sequence[str] = ()
    """The fix, with the names of the newest bounce."""
    found: str | None = None
    """What was found out about our own side, a sentence; None: nothing was."""
    more: int = 0
    """How many other incidents opened at the same moment and are not told one by one."""
    own: Sequence[str] = ()
    """Servers that are the owner's for certain: they stand in the fix as they are, for copying."""
    mailbox: str | None = None
    """The Gmail address, so that the link opens the right account."""


def alert_title(incident: Incident, occasion: str, at: datetime) -> str:
    """One line, the most telling words first."""
    what = what_fails(incident)
    if occasion == "closed":
        if incident.closed_by in ("by-hand", "emptied"):
            return shown(f"Closed: {told(what)}", MAX_TITLE)
        for broken, healed in _HEALED.items():
            what = what.replace(broken, healed)
        return shown(f"Repaired: {told(what)}", MAX_TITLE)
    word = "Broken" if incident.side == "own" else "Refused"
    if occasion == "reminder":
        word = f"Still {word.lower()} after {span_words(at - incident.first_at)}"
    elif incident.openings > 1:
        word = f"{word} again"
    return shown(f"{word}: {told(what)}", MAX_TITLE)


def alert_body(incident: Incident, occasion: str, facts: IncidentFacts, at: datetime) -> str:
    """The whole message: two lines of MOST_TOLD characters together, and a link; push services cut what is longer.

    Everything else is told by `triage incidents show`.
    """
    if occasion == "closed":
        first, second, page = _over_briefly(incident), _still_lacking(incident), None
    else:
        why = _found_briefly(facts, at) or f"{incident.title}."
        first = f"{why} Since {when_words(incident.first_at)}."
        others = f"; {facts.more:,} more: `triage incidents`" if facts.more else ""
        second = f"All of it: `triage incidents show {incident.id}`{others}"
        page = clicks(incident, facts.mailbox)
    people = f"{counted(len(incident.people), 'person', 'people')} not reached" if incident.bounces else NOBODY_YET
    first = shown(first, MOST_TOLD - len(f"{people}. {second}") - 1)
    room = MOST_TOLD - len(f"{first} {people}: . {second}")
    names = _names(facts, incident, room)
    lines = [first, f"{people}{names}. {second}", *([page.partition(" ")[0]] if page else [])]
    return "".join(f"{line}\n" for line in lines)


def _names(facts: IncidentFacts, incident: Incident, room: int) -> str:
    """`: pat@client.example and 3 more` with as many as there is room for; nothing where there is none."""
    named = [told(one["recipient"]) for one in facts.missed if one["recipient"]]
    for most in (2, 1):
        more = len(incident.people) - len(named[:most])
        words = " and ".join(named[:most]) if more <= 0 else f"{', '.join(named[:most])} and {more:,} more"
        if named and len(words) <= room:
            return f": {words}"
    return ""


def _found_briefly(facts: IncidentFacts, at: datetime) -> str | None:
    """What was found out, its first half."""
    if facts.found is None:
        return None
    return unlinked(retimed(shown(facts.found.partition(";")[0], 90), at)).rstrip(".") + "."


def _over_briefly(incident: Incident) -> str:
    if incident.closed_by == "by-hand":
        return f"Closed by hand: {told(incident.closed_why or '')}."
    took = span_words(incident.time_to_repair) if incident.time_to_repair is not None else "some time"
    return f"Broken for {took}. {told(incident.closed_why or '')}."


def _still_lacking(incident: Incident) -> str:
    return "Their mails again: `triage resend`" if incident.side == "own" else "Send again what still matters."


def clicks(incident: Incident, mailbox: str | None = None) -> str | None:
    """The page on which the repair is made, and what to look for there; None: it is not made on one page."""
    if incident.kind == "alias":
        beside = f' beside {told(incident.sender)} choose "edit info"' if incident.sender else ' choose "edit info"'
        return f'{gmail_page("settings/accounts", mailbox)} - under "Send mail as"{beside}'
    if incident.kind == "ses" and incident.place and looks_like_region(incident.place):
        page = "account" if " account " in incident.key else "identities"
        return f"https://{incident.place}.console.aws.amazon.com/ses/home?region={incident.place}#/{page}"
    return None


def incident_lines(incident: Incident, facts: IncidentFacts, at: datetime) -> Iterator[str]:
    """What is broken, since when, who is hit, what to do; one line for each paragraph."""
    cause = incident.known_cause
    cause = incident.known_cause
    if found := facts.found:
        yield unlinked(retimed(shown(found, 600), at))
    yield f"What broke: {incident.title} ({incident.cause})."
    if incident.state == "closed":
        yield from _over(incident, facts)
        return
    if cause:
        yield cause.meaning
    yield ""
    ago = span_words(at - incident.first_at)
    last = f"the last bounce {when_words(incident.last_at)}" if incident.bounces else "no mail came back yet"
    yield f"Since when: {when_words(incident.first_at)} ({ago} ago); {last}."
    yield from _who(incident, facts)
    yield ""
    page = clicks(incident, facts.mailbox)
    if page:
        yield f"What to click: {page}"
    if cause:
        yield f"The next move is up to {ACTOR_WORDS[cause.actor]}."
    own = (own_domain(incident.sender), *facts.own)
    for number, step in enumerate(facts.steps[:MOST_STEPS], 1):
        yield f"{number}. {unlinked_step(step_words(step, MAX_STEP), own)}"
    if end := end_of_alias(facts.steps):
        yield end
    if cause and cause.links:
        yield ""
        yield from (f"More: {link}" for link in cause.links)


def _over(incident: Incident, facts: IncidentFacts) -> Iterator[str]:
    by_hand = "closed by hand: " if incident.closed_by == "by-hand" else ""
    yield f"What shows it: {by_hand}{told(incident.closed_why or '')}, {when_words(incident.closed_at)}."
    yield f"How long: {duration_words(incident)}; first bounce {when_words(incident.first_at)}."
    yield from _who(incident, facts)
    yield "These mails did not arrive: send again what still matters."


def _who(incident: Incident, facts: IncidentFacts) -> Iterator[str]:
    people, mails = len(incident.people), incident.bounces
    if not mails:
        yield f"Who is hit: {NOBODY_YET.lower()}."
        return
    yield f"Who is hit: {counted(people, 'person', 'people')}, {counted(mails, 'mail')}."
    for one in facts.missed[:MOST_PEOPLE_TOLD]:
        subject = f": {told(one['subject'])}" if one["subject"] else ""
        times = f" ({counted(one['mails'], 'mail')}, the last one)" if one["mails"] > 1 else ""
        yield f"- {told(one['recipient'] or 'an address that was not named')}{subject}{times}"
    if people > MOST_PEOPLE_TOLD:
        yield f"- and {people - MOST_PEOPLE_TOLD:,} more"


def what_fails(incident: Incident) -> str:
    """What does not work, in half a sentence that names the address or the domain."""
    sender = incident.sender or "an address of yours"
    match incident.kind:
        case "alias":
            return f"mail from {sender} does not leave"
        case "ses":
            where = f" in {incident.place}" if incident.place else ""
            return f"Amazon SES{where} does not take mail from {sender}"
        case "gmail":
            return "Gmail does not send your mail"
    return f"{incident.place} does not take mail from {sender}"


def duration_words(incident: Incident) -> str:
    """How long it took: `broken for 2 days, seen after 12 minutes`, or since when it has been broken."""
    took = incident.time_to_repair
    broken = f"since {when_words(incident.first_at)}" if took is None else f"for {span_words(took)}"
    return f"broken {broken}, seen after {span_words(incident.time_to_detect)}"
