"""A harbour for one server under test: relays and MXs with their names and ports, the mails, and the bounces.

Relays listen on port 587, MXs on 25, as they do in the world: ports stand in reports. Knows no server's configuration.
"""

from __future__ import annotations

import smtplib
import socket
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Protocol

from tests.real_mta.names import Zone
from tests.real_mta.relays.certificates import GOOD, KINDS, Authority
from tests.real_mta.relays.hosts import Quay
from tests.real_mta.relays.root import Root
from tests.real_mta.relays.ways import MX, RELAY, Way
from tests.real_mta.scenarios import NEAR, SENDER
from tests.real_mta.world import free_name_server

SUBMISSION, DELIVERY = 587, 25
PATIENCE = 150
"""Seconds in which every bounce must have come."""

LOGIN, PASSWORD = "deckhand", "not-a-real-one"


class Server(Protocol):
    """A mail server that can be run in a harbour."""

    def start(self, harbour: Harbour) -> None: ...
    def send(self, harbour: Harbour, way: Way, side: str) -> None: ...
    def stop(self) -> None: ...
    def log(self) -> str: ...


class Harbour:
    """Loopback addresses 127.77.N.*: 1 is the server under test, 2 the mailbox, 53 names, 100 up relays, 170 up MXs."""

    def __init__(self, folder: Path, ways: Sequence[Way]) -> None:
        self.ways = ways
        self._names = free_name_server()
        self.net = self._names.ip.rpartition(".")[0]
        self.near = f"{self.net}.1"
        self._names.zone = self._zone()
        authority = Authority(folder / "certificates")
        self.root = Root(folder / "root", self._names.ip, authority.pem)
        self._quay = Quay(DELIVERY)
        self._quay.mailbox(f"{self.net}.2", "mx.example.org")
        for way in ways:
            for side, name, port in ((RELAY, way.host, SUBMISSION), (MX, way.mx(), DELIVERY)):
                conduct = way.conduct_of(side)
                if conduct is not None:
                    kind = conduct.tls if conduct.tls in KINDS else GOOD
                    context = None if conduct.tls == "none" else authority.context(name, kind)
                    self._quay.put(self._address(way, side), port, name, conduct, context)

    @property
    def arrived(self) -> list[bytes]:
        return self._quay.arrived

    def bounces(self, way: Way, side: str) -> list[bytes]:
        """What came about one mail so far."""
        return [data for data in self.arrived if f"<{way.message_id(side)}>".encode() in data]

    def has_all(self) -> bool:
        return all(self.bounces(way, side) for way in self.ways for side in (RELAY, MX))

    def stop(self) -> None:
        self._names.stop()
        self._quay.stop()

    def _zone(self) -> Zone:
        zone = {
            SENDER.partition("@")[2]: {"MX": "10 mx.example.org."},
            "mx.example.org": {"A": f"{self.net}.2"},
            NEAR: {"A": self.near},
        }
        for way in self.ways:
            zone[way.domain(MX)] = {"MX": f"10 {way.mx()}."}
            if way.has_address:
                zone[way.host] = {"A": self._address(way, RELAY)}
                zone[way.mx()] = {"A": self._address(way, MX)}
        return zone

    def _address(self, way: Way, side: str) -> str:
        return f"{self.net}.{(100 if side == RELAY else 170) + way.number}"


def message(way: Way, side: str) -> bytes:
    """The mail of a pair."""
    mail = EmailMessage()
    mail["Message-ID"] = f"<{way.message_id(side)}>"
    mail["Date"] = format_datetime(datetime.now(UTC).replace(microsecond=0))
    mail["From"] = f"Queen of San Diego <{SENDER}>"
    mail["To"] = way.recipient(side)
    mail["Subject"] = "Your sailing on Saturday"
    mail.set_content("We cast off at ten o'clock from the public dock. Bring a jacket.\n")
    return mail.as_bytes(policy=SMTP)


def hand_in(harbour: Harbour, way: Way, side: str) -> None:
    """Hand a mail to a server that listens, as a mail program would."""
    with smtplib.SMTP(harbour.near, DELIVERY, local_hostname="laptop.example.org", timeout=20) as client:
        client.ehlo()
        client.sendmail(SENDER, [way.recipient(side)], message(way, side))


def wait_until_it_answers(ip: str, server: Server) -> None:
    """Return as soon as port 25 of an address answers."""
    until = time.monotonic() + 30
    while True:
        try:
            with socket.create_connection((ip, DELIVERY), 1) as connection:
                if connection.recv(3) == b"220":
                    return
        except OSError:
            pass
        assert time.monotonic() < until, f"no answer: {server.log()}"
        time.sleep(0.1)
