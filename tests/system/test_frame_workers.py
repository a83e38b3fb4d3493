"""The frame under real Celery workers: long runs, killed workers, killed pool children, duplicates.

The run lasts as long as a test needs because the server's save child sleeps after each key (`rdb-key-save-delay`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from rig.keep import Keep, eventually
from rig.processes import dying_with_us
from rig.redis_servers import FLAVOURS, RedisServer, binary, why_missing

from tasks import broker
from tasks.control import Client, connect
from tasks.lease import acquire
from tasks.names import Keys
from tasks.records import Record

REDKEEP = Path(sys.executable).with_name("redkeep")
SLOT = "tasks.backup/main/2026-11-23T11:07Z"
KEYS = 30
SHORT = {"lease_ttl": "1s", "visibility": "3s", "patience": "200ms"}
"""A killed worker's message comes back within 3 s and the 2 s between two looks for it."""


class Worker:
    """``redkeep worker backup`` in a process group of its own."""

    def __init__(self, keep: Keep, name: str) -> None:
        self.log_path = keep.folder / f"{name}.log"
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                dying_with_us([str(REDKEEP), "worker", "backup", "--name", f"{name}@test"]),
                env=os.environ | {"REDKEEP_CONFIG": str(keep.config_path)},
                cwd=keep.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def ready(self) -> Worker:
        eventually(lambda: " ready." in self.log or self.process.poll() is not None)
        assert self.process.poll() is None, self.log
        return self

    def children(self) -> list[int]:
        """The pool's processes."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def kill(self) -> None:
        """SIGKILL to all of it, as a machine that goes away."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Yard:
    """One installation, its server under care, and the workers that a test starts."""

    def __init__(self, keep: Keep, server: RedisServer) -> None:
        self.keep = keep
        self.server = server
        self.control = keep.settings.control
        self.client: Client = connect(self.control)
        self.names = Keys(self.control.namespace)
        self.workers: list[Worker] = []
        url = broker.url(self.control)
        self.app = Celery(broker=url, backend=url, set_as_current=False)
        self.app.conf.broker_transport_options = broker.transport_options(self.control)
        prefix = broker.transport_options(self.control)["global_keyprefix"]
        self.app.conf.result_backend_transport_options = {"global_keyprefix": prefix}

    def work(self, *names: str) -> list[Worker]:
        started = [Worker(self.keep, name) for name in names]
        self.workers += started
        return [each.ready() for each in started]

    def send(self, run_id: str = "", slot: str | None = None) -> str:
        run_id = run_id or str(uuid.uuid4())
        self.app.send_task("tasks.backup", ["main"], {"slot": slot, "by": "test"}, task_id=run_id, queue="backup")
        return run_id

    def state(self, run_id: str) -> str:
        return self.keep.record(run_id).state if self.client.exists(self.names.run(run_id)) else ""

    def ended(self, run_id: str, within: float = 40.0) -> Record:
        eventually(lambda: self.state(run_id) in ("succeeded", "failed", "skipped", "deferred"), within=within)
        return self.keep.record(run_id)

    def saves(self) -> int:
        """How often the server was asked to save."""
        stats = self.server.client().info("commandstats")
        return int(stats.get("cmdstat_bgsave", {"calls": 0})["calls"])

    def slow(self, seconds: float) -> None:
        """Every save takes that long from now on."""
        self.server.client().config_set("rdb-key-save-delay", int(seconds * 1e6 / KEYS))

    def saving(self) -> bool:
        return bool(self.server.client().info("persistence")["rdb_bgsave_in_progress"])

    def unacknowledged(self) -> int:
        return int(self.client.zcard(f"{self.control.namespace}:celery:unacked_index"))

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
        self.app.close()
        self.client.close()


@pytest.fixture(scope="module")
def small_server() -> Iterator[RedisServer]:
    flavour = next((each for each in ("redis7", "valkey9", "redis8") if binary(each)), None)
    if flavour is None:
        pytest.skip("; ".join(map(why_missing, FLAVOURS)))
    with RedisServer(flavour) as server:
        for number in range(KEYS):
            server.client().set(f"key:{number}", number)
        yield server


@pytest.fixture
def yard(keep: Callable[..., Keep], small_server: RedisServer) -> Iterator[Yard]:
    small_server.client().config_resetstat()
    made = Yard(keep(small_server, control=SHORT), small_server)
    yield made
    made.close()
    made.slow(0)
    eventually(lambda: not made.saving())


def only_backup(yard: Yard) -> Any:
    """The one manifest in the store, and nothing beside it but its object."""
    (manifest,) = yard.keep.manifests()
    assert yard.keep.left() == [f"main/manifests/{manifest.id}.json", manifest.object.key]
    return manifest


def test_a_run_longer_than_the_visibility_timeout_runs_once(yard: Yard) -> None:
    yard.work("a", "b")
    yard.slow(9)
    run_id = yard.send()
    record = yard.ended(run_id)
    assert record.state == "succeeded"
    took = (record.moment("ended") - record.moment("started")).total_seconds()
    assert took > 2 * yard.control.visibility
    assert "attempts" not in record.fields
    assert yard.saves() == 1
    assert only_backup(yard).task_id == run_id
    assert sum(each.log.count("received") for each in yard.workers) == 1, "nobody was given it a second time"
    eventually(lambda: yard.unacknowledged() == 0)


def test_a_killed_workers_run_reads_died_and_another_worker_finishes_it(yard: Yard) -> None:
    (first,) = yard.work("a")
    yard.slow(3)
    run_id = yard.send(slot=SLOT)
    eventually(lambda: yard.state(run_id) == "running" and yard.saving())
    eventually(lambda: yard.keep.record(run_id).get("writing"))
    first.kill()
    eventually(lambda: yard.state(run_id) == "died")
    assert yard.keep.manifests() == []
    yard.slow(0)
    yard.work("b")
    record = yard.ended(run_id)
    assert record.state == "succeeded"
    assert [each["outcome"] for each in record.get("attempts")] == ["died"]
    manifest = only_backup(yard)
    assert (manifest.slot, manifest.task_id) == (SLOT, run_id)
    assert yard.client.hgetall(yard.names.slot(SLOT)) == {"task_id": run_id, "state": "committed"}
    assert yard.keep.lease_holder() is None
    again = yard.send(slot=SLOT)
    assert yard.ended(again).state == "skipped"
    only_backup(yard)


def test_a_killed_pool_child_is_followed_by_another_try(yard: Yard) -> None:
    (worker,) = yard.work("a")
    yard.slow(3)
    run_id = yard.send()
    eventually(lambda: yard.keep.record(run_id).get("writing") if yard.state(run_id) == "running" else None)
    (child,) = worker.children()
    os.kill(child, signal.SIGKILL)
    yard.slow(0)
    record = yard.ended(run_id)
    assert record.state == "succeeded"
    assert [each["outcome"] for each in record.get("attempts")] == ["died"]
    assert only_backup(yard).task_id == run_id
    assert worker.process.poll() is None


def test_a_run_that_waits_for_a_lease_outlives_celerys_own_count_of_retries(yard: Yard) -> None:
    holder = acquire(yard.client, yard.names, ["target:main"], token="x", holder="rewrite, run 7f3a", ttl=60)
    yard.work("a")
    run_id = yard.send()
    begun: set[str] = set()

    def tried_often() -> bool:
        if yard.client.exists(yard.names.run(run_id)):
            begun.add(str(yard.keep.record(run_id).get("nonce")))
        return len(begun) > 6

    eventually(tried_often)
    eventually(lambda: yard.state(run_id) == "waiting")
    assert "held by rewrite, run 7f3a" in yard.keep.record(run_id).get("error")["message"]
    holder.release()
    assert yard.ended(run_id).state == "succeeded"
    assert yard.saves() == 1


def test_one_slot_sent_by_two_beats_to_two_workers_is_one_backup(yard: Yard) -> None:
    yard.work("a", "b")
    yard.slow(1)
    runs = [yard.send(slot=SLOT) for _ in range(2)]
    assert sorted(yard.ended(each).state for each in runs) == ["skipped", "succeeded"]
    assert only_backup(yard).id == "20261123T110700Z"
    assert yard.saves() == 1


def test_one_message_delivered_twice_is_one_backup_and_both_answers_are_the_same(yard: Yard) -> None:
    yard.work("a", "b")
    yard.slow(1)
    run_id = str(uuid.uuid4())
    for _ in range(2):
        yard.send(run_id)
    record = yard.ended(run_id)
    eventually(lambda: yard.unacknowledged() == 0)
    assert yard.app.AsyncResult(run_id).get(timeout=20) == record.result()
    assert yard.keep.record(run_id) == record
    assert only_backup(yard).task_id == run_id
    assert yard.saves() == 1


def test_a_worker_that_is_asked_to_stop_finishes_what_it_is_at(yard: Yard) -> None:
    (first,) = yard.work("a")
    yard.slow(3)
    run_id = yard.send()
    eventually(lambda: yard.state(run_id) == "running" and yard.saving())
    first.process.terminate()
    record = yard.ended(run_id)
    assert record.state == "succeeded"
    assert "attempts" not in record.fields
    only_backup(yard)
