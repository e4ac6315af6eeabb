"""The bounce and complaint rate SES measures, read from CloudWatch. Only reads; judges no rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from remediation.aws.client import NotLookedUp, ask

METRIC_SPAN = timedelta(hours=72)
_METRICS = {"bounce": "Reputation.BounceRate", "complaint": "Reputation.ComplaintRate"}


@dataclass(frozen=True, slots=True)
class Reputation:
    """The newest value of each rate, as a fraction (0.05 is 5 %); None: SES published none in the last 72 hours."""

    bounce: float | None
    complaint: float | None


def reputation(region: str, now: datetime) -> Reputation | NotLookedUp:
    """The rates of the account in a region, as SES itself counts them."""
    queries = [
        {
            "Id": name,
            "MetricStat": {"Metric": {"Namespace": "AWS/SES", "MetricName": metric}, "Period": 3600, "Stat": "Average"},
        }
        for name, metric in _METRICS.items()
    ]
    return ask(
        f"the bounce and complaint rate in {region}",
        "cloudwatch",
        region,
        "GetMetricData",
        _read,
        MetricDataQueries=queries,
        StartTime=now - METRIC_SPAN,
        EndTime=now + timedelta(hours=1),  # the hour that is running
        ScanBy="TimestampDescending",
    )


def _read(answer: Mapping[str, Any]) -> Reputation:
    newest: dict[str, float | None] = {}
    for row in answer["MetricDataResults"]:
        points = sorted(zip(row["Timestamps"], row["Values"], strict=True), key=lambda point: point[0])
        newest[str(row["Id"])] = float(points[-1][1]) if points else None
    return Reputation(newest.get("bounce"), newest.get("complaint"))
