"""Many bounces with one remedy: incidents, the signs that end them, and telling a human.

In: verdicts and signs in the store. Out: incidents that open, grow and close; alerts.
May import: `triage.store`, `triage.gmail`, `triage.judging`, `triage.letters`.
"""

from __future__ import annotations

from triage.incidents.alerts import facts_of
from triage.incidents.channels import Channel, channels_of
from triage.incidents.pings import watched
from triage.incidents.signs import look_for_sends
from triage.incidents.words import clicks, duration_words, incident_lines, what_fails

__all__ = [
    "Channel",
    "alerts",
    "channels_of",
    "clicks",
    "duration_words",
    "facts_of",
    "incident_lines",
    "look_for_sends",
    "trial",
    "watched",
    "what_fails",
]
