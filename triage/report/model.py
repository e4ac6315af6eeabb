"""What the report says, as plain data: one model for every format. Knows neither the database nor any format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Trouble:
    """Verdicts with one remedy: for our own side one cause at one sender and relay, else one cause."""

    cause: str
    title: str
    meaning: str
    decide: str | None
    """What would decide it, for an ambiguous cause."""
    category: str
    side: str
    actor: str
    sender: str | None
    """Our address whose mails are hit; None where it differs or is not known."""
    place: str | None
    """The host that refused, for our own side else the SES region; None where it differs or is not known."""
    verdicts: int
    people: tuple[str, ...]
    first_at: str
    last_at: str
    first_ever_at: str
    """The first bounce of this cause in the database, which may lie before the period."""
    is_proven: bool
    """Whether one of them is shown to be about a mail of ours; False: all were read from files."""
    words: str | None
    """The refuser's own words in the newest of them."""
    fix: tuple[str, ...]
    """The steps for the newest of them, with its names."""
    links: tuple[str, ...]
    verdict_id: int
    """The newest of them, for `triage explain`."""
    finding: str | None
    """What was found out about our own side, a sentence; None: nothing was."""
    over_at: str | None
    """When all of them were over; None: they are not, as far as is known."""
    over_by: str | None
    """The sort of sign that ended them, such as `by-hand`."""
    over_why: str | None


@dataclass(frozen=True, slots=True)
class MailboxRead:
    """Whether the mailbox is being read."""

    is_mailbox: bool
    """False: only files were ever read into this database."""
    read_at: str | None
    """When the newest run began that came to its end; None: none did."""
    stopped_why: str | None
    """What stopped the newest run; None: nothing did."""


@dataclass(frozen=True, slots=True)
class IncidentLine:
    """Many bounces that one repair heals, or healed in the period."""

    id: int
    title: str
    place: str | None
    """What it is about: the alias and its relay, the identity, the domain."""
    opened_at: str
    closed_at: str | None
    """None: it is open."""
    people: int
    side: str
    evidence: str | None
    """What showed that it is over; None: it is not, or nobody wrote it down."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """A renewal of the alias's SMTP login that is not over."""

    alias: str | None
    state: str
    """A word of `remediation.rotation.state`."""
    since: str


@dataclass(frozen=True, slots=True)
class Missed:
    """A person one or more mails did not reach."""

    recipient: str
    mails: int
    subject: str | None
    """Subject, time and the rest are those of the newest of the mails."""
    sent_at: str | None
    sender: str | None
    cause: str
    title: str
    side: str
    actor: str
    permanent: bool | None
    verdict_id: int
    thread_id: str | None
    """The conversation in Gmail; None: the bounce came from a file."""
    has_draft: bool
    """Whether `triage resend` put the mail back as a draft."""


@dataclass(frozen=True, slots=True)
class Trend:
    """How many verdicts of one sort, now and in the period of the same length before."""

    sort: str
    """Category, or kind where there is no category."""
    now: int
    before: int


@dataclass(frozen=True, slots=True)
class Bar:
    """The failures of some days, for a chart."""

    first_day: str
    """Such as 2026-11-23, UTC."""
    last_day: str
    own: int
    remote: int
    unclear: int


@dataclass(frozen=True, slots=True)
class Rate:
    """How many mails SES sent in one region and what came back, by the events of the period."""

    region: str | None
    """None: the events do not tell."""
    mails: int
    """To how many recipients; each counts as one mail."""
    is_counted: bool
    """True: SES told of each mail sent; False: added up from what became of them."""
    bounces: int
    """Those that count against the limits: permanent ones."""
    complaints: int
    measured: float | None
    """The bounce rate SES itself published last, as a fraction; None: not known."""


@dataclass(frozen=True, slots=True)
class SuppressionList:
    """How many addresses SES no longer sends to in one region, by the audits."""

    region: str
    addresses: int
    at: str
    before: int | None
    """At the last audit before the period; None: there was none."""
    before_at: str | None


@dataclass(frozen=True, slots=True)
class Drift:
    """Something an audit of the period saw otherwise than the one before."""

    at: str
    check: str
    subject: str
    before: str | None
    """ok, warn, fail; None: not there before."""
    after: str
    answered_before: str | None
    answered: str


@dataclass(frozen=True, slots=True)
class Untied:
    """Bounces of one cause that nothing shows to be about a mail of ours: told of, never acted on."""

    title: str
    why: str
    """What is missing in the newest of them."""
    verdicts: int
    verdict_id: int
    """The newest of them."""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything the report says, in the order it says it. Times are ISO 8601, UTC."""

    since: str
    until: str
    mailbox: str | None
    """The Gmail address, so that links open the right account; None: not known."""
    reading: MailboxRead
    own: tuple[Trouble, ...]
    incidents: tuple[IncidentLine, ...]
    """The open ones, and those that closed in the period."""
    renewals: tuple[Renewal, ...]
    missed: tuple[Missed, ...]
    """The most valuable first: who is reached once our side is repaired, conversations before single mails."""
    refusals: tuple[Trouble, ...]
    delayed: tuple[Missed, ...]
    trend: tuple[Trend, ...]
    bars: tuple[Bar, ...]
    recorded_since: str | None
    """The oldest verdict there is; None: there is none."""
    rates: tuple[Rate, ...]
    suppression: tuple[SuppressionList, ...]
    drift: tuple[Drift, ...]
    audited_at: str | None
    """The newest audit; None: there was none."""
    held: Mapping[str, int]
    """Notes, alerts and incidents (by these words) of other sides that the limits of a day held back."""
    undecided: tuple[Trouble, ...]
    untied: tuple[Untied, ...]
    unverified: int
    """Bounces shown to be forged, or not about our mail."""
    unreadable: tuple[Mapping[str, Any], ...]
    runs: tuple[Mapping[str, Any], ...]
    totals: Mapping[str, int]
    """Category, or kind where there is no category -> how many verdicts."""
    rows_seen: int
    rows_all: int
