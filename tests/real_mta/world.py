"""A world for one server under test: names, scripted hosts, the mailbox; and the way of the mails through it.

Knows no server's configuration; a server is anything with `start(world)` and `stop()` that listens on `world.near`.
"""

from __future__ import annotations

import contextlib
import smtplib
import socket
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from pathlib import Path
from typing import Protocol

from tests.real_mta.names import NameServer
from tests.real_mta.scenarios import SENDER, Mail, Records
from tests.real_mta.sink import Sink

LIFETIME = 9
"""Seconds after which the server under test gives up."""
WARN_AFTER = 2
"""Seconds after which it warns that it is still trying."""
PATIENCE = 60
"""Seconds in which every bounce must have come."""


class Server(Protocol):
    """A mail server that can be run in a world."""

    def start(self, world: World) -> None: ...
    def stop(self) -> None: ...
    def log(self) -> str: ...


class World:
    """Loopback addresses 127.77.N.*, and names for them.

    1 is the server under test, 2 the mailbox, 53 the name server, 90 to 99 where the server under test also plays the
    other side (`far`), 100 up the scripted hosts.
    """

    def __init__(self, folder: Path, mails: Sequence[Mail]) -> None:
        folder.mkdir()
        self.folder = folder
        self.mails = mails
        self._names = free_name_server()
        self.net = self._names.ip.rpartition(".")[0]
        self._names.zone = self._zone()
        self.near = f"{self.net}.1"
        self.port = free_port(self.near)
        self.env = {"LD_PRELOAD": "libresolv_wrapper.so", "RESOLV_WRAPPER_CONF": str(folder / "resolv.conf")}
        (folder / "resolv.conf").write_text(f"nameserver {self._names.ip}\n")
        self._sink = Sink(self.port)
        self._sink.mailbox(f"{self.net}.2", "mx.example.org")
        for number, mail in enumerate(mails):
            if mail.script is not None:
                self._sink.host(self._scripted(number), mail.host, mail.script)

    @property
    def arrived(self) -> list[bytes]:
        return self._sink.arrived

    def send(self, mail: Mail) -> None:
        """Hand one mail to the server under test, as a mail program would."""
        message = _message(mail)
        with smtplib.SMTP(self.near, self.port, local_hostname="laptop.example.org", timeout=20) as client:
            client.ehlo()
            refused = client.sendmail(SENDER, list(mail.to), message, mail.mail_options, mail.rcpt_options)
        assert not refused, f"{mail.name}: the server under test would not take it: {refused}"

    def send_all(self) -> None:
        """Hand every mail of the world to the server under test."""
        for mail in self.mails:
            self.send(mail)

    def wait(self, counts: Mapping[str, int]) -> dict[str, list[bytes]]:
        """The bounces by the name of their mail, as soon as each has its count, or when patience is over."""
        until = time.monotonic() + PATIENCE
        while True:
            found = {mail.name: self._bounces_of(mail) for mail in self.mails}
            if time.monotonic() > until or all(len(found[name]) >= count for name, count in counts.items()):
                return found
            time.sleep(0.2)

    def stop(self) -> None:
        self._names.stop()
        self._sink.stop()

    def listen(self, ip: str, name: str, hooks: object) -> None:
        """Let a host with aiosmtpd's hooks answer on this address."""
        self._sink.listen(ip, name, hooks)

    def far(self, number: int) -> str:
        """An address on which the server under test itself is the recipient's server."""
        return f"{self.net}.{90 + number}"

    def _bounces_of(self, mail: Mail) -> list[bytes]:
        return [data for data in self.arrived if f"<{message_id(mail)}>".encode() in data]

    def _zone(self) -> Records:
        zone = {SENDER.partition("@")[2]: {"MX": "10 mx.example.org."}, "mx.example.org": {"A": f"{self.net}.2"}}
        for number, mail in enumerate(self.mails):
            for name, records in mail.records.items():
                zone[name] = {kind: self._placed(data, number) for kind, data in records.items()}
        return zone

    def _placed(self, data: str, number: int) -> str:
        """`@near`, `@far3` and `@script` (the mail's own scripted host) of the table as addresses."""
        if data.startswith("@far"):
            return self.far(int(data.removeprefix("@far")))
        return {"@near": f"{self.net}.1", "@script": self._scripted(number)}.get(data, data)

    def _scripted(self, number: int) -> str:
        return f"{self.net}.{100 + number}"


def message_id(mail: Mail) -> str:
    return f"{mail.name}.20261124@queenofsandiego.com"


def _message(mail: Mail) -> bytes:
    message = EmailMessage()
    message["Message-ID"] = f"<{message_id(mail)}>"
    message["Date"] = format_datetime(datetime.now(UTC).replace(microsecond=0))
    message["From"] = f"Queen of San Diego <{SENDER}>"
    message["To"] = ", ".join(mail.to)
    message["Subject"] = "Your sailing on Saturday"
    line = "We cast off at ten o'clock from the public dock. Bring a jacket.\n"
    message.set_content(line + line * (mail.body_size // len(line)))
    return message.as_bytes(policy=SMTPUTF8 if "SMTPUTF8" in mail.mail_options else SMTP)


def free_name_server() -> NameServer:
    """On the first free address: worlds run side by side, in one process or several."""
    for number in range(64):
        with contextlib.suppress(OSError):
            return NameServer(f"127.77.{number}.53")
    raise RuntimeError("no free address for a name server on port 53 in 127.77.0.0/18")


def free_port(ip: str) -> int:
    """A port of this address that nobody uses."""
    with socket.socket() as probe:
        probe.bind((ip, 0))
        port: int = probe.getsockname()[1]
        return port
