"""Tries the stored login once, to tell a relay that refuses it from a Gmail that holds another one.

Offers it to no server that only a mail names, and not again and again. Reads the password for that alone, and hands it
to nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from parsers.ses_hosts import relay_host, ses_region_of_host
from parsers.times import moment_from
from remediation.aws import NotLookedUp, region_of_secret
from remediation.aws import secrets as aws_secrets
from triage import store
from triage.config import Settings
from triage.model import Evidence, not_looked_up
from triage.rows import EvidenceRow
from triage.ses.asked import Asked
from triage.ses.own_side import AliasSetup, LoginTried

if TYPE_CHECKING:
    from sqlite_utils import Database

LOGIN_KEPT = timedelta(days=90)
"""How long a login is remembered where no incident says whether it is still the same trouble."""
LOGIN_AGAIN = timedelta(days=1)


def tried_login(
    db: Database,
    row: Mapping[str, Any],
    secret_id: str,
    region: str,
    alias: AliasSetup | NotLookedUp | None,
    settings: Settings,
    asked: Asked,
    at: datetime,
) -> tuple[LoginTried | NotLookedUp | None, Evidence | None]:
    """What the stored login came to for one alias failure, and the piece of evidence to write; None: none of it.

    `region` is that of the secret, `alias` what Gmail says of the address the mail names as its sender.
    """
    known = store.last_login(db, row["sender"], at - LOGIN_KEPT)
    if known and (login := _covered(known, moment_from(row["received_at"]), at)):
        if known["verdict_id"] == row["id"]:
            return login, None
        # Without a result: it was not tried for this mail, and must not count as a login after this failure.
        return login, Evidence(
            "live-login", found=bool(login.accepted), detail=f"tried for an earlier mail: {login.why}"
        )
    place = _place(alias, row["sender"], settings)
    if isinstance(place, str):
        return None, Evidence("live-login", found=False, detail=f"no login was tried: {place}")
    tried = _tried(place, secret_id, region, settings, asked, at)
    return tried, _piece(tried)


def _covered(known: EvidenceRow, failed_at: datetime, at: datetime) -> LoginTried | None:
    """The login that was tried before, where it does for this failure too; None: it is time for another.

    Once for an incident, and again only for a failure that came later, a day later at the earliest: logins that are
    refused again and again get this computer blocked.
    """
    tried_at = moment_from(known["looked_up_at"])
    if failed_at > tried_at and at - tried_at > LOGIN_AGAIN:
        return None
    accepted = {"accepted": True, "refused": False}.get(known["result"] or "")
    return LoginTried(accepted, known["detail"] or known["not_looked_up_why"] or "", tried_at)


def _tried(
    place: tuple[str, int], secret_id: str, region: str, settings: Settings, asked: Asked, at: datetime
) -> LoginTried | NotLookedUp:
    """Log in once with the stored credentials."""
    host, port = place

    def question() -> LoginTried | NotLookedUp:
        from remediation.credentials import Login, Relay, check_login, usual_security

        held = aws_secrets.secret_login(region, secret_id)
        if isinstance(held, NotLookedUp):
            return held
        if held is None:
            return NotLookedUp("the stored login", "there is no such secret", "refused")
        relay = Relay(host, port, usual_security(port), settings.smtp_ca_file)
        check = check_login(Login(held.username, held.password), relay)
        if check.fault is not None and check.reply_code is None and check.fault != "credential":
            return NotLookedUp("the login", f"{host}:{port}: {check.why}", "refused")  # it did not come to a login
        # What is wrong with the identity is said after the login was accepted.
        accepted = True if check.fault in (None, "identity") else False if check.fault == "credential" else None
        return LoginTried(accepted, f"{host}:{port}: {check.why}", at)

    return asked.ask(("secretsmanager", region), "login", (secret_id, host), question)


def _place(alias: AliasSetup | NotLookedUp | None, sender: str | None, settings: Settings) -> tuple[str, int] | str:
    """Host and port the stored login may be offered to: those of the settings, never any that a mail names.

    A text: why there is none. The alias must be the one of the settings, or one of Gmail's that leaves through SES in
    a region of the settings.
    """
    address = alias.address if isinstance(alias, AliasSetup) else sender
    wanted, named = (settings.smtp_alias or "").lower(), (address or "").lower()
    if wanted and named != wanted:
        return f"the stored login is for {wanted}, not for {named or 'an unnamed alias'}"
    of_secret = region_of_secret(settings.smtp_secret)
    regions = [region for region in (settings.smtp_region, of_secret, *settings.regions) if region]
    if not isinstance(alias, AliasSetup):
        if not wanted:
            return "Gmail tells of no such alias, and `smtp_alias` does not say which one the login is for"
        host = settings.smtp_host or (relay_host(regions[0]) if regions else None)
        return (host, settings.smtp_port) if host else "no setting names the server (`smtp_region` or `smtp_host`)"
    if alias.host is None:
        return f"{address} leaves through Gmail itself"
    host = alias.host.lower()
    is_ours = host == settings.smtp_host.lower() if settings.smtp_host else ses_region_of_host(host) in regions
    if not is_ours:
        return f"Gmail sends from {address} through {host}, which is not the server of the settings"
    return host, alias.port or settings.smtp_port


def _piece(login: LoginTried | NotLookedUp) -> Evidence:
    if isinstance(login, NotLookedUp):
        return not_looked_up("live-login", None, login.why, is_denied=login.kind == "denied")
    if login.accepted is None:
        return Evidence("live-login", not_looked_up_why=login.why, result="unknown")
    return Evidence(
        "live-login",
        found=login.accepted,
        detail=f"the stored credentials are {'accepted' if login.accepted else 'refused'}: {login.why}",
        result="accepted" if login.accepted else "refused",
    )
