"""Tells a watcher that a run began and how it ended, so that a human learns of it when the job itself stops.

Speaks as Healthchecks does (https://healthchecks.io/docs/http_api/): ADDRESS/start, then ADDRESS, or ADDRESS/fail.
Takes at most a few seconds and never stops a run. A run that has to be repeated later (Gmail away, another one at work)
is neither a success nor a failure: where that lasts, the watcher misses the success.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from remediation.deadline import within
from triage.errors import TriageError, TryLater

PING_SECONDS = 5.0


@contextmanager
def watched(address: str | None) -> Iterator[None]:
    """Tell the watcher at `address` that the work inside begins and how it ends; None: nobody watches."""
    if address is None:
        yield
        return
    ping(address, "start")
    try:
        yield
    except TryLater:
        raise
    except Exception as error:
        ping(address, "fail", error.what if isinstance(error, TriageError) else type(error).__name__)
        raise
    ping(address)


def ping(address: str, what: str | None = None, words: str = "") -> bool:
    """Send one ping, `words` with it; whether it was taken. The address is a secret and goes into no message."""
    from urllib.parse import urlsplit, urlunsplit
    from urllib.request import Request, urlopen

    with suppress(Exception):  # whatever is wrong with a watcher, the run is more important
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https"):
            return False
        path = parts.path.rstrip("/") + (f"/{what}" if what else "")
        target = urlunsplit(parts._replace(path=path))
        request = Request(target, data=words.encode(), headers={"User-Agent": "bounce-triage"})  # noqa: S310
        with within(PING_SECONDS), urlopen(request, timeout=PING_SECONDS) as answer:  # noqa: S310
            return bool(200 <= answer.status < 300)
    return False
