"""A primary for one replica: one login, one handshake, one transfer; then it keeps the link alive until it is closed.

What a replica expects is in Redis' replication.c (syncWithMaster, readSyncBulkPayload): AUTH where it has a masterauth,
PING, REPLCONF, PSYNC; the answer `+FULLRESYNC <id> <offset>`, then `$<length>` and the RDB, then a stream of commands.
"""

from __future__ import annotations

import hmac
import socket
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import BinaryIO, Self

from tasks.errors import RedkeepError, RestoreCut, RestoreUnreached
from tasks.restore.live.wire import Reader

__all__ = ["Primary"]

HANDSHAKE = 20.0
"""Seconds for everything before the transfer."""
GUESTS = 8
"""Connections at once that have not yet logged in; more are turned away."""
STALL = 60.0
"""Seconds without a byte taken after which the replica is given up: its own `repl-timeout`."""
PIECE = 4 * 2**20
BEAT = 1.0
"""Seconds between two PINGs; a replica gives its primary up after `repl-timeout`, 60 s where nobody changed it."""
PING = b"*1\r\n$4\r\nPING\r\n"


class Primary:
    """Listens from the beginning of its block to the end. The transfer runs in threads of its own.

    Args:
        listen: address and port to listen on; port 0 for any.
        file: the whole RDB, at its beginning, open until the block has ended.
        replication_id: 40 hex digits; with its own, a server of 7.0 or newer serves its old data all along.

    Attributes:
        secret: the password that the replica has to give.
        sent: bytes of the RDB that the kernel has taken.
        done: all of them.
        failure: what ended it, None while it goes well.
    """

    def __init__(self, listen: tuple[str, int], file: BinaryIO, size: int, replication_id: str, secret: str) -> None:
        self.secret = secret
        self.sent = 0
        self.done = False
        self.failure: RedkeepError | None = None
        self._file = file
        self._size = size
        self._id = replication_id
        self._closing = threading.Event()
        self._chosen: socket.socket | None = None
        self._lock = threading.Lock()
        self._guests: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = _listening(listen)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._listener.getsockname()[:2]
        return host, port

    def __enter__(self) -> Self:
        self._address = self.address
        self._run(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every connection and every thread. May be called twice."""
        self._closing.set()
        self._close_door()
        with self._lock:
            connections = [*self._guests, *([self._chosen] if self._chosen else [])]
        for each in connections:
            _hang_up(each)
        for thread in self._threads:
            thread.join()

    def check(self) -> None:
        """
        Raises:
            RestoreCut: the replica has gone, or did not take what it was sent.
        """
        if self.failure is not None:
            raise self.failure

    @property
    def reached(self) -> bool:
        """The replica has logged in and asked for the data."""
        return self._chosen is not None

    # -- the door -----------------------------------------------------------------------------------------

    def _run(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, name="redkeep-primary", daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):  # the door was closed
            while True:
                guest, _ = self._listener.accept()
                with self._lock:
                    welcome = not self._closing.is_set() and self._chosen is None and len(self._guests) < GUESTS
                    if welcome:
                        self._guests.add(guest)
                if welcome:
                    self._run(self._serve, guest)
                else:
                    _hang_up(guest)

    def _close_door(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self, guest: socket.socket) -> None:
        reader = Reader(guest)
        try:
            with guest:
                try:
                    self._greet(guest, reader)
                    ours = self._choose(guest)
                finally:
                    with self._lock:
                        self._guests.discard(guest)
                if ours:
                    self._transfer(guest)
                    self._keep_alive(guest, reader)
        except RedkeepError as error:
            self._note(guest, error)
        except OSError as error:
            self._note(guest, RestoreCut("it broke the connection", detail=(error.strerror or "").lower()))

    def _note(self, guest: socket.socket, error: RedkeepError) -> None:
        """Strangers that were turned away are no failure of ours."""
        if guest is self._chosen and not self._closing.is_set():
            self.failure = error

    def _choose(self, guest: socket.socket) -> bool:
        """The first that logged in and asked for the data; nobody after it."""
        with self._lock:
            if self._chosen is not None:
                return False
            self._chosen = guest
        self._close_door()
        return True

    # -- the handshake ------------------------------------------------------------------------------------

    def _greet(self, guest: socket.socket, reader: Reader) -> None:
        """Until the replica has asked for the data. Raises RestoreCut."""
        deadline = time.monotonic() + HANDSHAKE
        known = False
        while True:
            command = reader.command(deadline)
            match command:
                case [b"AUTH", *_, password] if hmac.compare_digest(password, self.secret.encode()):
                    known = True
                    answer = b"+OK\r\n"
                case [b"AUTH", *_]:
                    guest.sendall(b"-WRONGPASS invalid password\r\n")
                    raise RestoreCut("it gave another password")
                case _ if not known:  # a replica takes this answer to its first PING for a greeting
                    answer = b"-NOAUTH Authentication required.\r\n"
                case [b"PING"]:
                    answer = b"+PONG\r\n"
                case [b"REPLCONF", *_]:
                    answer = b"+OK\r\n"
                case [b"PSYNC", *_]:
                    return
                case _:
                    answer = b"-ERR unknown command\r\n"
            guest.settimeout(HANDSHAKE)
            guest.sendall(answer)

    # -- the transfer -------------------------------------------------------------------------------------

    def _transfer(self, guest: socket.socket) -> None:
        guest.settimeout(STALL)
        guest.sendall(f"+FULLRESYNC {self._id} 0\r\n${self._size}\r\n".encode())
        while self.sent < self._size:
            if self._closing.is_set():
                raise RestoreCut("we broke off")
            count = guest.sendfile(self._file, offset=self.sent, count=min(PIECE, self._size - self.sent))
            if not count:
                raise RestoreCut("the spooled snapshot ended early")
            self.sent += count
        self.done = True

    def _keep_alive(self, guest: socket.socket, reader: Reader) -> None:
        while not self._closing.wait(BEAT):
            reader.drain()
            guest.settimeout(STALL)
            guest.sendall(PING)


def _listening(address: tuple[str, int]) -> socket.socket:
    host, port = address
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server(address, family=family, backlog=GUESTS)
    except OSError as error:
        raise RestoreUnreached(
            f"cannot listen on {host}:{port}", detail=(error.strerror or "").lower(), hint="Name another with --listen."
        ) from None


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
