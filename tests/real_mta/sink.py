"""Mail servers that refuse by script (aiosmtpd), and the mailbox in which the bounces arrive.

All hosts of a world run in one thread on loopback addresses of their own and one port. Judges nothing, reads nothing.
"""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

# aiosmtpd warns at each start that AUTH is offered without TLS; nobody signs in here.
warnings.filterwarnings("ignore", message="Requiring AUTH while not requiring TLS")


@dataclass(frozen=True)
class Script:
    """What a host answers at each step; None = what a friendly server says. Lines of a reply are joined by newline."""

    connect: str | None = None
    ehlo: str | None = None
    mail: str | None = None
    rcpt: str | None = None
    rcpt_of: dict[str, str] = field(default_factory=dict)
    """Replies for single recipients, by address."""
    data: str | None = None
    end: str | None = None
    """The reply to the final dot."""
    drops: str | None = None
    """Where the connection is cut without a word: `data` = in the middle of the mail, `end` = after the final dot;
    `silence` = it stays open, and nothing is ever said."""
    lacks: tuple[str, ...] = ()
    """Extensions that are not offered: `8BITMIME`, `SMTPUTF8`. DSN never is: reporting stays with the server before."""
    size: int = 10_000_000


class _Host(SMTP):
    """One connection to one scripted host."""

    def __init__(self, name: str, script: Script, **options: Any) -> None:
        super().__init__(_Answers(script), hostname=name, ident="ESMTP ready", data_size_limit=script.size, **options)
        self.script = script
        self._greeted = False

    async def push(self, status: Any) -> None:
        if not self._greeted and isinstance(status, str):
            self._greeted = True
            if self.script.drops == "silence":
                await asyncio.sleep(600)
            if self.script.connect:
                await super().push(self.script.connect.replace("\n", "\r\n"))
                self._cut()
                return
        await super().push(status.replace("\n", "\r\n") if isinstance(status, str) else status)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 - aiosmtpd finds its commands by these names
        if self.script.data:
            await self.push(self.script.data)
        elif self.script.drops == "data":
            await self.push("354 End data with <CR><LF>.<CR><LF>")
            self._cut()
        else:
            await super().smtp_DATA(arg)

    def _cut(self) -> None:
        if self.transport is not None:
            self.transport.close()


class _Answers:
    """The hooks of aiosmtpd, answering from a script."""

    def __init__(self, script: Script) -> None:
        self.script = script

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        if self.script.ehlo:
            return [self.script.ehlo]
        offered = [line for line in responses[:-1] if not any(word in line for word in (*self.script.lacks, "AUTH"))]
        return [offered[0], "250-ENHANCEDSTATUSCODES", *offered[1:], responses[-1]]

    async def handle_HELO(self, server: SMTP, session: Session, envelope: Envelope, hostname: str) -> str:  # noqa: N802
        session.host_name = hostname
        return self.script.ehlo or f"250 {server.hostname}"

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.script.mail:
            return self.script.mail
        envelope.mail_from = address
        return "250 2.1.0 Ok"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = self.script.rcpt_of.get(address, self.script.rcpt)
        if reply:
            return reply
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.script.drops == "end":
            assert server.transport is not None
            server.transport.close()
        return self.script.end or "250 2.0.0 Ok: queued"


class _Mailbox:
    """The hooks of the host where bounces arrive: keeps what comes from the null sender."""

    def __init__(self, arrived: list[bytes]) -> None:
        self.arrived = arrived

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        data = envelope.original_content or b""
        self.arrived.append(f"Return-Path: <{(envelope.mail_from or '').strip('<>')}>\r\n".encode() + data)
        return "250 2.0.0 Ok: delivered"


class Sink:
    """All scripted hosts and the mailbox, in one thread. `arrived` grows while bounces come in."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.arrived: list[bytes] = []
        self.loop = asyncio.new_event_loop()
        self._servers: list[asyncio.Server] = []
        self._connections: list[SMTP] = []
        self._thread = threading.Thread(target=self.loop.run_forever, name="sink", daemon=True)
        self._thread.start()

    def host(self, ip: str, name: str, script: Script) -> None:
        """Let a scripted host answer on this address."""
        self.put_up(ip, lambda: _Host(name, script, enable_SMTPUTF8="SMTPUTF8" not in script.lacks, loop=self.loop))

    def mailbox(self, ip: str, name: str) -> None:
        """Let the mailbox of the sender answer on this address."""
        self.listen(ip, name, _Mailbox(self.arrived))

    def listen(self, ip: str, name: str, hooks: object) -> None:
        """Let a host answer on this address with aiosmtpd's hooks; it takes mails of any size."""
        options: dict[str, Any] = {"enable_SMTPUTF8": True, "data_size_limit": None, "loop": self.loop}
        self.put_up(ip, lambda: SMTP(hooks, hostname=name, **options))

    def stop(self) -> None:
        """Close every port; connections still open are cut."""

        async def close() -> None:
            for server in self._servers:
                server.close()
            for connection in self._connections:
                if connection.transport is not None:
                    connection.transport.close()
            await asyncio.sleep(0.1)  # a transport is closed in a later round of the loop
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(close(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    def put_up(self, ip: str, factory: Callable[[], SMTP], port: int | None = None) -> None:
        """Let what the factory makes answer each connection to this address; on the sink's port unless told."""

        def connected() -> SMTP:
            self._connections.append(factory())
            return self._connections[-1]

        started = asyncio.run_coroutine_threadsafe(self.loop.create_server(connected, ip, port or self.port), self.loop)
        self._servers.append(started.result(10))
