"""The hosts of a harbour (aiosmtpd): relays that want a login, MXs that do not, both failing as they are told.

All of them run in one thread, as in `sink`; the mailbox in which bounces arrive is the sink's. Judges nothing.
"""

from __future__ import annotations

import asyncio
import dataclasses
import ssl
from dataclasses import dataclass
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from tests.real_mta.sink import Sink

LATE = 600
"""Seconds a silent host stays silent: longer than any server waits."""


@dataclass(frozen=True)
class Conduct:
    """How a host behaves. Replies: None = what a friendly server says; lines of one reply are joined by newline."""

    connect: str | None = None
    auth: str | None = None
    mail: str | None = None
    rcpt: str | None = None
    end: str | None = None
    mechanisms: str = "PLAIN LOGIN"
    """What AUTH offers; "" = there is no AUTH."""
    tls: str = "good"
    """A kind of certificate, or "none", "refused", "broken"."""
    silent: bool = False
    wants_login: bool = True

    def at_mx(self) -> Conduct:
        """The same words said by a server where nobody logs in."""
        return dataclasses.replace(self, auth=None, mail=self.mail or self.auth, mechanisms="", wants_login=False)


class _Host(SMTP):
    """One connection to one host."""

    def __init__(self, name: str, conduct: Conduct, context: ssl.SSLContext | None, loop: Any) -> None:
        super().__init__(
            _Answers(conduct), hostname=name, ident="ESMTP ready", tls_context=context, loop=loop,
            auth_require_tls=False, authenticator=lambda *_: AuthResult(success=True),
        )  # fmt: skip
        self.conduct = conduct
        self._greeted = False

    async def push(self, status: Any) -> None:
        if not self._greeted:
            self._greeted = True
            if self.conduct.silent:
                await asyncio.sleep(LATE)
            if self.conduct.connect:
                await super().push(self.conduct.connect)
                self.close()
                return
        await super().push(status.replace("\n", "\r\n") if isinstance(status, str) else status)

    async def smtp_AUTH(self, arg: str) -> None:  # noqa: N802 - aiosmtpd finds its commands by these names
        if self.conduct.auth:
            await self.push(self.conduct.auth)
        else:
            await super().smtp_AUTH(arg)

    async def smtp_STARTTLS(self, arg: str) -> None:  # noqa: N802
        if self.conduct.tls == "refused":
            await self.push("454 4.7.0 TLS not available due to temporary reason")
        elif self.conduct.tls == "broken":
            await self.push("220 Ready to start TLS")
            await asyncio.sleep(0.2)
            await super().push("500 what was that?")
            self.close()
        else:
            await super().smtp_STARTTLS(arg)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()


class _Answers:
    """The hooks of aiosmtpd, answering as a conduct says."""

    def __init__(self, conduct: Conduct) -> None:
        self.conduct = conduct

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        offered = [line for line in responses[:-1] if "AUTH" not in line]
        if self.conduct.mechanisms and (session.ssl is not None or self.conduct.tls == "none" or not _has_tls(offered)):
            offered.append(f"250-AUTH {self.conduct.mechanisms}")
        return [offered[0], "250-ENHANCEDSTATUSCODES", *offered[1:], responses[-1]]

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.conduct.mail:
            return self.conduct.mail
        if self.conduct.wants_login and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        return "250 2.1.0 Ok"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.conduct.rcpt:
            return self.conduct.rcpt.replace("RECIPIENT", address)
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        return self.conduct.end or "250 2.0.0 Ok: queued"


def _has_tls(offered: list[str]) -> bool:
    return any("STARTTLS" in line for line in offered)


class Quay(Sink):
    """A sink that also holds hosts with a conduct; each listens on the ports it is given."""

    def put(self, ip: str, port: int, name: str, conduct: Conduct, context: ssl.SSLContext | None) -> None:
        """Let a host answer on this address and port."""
        self.put_up(ip, lambda: _Host(name, conduct, context, self.loop), port)
