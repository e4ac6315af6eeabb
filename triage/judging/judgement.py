"""One judgement over everything that is known of a failure: which source is believed, and what speaks against it.

Each source (the mail, SES's event, message insights, a suppression list, the keys, later mail) yields a candidate; all
of them together decide, never the order in which they came. In this order:

1. What SES itself says in an event about its own act (suppressed, rejected, suspended) beats what a mail seems to say.
2. The more specific cause beats the vaguer one, whoever names it: one source more never makes a verdict vaguer.
3. Of causes as specific as each other that of the source which is nearer to the refusal, the later one of two alike.

Where the cause is the same the mail's own reading of it stays: it shows what the owner finds in her mailbox. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypedDict

from remediation import load_causes
from triage.fixes import fix_of
from triage.rows import VerdictRecord

ReadingSource = Literal["mail", "ses-event", "message-insights", "suppression-list", "access-keys", "later-sends"]
"""Who says why a mail failed."""

HowItStands = Literal["believed", "agrees", "says less", "contradicts"]

SAID = (
    *("category", "cause", "side", "actor", "permanent", "reason", "status", "reply_code", "diagnostic", "platform"),
    *("remote_host", "reported_by", "rule", "evidence", "fix", "links"),
)
"""What a verdict record says of a failure; its other keys say which mail it was, and to whom."""

NOTHING, ATTEMPT, INFERRED, GENERAL, EXACT = range(5)
"""How much a candidate says: nothing; how long was tried; what follows from something else; a family of causes; one."""

_LEVELS: Mapping[str | None, int] = {
    **dict.fromkeys((None, "unknown"), NOTHING),
    **dict.fromkeys(("delivery-delayed", "delivery-expired", "remote-system-error", "smtp-protocol-error"), ATTEMPT),
    **dict.fromkeys(
        ("policy-rejected", "content-rejected", "connection-failed", "dns-failed", "host-refused"), GENERAL
    ),
    **dict.fromkeys(("sender-unauthenticated", "remote-misconfigured", "sender-refused"), GENERAL),
    **dict.fromkeys(("alias-misconfigured", "ses-temporary-failure"), GENERAL),
}
_MOST: Mapping[ReadingSource, int] = {"suppression-list": INFERRED, "access-keys": NOTHING, "later-sends": NOTHING}
"""What a source can say at most, where that is less than the cause alone would tell."""
_NEARNESS: Mapping[ReadingSource, int] = {
    "ses-event": 5,
    "message-insights": 4,
    "mail": 3,
    "suppression-list": 2,
    "access-keys": 1,
    "later-sends": 0,
}
_SAYS_ITSELF = frozenset({"ses-event", "message-insights"})
"""Where nobody but SES speaks."""
_NAMES: Mapping[ReadingSource, str] = {
    "mail": "the mail",
    "ses-event": "the SES event",
    "message-insights": "message insights",
    "suppression-list": "the suppression list",
    "access-keys": "the access keys",
    "later-sends": "later mail",
}


class Candidate(NamedTuple):
    """What one source says of a failure."""

    source: ReadingSource
    place: str | None = None
    """Which one, where there are several: an event, a region."""
    cause: str | None = None
    at: str | None = None
    """When that happened, UTC; None: not told."""
    words: str = ""
    """What it says, short; a stranger's words may be among them."""
    said: Mapping[str, Any] = {}
    """The keys of SAID as this source would have them; empty: it can decide nothing."""
    denies: bool = False
    """It says that it cannot have been as others say, and names no cause."""

    @property
    def key(self) -> tuple[ReadingSource, str | None]:
        """What a source says takes the place of what the same one said before."""
        return self.source, self.place

    @property
    def specificity(self) -> int:
        """How much it says, NOTHING to EXACT."""
        return min(specificity(self.cause), _MOST.get(self.source, EXACT))

    @property
    def is_own_act(self) -> bool:
        """Whether SES says here what it did itself."""
        return self.source in _SAYS_ITSELF and (self.cause or "").startswith("ses-")


class ReadingRow(TypedDict):
    """What one source says of a failure."""

    source: ReadingSource
    place: str | None
    cause: str | None
    at: str | None
    words: str
    said: dict[str, Any]
    denies: int


class Judgement(NamedTuple):
    """The candidate that is believed, how the others stand to it, and the contradiction, if there is one."""

    believed: Candidate
    standings: Mapping[tuple[ReadingSource, str | None], HowItStands]
    """(source, place) -> how it stands to what is believed."""
    why: str
    """In words: who is believed, and why before the others."""
    contradiction: str | None
    """In words; None: no source says something else."""


def specificity(cause: str | None) -> int:
    """How much a cause says, NOTHING to EXACT."""
    return _LEVELS.get(cause, EXACT)


def judge_all(candidates: Iterable[Candidate]) -> Judgement:
    """Judge by all candidates at once, at least one of which can decide; their order has no bearing on it."""
    found = sorted(candidates, key=_order)
    deciding = [one for one in found if one.said]
    first = max(deciding, key=_weight)
    same = [one for one in deciding if one.cause == first.cause]
    # An inference names the cause, and nothing of what was answered; "unknown" as a category says less than any other.
    believed = max(same, key=lambda one: (one.said.get("category") not in (None, "unknown"), one.source == "mail"))
    if believed.source != "mail" and believed is not first:
        believed = first
    standings = {one.key: _standing(one, believed) for one in found}
    against = [one for one in found if standings[one.key] == "contradicts"]
    why = f"{_NAMES[first.source]} is believed: {_reason(first, found)}"
    words = None
    if against:
        said = "; ".join(dict.fromkeys(f"{_NAMES[one.source]} says {_claim(one)}" for one in against))
        words = f"{_NAMES[first.source]} says {_claim(first)}; but {said}. {why[:1].upper()}{why[1:]}"
    return Judgement(believed, standings, why, words)


def merged(record: VerdictRecord, believed: Candidate) -> VerdictRecord:
    """The record of a mail, saying of its failure what is believed."""
    changed: Any = {**record, **{key: believed.said[key] for key in SAID if key in believed.said}}
    found: VerdictRecord = changed
    return found


def said_by(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a verdict record says of a failure: its keys of SAID."""
    return {key: record.get(key) for key in SAID}


def inferred(record: VerdictRecord, cause_id: str, words: str) -> dict[str, Any]:
    """What follows for a failure where something else than an answer names the cause (keys of SAID)."""
    cause = load_causes()[cause_id]
    changed: Any = {
        **record,
        "category": cause.category or record["category"],
        "cause": cause_id,
        "side": cause.side,
        "actor": cause.actor,
        "permanent": cause.permanence == "permanent",
        "reason": cause.reason,
        "rule": None,
        "evidence": words,
        "links": list(cause.links),
    }
    return said_by({**changed, "fix": fix_of(changed)})


def _weight(one: Candidate) -> tuple[Any, ...]:
    return (one.is_own_act, one.specificity, _NEARNESS[one.source], one.at or "", *_order(one))


def _order(one: Candidate) -> tuple[str, ...]:
    """Any order that does not depend on who came first."""
    return (one.source, one.place or "", one.cause or "", one.at or "", one.words)


def _standing(one: Candidate, believed: Candidate) -> HowItStands:
    if one is believed:
        return "believed"
    if one.denies:
        return "contradicts"
    if one.cause == believed.cause:
        return "agrees"
    if one.specificity in (NOTHING, ATTEMPT):
        return "says less"
    if one.source == "suppression-list":  # what it tells of is sure, only what follows from it is not
        return "contradicts" if believed.specificity >= GENERAL else "says less"
    sides = {one.said.get("side"), believed.said.get("side")}
    return "contradicts" if one.specificity == believed.specificity or sides >= {"own", "remote"} else "says less"


def _reason(first: Candidate, found: Sequence[Candidate]) -> str:
    """Which of the rules set it before the best of those that name another cause."""
    others = [one for one in found if one.said and one.cause != first.cause]
    if not others:
        return "nobody names another cause"
    second = max(others, key=_weight)
    if first.is_own_act and not second.is_own_act:
        return "Amazon SES tells there what it did itself"
    if first.specificity != second.specificity:
        return "it says more precisely why"
    if first.source != second.source:
        return "it is nearer to the refusal"
    return "it is the later of the two"


def _claim(one: Candidate) -> str:
    cause = one.cause or "nothing of the cause"
    return f"{one.words}" if one.denies else f"{cause} ({one.words})" if one.words else cause
