"""Verdict records as they are printed, and rows as the store gives them back: the keys, and what each may hold.

Data only, and plain dicts when the program runs, because JSON and SQLite speak in dicts; docs/schema.md says what a
key means. Times are text in UTC, None is SQL's NULL: not known, or not done.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from parsers.facts import FailureKind, Genuine, NotKind, Path
from remediation import Actor, Side

Category = Literal[
    "smtp-credentials",
    "ses-refused",
    "gmail-refused",
    "exchange-rejection",
    "remote-rejection",
    "delayed",
    "unknown",
    "unverified",
]
"""Who refused: the label a human sees."""

EvidenceKind = Literal[
    "ses-id",
    "ses-event",
    "suppression-list",
    "message-insights",
    "alias-settings",
    "smtp-keys",
    "key-changes",
    "secret",
    "live-login",
    "own-side",
    "judgement",
]
"""What was looked into."""

Result = Literal["proven", "likely", "unknown", "accepted", "refused"]
"""What came of it: of a conclusion the first three, of a login the last two."""
OriginalRecord = TypedDict(
    "OriginalRecord",
    {
        "message_id": str | None,
        "gmail_message_id": str | None,
        "ses_message_id": str | None,
        "ses_region": str | None,
        "ses_id_source": str | None,
        "sent_at": str | None,
        "from": str | None,  # the reason this one is not written as a class
        "subject": str | None,
        "path": Path | None,
    },
)
"""The mail that came back, inside a verdict record."""


class VerdictRecord(TypedDict):
    """One failed recipient, or one mail that is no bounce, as `triage classify --jsonl` prints it (a contract)."""

    source: str
    kind: FailureKind | NotKind
    recipient: str | None
    original_recipient: str | None
    category: Category | None
    cause: str | None
    side: Side | None
    actor: Actor | None
    permanent: bool | None
    reason: str | None
    status: str | None
    reply_code: str | None
    diagnostic: str | None
    platform: str | None
    remote_host: str | None
    reported_by: str | None
    original: OriginalRecord | None
    genuine: Genuine | None
    rule: str | None
    evidence: str | None
    fix: list[str]
    links: list[str]
    why: NotRequired[str | None]
    """Only for a mail that is no bounce, and for the last recipient told of a mail that names too many."""


class StoredVerdict(VerdictRecord):
    """A verdict record read back, with the numbers it has in the database."""

    id: int
    mail_id: int
    received_at: str
    superseded_by: int | None
    gmail_id: str | None
    thread_id: str | None
    proof: Literal["sent", "ses", "alias", "given"] | None  # see `triage.judging.proof`; None: nothing proves it ours
    proof_why: str | None
    proof_open: int


Pair = tuple[StoredVerdict | None, VerdictRecord | None]
"""A verdict as it is stored (None: there is none yet) and as it is to be (None: it goes)."""


class _VerdictColumns(TypedDict):
    id: int
    original_recipient: str | None
    message_id: str | None
    gmail_message_id: str | None
    ses_region: str | None
    sent_at: str | None
    sender: str | None
    subject: str | None
    received_at: str


class VerdictRow(_VerdictColumns):
    """What tying a verdict to SES needs of it."""

    kind: str
    recipient: str | None
    category: str | None
    cause: str | None
    ses_message_id: str | None
    ses_id_source: str | None
    path: str | None
    genuine: str | None
    reply_code: str | None
    reported_by: str | None
    source: str


class SesIds(TypedDict, total=False):
    """What evidence adds to the ids of a verdict: columns of `verdicts`."""

    gmail_message_id: str | None
    ses_message_id: str | None
    ses_region: str | None
    ses_id_source: str | None


class _ReportColumns(_VerdictColumns):
    kind: str
    recipient: str | None
    permanent: int | None
    diagnostic: str | None
    remote_host: str | None
    genuine: str | None
    proof: str | None
    proof_why: str | None
    superseded_by: int | None
    thread_id: str | None
    over_at: str | None  # when its incident was over
    over_by: str | None  # and what showed it: the sort of sign, its words
    over_why: str | None


class ReportRow(_ReportColumns):
    """What the report needs of a verdict."""

    category: str | None
    cause: str | None
    side: str | None
    actor: str | None


class FailureRow(_ReportColumns):
    """The same of a verdict with a cause, which therefore has the other three."""

    category: str
    cause: str
    side: str
    actor: str


class HitRow(_VerdictColumns):
    """A failure that kept a mail from somebody: what giving it once more needs."""

    recipient: str
    cause: str | None
    side: str | None
    ses_message_id: str | None


class AliasFailureRow(TypedDict):
    """A failure at the relay behind an alias: what a rotation needs."""

    id: int
    mail_id: int
    received_at: str
    recipient: str | None
    cause: str
    diagnostic: str | None
    thread_id: str | None
    bounce_message_id: str | None


class MissedRow(TypedDict):
    """A person an incident hit, with the newest of the mails."""

    recipient: str | None
    subject: str | None
    sent_at: str | None
    at: str
    mails: int


class MailRow(TypedDict):
    """A mail, without its bytes."""

    id: int
    gmail_id: str | None
    thread_id: str | None
    source: str
    message_id: str | None
    received_at: str | None
    seen_at: str
    state: Literal["judged", "failed", "kept", "gone"]
    tries: int
    error: str | None
    original_in_sent: int | None


class ActionRow(TypedDict):
    """Something planned to be done in Gmail."""

    id: int
    mail_id: int
    gmail_id: str
    kind: str
    target: str
    payload: dict[str, Any]
    tries: int
    put_off: int


class DoneRow(TypedDict):
    """Something done in Gmail that can be taken back."""

    id: int
    mail_id: int
    target: str
    payload: dict[str, Any]
    gmail_id: str | None
    label_id: str | None
    """The label in Gmail; None: an earlier version set it, and knew it by its name."""
    done_at: str | None


class RunRow(TypedDict):
    """A run; the counts are None where it did not come to its end."""

    id: int
    source: str
    started_at: str
    finished_at: str | None
    error: str | None
    new: int | None
    judged: int | None
    not_bounces: int | None
    failed: int | None
    actions: int | None
    units_new: int | None
    units_old: int | None
    requests: int | None
    events: int | None
    not_looked_up: str | None
    opened: int | None
    closed: int | None
    alerts: int | None
    not_told: str | None
    unsaid: str | None
    notes: int | None
    held_notes: int | None
    held_alerts: int | None
    held_incidents: int | None
    dropped: int | None
    retries: int | None
    waited: int | None
    seconds: str | None


class EventRow(TypedDict):
    """An SES event about one recipient."""

    id: int
    kind: str
    recipient: str
    ses_message_id: str
    event_id: str
    at: str
    ses_region: str | None
    sent_at: str | None
    client_id: str | None
    sender: str | None
    subject: str | None
    path: str | None
    caller: str | None
    words: str | None
    notification: bytes | None
    seen_at: str
    verdict_id: int | None


class EvidenceRow(TypedDict):
    """A piece of evidence about a verdict."""

    id: int
    verdict_id: int
    kind: EvidenceKind
    place: str | None
    found: bool | None
    detail: str | None
    result: Result | None
    tries: int
    looked_up_at: str
    not_looked_up_why: str | None
    ask_until: str | None
    ask_again_at: str | None


class AlertRow(TypedDict):
    """An alert, planned, told or dropped."""

    id: int
    incident_id: int | None
    opening: int
    occasion: str
    number: int
    channel: str
    title: str
    body: str
    message_id: str
    state: Literal["planned", "done", "dropped"]
    tries: int
    tried_at: str | None
    error: str | None
    planned_at: str
    done_at: str | None


class ResendRow(TypedDict):
    """A mail that was given to somebody once more, or may have been."""

    id: int
    original_id: str
    recipient: str
    way: Literal["draft", "ses"]
    state: Literal["started", "done", "refused"]
    message_id: str
    verdict_id: int
    thread_id: str | None
    gmail_id: str | None
    ses_region: str | None
    ses_message_id: str | None
    why: str | None
    started_at: str
    done_at: str | None


class IncidentRow(TypedDict):
    """What the report tells of an incident; `people` is a number."""

    id: int
    kind: str
    cause: str
    sender: str | None
    place: str | None
    state: Literal["open", "closed"]
    first_at: str
    closed_at: str | None
    closed_why: str | None
    people: int


class DayCount(TypedDict):
    """How many verdicts of one sort a day brought."""

    day: str
    kind: str
    category: str | None
    side: str | None
    verdicts: int


class EventCount(TypedDict):
    """How many SES events of one sort a region had; `counts`: toward SES's limits."""

    ses_region: str | None
    kind: str
    counts: int | None
    number: int
