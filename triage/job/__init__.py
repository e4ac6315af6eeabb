"""What a job that nobody watches needs beside its work: an end.

In: the settings of how long it may take. Out: an end with a sentence in it. May import: what is common ground.
"""

from __future__ import annotations

from triage.job.limit import limited

__all__ = ["limited"]
