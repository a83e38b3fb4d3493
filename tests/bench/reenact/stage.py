"""The site's Redis on a machine without memory to spare, and an S3 server elsewhere."""

from __future__ import annotations

import os
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

__all__ = ["SAVE", "Stage", "stage"]

SAVE = "30 1"
"""The outage's save points were "300 1", with an hour between two backups. Here an hour takes a minute, so that even
these are far apart: a save every five minutes of an hour would be one every five seconds."""
ROOM = 400
"""Megabytes of the bound beside twice the data that the act begins with: for a save's copies, the page cache, growth,
and whatever makes the backups."""


@dataclass(frozen=True)
class Stage:
    """
    Attributes:
        megabytes: of data at the beginning.
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

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, socket_timeout=30)

    def start_redis(self, name: str) -> None:
        """From its configuration file, within the bound; again after it was killed. Waits until it has loaded."""
        binary, conf = str(self.machine.redis_server), str(self.machine.folder / "site.conf")
        self.machine.start(name, [binary, conf])
        self.bound.take(self.machine.pid(name))
        with self.client() as client:
            self.machine.wait_for(name, lambda: client.info("persistence")["loading"] == 0, 60)


@contextmanager
def stage(megabytes: int) -> Iterator[Stage]:
    """Set it: a Redis with save points and that much data. Whatever else takes part is started by who needs it."""
    with (
        tempfile.TemporaryDirectory(prefix="redkeep-reenact-") as name,
        Bound() as bound,
        Machine(Path(name)) as machine,
    ):
        endpoint, credentials = machine.s3()
        os.environ |= credentials
        priority.give(machine.pid("s3"), priority.LAST)  # it is elsewhere: the site must not wait for what it does here
        limit = (2 * megabytes + ROOM) * 10**6
        set_ = Stage(machine, bound, free_port(), megabytes, limit, endpoint)
        set_.folder.mkdir()
        conf = f'port {set_.port}\nbind 127.0.0.1\ndir "{set_.folder}"\nsave {SAVE}\nrepl-diskless-sync-delay 0\n'
        (machine.folder / "site.conf").write_text(conf)
        set_.start_redis("site")
        with set_.client() as client:
            fill(client, megabytes)
        bound.limit(limit)
        yield set_
