"""Judges archives: files of any size, here or in a store of objects, become parts of Parquet or JSON lines.

In: paths, a folder for the parts, workers (processes here, or a Dask cluster). Out: what came of each part.
May import: `triage.judging` and the modules of `triage`.
"""

from __future__ import annotations

from triage.archive.cluster import dask_workers
from triage.archive.judge import Archive
from triage.archive.output import form_of, open_output

__all__ = ["Archive", "dask_workers", "form_of", "open_output"]
