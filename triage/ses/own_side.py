"""Why mail from an alias did not get past its relay: which credentials, which change of them, since when.

Pure: takes what Gmail, IAM, CloudTrail, Secrets Manager and a login said, gives a conclusion in words: proven, likely
or unknown. Asks nobody. Never says more than was seen: Gmail does not tell which key it holds, and a refused login
alone proves no bad password (too many failures or a blocked address answer 535 as well).

Proven means: the key that was lost was in use by the alias, the failures began after that, and no mail of the alias was
taken since. Each of these can be shown to be otherwise later, and then the conclusion says so.
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

_SENDS = frozenset({"ses", "email"})
"""IAM's names for SES, in what it tells of the last use of a key."""
_BESIDE = timedelta(days=1)
"""How long two keys may be in use beside each other while one takes the place of the other."""


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
    accepted: Sequence[datetime] = ()
    """When the relay took mail of this alias, or its login."""
    failures: Sequence[datetime] = ()
    """When mail of this alias failed; the one it is about need not be among them."""
    alias_key: str | None = None
    """The id of the key the alias is on record to use; None: there is no record."""


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


def breaking_change(
    changes: Sequence[KeyChange] | NotLookedUp | None, before: datetime, key_id: str | None = None
) -> KeyChange | None:
    """The last time a key was made inactive or deleted before this moment, and not made active again.

    That of the key `key_id` counts before that of any other.
    """
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
    if key_id in lost:
        return lost[key_id]
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
    change = breaking_change(known.changes, first, known.alias_key)
    if change:
        return _after_change(known, change, f"{_what_was_done(change, first)}; {failed}")
    if login and login.accepted is False:
        words = f"the relay refuses the stored credentials too, {moment_words(login.at, first)}: {login.why}"
        return _unless_accepted(known, first, f"{words}; {failed}", _TRY)
    likely = _likely(known)
    if login and login.accepted:
        stored = f"the relay accepts the stored credentials ({moment_words(login.at, first)}), so Gmail holds others"
        return "likely", "; ".join([stored, *likely, failed])
    if likely:
        return "likely", "; ".join([*likely, failed])
    return "unknown", f"{_nothing(known)}; {failed}"


def _what_was_done(change: KeyChange, first: datetime) -> str:
    return f"key {change.short_id} was {change.change} on {moment_words(change.at, first)}"


def _after_change(known: Known, change: KeyChange, words: str) -> tuple[Result, str]:
    """What follows from the loss of a key: proven where all three conditions hold, else likely, or refuted."""
    first = known.first_failure_at
    missing = _no_use(known, change)
    if missing is None and first - change.at > RECENTLY:
        missing = f"the failures began only {(first - change.at).days} days later"
    if missing is None and (earlier := _failing_before(known, change)):
        missing = f"the alias failed already on {moment_words(earlier, first)}"
    if missing is None and not any(at > change.at for at in known.accepted):
        return "proven", words
    return _unless_accepted(known, change.at, f"{words}; {missing}" if missing else words, _COMPARE)


def _failing_before(known: Known, change: KeyChange) -> datetime | None:
    """The last failure shortly before the change, where no mail was taken between the two; None: there is none."""
    before = max((at for at in known.failures if at < change.at), default=None)
    if before is None or change.at - before > RECENTLY or any(before < at <= change.at for at in known.accepted):
        return None
    return before


def _unless_accepted(known: Known, since: datetime, words: str, decide: str) -> tuple[Result, str]:
    """Likely, with what would decide it; unless mail of the alias was taken in between, which refutes it."""
    first = known.first_failure_at
    last = max(known.failures, default=first)
    between = [at for at in known.accepted if since < at <= last]
    if between:
        when = moment_words(max(between), first)
        return "unknown", f"{words}; refuted: the relay took mail of the alias on {when}, so its login was good then"
    after = [at for at in known.accepted if at > last]
    if after:
        when = moment_words(min(after), first)
        words += f"; the relay took mail of the alias again on {when}: repaired by then, or this was not the cause"
    return "likely", f"{words}; {decide}"


_COMPARE = "what would decide it: the user name in Gmail's settings of the alias is the id of the key it uses"
_TRY = "what would decide it: save the alias in Gmail with the stored login"


def _no_use(known: Known, change: KeyChange) -> str | None:
    """Why it is not known that the alias used the lost key; None: it is."""
    if known.alias_key is not None:
        return None if known.alias_key == change.key_id else "the alias is on record to use another key"
    keys = known.keys if isinstance(known.keys, Sequence) else ()
    key = next((key for key in keys if key.id == change.key_id), None)
    if key is None:
        return "whether that key was in use cannot be seen any more"
    if isinstance(key.last_use, NotLookedUp):
        return "the last use of that key was not looked up"
    if key.last_use.at is None:
        return "that key was never used, as far as IAM knows"
    if key.last_use.service and key.last_use.service.lower() not in _SENDS:
        return f"that key was last used for {key.last_use.service}"
    used = key.last_use.at
    later = next((other for other in keys if other.active and _is_later(used, other.last_use, known)), None)
    return f"key {later.short_id}, which is active, was used after that one" if later else None


def _is_later(used: datetime, other: LastUse | NotLookedUp, known: Known) -> bool:
    """Whether another key was in use when the lost one no longer was; after a failure it may be a repair."""
    at = other.at if isinstance(other, LastUse) else None
    return at is not None and used + _BESIDE < at <= known.first_failure_at


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
