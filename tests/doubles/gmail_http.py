"""The sockets of the double: HTTP/1.1 on 127.0.0.1, kept alive, and broken in the ways a test asks for.

Knows nothing of Gmail. Two traps of http.server are avoided here: unbuffered answers in two packets (Nagle and delayed
ACK make that 44 ms a request), and connections that outlive the server.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from tests.doubles.gmail_errors import DoubleError
from tests.doubles.gmail_faults import BrokenConnectionError, Reply
from tests.doubles.gmail_front import Request

Answer = Callable[[Request], Reply]
_GZIP_FROM = 1024
"""Bytes; smaller answers are not worth compressing."""


class LoopbackServer(ThreadingHTTPServer):
    """Serves `answer` until `stop`; exceptions of the double itself go to `complain`."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, answer: Answer, complain: Callable[[str], None]) -> None:
        super().__init__(("127.0.0.1", port), _Connection)
        self.answer = answer
        self.complain = complain
        self.stopping = threading.Event()
        self.connections: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Close the port and every open connection; waits for the serving thread."""
        self.stopping.set()
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
    server: LoopbackServer

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            reply = self.server.answer(Request(self.command, self.path, self.headers, body))
        except BrokenConnectionError as broken:
            self._break(broken.how)
            return
        if reply.delay:
            time.sleep(reply.delay)
        self._send(reply)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the names http.server looks for

    def _send(self, reply: Reply) -> None:
        body = reply.body
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if len(body) >= _GZIP_FROM and "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, 1)
            self.send_header("Content-Encoding", "gzip")
        if reply.status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if reply.truncated else body)
        self.wfile.flush()
        self.close_connection = self.close_connection or reply.truncated

    def _break(self, how: str) -> None:
        self.close_connection = True
        if how == "hang":
            self.server.stopping.wait()
        if how == "reset":
            # Closing with linger 0 sends RST; detached, because http.server would say a polite FIN first.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name http.server calls it by
        """Say nothing: the counters tell what happened."""


class Served:
    """What serves over a `LoopbackServer` for the length of a `with`; what it could not do is raised at its end.

    A double makes `complaints` and `_server` itself.
    """

    complaints: list[str]
    """What the double could not do; clear it where that is what the test is about."""
    _server: LoopbackServer

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()
        if error is None and self.complaints:
            raise DoubleError("; ".join(self.complaints))
