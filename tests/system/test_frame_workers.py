"""The frame under real Celery workers: long runs, killed workers, killed pool children, duplicates."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Callable, Iterator

import pytest
from rig.keep import Keep, eventually
from rig.redis_servers import FLAVOURS, RedisServer, binary, why_missing
from rig.yard import KEYS, SHORT, SLOT, Yard, only_backup

from tasks.lease import acquire


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
