"""The site, as a client that does not wait: so many requests a second, each due at its own moment, answered or not.

    with Foreground(url, rate=1000, load=Site(megabytes=1000)) as site:
        began = time.monotonic()
        ...
        seen = site.latencies(began, time.monotonic())

Open loop: a request's latency counts from the moment it was due, so a server that stands still for 50 ms shows in the
fifty requests that came due meanwhile, and not in one alone (Gil Tene's "coordinated omission"). The client is a
process of its own, so that nothing in ours delays it, and sends on one connection without waiting for answers. A site's
clients are on other machines: where it may, it goes before everything else here, so that it waits for the server alone.

``python -m tests.bench.foreground URL RATE LOAD`` is that process; its samples are read from its output when its input
is closed. Moments are CLOCK_MONOTONIC's, which all processes of a machine share.
"""

from __future__ import annotations

import gc
import json
import random
import select
import socket
import subprocess
import sys
import time
from array import array
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import NamedTuple, Self

import hiredis
import redis

from tests.bench import priority

__all__ = ["Foreground", "Latencies", "Sample", "Site", "summary"]

Command = tuple[bytes | str | int, ...]
READ = 1 << 16
RECONNECT = 0.05
"""Seconds between two attempts to reach a server that has gone."""
USERS, FEEDS, THUMBNAILS = 120, 8, 10
"""To a megabyte of tasks.demo.lifelike's data."""


class Sample(NamedTuple):
    """One request: when it was due (seconds, monotonic), how long it took from then, and whether it was served."""

    due: float
    seconds: float
    served: bool


@dataclass(frozen=True)
class Latencies:
    """Milliseconds, of the requests that were served; and how many were not."""

    requests: int
    p50: float
    p99: float
    p999: float
    worst: float
    failed: int

    def __str__(self) -> str:
        return f"p50 {self.p50:.2f}, p99 {self.p99:.2f}, p99.9 {self.p999:.2f}, worst {self.worst:.1f} ms"


@dataclass(frozen=True)
class Site:
    """What a site asks for whose data `tasks.demo.lifelike.fill` has written: four reads to a write.

    Attributes:
        megabytes: as `fill` was told.
        growth: of the writes, the share that writes something new of `size` bytes, so that the data grows.
    """

    megabytes: int
    growth: float = 0.0
    size: int = 1000

    def commands(self, rng: random.Random) -> Iterator[Command]:
        new = 0
        noise = rng.randbytes(1 << 20)
        while True:
            user = b"user:%d" % rng.randrange(USERS * self.megabytes)
            if rng.random() < self.growth / 5:
                new += 1
                start = rng.randrange(len(noise) - self.size)
                yield ("SET", b"upload:%d" % new, noise[start : start + self.size])
                continue
            match rng.randrange(10):
                case 0:
                    yield ("HINCRBY", user, "logins", 1)
                case 1:
                    session = b"session:%032x" % rng.randrange(1000)
                    yield ("SET", session, user * 50, "EX", 86400)
                case 2:
                    yield ("GET", b"thumb:%d" % rng.randrange(THUMBNAILS * self.megabytes))
                case 3 | 4:
                    yield ("LRANGE", b"feed:%d" % rng.randrange(FEEDS * self.megabytes), 0, 9)
                case _:
                    yield ("HGETALL", user)


class Foreground:
    """The client's process. Use it as a context manager; its samples are there when the block has ended."""

    def __init__(self, url: str, *, rate: int, load: Site) -> None:
        self.samples: list[Sample] = []
        command = [sys.executable, "-m", "tests.bench.foreground", url, str(rate), json.dumps(asdict(load))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        assert self._process.stdout is not None
        if self._process.stdout.read(1) != b"!":
            raise RuntimeError("the foreground client did not start")
        priority.give(self._process.pid, priority.FIRST)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        told, _ = self._process.communicate()
        flat = array("d", told)
        self.samples = [Sample(*each) for each in zip(flat[::3], flat[1::3], map(bool, flat[2::3]), strict=True)]

    def latencies(self, began: float = 0.0, ended: float = float("inf")) -> Latencies:
        """Of the requests that were due between two moments (``time.monotonic()``)."""
        return summary([sample for sample in self.samples if began <= sample.due < ended])


def summary(samples: list[Sample]) -> Latencies:
    """
    >>> summary([Sample(due, 0.001 * (due + 1), True) for due in range(1000)])
    Latencies(requests=1000, p50=501.0, p99=991.0, p999=1000.0, worst=1000.0, failed=0)
    """
    served = sorted(sample.seconds * 1000 for sample in samples if sample.served)
    if not served:
        return Latencies(len(samples), *[float("nan")] * 4, failed=len(samples))

    def at(share: float) -> float:
        return round(served[min(int(share * len(served)), len(served) - 1)], 3)

    return Latencies(len(samples), at(0.5), at(0.99), at(0.999), at(1), failed=len(samples) - len(served))


# -- the process ---------------------------------------------------------------------------------------------


class _Client:
    """One connection, never waited for; a lost one fails what was under way, and is made again."""

    def __init__(self, url: str) -> None:
        self.samples = array("d")
        self._url = url
        self._waiting: deque[float] = deque()
        self._unsent = bytearray()
        self._retry_at = 0.0
        self._reader = hiredis.Reader()
        self._connection: redis.Connection | None = None

    @property
    def socket(self) -> socket.socket | None:
        if self._connection is None and time.monotonic() >= self._retry_at:
            connection = redis.from_url(self._url, protocol=2, socket_timeout=1).connection_pool.make_connection()
            try:
                connection.connect()
            except redis.RedisError:
                self._retry_at = time.monotonic() + RECONNECT
            else:
                self._connection, self._reader = connection, hiredis.Reader()
                connection._sock.setblocking(False)
        return None if self._connection is None else self._connection._sock

    def request(self, due: float, packed: bytes) -> None:
        if self.socket is None:
            self._note(due, served=False)
            return
        self._waiting.append(due)
        self._unsent += packed

    def send(self) -> None:
        """As much as the connection takes now."""
        if (connected := self.socket) is not None and self._unsent:
            try:
                with suppress(BlockingIOError):
                    del self._unsent[: connected.send(self._unsent)]
            except OSError:
                self._lose()

    def receive(self) -> None:
        """What has come."""
        connected = self.socket
        if connected is None:
            return
        try:
            data = connected.recv(READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose()
            return
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            self._note(self._waiting.popleft(), served=not isinstance(reply, hiredis.ReplyError))

    def end(self) -> None:
        """Give what is under way a second; what is not answered then has failed."""
        end = time.monotonic() + 1
        while self._waiting and (connected := self.socket) is not None and time.monotonic() < end:
            self.send()
            if select.select([connected], [], [], 0.01)[0]:
                self.receive()
        self._lose()

    def _lose(self) -> None:
        for due in self._waiting:
            self._note(due, served=False)
        self._waiting.clear()
        self._unsent.clear()
        if self._connection is not None:
            self._connection.disconnect()
        self._connection, self._retry_at = None, time.monotonic() + RECONNECT

    def _note(self, due: float, *, served: bool) -> None:
        self.samples.extend((due, time.monotonic() - due, served))


def _run(url: str, rate: int, load: Site) -> array[float]:
    """Until standard input ends. One request becomes due every 1/rate seconds, whatever became of those before."""
    client = _Client(url)
    commands = load.commands(random.Random(11))
    assert client.socket is not None, "nobody answers there"
    sys.stdout.buffer.write(b"!")
    sys.stdout.buffer.flush()
    due = time.monotonic()
    while True:
        while due <= time.monotonic():
            client.request(due, hiredis.pack_command(next(commands)))
            due += 1 / rate
        client.send()
        connected = client.socket
        sources = [sys.stdin] if connected is None else [connected, sys.stdin]
        readable, _, _ = select.select(sources, [], [], max(due - time.monotonic(), 0))
        if sys.stdin in readable:
            break
        if connected in readable:
            client.receive()
    client.end()
    return client.samples


if __name__ == "__main__":
    gc.disable()  # nothing here makes cycles, and a collection would count as the server's latency
    sys.stdout.buffer.write(_run(sys.argv[1], int(sys.argv[2]), Site(**json.loads(sys.argv[3]))).tobytes())
