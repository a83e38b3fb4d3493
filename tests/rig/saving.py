"""Saves that a test can watch: how slow they are, which child does them, and when they end."""

from __future__ import annotations

import random
import re
from pathlib import Path

from rig.keep import eventually
from rig.redis_servers import RedisServer

__all__ = ["await_quiet", "fill_slow", "forks", "is_saving", "settings_are_back", "slow_down", "temps"]

_TEMP = re.compile(r"temp-(\d+)\.rdb")


def fill_slow(server: RedisServer, seconds: float, *, keys: int = 40, size: int = 250_000) -> None:
    """So many keys of noise, in database 0, one in four with a TTL; a save then takes about so many seconds."""
    noise = random.Random(7)
    with server.client().pipeline(transaction=False) as pipe:
        for number in range(keys):
            pipe.set(f"key:{number}", noise.randbytes(size), ex=None if number % 4 else 86_400)
        pipe.execute()
    slow_down(server, seconds / keys)


def slow_down(server: RedisServer, seconds: float) -> None:
    """Every key takes a save's child that long."""
    server.client().config_set("rdb-key-save-delay", int(seconds * 1e6))


def is_saving(server: RedisServer) -> bool:
    return bool(server.client().info("persistence")["rdb_bgsave_in_progress"])


def await_quiet(server: RedisServer) -> None:
    """Until no child runs: no save, no rewrite, none for a replica."""
    client = server.client()
    eventually(
        lambda: (
            not any(
                client.info("persistence")[each]
                for each in ("rdb_bgsave_in_progress", "aof_rewrite_in_progress", "aof_rewrite_scheduled")
            )
        ),
        within=60,
    )


def forks(server: RedisServer) -> int:
    return int(server.client().info("stats")["total_forks"])


def temps(folder: Path) -> dict[int, Path]:
    """The temp files of saves, by their child's pid."""
    return {int(found[1]): path for path in folder.iterdir() if (found := _TEMP.fullmatch(path.name))}


def settings_are_back(server: RedisServer) -> bool:
    return server.client().config_get("rdbcompression")["rdbcompression"] == "yes"
