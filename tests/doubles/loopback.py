"""A small HTTP/1.1 server on 127.0.0.1, kept alive, that answers what it is told to or breaks as a test asks.

    with Loopback(lambda request: Reply(200, b"{}")) as server:
        ...                                      # server.url

Knows nothing of what it serves. Two traps of http.server are avoided here: unbuffered answers in two packets (Nagle and
delayed ACK make that 44 ms a request), and connections that outlive the server.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self

Break = Literal["drop", "reset", "truncate", "hang", "drip", "omit"]
"""drop: closed without an answer · reset: RST · truncate: half the body · hang: no answer until the client gives up ·
drip: one byte of the body after the other, DRIP_SECONDS apart · omit: the part is missing from the batch answer."""


DRIP_SECONDS = 0.1


class DoubleError(Exception):
    """A double cannot answer: nobody taught it that. Never the behaviour of what it stands for."""


@dataclass(frozen=True)
class Request:
    """A request as it came in; header names in any case."""

    method: str
    target: str
    headers: Message[str, str]
    body: bytes


@dataclass
class Reply:
    """One answer before it is put on the wire. `delay` is in seconds."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    broken: Break | None = None
    """truncate, drip or omit; the others are no reply at all."""


class BrokenConnectionError(Exception):
    """No answer at all: `how` says what the client sees."""

    def __init__(self, how: Break) -> None:
        super().__init__(how)
        self.how = how


Answer = Callable[[Request], Reply]


def json_reply(status: int, answer: Any, **headers: str) -> Reply:
    return Reply(status, json.dumps(answer).encode(), {"Content-Type": "application/json; charset=UTF-8"} | headers)


class Loopback:
    """Serves `answer` for the length of a `with`, on a free port; what it could not do is raised at the end."""

    def __init__(self, answer: Answer) -> None:
        self.complaints: list[str] = []
        """What it was asked and not taught: a test with complaints has proven nothing. Clear what a test is about."""
        self._server = _Server(answer, self.complaints.append)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def slow_down(self, bytes_per_second: int) -> None:
        """Take what is sent as over a slow line."""
        self._server.bytes_per_second = bytes_per_second

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._server.stop()
        if error is None and self.complaints:
            raise DoubleError("; ".join(self.complaints))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer: Answer, complain: Callable[[str], None]) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.answer = answer
        self.complain = complain
        self.stopping = threading.Event()
        self.bytes_per_second: int | None = None
        self.connections: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Close the port and every open connection; waits for the serving thread."""
        self.stopping.set()
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes who else looks round twice a second
        self.shutdown()
        self._thread.join()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError):  # a killed client is no news
            self.complain(f"the double itself failed: {error!r}")


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def _serve(self) -> None:
        body = self._taken(int(self.headers.get("Content-Length") or 0))
        try:
            reply = self.server.answer(Request(self.command, self.path, self.headers, body))
        except BrokenConnectionError as broken:
            self._break(broken.how)
            return
        time.sleep(reply.delay)
        self._send(reply)

    def _taken(self, size: int) -> bytes:
        """The body of a request, at the pace of the line."""
        if self.server.bytes_per_second is None:
            return self.rfile.read(size)
        body = bytearray()
        while part := self.rfile.read(min(self.server.bytes_per_second // 20, size - len(body))):
            body += part
            time.sleep(0.05)
        return bytes(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_CONNECT = _serve  # noqa: N815 - the names http.server looks for

    def _send(self, reply: Reply) -> None:
        self.send_response_only(reply.status)  # without a Date: the time of a test is seldom that of the computer
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if reply.broken == "drip":
            self._drip(reply.body)
            return
        is_cut = reply.broken == "truncate"
        self.wfile.write(reply.body[: len(reply.body) // 2] if is_cut else reply.body)
        self.wfile.flush()
        self.close_connection = self.close_connection or is_cut

    def _drip(self, body: bytes) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            for byte in body:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                if self.server.stopping.wait(DRIP_SECONDS):
                    return

    def _break(self, how: Break) -> None:
        self.close_connection = True
        if how == "hang":
            self.server.stopping.wait()
        if how == "reset":
            # Closing with linger 0 sends RST; detached, because http.server would say a polite FIN first.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name http.server calls it by
        """Say nothing: the counters tell what happened."""
