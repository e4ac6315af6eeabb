"""Asks AWS, and makes every way of not getting an answer a value with a reason.

Imports boto3 lazily: one Session, one client for each service and region, short time-outs, few tries. What the
answers mean is the business of `ses`, `iam`, `secrets` and `queue`.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any, Literal, TypeVar

from remediation.aws.endpoints import Misdirected, is_aws_or_here, refuse_elsewhere
from remediation.aws.partitions import partition_of
from remediation.aws.signing_in import SignInFailed, not_accepted, session, sign_in
from remediation.deadline import SLOWEST_LINE, patience, within

_T = TypeVar("_T")

GLOBAL_REGION = "us-east-1"
"""Where IAM, STS, Route 53 and CloudTrail's record of IAM are asked: one answer for all regions of a partition.

In another partition its own home is asked instead: the region of the profile, or AWS_DEFAULT_REGION, says which.
"""
_GLOBAL_SERVICES = frozenset({"iam", "sts", "route53", "cloudtrail"})

CONNECT_SECONDS = 3
READ_SECONDS = 10
SPARE_SECONDS = 5
"""For what a call does beside waiting; then it is interrupted, also where an answer drips in byte by byte."""
AWS_TRIES = 3  # botocore waits up to 1 and 2 seconds in between

WhyNot = Literal[
    "denied",  # the credentials are good and may not do this
    "bad-credentials",  # unknown, expired or wrong
    "no-credentials",  # none found
    "throttled",
    "timeout",
    "unreachable",  # no such host, no connection
    "misdirected",  # the settings lead to a server that is not AWS's
    "unsupported",  # this endpoint does not know the call: another region or an incomplete stand-in
    "failed",  # AWS says that it is AWS's fault
    "garbled",  # an answer that is none
    "refused",  # any other error; `code` has AWS's word for it
]

_CODES: Mapping[WhyNot, str] = {
    "denied": "AccessDenied AccessDeniedException AuthorizationError AuthorizationErrorException UnauthorizedOperation"
    " 403",
    "bad-credentials": "InvalidClientTokenId UnrecognizedClientException InvalidAccessKeyId SignatureDoesNotMatch"
    " IncompleteSignature InvalidSignatureException ExpiredToken ExpiredTokenException MissingAuthenticationToken"
    " RequestExpired RequestTimeTooSkewed NotAuthorized 401",
    "throttled": "Throttling ThrottlingException ThrottledException TooManyRequestsException RequestLimitExceeded"
    " RequestThrottled RequestThrottledException SlowDown KmsThrottled 429",
    # A code that is only the HTTP status 404 means "no such page", never "no such thing": that has a name of its own.
    "unsupported": "404 501 UnknownOperation UnknownOperationException InvalidAction OptInRequired",
    "failed": "InternalFailure InternalError InternalServiceError ServiceUnavailable ServiceFailure",
}
_KIND_OF_CODE: Mapping[str, WhyNot] = {code: kind for kind, codes in _CODES.items() for code in codes.split()}

_SERVICE_OF_POLICY = {"sesv2": "ses"}  # where boto3 and IAM policies call a service by different names
_KEY_ID = re.compile(r"\b(A[A-Z]IA)[A-Z0-9]{10,}([A-Z0-9]{2})\b")
# A secret access key has 40 such characters, an SES password 44; shorter things are names people need to read.
_SECRET = re.compile(r"(?<![A-Za-z0-9/+=])(?=[^\s]{0,80}[0-9+/])[A-Za-z0-9/+]{38,}={0,2}")
_MAX_WORDS = 240


@dataclass(frozen=True, slots=True)
class NotLookedUp:
    """A question AWS did not answer. That says nothing about the thing asked for."""

    what: str
    """What was to be looked up, in words: `the suppression list in us-west-2`."""
    why: str
    """One line for a human, without any secret."""
    kind: WhyNot
    code: str | None = None
    """AWS's own word for the error; None where no answer came."""
    todo: str | None = None
    """The next step, where it is about the AWS credentials of this computer."""

    @property
    def will_pass(self) -> bool:
        """Whether waiting may help, without anybody doing anything."""
        return self.kind in ("throttled", "timeout", "unreachable", "failed", "garbled")

    @property
    def concerns_all(self) -> bool:
        """Whether the next question to the same service and region would end the same way."""
        return self.kind in (
            "bad-credentials",
            "no-credentials",
            "timeout",
            "unreachable",
            "unsupported",
            "misdirected",
        )


def ask(
    what: str,
    service: str,
    region: str,
    operation: str,
    read: Callable[[Mapping[str, Any]], _T],
    /,
    *,
    attempts: int = AWS_TRIES,
    uploads: int = 0,
    **parameters: Any,
) -> _T | NotLookedUp:
    """Call one operation (named as in IAM policies: `GetAccount`) and read its answer with `read`; never raises.

    `what` says in words what is looked up. An answer that `read` cannot read (KeyError, TypeError, ...) is `garbled`.
    Takes at most about `attempts` x (CONNECT_SECONDS + READ_SECONDS) seconds. What must not happen twice (a mail, a new
    key) is asked for with `attempts=1`: a request whose answer was lost may have been carried out. `uploads` is how
    many bytes go up with the question, where they are many: they are given the time a poor line needs.
    """
    action = f"{_SERVICE_OF_POLICY.get(service, service)}:{operation}"
    try:
        # In whole minutes: each length is a client of its own.
        more = 60 * ceil(patience(0, max(uploads - SLOWEST_LINE, 0)) / 60)
        client = _signed_in_client(service, region, attempts, more)
        if isinstance(client, SignInFailed):
            return NotLookedUp(what, client.why, client.kind, todo=client.todo)
        from botocore import xform_name

        with within(attempts * (CONNECT_SECONDS + READ_SECONDS + more) + SPARE_SECONDS):
            call = getattr(client, xform_name(operation), None)
            if call is None:  # by the service model that came with it
                why = f"the AWS library here is too old for {action}: `pip install --upgrade boto3`"
                return NotLookedUp(what, why, "unsupported")
            return read(call(**parameters))
    except Exception as error:  # nothing on AWS's side, and nothing in somebody's settings, may ever end a run
        return _why_not(error, what, action, region)


def _why_not(error: Exception, what: str, action: str, region: str) -> NotLookedUp:
    """What an exception on the way to an answer means."""
    from botocore import exceptions as errors

    match error:
        case Misdirected():
            return NotLookedUp(
                what, f"{error} names a server that is neither AWS's nor on this computer", "misdirected"
            )
        case errors.ClientError():
            return _refusal(what, action, error.response)
        case errors.ConnectTimeoutError() | errors.ReadTimeoutError() | TimeoutError():
            return NotLookedUp(what, f"AWS did not answer {action} in {region} in time", "timeout")
        case errors.HTTPClientError() | errors.ConnectionError():
            return NotLookedUp(what, f"AWS in {region} could not be reached ({type(error).__name__})", "unreachable")
        case (
            errors.UnknownServiceError()
            | errors.UnknownEndpointError()
            | errors.InvalidRegionError()
            | errors.EndpointProviderError()
        ):
            return NotLookedUp(what, f"{region} has no {action.partition(':')[0]} or is no AWS region", "unsupported")
        case errors.ParamValidationError():
            # Its text repeats the parameters, and one of them may be a password.
            return NotLookedUp(what, f"{action} was given a value it cannot take", "refused", "ParamValidation")
        case errors.BotoCoreError():
            return NotLookedUp(what, f"{action} failed before it was sent ({type(error).__name__})", "refused")
    return NotLookedUp(what, f"AWS's answer to {action} makes no sense ({type(error).__name__})", "garbled")


def find(
    what: str,
    service: str,
    region: str,
    operation: str,
    read: Callable[[Mapping[str, Any]], _T],
    /,
    absent: Collection[str],
    attempts: int = AWS_TRIES,
    **parameters: Any,
) -> _T | NotLookedUp | None:
    """As `ask`, for something that may not exist: None when AWS answers with one of the codes in `absent`.

    Codes are names such as `NotFoundException`; an HTTP status of 404 is no proof of absence and never one of them.
    """
    answer = ask(what, service, region, operation, read, attempts=attempts, **parameters)
    return None if isinstance(answer, NotLookedUp) and answer.code in absent else answer


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are to AWS."""

    account: str
    arn: str


def caller_identity() -> Identity | NotLookedUp:
    """Who the credentials belong to (sts:GetCallerIdentity, which needs no permission): the test that they work."""
    return ask(
        "the AWS identity",
        "sts",
        GLOBAL_REGION,
        "GetCallerIdentity",
        lambda answer: Identity(answer["Account"], answer["Arn"]),
    )


def _signed_in_client(service: str, region: str, attempts: int, more_seconds: int) -> Any:
    """The boto3 client for a service in a region, made once, its credentials at hand; else the SignInFailed."""
    _hush()
    refuse_elsewhere(os.environ)
    if not _is_on_ec2():
        # Without this, a machine without credentials waits for an instance metadata service that is not there.
        os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    surroundings = _surroundings()
    failed = sign_in(surroundings, region)
    if failed:
        return failed
    if region == GLOBAL_REGION and service in _GLOBAL_SERVICES:
        region = partition_of(session(surroundings).region_name).home
    return _client(service, region, attempts, more_seconds, surroundings)


def _surroundings() -> object:
    """In the key of what is kept: tests and long-lived callers may change where and as whom we ask."""
    return tuple(sorted((k, v) for k, v in os.environ.items() if k.startswith("AWS_") or k == "HOME"))


def _hush() -> None:
    """Keep AWS's libraries from logging requests and answers, which at DEBUG hold secrets, whoever asked for that."""
    for name in ("botocore", "boto3", "urllib3"):
        logger = logging.getLogger(name)
        if logger.getEffectiveLevel() < logging.INFO:
            logger.setLevel(logging.INFO)
    # It shows a stack where credentials cannot be renewed, which `sign_in` says in a line.
    logging.getLogger("botocore.credentials").setLevel(logging.CRITICAL)


@cache
def _client(service: str, region: str, attempts: int, more_seconds: int, surroundings: object) -> Any:
    from botocore.config import Config

    config = Config(
        # urllib3 sends a body under the time-out of the connection, all of it in one go.
        connect_timeout=CONNECT_SECONDS + more_seconds,
        read_timeout=READ_SECONDS + more_seconds,
        retries={"total_max_attempts": attempts, "mode": "standard"},
        user_agent_extra="bounce-triage",
    )
    made = session(surroundings).client(service, region_name=region, config=config)
    if not is_aws_or_here(made.meta.endpoint_url):
        raise Misdirected("`endpoint_url` in the AWS settings")
    return made


@cache
def _is_on_ec2() -> bool:
    for name in ("sys_vendor", "board_vendor"):
        try:
            if "amazon ec2" in Path("/sys/class/dmi/id", name).read_text(encoding="ascii").lower():
                return True
        except (OSError, UnicodeDecodeError):
            continue
    return False


def _refusal(what: str, action: str, response: Mapping[str, Any]) -> NotLookedUp:
    """What an error answer of AWS means. Its code decides; the HTTP status only where the code is that status."""
    error = response.get("Error") or {}
    code = str(error.get("Code") or "") or None
    status = (response.get("ResponseMetadata") or {}).get("HTTPStatusCode") or 0
    kind = _KIND_OF_CODE.get(code or "", "failed" if status >= 500 else "refused")
    said = masked(str(error.get("Message") or ""))
    said = "" if "<" in said[:20] else said  # a web page, not a sentence
    why = {
        "denied": f"this AWS identity may not call {action}",
        "bad-credentials": f"AWS does not accept the credentials ({code})",
        "throttled": f"AWS asks to slow down ({code})",
        "unsupported": f"the endpoint does not know {action} ({code})",
        "failed": f"AWS could not answer {action} ({code or status})",
        "refused": f"{action} was refused: {code}" + (f": {said}" if said else ""),
    }[kind]
    todo = not_accepted(_surroundings(), code, said) if kind == "bad-credentials" else None
    return NotLookedUp(what, why, kind, code, todo)


def masked(text: str) -> str:
    """A text of others as one short line: key ids shortened (`AKIA…7Q`), whatever looks like a secret left out."""
    line = _KEY_ID.sub(r"\1…\2", _SECRET.sub("[hidden]", " ".join(text.split())))
    return line if len(line) <= _MAX_WORDS else f"{line[: _MAX_WORDS - 1]}…"
