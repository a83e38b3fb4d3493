"""`stream`: ask the server for a full resynchronisation as a replica would, and keep only its RDB.

For servers whose files the worker cannot read. The connection is redis-py's (TLS, ACL users and unix sockets
work); after SYNC its socket is read raw. Rights: ``+sync +replconf +info``. Reading slowly holds the server's
child with its copy-on-write memory, and past `repl-timeout` the server hangs up: so nothing between here and a
spool may be slow.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import redis

from tasks.errors import (
    RedkeepError,
    ReplicaStale,
    ServerDenied,
    ServerRefused,
    ServerSaving,
    ServerUnreachable,
    SnapshotTruncated,
    SyncRefused,
)
from tasks.server import Checkpoint, Server, parse_keyspace
from tasks.stream.source.snapshot import CHUNK, Snapshot

__all__ = ["sync"]

PHANTOM_PORT = "99999"
"""No port: else Sentinel would remember us as a replica it can promote."""
SILENCE = 60.0
"""Seconds without one byte after which the server is given up: its `repl-timeout`; it sends a newline each second
while it prepares."""
MARK = 40
"""Length of the random end mark of an RDB of unknown length (replication.c, CONFIG_RUN_ID_SIZE)."""


@contextmanager
def sync(server: Server, patience: float, checkpoint: Checkpoint) -> Iterator[Snapshot]:
    """Start a transfer. Arguments and errors as :func:`tasks.stream.source.open_snapshot`."""
    server.wait_until_quiet(patience, checkpoint)
    keys, expires = parse_keyspace(server.ask("INFO", "keyspace"))
    snapshot = Snapshot(
        kind="stream",
        keys=keys,
        expires=expires,
        exact=False,
        checksum_off=_checksum_off(server),
        expected_bytes=int(server.info("memory")["used_memory"]),
    )
    with server.raw() as connection:
        with server.speaking("REPLCONF"):
            _introduce(connection, server)
        started = time.monotonic()
        wire = _Wire(connection, server, checkpoint)
        snapshot.abandon = wire.cut
        with closing(_transfer(wire, snapshot, server, started)) as chunks:
            snapshot.chunks = chunks
            yield snapshot


def _checksum_off(server: Server) -> bool:
    """Whether the RDB's trailer will be zero. Without the right to ask, it is taken to be there."""
    try:
        return server.config("rdbchecksum").get("rdbchecksum") == "no"
    except ServerDenied:
        return False


def _introduce(connection: Any, server: Server) -> None:
    """Say what we are. A refusal of `rdb-only` is final: without it we would become a real replica.

    Valkey from 8 on writes an RDB as of 7.2 for whoever does not say how new he is, and ends the transfer where the
    data has something newer in it (seen on 9.1: a hash field that expires). We are as new as the server.
    """
    options = [("listening-port", PHANTOM_PORT), ("rdb-only", "1"), ("capa", "eof")]
    facts = server.facts()
    if facts.name == "valkey" and int(facts.version.split(".")[0]) >= 8:
        options.append(("version", facts.version))
    for option in options:
        connection.send_command("REPLCONF", *option)
        try:
            connection.read_response()
        except redis.ResponseError as error:
            refusal = server.refusal(error, ["REPLCONF", option[0]])
            if isinstance(refusal, ServerRefused):
                raise SyncRefused(refusal.message, detail=refusal.detail) from None
            raise refusal from None
    connection.send_command("SYNC")


def _transfer(wire: _Wire, snapshot: Snapshot, server: Server, started: float) -> Generator[bytes]:
    header = wire.header()
    snapshot.fork_usec = int(server.info("stats")["latest_fork_usec"])
    if header.startswith(b"$EOF:"):
        yield from wire.until(header[5:])
    else:
        yield from wire.exactly(int(header[1:]))
    snapshot.seconds = time.monotonic() - started


class _Wire:
    """The raw socket behind a redis-py connection."""

    def __init__(self, connection: Any, server: Server, checkpoint: Checkpoint) -> None:
        self._socket: socket.socket = connection._sock
        self._socket.settimeout(1.0)
        self._server = server
        self._checkpoint = checkpoint

    def header(self) -> bytes:
        """The line before the RDB, ``$EOF:<mark>`` or ``$<length>``; newlines before it only keep us alive."""
        line = b""
        while not line.endswith(b"\n"):
            line = (line + self._byte()).lstrip(b"\r\n")
            if len(line) > 1024:
                raise SyncRefused(f"{self._server.shown} did not answer SYNC as Redis does")
        line = line.strip()
        if line.startswith(b"-"):
            raise self._refusal(line[1:].decode(errors="replace"))
        if not (line.startswith(b"$EOF:") and len(line) == 5 + MARK) and not line[1:].isdigit():
            raise SyncRefused(f"{self._server.shown} did not answer SYNC as Redis does", detail=repr(line[:40]))
        return line

    def exactly(self, length: int) -> Iterator[bytes]:
        while length:
            buffer = bytearray(min(length, CHUNK))
            filled = 0
            while filled < len(buffer):
                filled += self._receive_into(memoryview(buffer)[filled:])
            length -= filled
            yield bytes(buffer)

    def until(self, end_mark: bytes) -> Iterator[bytes]:
        """All bytes before the mark. 6.2 keeps the connection open after it, so the mark alone is the end."""
        buffer = bytearray(CHUNK + MARK)
        view = memoryview(buffer)
        filled = 0
        while True:
            filled += self._receive_into(view[filled:])
            ended = buffer.endswith(end_mark, 0, filled)
            if ended or filled == len(buffer):
                if filled > MARK:
                    yield bytes(view[: filled - MARK])
                if ended:
                    return
                buffer[:MARK] = buffer[-MARK:]
                filled = MARK

    def cut(self) -> None:
        """End it from another thread, whatever it waits for."""
        with suppress(OSError):  # it has ended by itself
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # not TLS's own, which takes it from its reader

    def _byte(self) -> bytes:
        """One byte: what follows the header's line must stay in the socket."""
        buffer = bytearray(1)
        self._receive_into(memoryview(buffer))
        return bytes(buffer)

    def _receive_into(self, view: memoryview) -> int:
        deadline = time.monotonic() + SILENCE
        while True:
            self._checkpoint()
            try:
                count = self._socket.recv_into(view)
            except TimeoutError:
                if time.monotonic() < deadline:
                    continue
                raise ServerUnreachable(f"{self._server.shown} fell silent during SYNC") from None
            except OSError as error:
                detail = (error.strerror or "").lower()
                raise SnapshotTruncated(f"{self._server.shown} broke off SYNC", detail=detail) from None
            if count == 0:
                raise SnapshotTruncated(f"{self._server.shown} ended the connection during SYNC")
            return count

    def _refusal(self, text: str) -> RedkeepError:
        server = self._server
        if text.startswith("NOMASTERLINK"):
            return ReplicaStale(f"{server.shown} has lost its primary")
        if "in progress" in text:
            return ServerSaving(f"{server.shown} is busy", detail=text)
        return server.refusal(redis.ResponseError(text), ["SYNC"])
