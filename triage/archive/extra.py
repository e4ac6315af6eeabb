"""The libraries of the extra `[cluster]`: whether they are there. Nothing here loads them."""

from __future__ import annotations

from importlib.util import find_spec

from triage.errors import ConfigError

INSTALL_EXTRA = "Install it beside triage: pip install 'bounce-triage[cluster]'"


def need_extra(library: str, why: str) -> None:
    """Raise ConfigError where a library of the extra is not installed; `why` says what needs it."""
    if find_spec(library) is None:
        raise ConfigError(f"{why} needs {library}, which is not installed.", INSTALL_EXTRA)
