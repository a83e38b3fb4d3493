"""A wire between a client and a server on which a test may listen, stop, cut, and hand on in small pieces.

    with Wire(server.port) as wire:
        wire.when_sent(b"BGSAVE", lambda: foreign.client().bgsave())   # before the server sees it
        wire.piece = 7                                                  # answers arrive seven bytes at a time
        ...  # wire.url

Nothing is imitated: what arrives was said by the other side.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

__all__ = ["Wire"]

READ = 65_536
SHORT = 64
Act = Callable[[], object]


class Wire:
    """Passes on every connection to ``127.0.0.1:port``.

    Attributes:
        piece: bytes of an answer handed on at a time; 0 for as they come.
        flows: cleared by a test, no answer passes until it is set again.
        short_answers: what the server said in one piece of up to 64 bytes, in order.
    """

    def __init__(self, port: int) -> None:
        self.piece = 0
        self.flows = threading.Event()
        self.flows.set()
        self.short_answers: list[bytes] = []
        self._port = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self._links: list[_Link] = []
        self._sent: list[tuple[bytes, Act]] = []
        self._came: list[tuple[bytes, Act]] = []
        self._cuts: list[tuple[bytes, int]] = []

    @property
    def port(self) -> int:
        return int(self._server.getsockname()[1])

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def when_sent(self, words: bytes, act: Act) -> None:
        """Call ``act`` once, when the client sends these bytes in one piece and before the server gets them."""
        self._sent.append((words, act))

    def when_answered(self, words: bytes, act: Act) -> None:
        """Call ``act`` once, when the server answers these bytes in one piece and before the client gets them."""
        self._came.append((words, act))

    def cut_after(self, words: bytes, count: int) -> None:
        """Once: reset the connection on which the client sends these bytes, after so many bytes of answer to them."""
        self._cuts.append((words, count))

    def cut_all(self) -> None:
        """Reset every connection that there is now; new ones are passed on."""
        for link in self._links:
            link.cut()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.flows.set()
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for link in self._links:
            link.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._port))
                except OSError:
                    client.close()
                    continue
                link = _Link(client, server)
                self._links.append(link)
                threading.Thread(target=self._forth, args=(link,), daemon=True).start()
                threading.Thread(target=self._back, args=(link,), daemon=True).start()

    def _forth(self, link: _Link) -> None:
        with suppress(OSError):
            while data := link.client.recv(READ):
                _act(self._sent, data)
                for cut in [cut for cut in self._cuts if cut[0] in data]:
                    self._cuts.remove(cut)
                    link.left = cut[1]
                link.server.sendall(data)
        with suppress(OSError):
            link.server.shutdown(socket.SHUT_WR)

    def _back(self, link: _Link) -> None:
        with suppress(OSError):
            while data := link.server.recv(READ):
                _act(self._came, data)
                if len(data) <= SHORT:
                    self.short_answers.append(data)
                step = self.piece or len(data)
                for start in range(0, len(data), step):
                    self.flows.wait()
                    link.hand_on(data[start : start + step])
        with suppress(OSError):
            link.client.shutdown(socket.SHUT_WR)


class _Link:
    """One connection. ``left`` are the bytes that may still be answered, None for any number."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.left: int | None = None
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def hand_on(self, data: bytes) -> None:
        if self.left is not None:
            data, spent = data[: self.left], self.left <= len(data)
            self.left -= len(data)
            self.client.sendall(data)
            if spent:
                self.cut()
                raise ConnectionResetError
        else:
            self.client.sendall(data)

    def cut(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def _act(waiting: list[tuple[bytes, Act]], data: bytes) -> None:
    for each in [each for each in waiting if each[0] in data]:
        waiting.remove(each)
        each[1]()
