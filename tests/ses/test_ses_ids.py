"""The digits of an SES message id: which region, and when."""

from __future__ import annotations

import pytest

from parsers.ses_hosts import AWS_REGIONS
from parsers.ses_ids import REGION_OF_PREFIX, ses_ids

REST = "019e1c2d3e4f-0a1b2c3d-1111-4222-8333-0123456789ab-000000"


@pytest.mark.parametrize(
    ("prefix", "region"),
    [
        ("010c", "ap-northeast-2"),
        ("010d", "ca-central-1"),
        ("0110", "eu-north-1"),
        ("0113", "eu-west-3"),
        ("0100", "us-east-1"),
        ("0199", None),
    ],
)
def test_the_prefix_names_the_region(prefix: str, region: str | None) -> None:
    (found,) = ses_ids(f"<{prefix}{REST}>")
    assert found.region == region


def test_every_region_of_a_prefix_is_one() -> None:
    assert set(REGION_OF_PREFIX.values()) <= set(AWS_REGIONS)


@pytest.mark.parametrize("region", AWS_REGIONS)
def test_the_domain_behind_the_id_names_any_region(region: str) -> None:
    (found,) = ses_ids(f"<0199{REST}@{region}.amazonses.com>")
    assert found.region == region
