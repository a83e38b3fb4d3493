"""An S3 server that fails where a test says, and otherwise passes everything on to a real one.

with faulty(server.endpoint_url) as proxy:
    proxy.faults["part"] = iter([None, Answer(503, "SlowDown")])   # the second part meets a 503
    proxy.faults["complete"] = repeat(LOST)                        # every completion loses its reply

Nothing is imitated: what reaches the real server was done there.
"""

from __future__ import annotations

import http.client
import socket
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

__all__ = ["LOST", "RESET", "Answer", "Cut", "Fault", "Proxy", "Slow", "faulty"]


@dataclass(frozen=True)
class Answer:
    """The real server is not asked; this is the answer."""

    status: int
    code: str
    message: str = "as the test wants it"


@dataclass(frozen=True)
class Cut:
    """The answer's body ends after so many bytes, whatever was announced, and the connection with it."""

    bytes: int


@dataclass(frozen=True)
class Slow:
    """The answer comes so many seconds later."""

    seconds: float


RESET = object()
"""The connection is reset before the request reached the real server."""

LOST = object()
"""The real server does it; its answer never arrives."""

Fault = Answer | Cut | Slow | object | None


class Proxy(ThreadingHTTPServer):
    """Faults by operation (create part complete abort put get head list uploads delete), each used up in turn.

    ``log`` has ``("begin", operation)`` and ``("end", operation)`` in their true order, ``headers`` the headers of
    every request of an operation.
    """

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.endpoint_url = f"http://127.0.0.1:{self.server_address[1]}"
        self.faults: dict[str, Iterator[Fault]] = defaultdict(lambda: iter(()))
        self.log: list[tuple[str, str]] = []
        self.headers: dict[str, list[Message]] = defaultdict(list)
        self.lock = threading.Lock()

    def note(self, moment: str, operation: str) -> Fault:
        with self.lock:
            self.log.append((moment, operation))
            return next(self.faults[operation], None) if moment == "begin" else None

    def count(self, operation: str) -> int:
        """How many requests of that kind came."""
        return self.log.count(("begin", operation))

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def _pass(self) -> None:
        operation = _operation(self.command, self.path)
        self.server.headers[operation].append(self.headers)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.note("begin", operation)
        try:
            self._meet(fault, body)
        finally:
            self.server.note("end", operation)

    def _meet(self, fault: Fault, body: bytes) -> None:
        if fault is RESET:
            return self._hang_up()
        if isinstance(fault, Answer):
            xml = f"<Error><Code>{fault.code}</Code><Message>{fault.message}</Message></Error>".encode()
            return self._answer(fault.status, {"Content-Type": "application/xml"}, xml)
        if isinstance(fault, Slow):
            time.sleep(fault.seconds)
        status, headers, answer = self._ask(body)
        if fault is LOST:
            return self._hang_up()
        return self._answer(status, headers, answer, cut=fault.bytes if isinstance(fault, Cut) else None)

    def _ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        upstream = http.client.HTTPConnection(self.server.upstream, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
        upstream.request(self.command, self.path, body, headers)
        answer = upstream.getresponse()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in _PER_CONNECTION}
        return answer.status, kept, answer.read()

    def _answer(self, status: int, headers: dict[str, str], body: bytes, cut: int | None = None) -> None:
        self.send_response_only(status)
        if "content-length" not in {name.lower() for name in headers}:
            headers["Content-Length"] = str(len(body))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:cut])
        if cut is not None:
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_WR)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


_PER_CONNECTION = {"connection", "transfer-encoding", "keep-alive"}


def _operation(method: str, target: str) -> str:
    query = target.partition("?")[2]
    fields = parse_qs(query, keep_blank_values=True)
    if "partNumber" in fields:
        return "part"
    if "uploadId" in fields:
        return {"POST": "complete", "DELETE": "abort"}[method]
    if "uploads" in fields:
        return {"POST": "create", "GET": "uploads"}[method]
    if "list-type" in fields:
        return "list"
    return {"GET": "get", "PUT": "put", "HEAD": "head", "DELETE": "delete"}[method]


@contextmanager
def faulty(upstream: str) -> Iterator[Proxy]:
    """A proxy before the server at ``upstream``, on a port of its own."""
    proxy = Proxy(upstream)
    thread = threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()
