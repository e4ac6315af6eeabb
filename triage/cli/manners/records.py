"""What commands answer with `--json`, where no other module has the shape: the keys, and what each may hold.

Data only. docs/schemas/ is made from it, and the type checker sees that commands keep to it.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict

State = Literal["ok", "warn", "fail", "unknown"]


class AlertRecord(TypedDict):
    """One alert about an incident."""

    opening: int
    occasion: str
    number: int
    channel: str
    state: Literal["planned", "done", "dropped"]
    tries: int
    error: str | None
    done_at: str | None


class IncidentRecord(TypedDict):
    """One incident, as `triage incidents` and `triage incidents show` tell it."""

    id: int
    key: str
    kind: str
    side: str
    state: Literal["open", "closed"]
    cause: str
    title: str
    sender: str | None
    place: str | None
    first_at: str
    last_at: str
    detected_at: str
    closed_at: str | None
    closed_by: str | None
    closed_why: str | None
    seconds_to_detect: int | None
    seconds_to_repair: int | None
    openings: int
    bounces: int
    people: list[str]
    alerts: list[AlertRecord]


class AnswerRecord(TypedDict):
    """What was asked in an audit, and what came back."""

    asked: str
    answered: str


class FindingRecord(TypedDict):
    """One finding of an audit or of `triage check-address`."""

    check: str
    subject: str
    state: State
    severity: Literal["high", "medium", "low"]
    evidence: AnswerRecord
    meaning: str
    fix: list[str]
    by_hand: str
    leaves_open: list[str]
    figures: dict[str, float]


class AuditChangeRecord(TypedDict):
    """One thing that moved since the audit before."""

    at: str
    since: str | None
    check: str
    subject: str
    before: str | None
    after: str
    answered_before: str | None
    answered: str


class AuditRecord(TypedDict):
    """What `triage audit` found; `changes` is null where there was no audit before."""

    at: str
    domains: list[str]
    regions: list[str]
    calls: dict[str, int]
    seconds: float
    findings: list[FindingRecord]
    not_asked: list[str]
    changes: list[AuditChangeRecord] | None


class AddressRecord(TypedDict):
    """One address, as `triage check-address` tells it."""

    address: str
    state: State
    findings: list[FindingRecord]


SettingRecord = TypedDict("SettingRecord", {"value": str | int | float | bool | list[str] | None, "from": str})
"""A setting's value, and where it comes from (a word of Python's, so this is not written as a class)."""


class ConfigRecord(TypedDict):
    """What `triage config show` tells."""

    file: str | None
    settings: dict[str, SettingRecord]


class HealthRecord(TypedDict):
    """One thing `triage doctor` looked at."""

    name: str
    state: Literal["ok", "warn", "fail"]
    words: str
    todo: str | None


class DoctorRecord(TypedDict):
    """What `triage doctor` found; `ok` is false where anything failed."""

    ok: bool
    checks: list[HealthRecord]


class LoginRecord(TypedDict):
    """What `triage credentials check` found."""

    good: bool
    fault: str | None
    why: str
    todo: str | None
    reply_code: int | None
    will_pass: bool
    host: str
    port: int
    security: str
    username: str
    warnings: list[str]


class KeyRecord(TypedDict):
    """One access key of the user behind the alias."""

    id: str
    active: bool
    created_at: str
    age_days: int
    last_used_at: str | None
    last_used_for: str | None
    stages: list[str]


class SecretVersionRecord(TypedDict):
    """One version of the secret, by its stage; null where it could not be read."""

    version_id: str
    username: str | None
    has_password: bool | None


class AliasRecord(TypedDict):
    """One alias in Gmail."""

    address: str
    host: str | None
    port: int | None
    security: str | None


class KeysRecord(TypedDict):
    """What `triage credentials status` tells; `complete` is false where somebody did not answer."""

    user: str
    keys: list[KeyRecord] | None
    secret: str
    stages: dict[str, SecretVersionRecord] | None
    alias: list[AliasRecord] | None
    warnings: list[str]
    not_looked_up: list[str]
    complete: bool


class ResendRecord(TypedDict):
    """One mail that somebody did not get, and what was done about it."""

    recipient: str
    verdict_id: int
    cause: str
    subject: str | None
    sent_at: str | None
    original_id: str | None
    is_ready: bool
    is_in_doubt: bool
    outcome: str | None


class UndoingRecord(TypedDict):
    """One thing `triage undo` took back, or would."""

    what: str
    thread_id: str
    done: bool
    was_there: bool | None
    problem: str | None


class GivenUpRecord(TypedDict):
    """What was given up of one kind, as `triage retry` tells it."""

    kind: str
    number: int
    error: str | None


class FailureRecord(TypedDict):
    """A mail that could not be judged again."""

    source: str
    why: str


class FieldRecord(TypedDict):
    """What one field of a verdict was, and what it comes out as now."""

    old: Any
    new: Any


class MoveRecord(TypedDict):
    """One verdict that comes out differently."""

    change: str
    id: int | None
    mail_id: int
    source: str
    recipient: str | None
    fields: dict[str, FieldRecord]


class RejudgedRecord(TypedDict):
    """What `triage rejudge` found; `written` is true with --apply."""

    mails: int
    written: bool
    reworded: int
    without_bytes: int
    failed: list[FailureRecord]
    moves: list[MoveRecord]


class DraftRecord(TypedDict):
    """One draft `triage outbox` did something about, or would."""

    words: str
    is_trouble: bool


class StepRecord(TypedDict):
    """One step of `triage outbox migrate`; `is_done` is null where nobody but you can tell."""

    title: str
    words: str
    is_done: bool | None


class CopyRecord(TypedDict):
    """One copy of the database."""

    at: str
    file: str
