"""What a run tells machines that watch it: a line in a log, and a file of figures.

In: how a run ended, and its settings. Out: files, or why they could not be written.
May import: the store. No mail contents and no secret go through here.
"""

from __future__ import annotations

from triage.monitor.log import run_record
from triage.monitor.told import tell_monitors

__all__ = ["run_record", "tell_monitors"]
