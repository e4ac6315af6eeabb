"""Tells a watcher that a run began and how it ended, so that a human learns of it when the job itself stops.

Speaks as Healthchecks does (https://healthchecks.io/docs/http_api/): ADDRESS/start, then ADDRESS, or ADDRESS/fail.
Takes at most a few seconds and never stops a run. A run that has to be repeated later (Gmail away, another one at work)
is neither a success nor a failure: where that lasts, the watcher misses the success.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from remediation.deadline import within
from triage.errors import TriageError, TryLater

PING_SECONDS = 5.0


class Watcher:
    """Who is told that a run began and how it ended."""

    def __init__(self, address: str | None) -> None:
        self._address = address
        self._knows_the_end = False

    def hears(self, what: str | None = None, words: str = "") -> str | None:
        """Tell; returns why that was not possible, None where it was or nobody watches."""
        return ping(self._address, what, words) if self._address else None

    def hears_of_the_end(self) -> str | None:
        """Tell, once, that all went well; one who does not answer is told a second time. Returns why it was in vain."""
        if self._knows_the_end:
            return None
        self._knows_the_end = True
        return self.hears() and self.hears()


@contextmanager
def watched(address: str | None) -> Iterator[Watcher]:
    """Tell the watcher at `address` that the work inside begins and how it ends; None: nobody watches."""
    watcher = Watcher(address)
    watcher.hears("start")
    try:
        yield watcher
    except TryLater:
        raise
    except Exception as error:
        watcher.hears("fail", error.what if isinstance(error, TriageError) else type(error).__name__)
        raise
    watcher.hears_of_the_end()


def ping(address: str, what: str | None = None, words: str = "") -> str | None:
    """Send one ping, `words` with it; returns why it was not taken, None when it was.

    The address is a secret and goes into no message, nor do the words of a library, which may hold it.
    """
    from urllib.error import HTTPError
    from urllib.parse import urlsplit, urlunsplit
    from urllib.request import Request, urlopen

    try:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https"):
            return "its address does not begin with https://"
        path = parts.path.rstrip("/") + (f"/{what}" if what else "")
        target = urlunsplit(parts._replace(path=path))
        request = Request(target, data=words.encode(), headers={"User-Agent": "bounce-triage"})  # noqa: S310
        with within(PING_SECONDS), urlopen(request, timeout=PING_SECONDS) as answer:  # noqa: S310
            # Healthchecks says 200 to an address it does not know, and only in words that it is lost.
            return "it does not know this address" if b"not found" in answer.read(100).lower() else None
    except HTTPError as error:
        error.close()
        return f"it answered with error {error.code}"
    except TimeoutError:
        return f"no answer within {PING_SECONDS:.0f} s"
    except Exception:
        return "no connection"
