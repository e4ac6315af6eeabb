"""A name server on loopback for the names of a world; every other name does not exist.

Answers from a dictionary over UDP and TCP (RFC 1035). Asks nobody, so no test can reach a real host by its name.
"""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Mapping

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

Zone = Mapping[str, Mapping[str, str]]
"""Name -> type -> data as in a zone file: {"client.example": {"MX": "10 mx.client.example."}}; SERVFAIL = broken."""


def answer(query: bytes, zone: Zone) -> bytes:
    """The reply to one DNS query: the record, an empty answer for other types, NXDOMAIN, or SERVFAIL by order."""
    asked = dns.message.from_wire(query)
    reply = dns.message.make_response(asked)
    reply.flags |= dns.flags.AA | dns.flags.RA
    question = asked.question[0]
    records = zone.get(question.name.to_text(omit_final_dot=True).lower())
    if records is None:
        reply.set_rcode(dns.rcode.NXDOMAIN)
    elif "SERVFAIL" in records:
        reply.set_rcode(dns.rcode.SERVFAIL)
    elif data := records.get(dns.rdatatype.to_text(question.rdtype)):
        reply.answer.append(dns.rrset.from_text(question.name, 60, dns.rdataclass.IN, question.rdtype, data))
    return reply.to_wire()


class NameServer:
    """A zone, served on port 53 of one loopback address until `stop`; raises OSError where that port is taken."""

    def __init__(self, ip: str) -> None:
        self.ip = ip
        self.zone: Zone = {}
        server = self

        class Datagram(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                data, socket = self.request
                socket.sendto(answer(data, server.zone), self.client_address)

        class Stream(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while len(head := self.rfile.read(2)) == 2:
                    reply = answer(self.rfile.read(int.from_bytes(head, "big")), server.zone)
                    self.wfile.write(len(reply).to_bytes(2, "big") + reply)

        datagrams = socketserver.ThreadingUDPServer((ip, 53), Datagram)
        try:
            streams = socketserver.ThreadingTCPServer((ip, 53), Stream)
        except OSError:
            datagrams.server_close()
            raise
        self._servers: tuple[socketserver.BaseServer, ...] = (datagrams, streams)
        for one in self._servers:
            threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def stop(self) -> None:
        """Stop answering."""
        for server in self._servers:
            server.shutdown()
            server.server_close()
