"""Why mail from an alias did not get past its relay: which credentials, which change of them, since when.

Pure: takes what Gmail, IAM, CloudTrail, Secrets Manager and a login said, gives a conclusion in words: proven, likely
or unknown. Asks nobody. Never says more than was seen: Gmail does not tell which key it holds, and a refused login
alone proves no bad password (too many failures or a blocked address answer 535 as well).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from parsers.ses_hosts import ses_region_of_host
from remediation import CREDENTIAL_CAUSES
from remediation.aws import AccessKey, KeyChange, LastUse, NotLookedUp, SecretVersion
from remediation.vendor_limits import ALIASES_END
from triage.model import Evidence
from triage.rows import Result
from triage.ses.evidence import moment_words

RECENTLY = timedelta(days=30)
"""How long before the first failure a change may lie and still be likely to have caused it."""


@dataclass(frozen=True, slots=True)
class AliasSetup:
    """A "Send mail as" address as Gmail has it set up. `host` None: it leaves through Gmail itself."""

    address: str
    host: str | None
    port: int | None
    security: str | None


@dataclass(frozen=True, slots=True)
class LoginTried:
    """What a login with the stored credentials came to. `accepted` None: the relay could not tell."""

    accepted: bool | None
    why: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """What was found about an alias failure; None: not asked for, or not there."""

    cause: str | None
    first_failure_at: datetime
    """The first failure of this alias since its credentials last changed."""
    ses_knows: str | None = None
    """What SES published about the very message, in words: then it did get past the relay."""
    keys: Sequence[AccessKey] | NotLookedUp | None = None
    changes: Sequence[KeyChange] | NotLookedUp | None = None
    versions: Sequence[SecretVersion] | NotLookedUp | None = None
    login: LoginTried | NotLookedUp | None = None


def alias_words(alias: AliasSetup, now: datetime) -> str:
    """How an alias is set up in Gmail, and how long that will go on."""
    if alias.host is None:
        return f"{alias.address} leaves through Gmail itself, not through a relay of its own"
    region = ses_region_of_host(alias.host)
    relay = f"Amazon SES in {region}" if region else "not Amazon SES"
    way = f"{alias.host}:{alias.port or 'unknown port'} ({alias.security or 'security unknown'}), {relay}"
    end = "ends in January 2027" if now < ALIASES_END else "has ended since January 2027"
    return f"{alias.address} leaves through {way}; for personal accounts Google's support of such relays {end}"


def key_words(keys: Sequence[AccessKey], beside: datetime) -> str:
    """The keys of a user, the oldest first."""
    if not keys:
        return "the user has no access key at all"
    return "; ".join(_one_key(key, beside) for key in keys)


def key_change_words(changes: Sequence[KeyChange], beside: datetime) -> str:
    """What was done to keys, the oldest first."""
    if not changes:
        return "no key was made, switched or deleted in the time that is on record"
    return "; ".join(
        f"{change.short_id} {change.change} {moment_words(change.at, beside)}"
        + (f" by {change.by}" if change.by else "")
        for change in changes
    )


def version_words(versions: Sequence[SecretVersion], beside: datetime) -> str:
    """When the secret got the versions that are in use."""
    return (
        "; ".join(
            f"{'/'.join(version.stages) or 'no stage'} since {moment_words(version.created_at, beside)}"
            for version in versions
            if version.stages
        )
        or "it has no version in use"
    )


def breaking_change(changes: Sequence[KeyChange] | NotLookedUp | None, before: datetime) -> KeyChange | None:
    """The last time a key was made inactive or deleted before this moment, and not made active again."""
    if changes is None or isinstance(changes, NotLookedUp):
        return None
    lost: dict[str, KeyChange] = {}
    for change in sorted(changes, key=lambda change: change.at):
        if change.at > before:
            break
        if change.change in ("made inactive", "deleted"):
            lost.setdefault(change.key_id, change)  # deleted later: it was out of use before that
        else:
            lost.pop(change.key_id, None)
    return max(lost.values(), key=lambda change: change.at, default=None)


def conclude(known: Known) -> Evidence:
    """Say what broke the alias, with how much certainty, and what that rests on."""
    result, words = _conclusion(known)
    return Evidence("own-side", found=result != "unknown", detail=words, result=result)


def _conclusion(known: Known) -> tuple[Result, str]:
    first = known.first_failure_at
    failed = f"first failure {moment_words(first, first)}"
    login = known.login if isinstance(known.login, LoginTried) else None
    if known.ses_knows:
        return "unknown", f"SES did take this mail ({known.ses_knows}), so its relay let the alias in at that time"
    if known.cause not in CREDENTIAL_CAUSES:
        return _not_the_credentials(login, failed)
    change = breaking_change(known.changes, first)
    if change:
        words = f"key {change.short_id} was {change.change} on {moment_words(change.at, first)}; {failed}"
        # Weeks of mail that got through in between speak against it.
        return ("proven" if first - change.at <= RECENTLY else "likely"), words
    if login and login.accepted is False:
        return "proven", f"the relay refuses the stored credentials too, {moment_words(login.at, first)}: {login.why}"
    likely = _likely(known)
    if login and login.accepted:
        stored = f"the relay accepts the stored credentials ({moment_words(login.at, first)}), so Gmail holds others"
        return "likely", "; ".join([stored, *likely, failed])
    if likely:
        return "likely", "; ".join([*likely, failed])
    return "unknown", f"{_nothing(known)}; {failed}"


def _not_the_credentials(login: LoginTried | None, failed: str) -> tuple[Result, str]:
    if login and login.accepted:
        return "unknown", f"the relay accepts the stored credentials now, so what stopped it may have passed; {failed}"
    if login:
        return "likely", f"the relay does not let us in either: {login.why}; {failed}"
    return "unknown", f"the relay was not asked (setting `probe`); {failed}"


def _likely(known: Known) -> list[str]:
    """What changed shortly before, where no record says that a key in use was switched off."""
    first, found = known.first_failure_at, []
    keys = known.keys if isinstance(known.keys, Sequence) else ()
    for key in keys:
        used = key.last_use.at if isinstance(key.last_use, LastUse) else None
        if not key.active and key.created_at <= first and (used is None or used <= first):
            when = f", last used {moment_words(used, first)}" if used else ""
            found.append(f"key {key.short_id} is inactive{when} (IAM does not say since when)")
    for key in keys:
        if key.active and timedelta(0) <= first - key.created_at <= RECENTLY:
            found.append(f"key {key.short_id} is new since {moment_words(key.created_at, first)}")
    if known.keys is not None and not isinstance(known.keys, NotLookedUp) and not keys:
        found.append("the SMTP user has no access key any more")
    for version in known.versions if isinstance(known.versions, Sequence) else ():
        if "AWSCURRENT" in version.stages and timedelta(0) <= first - version.created_at <= RECENTLY:
            found.append(f"the stored secret was changed on {moment_words(version.created_at, first)}")
    return found


def _nothing(known: Known) -> str:
    asked = [part for part in (known.keys, known.changes, known.versions, known.login) if part is not None]
    missing = [part for part in asked if isinstance(part, NotLookedUp)]
    if not asked:
        return "nothing could be asked: set `smtp_user` to the IAM user of the SMTP credentials"
    if len(missing) == len(asked):
        return f"nothing could be looked up: {missing[0].why}"
    return "the keys and the secret show no change shortly before"


def _one_key(key: AccessKey, beside: datetime) -> str:
    if isinstance(key.last_use, NotLookedUp):
        use = f"last use not looked up: {key.last_use.why}"
    elif key.last_use.at is None:
        use = "no use known to IAM, where a login alone may not count"
    else:
        where = " ".join(part for part in (key.last_use.service, key.last_use.region) if part)
        use = f"last used {moment_words(key.last_use.at, beside)}" + (f" ({where})" if where else "")
    state = "active" if key.active else "inactive"
    return f"{key.short_id} {state}, created {moment_words(key.created_at, beside)}, {use}"
