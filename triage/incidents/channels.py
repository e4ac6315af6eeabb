"""The ways to tell the owner something: the inbox itself, and whatever Apprise knows. Hands one message over.

The address of a way is a secret: it goes into no message, no log and not into the database. Plans nothing, records
nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from remediation.deadline import within
from triage.config import Settings

INBOX = "inbox"

APPRISE_SECONDS = 30.0
"""For one message, whatever service takes it."""


@dataclass(frozen=True, slots=True)
class Channel:
    """Where to tell it. `name` is harmless, `address` a secret; None is the inbox."""

    name: str
    address: str | None = None


def channels_of(settings: Settings) -> list[Channel]:
    """The channels of the settings; one address is named by its kind and a fingerprint."""
    found = [Channel(INBOX)] if settings.alert_inbox else []
    for address in dict.fromkeys(settings.alerts):
        kind = re.sub(r"[^a-z0-9]", "", address.partition(":")[0].lower())[:20] or "address"
        found.append(Channel(f"{kind}-{hashlib.sha256(address.encode()).hexdigest()[:8]}", address))
    return found


def push(address: str, title: str, body: str, occasion: str) -> str | None:
    """Hand one message to Apprise; returns why it was not taken, None when it was. Never raises."""
    import logging
    import warnings

    heard: list[str] = []

    def keep(record: logging.LogRecord) -> bool:
        heard.append(record.getMessage())
        return False  # what Apprise logs may hold the address

    log = logging.getLogger("apprise")
    log.addFilter(keep)
    try:
        # What its plugins warn of when they are imported is none of the user's business.
        with warnings.catch_warnings(action="ignore"), within(APPRISE_SECONDS):
            return _handed_to_apprise(address, title, body, occasion, heard)
    except Exception as error:
        return f"Apprise failed ({type(error).__name__})"  # its own words may hold the address
    finally:
        log.removeFilter(keep)


def _handed_to_apprise(address: str, title: str, body: str, occasion: str, heard: Sequence[str]) -> str | None:
    """Returns why it was not taken; `heard` fills with what Apprise logs meanwhile."""
    import apprise

    asset = apprise.AppriseAsset(app_id="bounce-triage", app_desc="Bounce triage", app_url="", async_mode=False)
    warning = apprise.NotifyType.WARNING
    kinds = {
        "closed": apprise.NotifyType.SUCCESS,
        "test": apprise.NotifyType.INFO,
        "reminder": warning,
        "rotation": warning,
    }
    teller = apprise.Apprise(asset=asset)
    if not teller.add(address):
        return "Apprise does not understand the address, see https://github.com/caronc/apprise/wiki"
    was_taken = teller.notify(
        title=title,
        body=body,
        body_format=apprise.NotifyFormat.TEXT,
        notify_type=kinds.get(occasion, apprise.NotifyType.FAILURE),
    )
    return None if was_taken else f"it was not taken: {_why_not(heard)}"


def _why_not(heard: Sequence[str]) -> str:
    """What Apprise said about it, cut to what cannot hold an address."""
    text = " ".join(heard)
    if code := re.search(r"error=(\d{3})\b", text):
        return f"the service answered with error {code[1]}"
    return "no connection" if "onnection error" in text else "Apprise does not say why"
