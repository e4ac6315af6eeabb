"""Gmail's error answers, word for word as they were seen in the wild, as values that can be raised.

Knows nothing of HTTP beyond the status number. Wordings: the threads named in the comments; where no public wording
is known the comment says so.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

JSON = dict[str, Any]

_WORDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
}
_PROJECT = "123456789012"


@dataclass(eq=False)
class ApiError(Exception):
    """An error as the Gmail API answers it: `errors[]` of the old style and `status` of the new one, both."""

    status: int
    message: str
    reason: str
    domain: str = "global"
    short: str | None = None
    """The text inside `errors[0]` where it differs from the long message (it does for a bad token)."""
    extra: JSON = field(default_factory=dict)
    """Further members of `errors[0]`: location, locationType, extendedHelp."""
    details: list[JSON] = field(default_factory=list)

    def body(self) -> bytes:
        first = {"message": self.short or self.message, "domain": self.domain, "reason": self.reason, **self.extra}
        error: JSON = {"code": self.status, "message": self.message, "errors": [first]}
        if word := _WORDS.get(self.status):
            error["status"] = word
        if self.details:
            error["details"] = self.details
        return json.dumps({"error": error}, indent=2).encode()


def invalid(message: str) -> ApiError:
    return ApiError(400, message, "invalidArgument")


def not_found() -> ApiError:
    return ApiError(404, "Requested entity was not found.", "notFound")


def label_conflict() -> ApiError:
    # gauteh/lieer #29, GAM-team/got-your-back #124, #173
    return ApiError(409, "Label name exists or conflicts", "aborted")


def no_credentials(given: str | None) -> ApiError:
    """For no access token, or for an unknown or expired one."""
    what = "had invalid authentication credentials" if given else "is missing required authentication credential"
    return ApiError(
        401,
        f"Request {what}. Expected OAuth 2 access token, login cookie or other valid authentication credential.",
        "authError" if given else "required",
        short="Invalid Credentials" if given else "Login Required.",
        extra={"location": "Authorization", "locationType": "header"},
    )


def scope_insufficient() -> ApiError:
    # googleapis/google-api-php-samples #123
    reason = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        "domain": "googleapis.com",
        "metadata": {"service": "gmail.googleapis.com"},
    }
    return ApiError(
        403,
        "Request had insufficient authentication scopes.",
        "insufficientPermissions",
        short="Insufficient Permission",
        details=[reason],
    )


def not_configured() -> ApiError:
    # googleworkspace/python-samples #23: the classic first-run failure
    url = f"https://console.developers.google.com/apis/api/gmail.googleapis.com/overview?project={_PROJECT}"
    return ApiError(
        403,
        f"Gmail API has not been used in project {_PROJECT} before or it is disabled. Enable it by visiting {url} then "
        "retry. If you enabled this API recently, wait a few minutes for the action to propagate to our systems and "
        "retry.",
        "accessNotConfigured",
        domain="usageLimits",
        extra={"extendedHelp": "https://console.developers.google.com"},
    )


def delegation_denied(address: str) -> ApiError:
    return ApiError(403, f"Delegation denied for {address}", "forbidden")


def delegation_required() -> ApiError:
    return ApiError(
        403, "Access restricted to service accounts that have been delegated domain-wide authority", "forbidden"
    )


def too_many_concurrent() -> ApiError:
    # elie222/inbox-zero #1880, googleapis/google-api-dotnet-client #1982
    return ApiError(429, "Too many concurrent requests for user.", "rateLimitExceeded")


def resource_exhausted() -> ApiError:
    return ApiError(429, "Resource has been exhausted (e.g. check quota).", "rateLimitExceeded")


def quota_exceeded() -> ApiError:
    # GAM-team/got-your-back #287, #309
    return ApiError(
        403,
        "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user' of service "
        f"'gmail.googleapis.com' for consumer 'project_number:{_PROJECT}'.",
        "rateLimitExceeded",
        domain="usageLimits",
    )


def user_rate_limit(until: str) -> ApiError:
    """`until` is an ISO time with `Z`: Gmail says it in the text only (bettergov/foiamail #36)."""
    return ApiError(429, f"User-rate limit exceeded.  Retry after {until}", "rateLimitExceeded", domain="usageLimits")


def by_status(status: int) -> ApiError:
    """The most usual error of a status, for faults that name nothing but the number."""
    if status >= 500:
        text = "The service is currently unavailable." if status == 503 else "Internal error encountered."
        return ApiError(status, text, "backendError")
    usual = {401: no_credentials("Bearer"), 403: quota_exceeded(), 404: not_found(), 409: label_conflict()}
    usual[429] = too_many_concurrent()
    return usual.get(status) or ApiError(status, "Precondition check failed.", "failedPrecondition")
