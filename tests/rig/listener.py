"""A web server on loopback that takes what alarms send: it answers as it is told, late, endlessly or not at all.

    with Listener() as listener:
        listener.answers = [503, 200]        # one after the other; the last one from then on
        ...
        assert listener.taken[0].path == "/hook"
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

__all__ = ["Listener", "Taken"]

SECRET = "T0-secret-path"


@dataclass(frozen=True)
class Taken:
    method: str
    path: str
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Listener:
    """
    Attributes:
        answers: HTTP statuses in turn, the last one again and again.
        silent: it takes requests and answers none before its block ends.
        dripping: its answer's headers never end, a byte at a time.
    """

    answers: list[int] = field(default_factory=lambda: [200])
    headers: dict[str, str] = field(default_factory=dict)
    silent: bool = False
    dripping: bool = False
    taken: list[Taken] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.url = f"{self.address}/{SECRET}"

    def texts(self) -> list[str]:
        """What a person would have read, a line each."""
        return [line for each in self.taken if each.method == "POST" for line in each.json["text"].splitlines()]

    def paths(self) -> list[str]:
        """What the heartbeat's GETs asked for."""
        return [each.path.removeprefix(f"/{SECRET}") for each in self.taken if each.method == "GET"]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                listener.taken.append(Taken(self.command, self.path, self.headers, self.rfile.read(length)))
                if listener.silent:
                    listener._over.wait(60)
                    return
                if listener.dripping:
                    self._drip()
                    return
                answers = listener.answers
                self.send_response(answers.pop(0) if len(answers) > 1 else answers[0])
                for name, value in {"Content-Length": "0", **listener.headers}.items():
                    self.send_header(name, value)
                self.end_headers()

            do_POST = do_GET

            def _drip(self) -> None:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
                while not listener._over.wait(0.02):
                    self.wfile.write(b"x")

            def log_message(self, *_: object) -> None:
                pass

        return Handler
