"""The worker: how soon a run begins, and how much memory it takes for small servers and large ones."""

from __future__ import annotations

import statistics
import time
from typing import Any

import redis

from tasks.control import connect
from tasks.names import Keys
from tasks.settings import load
from tests.bench.bed import Bed, bed, redkeep
from tests.bench.cost import Cost
from tests.bench.table import Table, asked, publish, versions

__all__ = ["worker"]

DISPATCH, MEGABYTES = 1.0, 250.0
"""What was asked for: seconds from the command to the run's beginning; peak memory."""


def worker(sizes: list[float], rounds: int) -> None:
    """Publish the table: a server of each size (GB of used memory), a few backups of it."""
    rows, waits, peaks = [], [], []
    for size in sizes:
        with bed(size) as made:
            used = made.site.info("memory")["used_memory"] / 1e9
            with Cost(made.standing, [made.machine.pid("worker")]) as cost:
                begun = [_begun(made) for _ in range(rounds)]
        rdb = begun[-1][0]["figures"]["bytes"] / 1e6
        rows.append((f"{used:.2f}", f"{rdb:.0f}", f"{cost.peak:.0f}"))
        waits += [seconds for _, seconds in begun]
        peaks.append(cost.peak)
    publish(
        "worker",
        "The worker",
        "Its parent process and the child that works, shared pages counted once.",
        Table(("GB of used memory", "MB of RDB", "peak MB"), rows),
        f"- peak memory: {asked(max(peaks), MEGABYTES, ' MB')}\n"
        f"- from `redkeep run` to the run's beginning: {asked(statistics.median(waits), DISPATCH, ' s')}",
        used=versions("redis-server"),
    )


def _begun(made: Bed) -> tuple[dict[str, Any], float]:
    """A run, and the seconds from the start of the command to the moment when the worker wrote into its record."""
    control = load(made.config).control
    client: redis.Redis = connect(control)
    began = time.time()
    run = redkeep("run", "backup", "follow", "--json")
    record = Keys(control.namespace).run(run["id"])
    return run, float(client.hget(record, "started") or 0) - began
