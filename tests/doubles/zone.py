"""A DNS server on loopback that answers as a resolver would, from zones a test writes; UDP and TCP, dnspython inside.

    with ZoneDouble() as dns:
        dns.set("example.org", "TXT", '"v=spf1 -all"')
        dns.fail("_dmarc.example.org", "servfail")     # or "refused", "drop"
        ...                                            # TRIAGE_DNS=dns.address
        assert ("example.org", "TXT") in dns.log

CNAMEs are followed. A name that is there with other types has no answer (NODATA); a name nobody wrote is NXDOMAIN.
"""

from __future__ import annotations

import contextlib
import socketserver
import struct
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Literal

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

Trouble = Literal["servfail", "refused", "drop"]
UDP_SIZE = 1232
Key = tuple[str, str]


class ZoneDouble:
    """Names and records, behind one port of 127.0.0.1 for both UDP and TCP."""

    def __init__(self) -> None:
        self.records: dict[Key, list[str]] = {}
        self.troubles: dict[str, Trouble] = {}
        self.latency = 0.0
        self.knows_root = True
        """False: a server without a way out, for which no name exists that a test did not write."""
        self.log: list[Key] = []
        self._udp, self._tcp = _servers(self)
        self.address = f"127.0.0.1:{self._udp.server_address[1]}"
        self._threads = [
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
            for server in (self._udp, self._tcp)
        ]

    def __enter__(self) -> ZoneDouble:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server, thread in zip((self._udp, self._tcp), self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()

    def reset(self) -> None:
        """Forget everything."""
        for kept in (self.records, self.troubles, self.log):
            kept.clear()
        self.latency, self.knows_root = 0.0, True

    def set(self, name: str, type_: str, *records: str) -> None:
        """What a name has of a type, as in a zone file (TXT in quotes); nothing: the name is gone with this type."""
        if records:
            self.records[_plain(name), type_] = list(records)
        else:
            self.records.pop((_plain(name), type_), None)

    def fail(self, name: str, how: Trouble) -> None:
        """Every question about this name goes wrong from now on."""
        self.troubles[_plain(name)] = how

    def reply(self, wire: bytes) -> Any:
        """The answer to a question, None where there is to be none."""
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name, type_ = _plain(question.name.to_text()), dns.rdatatype.to_text(question.rdtype)
        self.log.append((name, type_))
        time.sleep(self.latency)
        reply: Any = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        for _step in range(10):
            trouble = self.troubles.get(name)
            if trouble == "drop":
                return None
            if trouble:
                reply.set_rcode(dns.rcode.SERVFAIL if trouble == "servfail" else dns.rcode.REFUSED)
                return reply
            found = self.records.get((name, type_))
            if (name, type_) == ("", "NS") and self.knows_root:
                found = ["a.root-servers.net."]
            alias = None if type_ == "CNAME" else self.records.get((name, "CNAME"))
            if found:
                reply.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", type_, *found))
                return reply
            if not alias:
                is_known = any(known == name or known.endswith(f".{name}") for known, _ in self.records)
                reply.set_rcode(dns.rcode.NOERROR if is_known else dns.rcode.NXDOMAIN)
                return reply
            reply.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", "CNAME", alias[0]))
            name = _plain(alias[0])
        reply.set_rcode(dns.rcode.SERVFAIL)
        return reply


def _plain(name: str) -> str:
    return name.removesuffix(".").lower()


def _servers(double: ZoneDouble) -> tuple[Any, Any]:
    """A UDP and a TCP server on the same free port."""

    class Udp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            wire, socket = self.request
            if (reply := double.reply(wire)) is not None:
                answer = reply.to_wire(max_size=65535)
                if len(answer) > UDP_SIZE:
                    reply.answer.clear()
                    reply.flags |= dns.flags.TC
                    answer = reply.to_wire()
                socket.sendto(answer, self.client_address)

    class Tcp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            for wire in _framed(self.request):
                if (reply := double.reply(wire)) is None:
                    return
                answer = reply.to_wire(max_size=65535)
                self.request.sendall(struct.pack("!H", len(answer)) + answer)

    class UdpServer(socketserver.ThreadingUDPServer):
        daemon_threads = True
        max_packet_size = 65535

    class TcpServer(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    while True:
        udp = UdpServer(("127.0.0.1", 0), Udp)
        with contextlib.suppress(OSError):
            return udp, TcpServer(("127.0.0.1", udp.server_address[1]), Tcp)
        udp.server_close()


def _framed(connection: Any) -> Iterator[bytes]:
    """The messages of a TCP connection, each behind its length (RFC 1035 4.2.2)."""
    stream = connection.makefile("rb")
    while len(size := stream.read(2)) == 2:
        yield stream.read(struct.unpack("!H", size)[0])
