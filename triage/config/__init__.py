"""The settings: what each may be, and where each value comes from.

In: triage.toml, the environment, the command line. Out: `Settings`, or one ConfigError that tells all that is wrong.
May import: the modules of `triage`. Open to every room of it.
"""

from __future__ import annotations

from triage.config.load import (
    CONFIG_VARIABLE,
    ENV_PREFIX,
    Sourced,
    find_config,
    load_settings,
    mailbox_settings,
    source_settings,
)
from triage.config.mailboxes import MailboxSettings
from triage.config.settings import Settings, is_secret, settings_table

__all__ = [
    "CONFIG_VARIABLE",
    "ENV_PREFIX",
    "MailboxSettings",
    "Settings",
    "Sourced",
    "find_config",
    "is_secret",
    "load_settings",
    "mailbox_settings",
    "settings_table",
    "source_settings",
]
