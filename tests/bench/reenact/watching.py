"""What is seen of an act: the site's requests, the server once a second, and what kill -9 costs at the end."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, NamedTuple

import redis

from tests.bench.foreground import Foreground, Latencies, Site
from tests.bench.reenact.stage import Stage

__all__ = ["Act", "Backup", "Second", "watch"]

RATE = 1000
"""Requests a second, four reads to a write."""
GROWTH = 0.5
"""The share of the writes that are something new."""
SEEN = 0.9
"""The share of an act's seconds that must have been seen for it to count; a server that swaps answers late."""
LOOK = 0.1
"""Seconds between two looks at whether the server saves."""


class Backup(NamedTuple):
    """When the data that it holds was forked off (Unix time), and how many bytes it has in the store."""

    forked: float
    size: int


@dataclass(frozen=True)
class Second:
    """One second of it. Bytes, but where it says otherwise.

    Attributes:
        at: seconds since the beginning.
        felt: what the site's requests met.
        copied: of the fork under way, copy-on-write.
        usage: of everything on the machine, page cache included.
        swapped: of what is theirs, out of memory.
        age: seconds since the fork of the newest backup in the store.
    """

    at: int
    felt: Latencies
    data: int
    saving: bool
    rewriting: bool
    copied: int
    aof: int
    usage: int
    swapped: int
    age: float


@dataclass
class Act:
    """
    Attributes:
        saves, rewrites: seconds that each took.
        failed: saves and rewrites that did not succeed.
        length: seconds that it was looked at.
        backups: that were made meanwhile, those included that have gone again.
        killed: processes that the kernel ended for want of memory.
        lost: keys that had been acknowledged and were gone after kill -9 and a start.
        down: seconds from that start until it answered.
    """

    name: str
    length: float
    whole: Latencies
    seconds: list[Second]
    saves: list[float]
    rewrites: list[float]
    failed: int
    backups: list[Backup]
    killed: int
    lost: int
    down: float


@dataclass
class _Look:
    """What a thread sees of the server meanwhile."""

    stage: Stage
    shipped: Callable[[Stage], list[Backup]]
    rows: list[dict[str, Any]] = field(default_factory=list)
    saves: list[float] = field(default_factory=list)
    rewrites: list[float] = field(default_factory=list)
    failed: int = 0
    keys: int = 0
    backups: set[Backup] = field(default_factory=set)

    def go_on(self, began: float, over: threading.Event) -> None:
        """Look until it is over. A server that cannot answer now is looked at again."""
        since: dict[str, float] = {}
        with self.stage.client() as client:
            while not over.wait(LOOK):
                with suppress(redis.RedisError):
                    state = client.info("persistence")
                    self._follow(state, since)
                    if time.monotonic() - began >= len(self.rows):
                        self.rows.append(self._row(client, state))

    def _follow(self, state: dict[str, Any], since: dict[str, float]) -> None:
        now = time.monotonic()
        for flag, kept, status in (
            ("rdb_bgsave_in_progress", self.saves, "rdb_last_bgsave_status"),
            ("aof_rewrite_in_progress", self.rewrites, "aof_last_bgrewrite_status"),
        ):
            if state[flag]:
                since.setdefault(flag, now)
            elif flag in since:
                kept.append(now - since.pop(flag))
                self.failed += state[status] != "ok"

    def _row(self, client: redis.Redis, state: dict[str, Any]) -> dict[str, Any]:
        self.keys = _keys(client)
        self.backups.update(self.shipped(self.stage))
        newest = max(self.backups, default=None)
        return {
            "data": client.info("memory")["used_memory"],
            "saving": bool(state["rdb_bgsave_in_progress"]),
            "rewriting": bool(state["aof_rewrite_in_progress"]),
            "copied": state["current_cow_size"],
            "aof": state.get("aof_current_size", 0),
            "usage": self.stage.bound.usage,
            "swapped": self.stage.bound.swapped,
            "age": time.time() - newest.forked if newest else float("nan"),
        }


def watch(name: str, stage: Stage, way: ModuleType, seconds: int) -> Act:
    """Let that way begin beneath a site that is in use, and watch it for so long from its first backup on."""
    load = Site(stage.megabytes, growth=GROWTH, size=stage.piece)
    look, over = _Look(stage, way.shipped), threading.Event()
    with Foreground(stage.url, rate=RATE, load=load) as site:
        way.begin(stage)
        stage.machine.wait_for("a first backup", lambda: bool(way.shipped(stage)), 180)
        before = set(way.shipped(stage))
        began = time.monotonic()
        looking = threading.Thread(target=look.go_on, args=(began, over))
        looking.start()
        time.sleep(seconds)
        over.set()
        looking.join()
    if len(look.rows) < seconds * SEEN:
        raise SystemExit(f"{name}: of {seconds} seconds only {len(look.rows)} were seen")
    backups = sorted((look.backups | set(way.shipped(stage))) - before)
    killed = stage.bound.killed
    lost, down = _pull_the_plug(stage, look.keys)
    felt = [site.latencies(began + at, began + at + 1) for at in range(len(look.rows))]
    rows = [Second(at, each, **row) for at, (each, row) in enumerate(zip(felt, look.rows, strict=True))]
    whole = site.latencies(began, began + seconds)
    return Act(name, seconds, whole, rows, look.saves, look.rewrites, look.failed, backups, killed, lost, down)


def _pull_the_plug(stage: Stage, before: int) -> tuple[int, float]:
    """Kill the server, start it again. Gives the keys that are gone (``before``: those it had when it last answered),
    and the seconds until it answered."""
    with suppress(redis.RedisError), stage.client() as client:
        before = _keys(client)
    os.kill(stage.machine.pid("site"), signal.SIGKILL)
    stage.ended("site")
    began = time.monotonic()
    stage.start_redis("site again")
    with stage.client() as client:
        return before - _keys(client), time.monotonic() - began


def _keys(client: redis.Redis) -> int:
    return sum(each["keys"] for each in client.info("keyspace").values())
