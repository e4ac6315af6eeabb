"""The words of an alert: what broke, since when, who is hit, what to click, and when it is over how long it took.

Pure. What comes out of a bounce was written by strangers: no value brings a line, a link or a control character into an
alert. The only links are those of our own catalogue and of the pages where the repair is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from parsers.ses_hosts import looks_like_region
from triage.display import ACTOR_WORDS, counted, shown, span_words, when_words
from triage.model import Incident
from triage.no_links import own_domain, told, unlinked_step
from triage.rows import MissedRow

MOST_PEOPLE_TOLD = 10
MOST_STEPS = 8
MAX_STEP = 700
MAX_TITLE = 200

_HEALED = {"does not leave": "leaves again", "does not take": "takes", "does not send": "sends"}


@dataclass(frozen=True, slots=True)
class IncidentFacts:
    """What is known of an incident beside itself."""

    missed: Sequence[MissedRow] = ()
    """People hit, the newest first."""
    steps: Sequence[str] = ()
    """The fix, with the names of the newest bounce."""
    evidence: str | None = None
    """What AWS and Gmail say about it, in words."""
    more: int = 0
    """How many other incidents opened at the same moment and are not told one by one."""
    own: Sequence[str] = ()
    """Servers that are the owner's for certain: they stand in the fix as they are, for copying."""


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
    """The whole message as plain text; lines are as long as their paragraph."""
    lines = [
        *(_over(incident, facts) if occasion == "closed" else incident_lines(incident, facts, at)),
        "",
        *_foot(incident),
    ]
    if facts.more and occasion != "closed":
        lines.append(f"Beside this one {counted(facts.more, 'incident')} opened: `triage incidents` lists them.")
    return "".join(f"{line}\n" for line in lines)


def clicks(incident: Incident) -> str | None:
    """The page on which the repair is made, and what to look for there; None: it is not made on one page."""
    if incident.kind == "alias":
        beside = f' beside {told(incident.sender)} choose "edit info"' if incident.sender else ' choose "edit info"'
        return f'https://mail.google.com/mail/#settings/accounts - under "Send mail as"{beside}'
    if incident.kind == "ses" and incident.place and looks_like_region(incident.place):
        page = "account" if " account " in incident.key else "identities"
        return f"https://{incident.place}.console.aws.amazon.com/ses/home?region={incident.place}#/{page}"
    return None


def incident_lines(incident: Incident, facts: IncidentFacts, at: datetime) -> Iterator[str]:
    """What is broken, since when, who is hit, what to do; one line for each paragraph."""
    cause = incident.known_cause
    yield f"What broke: {incident.title} ({incident.cause})."
    if cause:
        yield cause.meaning
    yield ""
    ago = span_words(at - incident.first_at)
    yield f"Since when: {when_words(incident.first_at)} ({ago} ago); the last bounce {when_words(incident.last_at)}."
    yield from _who(incident, facts)
    yield ""
    page = clicks(incident)
    if page:
        yield f"What to click: {page}"
    if cause:
        yield f"The next move is up to {ACTOR_WORDS[cause.actor]}."
    own = (own_domain(incident.sender), *facts.own)
    for number, step in enumerate(facts.steps[:MOST_STEPS], 1):
        yield f"{number}. {unlinked_step(shown(step, MAX_STEP), own)}"
    if facts.evidence:
        yield ""
        yield f"What is known: {told(facts.evidence)}"
    if cause and cause.links:
        yield ""
        yield from (f"More: {link}" for link in cause.links)


def _over(incident: Incident, facts: IncidentFacts) -> Iterator[str]:
    by_hand = "closed by hand: " if incident.closed_by == "by-hand" else ""
    yield f"It is over: {incident.title} ({incident.cause})."
    yield f"What shows it: {by_hand}{told(incident.closed_why or '')}, {when_words(incident.closed_at)}."
    yield f"How long: {duration_words(incident)}; first bounce {when_words(incident.first_at)}."
    yield from _who(incident, facts)
    yield "These mails did not arrive: send again what still matters."


def _who(incident: Incident, facts: IncidentFacts) -> Iterator[str]:
    people, mails = len(incident.people), incident.bounces
    yield f"Who is hit: {counted(people, 'person', 'people')}, {counted(mails, 'mail')}."
    for one in facts.missed[:MOST_PEOPLE_TOLD]:
        subject = f": {told(one['subject'])}" if one["subject"] else ""
        times = f" ({counted(one['mails'], 'mail')}, the last one)" if one["mails"] > 1 else ""
        yield f"- {told(one['recipient'] or 'an address that was not named')}{subject}{times}"
    if people > MOST_PEOPLE_TOLD:
        yield f"- and {people - MOST_PEOPLE_TOLD:,} more"


def _foot(incident: Incident) -> Iterator[str]:
    yield f"This is incident {incident.id}: `triage incidents show {incident.id}` tells everything about it."
    if incident.state == "open":
        yield f"Over, and nobody noticed? `triage incidents close {incident.id} --why TEXT`"
    yield "Written by bounce-triage. No link in here comes out of a bounce."


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
