"""One connection to Gmail: signs requests, sends them, meters them, and turns what goes wrong into our own errors.

Knows which request may be repeated and which must not, but nothing of mails and labels. Google's libraries are imported
inside functions, because importing them costs more than all the rest of a command.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

from remediation.deadline import patience, within
from triage.addresses import google_or_here
from triage.errors import ConfigError, TriageError
from triage.gmail import sign_in as gmail_auth
from triage.gmail.answers import OutcomeUnknown, Pace, Passing, Quota, no_answer, read_refusal, try_again
from triage.gmail.proxy import open_http, proxy_in_use
from triage.gmail.renewal import RenewedSignIn, is_refusal, is_token, read_renewal, sign_in_ends_at

_T = TypeVar("_T")

LARGEST_ANSWER = 64_000_000
"""Of one answer, where nobody asks for less: the largest mail Gmail sends (25 MB), in base64 twice over."""
_PART = 1 << 16
PAGE_SIZE = 500
"""The most that Gmail lists at once."""
CALL_SECONDS = 120.0
"""For all of one request, however slowly its answer drips in: ten mails over a poor line."""


class AnswerTooLarge(Exception):  # noqa: N818 - named for what is the matter
    """An answer is larger than what may be held; what was asked for is at fault, not Gmail."""


class Wire:
    """A signed-in connection; not thread-safe, as httplib2 is not. `service` is Google's client, `quota` the meter."""

    def __init__(self, token: Path, url: str | None, timeout_seconds: float, pace: Pace) -> None:
        self.quota = Quota()
        self._pace = replace(pace, sleep=self._counted(pace.sleep))
        self._token = token
        self._signed_in = gmail_auth.load_token(token)
        self._saved_token = self._signed_in.token
        self.sign_in_mark = gmail_auth.mark_of(self._signed_in)
        gmail_auth.hush()
        from google_auth_httplib2 import AuthorizedHttp, Request
        from googleapiclient.discovery import build_from_document
        from googleapiclient.discovery_cache import get_static_doc

        # The bundled document: no network. client_options.api_endpoint would leave batches at Google's address.
        document = json.loads(get_static_doc("gmail", "v1"))
        if url:
            document["rootUrl"] = google_or_here(url, "gmail_url").rstrip("/") + "/"
        document.pop("mtlsRootUrl", None)
        self._is_secure = document["rootUrl"].startswith("https:")
        self._http = open_http(timeout_seconds)
        self.most_bytes = LARGEST_ANSWER
        self._connection = _connection(self._is_secure, self, timeout_seconds)
        self.told_at: datetime | None = None
        """The time by Gmail's clock, when it answered last (RFC 9110 6.6.1); None: it did not say."""
        self._http.request = partial(self._counted_request, self._http.request)
        renew, request = self._signed_in.refresh, Request(self._http)
        self._renewal: RenewedSignIn | None = None

        def noted(*args: Any, **named: Any) -> Any:
            answer = request(*args, **named)
            if not (is_token if answer.status == 200 else is_refusal)(answer.data):
                # The library takes whatever comes for what it should be: a proxy's page, half an answer.
                raise no_answer("its sign-in server gave an answer that is none")
            self._renewal = read_renewal(answer.headers, answer.data, pace.now()) or self._renewal
            return answer

        # The client would renew the sign-in of a batch over a connection of its own, without a timeout.
        self._signed_in.refresh = lambda _: renew(noted)
        self._authorized = AuthorizedHttp(self._signed_in, http=self._http)
        self.service = build_from_document(document, http=self._authorized)

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        self._http.close()

    def renew(self) -> RenewedSignIn | None:
        """Renew the sign-in now, due or not, and give what Google said; None: it said nothing that can be read."""
        self._signed_in.token = None
        self.repeat(lambda: None)
        return self._renewal

    def call(self, request: Any) -> Any:
        """Send one request that may be repeated without harm, until it is answered."""

        def send() -> Any:
            self.quota.charge(request.methodId)
            return _whole(request.execute(num_retries=0))

        return self.repeat(send)

    def _counted(self, sleep: Callable[[float], None]) -> Callable[[float], None]:
        """The same wait before a further try, with the meter running."""

        def wait(seconds: float) -> None:
            self.quota.retries += 1
            self.quota.waited += seconds
            sleep(seconds)

        return wait

    def _counted_request(self, request: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Below sign-in and batches, the one place that sees every HTTP request."""
        self.quota.requests += 1
        named["connection_type"] = named.get("connection_type") or self._connection
        with within(patience(CALL_SECONDS, len(named.get("body") or ""))):
            response, content = request(*args, **named)
        self.told_at = _date(response.get("date"))
        return response, content

    def pages(self, kind: str, listing: Callable[..., Any], **asked: Any) -> Iterator[dict[str, Any]]:
        """The entries of a listing, page by page. A mail that arrives meanwhile shifts them: one may come twice."""
        page: str | None = None
        while True:
            answer = self.call(listing(userId="me", maxResults=PAGE_SIZE, pageToken=page, **asked))
            yield from answer.get(kind, ())  # Gmail leaves it out where there are none
            page = answer.get("nextPageToken")
            if not page:
                return

    def call_empty(self, request: Any) -> None:
        """As `call`, for a request whose answer has no body."""

        def send() -> None:
            self.quota.charge(request.methodId)
            request.execute(num_retries=0)

        self.repeat(send)

    def repeat(self, send: Callable[[], _T]) -> _T:
        """Call `send`, signed in, until it does not raise what `understood` reads as `Passing`."""
        return try_again(lambda: self._attempt(send), self._pace)

    def call_once(self, request: Any) -> Any:
        """Send one request that must not arrive twice. Raises `OutcomeUnknown` when it went out and no answer came.

        Sent again only when Gmail answered "slower", or when not even the connection came about: nothing is done then.
        """
        return try_again(lambda: self._send_once(request), self._pace)

    def understood(self, error: Exception) -> TriageError | None:
        """Our error for one of the libraries', or None for what is a mistake of our own."""
        import http.client
        import ssl

        import httplib2
        from google.auth.exceptions import RefreshError, TransportError
        from googleapiclient.errors import BatchError, HttpError

        # A BatchError is an HttpError by inheritance, and its status 200.
        if isinstance(error, HttpError) and not isinstance(error, BatchError):
            return read_refusal(error.resp.status, error.resp, error.content, self._pace.now())
        if isinstance(error, RefreshError):
            return gmail_auth.refresh_failed(error)
        if isinstance(error, ssl.SSLCertVerificationError):
            return ConfigError(
                f"Gmail's certificate is not accepted: {error.verify_message}",
                "Check this computer's clock, and whether a proxy or virus scanner opens encrypted connections.",
            )
        if isinstance(error, TimeoutError):
            return no_answer(f"it took too long to answer{_by_proxy()}", timed_out=True)
        if isinstance(error, TransportError) and isinstance(error.__context__, TimeoutError):
            return no_answer("it took too long to answer", timed_out=True)
        if isinstance(error, OSError | TransportError | httplib2.ServerNotFoundError):
            return no_answer(f"{str(error) or type(error).__name__}{_by_proxy()}")
        # Half an answer: a body that ends early, broken JSON, a batch in which a part is missing (a bare KeyError).
        if isinstance(
            error, http.client.HTTPException | httplib2.HttpLib2Error | BatchError | ValueError | LookupError
        ):
            return no_answer(f"its answer came incomplete ({type(error).__name__})")
        return None

    def _attempt(self, send: Callable[[], _T]) -> _T:
        """Try once, signed in. A renewed token is saved, whatever else happens."""
        try:
            if not self._signed_in.valid:
                self._signed_in.refresh(None)
            return send()
        except TriageError:
            raise
        except Exception as error:
            # A connection that broke, or was left in the middle of an answer, would cost the next try.
            self._http.close()
            failure = self.understood(error)
            if failure is None:
                raise
            # `from None`: a RefreshError may hold the answer of the token endpoint.
            raise failure from None
        finally:
            if self._signed_in.token != self._saved_token:
                self._saved_token = self._signed_in.token
                ends_at = self._renewal.ends_at if self._renewal else None
                gmail_auth.save_token(self._token, self._signed_in, ends=ends_at or sign_in_ends_at(self._token))

    def _send_once(self, request: Any) -> Any:
        connection = _one_send_connection(self._connection)
        http = SimpleNamespace(request=partial(self._authorized.request, connection_type=connection))

        def send() -> Any:
            # A connection kept open may be dead without our knowing: the usual way a request gets sent twice.
            self._http.close()
            self.quota.charge(request.methodId)
            return _whole(request.execute(http=http, num_retries=0))

        try:
            return self._attempt(send)
        except Passing as failure:
            if failure.limited or not connection.was_sent:
                raise
            raise OutcomeUnknown(failure.what, timed_out=failure.timed_out) from None
        finally:
            self._http.close()


def _by_proxy() -> str:
    variable = proxy_in_use()
    return f" (through the proxy in {variable})" if variable else ""


def half_answer(answer: Any) -> Passing | None:
    """What to raise where the answer is no JSON object: the client hands broken JSON on as text."""
    return None if isinstance(answer, dict) else no_answer("its answer came incomplete")


def _whole(answer: Any) -> Any:
    if failure := half_answer(answer):
        raise failure
    return answer


def _date(value: str | None) -> datetime | None:
    from email.utils import parsedate_to_datetime

    try:
        found = parsedate_to_datetime((value or "")[:40])
    except (ValueError, TypeError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _connection(secure: bool, wire: Wire, timeout_seconds: float) -> Any:
    """A connection class whose answers have a size that can be held, at most `wire.most_bytes`, and whose patience
    grows with what it sends.
    """
    import httplib2

    base: Any = httplib2.HTTPSConnectionWithTimeout if secure else httplib2.HTTPConnectionWithTimeout

    class BoundedConnection(base):  # type: ignore[misc]
        def request(self, method: str, uri: str, body: Any = None, headers: Any = None, **named: Any) -> None:
            # Under the timeout of one byte, though all of it goes in one piece.
            self.timeout = patience(timeout_seconds, len(body or ""))
            if self.sock is not None:
                self.sock.settimeout(self.timeout)
            super().request(method, uri, body, headers or {}, **named)

        def getresponse(self) -> Any:
            answer = super().getresponse()
            answer.read = partial(_read, answer, answer.read, wire.most_bytes)
            return answer

    return BoundedConnection


def _read(answer: Any, rest: Callable[[], bytes], most: int) -> bytes:
    """All of an answer's body, but not more than `most` bytes; `rest` reads what is left and ends the answer."""
    if (answer.length or 0) > most:
        raise AnswerTooLarge(f"an answer of {answer.length:,} bytes")
    found = bytearray()
    while part := answer.read1(_PART):
        found += part
        if len(found) > most:
            raise AnswerTooLarge(f"an answer of more than {most:,} bytes")
    if answer.length:
        from http.client import IncompleteRead

        raise IncompleteRead(b"", answer.length)
    return bytes(found + rest())


def _one_send_connection(base: Any) -> Any:
    """A connection class, new at each call, that sends nothing more while an answer is outstanding.

    httplib2 sends a request again by itself, even a POST on a new connection, when the server closes without an
    answer; https://github.com/httplib2/httplib2/blob/master/httplib2/__init__.py, `_conn_request`.
    """

    class OneSendConnection(base):  # type: ignore[misc]
        was_sent = False
        is_outstanding = False

        def request(self, *args: Any, **named: Any) -> None:
            if self.is_outstanding:
                raise ConnectionAbortedError("the connection was closed before an answer came")
            OneSendConnection.was_sent = True
            self.is_outstanding = True
            super().request(*args, **named)

        def getresponse(self) -> Any:
            answer = super().getresponse()
            self.is_outstanding = False
            return answer

    return OneSendConnection
