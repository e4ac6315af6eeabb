"""The renewal of the SMTP login as the user sees it: commands, evidence from the mailbox, the hand-over.

In: settings and wishes. Out: where the rotation stands and what the user does next.
May import: `triage.store`, `triage.gmail`, `triage.letters`, `remediation.rotation`.
"""

from __future__ import annotations

from triage.rotation.plans import key_ring_of, plan_of, relay_of
from triage.rotation.status import read_status, status_lines
from triage.rotation.turns import Standing, Wishes
from triage.rotation.under_way import Watch

__all__ = [
    "Standing",
    "Watch",
    "Wishes",
    "hand_over",
    "key_ring_of",
    "plan_of",
    "read_status",
    "relay_of",
    "status_lines",
    "turns",
    "under_way",
]
