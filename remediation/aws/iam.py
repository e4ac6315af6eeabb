"""What AWS knows of the user behind SES SMTP credentials: its access keys, their age, their last use, their changes.

The SMTP user name is the id of an access key, so the state of the keys is the state of the credentials. Only reads;
making and deleting keys is `rotation`. Key ids are no secrets, but are shown shortened (`short_key_id`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from remediation.aws.client import GLOBAL_REGION, NotLookedUp, ask, find

_ABSENT = ("NoSuchEntity",)
_PAGES = 5  # of 50 events each; keys of a whole account change rarely

KeyChangeKind = Literal["created", "made inactive", "made active", "deleted"]
_CHANGING = ("UpdateAccessKey", "DeleteAccessKey", "CreateAccessKey")


@dataclass(frozen=True, slots=True)
class LastUse:
    """When a key was last used for anything, as far as IAM noticed: with a delay, and perhaps not for SMTP logins."""

    at: datetime | None
    """Aware, UTC; None: never, or not since IAM keeps track."""
    service: str | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class AccessKey:
    """One access key of a user, without its secret, which AWS never shows again."""

    id: str
    active: bool
    created_at: datetime
    last_use: LastUse | NotLookedUp

    @property
    def short_id(self) -> str:
        return short_key_id(self.id)


@dataclass(frozen=True, slots=True)
class KeyChange:
    """Something that was done to an access key. IAM itself does not remember when; CloudTrail does, for 90 days."""

    key_id: str
    change: KeyChangeKind
    at: datetime
    by: str | None
    """The ARN of who did it."""

    @property
    def short_id(self) -> str:
        return short_key_id(self.key_id)


def access_keys(user: str) -> list[AccessKey] | NotLookedUp | None:
    """The access keys of an IAM user (two at most), the oldest first, each with its last use; None: no such user."""
    rows = find(
        f"the access keys of {user}",
        "iam",
        GLOBAL_REGION,
        "ListAccessKeys",
        lambda answer: [_key(row) for row in answer["AccessKeyMetadata"]],
        absent=_ABSENT,
        UserName=user,
    )
    if rows is None or isinstance(rows, NotLookedUp):
        return rows
    keys = [AccessKey(*row, last_use=key_last_use(row[0])) for row in rows]
    return sorted(keys, key=lambda key: key.created_at)


def key_last_use(key_id: str) -> LastUse | NotLookedUp:
    """When a key was last used."""
    return ask(
        f"the last use of key {short_key_id(key_id)}",
        "iam",
        GLOBAL_REGION,
        "GetAccessKeyLastUsed",
        _last_use,
        AccessKeyId=key_id,
    )


def key_changes(user: str, since: datetime) -> list[KeyChange] | NotLookedUp:
    """What was done to the access keys of a user since then, the oldest first, from CloudTrail's event history.

    CloudTrail tells up to a quarter of an hour late, and nothing older than 90 days.
    """
    changes: list[KeyChange] = []
    for name in _CHANGING:
        found = _key_events(name, since)
        if isinstance(found, NotLookedUp):
            return found
        changes += [change for event in found if (change := _key_change(event, user))]
    return sorted(changes, key=lambda change: change.at)


def _key_events(name: str, since: datetime) -> list[Mapping[str, Any]] | NotLookedUp:
    events: list[Mapping[str, Any]] = []
    token: dict[str, Any] = {}
    for _ in range(_PAGES):
        answer = ask(
            "the changes of access keys",
            "cloudtrail",
            GLOBAL_REGION,
            "LookupEvents",
            # The event itself is a text of JSON; the time stands beside it as a time.
            lambda answer: (
                [{**json.loads(row["CloudTrailEvent"]), "at": row["EventTime"]} for row in answer["Events"]],
                answer.get("NextToken"),
            ),
            LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": name}],
            StartTime=since,
            **token,
        )
        if isinstance(answer, NotLookedUp):
            return answer
        events += answer[0]
        if not answer[1]:
            break
        token = {"NextToken": answer[1]}
    return events


def _key_change(event: Mapping[str, Any], user: str) -> KeyChange | None:
    """What one event did to a key of this user; None for another user's, and for an attempt that was refused."""
    asked, done = event.get("requestParameters") or {}, event.get("responseElements") or {}
    who = event.get("userIdentity") or {}
    created = done.get("accessKey") or {}
    # Who changes an own key may leave the user name out.
    owner = asked.get("userName") or created.get("userName") or who.get("userName")
    key_id = created.get("accessKeyId") or asked.get("accessKeyId")
    if owner != user or not key_id or event.get("errorCode"):
        return None
    change: KeyChangeKind = "created"
    if event.get("eventName") == "DeleteAccessKey":
        change = "deleted"
    elif event.get("eventName") == "UpdateAccessKey":
        change = "made active" if asked.get("status") == "Active" else "made inactive"
    return KeyChange(str(key_id), change, event["at"].astimezone(UTC), who.get("arn") or None)


def short_key_id(key_id: str) -> str:
    """A key id as it is shown: `AKIA…7Q`."""
    return f"{key_id[:4]}…{key_id[-2:]}" if len(key_id) > 8 else key_id


def _key(row: Mapping[str, Any]) -> tuple[str, bool, datetime]:
    return str(row["AccessKeyId"]), row["Status"] == "Active", row["CreateDate"].astimezone(UTC)


def _last_use(answer: Mapping[str, Any]) -> LastUse:
    used = answer["AccessKeyLastUsed"]
    at = used.get("LastUsedDate")
    if at is None:
        return LastUse(None)
    return LastUse(at.astimezone(UTC), _word(used.get("ServiceName")), _word(used.get("Region")))


def _word(value: object) -> str | None:
    return str(value) if value not in (None, "", "N/A") else None
