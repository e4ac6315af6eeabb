"""What the settings say a renewal of the SMTP login is about: which user, which secret, which server."""

from __future__ import annotations

from parsers.ses_hosts import relay_host
from remediation.aws import region_of_secret
from remediation.credentials import Relay, usual_security
from remediation.rotation import KeyRing, Plan, Rotation
from triage.config import Settings
from triage.errors import ConfigError


def plan_of(settings: Settings) -> Plan:
    """What the settings say a rotation is about. Raises ConfigError where they do not."""
    missing = [name for name in ("smtp_user", "smtp_secret", "smtp_region") if getattr(settings, name) is None]
    if missing:
        raise ConfigError(
            f"The settings do not say {', '.join(missing)}.",
            "Write into triage.toml: smtp_user (the IAM user), smtp_secret (its secret), smtp_region (of the server).",
        )
    user, secret, region = settings.smtp_user, settings.smtp_secret, settings.smtp_region
    assert user is not None
    assert secret is not None
    assert region is not None
    relay = relay_of(settings)
    return Plan(user, secret, region, relay.host, relay.port, relay.security, settings.smtp_alias)


def relay_of(settings: Settings) -> Relay:
    """The SMTP server the settings name, or the one of their region. Raises ConfigError where neither is given."""
    host = settings.smtp_host or (relay_host(settings.smtp_region) if settings.smtp_region else None)
    if host is None:
        raise ConfigError("The settings name no SMTP server.", "Set smtp_region (or smtp_host) in triage.toml.")
    security = settings.smtp_security or usual_security(settings.smtp_port)
    if security not in ("starttls", "ssl"):
        raise ConfigError(f"smtp_security = {security!r} is neither starttls nor ssl.", "Write one of the two.")
    return Relay(host, settings.smtp_port, "ssl" if security == "ssl" else "starttls", settings.smtp_ca_file)


def key_ring_of(plan: Plan | Rotation) -> KeyRing:
    """The AWS side of a rotation."""
    return KeyRing(plan.iam_user, plan.secret_id, region_of_secret(plan.secret_id) or plan.region)
