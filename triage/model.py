"""The forms a bounce and its incident take between Gmail and label: data only, shared by every room of the worker.

Knows no SQL, no Gmail and no AWS. What the store keeps and what others read of it are these and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, TypedDict

from parsers.facts import Bounce
from remediation import Cause, load_causes
from triage.rows import EvidenceKind, Result, VerdictRecord

Clock = Callable[[], datetime]
"""Gives the present time, aware."""
Progress = Callable[[int, int | None], None]
"""Told after each mail how many are done, and of how many (None: not known)."""


@dataclass(frozen=True, slots=True)
class StoredMail:
    """A mail as it is written to the database."""

    source: str
    gmail_id: str | None = None
    """None for a mail from a file."""
    thread_id: str | None = None
    message_id: str | None = None
    received_at: datetime | None = None
    raw: bytes | None = None
    """The bytes as they came; None when they could not be had."""
    keep_raw: bool = True
    """False: the database keeps only the hash of the bytes: it is no bounce, and Gmail or the file still holds it."""
    put_off: int = 0
    """How often Gmail did not give it for a reason of its own."""
    remark: str | None = None
    """Why the bytes are not the whole mail; None: they are, or are not there."""


@dataclass(frozen=True, slots=True)
class Action:
    """Something to do outside the database: what kind, to what, with what."""

    kind: str
    target: str
    payload: Mapping[str, Any]


class Proof(NamedTuple):
    """What shows that a verdict is about a mail of ours (see `triage.judging.proof`), or why nothing does."""

    kind: Literal["sent", "ses", "alias", "given"] | None
    why: str
    is_open: bool = False
    """It could not be looked for yet: asked again."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A mail with its verdict records and what is to be done about them."""

    mail: StoredMail
    bounce: Bounce | None
    """The facts; None: the mail is no bounce."""
    records: tuple[VerdictRecord, ...]
    proofs: tuple[Proof, ...] = ()
    """One for each record; empty: nobody has looked."""
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """A mail that could not be fetched or judged, and why."""

    mail: StoredMail
    why: str
    fate: Literal["again", "put-off", "missing", "kept"] = "again"
    """What follows: asked for again, a few times; again, however often, because Gmail itself is in trouble; looked for
    once more, because Gmail does not find it; or not again."""


Outcome = Judged | Failed


SOURCE = "ses-event:"
"""How the source of a mail begins that is an SES event and came from our queue, not through Gmail."""


FAILURE_KINDS = {"Bounce": "failed", "Reject": "failed", "DeliveryDelay": "delayed", "Complaint": "feedback"}
"""The events that tell of a failure, and the kind of verdict each leads to."""


@dataclass(frozen=True, slots=True)
class Event:
    """What SES says happened to one recipient of one mail."""

    kind: str
    """SES's word: Bounce, Complaint, Delivery, DeliveryDelay, Reject, Send."""
    recipient: str
    """In lower case, to compare with."""
    ses_message_id: str
    event_id: str
    """What makes the event one: SES's feedback id, or the time it happened."""
    at: datetime
    ses_region: str | None = None
    sent_at: datetime | None = None
    client_id: str | None = None
    """The Message-ID the sender's own program gave the mail, before SES replaced it."""
    sender: str | None = None
    """In lower case."""
    subject: str | None = None
    path: str | None = None
    """`gmail-alias` where the mail's headers say that Gmail handed it over."""
    caller: str | None = None
    """The IAM user whose credentials sent it: for SMTP the user behind the alias's login."""
    words: str | None = None
    """What happened, in SES's words: `Permanent/General: smtp; 550 5.1.1 user unknown`."""
    notification: bytes | None = None
    """For a failure: the event as a mail (zlib), cut down to this recipient."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One piece: a place that was looked into, or could not be."""

    kind: EvidenceKind
    place: str | None = None
    """Which one, where there are several: a region, an IAM user, an alias."""
    found: bool | None = None
    """Whether something was there; None: not looked up."""
    detail: str | None = None
    """What was found, in words; None: not looked up."""
    not_looked_up_why: str | None = None
    """Why it could not be looked up; a later run tries again. None: it was."""
    result: Result | None = None
    """For `own-side`: proven, likely or unknown; for `live-login`: accepted, refused, or unknown where the server could
    not tell; else None."""
    is_denied: bool = False
    """It may not be asked: that is asked once a day for all."""
    ask_until: datetime | None = None
    """The last moment at which asking may bring something new; None: the answer stands."""
    ask_again_at: datetime | None = None
    """When it has its turn again; None: the answer stands."""


def not_looked_up(kind: EvidenceKind, place: str | None, why: str, *, is_denied: bool = False) -> Evidence:
    """A piece of evidence nobody could give."""
    return Evidence(kind, place, not_looked_up_why=why, is_denied=is_denied)


IncidentKind = Literal["alias", "ses", "gmail", "remote"]


SIGNS: Mapping[str, str] = {
    "ses-event": "SES took a later mail the same way",
    "delivery": "a later mail was delivered there",
    "left-later": "a later mail left the same way",
    "rotation": "a renewal of the login was confirmed",
    "login-and-send": "the login was accepted, and a mail sent after that did not come back",
    "sending-enabled": "SES said that it sends again",
    "by-hand": "closed by hand",
    "emptied": "its bounces turned out to be something else",
}
"""What ends an incident, by `closed_by`."""


@dataclass(frozen=True, slots=True)
class SendingState:
    """What SES says of its own sending, before or without any bounce."""

    region: str
    resource: str
    """The ARN it is about, such as a tenant's; `account`: it names none."""
    is_enabled: bool
    at: datetime
    words: str | None
    """Who changed it, and why, in SES's words."""


OURS_TO_MEND = frozenset({"mailbox-owner", "aws-admin", "dns-admin"})
"""Actors who can do something about it today; only they are reminded."""


@dataclass(frozen=True, slots=True)
class IncidentKey:
    """What one repair heals."""

    kind: IncidentKind
    what: tuple[str, ...]

    @property
    def text(self) -> str:
        """The key as it is stored: `remote client.example dmarc-rejected`."""
        return " ".join((self.kind, *self.what))


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident as it is stored; the times are those of the last time it opened."""

    id: int
    key: str
    kind: IncidentKind
    state: Literal["open", "closed"]
    cause: str
    """That of the newest bounce, as are sender, place and path."""
    sender: str | None
    place: str | None
    """The relay, the SES region, the domain that refused."""
    path: str | None
    openings: int
    first_at: datetime
    last_at: datetime
    detected_at: datetime
    closed_at: datetime | None
    closed_by: str | None
    closed_why: str | None
    noticed_at: datetime | None
    bounces: int
    people: tuple[str, ...]
    """Whom mails did not reach, the newest first."""

    @property
    def title(self) -> str:
        """What broke, in the catalogue's words."""
        found = self.known_cause
        return found.title if found else self.cause

    @property
    def known_cause(self) -> Cause | None:
        """The cause in the catalogue; None: another version wrote it."""
        return load_causes().get(self.cause)

    @property
    def side(self) -> str:
        """Where it is broken: own, remote."""
        return "remote" if self.kind == "remote" else "own"

    @property
    def is_ours_to_mend(self) -> bool:
        """Whether somebody on our side can do something about it."""
        return self.known_cause is None or self.known_cause.actor in OURS_TO_MEND

    @property
    def time_to_detect(self) -> timedelta:
        """From the first bounce to the run that saw it."""
        return max(self.detected_at - self.first_at, timedelta(0))

    @property
    def time_to_repair(self) -> timedelta | None:
        """From the first bounce to what first got through again; None: it is open."""
        return None if self.closed_at is None else max(self.closed_at - self.first_at, timedelta(0))


@dataclass(frozen=True, slots=True)
class Opening:
    """One time from the first bounce to the first sign that it is over."""

    first_at: datetime
    last_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Alert:
    """Something to be told, as it is planned."""

    incident_id: int | None
    """None: about a rotation of the SMTP login, or a dead sign-in."""
    opening: int
    occasion: str
    """opened, reminder, closed, rotation, sign-in."""
    number: int
    """Counts the reminders; 0 for the others."""
    channel: str
    title: str
    body: str
    message_id: str
    """Without angle brackets; the same whenever the same is told."""
    dropped_why: str | None = None
    """Why it is not told, only remembered; None: it is told."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The totals of a run. The counts have the names of the columns of `runs`."""

    new: int = 0
    """Mails looked at: not seen before, or asked for again."""
    judged: int = 0  # verdicts
    not_bounces: int = 0
    """Mails that are no bounce."""
    failed: int = 0
    """Mails that could not be read or judged and will be asked for again."""
    actions: int = 0
    """Labels set; in a dry run, labels that would be set."""
    notes: int = 0
    """Notes written; in a dry run, notes that would be written."""
    units_new: int = 0
    """Gmail quota used, by the table for projects made since May 2026."""
    units_old: int = 0
    requests: int = 0
    """HTTP requests to Gmail, sign-in included."""
    retries: int = 0
    waited: int = 0
    """Seconds waited before the requests that were made again."""
    events: int = 0
    """SES events not known before."""
    opened: int = 0
    """Incidents."""
    closed: int = 0
    alerts: int = 0
    """Alerts delivered."""
    held_notes: int = 0
    """Notes not written, alerts not told and bounces that opened no incident, because of the limits of a day."""
    held_alerts: int = 0
    held_incidents: int = 0
    dropped: int = 0
    """Labels, notes and mails given up; `triage retry` takes them up again."""
    failures: tuple[tuple[str, str], ...] = ()
    """(source, why) of each mail counted in `failed`."""
    not_looked_up: tuple[str, ...] = ()
    """What AWS did not answer and why; asked again next run."""
    not_told: tuple[str, ...] = ()
    """Why an alert could not be delivered, or the watcher not be called; tried again next run."""
    rotation: str | None = None
    """Where a rotation of the SMTP login stands; None: none is under way."""
    seconds: Mapping[str, float] = field(default_factory=dict, compare=False)
    """How long each part took."""

    @property
    def is_quiet(self) -> bool:
        """Whether nothing happened that anybody has to hear of."""
        work = (self.new, self.failed, self.actions, self.notes, self.judged, self.closed, self.alerts, self.dropped)
        return not any(work)

    @property
    def exit_code(self) -> int:
        """1 where a mail could not be judged, or somebody could not be told."""
        return 1 if self.failed or self.not_told else 0

    def counts(self) -> dict[str, int]:
        """The counts by name."""
        return {name: value for name, value in asdict(self).items() if isinstance(value, int)}


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a run would do now."""

    outcomes: tuple[Outcome, ...]
    """The bounces and the failures, without their bytes. Mails that are no bounce are only counted."""
    summary: RunSummary


class GivenUp(NamedTuple):
    """What is not tried any more, by kind: label, note, mail."""

    kind: str
    number: int
    error: str | None
    """Why the newest of them failed."""


class Denial(TypedDict):
    """A question that AWS does not let us ask."""

    service: str
    region: str
    question: str
    what: str
    why: str
    at: str


class Withdrawn(TypedDict):
    """Something done in Gmail that is to be taken back, because the verdict it was done for changed."""

    id: int
    kind: str
    mail: str
    """The bounce in Gmail."""
    target: str
    payload: dict[str, Any]
    gmail_id: str | None
    label_id: str | None


class MailAgain(NamedTuple):
    """A stored mail that is judged once more."""

    id: int
    source: str
    gmail_id: str | None
    thread_id: str | None
    received_at: str
    raw: bytes
