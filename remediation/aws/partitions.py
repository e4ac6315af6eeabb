"""The partitions of AWS: worlds of their own, with their own accounts, ARNs and host names. Pure.

https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html
"""

from __future__ import annotations

from typing import NamedTuple


class Partition(NamedTuple):
    """What differs between the worlds."""

    name: str
    """As it stands in ARNs: `arn:NAME:...`."""
    home: str
    """The region that IAM, STS and CloudTrail's record of IAM answer from."""


_BY_PREFIX = {
    "cn-": Partition("aws-cn", "cn-north-1"),
    "us-gov-": Partition("aws-us-gov", "us-gov-west-1"),
    "eusc-": Partition("aws-eusc", "eusc-de-east-1"),
}
_COMMERCIAL = Partition("aws", "us-east-1")


def partition_of(region: str | None) -> Partition:
    """The partition of a region; the commercial one where none is named."""
    return next((made for start, made in _BY_PREFIX.items() if (region or "").startswith(start)), _COMMERCIAL)
