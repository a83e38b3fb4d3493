"""Ports of 127.0.0.1 that no other test can get."""

from __future__ import annotations

import socket

__all__ = ["ReservedPort"]


class ReservedPort:
    """A port that stays ours while nothing listens on it.

    A socket bound with SO_REUSEADDR that never listens keeps the kernel from handing its port out, and lets a server
    that sets the same option (every Redis, Python's asyncio and socketserver, Go) bind and listen on it: Linux,
    socket(7). So a test may kill its server and find the port refused, instead of taken by another test's server.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.number: int = self._socket.getsockname()[1]

    def release(self) -> None:
        """Give it back. May be called twice."""
        self._socket.close()
