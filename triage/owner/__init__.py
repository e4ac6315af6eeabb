"""What a person asks for by hand: doctor, explain, browse, schedule, rejudge. A module for each.

In: settings, files, the store. Out: lines and checks for the command line to print.
May import: every room but the command line.
"""

from __future__ import annotations

__all__ = [
    "audit_report",
    "browse",
    "doctor",
    "doctor_aws",
    "explain_lookup",
    "rejudge",
    "retry",
    "schedule",
]
