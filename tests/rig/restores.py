"""Snapshots to restore, servers to restore into, and what must be the same afterwards.

    shelf = Shelf.of(keep(server))
    shelf.place(folder, layout)                # redkeep restore --to-dir
    with started_in(folder, "redis7", appendonly="yes") as server:
        assert server.digest() == shelf.digest
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from rig.keep import Keep
from rig.redis_servers import RedisServer
from tasks.manifest import Manifest
from tasks.restore import Layout, Placed, fetch, to_dir
from tasks.store import Store

__all__ = ["Shelf", "contents", "every_type", "slow_to_load", "started_in"]


@dataclass
class Shelf:
    """One backup in its store.

    Attributes:
        digest: DEBUG DIGEST of the server it was taken from, where nothing was written since.
    """

    keep: Keep
    manifest: Manifest
    digest: str = ""

    @classmethod
    def of(cls, keep: Keep, server: RedisServer | None = None) -> Shelf:
        """A backup that is taken now."""
        attempt = keep.attempt()
        assert attempt.error is None
        assert attempt.manifest is not None
        return cls(keep, attempt.manifest, server.digest() if server else "")

    @property
    def store(self) -> Store:
        return self.keep.store

    def chunks(self, **wanted: Any) -> Iterator[bytes]:
        return fetch(self.store, self.manifest, wanted.get("identities", self.keep.identities))

    def place(self, folder: Path, layout: Layout, **wanted: Any) -> Placed:
        return to_dir(self.chunks(**wanted), folder, layout, expected=self.manifest.plaintext.bytes)

    @property
    def object_path(self) -> Path:
        assert self.keep.store_folder is not None
        return self.keep.store_folder / self.manifest.object.key


def every_type(server: RedisServer, *, keys: int = 200) -> None:
    """Keys of every type in two databases, some with a TTL of a day, a few large."""
    noise = random.Random(11)
    for database in (0, 3):
        with server.client(db=database).pipeline(transaction=False) as pipe:
            for number in range(keys):
                pipe.set(f"string:{number}", noise.randbytes(50), ex=86_400 if number % 4 == 0 else None)
                pipe.rpush(f"list:{number}", *range(number % 7 + 1))
                pipe.hset(f"hash:{number}", mapping={f"f{each}": each for each in range(number % 5 + 1)})
                pipe.sadd(f"set:{number}", *(f"m{each}" for each in range(number % 9 + 1)))
                pipe.zadd(f"zset:{number}", {f"m{each}": each / 3 for each in range(number % 6 + 1)})
                pipe.xadd(f"stream:{number}", {"n": number})
            pipe.set("large", noise.randbytes(3_000_000))
            pipe.execute()


def slow_to_load(server: RedisServer, microseconds: int) -> None:
    """Every key takes it that long, and it answers others in between."""
    server.client().config_set("key-load-delay", microseconds)
    with suppress(redis.ResponseError):  # 6.2 answers every 2 MB, whatever is said
        server.client().config_set("loading-process-events-interval-bytes", 1024)


@contextmanager
def started_in(folder: Path, flavour: str, **config: Any) -> Iterator[RedisServer]:
    """A server whose `dir` is that very folder; a restart finds the same."""
    server = RedisServer(flavour, **config, dir=folder)
    server.dir = folder  # what its `dir` says; its own folder stays empty
    with server:
        yield server


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below the folder, by its path."""
    return {str(each.relative_to(folder)): each.read_bytes() for each in sorted(folder.rglob("*")) if each.is_file()}
