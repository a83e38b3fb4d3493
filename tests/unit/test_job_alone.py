"""Runs never overlap, and one that must stop does, before it commits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from rig.site import SLOT, TARGETS, WITHIN, Site, after, nothing, raising, until, until_stopped

from tasks.control import Client
from tasks.errors import (
    LeaseBusy,
    LeaseLost,
    RunCancelled,
    SlotBusy,
)
from tasks.job import Again, Job
from tasks.lease import acquire, want
from tasks.settings import Settings
from tasks.slot import Slot

# -- one at a time ---------------------------------------------------------------------------------------


def test_while_another_holds_the_lease_a_run_waits_and_names_the_holder(site: Site) -> None:
    holder = acquire(
        site.client, site.names, ["target:main"], token="x", holder="rewrite of main, run 7f3a", ttl=60
    )
    with pytest.raises(Again) as again:
        site.run(raising(AssertionError()), slot=SLOT)
    assert isinstance(again.value.__cause__, LeaseBusy)
    assert site.read().state == "waiting"
    assert "held by rewrite of main, run 7f3a" in site.read().get("error")["message"]
    assert not site.client.exists(site.names.slot(SLOT)), "the slot is free for whoever comes first"
    holder.release()
    assert site.run(nothing, slot=SLOT)["outcome"] == "succeeded"


def test_a_lease_that_becomes_free_within_the_patience_is_waited_for(
    make_settings: Callable[..., Settings], client: Client
) -> None:
    site = Site(make_settings(targets=TARGETS, patience=f"{WITHIN:.0f}s", visibility="2m"), client)
    holder = acquire(client, site.names, ["host:db1"], token="x", holder="x", ttl=60)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(site.run, nothing)
        until(lambda: site.records.exists("r1") and site.read().get("progress") == {"phase": "wait"})
        holder.release()
        assert waiting.result(WITHIN)["outcome"] == "succeeded"


@pytest.mark.parametrize("targets", [["main"], ["main", "twin"]], ids=["one target", "two targets of one host"])
def test_runs_never_overlap(site: Site, targets: list[str]) -> None:
    lock, at_work, most, fences = threading.Lock(), [0], [0], []

    def work(running: Job) -> None:
        with lock:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
            fences.append(running.fence)
        time.sleep(0.005)  # long enough that two would meet
        running.prove()
        with lock:
            at_work[0] -= 1

    def carried(number: int) -> str:
        run_id = f"r{number}"
        while True:
            try:
                return str(site.run(work, run_id, target=targets[number % len(targets)])["outcome"])
            except Again:
                continue

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(carried, range(12))) == ["succeeded"] * 12
    assert most == [1]
    assert fences == sorted(set(fences))


def test_targets_without_a_common_host_run_beside_each_other(site: Site) -> None:
    met = threading.Barrier(2, timeout=WITHIN)

    def work(running: Job) -> None:
        met.wait()

    with ThreadPoolExecutor() as pool:
        runs = [pool.submit(site.run, work, target, target=target) for target in ("main", "far")]
        assert [each.result(WITHIN)["outcome"] for each in runs] == ["succeeded", "succeeded"]


def test_two_runs_of_one_slot_make_one(site: Site) -> None:
    def other(running: Job) -> None:
        with pytest.raises(Again) as again:
            site.run(raising(AssertionError()), "r2", slot=SLOT)
        assert isinstance(again.value.__cause__, SlotBusy)
        assert site.read("r2").state == "waiting"

    assert site.run(other, "r1", slot=SLOT)["outcome"] == "succeeded"
    assert site.run(raising(AssertionError()), "r2", slot=SLOT)["outcome"] == "skipped"


def test_a_slot_that_another_took_while_the_lease_was_waited_for_is_not_done_twice(
    make_settings: Callable[..., Settings], client: Client
) -> None:
    site = Site(make_settings(targets=TARGETS, patience=f"{WITHIN:.0f}s", visibility="2m"), client)
    holder = acquire(client, site.names, ["target:main"], token="x", holder="x", ttl=60)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(site.run, raising(AssertionError()), slot=SLOT)
        until(lambda: client.hget(site.names.slot(SLOT), "task_id") == "r1")
        until(lambda: site.read().get("progress") == {"phase": "wait"})
        client.delete(site.names.slot(SLOT))  # the claim ran out during the wait
        other = Slot(client, site.names, SLOT, "r2")
        other.claim(60)
        other.commit()
        holder.release()
        assert waiting.result(WITHIN)["outcome"] == "skipped"


def test_a_run_that_can_be_interrupted_learns_that_another_waits_and_goes_after_it(site: Site) -> None:
    order: list[str] = []

    def tidying(job: Job) -> None:
        with ThreadPoolExecutor() as pool:
            backup = pool.submit(site.run, lambda _: order.append("backup"), "b1", target="twin")
            until(lambda: job.wanted == "b1")
            with pytest.raises(Again):
                backup.result(WITHIN)
        order.append("tidy gave way")

    site.run(tidying, "t1", task="tasks.tidy")
    with pytest.raises(Again) as again:
        site.run(lambda _: order.append("another tidy"), "t2", task="tasks.tidy")
    assert "run b1 waits for the lease and goes first" in str(again.value)
    site.run(lambda _: order.append("backup"), "b1", target="twin")
    site.run(lambda _: order.append("another tidy"), "t2", task="tasks.tidy")
    assert order == ["tidy gave way", "backup", "another tidy"]


def test_nobody_gives_way_for_long_to_a_run_that_never_comes_back(site: Site) -> None:
    want(site.client, site.names, ["host:db1"], run_id="gone", ttl=0.05)
    until(lambda: not site.client.exists(site.names.wanted("host:db1")))
    assert site.run(nothing, task="tasks.tidy")["outcome"] == "succeeded"


# -- stopping --------------------------------------------------------------------------------------------


def test_a_cancel_stops_the_work_at_its_next_checkpoint(site: Site) -> None:
    with pytest.raises(RunCancelled):
        site.run(after(lambda: site.records.ask_to_cancel("r1"), until_stopped), slot=SLOT)
    assert (site.read().state, site.read().get("error")["name"]) == ("cancelled", "run-cancelled")
    assert site.held() == []
    assert not site.client.exists(site.names.slot(SLOT))


def test_a_cancel_also_stops_a_run_that_waits_for_its_lease(
    make_settings: Callable[..., Settings], client: Client
) -> None:
    site = Site(make_settings(targets=TARGETS, patience=f"{WITHIN:.0f}s", visibility="2m"), client)
    acquire(client, site.names, ["target:main"], token="x", holder="x", ttl=60)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(site.run, raising(AssertionError()))
        until(lambda: site.records.exists("r1") and site.read().state == "running")
        site.records.ask_to_cancel("r1")
        with pytest.raises(RunCancelled):
            waiting.result(WITHIN)
    assert site.read().state == "cancelled"


def test_a_run_cancelled_before_it_began_does_nothing(site: Site) -> None:
    site.records.queue("r1", task="tasks.backup", target="main")
    site.records.ask_to_cancel("r1")
    with pytest.raises(RunCancelled):
        site.run(raising(AssertionError()))
    assert site.read().state == "cancelled"


@pytest.mark.parametrize("resource", ["target:main", "host:db1"])
def test_a_lost_lease_stops_the_work_before_it_commits(site: Site, resource: str) -> None:
    committed = []

    def work(running: Job) -> None:
        site.client.delete(site.lease(resource))
        running.prove()
        committed.append(running)

    with pytest.raises(Again) as again:
        site.run(work)
    assert isinstance(again.value.__cause__, LeaseLost)
    assert not committed
    assert (site.read().state, site.read().get("error")["name"]) == ("waiting", "lease-lost")


def test_a_lease_lost_while_the_work_goes_on_is_noticed_without_its_asking(
    make_settings: Callable[..., Settings], client: Client
) -> None:
    site = Site(make_settings(targets=TARGETS, lease_ttl="1s", patience="10ms", visibility="2m"), client)
    with pytest.raises(Again) as again:
        site.run(after(lambda: client.delete(site.lease()), until_stopped))
    assert isinstance(again.value.__cause__, LeaseLost)


def test_what_another_took_meanwhile_stays_with_it(site: Site) -> None:
    def work(running: Job) -> None:
        site.client.delete(site.lease(), site.lease("host:db1"))
        acquire(site.client, site.names, ["target:main"], token="other", holder="other", ttl=60)
        running.prove()

    with pytest.raises(Again):
        site.run(work)
    assert site.held() == [site.lease()]
    assert site.client.hget(site.lease(), "token") == "other"


def test_an_attempt_whose_run_another_has_taken_over_stops_and_leaves_its_record_alone(site: Site) -> None:
    def taken() -> None:
        site.client.delete(site.names.alive("r1"))
        assert site.records.begin("r1", "other", host="web2") == ("go", "died")

    with pytest.raises(Again):
        site.run(after(taken, until_stopped))
    raw = site.raw()
    assert (raw["state"], raw["nonce"], raw["host"]) == ("running", "other", "web2")
    assert "error" not in raw


def test_an_attempt_that_ends_well_after_it_was_taken_over_leaves_the_end_to_the_other(site: Site) -> None:
    def taken(running: Job) -> None:
        site.client.delete(site.names.alive("r1"))
        site.records.begin("r1", "other", host="web2")

    with pytest.raises(Again, match="another attempt"):
        site.run(taken)
    assert site.raw()["nonce"] == "other"
    assert site.read().state == "running"


@pytest.mark.parametrize(
    ("stop", "state"), [(SystemExit(0), "waiting"), (KeyboardInterrupt(), "cancelled")], ids=["exit", "ctrl-c"]
)
def test_a_worker_told_to_go_leaves_its_run_for_the_next_and_a_person_at_a_terminal_ends_it(
    site: Site, stop: BaseException, state: str
) -> None:
    with pytest.raises(type(stop)):
        site.run(raising(stop), slot=SLOT)
    assert (site.read().state, site.read().get("tries")) == (state, "0")
    assert site.held() == []
    assert not site.client.exists(site.names.slot(SLOT))
    if state == "waiting":
        assert site.run(nothing, slot=SLOT)["outcome"] == "succeeded"
    else:
        with pytest.raises(RunCancelled):
            site.run(raising(AssertionError()), slot=SLOT)


