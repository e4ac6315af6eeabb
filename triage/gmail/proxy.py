"""The HTTP client all requests to Google go through: over the proxy that the environment names, where it names one.

`https_proxy`, `http_proxy`, `all_proxy` and `no_proxy` count as in curl; what lies on this computer is never asked
through a proxy. A proxy's address may hold a password: it is told to nobody.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

from triage.errors import ConfigError

_HERE = ("localhost", "127.0.0.1", "::1", "[::1]")
_SCHEMES = ("http", "https", "socks", "socks4", "socks5")


def open_http(timeout_seconds: float) -> Any:
    """A client (httplib2.Http) for one thread. Raises ConfigError for a proxy's address that cannot be used."""
    import httplib2

    for variable in _named():
        _refuse_unusable(variable, os.environ[variable])
    return httplib2.Http(timeout=timeout_seconds, proxy_info=_proxy)


def proxy_in_use() -> str | None:
    """The variable that sends requests to Google through a proxy; None: nothing does."""
    return next(iter(_named()), None)


def _named() -> list[str]:
    names = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    return [name for name in names if os.environ.get(name)][:1]


def _proxy(scheme: str) -> Any:
    """What httplib2 asks for at each new connection; `scheme` is that of the request."""
    import httplib2

    found = httplib2.proxy_info_from_environment(scheme)
    if found is None and (variable := proxy_in_use()):
        found = httplib2.proxy_info_from_url(os.environ[variable], scheme, noproxy=None)
    if found is not None and found.bypass_hosts is not httplib2.AllHosts:
        found.bypass_hosts = (*found.bypass_hosts, *_HERE)
    return found


def _refuse_unusable(variable: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in _SCHEMES and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ConfigError(
            f"The environment variable {variable} names no proxy that can be used.",
            "Write http://HOST:PORT (or socks5://HOST:PORT), or take it out.",
        )
    try:
        import socks  # noqa: F401 - httplib2 needs it for any proxy
    except ImportError:
        raise ConfigError(
            f"{variable} is set, and the library for proxies is missing.", "Run `pip install pysocks`."
        ) from None
