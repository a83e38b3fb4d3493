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


class Wire:
    """Passes on every connection to ``127.0.0.1:port``.

    Attributes:
        piece: bytes of an answer handed on at a time; 0 for as they come.
        cut_at: an answer's byte, counted over all connections, at which every connection is reset; None for never.
        flows: cleared by a test, no answer passes until it is set again.
        answered: bytes of answers handed on so far.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._sent: list[tuple[bytes, Callable[[], object]]] = []
        self._came: list[tuple[bytes, Callable[[], object]]] = []
        self._lock = threading.Lock()
        self.piece = 0
        self.cut_at: int | None = None
        self.answered = 0
        self.flows = threading.Event()
        self.flows.set()

    @property
    def port(self) -> int:
        return int(self._server.getsockname()[1])

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def when_sent(self, words: bytes, act: Callable[[], object]) -> None:
        """Call ``act`` once, when the client sends these bytes in one piece and before the server gets them."""
        self._sent.append((words, act))

    def when_answered(self, words: bytes, act: Callable[[], object]) -> None:
        """Call ``act`` once, when the server answers these bytes in one piece and before the client gets them."""
        self._came.append((words, act))

    def cut(self) -> None:
        """Reset every connection there is."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for ends in pairs:
            for end in ends:
                with suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.flows.set()
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._port))
                except OSError:
                    client.close()
                    continue
                for end in (client, server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._pairs.append((client, server))
                threading.Thread(target=self._forth, args=(client, server), daemon=True).start()
                threading.Thread(target=self._back, args=(server, client), daemon=True).start()

    def _forth(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(READ):
                self._act(self._sent, data)
                server.sendall(data)
        with suppress(OSError):
            server.shutdown(socket.SHUT_WR)

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(READ):
                self._act(self._came, data)
                step = self.piece or len(data)
                for start in range(0, len(data), step):
                    self.flows.wait()
                    self._hand_on(client, data[start : start + step])
        with suppress(OSError):
            client.shutdown(socket.SHUT_WR)

    def _hand_on(self, client: socket.socket, data: bytes) -> None:
        if self.cut_at is not None and self.answered + len(data) > self.cut_at:
            client.sendall(data[: max(self.cut_at - self.answered, 0)])
            self.cut()
            raise ConnectionResetError
        client.sendall(data)
        self.answered += len(data)

    def _act(self, waiting: list[tuple[bytes, Callable[[], object]]], data: bytes) -> None:
        for each in [each for each in waiting if each[0] in data]:
            waiting.remove(each)
            each[1]()
