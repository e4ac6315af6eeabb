"""What is known of the SMTP login at this moment: keys, secret, alias, and what to watch.

Asks IAM, Secrets Manager and Gmail, each of which may fail without hiding the others. Shows no password.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import Any

from remediation.aws import AccessKey, LastUse, NotLookedUp, access_keys, region_of_secret
from remediation.rotation import Held, age_warnings
from triage.config import Settings
from triage.errors import TriageError
from triage.rotation import turns as rotations
from triage.rotation.hand_over import connector
from triage.rotation.plans import key_ring_of, plan_of

_STAGES = ("AWSCURRENT", "AWSPENDING", "AWSPREVIOUS")


def read_status(settings: Settings, now: datetime) -> dict[str, Any]:
    """Everything as JSON takes it. `complete`: nothing was left out because somebody did not answer.

    Keys: user, keys, secret, stages, alias, warnings, not_looked_up, complete. A key has id, active, created_at,
    age_days, last_used_at, last_used_for, stages.
    """
    plan = plan_of(settings)
    account = key_ring_of(plan)
    problems: list[str] = []
    stages: dict[str, dict[str, Any]] = {}
    versions = account.stages()
    if isinstance(versions, NotLookedUp):
        problems.append(f"{versions.what}: {versions.why}")
    for stage, version_id in versions.items() if isinstance(versions, dict) else ():
        if stage in _STAGES:
            held = account.read(version_id, stage)
            if isinstance(held, NotLookedUp):
                problems.append(f"{held.what}: {held.why}")
            stages[stage] = {
                "version_id": version_id,
                "username": held.username if isinstance(held, Held) else None,
                "has_password": held.password is not None if isinstance(held, Held) else None,
            }
    keys = access_keys(plan.iam_user)
    if isinstance(keys, NotLookedUp):
        problems.append(f"{keys.what}: {keys.why}")
    rows = [_key(key, stages, now, problems) for key in keys] if isinstance(keys, list) else None
    alias = _alias(settings, plan.host, problems)
    return {
        "user": plan.iam_user,
        "keys": rows,
        "secret": plan.secret_id,
        "stages": stages if isinstance(versions, dict) else None,
        "alias": alias,
        "warnings": list(_warnings(settings, rows, keys is None, versions is None, stages, alias, now)),
        "not_looked_up": problems,
        "complete": not problems,
    }


def status_lines(found: dict[str, Any]) -> Iterator[str]:
    """The same for human eyes."""
    yield f"Access keys of {found['user']}:"
    for key in found["keys"] or ():
        used = f"last used {key['last_used_at'][:10]}" if key["last_used_at"] else "no use known"
        used += f" for {key['last_used_for']}" if key["last_used_for"] else ""
        stages = f", in the secret as {', '.join(key['stages'])}" if key["stages"] else ", not in the secret"
        yield f"  {key['id']}  {'Active' if key['active'] else 'Inactive'}, {key['age_days']} days old, {used}{stages}"
    if found["keys"] == []:
        yield "  none"
    yield f"Secret {found['secret']}:"
    for stage, version in (found["stages"] or {}).items():
        yield f"  {stage}  version {version['version_id']}, key {version['username'] or 'not named'}"
    for alias in found["alias"] or ():
        yield f"Alias {alias['address']}: Gmail sends through {alias['host']}:{alias['port']} ({alias['security']})"
    yield from (f"Not looked up: {problem}" for problem in found["not_looked_up"])
    yield from (f"Watch: {warning}" for warning in found["warnings"])


def _key(key: AccessKey, stages: dict[str, dict[str, Any]], now: datetime, problems: list[str]) -> dict[str, Any]:
    use = key.last_use
    if isinstance(use, NotLookedUp):
        problems.append(f"{use.what}: {use.why}")
    used_at = use.at if isinstance(use, LastUse) else None
    return {
        "id": key.id,
        "active": key.active,
        "created_at": key.created_at.isoformat(),
        "age_days": max((now - key.created_at).days, 0),
        "last_used_at": used_at.isoformat() if used_at else None,
        "last_used_for": use.service if isinstance(use, LastUse) else None,
        "stages": [stage for stage, version in stages.items() if version["username"] == key.id],
    }


def _alias(settings: Settings, host: str, problems: list[str]) -> list[dict[str, Any]] | None:
    """The aliases that leave through this server, or are named in the settings; None: Gmail was not asked."""
    connect = connector(settings)
    if connect is None:
        return None
    try:
        with closing(connect()) as gmail:
            entries = gmail.send_as()
    except TriageError as error:
        problems.append(f"the aliases in Gmail: {error.what}")
        return None
    return [
        {"address": entry.address, "host": entry.host, "port": entry.port, "security": entry.security}
        for entry in entries
        if entry.host and (entry.host == host or entry.address.lower() == (settings.smtp_alias or "").lower())
    ]


def _warnings(
    settings: Settings,
    keys: list[dict[str, Any]] | None,
    no_user: bool,
    no_secret: bool,
    stages: dict[str, dict[str, Any]],
    alias: list[dict[str, Any]] | None,
    now: datetime,
) -> Iterator[str]:
    rotation, _ = rotations.stored(settings)
    under_way = rotation is not None and not rotation.is_over
    if no_user:
        yield f"There is no IAM user {settings.smtp_user}."
    if no_secret:
        where = region_of_secret(settings.smtp_secret) or settings.smtp_region
        yield f"There is no secret {settings.smtp_secret} in {where}."
    current = stages.get("AWSCURRENT", {}).get("username")
    active = [key["id"] for key in keys or () if key["active"]]
    if keys is not None and current and current not in active:
        yield f"The secret names key {current}, which is not an Active key of {settings.smtp_user}."
    if len(active) > 1 and not under_way:
        yield "Two keys are Active and no rotation is under way: one of them should go."
    inactive = [key["id"] for key in keys or () if not key["active"]]
    if inactive and not under_way:
        yield (
            f"Key {inactive[0]} is Inactive; if nobody misses it:"
            f" triage credentials rotate start --remove-key {inactive[0]}"
        )
    ages = [(key["id"], now - datetime.fromisoformat(key["created_at"])) for key in keys or () if key["active"]]
    yield from age_warnings(ages)
    wanted = settings.smtp_alias
    if alias is not None and wanted and not any(entry["address"].lower() == wanted.lower() for entry in alias):
        yield f"Gmail has no alias {wanted} that leaves through an outside server."
    host = settings.smtp_host or None
    for entry in alias or ():
        region = settings.smtp_region or ""
        if host is None and region not in entry["host"]:
            yield f"{entry['address']} leaves through {entry['host']}, not in {region}: another password counts there."
