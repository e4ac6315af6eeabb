"""The fix of a verdict: which names of ours are known for it, and the one place where they are filled in.

A name is known where the settings, Gmail's list of aliases or an event of our own SES tell it. What the mail says only
chooses among these: an address, a region or a user that stands nowhere else leaves a placeholder. A fix is filled when
it is shown, never read back, so that what was learnt since is in it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from parsers.ses_hosts import REGION, ses_region_of_host
from parsers.text import domain_part
from remediation.vendor_limits import ALIASES_END_MONTH, SUCCESSOR

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from remediation.suggest import Names
    from triage.config import Settings

_REGION = re.compile(rf"\b{REGION}\b")


def tells_end(step: str) -> bool:
    """Whether a step says that no repair of an alias outlives a certain month."""
    return ALIASES_END_MONTH in step


def end_of_alias(steps: Iterable[str]) -> str | None:
    """What is said of that in one sentence, wherever the steps are not all told; None: they are about no alias."""
    return f"This way ends in {ALIASES_END_MONTH}: {SUCCESSOR}." if any(map(tells_end, steps)) else None


class OwnAddress(NamedTuple):
    """An address the account sends from, as Gmail lists it; `host` and `port` only of an outside relay."""

    address: str
    host: str | None = None
    port: int | None = None


class OwnAccount(NamedTuple):
    """What Gmail says of the account."""

    mailbox: str
    send_as: tuple[OwnAddress, ...] = ()


class ToldBySes(NamedTuple):
    """What events of our own SES tell about the very mail, or else about the newest mail from the same address."""

    sender: str | None = None
    region: str | None = None
    iam_user: str | None = None
    """Whose credentials sent it; where no event tells, whose login was last renewed."""
    ses_message_id: str | None = None
    """Only of the very mail."""
    access_key_id: str | None = None
    """What the last confirmed renewal left in use."""


def fix_of(record: Mapping[str, Any], names: Names | None = None) -> list[str]:
    """What to do about a verdict, step by step, with the names that are known; None: none is."""
    if not record.get("cause"):
        return []
    from remediation.suggest import NO_NAMES, suggest  # 13 KB of wording that a quiet run does not need

    return suggest(record, names or NO_NAMES)


def names_of(
    record: Mapping[str, Any],
    settings: Settings,
    account: OwnAccount | None = None,
    told: ToldBySes | None = None,
) -> Names:
    """What is known of our own side for the fix of one verdict record."""
    from remediation.suggest import Names

    told = told or ToldBySes()
    said = ((record.get("original") or {}).get("from") or "").lower() or None
    own = {one.address.lower(): one for one in account.send_as} if account else {}
    mine = _own_address(record, said, own)
    addresses = {*own, *(a.lower() for a in (settings.smtp_alias, settings.mailbox, told.sender) if a)}
    alias = mine.address if mine else said if said in addresses else None
    is_set_up = settings.smtp_alias is None or settings.smtp_alias.lower() == (alias or said)
    host, port = (mine.host, mine.port) if mine and mine.host else (None, None)
    if host is None and settings.smtp_host and is_set_up:
        host, port = settings.smtp_host, settings.smtp_port
    of_host = ses_region_of_host(host)
    regions = [
        told.region,
        *settings.regions,
        settings.smtp_region,
        *(ses_region_of_host(one.host) for one in own.values()),
    ]
    return Names(
        mailbox=account.mailbox if account else settings.mailbox,
        alias=alias,
        domain=_own_domain(alias, said, {*filter(None, map(domain_part, addresses)), *settings.domains}),
        smtp_host=host,
        smtp_port=str(port) if port else None,
        region=_login_region(record, of_host)
        or told.region
        or of_host
        or _region(record, list(dict.fromkeys(filter(None, regions)))),
        iam_user=(settings.smtp_user if is_set_up else None) or told.iam_user,
        access_key_id=told.access_key_id,
        ses_message_id=told.ses_message_id,
    )


def _login_region(record: Mapping[str, Any], of_host: str | None) -> str | None:
    """A login belongs to the region of the host it is entered for, wherever else mail of the same address goes."""
    return of_host if record.get("category") == "smtp-credentials" else None


def _own_address(record: Mapping[str, Any], said: str | None, own: Mapping[str, OwnAddress]) -> OwnAddress | None:
    """The address of ours the mail names; of an alias's failure that names none, the only one with a relay."""
    if said is not None or not str(record.get("cause")).startswith("alias-"):
        return own.get(said or "")
    outside = [one for one in own.values() if one.host]
    return outside[0] if len(outside) == 1 else None


def _own_domain(alias: str | None, said: str | None, own: Collection[str]) -> str | None:
    """The domain of ours the mail was sent from; where it names no address, the only one there is."""
    if alias:
        return domain_part(alias)
    if said:
        return domain_part(said) if domain_part(said) in own else None
    return next(iter(own)) if len(own) == 1 else None


def _region(record: Mapping[str, Any], known: Collection[str]) -> str | None:
    """The region of ours the mail names; where it names none, the only one there is."""
    named = {
        (record.get("original") or {}).get("ses_region"),
        ses_region_of_host(record.get("remote_host")),
        *_REGION.findall(str(record.get("diagnostic") or "")[:2000].lower()),
    } - {None}
    fitting = [region for region in known if region in named] if named else known
    return next(iter(fitting)) if len(fitting) == 1 else None
