"""Which way out the settings name."""

from __future__ import annotations

from remediation.credentials import Relay, usual_security
from triage.config import Settings
from triage.errors import ConfigError
from triage.outbox.relay import WayOut, ses_relay
from triage.outbox.submission import read_login, smtp_way_out


def way_out(settings: Settings) -> WayOut:
    """Amazon SES, or the server that is set in its place. Raises ConfigError where something is missing."""
    if not settings.outbox_from:
        raise ConfigError("No address to send as.", 'Set `outbox_from = ["admin@example.org"]` in triage.toml.')
    if settings.outbox_host:
        return _server(settings, settings.outbox_host)
    region = settings.smtp_region or next(iter(settings.regions), None)
    if region is None:
        raise ConfigError("Which region of SES?", 'Set `smtp_region = "us-east-1"` in triage.toml.')
    return ses_relay(region)


def _server(settings: Settings, host: str) -> WayOut:
    if settings.outbox_login is None:
        raise ConfigError(
            "No login for `outbox_host`.", 'Set `outbox_login = "outbox.json"`, a file only you can read.'
        )
    relay = Relay(host, settings.outbox_port, usual_security(settings.outbox_port), settings.smtp_ca_file)
    return smtp_way_out(relay, read_login(settings.outbox_login))
