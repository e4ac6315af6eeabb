"""Collects what Gmail, IAM, CloudTrail, Secrets Manager and the relay say about an alias that failed.

Asks each once a run and only what the settings name; concludes nothing itself, that is `own_side`. The login is tried
in `login`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from parsers.ses_hosts import ses_region_of_host
from parsers.times import moment_from
from remediation.aws import GLOBAL_REGION, KeyChange, NotLookedUp, region_of_secret
from remediation.aws import iam as aws_iam
from remediation.aws import secrets as aws_secrets
from triage import store
from triage.config import Settings
from triage.errors import TryLater
from triage.gmail import Gmail, Refused
from triage.model import Evidence, not_looked_up
from triage.rows import EventRow, EvidenceKind, VerdictRow
from triage.ses import own_side
from triage.ses.asked import Asked
from triage.ses.evidence import moment_words
from triage.ses.login import tried_login
from triage.ses.own_side import AliasSetup, Known

if TYPE_CHECKING:
    from sqlite_utils import Database

ON_RECORD = timedelta(days=90)
"""How far back CloudTrail tells, and failures of an alias are taken to belong together."""


def alias_evidence(
    db: Database,
    row: VerdictRow,
    events: Sequence[EventRow],
    settings: Settings,
    gmail: Gmail | None,
    asked: Asked,
    at: datetime,
) -> Iterator[Evidence]:
    """Every piece about one alias failure, the conclusion last; `events` are what SES published about the very mail."""
    failed_at = moment_from(row["received_at"])
    alias = _alias(row["sender"], gmail, asked)
    if isinstance(alias, NotLookedUp):
        yield not_looked_up("alias-settings", row["sender"], alias.why, is_denied=alias.kind == "denied")
    elif gmail is not None:
        words = own_side.alias_words(alias, at) if alias else "Gmail has no such alias any more"
        yield Evidence("alias-settings", row["sender"], found=alias is not None, detail=words)
    keys = changes = versions = login = None
    user = settings.smtp_user
    if user:
        keys = asked.ask(("iam", GLOBAL_REGION), "keys", user, lambda: aws_iam.access_keys(user))
        yield _piece(
            "smtp-keys", user, keys, lambda found: own_side.key_words(found, failed_at), "there is no such user"
        )
        changes = _changes(db, user, asked, at)
        yield _piece("key-changes", user, changes, lambda found: own_side.key_change_words(found, failed_at))
        changes = _with_ours(changes, db, user)
    region = _region(settings, alias)
    secret_id = settings.smtp_secret
    if secret_id:
        versions = asked.ask(
            ("secretsmanager", region), "versions", secret_id, lambda: aws_secrets.secret_versions(region, secret_id)
        )
        yield _piece(
            "secret",
            secret_id,
            versions,
            lambda found: own_side.version_words(found, failed_at),
            "there is no such secret",
        )
    if secret_id and settings.probe and row["genuine"] == "pass":
        login, piece = tried_login(db, row, secret_id, region, alias, settings, asked, at)
        if piece:
            yield piece
    if user or secret_id:
        sender = row["sender"] or ""
        key_id = store.alias_key(db, sender, user, failed_at) if user else None
        first = _first_failure(db, row["sender"], failed_at, changes, key_id)
        ses_knows = "; ".join(f"{e['kind']} {moment_words(moment_from(e['at']), failed_at)}" for e in events) or None
        yield own_side.conclude(
            Known(
                row["cause"],
                first,
                ses_knows,
                keys if keys is not None or not user else [],
                changes,
                versions,
                login,
                store.accepted_through(db, sender, failed_at - ON_RECORD),
                store.alias_failures(db, sender, failed_at - ON_RECORD),
                key_id,
            )
        )


def _alias(address: str | None, gmail: Gmail | None, asked: Asked) -> AliasSetup | NotLookedUp | None:
    if gmail is None:
        return None

    def question() -> list[AliasSetup] | NotLookedUp:
        try:
            return [AliasSetup(a.address, a.host, a.port, a.security) for a in gmail.send_as()]
        except Refused as refusal:
            return NotLookedUp("the aliases in Gmail", refusal.what, "refused")
        except TryLater as error:  # one question of many: it must not end the look-ups of other bounces
            return NotLookedUp("the aliases in Gmail", error.what, "failed")

    found = asked.ask(("gmail", "settings"), "aliases", None, question)
    if isinstance(found, NotLookedUp):
        return found
    if address is None:  # the notice did not say; one alias with a relay of its own must be the one
        outside = [alias for alias in found if alias.host]
        return outside[0] if len(outside) == 1 else None
    return next((alias for alias in found if alias.address.lower() == address.lower()), None)


def _changes(db: Database, user: str, asked: Asked, at: datetime) -> list[KeyChange] | NotLookedUp:
    since = at - ON_RECORD
    return asked.ask(("cloudtrail", GLOBAL_REGION), "changes", user, lambda: aws_iam.key_changes(user, since))


def _with_ours(changes: list[KeyChange] | NotLookedUp, db: Database, user: str) -> list[KeyChange] | NotLookedUp:
    """The changes together with those our own rotations made, which are known even where CloudTrail is not."""
    ours = [KeyChange(key_id, "made inactive", moment, None) for key_id, moment in store.retired_keys(db, user)]
    if isinstance(changes, NotLookedUp):
        return ours or changes
    known = {change.key_id for change in changes if change.change == "made inactive"}
    return changes + [change for change in ours if change.key_id not in known]


def _first_failure(
    db: Database,
    alias: str | None,
    failed_at: datetime,
    changes: list[KeyChange] | NotLookedUp | None,
    key_id: str | None,
) -> datetime:
    """The first failure of the alias, counted from the last time a key of its was switched off."""
    failures = store.alias_failures(db, alias, failed_at - ON_RECORD) if alias else []
    change = own_side.breaking_change(changes, failed_at, key_id)
    since = change.at if change else failed_at - own_side.RECENTLY
    return min((moment for moment in failures if since <= moment <= failed_at), default=failed_at)


def _piece(kind: EvidenceKind, place: str, found: Any, words: Any, absent: str = "") -> Evidence:
    if isinstance(found, NotLookedUp):
        return not_looked_up(kind, place, found.why, is_denied=found.kind == "denied")
    if found is None:
        return Evidence(kind, place, found=False, detail=absent)
    return Evidence(kind, place, found=bool(found), detail=words(found))


def _region(settings: Settings, alias: AliasSetup | NotLookedUp | None) -> str:
    """Where the secret is kept: its ARN says it, else the setting, else the region of the relay."""
    if of_secret := region_of_secret(settings.smtp_secret):
        return of_secret
    of_relay = ses_region_of_host(alias.host) if isinstance(alias, AliasSetup) else None
    return settings.smtp_region or of_relay or next(iter(settings.regions), GLOBAL_REGION)
