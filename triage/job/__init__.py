"""What a job that nobody watches needs beside its work: an end in time, and how long its parts took.

In: how long it may take. Out: an end with a sentence in it, and seconds. May import: what is common ground.
"""

from __future__ import annotations

from triage.job.limit import limited
from triage.job.stopwatch import Stopwatch

__all__ = ["Stopwatch", "limited"]
