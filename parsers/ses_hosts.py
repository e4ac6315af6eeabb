"""The names of the hosts where SES takes mail by SMTP: email-smtp.REGION.amazonaws.com.

Pure, and shared by all three packages. Source: https://docs.aws.amazon.com/general/latest/gr/ses.html
"""

from __future__ import annotations

import re

SES_HOST = r"email-smtp(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.(?:com(?:\.cn)?|eu)"
"""A pattern for a host name in lower case; its only group is the region."""
REGION = r"[a-z]{2,4}(?:-[a-z]{2,12}){1,3}-\d{1,2}"
"""A pattern for what regions look like: us-east-1, ap-southeast-2, us-gov-west-1."""

AWS_REGIONS = (
    *("af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1"),
    *("ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5"),
    *("ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1", "cn-north-1", "cn-northwest-1"),
    *("eu-central-1", "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2"),
    *("eu-west-3", "eusc-de-east-1", "il-central-1", "me-central-1", "me-south-1", "mx-central-1", "sa-east-1"),
    *("us-east-1", "us-east-2", "us-gov-east-1", "us-gov-west-1", "us-west-1", "us-west-2"),
)
"""The regions SES, or a queue of its events, may be in; a test holds it against what botocore knows."""


def ses_region_of_host(host: str | None) -> str | None:
    """The region of an SES host, in lower case; None for any other host, and for none."""
    found = re.fullmatch(SES_HOST, host.lower()) if host else None
    return found[1] if found else None


def relay_host(region: str) -> str:
    """The SES SMTP endpoint of a region."""
    if region.startswith("eusc-"):  # the European Sovereign Cloud
        return f"email-smtp.{region}.amazonaws.eu"
    return f"email-smtp.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")


def looks_like_region(text: str) -> bool:
    """Whether the text has the shape of a region's name; not whether there is such a region."""
    return re.fullmatch(REGION, text) is not None
