"""The site's Redis on a machine without memory to spare, and an S3 server elsewhere."""

from __future__ import annotations

import itertools
import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from tasks.demo.lifelike import fill
from tasks.demo.machine import BUCKET, Machine, free_port
from tests.bench import priority
from tests.bench.reenact.bound import Bound

__all__ = ["NEGLECTED", "SAVE", "Stage", "stage"]

SAVE = "30 1"
"""The outage's save points were "300 1", with an hour between two backups. Here an hour takes a minute, so that even
these are far apart: a save every five minutes of an hour would be one every five seconds."""
NEGLECTED = 1.0
"""What lies there already that nobody asks for any more: so many times the data that somebody does."""
ROOM = 900
"""Megabytes of the machine beside what the act begins with: for growth, a save's copies, the page cache, and whatever
makes the backups."""
SWAP = 4 * 10**9


@dataclass(frozen=True)
class Stage:
    """
    Attributes:
        megabytes: of data that is in use; `NEGLECTED` times as much lies there that is not.
        limit: bytes that everything within the bound may take.
    """

    machine: Machine
    bound: Bound
    port: int
    megabytes: int
    limit: int
    endpoint: str

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def folder(self) -> Path:
        return self.machine.folder / "site"

    @property
    def bucket(self) -> Path:
        return self.machine.folder / "s3" / BUCKET

    @property
    def piece(self) -> int:
        """Bytes of each new thing: so many that in four minutes the data that is in use would double."""
        return 40 * self.megabytes

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, socket_timeout=30)

    def start_redis(self, name: str) -> None:
        """From its configuration file, within the bound; again after it was killed. Waits until it has loaded."""
        binary, conf = str(self.machine.redis_server), str(self.machine.folder / "site.conf")
        self.machine.start(name, [binary, conf])
        self.bound.take(self.machine.pid(name))
        with self.client() as client:
            self.machine.wait_for(name, lambda: client.info("persistence")["loading"] == 0, 60)

    def ended(self, name: str) -> None:
        """Wait until that process has, for only then is its port free."""
        os.waitid(os.P_PID, self.machine.pid(name), os.WEXITED | os.WNOWAIT)


@contextmanager
def stage(megabytes: int) -> Iterator[Stage]:
    """Set it: a Redis with save points and that much data, started again once it was filled: it is not to have written
    gigabytes a minute ago. Whatever else takes part is started by who needs it."""
    with (
        tempfile.TemporaryDirectory(prefix="redkeep-reenact-") as name,
        Bound(Path(name), SWAP) as bound,
        Machine(Path(name)) as machine,
    ):
        endpoint, credentials = machine.s3()
        os.environ |= credentials
        priority.give(machine.pid("s3"), priority.LAST)  # it is elsewhere: the site must not wait for what it does here
        limit = round((1 + NEGLECTED) * megabytes + ROOM) * 10**6
        set_ = Stage(machine, bound, free_port(), megabytes, limit, endpoint)
        set_.folder.mkdir()
        conf = f'port {set_.port}\nbind 127.0.0.1\ndir "{set_.folder}"\nsave {SAVE}\nrepl-diskless-sync-delay 0\n'
        (machine.folder / "site.conf").write_text(conf)
        set_.start_redis("site as it was filled")
        with set_.client() as client:
            fill(client, megabytes)
            _neglect(client, round(NEGLECTED * megabytes), set_.piece)
            client.shutdown(save=True)
        set_.ended("site as it was filled")
        set_.start_redis("site")
        bound.limit(limit)
        yield set_


def _neglect(client: redis.Redis, megabytes: int, piece: int) -> None:
    """Write so much that nobody asks for."""
    noise, pieces = random.Random(5).randbytes(1 << 20), iter(range(megabytes * 10**6 // piece))
    while batch := list(itertools.islice(pieces, 500)):
        cuts = {number: number * 61 % (len(noise) - piece) for number in batch}
        client.mset({f"upload:before:{number}": noise[start : start + piece] for number, start in cuts.items()})
