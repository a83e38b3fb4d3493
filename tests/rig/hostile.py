"""A server that speaks Redis' protocol up to SYNC, and answers that with whatever a test makes up."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from tasks.restore.live.wire import Reader

__all__ = ["HostileServer"]

INFO = (
    "run_id:" + "7" * 40 + "\r\nredis_version:7.2.4\r\nredis_mode:standalone\r\nrole:master\r\nused_memory:1000000\r\n"
    "loading:0\r\nrdb_bgsave_in_progress:0\r\naof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0\r\n"
    "total_forks:1\r\nlatest_fork_usec:100\r\n"
).encode()
KEYSPACE = b"db0:keys=1,expires=0,avg_ttl=0\r\n"
FOREVER = 1e9


class HostileServer:
    """Listens on loopback for its block. ``answer(write)`` is called for each SYNC; the connection ends after it."""

    def __init__(self, answer: Callable[[Callable[[bytes], None]], None]) -> None:
        self.answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        reader = Reader(client)
        with client, suppress(Exception):
            while True:
                match reader.command(FOREVER):
                    case [b"INFO", section]:
                        told = KEYSPACE if section == b"keyspace" else INFO
                        client.sendall(b"$%d\r\n%s\r\n" % (len(told), told))
                    case [b"CONFIG", *_]:
                        client.sendall(b"*2\r\n$11\r\nrdbchecksum\r\n$3\r\nyes\r\n")
                    case [b"SYNC", *_]:
                        self.answer(client.sendall)
                        return
                    case _:
                        client.sendall(b"+OK\r\n")
