"""Nothing forks beside anything else: seen from the servers' own statistics, while real runs meet."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rig.installations import settings as written
from rig.keep import Keep, eventually
from rig.redis_servers import RedisServer
from rig.saving import fill_slow, forks, slow_down

from tasks import job
from tasks.control import connect
from tasks.job import Ticket
from tasks.records import Records
from tasks.rewrite import rewrite
from tasks.settings import target_of

MakeKeep = Callable[..., Keep]
FLAGS = ("rdb_bgsave_in_progress", "aof_rewrite_in_progress", "aof_rewrite_scheduled")


@dataclass
class Watch:
    """What ran at each look: a set of (server, flag)."""

    seen: set[frozenset[tuple[int, str]]] = field(default_factory=set)

    def most_at_once(self) -> int:
        return max(len(each) for each in self.seen)

    def flags(self) -> set[str]:
        return {flag for each in self.seen for _, flag in each}


@contextmanager
def watched(*servers: RedisServer) -> Iterator[Watch]:
    """Looks at the servers again and again, some hundred times a second."""
    watch, over = Watch(), threading.Event()
    clients = [server.client() for server in servers]

    def look() -> None:
        while not over.is_set():
            states = [client.info("persistence") for client in clients]
            running = {(at, flag) for at, state in enumerate(states) for flag in FLAGS if state[flag]}
            watch.seen.add(frozenset(running))
            time.sleep(0.005)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()


def test_a_backup_and_a_rewrite_that_are_due_together_run_one_after_the_other(
    redis_flavour: str, keep: MakeKeep
) -> None:
    with RedisServer(redis_flavour, appendonly="yes") as server:
        fill_slow(server, 0.6, keys=8)
        ours = keep(server, source="follow")
        with watched(server) as watch:
            futures = [ours.started(task=task) for task in ("backup", "rewrite")]
            done = [future.result() for future in futures]
        assert [(each.state, each.error) for each in done] == [("succeeded", None)] * 2
        assert forks(server) == 2
        assert watch.flags() == {"rdb_bgsave_in_progress", "aof_rewrite_in_progress"}, "and none was only scheduled"
        assert watch.most_at_once() == 1
        waits = sorted(each.record.get("phases")["wait"] for each in done)
        assert waits[1] > 0.3, "the second one says how long it waited for the first"


def test_two_servers_of_one_machine_fork_one_after_the_other(any_redis: RedisServer, control: RedisServer) -> None:
    with RedisServer(any_redis.flavour) as other:
        servers = {"one": any_redis, "other": other}
        for server in servers.values():
            server.client().config_set("appendonly", "yes")
            fill_slow(server, 0, keys=8)
            eventually(lambda server=server: server.client().info("persistence")["aof_last_rewrite_time_sec"] >= 0)
            slow_down(server, 0.08)
        before = {name: forks(server) for name, server in servers.items()}
        targets = {name: {"url": server.url, "host": "db1"} for name, server in servers.items()}
        conf = written(control.url, targets=targets, namespace=f"k{uuid.uuid4().hex[:12]}")

        def run(name: str) -> None:
            target = target_of(conf, name)
            job.run(lambda each: rewrite(each, conf, target), Ticket(name, "tasks.rewrite", name), conf, target)

        with watched(*servers.values()) as watch:
            threads = [threading.Thread(target=run, args=(name,)) for name in servers]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        client = connect(conf.control)
        records = [Records(client, conf.control).read(name) for name in servers]
        client.close()
        assert [each.state for each in records] == ["succeeded"] * 2
        assert {name: forks(server) - before[name] for name, server in servers.items()} == {"one": 1, "other": 1}
        assert watch.most_at_once() == 1
        assert max(each.get("phases")["wait"] for each in records) > 0.3


def test_a_rewrite_that_the_server_starts_by_itself_is_waited_for(redis_flavour: str, keep: MakeKeep) -> None:
    with RedisServer(redis_flavour, appendonly="yes", auto_aof_rewrite_min_size="1mb") as server:
        fill_slow(server, 0.6, keys=8)
        eventually(lambda: server.client().info("persistence")["aof_rewrite_in_progress"])
        with watched(server) as watch:
            attempt = keep(server, source="follow").attempt()
        assert attempt.state == "succeeded"
        assert watch.most_at_once() == 1
        assert forks(server) == 2
        assert attempt.record.get("phases")["quiet"] > 0.1


def test_a_wait_that_went_on_in_the_queue_is_recorded_whole(any_redis: RedisServer, keep: MakeKeep) -> None:
    any_redis.client().config_set("appendonly", "yes")
    fill_slow(any_redis, 0, keys=8)
    eventually(lambda: any_redis.client().info("persistence")["aof_last_rewrite_time_sec"] >= 0)
    slow_down(any_redis, 0.1)
    ours = keep(any_redis, control={"patience": "10ms"})
    rewriting = ours.started("rewrite", task="rewrite")
    eventually(lambda: ours.lease_holder() is not None)
    waits: list[Any] = [ours.attempt("backup")]
    while waits[-1].state == "waiting":
        waits.append(ours.attempt("backup"))
    assert rewriting.result().state == "succeeded"
    assert waits[-1].state == "succeeded"
    assert len(waits) > 3
    assert "rewrite of main" in waits[0].shown["message"], "whom it waits for"
    assert waits[-1].record.get("phases")["wait"] > 0.3
