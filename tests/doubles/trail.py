"""The event history of CloudTrail on loopback, which moto 5.2 lacks: what was done to access keys, and when."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from tests.doubles.loopback import Loopback, Reply, Request, json_reply

_NAMES = {"created": "CreateAccessKey", "deleted": "DeleteAccessKey"}
BY = "arn:aws:iam::123456789012:user/captain"


class TrailDouble(Loopback):
    """Answers LookupEvents by event name, newest first, `page_size` events at a time."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.events: list[dict[str, Any]] = []
        self.reset()

    def reset(self) -> None:
        self.events.clear()
        self.calls, self.page_size = 0, 50

    def note(self, change: str, user: str, key_id: str, at: datetime, *, error: str | None = None) -> None:
        """A change (`created`, `made inactive`, `made active`, `deleted`) as CloudTrail records it."""
        name = _NAMES.get(change, "UpdateAccessKey")
        asked: dict[str, Any] = {"userName": user} | ({"accessKeyId": key_id} if name != "CreateAccessKey" else {})
        if name == "UpdateAccessKey":
            asked["status"] = "Active" if change == "made active" else "Inactive"
        made = {"accessKey": {"accessKeyId": key_id, "userName": user, "status": "Active"}}
        event = {
            "eventVersion": "1.10",
            "eventTime": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "eventSource": "iam.amazonaws.com",
            "eventName": name,
            "userIdentity": {"type": "IAMUser", "arn": BY, "userName": "captain"},
            "requestParameters": asked,
            "responseElements": made if name == "CreateAccessKey" else None,
        }
        self.events.append(event | ({"errorCode": error} if error else {}))

    def _answer(self, request: Request) -> Reply:
        assert request.headers.get("X-Amz-Target", "").endswith(".LookupEvents")
        self.calls += 1
        asked = json.loads(request.body)
        [wanted] = [row["AttributeValue"] for row in asked["LookupAttributes"] if row["AttributeKey"] == "EventName"]
        since = datetime.fromtimestamp(asked["StartTime"], UTC)
        found = sorted(
            (e for e in self.events if e["eventName"] == wanted and datetime.fromisoformat(e["eventTime"]) >= since),
            key=lambda event: event["eventTime"],
            reverse=True,
        )
        start = int(asked.get("NextToken") or 0)
        page = found[start : start + self.page_size]
        answer: dict[str, Any] = {
            "Events": [
                {
                    "EventName": event["eventName"],
                    "EventTime": datetime.fromisoformat(event["eventTime"]).timestamp(),
                    "Username": "captain",
                    "CloudTrailEvent": json.dumps(event),
                }
                for event in page
            ]
        }
        if start + self.page_size < len(found):
            answer["NextToken"] = str(start + self.page_size)
        return json_reply(200, answer)
