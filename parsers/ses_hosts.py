"""The names of the hosts where SES takes mail by SMTP: email-smtp.REGION.amazonaws.com.

Pure, and shared by all three packages. Source: https://docs.aws.amazon.com/general/latest/gr/ses.html
"""

from __future__ import annotations

import re

SES_HOST = r"email-smtp(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?"
"""A pattern for a host name in lower case; its only group is the region."""
REGION = r"[a-z]{2,4}(?:-[a-z]{2,12}){1,3}-\d{1,2}"
"""A pattern for what regions look like: us-east-1, ap-southeast-2, us-gov-west-1."""


def ses_region_of_host(host: str | None) -> str | None:
    """The region of an SES host, in lower case; None for any other host, and for none."""
    found = re.fullmatch(SES_HOST, host.lower()) if host else None
    return found[1] if found else None


def relay_host(region: str) -> str:
    """The SES SMTP endpoint of a region."""
    return f"email-smtp.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")


def looks_like_region(text: str) -> bool:
    """Whether the text has the shape of a region's name; not whether there is such a region."""
    return re.fullmatch(REGION, text) is not None
