"""An Amazon SES (API v2) that lives on loopback and is driven by the unmodified boto3.

    with SesDouble() as ses:
        ses.add_identity("queenofsandiego.com")
        ses.suppress("pat@client.example", message_id=..., region="us-west-2")
        ses.fail("GetSuppressedDestination", status=403, code="AccessDeniedException")
        ...                                      # AWS_ENDPOINT_URL_SESV2=ses.url
        assert ses.calls["GetSuppressedDestination"] == 1

One double plays every region: which one is asked stands in the signature of the request. It holds what moto 5.2 lacks
(domain/aws.md 1) and says no in SES's words. On leaving, the context manager raises what it was asked and not taught.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.doubles.faults import Faults, When
from tests.doubles.loopback import Loopback, Reply, Request, json_reply
from tests.doubles.ses_api import OPERATIONS, SesError, SesRegion

ENV = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}
"""What keeps an AWS client to credentials that are nobody's."""
_SCOPE = re.compile(r"Credential=([^/,]+)/\d{8}/([a-z0-9-]+)/ses/aws4_request")

ROUTES: tuple[tuple[str, str, str], ...] = (
    # method, path with {Parameter} for a part, operation; the first two are forms of one operation (botocore 1.43.105)
    ("POST", "/v2/email/list-identities", "ListEmailIdentities"),
    ("GET", "/v2/email/identities", "ListEmailIdentities"),
    ("POST", "/v2/email/list-configuration-sets", "ListConfigurationSets"),
    ("GET", "/v2/email/configuration-sets", "ListConfigurationSets"),
    ("GET", "/v2/email/account", "GetAccount"),
    ("PUT", "/v2/email/account/suppression", "PutAccountSuppressionAttributes"),
    ("GET", "/v2/email/identities/{EmailIdentity}", "GetEmailIdentity"),
    ("GET", "/v2/email/suppression/addresses", "ListSuppressedDestinations"),
    ("PUT", "/v2/email/suppression/addresses", "PutSuppressedDestination"),
    ("GET", "/v2/email/suppression/addresses/{EmailAddress}", "GetSuppressedDestination"),
    ("DELETE", "/v2/email/suppression/addresses/{EmailAddress}", "DeleteSuppressedDestination"),
    ("GET", "/v2/email/insights/{MessageId}/", "GetMessageInsights"),
    ("POST", "/v2/email/email-address-insights/", "GetEmailAddressInsights"),
    ("GET", "/v2/email/configuration-sets/{ConfigurationSetName}", "GetConfigurationSet"),
    (
        *("GET", "/v2/email/configuration-sets/{ConfigurationSetName}/event-destinations"),
        "GetConfigurationSetEventDestinations",
    ),
    ("POST", "/v2/email/vdm/recommendations", "ListRecommendations"),
    ("POST", "/v2/email/outbound-emails", "SendEmail"),
)


@dataclass(frozen=True)
class SentMail:
    """A mail the double took."""

    region: str
    id: str
    raw: bytes
    sender: str | None
    recipients: tuple[str, ...]
    key_id: str
    """The access key the request was signed with."""


class SesDouble(Loopback):
    """SES in every region, behind a port of 127.0.0.1."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.regions: defaultdict[str, SesRegion] = defaultdict(lambda: SesRegion(""))
        self.sent: list[SentMail] = []
        self.clock: Callable[[], float] | None = None
        """Where one is set, an operation of a region is carried out once a second by it, and refused else."""
        self._last: dict[tuple[str, str], float] = {}
        self._faults = Faults()
        self.calls = self._faults.calls
        """How often each operation was asked for, retries and failures included."""

    def reset(self) -> None:
        """Forget everything, as if newly made."""
        self.clock = None
        self._last.clear()
        for kept in (self.regions, self.sent, self.calls, self._faults, self.complaints):
            kept.clear()

    # -- what SES knows -----------------------------------------------------------------------------------------

    def region(self, name: str = "us-east-1") -> SesRegion:
        """The state of one region; its dictionaries may be changed at will."""
        state = self.regions[name]
        state.name = name
        return state

    def add_identity(self, name: str, region: str = "us-east-1", **changes: Any) -> dict[str, Any]:
        """A verified identity with Easy DKIM and a custom MAIL FROM; `changes` are fields of GetEmailIdentity."""
        return self.region(region).add_identity(name, **changes)

    def suppress(
        self,
        address: str,
        region: str = "us-east-1",
        *,
        reason: str = "BOUNCE",
        message_id: str | None = None,
        at: datetime | None = None,
    ) -> None:
        """Put an address on the suppression list; without `message_id` it was put there by hand."""
        entry: dict[str, Any] = {
            "EmailAddress": address,
            "Reason": reason,
            "LastUpdateTime": (at or datetime.now(UTC)).timestamp(),
        }
        if message_id:
            entry["Attributes"] = {"MessageId": message_id, "FeedbackId": message_id[:-1] + "1"}
        self.region(region).suppressed[address.lower()] = entry

    def add_insights(
        self,
        message_id: str,
        region: str = "us-east-1",
        *,
        sender: str,
        subject: str,
        events: Iterable[tuple[str, str, datetime, dict[str, Any] | None]],
    ) -> None:
        """What VDM kept of a message: `events` are (recipient, type, at, details or None)."""
        by_recipient: dict[str, list[dict[str, Any]]] = {}
        for recipient, kind, at, details in events:
            event = {"Timestamp": at.timestamp(), "Type": kind} | ({"Details": details} if details else {})
            by_recipient.setdefault(recipient, []).append(event)
        self.region(region).insights[message_id] = {
            "MessageId": message_id,
            "FromEmailAddress": sender,
            "Subject": subject,
            "EmailTags": [],
            "Insights": [{"Destination": to, "Isp": "Other", "Events": rows} for to, rows in by_recipient.items()],
        }

    def add_configuration_set(
        self,
        name: str,
        region: str = "us-east-1",
        *,
        events: Iterable[str] = ("BOUNCE", "COMPLAINT", "DELIVERY", "SEND", "REJECT", "DELIVERY_DELAY"),
        topic_arn: str | None = None,
        enabled: bool = True,
        **changes: Any,
    ) -> dict[str, Any]:
        """A configuration set, with `topic_arn` one that publishes these events there."""
        return self.region(region).add_configuration_set(name, list(events), topic_arn, enabled, **changes)

    # -- what goes wrong ----------------------------------------------------------------------------------------

    def fail(
        self,
        operation: str,
        nth: int = 1,
        *,
        status: int | None = None,
        code: str = "InternalServiceErrorException",
        message: str = "made to fail by a test",
        body: bytes | None = None,
        **how: Any,
    ) -> None:
        """Make the nth call of an operation (or of "*") from now on go wrong; `how` is told in `Faults.add`.

        `status` and `code` answer an SES error (429 TooManyRequestsException, 403 AccessDeniedException), `body` any
        bytes.
        """
        reply = None
        if body is not None:
            reply = Reply(status or 200, body, {"Content-Type": "application/json"})
        elif status is not None:
            reply = _error(SesError(status, code, message))
        self._faults.add(operation, nth, reply=reply, **how)

    def kill_at(self, pid: int | Callable[[], int], operation: str, nth: int = 1, when: When = "after") -> None:
        """SIGKILL a process at the nth call of an operation from now on, before or after it is carried out."""
        self._faults.add(operation, nth, when=when, victim=pid)

    def clear_faults(self) -> None:
        self._faults.clear()

    # -- inside -------------------------------------------------------------------------------------------------

    def _answer(self, request: Request) -> Reply:
        target = urlsplit(request.target)
        operation, parameters = _route(request.method, target.path)
        if operation is None:
            self.complaints.append(f"SES double: nothing is known of {request.method} {target.path}")
            return _error(SesError(404, "UnknownOperationException", "the double was not taught this"))
        parameters |= dict(parse_qsl(target.query))
        if request.body:
            parameters |= json.loads(request.body)
        return self._faults.answer(operation, lambda: self._carried_out(operation, parameters, request))

    def _carried_out(self, operation: str, parameters: dict[str, Any], request: Request) -> Reply:
        scope = _SCOPE.search(request.headers.get("Authorization") or "")
        if scope is None:
            return _error(SesError(403, "MissingAuthenticationTokenException", "Missing Authentication Token"))
        region = self.region(scope[2])
        if self.clock is not None:
            now, last = self.clock(), self._last.get((region.name, operation))
            if last is not None and now - last < 1.0:
                return _error(SesError(429, "TooManyRequestsException", "Maximum sending rate exceeded."))
            self._last[region.name, operation] = now
        try:
            answer = OPERATIONS[operation](region, parameters)
        except SesError as error:
            return _error(error)
        if operation == "SendEmail":
            self.sent.append(SentMail(region.name, answer["MessageId"], *region.last_sent, scope[1]))
        return json_reply(200, answer)


def _route(method: str, path: str) -> tuple[str | None, dict[str, Any]]:
    for known, pattern, operation in ROUTES:
        names = re.findall(r"{(\w+)}", pattern)
        match = re.fullmatch(re.sub(r"{\w+}", "([^/]+)", pattern.rstrip("/")) + "/?", path)
        if known == method and match:
            return operation, {name: unquote(value) for name, value in zip(names, match.groups(), strict=True)}
    return None, {}


def _error(error: SesError) -> Reply:
    return json_reply(error.status, {"message": error.message}, **{"x-amzn-ErrorType": error.code})
