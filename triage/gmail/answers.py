"""What Gmail's answers mean: reads its refusals, prices its calls, decides when to ask again.

Sends nothing and imports no Google library, so every refusal can be tested as plain data. Google's wording and reason
strings are those listed in Google's error guide (https://developers.google.com/workspace/gmail/api/guides/handle-errors)
and seen in the wild.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from parsers.text import printable_line
from triage.errors import ConfigError, CredentialsDead, TriageError, TryLater

_T = TypeVar("_T")

# (projects made from 1 May 2026 on, older projects). Cost is per method, whatever the format; a batch of n counts n.
# https://developers.google.com/workspace/gmail/api/reference/quota
QUOTA_UNITS: Mapping[str, tuple[int, int]] = {
    "gmail.users.drafts.create": (10, 10),
    "gmail.users.drafts.list": (5, 5),
    "gmail.users.getProfile": (1, 1),
    "gmail.users.labels.create": (5, 5),
    "gmail.users.labels.delete": (5, 5),
    "gmail.users.labels.list": (1, 1),
    "gmail.users.messages.get": (20, 5),
    "gmail.users.messages.insert": (25, 25),
    "gmail.users.messages.list": (5, 5),
    "gmail.users.messages.trash": (20, 5),
    "gmail.users.messages.untrash": (5, 5),
    "gmail.users.settings.sendAs.list": (1, 1),
    "gmail.users.threads.get": (40, 10),
    "gmail.users.messages.modify": (5, 5),
    "gmail.users.threads.modify": (10, 10),
}

ATTEMPTS_AWAY = 4
"""Tries where Gmail gives no usable answer: some seconds of patience, then the next cron run is the better retry."""
ATTEMPTS_TIMED_OUT = 2
"""Tries where no answer came in time: a connection kept open may have been dead, a second one is not."""
ATTEMPTS_LIMITED = 9
"""Tries where Gmail says "slower": even the shortest waits add up to the minute its quota counts over."""
LONGEST_WAIT_SECONDS = 64.0
"""A longer wait than this, asked for by Gmail, is left to the next run."""
LONGEST_ANSWER = 300

_RATE_REASONS = {"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"}
_DAILY_REASONS = {"dailyLimitExceeded", "quotaExceeded"}
_GOES_ON = "Nothing: the next run goes on where this one stopped."
_SCOPE_REASONS = {"insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}
_API_OFF_REASONS = {"accessNotConfigured", "SERVICE_DISABLED"}
_ENABLE_URL = "https://console.cloud.google.com/apis/library/gmail.googleapis.com"
_CONSOLE_LINK = re.compile(r"https://console\.(?:developers|cloud)\.google\.com/[^\s\"'<>]{1,300}")
# QUIRK(gmail): "User-rate limit exceeded.  Retry after 2018-04-27T17:20:36.724Z", https://github.com/bettergov/foiamail/issues/36
_RETRY_AFTER_TIME = re.compile(r"retry after (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z)", re.IGNORECASE)


@dataclass(slots=True)
class Quota:
    """What this connection has cost so far: units by both of Google's tables, and HTTP requests (sign-in included)."""

    units_new: int = 0
    units_old: int = 0
    requests: int = 0
    retries: int = 0
    """Requests made again because Gmail said so or did not answer."""
    waited: float = 0.0
    """Seconds waited before them."""

    def charge(self, method_id: str) -> None:
        """Count one call of a method, named as in the discovery document. A repeated call counts again."""
        units_new, units_old = QUOTA_UNITS[method_id]
        self.units_new += units_new
        self.units_old += units_old


@dataclass(frozen=True, slots=True)
class Pace:
    """How to wait, what time it is (aware), and a number from 0 to 1: what a test replaces."""

    sleep: Callable[[float], None]
    now: Callable[[], datetime]
    rand: Callable[[], float]


class Passing(TryLater):
    """Gmail did not do it this time, and asking again is right. Ends a run only when all tries are used up.

    `limited`: Gmail answered "slower" and has done nothing; else it is not known what it has done.
    `timed_out`: no answer came in time. `wait_seconds`: how long Gmail asked to wait, None where it did not say.
    """

    def __init__(
        self,
        what: str,
        todo: str,
        *,
        limited: bool = False,
        timed_out: bool = False,
        wait_seconds: float | None = None,
    ) -> None:
        super().__init__(what, todo)
        self.limited = limited
        self.timed_out = timed_out
        self.wait_seconds = wait_seconds

    @property
    def attempts(self) -> int:
        """How often a request may be sent that ends like this."""
        return ATTEMPTS_LIMITED if self.limited else ATTEMPTS_TIMED_OUT if self.timed_out else ATTEMPTS_AWAY


class Refused(TriageError):  # noqa: N818 - the family is named by what happened, as in errors.py
    """Gmail understood one request and said no; the same request will get the same answer."""

    def __init__(self, status: int, reasons: frozenset[str], text: str) -> None:
        super().__init__(
            f"Gmail refused a request: {text} (HTTP {status})",
            "If it happens again, report it with this line; the other mails of the run are not affected.",
        )
        self.status = status
        self.reasons = reasons
        self.text = text

    @property
    def is_missing(self) -> bool:
        """What was asked for is not there, as far as one answer can tell: Gmail says 404 of what is new, too."""
        return self.status in (404, 410)

    @property
    def is_passing(self) -> bool:
        """It says nothing about the one thing that was asked for: a policy, a front end, a right that is being set."""
        return self.status == 403


def of_mailbox(refusal: Refused) -> Passing:
    """What a refusal means of a question that is about no single item: the mailbox is there, so the next run asks anew.

    Gmail and front ends before it say 403, 404 and 410 of everything for some minutes; a 400 is told of the search.
    """
    return Passing(
        f"Gmail refused to search the mailbox: {refusal.text} (HTTP {refusal.status})",
        "Nothing, if it was once: the next run asks again. If it lasts, take `subjects` out of the settings.",
    )


class OutcomeUnknown(TryLater):
    """A message was handed to Gmail for insertion and no answer came back: it may be there or not.

    Never insert again before `Gmail.find_message_id` has been asked for its Message-ID.
    """

    def __init__(self, why: str, *, timed_out: bool = False) -> None:
        super().__init__(
            f"Gmail did not confirm that a message was inserted: {why}",
            "Nothing: the next run looks whether it arrived before it tries again.",
        )
        self.timed_out = timed_out


def try_again(attempt: Callable[[], _T], pace: Pace) -> _T:
    """Call `attempt` until it gives something else than `Passing`; the only retry loop for Gmail.

    Waits as long as Gmail asked (plus up to a second), else doubling from one second, half of it by chance so that
    two workers do not meet again. When the tries are used up, or Gmail asks for more than LONGEST_WAIT_SECONDS, the
    last `Passing` is raised.
    """
    for tries in itertools.count(1):
        try:
            return attempt()
        except Passing as refusal:
            if refusal.wait_seconds is None:
                wait = min(32.0, 2.0 ** (tries - 1)) * (1 + pace.rand()) / 2
            else:
                wait = refusal.wait_seconds + pace.rand()
            if tries >= refusal.attempts or wait > LONGEST_WAIT_SECONDS + 1:
                raise
            pace.sleep(wait)
    raise AssertionError("itertools.count does not end")


def read_refusal(status: int, headers: Mapping[str, str], content: bytes, now: datetime) -> TriageError:
    """The exception to raise for an answer of Gmail that is no success.

    `Passing` for what heals by itself, `CredentialsDead` and `ConfigError` for what only a human can heal, else
    `Refused`. `headers` have lower-case names; `now` is aware and only used to read "Retry after <time>".
    """
    reasons, text, link = _read_error(content)
    said = text or f"HTTP {status}"
    if status == 429 or (status == 403 and reasons & _RATE_REASONS):
        return Passing(
            f"Gmail asks to slow down: {said}",
            "Nothing: the next run goes on from here. Other programs that use the same OAuth client share its quota.",
            limited=True,
            wait_seconds=_asked_wait(headers, text, now),
        )
    if status >= 500 or status == 408:
        return Passing(
            f"Gmail has a problem of its own: {said}",
            _GOES_ON,
            wait_seconds=_asked_wait(headers, text, now),
        )
    if status == 401:
        return CredentialsDead(
            f"Gmail does not accept the saved sign-in: {said}", "Run `triage auth` to sign in again."
        )
    if status == 403:
        return _read_forbidden(reasons, said, link)
    if status == 400 and "failedPrecondition" in reasons and "mail service not enabled" in text.lower():
        return ConfigError(
            "The signed-in Google account has no Gmail mailbox.",
            "Run `triage auth` as the account that gets the bounces.",
        )
    return Refused(status, reasons, said)


def no_answer(why: str, *, timed_out: bool = False) -> Passing:
    """The `Passing` for a request that got no answer, or none that can be read; `why` in words."""
    todo = "Check the network if it lasts; the next run goes on where this one stopped."
    return Passing(f"Gmail cannot be reached: {why}", todo, timed_out=timed_out)


def read_token_refusal(answer: Mapping[str, Any]) -> TriageError:
    """What to raise where the token endpoint refuses in the words of Google's other servers, or of a proxy's."""
    reasons, text, _ = _read_error(json.dumps(answer).encode())
    if reasons & (_RATE_REASONS | _DAILY_REASONS):
        return Passing(f"Google's sign-in server asks to slow down: {text}", _GOES_ON, limited=True)
    return no_answer(f"its sign-in server has a problem{f' ({text})' if text else ''}")


def is_invalid_label_name(refusal: Refused) -> bool:
    """Whether Gmail objects to the name of a label; reserved names are localized, so no list of ours could tell."""
    return refusal.status == 400 and "invalid label name" in refusal.text.lower()


def _read_forbidden(reasons: frozenset[str], said: str, link: str | None) -> TriageError:
    if reasons & _API_OFF_REASONS:
        return ConfigError(
            f"The Gmail API is not switched on in your Google Cloud project: {said}",
            f"Open {link or _ENABLE_URL} , press Enable, wait a few minutes, then try again.",
        )
    if reasons & _SCOPE_REASONS:
        return CredentialsDead(
            f"The saved sign-in does not allow what triage needs (gmail.modify): {said}",
            "Run `triage auth` again and leave the box for Gmail ticked on Google's page.",
        )
    if reasons & _DAILY_REASONS:
        return TryLater(
            f"The quota of your Google Cloud project is used up for now: {said}",
            "Nothing: it starts anew at midnight Pacific time; runs before that end like this one.",
        )
    if "domainPolicy" in reasons:
        return CredentialsDead(
            f"Your Google Workspace does not let this app use Gmail: {said}",
            "Ask the Workspace administrator to allow the OAuth client (Security, API controls); run `triage auth`.",
        )
    return Refused(403, reasons, said)


def _read_error(content: bytes) -> tuple[frozenset[str], str, str | None]:
    """(all reason words, the message as one short line, a link to Google's console) of an error body of any shape.

    Google puts the reason into `errors[].reason`, newer services into `details[].reason`; some answers have both, the
    token endpoint has neither, and a proxy or an overloaded front end answers in HTML.
    """
    try:
        data: Any = json.loads(content)
    except ValueError:
        return frozenset(), "", None
    if isinstance(data, list) and data:
        data = data[0]
    error = data.get("error") if isinstance(data, dict) else None
    if isinstance(error, str):
        return frozenset({error}), _one_line(data.get("error_description") or error), None
    if not isinstance(error, dict):
        return frozenset(), "", None
    reasons: set[str] = set()
    for key in ("errors", "details"):
        entries = error.get(key)
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and isinstance(entry.get("reason"), str):
                reasons.add(entry["reason"])
    if error.get("status") == "RESOURCE_EXHAUSTED":  # the word of google.rpc.Code for a rate limit
        reasons.add("RATE_LIMIT_EXCEEDED")
    # The link stands in the message, in `extendedHelp` or in `metadata.activationUrl`, so look at the whole body.
    link = _CONSOLE_LINK.search(json.dumps(error, ensure_ascii=False))
    return frozenset(reasons), _one_line(error.get("message")), link.group(0).rstrip(".,;)\\") if link else None


def _one_line(text: object) -> str:
    return printable_line(str(text or ""))[:LONGEST_ANSWER]


def _asked_wait(headers: Mapping[str, str], text: str, now: datetime) -> float | None:
    """Seconds Gmail asked to wait: Retry-After (seconds or a date, RFC 9110 10.2.3) or the time in the message."""
    value = headers.get("retry-after", "").strip()
    # Six digits are eleven days; longer ones are nonsense.
    if re.fullmatch(r"[0-9]{1,6}", value):
        return float(value)
    moment: datetime | None = None
    if value:
        from email.utils import parsedate_to_datetime

        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            moment = None
    if moment is None and (found := _RETRY_AFTER_TIME.search(text)):
        moment = datetime.fromisoformat(found.group(1))
    if moment is None:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
