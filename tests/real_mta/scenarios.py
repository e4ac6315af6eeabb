"""The rows of scenarios.toml as values: the mails of a world, how they are refused, and what the verdicts must say."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.real_mta.sink import Script

SENDER = "admin@queenofsandiego.com"
NEAR = "mail.example.org"
"""What the server under test calls itself."""

Records = Mapping[str, Mapping[str, str]]
"""Name -> type -> data as in a zone file; `@near`, `@far0`, `@script` stand for addresses of the world."""


@dataclass(frozen=True)
class Want:
    """What the verdict of one recipient must say; None = not looked at, or where noted: must be unknown."""

    recipient: str
    kind: str = "failed"
    cause: str | None = None
    reason: str | None = None
    status: str | None = None
    reply_code: str | None = None
    """None = must be unknown; so with `platform`, `original_recipient` and `remote_host`."""
    platform: str | None = None
    original_recipient: str | None = None
    remote_host: str | None = None
    command: str | None = None


@dataclass(frozen=True)
class Mail:
    """One mail through the server under test, and the mail server of its domain."""

    name: str
    to: tuple[str, ...]
    script: Script | None
    records: Records
    wants: tuple[Want, ...]
    exim: tuple[Want, ...] | None
    only: str | None
    body_size: int
    mail_options: tuple[str, ...]
    rcpt_options: tuple[str, ...]
    wants_more: tuple[str, ...]
    """Texts that must stand in the bounce: the envelope id, ..."""

    @property
    def host(self) -> str:
        """The name of the scripted mail server."""
        return next((name for name, data in self.records.items() if data.get("A") == "@script"), self.domain)

    @property
    def domain(self) -> str:
        return self.to[0].partition("@")[2]

    def wanted(self, server: str) -> tuple[Want, ...]:
        """What the bounces of this server must say; () = it is not asked."""
        if self.only not in (None, server):
            return ()
        return self.exim if server == "exim" and self.exim is not None else self.wants


def _mail(row: dict[str, Any]) -> Mail:
    wants = tuple(_want(**want) for want in row["wants"])
    to = tuple(row.get("to") or dict.fromkeys(want.recipient for want in wants))
    domain = to[0].partition("@")[2]
    own = {domain: {"MX": f"10 mx.{domain}."}, f"mx.{domain}": {"A": row.get("at", "@script")}}
    return Mail(
        name=row["name"],
        to=to,
        script=Script(**row["script"]) if "script" in row else None,
        records={**row.get("zone", own), **row.get("names", {})},
        wants=wants,
        exim=tuple(_want(**want) for want in row["exim"]) if "exim" in row else None,
        only=row.get("only"),
        body_size=row.get("body_size", 0),
        mail_options=tuple(row.get("mail_options", ())),
        rcpt_options=tuple(row.get("rcpt_options", ())),
        wants_more=tuple(row.get("wants_more", ())),
    )


def _want(*, recipient: str, remote_host: str = "mx.", **fields: str) -> Want:
    if remote_host == "mx.":
        remote_host += recipient.partition("@")[2]
    return Want(recipient, remote_host=None if remote_host == "none" else remote_host, **fields)


def _mails() -> tuple[Mail, ...]:
    rows = tomllib.loads((Path(__file__).parent / "scenarios.toml").read_text(encoding="utf-8"))["mail"]
    return tuple(_mail(row) for row in rows)


MAILS = _mails()
