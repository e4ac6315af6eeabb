"""Drafts that leave another way than through Gmail: labelled by the owner, sent once, filed under Sent.

In: settings, Gmail, a relay. Out: what became of each labelled draft. Sends nothing without the owner's own mark on it.
May import: `triage.store`, `triage.gmail`, `triage.letters`, `triage.resend` (the bytes of a mail), `remediation.aws`.
"""

from __future__ import annotations

from triage.outbox.desk import Desk
from triage.outbox.looking import poll, would_send
from triage.outbox.migrate import migration
from triage.outbox.relay import Hindrance, WayOut
from triage.outbox.ways import way_out

__all__ = [
    "Desk",
    "Hindrance",
    "WayOut",
    "migration",
    "poll",
    "way_out",
    "would_send",
]
