"""Where AWS is asked: at its own addresses, or on this computer, as tests have it; nowhere else. Pure.

What is asked carries our mails' recipients, and what is answered we believe, so an endpoint of somebody else is refused
however it got into the environment or the AWS settings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from remediation.here import host_of, is_here

VARIABLE = "AWS_ENDPOINT_URL"
"""With a service behind it, for one service. https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html"""

_SERVICES = "cloudtrail|email|iam|monitoring|route53|secretsmanager|sns|sqs|sts"
# Not all of amazonaws.com: buckets, load balancers and other people's programs have names there too.
_OF_AWS = re.compile(
    rf"(?:{_SERVICES})(?:-fips)?(?:\.[a-z0-9-]+)?\.(?:amazonaws\.com|amazonaws\.com\.cn|amazonaws\.eu|api\.aws)"
    rf"|vpce-[a-z0-9-]+\.(?:{_SERVICES})\.[a-z0-9-]+\.vpce\.amazonaws\.com"
)


class Misdirected(Exception):  # noqa: N818 - named for what is the matter
    """AWS was to be asked at an address that is not AWS's; the text says where that is written."""


def configured(env: Mapping[str, str]) -> dict[str, str]:
    """Variable -> address, for each that leads away from where AWS is usually asked."""
    if env.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return {}
    return {name: url for name, url in sorted(env.items()) if name.startswith(VARIABLE) and url}


def is_aws_or_here(url: str) -> bool:
    """Whether an address is AWS's own, over a connection nobody listens to, or on this computer."""
    return is_here(url) or bool(url.startswith("https:") and _OF_AWS.fullmatch(host_of(url)))


def refuse_elsewhere(env: Mapping[str, str]) -> None:
    """Raise Misdirected for a variable that leads elsewhere, before any credentials are looked for there."""
    for name, url in configured(env).items():
        if not is_aws_or_here(url):
            raise Misdirected(name)
