"""What SES and AWS know about a bounce: events drained from the queue, evidence tied to verdicts.

In: stored verdicts. Out: evidence rows, and verdicts of failures that no mail told of.
May import: `triage.store`, `triage.judging`, `triage.gmail`.
"""

from __future__ import annotations

from triage.ses.events import read_again
from triage.ses.evidence import evidence_lines
from triage.ses.tie import Correlated, correlate, take_events
from triage.ses.weighing import judged_again

__all__ = [
    "Correlated",
    "correlate",
    "evidence_lines",
    "judged_again",
    "read_again",
    "take_events",
]
