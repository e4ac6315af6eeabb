"""Tells why a mail bounced, whose move it is, and how to fix it. The public interface is here: see docs/python.md.

Nothing is imported before somebody asks for it: `triage --help` loads this package too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from triage.judging import RECORD_VERSION, Verdict, judge
    from triage.rows import VerdictRecord

__all__ = ["RECORD_VERSION", "Verdict", "VerdictRecord", "judge"]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module 'triage' has no attribute {name!r}")
    return getattr(import_module("triage.rows" if name == "VerdictRecord" else "triage.judging"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
