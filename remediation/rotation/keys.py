"""What a rotation does at AWS: the keys of one IAM user and the versions of one secret.

Each call does one thing and says what came of it; which one is due is decided in `rotation_next`. A password or secret
key that passes through here stands in no repr, and no library logs it (`aws.client` sees to that).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from parsers.times import utc_text
from remediation.aws import GLOBAL_REGION, LastUse, NotLookedUp, access_keys, ask, find, short_key_id
from remediation.credentials import Login
from remediation.rotation.state import AwsView, IamKey, Version

LIMIT_EXCEEDED = "LimitExceeded"
"""IAM's word for a third key."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """An access key at the only moment its secret is shown."""

    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Held:
    """What a version of the secret says."""

    version_id: str
    username: str | None
    """None: the version is no JSON that names a user."""
    password: str | None = field(repr=False)
    """None: it holds none; only Gmail has it."""

    @property
    def login(self) -> Login | None:
        """The login, where it is whole."""
        return Login(self.username, self.password) if self.username and self.password else None


@dataclass(frozen=True, slots=True)
class KeyRing:
    """One IAM user and one secret at the real AWS (or wherever the environment points)."""

    user: str
    secret_id: str
    region: str
    """Of the secret; IAM has none."""

    def observe(self) -> AwsView | NotLookedUp | None:
        """The keys and the secret's stages; None: there is no such user (`current` None: no such secret)."""
        keys = access_keys(self.user)
        if keys is None or isinstance(keys, NotLookedUp):
            return keys
        stages = self.stages()
        if isinstance(stages, NotLookedUp):
            return stages
        held: dict[str, Version | None] = dict.fromkeys(("AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"))
        for stage in held:
            if stages and stage in stages:
                found = self.read(stages[stage], stage)
                if isinstance(found, NotLookedUp):
                    return found
                held[stage] = None if found is None else Version(found.version_id, found.username)
        return AwsView(
            tuple(
                IamKey(key.id, key.active, key.created_at, key.last_use.at, True)
                if isinstance(key.last_use, LastUse)
                else IamKey(key.id, key.active, key.created_at, None, False)
                for key in keys
            ),
            held["AWSCURRENT"],
            held["AWSPENDING"],
            held["AWSPREVIOUS"],
        )

    def stages(self) -> dict[str, str] | NotLookedUp | None:
        """The version id behind each stage of the secret; None: there is no such secret."""
        return find(
            f"the versions of secret {self.secret_id}",
            "secretsmanager",
            self.region,
            "DescribeSecret",
            lambda answer: {
                stage: version_id
                for version_id, stages in (answer.get("VersionIdsToStages") or {}).items()
                for stage in stages
            },
            absent=("ResourceNotFoundException",),
            SecretId=self.secret_id,
        )

    def read(self, version_id: str | None = None, stage: str | None = None) -> Held | NotLookedUp | None:
        """What one version of the secret holds, by its id, its stage (AWSCURRENT, ...) or both; None: there is none.

        Where the stage is known it should be named too: a stand-in for AWS (moto 5.2) needs it.
        """
        named: dict[str, Any] = {"VersionId": version_id, "VersionStage": stage}
        return find(
            f"version {version_id or stage} of secret {self.secret_id}",
            "secretsmanager",
            self.region,
            "GetSecretValue",
            _held,
            absent=("ResourceNotFoundException",),
            SecretId=self.secret_id,
            **{name: value for name, value in named.items() if value},
        )

    def create_key(self) -> NewKey | NotLookedUp:
        """Make a new access key. Without an answer one may have been made all the same."""
        return ask(
            f"a new access key for {self.user}",
            "iam",
            GLOBAL_REGION,
            "CreateAccessKey",
            lambda answer: NewKey(answer["AccessKey"]["AccessKeyId"], answer["AccessKey"]["SecretAccessKey"]),
            attempts=1,
            UserName=self.user,
        )

    def set_key(self, key_id: str, *, active: bool) -> NotLookedUp | None:
        """Make a key Active or Inactive; may be repeated."""
        status = "Active" if active else "Inactive"
        return ask(
            f"making key {short_key_id(key_id)} {status}",
            "iam",
            GLOBAL_REGION,
            "UpdateAccessKey",
            _done,
            UserName=self.user,
            AccessKeyId=key_id,
            Status=status,
        )

    def delete_key(self, key_id: str) -> NotLookedUp | None:
        """Delete a key; one that is not there is as good as deleted."""
        return find(
            f"deleting key {short_key_id(key_id)}",
            "iam",
            GLOBAL_REGION,
            "DeleteAccessKey",
            _done,
            absent=("NoSuchEntity",),
            UserName=self.user,
            AccessKeyId=key_id,
        )

    def put_pending(self, version_id: str, values: Mapping[str, Any]) -> NotLookedUp | None:
        """Store values as the version with this id, staged AWSPENDING; the same values may be stored again."""
        return ask(
            f"a new version of secret {self.secret_id}",
            "secretsmanager",
            self.region,
            "PutSecretValue",
            _done,
            SecretId=self.secret_id,
            ClientRequestToken=version_id,
            SecretString=json.dumps(values),
            VersionStages=["AWSPENDING"],
        )

    def move_current(self, *, to: str, away_from: str) -> NotLookedUp | None:
        """Let AWSCURRENT point to another version; AWS lets AWSPREVIOUS follow by itself."""
        return ask(
            f"the current version of secret {self.secret_id}",
            "secretsmanager",
            self.region,
            "UpdateSecretVersionStage",
            _done,
            SecretId=self.secret_id,
            VersionStage="AWSCURRENT",
            MoveToVersionId=to,
            RemoveFromVersionId=away_from,
        )

    def drop_pending(self, version_id: str) -> NotLookedUp | None:
        """Take the label AWSPENDING off a version."""
        return ask(
            f"the staged version of secret {self.secret_id}",
            "secretsmanager",
            self.region,
            "UpdateSecretVersionStage",
            _done,
            SecretId=self.secret_id,
            VersionStage="AWSPENDING",
            RemoveFromVersionId=version_id,
        )

    def create_secret(self, version_id: str, values: Mapping[str, Any]) -> NotLookedUp | None:
        """Make the secret, with these values as its current version; one that is there already is left alone."""
        return find(
            f"the new secret {self.secret_id}",
            "secretsmanager",
            self.region,
            "CreateSecret",
            _done,
            absent=("ResourceExistsException",),
            Name=self.secret_id,
            ClientRequestToken=version_id,
            SecretString=json.dumps(values),
            Description="SES SMTP login of one Gmail alias; rotated by bounce-triage",
        )


def secret_values(
    login: Login, *, user: str, region: str, host: str, port: int, created_at: datetime
) -> dict[str, Any]:
    """What a version of the secret holds."""
    return {
        "username": login.username,
        "password": login.password,
        "host": host,
        "port": port,
        "region": region,
        "iam_user": user,
        "created": utc_text(created_at),
    }


def _held(answer: Mapping[str, Any]) -> Held:
    version_id = str(answer["VersionId"])
    try:
        values = json.loads(answer["SecretString"])
        username = values["username"]
        password = values.get("password")
    except (KeyError, TypeError, ValueError, AttributeError):
        return Held(version_id, None, None)
    return Held(version_id, str(username) if username else None, str(password) if password else None)


def _done(answer: object) -> None:
    return None
