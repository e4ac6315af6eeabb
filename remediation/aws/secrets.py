"""The secret that holds the SMTP credentials: the dates of its versions, and its login for a live test.

A password read here stands in no text this module makes, and not in the `repr` of what it returns. Only reads; writing
new versions is `rotation`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from remediation.aws.client import NotLookedUp, find

_ABSENT = ("ResourceNotFoundException",)


@dataclass(frozen=True, slots=True)
class SecretVersion:
    """One version of a secret, without what is in it."""

    id: str
    stages: tuple[str, ...]
    """AWSCURRENT, AWSPREVIOUS, AWSPENDING; none: deprecated."""
    created_at: datetime


@dataclass(frozen=True, slots=True)
class SecretLogin:
    """The SMTP login a secret holds. `host`, `port`, `region` and `user` are None where the secret does not say."""

    username: str
    password: str = field(repr=False)
    version_id: str
    host: str | None = None
    port: int | None = None
    region: str | None = None
    user: str | None = None
    """The IAM user the credentials belong to."""


def region_of_secret(secret_id: str | None) -> str | None:
    """The region that stands in the ARN of a secret; None: it is a name, and a name is of no region."""
    parts = (secret_id or "").split(":")
    return parts[3] or None if parts[0] == "arn" and len(parts) >= 7 else None


def secret_versions(region: str, secret_id: str) -> list[SecretVersion] | NotLookedUp | None:
    """The versions of a secret that carry a stage, the newest first; None: there is no such secret."""
    return find(
        f"the versions of secret {secret_id}",
        "secretsmanager",
        region,
        "ListSecretVersionIds",
        _versions,
        absent=_ABSENT,
        SecretId=secret_id,
    )


def secret_login(region: str, secret_id: str, stage: str = "AWSCURRENT") -> SecretLogin | NotLookedUp | None:
    """The login in a secret: JSON with at least `username` and `password`; None: no such secret or stage.

    The stage is always named: a stand-in for AWS (moto 5.2) otherwise gives the version before the last move. A secret
    without a password (only Gmail has it) is refused as one that holds no whole login.
    """
    what = f"the secret {secret_id}"
    login = find(
        what,
        "secretsmanager",
        region,
        "GetSecretValue",
        _login,
        absent=_ABSENT,
        SecretId=secret_id,
        VersionStage=stage,
    )
    if isinstance(login, SecretLogin) and not (login.username and login.password):
        return NotLookedUp(what, "it holds no whole login: username and password", "refused")
    return login


def _versions(answer: Mapping[str, Any]) -> list[SecretVersion]:
    rows = [
        SecretVersion(str(row["VersionId"]), tuple(row.get("VersionStages") or ()), row["CreatedDate"].astimezone(UTC))
        for row in answer["Versions"]
    ]
    return sorted(rows, key=lambda version: version.created_at, reverse=True)


def _login(answer: Mapping[str, Any]) -> SecretLogin:
    try:
        held = json.loads(answer["SecretString"])
    except json.JSONDecodeError:
        raise ValueError("the secret is not JSON") from None  # the original error carries the secret itself
    return SecretLogin(
        username=str(held.get("username") or ""),
        password=str(held.get("password") or ""),
        version_id=str(answer["VersionId"]),
        host=held.get("host") or None,
        port=int(held["port"]) if held.get("port") else None,
        region=held.get("region") or None,
        user=held.get("iam_user") or None,
    )
